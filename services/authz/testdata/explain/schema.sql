CREATE TABLE orders (id int, customer text, total numeric);
CREATE SCHEMA secret;
CREATE TABLE secret.keys (id int, key text);
CREATE VIEW order_ids AS SELECT id FROM orders;
CREATE FUNCTION opaque(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
