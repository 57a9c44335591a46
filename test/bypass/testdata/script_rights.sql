-- What script_scopes.yaml grants, in PostgreSQL's own words.
GRANT TEMPORARY ON DATABASE shop TO sam;
GRANT USAGE, CREATE ON SCHEMA near TO sam;
GRANT USAGE ON SCHEMA far TO sam;
ALTER TABLE near.who OWNER TO sam;
ALTER TABLE near.note OWNER TO sam;
ALTER VIEW near.seen OWNER TO sam;
ALTER FUNCTION near.peek() OWNER TO sam;
ALTER FUNCTION near.taken(text) OWNER TO sam;
GRANT SELECT (id, name), UPDATE (name) ON far.part TO sam;
GRANT SELECT (id, name), INSERT (id, name), DELETE ON far.log TO sam;
GRANT SELECT, INSERT, DELETE ON far.child TO sam;
GRANT SELECT ON far.shown, far.failing TO sam;
GRANT SELECT, INSERT, UPDATE ON far.window TO sam;
