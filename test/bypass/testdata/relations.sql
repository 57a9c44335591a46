-- What reads, writes and runs by itself, beside the sample data. rita's token and the
-- role rita hold the same rights; relations_test.go says which.
CREATE TABLE pay (id int PRIMARY KEY, name text, salary numeric DEFAULT 1);
INSERT INTO pay VALUES (1, 'ann', 100), (2, 'bob', 200);
CREATE TABLE news (id int, person int, body text);
INSERT INTO news VALUES (1, 1, 'x');

CREATE VIEW pay_names AS SELECT id, name FROM pay;
CREATE VIEW pay_all AS SELECT * FROM pay;
CREATE VIEW pay_mine WITH (security_invoker) AS SELECT id, name FROM pay; -- since 15
CREATE VIEW pay_over_mine AS SELECT id FROM pay_mine; -- since 15
CREATE VIEW pay_of_names WITH (security_invoker) AS SELECT name FROM pay_names; -- since 15
CREATE VIEW news_mine WITH (security_invoker) AS SELECT id, body FROM news WHERE person > 0; -- since 15
CREATE MATERIALIZED VIEW pay_total AS SELECT sum(salary) AS total FROM pay;

CREATE FUNCTION plus(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION hidden_plus(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION salary_sql(int) RETURNS numeric LANGUAGE sql AS 'SELECT salary FROM public.pay WHERE id = $1';
CREATE FUNCTION salary_nested(int) RETURNS numeric LANGUAGE sql AS 'SELECT public.salary_sql($1)';
CREATE FUNCTION salary_atomic(p int) RETURNS numeric RETURN (SELECT salary FROM pay WHERE id = p);
CREATE FUNCTION salary_path(int) RETURNS numeric LANGUAGE sql AS 'SELECT salary FROM pay WHERE id = $1';
CREATE FUNCTION salary_opaque(int) RETURNS numeric LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT salary FROM public.pay WHERE id = $1); END';
CREATE FUNCTION salary_definer(int) RETURNS numeric LANGUAGE sql SECURITY DEFINER AS 'SELECT salary FROM public.pay WHERE id = $1';
CREATE FUNCTION raise_pay(int) RETURNS void LANGUAGE sql AS 'UPDATE public.pay SET salary = salary * 2 WHERE id = $1';
CREATE FUNCTION news_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.news';
CREATE FUNCTION salary_state(numeric, int) RETURNS numeric LANGUAGE sql AS 'SELECT $1 + salary FROM public.pay WHERE id = $2';
CREATE AGGREGATE salaries(int) (SFUNC = salary_state, STYPE = numeric, INITCOND = '0');
CREATE OPERATOR |#| (RIGHTARG = int, FUNCTION = salary_sql);
CREATE DOMAIN paid AS int CHECK (salary_sql(VALUE) > 0);
CREATE TYPE badge AS (id int);
CREATE FUNCTION badge_salary(int) RETURNS badge LANGUAGE sql AS 'SELECT ROW(salary::int)::public.badge FROM public.pay WHERE id = $1';
CREATE CAST (int AS badge) WITH FUNCTION badge_salary(int);
CREATE VIEW with_function AS SELECT id, salary_sql(id) AS salary FROM news;
CREATE VIEW with_plus AS SELECT id, plus(id) AS next FROM news;
CREATE VIEW with_hidden AS SELECT id, hidden_plus(id) AS next FROM news;

CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO news VALUES (0, 0, (SELECT max(salary) FROM pay)); RETURN NEW; END';
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';
CREATE TABLE spied (a int, b int);
CREATE TRIGGER t AFTER INSERT ON spied FOR EACH ROW EXECUTE FUNCTION spy();
CREATE VIEW over_spied AS SELECT a, b FROM spied;
CREATE TABLE ruled (a int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO news SELECT 0, 0, max(salary)::text FROM pay;
CREATE TABLE defaulted (a int, b numeric DEFAULT salary_sql(1));
CREATE TABLE checked (a int CHECK (salary_sql(a) > 0));
CREATE TABLE indexed (a int);
CREATE FUNCTION frozen(int) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT salary FROM public.pay WHERE id = $1';
CREATE INDEX ON indexed (frozen(a));
CREATE TABLE numbered (id serial, x int);
CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY, x int);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE);
CREATE TRIGGER t AFTER DELETE ON child FOR EACH ROW EXECUTE FUNCTION spy();
CREATE TABLE quiet_parent (id int PRIMARY KEY);
CREATE TABLE quiet_child (id int REFERENCES quiet_parent ON DELETE CASCADE);
CREATE TABLE parted (a int, b int) PARTITION BY LIST (a);
CREATE TABLE parted_one PARTITION OF parted FOR VALUES IN (1);
CREATE TRIGGER t AFTER INSERT ON parted_one FOR EACH ROW EXECUTE FUNCTION spy();

