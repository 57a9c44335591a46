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
	// stdin is what the program reads.
	stdin string
}

// programs are the clients, each of which leaves the database as it was.
func programs() []client {
	const python = "/usr/lib/python3/dist-packages/"
	return []client{
		{name: "Django migrate", needs: python + "django", command: []string{"/usr/bin/python3", "scripts/django/migrate.py", "DSN"}},
		{name: "psql --single-transaction", command: []string{"psql", "-X", "-a", "--single-transaction", "-v", "ON_ERROR_STOP=1", "-f", "scripts/single_transaction.sql", "DSN"}},
	}
}

// TestClients compares what each client prints through Scopewire with what it prints
// without.
func TestClients(t *testing.T) {
	direct, proxied := sides(t)
	for _, c := range programs() {
		t.Run(c.name, func(t *testing.T) {
			installed(t, c)
			want := direct.run(t, c.stdin, c.command...)
			got := proxied.run(t, c.stdin, c.command...)
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
