// Package chains writes random statements that build on each other, for tests: tables,
// views and functions that are made, renamed, moved, hidden by others, dropped and used
// under a few names, so that what a statement means hangs on those before it.
//
// Statements are written without looking at a catalog. Whoever runs them leaves out those
// that fail. The package is pure.
package chains

import (
	"math/rand/v2"
	"strings"
)

// Schema makes the objects that chains begin with: the same names in three schemas, of
// which vault is the one that nothing may be defined in.
const Schema = `
CREATE SCHEMA app;
CREATE SCHEMA vault;
CREATE TYPE app.feel AS ENUM ('sad', 'ok');
CREATE DOMAIN public.pos AS int CHECK (VALUE > 0);
CREATE TABLE vault.a (x int, y text);
CREATE TABLE vault.b (x int PRIMARY KEY, y text, z numeric);
CREATE VIEW vault.v AS SELECT x, y FROM vault.a;
CREATE FUNCTION vault.f(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT x FROM vault.a WHERE x = $1';
CREATE TABLE app.a (x int, y text);
CREATE TABLE public.a (x int, y text, z int);
CREATE TABLE public.b (x int PRIMARY KEY, y text DEFAULT 'b', z int);
INSERT INTO vault.a VALUES (1, 'secret');
INSERT INTO vault.b VALUES (1, 'secret', 2);
INSERT INTO app.a VALUES (1, 'app');
INSERT INTO public.a VALUES (1, 'public', 3);
INSERT INTO public.b VALUES (1, 'public', 3);
`

// Schemas are those of Schema that things may be defined in.
var Schemas = []string{"public", "app"}

// words stand for what is written in braces: one of them, at random.
var words = map[string][]string{
	// n is the name of a relation, with a schema or without; u without.
	"n": {"a", "b", "c", "d", "v", "a", "b", "c", "public.a", "app.a", "app.b", "app.c", "public.c", "pg_temp.a", "app.v"},
	"u": {"a", "b", "c", "d", "v"},
	// r is a relation to read: also one of the vault.
	"r": {"a", "b", "c", "d", "v", "app.a", "app.c", "public.a", "vault.a", "vault.b", "vault.v", "pg_temp.a"},
	"s": {"public", "app", "app", "pg_temp"},
	"h": {"public", "app", "app, public", "public, app", "pg_temp, public", "public, pg_temp", "app, pg_temp", "vault, public", "public, vault", "app, vault"},
	"c": {"x", "y", "z", "w"},
	"t": {"int", "text", "numeric", "app.feel", "pos", "e", "int[]", "app.e"},
	"f": {"f", "g", "app.f", "app.g", "public.f"},
	"o": {"===", "app.===", "public.==="},
	"p": {"p", "q"},
	"e": {"e", "app.e", "public.e"},
	"q": {"SELECT * FROM {r}", "SELECT x FROM {r}", "SELECT x, y FROM {r}", "SELECT {c} FROM {r}", "SELECT count(*) FROM {r}", "TABLE {r}",
		"SELECT l.x FROM {r} l JOIN {r} r ON l.x = r.x", "SELECT x FROM {r} WHERE y IN (SELECT y FROM {r})", "SELECT x FROM {r} UNION ALL SELECT x FROM {r}",
		"SELECT {f}(1) AS x", "SELECT {f}(x) AS x FROM {r}", "WITH q AS (SELECT x FROM {r}) SELECT * FROM q", "SELECT a.* FROM {r} a", "SELECT a FROM {r} a"},
}

