-- What runs and reads by itself: views, rules, triggers, defaults, bodies. The case
-- files of relations_test.go speak of it.
SET check_function_bodies = off;
CREATE SCHEMA app;
CREATE SCHEMA hr;
CREATE TABLE people (id int PRIMARY KEY, name text, salary numeric, boss int);
CREATE TABLE notes (id int, person int REFERENCES people, body text);
CREATE TABLE hr.secrets (id int, secret text);
INSERT INTO people VALUES (1, 'a', 10, NULL), (2, 'b', 20, 1);
INSERT INTO notes VALUES (1, 1, 'n');

-- Views: their owner's rights, or the reader's.
CREATE VIEW names AS SELECT id, name FROM people;
CREATE VIEW names_of_names AS SELECT n.name FROM names AS n WHERE n.id > 0;
CREATE VIEW rich AS SELECT p.name, count(*) AS notes FROM people AS p JOIN notes AS n ON n.person = p.id GROUP BY p.name HAVING count(*) > 1;
CREATE VIEW mine WITH (security_invoker) AS SELECT id, name FROM people WHERE salary > 5; -- since 15
CREATE VIEW over_mine AS SELECT id FROM mine; -- since 15
CREATE VIEW mine_of_names WITH (security_invoker) AS SELECT name FROM names; -- since 15
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
CREATE FUNCTION standard(p int) RETURNS bigint BEGIN ATOMIC INSERT INTO people (id) VALUES (p + 100); SELECT count(*) FROM hr.secrets; END;
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

