package bypass_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// Code that a grant trusts runs with the login's rights. What it puts into the session's
// temporary schema is not the principal's; what the principal's own statement makes while
// code runs is.

const plantedSchemas = contexts + `
CREATE FUNCTION far.plant() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
	'BEGIN CREATE TEMP TABLE planted AS SELECT name FROM far.who; RETURN ''planted''; END';
ALTER FUNCTION far.plant() OWNER TO shop_app;
CREATE FUNCTION near.word() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''a word''; END';
`

const plantedScopes = contextScopes + `  planter:
    - {actions: [execute], objects: ["function:far.plant", "function:near.word"], trusted: true}
    - {actions: [temporary], objects: ["database:shop"]}
`

// TestPlantedTables: each of the first walks reveals the canary when the login sends it
// to the server itself, and nothing through Scopewire; the others are as on the server.
func TestPlantedTables(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: plantedSchemas, Scopes: plantedScopes, Users: []demo.User{{Name: "pia", Scopes: []string{"planter"}, About: "calls trusted code"}}})
	token, err := w.Token("pia")
	if err != nil {
		t.Fatal(err)
	}
	through, straight := w.ConnString("pia")+" password="+token, w.Postgres.ConnString(demo.Database)
	const read, made = "SELECT name FROM planted", "CREATE TEMP TABLE own AS SELECT far.plant() AS p"
	for name, messages := range map[string][]any{
		"called":                    {"SELECT far.plant()", read},
		"called while a table made": {made, read},
		"into a table":              {"SELECT far.plant() AS p INTO TEMP own", read},
		"in a transaction":          {"BEGIN", made, read},
		"in a pipeline":             {extended(made), extended(read), sync},
		"behind a savepoint":        {"BEGIN", "SAVEPOINT s", made, "RELEASE s", read, "COMMIT"},
		"a view":                    {made, "CREATE TEMP VIEW seen AS SELECT name FROM planted", "SELECT name FROM seen"},
		"a child":                   {made, "CREATE TEMP TABLE child () INHERITS (planted)", read},
		"a copy":                    {made, "CREATE TEMP TABLE seen AS SELECT name FROM planted", "SELECT name FROM seen"},
		"renamed":                   {made, "ALTER TABLE planted RENAME TO own2", "SELECT name FROM own2"},
		"in the own name's place":   {made, "DROP TABLE own", "ALTER TABLE planted RENAME TO own", "SELECT name FROM own"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := walk(t, through)(messages...); strings.Contains(got, canary) {
				t.Errorf("through Scopewire: %s", got)
			}
			if got := walk(t, straight)(messages...); !strings.Contains(got, canary) {
				t.Errorf("without Scopewire: %s", got)
			}
		})
	}
	for name, messages := range map[string][]any{
		"made while code runs": {"CREATE TEMP TABLE own AS SELECT near.word() AS w", "SELECT w FROM own", "CREATE INDEX ON own (w)", "ALTER TABLE own ADD id serial PRIMARY KEY",
			"SELECT id, w FROM own", "CREATE TEMP VIEW seen AS SELECT w FROM own", "SELECT w FROM seen", "DROP VIEW seen", "DROP TABLE own", "SELECT 1"},
		"in a transaction":     {"BEGIN", "SELECT near.word() AS w INTO TEMP own", "CREATE TEMP TABLE more (id serial PRIMARY KEY)", "SELECT w FROM own", "COMMIT", "SELECT w FROM own", "SELECT id FROM more"},
		"the name is taken":    {"CREATE TEMP TABLE planted AS SELECT far.plant() AS name", "SELECT 1"},
		"if it is not there":   {"CREATE TEMP TABLE IF NOT EXISTS own AS SELECT near.word() AS w", "SELECT w FROM own", "CREATE TEMP TABLE more (id int)"},
		"made before the code": {"CREATE TEMP TABLE own (id int)", "SELECT near.word()", "INSERT INTO own VALUES (1)", "SELECT id FROM own", "CREATE INDEX ON own (id)"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(walk(t, straight)(messages...), walk(t, through)(messages...)); diff != "" {
				t.Errorf("PostgreSQL (-) and Scopewire (+) of %v:\n%s", messages, diff)
			}
		})
	}
}
