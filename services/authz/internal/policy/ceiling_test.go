package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// drawRule draws actions and objects of many kinds.
func drawRule(t *rapid.T, label string) ([]string, []string) {
	actions := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"*", "select", "usage", "execute", "set", "update"}), 1, 3, rapid.ID[string]).
		Draw(t, label+" actions")
	objects := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
		"*.*", "public.*", "*.t", "public.t", "hr.t", "pg_catalog.t", "pg_catalog.*", "schema:*", "schema:public", "schema:pg_catalog",
		"function:*.*", "function:public.f", "function:public.f(integer)", "function:public.f(text)", "function:*.f",
		"setting:*", "setting:role", "setting:x", "setting:app.*", "setting:App.x", "setting:*.*", "sequence:public.*", "sequence:*.t",
	}), 1, 4, rapid.ID[string]).Draw(t, label+" objects")
	return actions, objects
}

// TestCeilingIsTheIntersection: what is left of a token's grant under a ceiling
// covers just what both of them cover.
func TestCeilingIsTheIntersection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := make([]*rule, 2)
		for i, label := range []string{"token", "ceiling"} {
			c := &compiler{report: newReport(nil)}
			actions, objects := drawRule(t, label)
			rules[i] = &rule{
				name: label, actions: compileActions(c, label, actions, nil), objects: compileObjects(c, label, objects, nil),
			}
			if err := c.Err(); err != nil {
				t.Fatal(err)
			}
		}
		var narrowed []*rule
		if r := (&ceiling{rule: rules[1]}).narrow(rules[0]); r != nil {
			narrowed = append(narrowed, r)
		}
		a := access.Access{
			Action: rapid.SampledFrom([]access.Action{access.Select, access.Usage, access.Execute, access.Set, access.Update, access.Admin}).Draw(t, "action"),
			Resolved: rapid.SampledFrom([]access.Object{
				{Kind: access.Table, Schema: "public", Name: "t"}, {Kind: access.Table, Schema: "hr", Name: "t"},
				{Kind: access.Table, Schema: "hr", Name: "u"}, {Kind: access.Table, Schema: "pg_catalog", Name: "t"},
				{Kind: access.Table, Schema: "pg_catalog", Name: "u"}, {Kind: access.Schema, Name: "pg_catalog"},
				{Kind: access.Sequence, Schema: "public", Name: "t"}, {Kind: access.Sequence, Schema: "public", Name: "u"},
				{Kind: access.Function, Schema: "public", Name: "f", Arguments: []string{"integer"}},
				{Kind: access.Function, Schema: "public", Name: "f", Arguments: []string{"text"}},
				{Kind: access.Function, Schema: "hr", Name: "f", Arguments: []string{}},
				{Kind: access.Setting, Name: "role"}, {Kind: access.Setting, Name: "x"}, {Kind: access.Setting, Name: "app.x"},
				{Kind: access.Setting, Name: "other.x"},
			}).Draw(t, "object"),
		}
		found := func(rules []*rule) bool {
			any := false
			newIndex(rules, grantable()).each(a.Action, a.Resolved, true, func(*entry) bool {
				any = true
				return false
			})
			return any
		}
		want := found(rules[:1]) && found(rules[1:])
		if got := found(narrowed); got != want {
			t.Fatalf("%s on %s: %t, want %t", a.Action, displayObject(a.Resolved), got, want)
		}
	})
}

// TestCheckDetails: what a token must not carry.
func TestCheckDetails(t *testing.T) {
	good := []Detail{
		{Actions: []string{"select"}, Objects: []string{`hr."Mixed"`}, Columns: []string{"id"}, Databases: []string{"app"}},
		{Presets: []string{"session"}},
		{Actions: []string{"select"}, Objects: []string{"public.t"}, HasRows: true},
	}
	if err := CheckDetails(good); err != nil {
		t.Error(err)
	}
	bad := []Detail{
		{},
		{Actions: []string{"read"}, Objects: []string{"public.t"}},
		{Actions: []string{"select"}, Objects: []string{"t"}},
		{Actions: []string{"select"}},
		{Actions: []string{"select"}, Objects: []string{"public.t"}, Databases: []string{}},
		{Actions: []string{"select"}, Objects: []string{"public.t"}, Databases: []string{""}},
		{Actions: []string{"delete"}, Objects: []string{"public.t"}, Columns: []string{"id"}},
		{Actions: []string{"{action}"}, Objects: []string{"public.t"}},
		{Presets: []string{"everything"}},
		{Presets: []string{"session"}, Columns: []string{"id"}},
		{Actions: []string{"admin"}, Objects: []string{"database:*"}},
	}
	for _, d := range bad {
		if err := CheckDetails([]Detail{d}); err == nil {
			t.Errorf("accepted: %+v", d)
		}
	}
	err := CheckDetails(bad[1:3])
	want := "2 problems:\n  authorization_details[0].actions[0]: there is no action \"read\"; the actions are " + join(access.Actions()) +
		"\n  authorization_details[1].objects[0]: \"t\": a table is named with its schema, as schema.name"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}
