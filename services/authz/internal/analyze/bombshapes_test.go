package analyze

import (
	"fmt"
	"strings"
)

// repeated is a message of many definitions: what comes first, and what is repeated, the
// number of the repetition in the place of each #.
type repeated struct {
	first, each, last string
	// deep says that it is denied for what lies upon each other.
	deep bool
}

// text fills a size, in bytes.
func (s repeated) text(size int) string {
	var out strings.Builder
	out.WriteString(s.first)
	for i := 0; ; i++ {
		next := strings.ReplaceAll(s.each, "#", fmt.Sprint(i))
		next = strings.ReplaceAll(next, "~", fmt.Sprint(i/2))
		if out.Len()+len(next)+len(s.last) > size {
			break
		}
		out.WriteString(next)
	}
	out.WriteString(s.last)
	return out.String()
}

// definitionShapes are messages that make the catalog of their own statements large, or
// change it often.
var definitionShapes = map[string]repeated{
	"tables":                   {each: "CREATE TABLE t#();"},
	"tables of columns":        {each: "CREATE TABLE t#(a int, b text, c numeric);"},
	"temporary tables":         {each: "CREATE TEMP TABLE t#(a int);"},
	"temporary, dropped":       {each: "CREATE TEMP TABLE t(a int);DROP TABLE t;"},
	"serial keys":              {each: "CREATE TABLE t#(id serial PRIMARY KEY);"},
	"serial keys, dropped":     {each: "CREATE TABLE t(id serial PRIMARY KEY);DROP TABLE t;"},
	"views":                    {each: "CREATE VIEW v# AS SELECT 1;"},
	"views over views":         {first: "CREATE VIEW v0 AS SELECT 1 AS a;", each: "CREATE OR REPLACE VIEW w# AS SELECT a FROM v0;"},
	"views chained":            {first: "CREATE VIEW v AS SELECT 1 AS a;", each: "CREATE VIEW v# AS SELECT * FROM v;ALTER VIEW v RENAME TO u#;ALTER VIEW v# RENAME TO v;", deep: true},
	"enums":                    {each: "CREATE TYPE e# AS ENUM();"},
	"composites":               {each: "CREATE TYPE c# AS (a int);"},
	"domains":                  {each: "CREATE DOMAIN d# AS int;"},
	"domains over domains":     {first: "CREATE DOMAIN d AS int;", each: "CREATE DOMAIN d# AS d;ALTER DOMAIN d RENAME TO e#;ALTER DOMAIN d# RENAME TO d;"},
	"ranges":                   {each: "CREATE TYPE r# AS RANGE (subtype=int4);"},
	"functions":                {each: "CREATE FUNCTION f#() RETURNS int LANGUAGE sql AS 'SELECT 1';"},
	"function replaced":        {each: "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT #';"},
	"overloads":                {each: "CREATE TYPE e# AS ENUM();CREATE FUNCTION f(e#) RETURNS int LANGUAGE sql AS 'SELECT 1';"},
	"overloads called":         {each: "CREATE TYPE e# AS ENUM();CREATE FUNCTION f(e#) RETURNS int LANGUAGE sql AS 'SELECT 1';SELECT f(NULL::e#);"},
	"columns":                  {first: "CREATE TABLE t();", each: "ALTER TABLE t ADD COLUMN c# int;"},
	"columns and savepoints":   {first: "BEGIN;CREATE TABLE t();", each: "ALTER TABLE t ADD c# int;SAVEPOINT s;"},
	"columns, inserted":        {first: "CREATE TABLE t(a int);", each: "ALTER TABLE t ADD COLUMN c# int;INSERT INTO t SELECT * FROM t;"},
	"column added and dropped": {first: "CREATE TABLE t();", each: "ALTER TABLE t ADD c int;ALTER TABLE t DROP c;"},
	"one ALTER":                {first: "CREATE TABLE t(a int);ALTER TABLE t ADD d int", each: ", ADD c# int"},
	"unique":                   {first: "CREATE TABLE t(a int);", each: "ALTER TABLE t ADD UNIQUE (a);"},
	"unique in one":            {first: "CREATE TABLE t(a int);ALTER TABLE t ADD d int", each: ", ADD CONSTRAINT u# UNIQUE (a)"},
	"foreign keys":             {first: "CREATE TABLE t(a int PRIMARY KEY);", each: "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES t;"},
	"foreign keys made":        {first: "CREATE TABLE t(a int PRIMARY KEY);", each: "CREATE TABLE t#(a int REFERENCES t);"},
	"checks":                   {first: "CREATE TABLE t(a int);", each: "ALTER TABLE t ADD CHECK (a > 0);"},
	"checks in one":            {first: "CREATE TABLE t(a int", each: ", CHECK (a > #)", last: ")"},
	"indexes":                  {first: "CREATE TABLE t(a int);", each: "CREATE INDEX ON t (a);"},
	"indexes over code":        {first: "CREATE TABLE t(a int);", each: "CREATE INDEX i# ON t ((a + 1));"},
	"index, dropped":           {first: "CREATE TABLE t(a int);", each: "CREATE INDEX i ON t (a);DROP INDEX i;"},
	"renamed":                  {first: "CREATE TABLE t(a int);", each: "ALTER TABLE t RENAME TO u;ALTER TABLE u RENAME TO t;"},
	"many renamed":             {each: "CREATE VIEW v# AS SELECT 1 AS a;ALTER VIEW v# RENAME TO w#;"},
	"column renamed":           {first: "CREATE TABLE t(a int);", each: "ALTER TABLE t RENAME a TO b;ALTER TABLE t RENAME b TO a;"},
	"savepoints":               {first: "BEGIN;", each: "SAVEPOINT s;CREATE TABLE t#();"},
	"rolled back":              {first: "BEGIN;", each: "CREATE TABLE t#();SAVEPOINT s;CREATE TABLE u#();ROLLBACK TO s;"},
	"dropped, rolled back":     {first: "BEGIN;CREATE TABLE t();", each: "SAVEPOINT s;DROP TABLE t;ROLLBACK TO s;"},
	"schemas":                  {each: "CREATE SCHEMA s#;CREATE TABLE s#.t();"},
	"schemas, dropped":         {each: "CREATE SCHEMA s;CREATE TABLE s.t();DROP SCHEMA s CASCADE;"},
	"dropped with CASCADE":     {each: "CREATE TEMP TABLE t(a int);CREATE TEMP VIEW v AS SELECT a FROM t;DROP TABLE t CASCADE;"},
	"children":                 {first: "CREATE TABLE t(a int);", each: "CREATE TABLE t#() INHERITS (t);"},
	"children altered":         {first: "CREATE TABLE t(a int);", each: "CREATE TABLE t#() INHERITS (t);ALTER TABLE t ADD b# int;"},
	"partitions":               {first: "CREATE TABLE t(a int) PARTITION BY LIST (a);", each: "CREATE TABLE t# PARTITION OF t FOR VALUES IN (#);"},
	"partitions read":          {first: "CREATE TABLE t(a int) PARTITION BY LIST (a);", each: "CREATE TABLE t# PARTITION OF t FOR VALUES IN (#);SELECT * FROM t;"},
	"triggers":                 {first: "CREATE TABLE t(a int);CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS '';", each: "CREATE TRIGGER t# AFTER INSERT ON t EXECUTE FUNCTION f();"},
	"rules":                    {first: "CREATE TABLE t(a int);", each: "CREATE RULE r# AS ON INSERT TO t DO NOTHING;"},
	"policies":                 {first: "CREATE TABLE t(a int);", each: "CREATE POLICY p# ON t USING (a > 0);"},
	"owners":                   {first: "CREATE TABLE t(a int);", each: "ALTER TABLE t OWNER TO app_login;"},
	"settings":                 {each: "CREATE TABLE t#();SET work_mem = #;"},
	"paths":                    {each: "CREATE SCHEMA s#;SET search_path = s#;CREATE TABLE t();"},
	"a long view read":         {first: "CREATE VIEW v AS SELECT 1 AS a" + strings.Repeat(" UNION SELECT 1", 250) + ";", each: "CREATE TABLE t#();SELECT FROM v;"},
	"a wide table read":        {first: "CREATE TABLE w(" + strings.Repeat("a", 1) + wideColumns(300) + ");", each: "CREATE TABLE t#();INSERT INTO w SELECT * FROM w;"},
	"a wide table copied":      {first: "CREATE TABLE w(" + strings.Repeat("a", 1) + wideColumns(300) + ");", each: "CREATE TABLE t#(LIKE w);"},
	"a wide table made":        {first: "CREATE TABLE w(" + strings.Repeat("a", 1) + wideColumns(300) + ");", each: "CREATE TABLE t# AS TABLE w;"},
	"prepared":                 {each: "CREATE TABLE t#();PREPARE p# AS SELECT * FROM t#;"},
	"comments":                 {first: "CREATE TABLE t(a int);", each: "COMMENT ON TABLE t IS 'x';"},
	"grants":                   {first: "CREATE TABLE t(a int);", each: "GRANT SELECT ON t TO PUBLIC;"},
	"inserts":                  {first: "CREATE TABLE t(a int);", each: "INSERT INTO t VALUES (#);"},
	"sequences":                {each: "CREATE SEQUENCE s#;"},
	"typed tables":             {each: "CREATE TYPE c# AS (a int);CREATE TABLE t# OF c#;"},
	"same name":                {each: "CREATE TABLE t#(a int);ALTER TABLE t# ADD CONSTRAINT k CHECK (a > 0);"},
	"generated names":          {each: "CREATE TABLE a# (b int CHECK (b > 0), UNIQUE (b));"},
	"arrays in the way":        {each: "CREATE TYPE _e# AS ENUM();CREATE TYPE e# AS ENUM();"},
	"transactions":             {each: "BEGIN;CREATE TABLE t#();COMMIT;"},
	"transactions rolled back": {each: "BEGIN;CREATE TABLE t();ROLLBACK;"},
}

func wideColumns(n int) string {
	var out strings.Builder
	for i := range n {
		if i > 0 {
			out.WriteString(", b")
		}
		fmt.Fprintf(&out, "%d int", i)
	}
	return out.String()
}
