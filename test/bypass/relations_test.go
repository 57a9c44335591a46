package bypass_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
)

// relationCase is a statement about what relations and functions read, write and run
// by themselves.
type relationCase struct {
	Name string `yaml:"name"`
	SQL  string `yaml:"sql"`
	// Allowed statements must run, at Scopewire and at PostgreSQL; all others both refuse.
	Allowed bool `yaml:"allowed,omitempty"`
	// Why says why PostgreSQL does not refuse what Scopewire denies.
	Why string `yaml:"why,omitempty"`
	// Asked are the minor versions that began to refuse it as well, by major version.
	Asked pgtest.Minors `yaml:"asked,omitempty"`
	// Since is the first major version of the server that has what it uses.
	Since int `yaml:"since,omitempty"`
	// Until is the last at which it is so.
	Until int `yaml:"until,omitempty"`
}

// relationFiles hold the cases, one class a file.
func relationFiles() []string {
	return []string{"view.yaml", "body.yaml", "itself.yaml", "merge.yaml", "order.yaml"}
}

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRelationsAgainstPostgres holds each case against a role with the same rights:
// what PostgreSQL refuses is denied, what is called allowed runs on both, and what only
// Scopewire denies says why.
func TestRelationsAgainstPostgres(t *testing.T) {
	sql, rights := pgtest.ServedBy(t, file(t, "relations.sql")), pgtest.ServedBy(t, file(t, "relations_rights.sql"))
	w := cluster.Start(t, demo.Config{SQL: sql, Scopes: file(t, "relations_scopes.yaml"),
		Users: []demo.User{{Name: "rita", Scopes: []string{"rita"}, About: "reads and writes what is not as it seems"}}})
	proxy := cluster.Connect(t, w, "rita").PgConn()
	bare := cluster.Start(t, demo.Config{SQL: sql + rights, WithoutServices: true})
	server, err := pgconn.Connect(t.Context(), bare.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	if code := code(t, server, "SET SESSION AUTHORIZATION rita"); code != "" {
		t.Fatal(code)
	}
	for _, name := range relationFiles() {
		for _, c := range read[[]relationCase](t, name) {
			if !(testCase{Since: c.Since, Until: c.Until}).servedBy(t, server) {
				continue
			}
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				if c.Asked.In(pgtest.VersionNum(server.ParameterStatus("server_version"))) {
					c.Why = ""
				}
				theirs, ours := inTransaction(t, server, c.SQL), inTransaction(t, proxy, c.SQL)
				switch {
				case c.Allowed && (theirs != "" || ours != ""):
					t.Errorf("%s\nis allowed; PostgreSQL %q, Scopewire %q", c.SQL, theirs, ours)
				case !c.Allowed && ours != "42501":
					t.Errorf("%s\nis an attack; Scopewire %q", c.SQL, ours)
				case !c.Allowed && (theirs == "42501") == (c.Why != ""):
					t.Errorf("%s\nPostgreSQL %q; why: %q", c.SQL, theirs, c.Why)
				}
			})
		}
	}
}

// inTransaction runs a text and takes back what it did; it returns the SQLSTATE.
func inTransaction(t *testing.T, conn *pgconn.PgConn, sql string) string {
	t.Helper()
	if code := code(t, conn, "BEGIN"); code != "" {
		t.Fatalf("BEGIN: %s", code)
	}
	found := code(t, conn, sql)
	if code := code(t, conn, "ROLLBACK"); code != "" {
		t.Fatalf("ROLLBACK after %s: %s", sql, code)
	}
	return found
}
