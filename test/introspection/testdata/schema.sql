-- One of each kind of object that psql's backslash commands describe.
CREATE EXTENSION citext;
CREATE SCHEMA sales;
CREATE TYPE sales.mood AS ENUM ('calm', 'cross');
CREATE DOMAIN sales.code AS text CHECK (VALUE ~ '^[A-Z]+$') DEFAULT 'A';
CREATE TYPE sales.pair AS (left_one int, right_one text);
CREATE TYPE sales.span AS RANGE (subtype = float8);
CREATE TABLE sales.customers (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mail citext UNIQUE,
	feeling sales.mood DEFAULT 'calm', tag sales.code, both_of sales.pair,
	shout text GENERATED ALWAYS AS (upper(name)) STORED, during tsrange, EXCLUDE USING gist (during WITH &&)
);
COMMENT ON TABLE sales.customers IS 'who buys';
COMMENT ON COLUMN sales.customers.name IS 'as on the letter';
CREATE INDEX customers_lower ON sales.customers (lower(name)) WHERE id > 0;
CREATE STATISTICS sales.customers_stats (dependencies) ON name, mail FROM sales.customers;
CREATE TABLE sales.orders (id serial PRIMARY KEY, customer bigint REFERENCES sales.customers ON DELETE CASCADE, total numeric(10, 2) CHECK (total >= 0));
CREATE TABLE sales.parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE sales.parts_old PARTITION OF sales.parts FOR VALUES FROM ('2000-01-01') TO ('2020-01-01');
CREATE TABLE sales.parts_rest PARTITION OF sales.parts DEFAULT;
CREATE TABLE sales.vip (bonus int) INHERITS (sales.orders);
CREATE VIEW sales.big AS SELECT id, total FROM sales.orders WHERE total > 100;
CREATE MATERIALIZED VIEW sales.totals AS SELECT customer, sum(total) AS total FROM sales.orders GROUP BY customer;
CREATE SEQUENCE sales.counter START 5;
CREATE FUNCTION sales.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE RETURN a + b;
CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION sales.noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE PROCEDURE sales.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE sales.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE TRIGGER touched BEFORE UPDATE ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.touch();
CREATE RULE quiet AS ON DELETE TO sales.parts DO INSTEAD NOTHING;
ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON sales.orders USING (customer = 1);
CREATE OPERATOR sales.@#@ (LEFTARG = int, RIGHTARG = int, FUNCTION = sales.add);
CREATE FUNCTION sales.weigh(sales.mood) RETURNS int LANGUAGE sql IMMUTABLE RETURN 1;
CREATE CAST (sales.mood AS int) WITH FUNCTION sales.weigh(sales.mood);
CREATE COLLATION sales.plain FROM "C";
CREATE CONVERSION sales.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE OPERATOR CLASS sales.int_ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE TEXT SEARCH CONFIGURATION sales.words (COPY = english);
CREATE TEXT SEARCH DICTIONARY sales.simple (TEMPLATE = pg_catalog.simple);
CREATE PUBLICATION everything FOR TABLE sales.customers;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere OPTIONS (host 'far.example');
CREATE FOREIGN TABLE sales.far_orders (id int) SERVER far;
CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION sales.noticed();
ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO PUBLIC;
GRANT SELECT (id) ON sales.customers TO PUBLIC;
