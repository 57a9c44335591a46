package bypass_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// chainScopes let somebody define in near and in pg_temp, read and write what stands in
// near, and call its functions, none of which is trusted.
const chainScopes = contextScopes + `  chained:
    - {actions: [select, insert, update, delete, references], objects: ["near.*"]}
    - {actions: [ddl, usage], objects: ["schema:near"]}
    - {actions: [execute], objects: ["function:near.*"]}
    - {actions: [usage], objects: ["type:near.*", "sequence:near.*"]}
    - {actions: [select], objects: [far.granted]}
    - {actions: [temporary], objects: ["database:shop"]}
`

// ruledChain makes a view of a table, which a rule does until PostgreSQL 15
// (DefineQueryRewrite of rewriteDefine.c).
const ruledChain = "drop and make under another's rule"

// chains are messages of several statements, the last of which reads far.who, on which
// nothing is granted, under a name that stood for something else when the message began,
// or seems to.
func chains() map[string]string {
	const read = "; SELECT name FROM who; ROLLBACK"
	in := func(s string) string { return "BEGIN; SET LOCAL search_path = near, far; " + s + read }
	return map[string]string{
		"dropped":                      in("DROP TABLE near.who CASCADE"),
		"dropped in a list":            in("CREATE TABLE near.other (id int); DROP TABLE near.other, near.who"),
		"dropped if exists":            in("DROP TABLE IF EXISTS near.nothing, near.who"),
		"renamed":                      in("ALTER TABLE near.who RENAME TO gone"),
		"renamed twice":                in("ALTER TABLE near.who RENAME TO gone; ALTER TABLE near.gone RENAME TO gone2"),
		"renamed as a view":            in("DROP TABLE near.who; CREATE VIEW near.who AS SELECT 'x'::text AS name; ALTER VIEW near.who RENAME TO gone"),
		"renamed away after a detour":  in("ALTER TABLE near.who RENAME TO gone; CREATE TABLE near.who (name text); DROP TABLE near.who"),
		"made and dropped":             in("DROP TABLE near.who; CREATE TABLE near.who (name text); DROP TABLE near.who"),
		"moved to pg_temp's name":      in("ALTER TABLE near.who RENAME TO who2; CREATE TEMP TABLE who (name text); DROP TABLE pg_temp.who"),
		"a savepoint, then back":       in("DROP TABLE near.who; SAVEPOINT a; CREATE TABLE near.who (name text); ROLLBACK TO a"),
		"two savepoints, then back":    in("SAVEPOINT a; ALTER TABLE near.who RENAME TO gone; SAVEPOINT b; CREATE VIEW near.who AS SELECT 'x'::text AS name; ROLLBACK TO b"),
		"released, then back":          in("DROP TABLE near.who; SAVEPOINT a; SAVEPOINT b; CREATE TABLE near.who (name text); RELEASE b; ROLLBACK TO a"),
		"a view in its place, dropped": in("DROP TABLE near.who; CREATE VIEW near.who AS SELECT 'x'::text AS name; DROP VIEW near.who"),
		"a cascade takes the view":     in("DROP TABLE near.who; CREATE TABLE near.base (name text); CREATE VIEW near.who AS SELECT name FROM near.base; DROP TABLE near.base CASCADE"),
		"a cascade takes views of it":  in("DROP TABLE near.who; CREATE TABLE near.base (name text); CREATE VIEW near.mid AS TABLE near.base; CREATE VIEW near.who AS TABLE near.mid; DROP TABLE near.base CASCADE"),
		"a dropped column's view":      in("DROP TABLE near.who; CREATE TABLE near.base (name text, x text); CREATE VIEW near.who AS SELECT x AS name FROM near.base; ALTER TABLE near.base DROP COLUMN x CASCADE"),
		"a type dropped takes a table's column and its view": in("DROP TABLE near.who; CREATE TYPE near.e AS ENUM ('a'); CREATE TABLE near.base (name text, e near.e);" +
			" CREATE VIEW near.who AS SELECT name, e FROM near.base; DROP TYPE near.e CASCADE"),
		"a function dropped takes a view": in("DROP TABLE near.who; CREATE FUNCTION near.one() RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'; CREATE VIEW near.who AS SELECT near.one() AS name;" +
			" DROP FUNCTION near.one() CASCADE"),
		"a materialized view, dropped":     in("DROP TABLE near.who; CREATE MATERIALIZED VIEW near.who AS SELECT 'x'::text AS name; DROP MATERIALIZED VIEW near.who"),
		"a sequence in its place, renamed": in("DROP TABLE near.who; CREATE SEQUENCE near.who; ALTER SEQUENCE near.who RENAME TO s"),
		"an index renamed as a table":      in("CREATE INDEX i ON near.who (name); ALTER TABLE near.who RENAME TO gone; ALTER INDEX near.i RENAME TO gone2"),
		"a serial's table dropped":         in("DROP TABLE near.who; CREATE TABLE near.who (name serial); DROP TABLE near.who"),
		"select into, dropped":             in("DROP TABLE near.who; SELECT 'x'::text AS name INTO near.who; DROP TABLE near.who"),
		"a temporary table on commit":      "BEGIN; SET search_path = far; CREATE TEMP TABLE who (name text) ON COMMIT DROP; COMMIT; SELECT name FROM who",
		"temporary objects discarded":      "SET search_path = far; CREATE TEMP TABLE who (name text); DROP TABLE pg_temp.who; SELECT name FROM who",
		"a temporary view's base goes":     "SET search_path = far; CREATE TEMP TABLE b (name text); CREATE TEMP VIEW who AS TABLE b; DROP TABLE b CASCADE; SELECT name FROM who",
		"the path moves in a savepoint":    "BEGIN; SET LOCAL search_path = far; SAVEPOINT a; SET LOCAL search_path = near; CREATE TABLE near.n (id int); ROLLBACK TO a" + read,
		"the path by set_config":           "BEGIN; SELECT set_config('search_path', 'near, far', true); ALTER TABLE near.who RENAME TO gone" + read,
		"prepared, then dropped":           "BEGIN; SET LOCAL search_path = near, far; PREPARE chained AS SELECT name FROM who; DROP TABLE near.who; EXECUTE chained; ROLLBACK; DEALLOCATE ALL",
		"a function bound late":            "BEGIN; SET LOCAL search_path = near; CREATE FUNCTION near.late() RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM who'; SET LOCAL search_path = far; SELECT near.late(); ROLLBACK",
		"a function bound after a drop":    "BEGIN; SET LOCAL search_path = near, far; CREATE FUNCTION near.late() RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM who'; DROP TABLE near.who; SELECT near.late(); ROLLBACK",
		"a function replaced":              "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'; CREATE OR REPLACE FUNCTION near.f() RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM far.who'; SELECT near.f(); ROLLBACK",
		"an overload that fits better":     "BEGIN; CREATE FUNCTION near.f(numeric) RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'; CREATE FUNCTION near.f(int) RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM far.who'; SELECT near.f(1); ROLLBACK",
		"code in a default":                "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE TABLE near.d (a text DEFAULT near.f()); INSERT INTO near.d DEFAULT VALUES; SELECT a FROM near.d; ROLLBACK",
		"code in a later default":          "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE TABLE near.d (id int, a text); ALTER TABLE near.d ALTER a SET DEFAULT near.f(); INSERT INTO near.d (id) VALUES (1); SELECT a FROM near.d; ROLLBACK",
		"code in an added column":          "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE TABLE near.d (id int); INSERT INTO near.d VALUES (1); ALTER TABLE near.d ADD COLUMN a text DEFAULT near.f(); SELECT a FROM near.d; ROLLBACK",
		"code in a domain's default":       "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE DOMAIN near.dom AS text DEFAULT near.f(); CREATE TABLE near.d (id int, a near.dom); INSERT INTO near.d (id) VALUES (1); SELECT a FROM near.d; ROLLBACK",
		"code in a trigger":                "BEGIN; CREATE FUNCTION near.g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := (SELECT max(name) FROM far.who); RETURN NEW; END'; CREATE TABLE near.d (a text); CREATE TRIGGER g BEFORE INSERT ON near.d FOR EACH ROW EXECUTE FUNCTION near.g(); INSERT INTO near.d VALUES ('x') RETURNING a; ROLLBACK",
		"code in a generated column":       "BEGIN; CREATE FUNCTION near.f(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE TABLE near.d (id int, a text GENERATED ALWAYS AS (near.f(id)) STORED); INSERT INTO near.d VALUES (1) RETURNING a; ROLLBACK",
		"code behind a view":               "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE VIEW near.v AS SELECT near.f() AS a; SELECT a FROM near.v; ROLLBACK",
		"code behind a rule":               "BEGIN; CREATE TABLE near.d (a text); CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE RULE r AS ON INSERT TO near.d DO INSTEAD SELECT near.f(); INSERT INTO near.d VALUES ('x'); ROLLBACK",
		"a view that is replaced":          "BEGIN; CREATE VIEW near.v AS SELECT 'x'::text AS a; CREATE OR REPLACE VIEW near.v AS SELECT max(name) AS a FROM far.who; SELECT a FROM near.v; ROLLBACK",
		"a table that is inherited from":   "BEGIN; CREATE TABLE near.par (name text); ALTER TABLE far.who INHERIT near.par; SELECT name FROM near.par; ROLLBACK",
		"a partition that is attached":     "BEGIN; CREATE TABLE near.par (name text) PARTITION BY LIST (name); ALTER TABLE near.par ATTACH PARTITION far.who DEFAULT; SELECT name FROM near.par; ROLLBACK",
		"a table that is brought":          "BEGIN; ALTER TABLE near.who RENAME TO gone; ALTER TABLE far.who SET SCHEMA near; SELECT name FROM near.who; ROLLBACK",
		"schemas that change places":       "BEGIN; ALTER SCHEMA near RENAME TO n2; ALTER SCHEMA far RENAME TO near; SELECT name FROM near.who; ROLLBACK",
		"an element of a new schema":       "BEGIN; CREATE SCHEMA new CREATE VIEW v AS SELECT name FROM far.who; SELECT name FROM new.v; ROLLBACK",
		"a type of the table's name":       "BEGIN; SET LOCAL search_path = near, far; DROP TABLE near.who; CREATE TYPE near.who AS (name text); SELECT name FROM far.who; ROLLBACK",
		"a composite type in the way":      "BEGIN; SET LOCAL search_path = near, far; DROP TABLE near.who; CREATE TYPE near.who AS (name text); DROP TYPE near.who; SELECT name FROM who; ROLLBACK",
		"like, with what it is made of":    "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE TABLE near.d (id int, a text DEFAULT near.f()); CREATE TABLE near.e (LIKE near.d INCLUDING ALL); INSERT INTO near.e (id) VALUES (1) RETURNING a; ROLLBACK",
		"inherited defaults":               "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE TABLE near.d (id int, a text DEFAULT near.f()); CREATE TABLE near.e () INHERITS (near.d); INSERT INTO near.e (id) VALUES (1) RETURNING a; ROLLBACK",
		"a procedure":                      "CREATE PROCEDURE near.pr(INOUT a text) LANGUAGE plpgsql AS 'BEGIN a := (SELECT max(name) FROM far.who); END'; CALL near.pr(''); DROP PROCEDURE near.pr",
		"a body that is SQL's own":         "BEGIN; CREATE FUNCTION near.f() RETURNS text BEGIN ATOMIC SELECT max(name) FROM far.who; END; SELECT near.f(); ROLLBACK",
		"nested functions":                 "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE FUNCTION near.g() RETURNS text LANGUAGE sql AS 'SELECT near.f()'; SELECT near.g(); ROLLBACK",
		"a function whose callee changes":  "BEGIN; CREATE FUNCTION near.f() RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'; CREATE FUNCTION near.g() RETURNS text LANGUAGE sql AS 'SELECT near.f()'; DROP FUNCTION near.f(); CREATE FUNCTION near.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; SELECT near.g(); ROLLBACK",
		"a column's type changes by code":  "BEGIN; CREATE FUNCTION near.f(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(name) FROM far.who); END'; CREATE TABLE near.d (a text); INSERT INTO near.d VALUES ('x'); ALTER TABLE near.d ALTER a TYPE text USING near.f(a); SELECT a FROM near.d; ROLLBACK",
		"code in a check":                  "BEGIN; CREATE TABLE near.sink (s text); CREATE FUNCTION near.f(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN INSERT INTO near.sink SELECT name FROM far.who; RETURN true; END'; CREATE TABLE near.d (a text); INSERT INTO near.d VALUES ('x'); ALTER TABLE near.d ADD CHECK (near.f(a)); SELECT s FROM near.sink; ROLLBACK",
		"a domain's check":                 "BEGIN; CREATE TABLE near.sink (s text); CREATE FUNCTION near.f(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN INSERT INTO near.sink SELECT name FROM far.who; RETURN true; END'; CREATE DOMAIN near.dom AS text CHECK (near.f(VALUE)); SELECT 'x'::near.dom; SELECT s FROM near.sink; ROLLBACK",
		ruledChain:                         in("DROP TABLE near.who; CREATE TABLE near.who (name text); CREATE RULE \"_RETURN\" AS ON SELECT TO near.who DO INSTEAD SELECT max(name) AS name FROM far.who"),
	}
}

