CREATE TABLE app.shown (id int PRIMARY KEY, mood app.mood DEFAULT 'calm', tags text[] DEFAULT '{}', n regclass DEFAULT 'app.parent', list regclass[] DEFAULT '{app.parent,app.child}', one app.pair DEFAULT '(1,2)', moods app.mood[] DEFAULT '{calm,angry}', r app.span DEFAULT '[1,3)')
CREATE TYPE app.holds AS (c regclass, m app.mood)
ALTER TABLE app.shown ADD held app.holds DEFAULT '(app.parent,calm)'
CREATE VIEW app.first AS SELECT s.id, s.mood, p.code FROM app.shown AS s JOIN app.parent AS p USING (id) WHERE app.good(s.id) AND s.mood = 'calm'
CREATE VIEW app.second AS SELECT id, mood AS feeling FROM app.first WHERE id OPERATOR(app.===) 3
CREATE VIEW app.third AS SELECT f.feeling, w.* FROM app.second AS f, app.first AS w
CREATE FUNCTION app.atom(s app.shown, m app.mood DEFAULT 'angry') RETURNS int BEGIN ATOMIC SELECT id FROM app.first WHERE mood = m; END
CREATE FUNCTION app.named(first int, second int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'
CREATE VIEW app.calls AS SELECT app.named(second => 1, first => 2), 'app.named(int, int)'::regprocedure, 'app.mood'::regtype, 'app.==='::regoper
CREATE TABLE app.upserted (a int CONSTRAINT upserted_key UNIQUE, b int)
CREATE RULE up AS ON INSERT TO app.shown DO ALSO INSERT INTO app.upserted VALUES (1, 2) ON CONFLICT ON CONSTRAINT upserted_key DO UPDATE SET b = 3
CREATE POLICY reads ON app.upserted USING (a IN (SELECT id FROM app.first))
CREATE TRIGGER on_mood AFTER UPDATE OF mood ON app.shown FOR EACH ROW WHEN (NEW.mood <> 'angry') EXECUTE FUNCTION app.fire()
CREATE COLLATION app.own_order FROM "C"
CREATE VIEW app.ordered AS SELECT code FROM app.parent ORDER BY code COLLATE app.own_order
CREATE TEXT SEARCH CONFIGURATION app.lexemes (COPY = pg_catalog.simple)
CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = pg_catalog.simple)
CREATE VIEW app.searched AS SELECT to_tsvector('app.lexemes'::regconfig, code::text), ts_lexize('app.dict'::regdictionary, 'x') FROM app.parent
CREATE DOMAIN app.moody AS app.mood DEFAULT 'calm' CHECK (VALUE <> 'angry')
CREATE FUNCTION app.doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1'
CREATE TABLE app.ranged (k app.mood, l int) PARTITION BY RANGE (k, app.doubled(l))
CREATE STATISTICS app.shown_stat ON (app.named(id, 3)), (mood = 'calm') FROM app.shown
CREATE INDEX shown_index ON app.shown ((app.named(id)), lower(tags[1])) WHERE mood = 'calm'
ALTER TABLE app.shown ADD twice int GENERATED ALWAYS AS (app.named(id, 2)) STORED
ALTER TABLE app.shown ADD CONSTRAINT checked CHECK (app.named(id) > 0 AND mood <> 'angry')
ALTER TYPE app.mood ADD VALUE 'glad'
ALTER TYPE app.mood RENAME VALUE 'calm' TO 'quiet'
ALTER TYPE app.mood RENAME VALUE 'quiet' TO 'calm'
ALTER TYPE app.mood RENAME TO temper
ALTER TYPE app.temper RENAME TO mood
ALTER TYPE app.mood SET SCHEMA public
ALTER TYPE public.mood SET SCHEMA app
ALTER TYPE app.pair RENAME ATTRIBUTE a TO first_of_pair
ALTER TYPE app.pair RENAME TO couple
ALTER TYPE app.couple RENAME TO pair
ALTER TYPE app.span RENAME TO stretch
ALTER TYPE app.stretch RENAME TO span
ALTER TYPE app.holds RENAME ATTRIBUTE c TO class
ALTER TABLE app.parent RENAME TO ancestor
ALTER TABLE app.ancestor RENAME TO parent
ALTER TABLE app.child RENAME TO kid
ALTER TABLE app.kid RENAME TO child
ALTER TABLE app.shown RENAME mood TO spirit
ALTER TABLE app.shown RENAME spirit TO mood
ALTER TABLE app.shown ADD code text
ALTER TABLE app.parent ADD s_code text
ALTER TABLE app.shown RENAME TO visible
ALTER TABLE app.visible RENAME TO shown
ALTER TABLE app.shown SET SCHEMA public
ALTER TABLE public.shown SET SCHEMA app
ALTER VIEW app.first RENAME TO primary_view
ALTER VIEW app.primary_view RENAME COLUMN code TO kode
ALTER VIEW app.primary_view RENAME TO first
ALTER VIEW app.second SET SCHEMA public
ALTER VIEW public.second SET SCHEMA app
CREATE OR REPLACE VIEW app.first AS SELECT s.id, s.mood, p.code AS kode, 1 AS more FROM app.shown AS s JOIN app.parent AS p USING (id)
ALTER FUNCTION app.named(int, int) RENAME TO titled
ALTER FUNCTION app.titled(int, int) SET SCHEMA public
ALTER FUNCTION public.titled(int, int) SET SCHEMA app
ALTER FUNCTION app.titled(int, int) RENAME TO named
CREATE FUNCTION app.named(first bigint) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'
CREATE OR REPLACE FUNCTION app.named(first int, second int DEFAULT 5) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3'
ALTER FUNCTION app.fire() RENAME TO shoot
ALTER FUNCTION app.shoot() RENAME TO fire
ALTER OPERATOR app.=== (int, int) SET SCHEMA public
ALTER OPERATOR public.=== (int, int) SET SCHEMA app
ALTER TABLE app.upserted RENAME CONSTRAINT upserted_key TO upserted_once
ALTER TABLE app.upserted RENAME b TO c
ALTER COLLATION app.own_order RENAME TO our_order
ALTER COLLATION app.our_order SET SCHEMA public
ALTER TEXT SEARCH CONFIGURATION app.lexemes RENAME TO lexis
ALTER TEXT SEARCH DICTIONARY app.dict RENAME TO dictionary
ALTER FUNCTION app.doubled(int) RENAME TO twofold
ALTER DOMAIN app.moody RENAME TO humour
ALTER SCHEMA app RENAME TO application
ALTER SCHEMA application RENAME TO app
CREATE FUNCTION pg_catalog.lower(app.mood) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''::text'
DROP FUNCTION pg_catalog.lower(app.mood)
CREATE FUNCTION app.mood_text(app.pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''::text'
CREATE CAST (app.pair AS text) WITH FUNCTION app.mood_text(app.pair) AS IMPLICIT
DROP CAST (app.pair AS text)
CREATE ROLE {db}_owner
ALTER TABLE app.shown OWNER TO {db}_owner
ALTER FUNCTION app.atom OWNER TO {db}_owner
ALTER TYPE app.mood OWNER TO {db}_owner
ALTER POLICY reads ON app.upserted TO {db}_owner
ALTER ROLE {db}_owner RENAME TO {db}_keeper
REASSIGN OWNED BY {db}_keeper TO CURRENT_USER
DROP OWNED BY {db}_keeper
DROP ROLE {db}_keeper
CREATE OPERATOR CLASS app.mood_ops DEFAULT FOR TYPE app.pair USING btree AS STORAGE app.pair
DROP OPERATOR FAMILY app.mood_ops USING btree CASCADE
VACUUM FULL pg_catalog.pg_class
VACUUM FULL pg_catalog.pg_attribute
VACUUM FULL pg_catalog.pg_proc
VACUUM FREEZE pg_catalog.pg_depend
DROP TABLE app.shown CASCADE
DROP TABLE app.upserted CASCADE
DROP TABLE app.ranged
DROP FUNCTION app.named(int, int) CASCADE