CREATE TABLE rows_of (id int, owner text);
INSERT INTO rows_of VALUES (1, 'shop_app'), (2, 'rita'), (3, 'eve');
ALTER TABLE rows_of ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rows_of USING (owner = 'rita');
CREATE TABLE rows_by_pay (id int);
ALTER TABLE rows_by_pay ENABLE ROW LEVEL SECURITY;
CREATE POLICY paid ON rows_by_pay USING (id IN (SELECT pay.id FROM pay WHERE pay.salary > 150));
CREATE VIEW over_rows AS SELECT id FROM rows_by_pay;

-- Types whose order and whose JSON are a user's code, which nobody is asked for.
CREATE TYPE grade AS ENUM ('low', 'high');
CREATE FUNCTION grade_before(grade, grade) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1::text < $2::text; END';
CREATE FUNCTION grade_order(grade, grade) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 0; END';
CREATE OPERATOR <# (LEFTARG = grade, RIGHTARG = grade, FUNCTION = grade_before);
CREATE OPERATOR =# (LEFTARG = grade, RIGHTARG = grade, FUNCTION = grade_before);
CREATE OPERATOR ># (LEFTARG = grade, RIGHTARG = grade, FUNCTION = grade_before);
CREATE OPERATOR CLASS grade_ops DEFAULT FOR TYPE grade USING btree AS
    OPERATOR 1 <#, OPERATOR 3 =#, OPERATOR 5 >#, FUNCTION 1 grade_order(grade, grade);
CREATE FUNCTION point_order(point, point) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 0; END';
CREATE FUNCTION point_before(point, point) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN false; END';
CREATE OPERATOR <# (LEFTARG = point, RIGHTARG = point, FUNCTION = point_before);
CREATE OPERATOR =# (LEFTARG = point, RIGHTARG = point, FUNCTION = point_before);
CREATE OPERATOR ># (LEFTARG = point, RIGHTARG = point, FUNCTION = point_before);
CREATE OPERATOR CLASS point_ops_of_ours DEFAULT FOR TYPE point USING btree AS
    OPERATOR 1 <#, OPERATOR 3 =#, OPERATOR 5 >#, FUNCTION 1 point_order(point, point);