// statements are what chains are made of; what is first to last comes as often as it
// stands there.
var statements = []string{
	"CREATE TABLE {n} (x int, y text)",
	"CREATE TABLE {n} (x int PRIMARY KEY, y text, z {t})",
	"CREATE TABLE {n} (x serial, y text DEFAULT 'd', w int CHECK (w > 0), UNIQUE (y))",
	"CREATE TABLE {n} (x int REFERENCES {n}, y text)",
	"CREATE TABLE {n} (LIKE {r})",
	"CREATE TABLE {n} (z int) INHERITS ({n})",
	"CREATE TABLE {n} AS {q}",
	"CREATE TEMP TABLE {u} (x int, y text)",
	"CREATE TEMP TABLE {u} AS {q}",
	"CREATE VIEW {n} AS {q}",
	"CREATE VIEW {n} AS {q}",
	"CREATE TEMP VIEW {u} AS {q}",
	"CREATE OR REPLACE VIEW {n} AS {q}",
	"CREATE OR REPLACE VIEW {n} WITH (security_invoker) AS {q}",
	"CREATE MATERIALIZED VIEW {n} AS {q}",
	"CREATE FUNCTION {f}(i int) RETURNS int LANGUAGE sql AS 'SELECT x FROM {r} LIMIT 1'",
	"CREATE OR REPLACE FUNCTION {f}(i int) RETURNS int LANGUAGE sql AS 'SELECT x FROM {r} WHERE x = i'",
	"CREATE OR REPLACE FUNCTION {f}(i int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT x FROM {r} WHERE x = i'",
	"CREATE FUNCTION {f}(i int) RETURNS int RETURN (SELECT max(x) FROM {r})",
	"CREATE FUNCTION {f}(i text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
	"CREATE TYPE {e} AS ENUM ('i', 'j')",
	"CREATE TYPE {e} AS (x int, y text)",
	"CREATE DOMAIN {e} AS int CHECK (VALUE > 0)",
	"CREATE INDEX ON {n} (x)",
	"CREATE INDEX ON {n} ({f}(x))",
	"CREATE SCHEMA more",
	"CREATE SEQUENCE {n}",
	"ALTER TABLE {n} RENAME TO {u}",
	"ALTER TABLE {n} RENAME TO {u}",
	"ALTER VIEW {n} RENAME TO {u}",
	"ALTER TABLE {n} SET SCHEMA {s}",
	"ALTER VIEW {n} SET SCHEMA {s}",
	"ALTER TABLE {n} RENAME COLUMN {c} TO {c}",
	"ALTER TABLE {n} ADD COLUMN {c} {t}",
	"ALTER TABLE {n} ADD COLUMN {c} int DEFAULT {f}(1)",
	"ALTER TABLE {n} DROP COLUMN {c}",
	"ALTER TABLE {n} ADD CHECK (x > 0)",
	"ALTER TABLE {n} ADD UNIQUE (x)",
	"ALTER TABLE {n} ADD FOREIGN KEY (x) REFERENCES {n}",
	"ALTER TABLE {n} ALTER COLUMN {c} SET DEFAULT 'k'",
	"ALTER TABLE {n} ENABLE ROW LEVEL SECURITY",
	"ALTER FUNCTION {f}(int) RENAME TO g",
	"ALTER FUNCTION {f}(int) SET SCHEMA {s}",
	"ALTER FUNCTION {f}(int) SECURITY DEFINER",
	"ALTER TYPE {e} RENAME TO e",
	"ALTER TYPE {e} SET SCHEMA {s}",
	"CREATE RULE r AS ON INSERT TO {n} DO INSTEAD {q}",
	"CREATE RULE r AS ON UPDATE TO {n} DO ALSO INSERT INTO {n} (x) VALUES (NEW.x)",
	"CREATE POLICY p ON {n} USING (x IN (SELECT x FROM {r}))",
	"DROP TABLE {n}",
	"DROP TABLE IF EXISTS {n}",
	"DROP VIEW {n}",
	"DROP TABLE {n} CASCADE",
	"DROP FUNCTION {f}(int)",
	"DROP TYPE {e}",
	"SET search_path = {h}",
	"SET search_path = {h}",
	"SET LOCAL search_path = {h}",
	"SAVEPOINT s",
	"ROLLBACK TO s",
	"RELEASE s",
	"PREPARE {p} AS {q}",
	"EXECUTE {p}",
	"DEALLOCATE {p}",
	"DECLARE {p} CURSOR FOR {q}",
	"FETCH ALL FROM {p}",
	"CLOSE {p}",
	"{q}", "{q}", "{q}", "{q}", "{q}", "{q}",
	"INSERT INTO {n} (x) VALUES (7)",
	"INSERT INTO {n} {q}",
	"INSERT INTO {n} VALUES (8, 'y') RETURNING *",
	"UPDATE {n} SET y = 'u' WHERE x = 1",
	"UPDATE {n} SET x = o.x FROM {r} o",
	"DELETE FROM {n} WHERE x IN (SELECT x FROM {r})",
	"TRUNCATE {n}",
	"EXPLAIN {q}",
	"LOCK TABLE {n}",
	"COMMENT ON TABLE {n} IS 'c'",
	"ANALYZE {n}",
	"COPY {r} TO STDOUT",
	"COPY ({q}) TO STDOUT",
	"MERGE INTO {n} m USING {r} s ON m.x = s.x WHEN MATCHED THEN UPDATE SET y = s.y WHEN NOT MATCHED THEN INSERT (x) VALUES (s.x)",
	"INSERT INTO {n} (x) VALUES (1) ON CONFLICT (x) DO UPDATE SET y = 'k'",
	"SELECT x FROM {n} FOR UPDATE",
	"REFRESH MATERIALIZED VIEW {n}",
	"CREATE TABLE {n} (x int, y text) PARTITION BY LIST (x)",
	"CREATE TABLE {n} PARTITION OF {n} DEFAULT",
	"ALTER TABLE {n} ATTACH PARTITION {n} FOR VALUES IN (1, 7)",
	"ALTER TABLE {n} INHERIT {n}",
	"ALTER TABLE {n} NO INHERIT {n}",
	"ALTER VIEW {n} SET (security_invoker = true)",
	"ALTER VIEW {n} RESET (security_invoker)",
	"ALTER VIEW {n} ALTER COLUMN x SET DEFAULT {f}(1)",
	"ALTER TABLE {n} ALTER COLUMN x SET DEFAULT {f}(1)",
	"ALTER TABLE {n} ALTER COLUMN {c} TYPE {t} USING NULL",
	"ALTER TABLE {n} ADD CHECK ({f}(x) > 0)",
	"ALTER TABLE {n} DROP CONSTRAINT a_x_check",
	"ALTER TABLE {n} OWNER TO CURRENT_USER",
	"CREATE SCHEMA more CREATE TABLE a (x int, y text) CREATE VIEW v AS SELECT x FROM a",
	"ALTER TABLE {n} SET SCHEMA more",
	"SET search_path = more, {h}",
	"DROP SCHEMA more CASCADE",
	"ALTER DOMAIN pos ADD CHECK ({f}(VALUE) > 0)",
	"CREATE STATISTICS st ON x, y FROM {n}",
	"SELECT '{r}'::regclass",
	"SELECT nextval('{n}')",
	"CREATE FUNCTION {f}(i bigint) RETURNS SETOF {r} LANGUAGE sql AS 'SELECT * FROM {r}'",
	"SELECT * FROM {f}(1::bigint)",
	"CREATE FUNCTION {f}(i {r}) RETURNS text LANGUAGE sql AS 'SELECT i.y'",
	"SELECT {f}(l) FROM {r} l",
	"CREATE FUNCTION {f}(i int, j int DEFAULT {f}(2)) RETURNS int LANGUAGE sql AS 'SELECT j'",
	"CREATE PROCEDURE {f}(i int) LANGUAGE sql AS 'DELETE FROM {n} WHERE x = i'",
	"CALL {f}(1)",
	"CREATE RULE \"_RETURN\" AS ON SELECT TO {n} DO INSTEAD SELECT * FROM {r}",
	"ALTER INDEX {n} RENAME TO {u}",
	"DROP INDEX {n}",
	"DROP RULE r ON {n}",
	"ALTER RULE r ON {n} RENAME TO r2",
	"CREATE OPERATOR {o} (leftarg = int, rightarg = int, function = {f}2)",
	"CREATE FUNCTION {f}2(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + max(x) FROM {r}'",
	"SELECT x OPERATOR({o}) 2 FROM {r}",
	"SELECT x === 2 FROM {r}",
	"DROP OPERATOR {o} (int, int)",
	"CREATE AGGREGATE {f}sum (int) (sfunc = {f}2, stype = int, initcond = '0')",
	"SELECT {f}sum(x) FROM {r}",
	"CREATE CAST (int AS {e}) WITH FUNCTION {f}(int)",
	"CREATE TABLE {n} (x int, y text, EXCLUDE USING btree (x WITH =))",
	"ALTER TABLE {n} ADD EXCLUDE USING btree (x WITH =)",
	"ALTER SCHEMA more RENAME TO less",
	"SELECT * FROM less.a",
	"DROP SCHEMA less CASCADE",
	"DROP TYPE {e} CASCADE",
	"DROP FUNCTION {f}(int) CASCADE",
	"DROP VIEW {n} CASCADE",
	"RESET search_path",
	"SET search_path = DEFAULT",
	"CREATE TABLE {n} (LIKE {r} INCLUDING INDEXES)",
	"CREATE TABLE {n} (LIKE {r} INCLUDING ALL)",
	"CREATE TABLE {n} (x int PRIMARY KEY, y text) PARTITION BY LIST (x)",
	"CREATE TABLE {n} (x int, y text) PARTITION BY LIST (({f}(x)))",
	"CREATE TABLE {n} PARTITION OF {n} FOR VALUES IN (1, 7)",
	"ALTER TABLE {n} DETACH PARTITION {n}",
}

// Statement writes one.
func Statement(r *rand.Rand) string { return fill(r, statements[r.IntN(len(statements))]) }

// fill puts words in the place of what is in braces, and in those again.
func fill(r *rand.Rand, text string) string {
	for {
		before, rest, found := strings.Cut(text, "{")
		if !found {
			return text
		}
		of, after, _ := strings.Cut(rest, "}")
		choice := words[of]
		text = before + choice[r.IntN(len(choice))] + after
	}
}
