-- Types, functions and operators that make resolution hard.
CREATE SCHEMA before;
CREATE SCHEMA after;

CREATE DOMAIN d_int AS int CHECK (VALUE IS NULL OR VALUE <> 7);
CREATE DOMAIN d_int2 AS d_int CHECK (VALUE IS NULL OR VALUE <> 8);
CREATE DOMAIN d_text AS text;
CREATE DOMAIN d_varchar AS varchar(9);
CREATE DOMAIN d_num AS numeric(9, 2);
CREATE DOMAIN d_array AS int[];
CREATE DOMAIN d_range AS int4range;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN d_colour AS colour;
CREATE TYPE size AS ENUM ('s', 'l');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE pair2 AS (a int, b text);
CREATE DOMAIN d_pair AS pair;
CREATE TABLE parent (id int, name text);
CREATE TABLE child (extra numeric) INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
CREATE TABLE typed OF pair;
CREATE TYPE textrange AS RANGE (subtype = text);
CREATE TYPE money_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE "Mixed Case" AS (x int);
CREATE TYPE "select" AS ENUM ('x');
CREATE TYPE before.text AS ENUM ('not text');
CREATE TYPE before.colour AS ENUM ('other');
CREATE TYPE before."date" AS (y int);
CREATE DOMAIN after.d_after AS int;
CREATE TYPE shell;

-- Casts of every context and method.
CREATE TYPE euro AS (cents int);
CREATE FUNCTION euro(int) RETURNS euro LANGUAGE sql AS 'SELECT ROW($1)::euro';
CREATE FUNCTION cents(euro) RETURNS int LANGUAGE sql AS 'SELECT $1.cents';
CREATE FUNCTION to_colour(int) RETURNS colour LANGUAGE sql AS $$SELECT 'red'::colour$$;
CREATE FUNCTION to_bool(colour) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE CAST (int AS euro) WITH FUNCTION euro(int) AS IMPLICIT;
CREATE CAST (euro AS int) WITH FUNCTION cents(euro) AS ASSIGNMENT;
CREATE CAST (int AS colour) WITH FUNCTION to_colour(int);
CREATE CAST (colour AS bool) WITH FUNCTION to_bool(colour) AS IMPLICIT;
CREATE FUNCTION pair2(pair) RETURNS pair2 LANGUAGE sql AS 'SELECT ROW($1.a, $1.b)::pair2';
CREATE CAST (pair AS pair2) WITH FUNCTION pair2(pair) AS IMPLICIT;
CREATE CAST (size AS text) WITH INOUT AS IMPLICIT;
CREATE CAST (text AS size) WITH INOUT AS ASSIGNMENT;
CREATE CAST (float8 AS colour) WITH INOUT;
CREATE CAST (pair AS euro) WITH INOUT AS ASSIGNMENT;