-- Code that runs when a row is read or written.
CREATE FUNCTION opaque_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END';
CREATE FUNCTION definer_trigger() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN coalesce(NEW, OLD); END';
CREATE FUNCTION opaque(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE FUNCTION positive(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE FUNCTION boss_of(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT boss FROM public.people WHERE id = $1';
CREATE TABLE on_insert (a int, b int);
CREATE TRIGGER t BEFORE INSERT ON on_insert FOR EACH ROW EXECUTE FUNCTION opaque_trigger();
CREATE TABLE on_update (a int, b int);
CREATE TRIGGER t AFTER UPDATE OF b ON on_update FOR EACH ROW WHEN (new.a > 0) EXECUTE FUNCTION definer_trigger();
CREATE TABLE on_condition (a int, b int);
CREATE TRIGGER t BEFORE UPDATE ON on_condition FOR EACH ROW WHEN (positive(old.a)) EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TABLE disabled (a int);
CREATE TRIGGER t BEFORE INSERT ON disabled FOR EACH ROW EXECUTE FUNCTION opaque_trigger();
ALTER TABLE disabled DISABLE TRIGGER t;
CREATE TABLE replicated (a int);
CREATE TRIGGER t BEFORE INSERT ON replicated FOR EACH ROW EXECUTE FUNCTION opaque_trigger();
ALTER TABLE replicated ENABLE REPLICA TRIGGER t;
CREATE TABLE searched (body text, words tsvector);
CREATE TRIGGER t BEFORE INSERT ON searched FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(words, 'pg_catalog.simple', body);
CREATE TABLE on_truncate (a int);
CREATE TRIGGER t BEFORE TRUNCATE ON on_truncate EXECUTE FUNCTION opaque_trigger();
CREATE TABLE ruled (a int, b int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO notes (id) VALUES (NEW.a);
CREATE RULE nothing AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE TABLE serials (id serial, x int);
CREATE TABLE idents (id int GENERATED ALWAYS AS IDENTITY, x int);
CREATE TABLE defaults (a int, b int DEFAULT boss_of(1), c boolean DEFAULT opaque(1));
CREATE TABLE checks (a int CHECK (positive(a)), b int CHECK (opaque(b)));
CREATE TABLE constant_check (a int CHECK (a > 0 OR opaque(1)));
CREATE TABLE indexes (a int, b int);
CREATE INDEX ON indexes (positive(a));
CREATE INDEX ON indexes (b) WHERE opaque(b);
CREATE TABLE generated (a int, b boolean GENERATED ALWAYS AS (positive(a)) STORED);
CREATE DOMAIN checked AS int CHECK (positive(VALUE));
CREATE DOMAIN opaque_domain AS int CHECK (opaque(VALUE));
CREATE TABLE domains (a checked, b opaque_domain);
CREATE TABLE parted (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10) TO (MAXVALUE);
CREATE TRIGGER t AFTER DELETE ON parted_high FOR EACH ROW EXECUTE FUNCTION opaque_trigger();
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int REFERENCES parents ON DELETE CASCADE ON UPDATE SET NULL, x int CHECK (opaque(x)));
CREATE TRIGGER before BEFORE DELETE ON children FOR EACH ROW EXECUTE FUNCTION opaque_trigger();
CREATE TABLE loud_children (id int REFERENCES parents ON DELETE CASCADE);
CREATE TRIGGER after AFTER DELETE ON loud_children FOR EACH ROW EXECUTE FUNCTION opaque_trigger();

-- Row security, for a role that it binds.
CREATE TABLE secured (id int, owner text, x int);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY plain ON secured FOR SELECT USING (x > 0);
CREATE POLICY ins ON secured FOR INSERT WITH CHECK (id IN (SELECT people.id FROM people WHERE people.name = secured.owner));
CREATE POLICY upd ON secured FOR UPDATE USING (positive(x)) WITH CHECK (opaque(x));
CREATE POLICY other ON secured FOR DELETE TO pg_monitor USING (opaque(x));
CREATE VIEW of_secured AS SELECT id FROM secured;
CREATE VIEW my_secured WITH (security_invoker) AS SELECT id FROM secured; -- since 15

INSERT INTO on_condition VALUES (1, 2);
INSERT INTO secured VALUES (1, 'a', 1);
INSERT INTO checks VALUES (1, 1);
INSERT INTO defaults VALUES (1, 2, true);

-- Views that can be written.
CREATE TABLE staff (id serial PRIMARY KEY, name text DEFAULT 'x', grade int CHECK (positive(grade)), hidden int DEFAULT 7);
INSERT INTO staff (name, grade) VALUES ('a', 1);
CREATE VIEW staff_names AS SELECT id, name FROM staff WHERE grade > 0;
CREATE VIEW my_staff WITH (security_invoker) AS SELECT id AS number, name, grade + 1 AS next FROM staff WHERE id IN (SELECT person FROM notes); -- since 15
CREATE VIEW staff_of_names AS SELECT name AS n, id FROM staff_names;
CREATE VIEW staff_checked AS SELECT id, name, grade FROM staff WHERE grade > 0 WITH CHECK OPTION;
CREATE VIEW invoker_of_owner WITH (security_invoker) AS SELECT id, name FROM staff_names; -- since 15
CREATE VIEW owner_of_invoker AS SELECT number, name FROM my_staff; -- since 15
CREATE VIEW counted AS SELECT name, count(*) FROM staff GROUP BY name;
CREATE VIEW loud_view AS SELECT id, name FROM staff;
CREATE TRIGGER t INSTEAD OF INSERT OR UPDATE OR DELETE ON loud_view FOR EACH ROW EXECUTE FUNCTION opaque_trigger();
CREATE VIEW quiet_view AS SELECT id, name FROM staff;
CREATE TRIGGER t INSTEAD OF UPDATE ON quiet_view FOR EACH ROW EXECUTE FUNCTION definer_trigger();
CREATE VIEW ruled_view AS SELECT id, name FROM staff;
CREATE RULE r AS ON DELETE TO ruled_view DO INSTEAD NOTHING;
CREATE VIEW over_trigger AS SELECT a, b FROM on_insert;
CREATE VIEW over_defaults AS SELECT a FROM defaults;
CREATE VIEW with_default AS SELECT a, b FROM on_update;
ALTER VIEW with_default ALTER COLUMN b SET DEFAULT boss_of(2);
CREATE VIEW over_secured AS SELECT id, x FROM secured;
CREATE VIEW of_activity AS SELECT query FROM pg_stat_activity;
CREATE VIEW of_secrets AS SELECT rolpassword FROM pg_authid;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 2; END';
CREATE TABLE doubled (a int, b int GENERATED ALWAYS AS (twice(a)) STORED);
