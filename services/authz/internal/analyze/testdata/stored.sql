-- Texts of every kind that a catalog stores, over overloads, casts, operators and row
-- types of users. Every view of the server's own stands as a user's view, and every
-- extension that there is brings its own texts.
DO $$ DECLARE x text; BEGIN
	FOR x IN SELECT name FROM pg_catalog.pg_available_extensions ORDER BY name LOOP
		BEGIN
			EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I CASCADE', x);
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
END $$;
CREATE SCHEMA copies;
DO $$ DECLARE v record; BEGIN
	FOR v IN SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'v' AND n.nspname IN ('pg_catalog', 'information_schema') LOOP
		BEGIN
			EXECUTE format('CREATE VIEW copies.%I AS %s', left(v.nspname, 4) || v.relname, pg_catalog.pg_get_viewdef(v.oid));
		EXCEPTION WHEN invalid_table_definition THEN NULL; -- A column of type anyarray.
		END;
	END LOOP;
END $$;

CREATE SCHEMA s;
SET search_path = s, public;
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('calm', 'angry');
CREATE TYPE span AS RANGE (subtype = int);
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION f(numeric) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION f(text, int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION f(VARIADIC anyarray) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION g(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION p(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a';
CREATE FUNCTION same(x anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION pairs() RETURNS SETOF pair LANGUAGE sql STABLE AS 'SELECT 1, NULL::text';
CREATE FUNCTION cols(OUT x int, OUT y mood) LANGUAGE sql AS 'SELECT 1, NULL::s.mood';
CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1, NULL)::s.pair';
CREATE FUNCTION from_pair(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a';
CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT;
CREATE CAST (pair AS int) WITH FUNCTION from_pair(pair) AS IMPLICIT;
CREATE FUNCTION plus(pair, pair) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION minus(pair) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE OPERATOR + (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plus);
CREATE OPERATOR - (RIGHTARG = pair, FUNCTION = minus);
CREATE FUNCTION lt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.a < $2.a';
CREATE FUNCTION eq(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.a = $2.a';
CREATE FUNCTION gt(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1.a > $2.a';
CREATE FUNCTION cmp(pair, pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a - $2.a';
CREATE OPERATOR <<< (LEFTARG = pair, RIGHTARG = pair, FUNCTION = lt);
CREATE OPERATOR = (LEFTARG = pair, RIGHTARG = pair, FUNCTION = eq, COMMUTATOR = =);
CREATE OPERATOR >>> (LEFTARG = pair, RIGHTARG = pair, FUNCTION = gt, COMMUTATOR = <<<);
CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <<<, OPERATOR 3 =, OPERATOR 5 >>>, FUNCTION 1 cmp(pair, pair);
CREATE AGGREGATE most(int) (SFUNC = int4larger, STYPE = int);
CREATE AGGREGATE listed(ORDER BY int) (SFUNC = int4larger, STYPE = int);
CREATE COLLATION rough FROM "C";
CREATE DOMAIN small AS int DEFAULT s.f(3) CHECK (VALUE < s.f(100)) CHECK (VALUE + 1 > 0);
CREATE DOMAIN word AS text CHECK (VALUE COLLATE s.rough > 'a');

CREATE TABLE t (
	id serial PRIMARY KEY,
	n numeric DEFAULT s.f(1.5),
	w word DEFAULT 'b' || lower('X'),
	v varchar(7),
	k small,
	q pair DEFAULT 5::pair,
	m mood DEFAULT 'calm',
	r span,
	tags text[],
	made int GENERATED ALWAYS AS (s.f(id) + s.f(n)) STORED,
	CHECK (s.f(id) > 0),
	CHECK (s.f(v::text) > length(v)),
	CHECK (q + q IS NOT NULL AND (-q).a > 1),
	CHECK (('s.t_id_seq'::regclass)::oid > 0),
	EXCLUDE USING btree (q WITH =)
);
CREATE TABLE o (id int, q pair);
CREATE INDEX ON t (s.f(id), (q + q)) WHERE s.f(n) > 0 AND m = 'calm';
CREATE INDEX ON t (lower(v)) WHERE s.f(v, 2) = 1;
CREATE UNIQUE INDEX ON t USING btree (q pair_ops);
CREATE STATISTICS t_stat ON s.f(id), (n + s.f(id)) FROM t;
CREATE TABLE parts (id int, q pair) PARTITION BY RANGE (s.f(id), q);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (1, ROW(1, 'a')::pair) TO (9, ROW(1, 'a')::pair) PARTITION BY LIST ((s.f(id)));
CREATE INDEX ON parts ((s.f(id) + 1));
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON t USING (s.f(id) > 1 AND id IN (SELECT o.id FROM s.o WHERE o.q = t.q)) WITH CHECK (s.f(n) > 1);
CREATE POLICY two ON t FOR SELECT USING (EXISTS (SELECT FROM s.t AS u WHERE u.id = t.id + s.f(u.n)));
CREATE POLICY three ON t FOR INSERT WITH CHECK (s.f(id) IS NULL);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER a BEFORE UPDATE OF q, id ON t FOR EACH ROW WHEN (s.f(OLD.id) IS DISTINCT FROM s.f(NEW.n) AND OLD.q <<< NEW.q) EXECUTE FUNCTION fire();
CREATE TRIGGER b AFTER INSERT ON t FOR EACH ROW WHEN (NEW.* IS NOT NULL) EXECUTE FUNCTION fire();

CREATE VIEW v1 AS SELECT s.f(id) AS a, s.f(n) AS b, s.f(v) AS c, s.f('x', 3) AS d, s.f(1, 2, 3) AS e, f(VARIADIC tags) AS g FROM t;
CREATE VIEW v2 AS SELECT t.*, (q).a AS qa, (q).b AS qb, q + q AS plus, -q AS minus, q::int AS cast1, id::pair AS cast2, g(q) AS implicit FROM t;
CREATE VIEW v3 AS SELECT DISTINCT q FROM t UNION SELECT q FROM o ORDER BY 1;
CREATE VIEW v4 AS SELECT q, count(*), most(id), s.listed() WITHIN GROUP (ORDER BY k) AS l FROM t GROUP BY q HAVING most(id) > 1;
CREATE VIEW v5 AS SELECT rank() OVER w, sum(id) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM t WINDOW w AS (PARTITION BY q ORDER BY n);
CREATE VIEW v6 AS SELECT p.a, p.b, c.x, c.y, x.a AS xa, ordinality FROM pairs() AS p, cols() AS c, ROWS FROM (s.pairs(), generate_series(1, 2)) WITH ORDINALITY AS x;
CREATE VIEW v7 AS WITH RECURSIVE r AS (SELECT id, q FROM t UNION ALL SELECT r.id + f(r.id), r.q FROM r JOIN o USING (id)) SELECT * FROM r;
CREATE VIEW v8 AS SELECT id, q, t.n, z.zq FROM t JOIN o USING (id, q) LEFT JOIN parts AS z (zid, zq) ON z.zq = t.q;
CREATE VIEW v9 AS SELECT ROW(id, v)::pair AS r, ARRAY[q, q] AS arr, ((ARRAY[q, q])[1]).a AS first, (same(q)).b AS s, CASE q WHEN 1::pair THEN 1 END AS c, NULLIF(q, q) AS nf,
	COALESCE(q, id::pair) AS co, q IN (SELECT q FROM o) AS i, q = ANY (ARRAY[q]) AS an, (id, n) < (1, 2) AS rc FROM t;
CREATE VIEW v10 AS SELECT (SELECT p(o.q) FROM o LIMIT 1) AS sub, ARRAY(SELECT o FROM o) AS rows, t AS whole, nextval('s.t_id_seq') AS nx FROM t TABLESAMPLE system (f(3));
CREATE VIEW v11 AS SELECT v COLLATE rough AS c, w || 'x' AS x, k + 1 AS y, 's.t'::regclass AS rel, 's.mood'::regtype AS ty, r && span(1, 2) AS ov, 5::small AS sm, v::varchar(3) AS sh,
	'(1,x)'::pair AS lit FROM t ORDER BY q USING <<<;
CREATE VIEW v12 AS SELECT * FROM v2 WHERE v2.qa > (SELECT max(a) FROM v1);
CREATE VIEW v13 AS SELECT xmlelement(name x, id) AS x, xmlforest(v, q) AS y, json_build_object('q', q) AS j, to_jsonb(t.*) AS b FROM t;
CREATE VIEW v14 AS SELECT o.q, count(*) FILTER (WHERE f(o.id) > 1) AS c, grouping(o.q) AS g, array_agg(o.q ORDER BY o.q DESC) AS ag FROM o GROUP BY ROLLUP (o.q, f(o.id));
CREATE VIEW v15 AS SELECT x.id FROM (VALUES (1, 2::pair), (f(2), NULL)) AS x (id, q), LATERAL (SELECT f(x.id) AS y) AS l;
CREATE VIEW v16 AS SELECT 1 AS one WHERE 1 = f(1.0) EXCEPT SELECT f(3);
CREATE VIEW v17 AS SELECT q FROM o WHERE q = ROW(1, 'a')::pair AND q IS NOT DISTINCT FROM 3::pair AND (q).a BETWEEN 1 AND f(3) AND (q).b LIKE 'a%';
CREATE MATERIALIZED VIEW v18 AS SELECT f(id) AS f FROM o;
CREATE VIEW v19 AS SELECT xmltable.* FROM o, xmltable('/a' PASSING (NULL::xml) COLUMNS n int PATH 'n' DEFAULT f(1), s mood PATH 's');

CREATE FUNCTION b1(a int, b numeric DEFAULT s.f(1.5), c pair DEFAULT 5::pair) RETURNS int RETURN s.f(a) + s.f(b);
CREATE FUNCTION b2(x pair) RETURNS SETOF t BEGIN ATOMIC
	INSERT INTO t (q, n) VALUES (x, f(2)) ON CONFLICT (id) DO UPDATE SET q = excluded.q WHERE t.q <<< excluded.q RETURNING id;
	UPDATE t SET q = t.q + x, (k, n) = (SELECT f(1), 2) FROM o WHERE o.q = t.q;
	DELETE FROM t USING o WHERE o.id = f(t.n);
	SELECT * FROM t WHERE q = x ORDER BY q;
END;
CREATE FUNCTION b3() RETURNS pair RETURN 5;
CREATE FUNCTION b4(a int DEFAULT s.f(1), b int DEFAULT s.f(1.5)) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN a; END';
CREATE PROCEDURE b5(a int) BEGIN ATOMIC SELECT s.f(a); INSERT INTO s.o VALUES (a, a::s.pair); END;