CREATE TYPE colour AS ENUM ('red', 'blue');
CREATE FUNCTION colour_json(colour) RETURNS json LANGUAGE plpgsql AS 'BEGIN RETURN ''{}''; END';
CREATE CAST (colour AS json) WITH FUNCTION colour_json(colour);
CREATE FUNCTION reaches(int, int, colour, boolean, boolean) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
ALTER OPERATOR FAMILY integer_ops USING btree ADD FUNCTION 3 (int4, colour) reaches(int, int, colour, boolean, boolean);
-- An order with a negator, a commutator and a hash that are other functions.
CREATE TYPE tone AS (a int);
CREATE FUNCTION tone_same(tone, tone) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1.a = $2.a; END';
CREATE FUNCTION tone_as(tone, tone) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1.a = $2.a; END';
CREATE FUNCTION tone_other(tone, tone) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1.a <> $2.a; END';
CREATE FUNCTION tone_hash(tone) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1.a; END';
CREATE OPERATOR =~ (LEFTARG = tone, RIGHTARG = tone, FUNCTION = tone_same, COMMUTATOR = ==~, NEGATOR = <>~, HASHES);
CREATE OPERATOR ==~ (LEFTARG = tone, RIGHTARG = tone, FUNCTION = tone_as, COMMUTATOR = =~, HASHES);
CREATE OPERATOR <>~ (LEFTARG = tone, RIGHTARG = tone, FUNCTION = tone_other, NEGATOR = =~);
CREATE OPERATOR CLASS tone_ops DEFAULT FOR TYPE tone USING hash AS OPERATOR 1 =~, FUNCTION 1 tone_hash(tone);
CREATE TYPE shade AS (a int);
CREATE FUNCTION shade_same(shade, shade) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1.a = $2.a; END';
CREATE FUNCTION shade_other(shade, shade) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1.a <> $2.a';
CREATE OPERATOR =~ (LEFTARG = shade, RIGHTARG = shade, FUNCTION = shade_same, NEGATOR = <>~);
CREATE OPERATOR <>~ (LEFTARG = shade, RIGHTARG = shade, FUNCTION = shade_other, NEGATOR = =~);
CREATE TABLE toned (id int, tone tone, shade shade);
INSERT INTO toned VALUES (1, '(1)', '(1)'), (2, '(2)', '(2)');
-- Operators of a family, of which one is granted, in a table with statistics, in an index's
-- predicate and in partitions.
CREATE FUNCTION weight_lt(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 < $2; END';
CREATE FUNCTION weight_le(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 <= $2; END';
CREATE FUNCTION weight_eq(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 = $2; END';
CREATE FUNCTION weight_ge(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 >= $2; END';
CREATE FUNCTION weight_gt(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 > $2; END';
CREATE FUNCTION weight_ne(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 <> $2; END';
CREATE FUNCTION weight_cmp(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 - $2; END';
CREATE OPERATOR <~ (LEFTARG = int, RIGHTARG = int, FUNCTION = weight_lt, COMMUTATOR = >~, NEGATOR = >=~, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR <=~ (LEFTARG = int, RIGHTARG = int, FUNCTION = weight_le, COMMUTATOR = >=~, NEGATOR = >~, RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR =~ (LEFTARG = int, RIGHTARG = int, FUNCTION = weight_eq, COMMUTATOR = =~, NEGATOR = <>~, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR >=~ (LEFTARG = int, RIGHTARG = int, FUNCTION = weight_ge, COMMUTATOR = <=~, NEGATOR = <~, RESTRICT = scalargesel, JOIN = scalargejoinsel);
CREATE OPERATOR >~ (LEFTARG = int, RIGHTARG = int, FUNCTION = weight_gt, COMMUTATOR = <~, NEGATOR = <=~, RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR <>~ (LEFTARG = int, RIGHTARG = int, FUNCTION = weight_ne, COMMUTATOR = <>~, NEGATOR = =~, RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR CLASS weight_ops FOR TYPE int USING btree AS
    OPERATOR 1 <~, OPERATOR 2 <=~, OPERATOR 3 =~, OPERATOR 4 >=~, OPERATOR 5 >~, FUNCTION 1 weight_cmp(int, int);
CREATE FUNCTION kilo_same(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 = $2; END';
CREATE FUNCTION kilo_other(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 <> $2';
CREATE FUNCTION kilo_alike(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR =% (LEFTARG = int, RIGHTARG = int, FUNCTION = kilo_same, NEGATOR = <>%);
CREATE OPERATOR <>% (LEFTARG = int, RIGHTARG = int, FUNCTION = kilo_other, NEGATOR = =%, RESTRICT = neqsel);
CREATE OPERATOR ~% (LEFTARG = int, RIGHTARG = int, FUNCTION = kilo_alike, RESTRICT = eqsel);
CREATE TABLE weighed (id int, weight int, kilo int);
INSERT INTO weighed SELECT i, i, i % 3 FROM generate_series(1, 30) AS i;
CREATE INDEX ON weighed (id) WHERE weight <~ 5;
CREATE TABLE scales (id int, weight int);
INSERT INTO scales VALUES (1, 1), (2, 2);
CREATE TABLE piled (weight int, note text) PARTITION BY LIST (weight weight_ops);
CREATE TABLE piled_one PARTITION OF piled FOR VALUES IN (1, 3);
CREATE TABLE piled_rest PARTITION OF piled DEFAULT;
CREATE FUNCTION far_cmp(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 - $2; END';
CREATE OPERATOR CLASS far_ops FOR TYPE int USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 far_cmp(int, int);
CREATE TABLE ranked (id int, place int);
INSERT INTO ranked VALUES (1, 1), (2, 2);
CREATE INDEX ON ranked (place far_ops);
ANALYZE weighed, scales, ranked;
CREATE TABLE graded (id int, grade grade, colour colour, place point);
INSERT INTO graded VALUES (1, 'low', 'red', '(1,2)'), (2, 'high', 'blue', '(3,4)');

GRANT ALL ON ALL TABLES IN SCHEMA public TO shop_app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO shop_app;
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO shop_app;
