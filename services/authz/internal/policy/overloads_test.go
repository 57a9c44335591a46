package policy

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestOverloads: all functions of a name, whether there are any or not, are covered by
// what covers every one of them; a deny of one speaks against it.
func TestOverloads(t *testing.T) {
	for _, test := range []struct {
		name, grant, deny string
		want              bool
	}{
		{"no grant", "function:other.f", "", false},
		{"the name", "function:public.f", "", true},
		{"a wildcard", "function:public.*", "", true},
		{"everything", "function:*.*", "", true},
		{"one overload", "function:public.f(integer)", "", false},
		{"the overload without arguments", "function:public.f()", "", false},
		{"a deny of the schema", "function:*.*", "function:public.*", false},
		{"a deny of one overload", "function:*.*", "function:public.f(integer)", false},
		{"a deny of another name", "function:*.*", "function:public.g(integer)", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			more := "scopes:\n  s: [{actions: [execute], objects: ['" + test.grant + "']}]\n"
			if test.deny != "" {
				more += "deny: [{objects: ['" + test.deny + "']}]\n"
			}
			g := mustParse(t, more).Principal([]string{"s"})
			o := access.Object{Kind: access.Function, Schema: "public", Name: "f", Overloads: true}
			if got, why := g.Covers(access.Access{Action: access.Execute, Named: o, Resolved: o}); got != test.want {
				t.Errorf("covered %t (%s), want %t", got, why, test.want)
			}
		})
	}
}
