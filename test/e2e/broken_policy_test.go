package e2e_test

import (
	"os"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/test/cluster"
)

// TestFault_F09_BrokenPolicy: a policy file that is broken, half written or gone leaves the
// last good one in force: it neither allows nor denies anything else, and the log says
// what is wrong. A good one is in force again at once.
func TestFault_F09_BrokenPolicy(t *testing.T) {
	c := newChanging(t)
	s := session{t, cluster.Connect(t, c.World, "keeper")}
	before := c.granted[:strings.Index(c.granted, "scopes:")]
	for name, broken := range map[string]string{
		"empty":                        "",
		"not YAML":                     "version: [1\n",
		"bytes":                        "\x00\xff\xfe",
		"an unknown key":               c.granted + "\nallow_all: true\n",
		"another version":              strings.Replace(c.granted, "version: 1", "version: 2", 1),
		"a scope that is no list":      before + "scopes:\n  keeper: everything\n",
		"an action that there is not":  strings.Replace(c.granted, "select", "selekt", 1),
		"cut off within a word":        c.granted[:strings.Index(c.granted, "public.papers")+4],
		"an issuer without an address": strings.Replace(c.granted, "- issuer: ", "- issuer: x", 1),
	} {
		t.Run(name, func(t *testing.T) {
			complaints := func() int {
				b, err := os.ReadFile(c.LogFile())
				if err != nil {
					t.Fatal(err)
				}
				return strings.Count(string(b), "policy not in force")
			}
			said := complaints()
			if err := os.WriteFile(c.PolicyFile(), []byte(broken), 0o644); err != nil { //nolint:gosec // G306: as the demo's.
				t.Fatal(err)
			}
			until(t, "nobody notices", func() bool { return complaints() > said })
			for sql, want := range map[string]string{
				"SELECT id FROM notes WHERE id > 0": "", "INSERT INTO notes VALUES (1)": "42501", "CREATE TABLE x (id int)": "42501", "SELECT 1": "",
				"SELECT rolpassword FROM pg_authid": "42501",
			} {
				if got := s.state(sql + " -- " + name); got != want {
					t.Errorf("%s: %q, want %q", sql, got, want)
				}
			}
			c.restore()
		})
	}
}
