package oracle

import (
	"context"
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
)

var listedOnly = flag.String("list", "", "the only list of testdata/listed to compare")

// TestListed compares the statements of testdata/listed with every right, with none, with
// exactly those that analysis names and with one less.
func TestListed(t *testing.T) {
	rules, err := LoadRules("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all, err := LoadListed("testdata/listed")
	if err != nil || len(all) == 0 {
		t.Fatalf("%d lists: %v", len(all), err)
	}
	server := pgtest.Start(t, pgtest.Setting("max_connections", "100"))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list := all[name]
		if !list.Served(server.Major) || *listedOnly != "" && *listedOnly != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			d, err := Open(t.Context(), server.ConnString(pgtest.NewDatabaseOn(t, server, "")), list.Schema)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close(context.Background())
			for _, sql := range list.Schema {
				if !slices.Contains(d.Schema, sql) {
					t.Errorf("the schema's %s fails", sql)
				}
			}
			roles, err := listedRoles(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list.Statements {
				found, err := d.Listed(t.Context(), roles, rules, s.SQL)
				if err != nil {
					t.Fatal(err)
				}
				first := found[0]
				switch {
				case !first.Server.Ran():
					t.Errorf("with everything granted it fails: %s", first)
					continue
				case s.Denied != "" && (first.Verdict.Allow || !strings.Contains(first.Verdict.Detail, s.Denied)):
					t.Errorf("it is to be denied (%s): %s", s.Denied, first)
				case s.Denied == "" && !first.Verdict.Allow:
					t.Errorf("with everything granted: %s", first)
				case s.Denied != "":
					continue
				}
				for _, c := range found {
					if c.Class.Failing() {
						t.Error(c)
						break
					}
				}
			}
		})
	}
}
