-- Objects whose every field of the model is compared with what is expected.
CREATE SCHEMA f;
SET search_path = f;

CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN word AS varchar(12) DEFAULT 'none' NOT NULL CHECK (VALUE <> '');
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = spans);

CREATE FUNCTION plain(a int, INOUT b text DEFAULT 'x, y', c int DEFAULT 1 + 1, OUT d int) RETURNS record
	LANGUAGE sql STABLE STRICT SET work_mem = '2MB' SET search_path = f, pg_temp AS 'SELECT $2, $1';
CREATE FUNCTION plus(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE TABLE public.t (id int);
CREATE FUNCTION standard(a int) RETURNS int RETURN plus(a);
CREATE FUNCTION rows(VARIADIC r int[]) RETURNS TABLE (n int) LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN; END';
CREATE FUNCTION native(int) RETURNS int LANGUAGE internal SUPPORT generate_series_int4_support AS 'int4abs';
CREATE FUNCTION gist(internal) RETURNS internal LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION cmp(pair, pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
CREATE FUNCTION lt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR <<< (LEFTARG = pair, RIGHTARG = pair, FUNCTION = lt);
CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <<<, FUNCTION 1 cmp(pair, pair);
CREATE TYPE pairs AS RANGE (subtype = pair, subtype_opclass = pair_ops, multirange_type_name = multipairs);
CREATE TABLE by_pair (p pair) PARTITION BY RANGE (p);
CREATE TABLE by_number (n int) PARTITION BY LIST (n);
CREATE TABLE by_number_rest PARTITION OF by_number DEFAULT;
CREATE AGGREGATE last(ORDER BY int) (SFUNC = int4larger, STYPE = int, FINALFUNC = native);
CREATE AGGREGATE most(int) (SFUNC = int4larger, STYPE = int, SORTOP = OPERATOR(pg_catalog.>));
CREATE COLLATION sorting FROM "C";

CREATE TABLE t (
	id serial PRIMARY KEY,
	v varchar(7),
	w word,
	n numeric(8, 2) GENERATED ALWAYS AS (1.5) STORED,
	CHECK (plus(id) > 0)
);
CREATE TABLE typed OF pair;
CREATE STATISTICS st ON (plus(id)), (v || 'x') FROM t;
CREATE TRIGGER b AFTER UPDATE OF v ON t FOR EACH ROW WHEN (OLD.v IS DISTINCT FROM NEW.v) EXECUTE FUNCTION fire();
CREATE TRIGGER a BEFORE INSERT OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION fire();
CREATE TABLE late (id int);
CREATE CONSTRAINT TRIGGER late_id_key AFTER INSERT ON late FOR EACH ROW EXECUTE FUNCTION fire();
ALTER TABLE t ENABLE ALWAYS TRIGGER a;
CREATE RULE r AS ON UPDATE TO t WHERE NEW.id = plus(1) DO INSTEAD DELETE FROM t WHERE id = OLD.id;
ALTER TABLE t ENABLE REPLICA RULE r;
CREATE ROLE NAME_a;
CREATE ROLE NAME_b LOGIN NOINHERIT IN ROLE NAME_a, pg_monitor;
CREATE ROLE NAME_c LOGIN;
ALTER ROLE NAME_a SET search_path = f, "Mixed";
ALTER ROLE NAME_b SET search_path = public;
ALTER ROLE NAME_b IN DATABASE NAME SET search_path = '';
CREATE POLICY p ON t AS RESTRICTIVE FOR UPDATE TO NAME_b, NAME_a USING (plus(id) > 0) WITH CHECK (v IN (SELECT w FROM f.t AS u));
CREATE POLICY q ON t USING (true);
CREATE FOREIGN DATA WRAPPER fields;
CREATE SERVER "Far away" FOREIGN DATA WRAPPER fields;
CREATE PUBLICATION told;
CREATE FOREIGN TABLE far (id int) SERVER "Far away";
CREATE VIEW v WITH (security_barrier = on) AS SELECT t.*, plus(t.id) AS more FROM t JOIN public.t AS o USING (id) WHERE ROW(1, '')::pair <<< ROW(2, '')::pair;
CREATE VIEW checked WITH (check_option = local) AS SELECT id FROM t;
ALTER EXTENSION plpgsql ADD DOMAIN word;
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watched ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION watch();
ALTER EVENT TRIGGER watched DISABLE;
