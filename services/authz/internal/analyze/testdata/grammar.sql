-- What the statements of grammar.yaml name.
CREATE SCHEMA app;
CREATE SCHEMA hr;
CREATE TABLE t (id int PRIMARY KEY, a int, b text, c numeric);
CREATE TABLE u (id int REFERENCES t (id), a int);
CREATE TABLE g (a int, d int GENERATED ALWAYS AS (a + 3) STORED);
CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE e (j jsonb, x xml);
CREATE SEQUENCE s;
CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
