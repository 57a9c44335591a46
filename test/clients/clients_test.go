package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
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
	const python, node, jdbc = "/usr/lib/python3/dist-packages/", "scripts/node/node_modules/", "/usr/share/java/postgresql.jar"
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
		{name: "postgres.js", needs: node + "postgres", command: []string{"node", "scripts/node/postgres.mjs", "DSN"}},
		{name: "Knex migrate", needs: node + "knex", command: []string{"node", "scripts/node/knex.mjs", "DSN"}},
		{name: "Sequelize sync", needs: node + "sequelize", command: []string{"node", "scripts/node/sequelize.mjs", "DSN"}},
		{name: "libpq", needs: namedLibpq(), command: []string{"/usr/bin/python3", "scripts/libpq.py", namedLibpq(), "session", "DSN"}},
		{name: "psql over libpq", needs: namedLibpq(), command: []string{"env", "LD_LIBRARY_PATH=" + filepath.Dir(namedLibpq()), "psql", "-X", "-a", "-v", "ON_ERROR_STOP=1",
			"-f", "scripts/dump.sql", "-f", "scripts/migration.sql", "-f", "scripts/drop.sql", "DSN"}},
		{name: "JDBC", needs: jdbc, command: []string{"java", "-cp", jdbc, "scripts/Session.java", "DSN"}},
		{name: "ODBC", needs: "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so", command: []string{"/usr/bin/python3", "scripts/odbc_session.py", "DSN", "0"}},
		{name: "ODBC with cursors", needs: "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so", command: []string{"/usr/bin/python3", "scripts/odbc_session.py", "DSN", "1"}},
	}
}

// namedLibpq is the libpq that SCOPEWIRE_LIBPQ names: one that is newer than the system's.
func namedLibpq() string {
	if name := os.Getenv("SCOPEWIRE_LIBPQ"); name != "" {
		return name
	}
	return "SCOPEWIRE_LIBPQ"
}

// TestLibpqOAuth: a libpq that speaks OAUTHBEARER is told where to get a token, comes
// again with it, and has a session.
func TestLibpqOAuth(t *testing.T) {
	installed(t, client{name: "libpq", needs: namedLibpq(), command: []string{"/usr/bin/python3"}})
	_, proxied := sides(t)
	out := proxied.run(t, "/usr/bin/python3", "scripts/libpq.py", namedLibpq(), "oauth",
		proxied.dsn+" options='-c scopewire.auth=oauth' oauth_client_id=tests oauth_issuer="+proxied.world.Issuer.Issuer())
	const want = "asked for a token, discovery True\n('SELECT 1', [['1']], None)\n"
	if out != want {
		t.Errorf("got %q, want %q", out, want)
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
