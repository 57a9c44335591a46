-- Names that stand in several schemas, of which a token may see some; what it must not
-- see holds the word canary.
SET check_function_bodies = off;
DROP SCHEMA IF EXISTS near, far CASCADE;
CREATE SCHEMA near;
CREATE SCHEMA far;
CREATE TABLE near.who (id int, name text);
INSERT INTO near.who VALUES (1, 'near'), (2, 'two');
CREATE TABLE near.note (id int PRIMARY KEY, name text);
INSERT INTO near.note VALUES (1, 'note');
CREATE TABLE far.who (id int, name text);
INSERT INTO far.who VALUES (1, 'canary'), (2, 'canary two');
CREATE TABLE far.part (id int, name text, hidden text DEFAULT 'canary' UNIQUE);
INSERT INTO far.part VALUES (1, 'part', 'canary');
CREATE TABLE far.log (id int PRIMARY KEY, name text CHECK (name <> 'forbidden'), hidden text DEFAULT 'canary');
INSERT INTO far.log VALUES (1, 'log', 'canary');
CREATE TABLE far.child (id int PRIMARY KEY REFERENCES far.log DEFERRABLE INITIALLY DEFERRED, name text);
CREATE VIEW far.shown AS SELECT id, 'shown' || id AS name FROM far.who;
CREATE VIEW far.failing AS SELECT id, name::int AS name FROM far.who;
CREATE VIEW far.window AS SELECT id, name FROM far.part WHERE id < 10 WITH CHECK OPTION;
CREATE VIEW near.seen AS SELECT id, name FROM near.who;
CREATE FUNCTION near.peek() RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM who';
CREATE FUNCTION near.taken(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || max(name) FROM who';
