package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// by is what decided, on one line.
func (f Finding) by() string {
	if f.Code != "" {
		return f.Code
	}
	var list []string
	for _, r := range f.Rules {
		list = append(list, r.Path)
	}
	return strings.Join(list, ", ")
}

// TestNeededGrantIsEnough: the grant that an explanation names covers the access.
func TestNeededGrantIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		odd := rapid.SampledFrom([]string{"t", "Mixed", "a b", `q"uote`, "it's", "null", "true", "1st", "ünï", "x:y", "#", "-"})
		kinds := rapid.SampledFrom([]access.Object{
			{Kind: access.Table, Schema: "s"}, {Kind: access.Sequence, Schema: "s"}, {Kind: access.Schema},
			{Kind: access.Function, Schema: "s", Arguments: []string{"integer", "character varying[]"}},
			{Kind: access.Procedure, Schema: "pg_catalog", Arguments: []string{}}, {Kind: access.Channel},
			{Kind: access.Type, Schema: "information_schema"}, {Kind: access.Database},
		})
		o := kinds.Draw(t, "kind")
		o.Name = odd.Draw(t, "name")
		a := access.Access{Action: rapid.SampledFrom(access.Actions()).Draw(t, "action"), Resolved: o}
		if rapid.Bool().Draw(t, "columns") {
			a.Columns = rapid.SliceOfDistinct(odd, rapid.ID[string]).Draw(t, "names")
		} else {
			a.AllColumns = rapid.Bool().Draw(t, "all")
		}
		if rapid.Bool().Draw(t, "trust") {
			a.Trust = []access.Trust{{Code: "f"}}
		}
		grant := "{actions: [select], objects: [other.t]}"
		for range 2 { // One grant for the access, and one for trust.
			p, err := Parse([]byte(minimal + "scopes:\n  s: [" + grant + "]\n"))
			if err != nil {
				t.Fatalf("%s: %s", grant, err)
			}
			f := p.Principal([]string{"s"}).Explain(Request{}, a)
			if f.Reason == access.Granted {
				return
			}
			if grant = f.Needed; grant == "" {
				if coverable(a.Action, o.Kind) && (len(a.Trust) == 0 || runsCode(o.Kind)) {
					t.Fatalf("%+v: no grant would help", a)
				}
				return
			}
		}
		p, err := Parse([]byte(minimal + "scopes:\n  s: [" + grant + "]\n"))
		if err != nil {
			t.Fatalf("%s: %s", grant, err)
		}
		if ok, _ := p.Principal([]string{"s"}).Covers(a); !ok {
			t.Fatalf("%+v is not covered by %s", a, grant)
		}
	})
}

func TestExplainNamesTheLine(t *testing.T) {
	p := mustParse(t, `scopes:
  orders.read:
    - actions: [select]
      objects: [public.orders]
      columns: [id]
    - actions: [select]
      objects: [public.orders]
      columns: [total]
deny:
  - objects: [private.*]
`)
	g := p.Principal([]string{"orders.read"})
	f := g.Explain(Request{}, access.Access{
		Action: access.Select, Columns: []string{"id", "total"},
		Resolved: access.Object{Kind: access.Table, Schema: "public", Name: "orders"},
	})
	if len(f.Rules) != 2 || f.Rules[0].Line != 7 || f.Rules[1].Line != 10 {
		t.Errorf("granted by %+v", f.Rules)
	}
	f = g.Explain(Request{}, access.Access{Action: access.Select, Resolved: access.Object{Kind: access.Table, Schema: "private", Name: "t"}})
	if len(f.Rules) != 1 || f.Rules[0] != (Rule{Path: "deny[0]", Line: 14}) || f.Needed != "" {
		t.Errorf("denied by %+v", f)
	}
}