// TestSec_T23_ChainsHideNothing: each message reveals the canary when it is sent to the
// server itself, and nothing through Scopewire, which answers before any of it has run.
func TestSec_T23_ChainsHideNothing(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: contexts, Scopes: chainScopes, Users: []demo.User{
		{Name: "chaim", Scopes: []string{"chained"}, About: "sends several statements at once"},
	}})
	token, err := w.Token("chaim")
	if err != nil {
		t.Fatal(err)
	}
	bare, err := pgconn.Connect(t.Context(), w.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bare.Close(context.Background()) }()
	for name, message := range chains() {
		t.Run(name, func(t *testing.T) {
			if got := walk(t, w.ConnString("chaim")+" password="+token)(message); strings.Contains(got, canary) {
				t.Errorf("through Scopewire: %s", got)
			}
			if name == ruledChain && !(testCase{Until: 15}).servedBy(t, bare) {
				return
			}
			if got := walk(t, w.Postgres.ConnString(demo.Database))(message); !strings.Contains(got, canary) {
				t.Errorf("without Scopewire: %s", got)
			}
		})
	}
}

// servedChains are messages as migration files have them: what they make, they use.
func servedChains() map[string]string {
	in := func(s string) string { return "BEGIN; SET LOCAL search_path = near; " + s + "; ROLLBACK" }
	return map[string]string{
		"a table":              in("CREATE TABLE a (id serial PRIMARY KEY, v text NOT NULL DEFAULT 'x' CHECK (v <> '')); CREATE INDEX a_v ON a (v); INSERT INTO a DEFAULT VALUES; SELECT id, v FROM a"),
		"an enum":              in("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE a (m mood DEFAULT 'ok'); INSERT INTO a VALUES ('sad'), (DEFAULT); SELECT m FROM a ORDER BY m"),
		"a domain":             in("CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TABLE a (n positive); INSERT INTO a VALUES (1); SELECT n + 1 FROM a"),
		"a composite":          in("CREATE TYPE pair AS (a int, b text); CREATE TABLE t (p pair); INSERT INTO t VALUES (ROW(1, 'x')); SELECT (p).b FROM t"),
		"foreign keys":         in("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a_id int REFERENCES a ON DELETE CASCADE); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); DELETE FROM a; SELECT count(*) FROM b"),
		"altered":              in("CREATE TABLE a (id int); ALTER TABLE a ADD COLUMN n int NOT NULL DEFAULT 7, ADD CONSTRAINT a_u UNIQUE (id); ALTER TABLE a RENAME COLUMN n TO m; ALTER TABLE a ALTER m TYPE bigint, ALTER m DROP DEFAULT; INSERT INTO a VALUES (1, 2); SELECT m FROM a"),
		"a view":               in("CREATE TABLE a (id int, v text); CREATE VIEW w AS SELECT id FROM a WHERE v = 'x'; INSERT INTO a VALUES (1, 'x'), (2, 'y'); SELECT id FROM w; CREATE OR REPLACE VIEW w AS SELECT id, v FROM a; SELECT v FROM w ORDER BY v"),
		"a materialized view":  in("CREATE TABLE a (id int); INSERT INTO a VALUES (1); CREATE MATERIALIZED VIEW m AS SELECT id FROM a; CREATE UNIQUE INDEX ON m (id); SELECT id FROM m"),
		"a function of SQL":    in("CREATE TABLE a (id int); INSERT INTO a VALUES (1), (2); CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(id) FROM near.a'; SELECT total()"),
		"partitions":           in("CREATE TABLE a (id int, d date) PARTITION BY RANGE (d); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); INSERT INTO a VALUES (1, '2026-02-01'); SELECT id FROM a1"),
		"inheritance":          in("CREATE TABLE a (id int); CREATE TABLE b (v text) INHERITS (a); INSERT INTO b VALUES (1, 'x'); SELECT id FROM a"),
		"renamed and replaced": in("ALTER TABLE who RENAME TO old; CREATE TABLE who (name text, n int); INSERT INTO who SELECT name, 1 FROM old; DROP TABLE old; SELECT name, n FROM who"),
		"a savepoint":          in("CREATE TABLE a (id int); SAVEPOINT s; DROP TABLE a; CREATE TABLE a (v text); ROLLBACK TO s; INSERT INTO a VALUES (1); SELECT id FROM a"),
		"temporary":            in("CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT name FROM who; UPDATE stage SET name = name || '!'; INSERT INTO who SELECT name FROM stage; SELECT count(*) FROM who"),
		"a sequence":           in("CREATE SEQUENCE s START 5; CREATE TABLE a (id int DEFAULT nextval('near.s')); ALTER SEQUENCE s OWNED BY a.id; INSERT INTO a DEFAULT VALUES; SELECT id FROM a; SELECT currval('near.s')"),
		"comments and drops":   in("CREATE TABLE a (id int); COMMENT ON TABLE a IS 'x'; COMMENT ON COLUMN a.id IS 'y'; CREATE VIEW v AS TABLE a; DROP VIEW v; DROP TABLE a; DROP TABLE IF EXISTS a, b"),
	}
}

// TestChainsAreServed: who may define in a schema hears of such a message what the
// server says of it.
func TestChainsAreServed(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: contexts, Scopes: chainScopes, Users: []demo.User{
		{Name: "chaim", Scopes: []string{"chained"}, About: "sends several statements at once"},
	}})
	token, err := w.Token("chaim")
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range servedChains() {
		t.Run(name, func(t *testing.T) {
			want := walk(t, w.Postgres.ConnString(demo.Database))(message)
			if diff := cmp.Diff(want, walk(t, w.ConnString("chaim")+" password="+token)(message)); diff != "" {
				t.Errorf("PostgreSQL (-) and Scopewire (+) of %s:\n%s", message, diff)
			}
		})
	}
}
