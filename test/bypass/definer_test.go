package bypass_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// A deny on what a function reads with its owner's rights holds for as long as its body can be
// looked into: a change in the same message must not put it out of sight.

const definerSchemas = `
CREATE SCHEMA lab;
CREATE SCHEMA vault;
GRANT USAGE, CREATE ON SCHEMA lab, vault TO shop_app;
SET SESSION AUTHORIZATION shop_app;
CREATE TABLE vault.pay (canary text);
INSERT INTO vault.pay VALUES ('canary');
CREATE TABLE lab.steps (k int, n int);
CREATE TYPE lab.feel AS ENUM ('sad');
INSERT INTO lab.steps VALUES (1, 1);
CREATE FUNCTION lab.shows() RETURNS text LANGUAGE sql SECURITY DEFINER
	BEGIN ATOMIC SELECT canary FROM vault.pay, lab.steps WHERE k = 1 AND 'sad'::lab.feel IS NOT NULL; END;
CREATE FUNCTION lab.quoted() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = lab
	AS 'SELECT canary FROM vault.pay, steps';
CREATE FUNCTION lab.open() RETURNS int LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT k FROM lab.steps; END;
RESET SESSION AUTHORIZATION;
`

const definerScopes = `  caller:
    - {actions: [ddl], objects: ["schema:lab"]}
    - {actions: [select], objects: ["lab.*"]}
    - {actions: [usage], objects: ["type:lab.*"]}
    - {actions: [execute], objects: ["function:lab.*"]}
deny:
  - objects: ["vault.*"]
`

// TestDefinersKeepDenies: each message shows the canary when the login itself sends it, and
// nothing through Scopewire.
func TestDefinersKeepDenies(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: definerSchemas, Scopes: definerScopes, Users: []demo.User{
		{Name: "carl", Scopes: []string{"caller"}, About: "calls functions that read what is denied"},
	}})
	token, err := w.Token("carl")
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string]string{
		"alone":               "SELECT lab.shows()",
		"a string alone":      "SELECT lab.quoted()",
		"a column renamed":    "ALTER TABLE lab.steps RENAME k TO z; SELECT lab.shows()",
		"another column":      "ALTER TABLE lab.steps RENAME n TO z; SELECT lab.quoted()",
		"a table renamed":     "ALTER TABLE lab.steps RENAME TO strides; SELECT lab.shows()",
		"a table moved":       "CREATE TABLE lab.other (); ALTER TABLE lab.steps RENAME k TO z; ALTER TABLE lab.steps RENAME TO other2; SELECT lab.shows()",
		"a type renamed":      "ALTER TYPE lab.feel RENAME TO mood; SELECT lab.shows()",
		"the function itself": "ALTER FUNCTION lab.shows() RENAME TO other; ALTER TABLE lab.steps RENAME k TO z; SELECT lab.other()",
	} {
		t.Run(name, func(t *testing.T) {
			message = "BEGIN; " + message + "; ROLLBACK"
			if got := walk(t, w.ConnString("carl")+" password="+token)(message); strings.Contains(got, canary) {
				t.Errorf("through Scopewire: %s", got)
			}
			if got := walk(t, w.Postgres.ConnString(demo.Database))(message); !strings.Contains(got, canary) {
				t.Errorf("without Scopewire: %s", got)
			}
		})
	}
	served := func(name, message string) {
		t.Run(name, func(t *testing.T) {
			conn, err := pgconn.Connect(t.Context(), w.ConnString("carl")+" password="+token)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(context.Background()) }()
			if _, err := conn.Exec(t.Context(), message).ReadAll(); err != nil {
				t.Errorf("%s: %s", message, err)
			}
		})
	}
	served("what is not denied is served", "SELECT lab.open()")
	served("and beside what was made", "BEGIN; CREATE TABLE lab.fresh (id int); SELECT lab.open(); ROLLBACK")
}
