package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// pairs are the kinds of object for which an action can be granted.
var pairs = map[access.Action][]access.Kind{
	access.Select:     {access.Table, access.Sequence},
	access.Insert:     {access.Table},
	access.Update:     {access.Table, access.Sequence},
	access.Delete:     {access.Table},
	access.Truncate:   {access.Table},
	access.References: {access.Table},
	access.Trigger:    {access.Table},
	access.Execute:    {access.Function, access.Procedure},
	access.Usage:      {access.Sequence, access.Schema, access.Type},
	access.Temporary:  {access.Database},
	access.Connect:    {access.Database},
	access.Maintain:   {access.Table},
	access.Listen:     {access.Channel},
	access.Notify:     {access.Channel},
	access.Set:        {access.Setting},
	access.DDL:        {access.Schema},
	access.Admin:      {access.Database, access.Setting, access.Function},
}

// named is an object of each kind, as a policy writes it.
var named = map[access.Kind]string{
	access.Table: "app.t", access.Sequence: "sequence:app.s", access.Function: "function:app.f(integer)", access.Procedure: "procedure:app.p",
	access.Schema: "schema:app", access.Database: "database:app", access.Setting: "setting:app.x", access.Channel: "channel:c", access.Type: "type:app.y",
}

// TestEveryPair: a grant loads if it can cover something, and then it does; a deny
// loads if it can match something, and then it does.
func TestEveryPair(t *testing.T) {
	for _, action := range access.Actions() {
		for _, kind := range access.Kinds() {
			a := access.Access{Action: action, Resolved: object(t, named[kind]), AllColumns: true}
			line := fmt.Sprintf("{actions: [%s], objects: ['%s']}", action, named[kind])
			means := slices.Contains(pairs[action], kind)
			p, err := Parse([]byte(minimal + "scopes: {s: [" + line + "]}\n"))
			switch {
			case means != (err == nil):
				t.Errorf("a grant of %s on a %s: %v", action, kind, err)
			case err == nil:
				if ok, by := p.Principal([]string{"s"}).Covers(a); !ok || by != "scopes.s[0]" {
					t.Errorf("%s on a %s is not covered", action, kind)
				}
			case !strings.Contains(err.Error(), "^") || action != access.DDL && !strings.Contains(err.Error(), "those are "):
				t.Errorf("%s on a %s: %v", action, kind, err)
			}
			// A deny may keep single objects of a schema from ddl.
			matches := means || action == access.DDL && inSchema(kind)
			p, err = Parse([]byte(minimal + "deny: [" + line + "]\n"))
			if matches != (err == nil) {
				t.Errorf("a deny of %s on a %s: %v", action, kind, err)
			}
			if err == nil {
				if d := p.Principal(nil).Explain(Request{}, a); d.Reason != access.ExplicitDeny {
					t.Errorf("a deny of %s on a %s does not match: %s", action, kind, d.Reason)
				}
			}
		}
	}
}

// TestPairsOfTokens: what a token says by a template or by itself is held to the same.
func TestPairsOfTokens(t *testing.T) {
	p := mustParse(t, "    trust_authorization_details: all\nscope_templates:\n  '{o}:{a}': [{actions: ['{a}'], objects: ['{o}']}]\n")
	table := access.Object{Kind: access.Table, Schema: "app", Name: "t"}
	for _, action := range access.Actions() {
		a := access.Access{Action: action, Resolved: table, AllColumns: true}
		want := slices.Contains(pairs[action], access.Table)
		if ok, _ := p.Principal([]string{"app.t:" + string(action)}).Covers(a); ok != want {
			t.Errorf("%s by a template: %t", action, ok)
		}
		detail := Detail{Actions: []string{string(action)}, Objects: []string{"app.t"}}
		if err := CheckDetails([]Detail{detail}); want != (err == nil) {
			t.Errorf("%s by a token: %v", action, err)
		}
	}
}

// TestWildcardsNeverAdminister: admin is granted by name, whatever else is.
func TestWildcardsNeverAdminister(t *testing.T) {
	g := mustParse(t, `scopes:
  s: [{actions: ['*'], objects: ['*.*', 'function:*.*', 'procedure:*.*', 'schema:*', 'database:*', 'setting:*', 'setting:*.*', 'sequence:*.*', 'type:*.*', 'channel:*']}]
`).Principal([]string{"s"})
	for _, kind := range access.Kinds() {
		o := object(t, named[kind])
		if ok, _ := g.Covers(access.Access{Action: access.Admin, Resolved: o, AllColumns: true}); ok {
			t.Errorf("admin on a %s", kind)
		}
		for action, kinds := range pairs {
			if action == access.Admin || !slices.Contains(kinds, kind) {
				continue
			}
			if ok, _ := g.Covers(access.Access{Action: action, Resolved: o, AllColumns: true}); !ok {
				t.Errorf("no %s on a %s", action, kind)
			}
		}
	}
}
