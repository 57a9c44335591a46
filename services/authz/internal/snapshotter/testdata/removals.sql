CREATE SCHEMA rem
CREATE TABLE rem.one (id int)
CREATE TABLE rem.two (extra int)
CREATE TABLE rem.both (own int) INHERITS (rem.one, rem.two)
CREATE TABLE rem.dropped () INHERITS (rem.one, rem.two)
ALTER TABLE rem.both NO INHERIT rem.two
DROP TABLE rem.dropped
ALTER TABLE rem.both NO INHERIT rem.one
CREATE TABLE rem.parts (id int, v text) PARTITION BY LIST (id)
CREATE TABLE rem.part_a PARTITION OF rem.parts FOR VALUES IN (1)
CREATE TABLE rem.part_b PARTITION OF rem.parts DEFAULT
ALTER TABLE rem.parts DETACH PARTITION rem.part_a
DROP TABLE rem.part_b
CREATE FUNCTION rem.trace() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'
CREATE FUNCTION rem.plus(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'
CREATE DOMAIN rem.small AS int DEFAULT 1 NOT NULL CONSTRAINT small_plus CHECK (rem.plus(VALUE) < 9)
CREATE TYPE rem.pair AS (a int, b int)
CREATE TABLE rem.target (id int PRIMARY KEY, again int UNIQUE)
CREATE TABLE rem.full (id int PRIMARY KEY, ref int CONSTRAINT full_ref REFERENCES rem.target, other int CONSTRAINT full_other REFERENCES rem.target (again), n int NOT NULL DEFAULT rem.plus(1), CONSTRAINT full_check CHECK (rem.plus(n) > 0), g int GENERATED ALWAYS AS (id * 2) STORED, i int GENERATED ALWAYS AS IDENTITY, s serial, d rem.small, p rem.pair, t text COLLATE "C", CONSTRAINT full_ex EXCLUDE USING btree (n WITH =))
CREATE INDEX full_expression ON rem.full (rem.plus(n)) WHERE rem.plus(n) > 3
CREATE STATISTICS rem.full_stat ON (rem.plus(n)), (n + id) FROM rem.full
CREATE TRIGGER full_trigger AFTER UPDATE OF n ON rem.full FOR EACH ROW WHEN (rem.plus(NEW.n) > 1) EXECUTE FUNCTION rem.trace()
CREATE RULE full_rule AS ON DELETE TO rem.full DO ALSO NOTIFY told
CREATE POLICY full_policy ON rem.full USING (rem.plus(n) > 1)
ALTER TABLE rem.full ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY
DROP STATISTICS rem.full_stat
DROP INDEX rem.full_expression
DROP TRIGGER full_trigger ON rem.full
DROP RULE full_rule ON rem.full
DROP POLICY full_policy ON rem.full
ALTER TABLE rem.full NO FORCE ROW LEVEL SECURITY
ALTER TABLE rem.full DROP CONSTRAINT full_check
ALTER TABLE rem.full DROP CONSTRAINT full_ref
ALTER TABLE rem.target DROP CONSTRAINT target_again_key CASCADE
ALTER TABLE rem.full DROP CONSTRAINT full_ex
ALTER TABLE rem.full ALTER n DROP DEFAULT
ALTER TABLE rem.full ALTER n DROP NOT NULL
ALTER TABLE rem.full ALTER g DROP EXPRESSION
ALTER TABLE rem.full ALTER i DROP IDENTITY
ALTER SEQUENCE rem.full_s_seq OWNED BY NONE
DROP SEQUENCE rem.full_s_seq CASCADE
ALTER TABLE rem.full DROP CONSTRAINT full_pkey
ALTER DOMAIN rem.small DROP CONSTRAINT small_plus
ALTER DOMAIN rem.small DROP NOT NULL
ALTER DOMAIN rem.small DROP DEFAULT
DROP DOMAIN rem.small CASCADE
DROP TYPE rem.pair CASCADE
ALTER TABLE rem.full DROP COLUMN t
CREATE TABLE rem.again (id int DEFAULT rem.plus(1), g int GENERATED ALWAYS AS (rem.plus(1)) STORED, CHECK (rem.plus(id) > 0))
CREATE INDEX again_index ON rem.again (rem.plus(id))
CREATE POLICY again_policy ON rem.again USING (rem.plus(id) > 0)
CREATE TRIGGER again_trigger BEFORE INSERT ON rem.again FOR EACH ROW EXECUTE FUNCTION rem.trace()
CREATE STATISTICS rem.again_stat ON (rem.plus(id)), (id * 2) FROM rem.again
CREATE DOMAIN rem.checked AS int CHECK (rem.plus(VALUE) > 0)
CREATE VIEW rem.shows AS SELECT rem.plus(id) AS more FROM rem.again
CREATE VIEW rem.shows_it AS SELECT more FROM rem.shows
CREATE OPERATOR rem.<<@ (LEFTARG = int, RIGHTARG = int, FUNCTION = app.same, COMMUTATOR = OPERATOR(rem.@>>))
CREATE OPERATOR rem.@>> (LEFTARG = int, RIGHTARG = int, FUNCTION = app.same, COMMUTATOR = OPERATOR(rem.<<@))
DROP OPERATOR rem.@>> (int, int)
DROP FUNCTION rem.trace() CASCADE
DROP FUNCTION rem.plus(int) CASCADE
CREATE FUNCTION rem.opt(int DEFAULT 3) RETURNS int LANGUAGE sql SET search_path = rem AS 'SELECT 1'
ALTER FUNCTION rem.opt(int) RESET search_path
CREATE AGGREGATE rem.most(int) (SFUNC = int4larger, STYPE = int)
DROP AGGREGATE rem.most(int)
CREATE OPERATOR FAMILY rem.fam USING btree
ALTER OPERATOR FAMILY rem.fam USING btree ADD OPERATOR 1 pg_catalog.< (int, int), OPERATOR 3 app.=== (int, int), FUNCTION 1 (int, int) btint4cmp(int, int)
CREATE OPERATOR CLASS rem.fam_ops FOR TYPE int USING btree FAMILY rem.fam AS OPERATOR 5 pg_catalog.>
ALTER OPERATOR FAMILY rem.fam USING btree DROP OPERATOR 3 (int, int)
ALTER OPERATOR FAMILY rem.fam USING btree DROP FUNCTION 1 (int, int)
DROP OPERATOR CLASS rem.fam_ops USING btree
DROP OPERATOR FAMILY rem.fam USING btree
CREATE TYPE rem.casted AS (a int)
CREATE CAST (int AS rem.casted) WITH INOUT
DROP CAST (int AS rem.casted)
CREATE COLLATION rem.sorted FROM "C"
CREATE VIEW rem.in_order AS SELECT 'x' COLLATE rem.sorted AS x
DROP COLLATION rem.sorted CASCADE
CREATE TEXT SEARCH CONFIGURATION rem.words (COPY = pg_catalog.simple)
CREATE TABLE rem.texts (v tsvector DEFAULT to_tsvector('rem.words'::regconfig, 'x'))
DROP TEXT SEARCH CONFIGURATION rem.words CASCADE
CREATE FUNCTION rem.member(int) RETURNS int LANGUAGE sql AS 'SELECT 1'
ALTER EXTENSION plpgsql ADD FUNCTION rem.member(int)
ALTER EXTENSION plpgsql DROP FUNCTION rem.member(int)
CREATE FOREIGN DATA WRAPPER remote
CREATE SERVER remote_server FOREIGN DATA WRAPPER remote
CREATE FOREIGN TABLE rem.far (id int) SERVER remote_server
DROP SERVER remote_server CASCADE
DROP FOREIGN DATA WRAPPER remote
CREATE PUBLICATION rem_publication FOR TABLE rem.one
DROP PUBLICATION rem_publication
CREATE TRUSTED LANGUAGE rem_language HANDLER plpgsql_call_handler
DROP LANGUAGE rem_language
CREATE VIEW rem.barrier WITH (security_barrier, check_option = local) AS SELECT id FROM rem.one
ALTER VIEW rem.barrier RESET (check_option)
DROP VIEW rem.barrier
CREATE TABLE rem.typed OF rem.casted
ALTER TABLE rem.typed NOT OF
CREATE TABLE rem.has_target (id int REFERENCES rem.target)
DROP TABLE rem.target CASCADE
CREATE MATERIALIZED VIEW rem.kept AS SELECT id FROM rem.one
DROP MATERIALIZED VIEW rem.kept
CREATE SCHEMA gone
CREATE TABLE gone.child (z int) INHERITS (rem.one)
CREATE TABLE gone.refers (id int, r int REFERENCES app.parent)
CREATE TYPE gone.mood AS ENUM ('a')
CREATE FUNCTION gone.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'
CREATE TABLE rem.uses (m gone.mood, n int DEFAULT gone.f(1), CHECK (gone.f(n) > 0))
CREATE TABLE rem.refers (id int)
GRANT USAGE ON SCHEMA gone TO pg_monitor
DROP SCHEMA gone CASCADE
CREATE ROLE {db}_login LOGIN
CREATE ROLE {db}_group
GRANT {db}_group TO {db}_login
GRANT USAGE ON SCHEMA rem TO {db}_group
REVOKE USAGE ON SCHEMA rem FROM {db}_group
GRANT USAGE ON SCHEMA rem TO {db}_group
GRANT {db}_group TO {db}_login WITH INHERIT FALSE
GRANT {db}_group TO {db}_login WITH INHERIT TRUE
REVOKE {db}_group FROM {db}_login
ALTER ROLE {db}_login SET search_path = rem
ALTER ROLE {db}_login RESET search_path
CREATE TABLE rem.owned (id int)
ALTER TABLE rem.owned OWNER TO {db}_group
DROP OWNED BY {db}_group
DROP ROLE {db}_group
DROP ROLE {db}_login
DROP SCHEMA rem CASCADE
