package oracle

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/chains"
)

var chainRuns = flag.Int("chains", 25, "random chains of statements to compare")

// TestChains: several statements in one message, each of which changes what those after it
// mean. What is allowed is allowed by the server, to a role with the same grants.
func TestChains(t *testing.T) {
	rules, err := LoadRules("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	server := pgtest.Start(t, pgtest.Setting("max_connections", "100"))
	ctx := context.Background()
	d, err := Open(ctx, server.ConnString(pgtest.NewDatabaseOn(t, server, "")), strings.Split(strings.TrimSpace(chains.Schema), ";\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	var roles []*Role
	for _, grants := range chainGrants(d.Model.Database) {
		r, err := d.AddRole(ctx, "public", grants)
		if err != nil {
			t.Fatal(err)
		}
		roles = append(roles, r)
	}
	counts, denials := map[string]int{}, map[string]int{}
	all, allowed := 0, 0
	for i := range *chainRuns {
		random := rand.New(rand.NewPCG(*seed, uint64(i))) //nolint:gosec // G404: repeatable, not secret.
		text, err := d.chain(ctx, random)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range roles {
			c, lost, err := d.Compare(ctx, r, rules, Unit{SQL: text})
			if err != nil {
				t.Fatalf("%s: %s", text, err)
			}
			if all++; c.Verdict.Allow {
				allowed++
			}
			class := string(c.Class)
			if c.Class == Agree && c.Verdict.Allow {
				class += ", allowed"
			}
			if c.Class == Overdenied {
				// What analysis cannot follow it says. Objects that the message makes are its own
				// to the server, and have to be granted here.
				class = "denied, " + string(c.Verdict.Reason)
				denials[kindOf(c.Verdict.Detail)]++
			}
			if counts[class]++; !lost && (c.Class == Leak || c.Class == Unbound || c.Class == WrongError) {
				t.Errorf("seed %d, chain %d: %s", *seed, i, c)
			}
		}
	}
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%6d %s", counts[class], class)
	}
	for _, detail := range slices.Sorted(maps.Keys(denials)) {
		t.Logf("       %6d denied: %s", denials[detail], detail)
	}
	if allowed == 0 || allowed == all {
		t.Error("all were allowed, or none")
	}
}

// chain writes statements of which the server takes each after those before it, from the
// superuser.
func (d *Database) chain(ctx context.Context, random *rand.Rand) (string, error) {
	text := ""
	for n, tries := 2+random.IntN(7), 0; n > 0 && tries < 60; tries++ {
		next := text + chains.Statement(random) + ";\n"
		answer, lost, err := d.login.rolledBack(ctx, "public", Unit{SQL: next})
		if err != nil {
			return "", err
		}
		if !lost && answer.Ran() {
			text, n = next, n-1
		}
	}
	return text, nil
}

// chainGrants are those of three roles: one that may define where it may read all, one that
// may define in one schema and read some of another, and one that may define alone.
func chainGrants(database string) [][]Grant {
	within := func(schema string, trusted bool) []Grant {
		grants := []Grant{{Action: access.DDL, Kind: access.Schema, Name: schema, Trusted: trusted}}
		for _, action := range []access.Action{access.Select, access.Insert, access.Update, access.Delete, access.Truncate, access.References, access.Trigger} {
			grants = append(grants, Grant{Action: action, Kind: access.Table, Schema: schema, Name: every})
		}
		return append(grants, Grant{Action: access.Execute, Kind: access.Function, Schema: schema, Name: every},
			Grant{Action: access.Usage, Kind: access.Sequence, Schema: schema, Name: every})
	}
	temporary := Grant{Action: access.Temporary, Kind: access.Database, Name: database}
	only := func(schema, name string, columns ...string) Grant {
		return Grant{Action: access.Select, Kind: access.Table, Schema: schema, Name: name, Columns: columns}
	}
	return [][]Grant{
		slices.Concat(within("public", false), within("app", false), []Grant{temporary}),
		slices.Concat(within("app", false), []Grant{temporary, only("vault", "b", "x"), only("public", "a", "x", "y"), only("vault", "v")}),
		{temporary, {Action: access.DDL, Kind: access.Schema, Name: "public"}, {Action: access.DDL, Kind: access.Schema, Name: "app"},
			only("public", "a"), only("vault", "a", "y")},
	}
}
