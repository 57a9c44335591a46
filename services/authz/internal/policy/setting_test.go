package policy

import (
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestDeniedSettings: a deny speaks about what a statement sets, though harmless
// settings need no grant; where it does not show what set_config sets, any does.
func TestDeniedSettings(t *testing.T) {
	sets := func(name string) access.Effect { return access.Effect{Kind: access.EffectSet, Name: name} }
	opaque := access.Effect{Kind: access.EffectOpaque}
	for name, tt := range map[string]struct {
		deny    string
		kind    string
		effects []access.Effect
		allowed bool
	}{
		"the setting":             {"setting:application_name", "set", []access.Effect{sets("application_name")}, false},
		"for the transaction":     {"setting:application_name", "set", []access.Effect{{Kind: access.EffectSetLocal, Name: "application_name"}}, false},
		"by set_config, second":   {"setting:application_name", "select", []access.Effect{sets("work_mem"), sets("application_name")}, false},
		"by a wildcard":           {"setting:*", "set", []access.Effect{sets("application_name")}, false},
		"another":                 {"setting:application_name", "set", []access.Effect{sets("work_mem")}, true},
		"back to the start":       {"setting:application_name", "reset", []access.Effect{{Kind: access.EffectReset, Name: "application_name"}}, true},
		"hidden":                  {"setting:application_name", "select", []access.Effect{opaque}, false},
		"hidden in a write":       {"setting:work_mem", "insert", []access.Effect{opaque}, false},
		"hidden, no setting":      {"public.orders", "select", []access.Effect{opaque}, true},
		"DISCARD":                 {"setting:application_name", "discard all", []access.Effect{opaque}, true},
		"code in trust":           {"setting:application_name", "do", []access.Effect{opaque}, true},
		"a setting in a schema's": {"public.*", "set", []access.Effect{sets("application_name")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := mustParse(t, "deny: [{objects: ['"+tt.deny+"']}]").Grants(Principal{})
			d := g.Decide(access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Kind: tt.kind, Effects: tt.effects}}})
			if d.Allow != tt.allowed || !tt.allowed && (d.Reason != access.ExplicitDeny || d.Detail == "") {
				t.Errorf("%+v", d)
			}
		})
	}
	g := mustParse(t, "deny: [{objects: ['setting:application_name'], actions: [set], when: client.tls == false}]").Grants(Principal{})
	for tls, want := range map[bool]string{false: "application_name", true: ""} {
		r := Request{Now: time.Now(), Client: &Client{TLS: tls}}
		if got := g.MayStart(r, []string{"work_mem", "application_name"}); got != want {
			t.Errorf("TLS %t: %q", tls, got)
		}
		d := g.DecideIn(r, access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Kind: "select", Effects: []access.Effect{opaque}}}})
		if d.Allow != tls {
			t.Errorf("TLS %t: %+v", tls, d)
		}
	}
}
