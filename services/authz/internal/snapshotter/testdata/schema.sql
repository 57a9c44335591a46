-- One object of every kind, with everything that can hang off it.
CREATE SCHEMA app;
SET search_path = app;

CREATE TYPE mood AS ENUM ('calm', 'angry');
CREATE DOMAIN code AS text DEFAULT 'x' CHECK (length(VALUE) < 9);
CREATE TYPE pair AS (a int, b int);
CREATE TYPE span AS RANGE (subtype = int, multirange_type_name = spans);

CREATE FUNCTION good(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE FUNCTION same(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE FUNCTION total(int, VARIADIC int[]) RETURNS SETOF int LANGUAGE sql STABLE SECURITY DEFINER LEAKPROOF AS 'SELECT 1';
CREATE FUNCTION opt(int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION to_pair(text) RETURNS pair LANGUAGE sql AS 'SELECT ROW(1, 2)::app.pair';
CREATE PROCEDURE work(int) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE biggest(int) (SFUNC = int4larger, STYPE = int);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same, COMMUTATOR = ===);
CREATE OPERATOR CLASS same_ops FOR TYPE int USING hash AS OPERATOR 1 ===, FUNCTION 1 hashint4(int);
CREATE CAST (text AS pair) WITH FUNCTION to_pair(text) AS ASSIGNMENT;

CREATE TABLE parent (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	gone int,
	mood mood DEFAULT 'calm',
	code code,
	twice int GENERATED ALWAYS AS (id * 2) STORED,
	during int4range,
	CHECK (good(id)),
	EXCLUDE USING hash (id same_ops WITH ===)
);
ALTER TABLE parent DROP COLUMN gone;
CREATE INDEX parent_good ON parent (good(id)) WHERE id > 0;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON parent USING (id > 0);
CREATE TRIGGER watch BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION fire();
CREATE RULE quiet AS ON DELETE TO parent DO ALSO NOTIFY quiet;
CREATE TABLE child (extra text) INHERITS (parent);

CREATE TABLE part (
	id int PRIMARY KEY,
	parent int REFERENCES parent ON DELETE CASCADE
) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);

CREATE TABLE opclass (id int);
CREATE INDEX opclass_id ON opclass USING hash (id same_ops);
CREATE TABLE "Mixed Case" ("A b" int);
CREATE VIEW plain AS SELECT id FROM parent;
CREATE VIEW invoker AS SELECT id FROM parent;
DO $$ BEGIN
	IF current_setting('server_version_num')::int >= 150000 THEN
		ALTER VIEW app.invoker SET (security_invoker = on);
	END IF;
END $$;
CREATE MATERIALIZED VIEW stored AS SELECT 1 AS one;
CREATE SEQUENCE counter;
CREATE FOREIGN DATA WRAPPER none;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER none;
CREATE FOREIGN TABLE remote (id int) SERVER elsewhere;
