package introspection_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
)

// TestClients compares what ORMs and JDBC find through Scopewire with what they find
// as the login itself. A client that is not installed is skipped by name: they are
// Debian packages, which scripts/introspection installs.
func TestClients(t *testing.T) {
	w := start(t)
	for name, client := range map[string]struct {
		needs   string
		command []string
	}{
		"SQLAlchemy":   {"/usr/lib/python3/dist-packages/sqlalchemy", []string{"/usr/bin/python3", "clients/sqlalchemy_reflect.py"}},
		"Django":       {"/usr/lib/python3/dist-packages/django", []string{"/usr/bin/python3", "clients/django_inspectdb.py"}},
		"ActiveRecord": {"/usr/share/rubygems-integration/all/specifications", []string{"ruby", "clients/rails_schema.rb"}},
		"JDBC":         {"/usr/share/java/postgresql.jar", []string{"java", "-cp", "/usr/share/java/postgresql.jar", "clients/Metadata.java"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(client.needs); err != nil {
				t.Skipf("%s is not installed", name)
			}
			if _, err := exec.LookPath(client.command[0]); err != nil {
				t.Skipf("%s is not installed", client.command[0])
			}
			token, err := w.Token("carol")
			if err != nil {
				t.Fatal(err)
			}
			run := func(dsn, password string) string {
				c := exec.CommandContext(t.Context(), client.command[0], append(client.command[1:], dsn)...)
				c.Env = append(os.Environ(), "PGPASSWORD="+password)
				var out bytes.Buffer
				c.Stdout, c.Stderr = &out, &out
				if err := c.Run(); err != nil {
					t.Errorf("%v\n%s", err, out.String())
				}
				return withoutErrors(out.String())
			}
			want := run(direct(t, w))
			got := run(w.ConnString("carol"), token)
			if got != want {
				t.Errorf("%sthrough Scopewire:\n%s\ndirect:\n%s", why(t, w, got), got, want)
			}
		})
	}
}

// withoutErrors leaves out what the server's errors say: their texts are closed through
// Scopewire. Django prints one for the foreign table, which has no handler.
func withoutErrors(output string) string {
	var kept []string
	for line := range strings.Lines(output) {
		if line = strings.TrimRight(line, " \n"); line != "" && !strings.HasPrefix(line, "# The error was:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// direct is where the login itself connects, with its password, over TCP and TLS as
// through Scopewire.
func direct(t *testing.T, w *demo.World) (dsn, password string) {
	t.Helper()
	secret, err := os.ReadFile(filepath.Join(w.Dir, "app.password"))
	if err != nil {
		t.Fatal(err)
	}
	app, _ := w.Roles()
	return w.ConnStringAt(w.Postgres.Addr, app), strings.TrimSpace(string(secret))
}
