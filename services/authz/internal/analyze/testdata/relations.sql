-- What runs and reads by itself: views, rules, triggers, defaults, bodies. The case
-- files of relations_test.go speak of it.
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
