package snapshotter

import (
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/pgtest"
)

// TestServersOwnSearchPath: what a role's session starts with may come from the
// server's files, and changes there without any transaction.
func TestServersOwnSearchPath(t *testing.T) {
	srv := pgtest.Start(t, pgtest.Setting("search_path", "one, two"))
	f := newFixture(t, srv, "")
	role := f.cfg.Databases[0].User
	s := f.idle(t)
	path := func() string { return fresh(t, s, f.name).RoleByName("postgres").SearchPath }
	if got := path(); got != "one, two" {
		t.Errorf("at first: %q", got)
	}
	f.exec(t, "ALTER SYSTEM SET search_path = three")
	f.exec(t, "SELECT pg_reload_conf()")
	for end := time.Now().Add(10 * time.Second); path() != "three"; {
		// The signal takes its way through the postmaster.
		if time.Now().After(end) {
			t.Fatalf("after the files changed: %q", path())
		}
	}
	// The login's own setting hides the server's: then nobody can tell.
	f.exec(t, "ALTER ROLE "+role+" SET search_path = evil")
	f.net.cut(false)
	if got := path(); got != "" {
		t.Errorf("behind a setting of the login: %q", got)
	}
	if got := fresh(t, s, f.name).RoleByName(role).SearchPath; got != "evil" {
		t.Errorf("the login's: %q", got)
	}
	f.exec(t, "ALTER ROLE postgres SET search_path = mine")
	if got := path(); got != "mine" {
		t.Errorf("a role's own: %q", got)
	}
}
