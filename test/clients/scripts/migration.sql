-- What a migration does behind the dump, in the same transaction.
RESET search_path;
INSERT INTO people (name, age) VALUES ('Edsger', twice(36)) RETURNING id, age;
ALTER TABLE people ADD COLUMN email text;
UPDATE people SET email = lower(name) || '@example.com';
ALTER TABLE people ALTER COLUMN email SET NOT NULL;
ALTER TABLE letters RENAME COLUMN body TO contents;
SELECT name, email FROM people ORDER BY id;
SELECT * FROM writers;
COPY (SELECT id, contents FROM letters ORDER BY id) TO STDOUT;
