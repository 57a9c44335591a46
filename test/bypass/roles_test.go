package bypass_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// What a transaction has done to roles, only its own session sees before COMMIT: its
// later statements are judged by it, and are not refused for it.

const rolesSchema = `
CREATE SCHEMA shut;
CREATE SCHEMA near AUTHORIZATION shop_app;
CREATE TABLE shut.who (name text);
INSERT INTO shut.who VALUES ('canary');
CREATE TABLE shut.granted (name text);
CREATE TABLE near.who (name text);
INSERT INTO near.who VALUES ('near');
ALTER TABLE near.who OWNER TO shop_app;
CREATE ROLE keepers;
GRANT USAGE ON SCHEMA shut TO keepers;
GRANT SELECT ON ALL TABLES IN SCHEMA shut TO shop_app;
ALTER ROLE shop_app CREATEROLE;
DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN
	-- From then on CREATEROLE is not enough to grant roles that others have made.
	EXECUTE 'GRANT keepers TO shop_app WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
END IF; END $$;
`

const rolesScopes = `  officer:
    - {actions: [select], objects: [near.*, shut.granted]}
    - {actions: [insert, ddl], objects: ["near.*", "schema:near"]}
    - {actions: [admin], objects: ["database:shop"]}
    - {actions: [usage], objects: ["sequence:near.*"]}
    - {actions: [set], objects: ["setting:search_path"]}
`

func rolesWorld(t *testing.T) (w *demo.World, dsn string) {
	t.Helper()
	w = cluster.Start(t, demo.Config{SQL: rolesSchema, Scopes: rolesScopes, Users: []demo.User{{Name: "olga", Scopes: []string{"officer"}, About: "keeps roles"}}})
	token, err := w.Token("olga")
	if err != nil {
		t.Fatal(err)
	}
	return w, w.ConnString("olga") + " password=" + token
}

// asLogin talks to PostgreSQL itself, as the login that Scopewire uses there.
func asLogin(t *testing.T, w *demo.World) func(messages ...any) string {
	t.Helper()
	say := walk(t, w.Postgres.ConnString(demo.Database))
	say("SET SESSION AUTHORIZATION shop_app")
	return say
}

// TestRolesInATransaction: migrations that make roles, and use them, hear through
// Scopewire what they hear from PostgreSQL. Each takes back what it does: roles are the
// whole server's.
func TestRolesInATransaction(t *testing.T) {
	w, dsn := rolesWorld(t)
	for name, messages := range map[string][]any{
		"made and granted": {"BEGIN", "CREATE ROLE r1 LOGIN PASSWORD 'not used'", "CREATE TABLE near.a (id serial, v text)", "GRANT SELECT, INSERT ON near.a TO r1", "INSERT INTO near.a (v) VALUES ('x')",
			"SELECT v FROM near.a", "ROLLBACK", "SELECT name FROM near.who"},
		"members":  {"BEGIN", "CREATE ROLE r2 NOLOGIN", "CREATE ROLE r3 LOGIN", "GRANT r2 TO r3", "SELECT name FROM near.who", "REVOKE r2 FROM r3", "SELECT name FROM near.who", "DROP ROLE r2, r3", "SELECT name FROM near.who", "ROLLBACK"},
		"policies": {"BEGIN", "CREATE ROLE r4", "CREATE TABLE near.p (id int)", "ALTER TABLE near.p ENABLE ROW LEVEL SECURITY", "CREATE POLICY theirs ON near.p TO r4 USING (id > 1)", "SELECT name FROM near.who", "ROLLBACK"},
		"taken back": {"BEGIN", "SAVEPOINT s", "CREATE ROLE r5", "SELECT name FROM near.who", "ROLLBACK TO s", "SELECT name FROM near.who", "CREATE ROLE r5", "ALTER ROLE r5 CREATEDB CONNECTION LIMIT 3", "COMMENT ON ROLE r5 IS 'x'",
			"ALTER ROLE r5 SET search_path = near", "SELECT name FROM near.who", "ROLLBACK", "SELECT name FROM near.who"},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(say func(messages ...any) string) (out []string) {
				for _, m := range messages {
					out = append(out, say(m))
				}
				return out
			}
			want := run(asLogin(t, w))
			got := run(walk(t, dsn))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("PostgreSQL (-) and Scopewire (+) of %v:\n%s", messages, diff)
			}
		})
	}
}

// TestRolesOpenNothing: a schema in front of the path that the login may use from the
// GRANT on is where its names are from then on, and in each of these sessions PostgreSQL
// reads what is hidden there.
func TestRolesOpenNothing(t *testing.T) {
	w, dsn := rolesWorld(t)
	const path, read = "SET search_path = shut, near", "SELECT name FROM who"
	for name, messages := range map[string][]any{
		"granted":                 {path, "BEGIN", "GRANT keepers TO shop_app", read, "ROLLBACK"},
		"granted, one message":    {path, "BEGIN", "GRANT keepers TO shop_app; " + read, "ROLLBACK"},
		"revoked":                 {"GRANT keepers TO shop_app", path, "SELECT name FROM granted", "BEGIN", "REVOKE keepers FROM shop_app", read, "ROLLBACK"},
		"revoked, one message":    {"GRANT keepers TO shop_app", path, "SELECT name FROM granted", "BEGIN", "REVOKE keepers FROM shop_app; " + read, "ROLLBACK"},
		"granted in a pipeline":   {path, "BEGIN", extended("GRANT keepers TO shop_app"), extended(read), sync, "ROLLBACK"},
		"by another role":         {path, "BEGIN", "CREATE ROLE between ROLE shop_app", "GRANT keepers TO between", read, "ROLLBACK"},
		"by another, one message": {path, "BEGIN", "CREATE ROLE between ROLE shop_app; GRANT keepers TO between; " + read, "ROLLBACK"},
		"to a member":             {path, "BEGIN", "CREATE ROLE between", "GRANT between TO shop_app", "GRANT keepers TO between; " + read, "ROLLBACK"},
	} {
		t.Run(name, func(t *testing.T) {
			defer asLogin(t, w)("REVOKE keepers FROM shop_app GRANTED BY shop_app")
			if got := walk(t, dsn)(messages...); strings.Contains(got, canary) {
				t.Errorf("through Scopewire: %s", got)
			}
			if strings.HasPrefix(name, "revoked") && majorOf(t, w.Postgres.Version) >= 17 {
				// The path is made anew when memberships change (InitializeSearchPath).
				return
			}
			if got := asLogin(t, w)(messages...); !strings.Contains(got, canary) {
				t.Errorf("without Scopewire: %s", got)
			}
		})
	}
}
