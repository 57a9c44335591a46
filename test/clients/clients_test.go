package clients_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// client is a program and what it needs.
type client struct {
	name string
	// needs is a file that the client's package installs.
	needs   string
	command []string
}

// programs are the clients, each of which leaves the database as it was.
func programs() []client {
	const python = "/usr/lib/python3/dist-packages/"
	return []client{
		{name: "Django migrate", needs: python + "django", command: []string{"/usr/bin/python3", "scripts/django/migrate.py", "DSN"}},
		{name: "ActiveRecord migrate", needs: "/usr/share/rubygems-integration/all/specifications", command: []string{"ruby", "scripts/active_record.rb", "DSN"}},
		{name: "Alembic", needs: python + "alembic", command: []string{"/usr/bin/python3", "scripts/alembic_session.py", "DSN"}},
		{name: "psql --single-transaction", command: []string{"psql", "-X", "-a", "--single-transaction", "-v", "ON_ERROR_STOP=1",
			"-f", "scripts/dump.sql", "-f", "scripts/migration.sql", "-f", "scripts/drop.sql", "DSN"}},
		{name: "pgbench", needs: "/usr/bin/pgbench", command: []string{"sh", "scripts/pgbench.sh", "DSN"}},
		{name: "asyncpg", needs: python + "asyncpg", command: []string{"/usr/bin/python3", "scripts/asyncpg_session.py", "DSN"}},
		{name: "psycopg 2", needs: python + "psycopg2", command: []string{"/usr/bin/python3", "scripts/psycopg2_session.py", "DSN"}},
		{name: "psycopg 3", needs: python + "psycopg", command: []string{"/usr/bin/python3", "scripts/psycopg_session.py", "DSN"}},
		{name: "ODBC", needs: "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so", command: []string{"/usr/bin/python3", "scripts/odbc_session.py", "DSN", "0"}},
		{name: "ODBC with cursors", needs: "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so", command: []string{"/usr/bin/python3", "scripts/odbc_session.py", "DSN", "1"}},
	}
}

// TestClients compares what each client prints through Scopewire with what it prints
// without.
func TestClients(t *testing.T) {
	direct, proxied := sides(t)
	for _, c := range programs() {
		t.Run(c.name, func(t *testing.T) {
			installed(t, c)
			want := direct.run(t, c.command...)
			got := proxied.run(t, c.command...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%sPostgreSQL (-) and Scopewire (+):\n%s", proxied.why(t, got), diff)
			}
		})
	}
}

// installed skips a client that this machine does not have.
func installed(t *testing.T, c client) {
	t.Helper()
	if c.needs != "" {
		if _, err := os.Stat(c.needs); err != nil {
			t.Skipf("%s is not installed: %v", c.name, err)
		}
	}
	if _, err := exec.LookPath(c.command[0]); err != nil {
		t.Skipf("%s is not installed: %v", c.command[0], err)
	}
}