-- Overloads.
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS $$SELECT ''$$;
CREATE FUNCTION f(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 1.0';
CREATE FUNCTION f(d_int) RETURNS d_int LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION f(colour) RETURNS colour LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION f(parent) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(int8, int8) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(anyelement, anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION before.f(int) RETURNS text LANGUAGE sql AS $$SELECT ''::pg_catalog.text$$;
CREATE FUNCTION before.f(date) RETURNS pg_catalog.text LANGUAGE sql AS $$SELECT ''::pg_catalog.text$$;
CREATE FUNCTION after.f(int) RETURNS text LANGUAGE sql AS $$SELECT ''$$;
CREATE FUNCTION after.f(int, VARIADIC int[]) RETURNS text LANGUAGE sql AS $$SELECT ''$$;
CREATE FUNCTION before.lower(varchar) RETURNS pg_catalog.text LANGUAGE sql AS $$SELECT ''::pg_catalog.text$$;
CREATE FUNCTION before.abs(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION before.length(anyelement) RETURNS int LANGUAGE sql AS 'SELECT 1';

CREATE FUNCTION v(VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION v(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION v(text, VARIADIC text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION v(numeric, VARIADIC numeric[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION va(VARIADIC anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT $1[1]';
CREATE FUNCTION vc(VARIADIC anycompatiblearray) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1[1]';
CREATE FUNCTION vx(int, VARIADIC "any") RETURNS int LANGUAGE internal AS 'pg_num_nulls';
CREATE FUNCTION vd(VARIADIC d_int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION after.v(VARIADIC int[]) RETURNS text LANGUAGE sql AS $$SELECT ''$$;

CREATE FUNCTION d(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION d(a text, b text DEFAULT '', c text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION d(a date) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION d(a date, b int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION n(a int, b text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION n(b text, a int) RETURNS text LANGUAGE sql AS $$SELECT ''$$;
CREATE FUNCTION n(a int, b text, c numeric DEFAULT 1, d d_int DEFAULT 2) RETURNS numeric LANGUAGE sql AS 'SELECT 1.0';
CREATE FUNCTION n(b int, a text, c int DEFAULT 1) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION n(a int, VARIADIC b int[]) RETURNS date LANGUAGE sql AS $$SELECT '2000-01-01'::date$$;
CREATE FUNCTION n(x anyelement, y anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION o(INOUT a int, b text DEFAULT 'b', OUT c text) LANGUAGE sql AS $$SELECT 1, ''$$;
CREATE FUNCTION o1(a int, OUT result text) LANGUAGE sql AS $$SELECT ''$$;
CREATE FUNCTION ot(a int) RETURNS TABLE (x int, y text) LANGUAGE sql AS $$SELECT 1, ''$$;
CREATE FUNCTION op(a anyelement, b anyarray, OUT c anyelement, OUT d anyarray) LANGUAGE sql AS 'SELECT $1, $2';
CREATE FUNCTION oc(a anycompatible, b anycompatible, OUT c anycompatible, OUT d anycompatiblearray)
	LANGUAGE sql AS 'SELECT $1, ARRAY[$2]';
CREATE FUNCTION orr(a anyrange, OUT c anyelement, OUT d anymultirange) LANGUAGE sql AS 'SELECT lower($1), multirange($1)';
CREATE FUNCTION ov(VARIADIC a anyarray, OUT c anyelement, OUT d int) LANGUAGE sql AS 'SELECT $1[1], 1';

CREATE FUNCTION p1(anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION p1(anyarray) RETURNS anyarray LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION p1(anyrange) RETURNS anyrange LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION p2(anyelement, anyarray) RETURNS anyarray LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION p3(anynonarray) RETURNS anyarray LANGUAGE sql AS 'SELECT ARRAY[$1]';
CREATE FUNCTION p4(anyenum, anyelement) RETURNS anyenum LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION p5(anyrange, anyelement) RETURNS anymultirange LANGUAGE sql AS 'SELECT multirange($1)';
CREATE FUNCTION p6(anymultirange, anyrange) RETURNS anyelement LANGUAGE sql AS 'SELECT lower($1)';
CREATE FUNCTION p7(anymultirange) RETURNS anyrange LANGUAGE sql AS 'SELECT range_merge($1)';
CREATE FUNCTION c1(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION c2(anycompatible, anycompatiblearray) RETURNS anycompatiblearray LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION c3(anycompatiblenonarray, anycompatible) RETURNS anycompatiblearray LANGUAGE sql AS 'SELECT ARRAY[$1]';
CREATE FUNCTION c4(anycompatiblerange, anycompatible) RETURNS anycompatible LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION c5(anycompatiblemultirange, anycompatible) RETURNS anycompatiblerange LANGUAGE sql AS 'SELECT range_merge($1)';
CREATE FUNCTION c6(anycompatiblerange) RETURNS anycompatiblemultirange LANGUAGE sql AS 'SELECT multirange($1)';
CREATE FUNCTION c7(anycompatiblemultirange, anycompatiblerange) RETURNS anycompatible LANGUAGE sql AS 'SELECT lower($2)';
CREATE FUNCTION m(anyelement, anycompatible, anycompatible) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';

CREATE FUNCTION dp(a int, b anyelement DEFAULT 0) RETURNS anyelement LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION dp(a text, b anycompatible, c anycompatible DEFAULT 0) RETURNS anycompatible LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION dp(a date, b anyarray DEFAULT NULL, c anyelement DEFAULT 0) RETURNS anyarray LANGUAGE sql AS 'SELECT $2';

CREATE FUNCTION rec(record) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION g(pair) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION g(pair2) RETURNS text LANGUAGE sql AS $$SELECT ''$$;
CREATE FUNCTION h(d_array) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION h(d_pair) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION ha(d_int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hn(numeric[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hd(d_num) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hd(d_varchar) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION s(int) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';

-- Each tells that it was called, since the tree of a CALL is not printed by every
-- version.
CREATE PROCEDURE pr(int) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 1'; END$$;
CREATE PROCEDURE pr(text) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 2'; END$$;
CREATE PROCEDURE pr(INOUT a int, b text DEFAULT '') LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 3'; END$$;
CREATE PROCEDURE po(IN a int, OUT b text) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 4'; END$$;
CREATE PROCEDURE po(IN a int8, OUT b text, OUT c int) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 5'; END$$;
CREATE PROCEDURE po(IN a text) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 6'; END$$;
CREATE PROCEDURE po2(IN a text, OUT b int) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 7'; END$$;
CREATE PROCEDURE po2(IN a text, IN b int) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 8'; END$$;
CREATE PROCEDURE pp(INOUT a anyelement, INOUT b anyarray) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 9'; END$$;
CREATE PROCEDURE pv(a text, VARIADIC b int[]) LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called 10'; END$$;

-- Aggregates.
CREATE AGGREGATE ag(int) (sfunc = int4pl, stype = int);
CREATE AGGREGATE ag(text) (sfunc = textcat, stype = text);
CREATE AGGREGATE ag(*) (sfunc = int8inc, stype = int8, initcond = '0');
CREATE FUNCTION count_any(int8, VARIADIC "any") RETURNS int8 LANGUAGE internal AS 'int8inc_any';
CREATE AGGREGATE agv(VARIADIC "any") (sfunc = count_any, stype = int8, initcond = '0');
CREATE AGGREGATE agp(anycompatible) (sfunc = array_append, stype = anycompatiblearray);
CREATE AGGREGATE before.percentile_cont(float8 ORDER BY float8)
	(stype = internal, sfunc = ordered_set_transition, finalfunc = percentile_cont_float8_final);
CREATE AGGREGATE pd(float8 ORDER BY anyelement)
	(stype = internal, sfunc = ordered_set_transition, finalfunc = percentile_disc_final, finalfunc_extra = true);
CREATE AGGREGATE rk(VARIADIC "any" ORDER BY VARIADIC "any")
	(stype = internal, sfunc = ordered_set_transition_multi, finalfunc = rank_final, finalfunc_extra = true, hypothetical);

-- Operators.
CREATE FUNCTION same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION same(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION same(colour, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION same(d_int, d_int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION same(anyelement, anyarray) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION same(anyenum, anyenum) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION same(euro, euro) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION same(pair, pair) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION join_up(anycompatiblearray, anycompatible) RETURNS anycompatiblearray LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION neg(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION neg(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION neg(anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT $1[1]';
CREATE FUNCTION many(int, int) RETURNS SETOF bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR before.= (leftarg = int, rightarg = int, function = same);
CREATE OPERATOR before.= (leftarg = text, rightarg = text, function = same);
CREATE OPERATOR after.= (leftarg = int, rightarg = int, function = same);
CREATE OPERATOR after.= (leftarg = colour, rightarg = text, function = same);
CREATE OPERATOR after.+ (leftarg = anycompatiblearray, rightarg = anycompatible, function = join_up);
CREATE OPERATOR public.= (leftarg = d_int, rightarg = d_int, function = same);
CREATE OPERATOR public.= (leftarg = pair, rightarg = pair, function = same);
CREATE OPERATOR public.=== (leftarg = int, rightarg = int, function = same);
CREATE OPERATOR public.=== (leftarg = colour, rightarg = text, function = same);
CREATE OPERATOR public.=== (leftarg = anyelement, rightarg = anyarray, function = same);
CREATE OPERATOR public.=== (leftarg = anyenum, rightarg = anyenum, function = same);
CREATE OPERATOR public.=== (leftarg = euro, rightarg = euro, function = same);
CREATE OPERATOR public.<<>> (leftarg = int, rightarg = int, function = many);
CREATE OPERATOR public.~~~ (rightarg = int, function = neg);
CREATE OPERATOR public.~~~ (rightarg = text, function = neg);
CREATE OPERATOR public.~~~ (rightarg = anyarray, function = neg);
CREATE OPERATOR public.&&& (leftarg = int, rightarg = int, function = same, commutator = |||);
CREATE OPERATOR before.- (rightarg = text, function = neg);
