-- What the token may define and drop belongs to the login.
GRANT USAGE, CREATE ON SCHEMA near TO shop_app;
GRANT USAGE ON SCHEMA far TO shop_app;
GRANT ALL ON ALL TABLES IN SCHEMA near, far TO shop_app;
ALTER TABLE near.who OWNER TO shop_app;
ALTER TABLE near.note OWNER TO shop_app;
ALTER VIEW near.seen OWNER TO shop_app;
ALTER FUNCTION near.peek() OWNER TO shop_app;
ALTER FUNCTION near.taken(text) OWNER TO shop_app;
