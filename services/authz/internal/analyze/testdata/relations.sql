-- What runs and reads by itself: views, rules, triggers, defaults, bodies. The case
-- files of relations_test.go speak of it.
SET check_function_bodies = off;
CREATE SCHEMA app;
CREATE SCHEMA hr;
CREATE TABLE people (id int PRIMARY KEY, name text, salary numeric, boss int);
CREATE TABLE notes (id int, person int REFERENCES people, body text);
CREATE TABLE hr.secrets (id int, secret text);
INSERT INTO people VALUES (1, 'a', 10, NULL), (2, 'b', 20, 1);

-- Views: their owner's rights, or the reader's.
CREATE VIEW names AS SELECT id, name FROM people;
CREATE VIEW names_of_names AS SELECT n.name FROM names AS n WHERE n.id > 0;
CREATE VIEW rich AS SELECT p.name, count(*) AS notes FROM people AS p JOIN notes AS n ON n.person = p.id GROUP BY p.name HAVING count(*) > 1;
CREATE VIEW mine WITH (security_invoker) AS SELECT id, name FROM people WHERE salary > 5;
CREATE VIEW over_mine AS SELECT id FROM mine;
CREATE VIEW mine_of_names WITH (security_invoker) AS SELECT name FROM names;
CREATE VIEW unions AS SELECT id FROM people UNION ALL SELECT id FROM hr.secrets;
CREATE VIEW with_cte AS WITH w AS (SELECT id FROM people) SELECT w.id FROM w WHERE EXISTS (SELECT FROM notes WHERE notes.person = w.id);
CREATE VIEW renamed (a, b) AS SELECT id, name FROM people;
CREATE VIEW of_catalog AS SELECT oid, typname FROM pg_type;
CREATE MATERIALIZED VIEW totals AS SELECT sum(salary) AS total FROM people;
CREATE VIEW of_totals AS SELECT total FROM totals;
CREATE SEQUENCE counter;

-- Functions: what their bodies do with the caller's rights.
CREATE FUNCTION plus(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x + 1';
CREATE FUNCTION name_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM public.people WHERE id = $1';
CREATE FUNCTION name_of_boss(person int) RETURNS text LANGUAGE sql STABLE
    AS 'SELECT b.name FROM public.people AS p JOIN public.people AS b ON b.id = p.boss WHERE p.id = name_of_boss.person';
CREATE FUNCTION shadowed(id int) RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM public.people WHERE id = 1';
CREATE FUNCTION unqualified() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM secrets';
CREATE FUNCTION with_path() RETURNS bigint LANGUAGE sql SET search_path = hr AS 'SELECT count(*) FROM secrets';
CREATE FUNCTION with_setting() RETURNS bigint LANGUAGE sql SET work_mem = '1MB' AS 'SELECT count(*) FROM public.people';
CREATE FUNCTION standard(p int) RETURNS bigint BEGIN ATOMIC INSERT INTO people (id) VALUES (p); SELECT count(*) FROM hr.secrets; END;
CREATE FUNCTION returned(p int) RETURNS int RETURN p + (SELECT max(id) FROM people);
CREATE FUNCTION writer(int) RETURNS void LANGUAGE sql AS 'UPDATE public.people SET salary = 0 WHERE id = $1; DELETE FROM public.notes WHERE person = $1';
CREATE FUNCTION raised(p int) RETURNS numeric LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT salary FROM public.people WHERE id = p); END';
CREATE FUNCTION definer(p int) RETURNS numeric LANGUAGE sql SECURITY DEFINER AS 'SELECT salary FROM public.people WHERE id = p';
CREATE FUNCTION plpgsql_definer() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN 1; END';
CREATE FUNCTION settings() RETURNS void LANGUAGE sql AS 'SET work_mem = 100';
CREATE FUNCTION any_of(anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION "Loud"(text, VARIADIC numeric[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION empty_body() RETURNS void LANGUAGE sql AS '';
CREATE PROCEDURE hire(p int, OUT n int) LANGUAGE sql AS 'INSERT INTO public.people (id) VALUES (p) RETURNING id';
CREATE FUNCTION missing_table() RETURNS int LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE total_plus (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION steps(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END';
CREATE AGGREGATE stepwise (int) (SFUNC = steps, STYPE = int, INITCOND = '0');

-- Aggregates and functions over the server's own code.
CREATE AGGREGATE public.rewritten(text) (SFUNC = ts_rewrite, STYPE = tsquery, INITCOND = 'a');
CREATE AGGREGATE public.read_from(text) (SFUNC = textcat, STYPE = text, INITCOND = '', FINALFUNC = pg_read_file);
CREATE AGGREGATE public.joined(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE FUNCTION public.linked(text) RETURNS text LANGUAGE internal AS 'upper';
CREATE FUNCTION public.linked_file(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all';
