package policy

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// A harmless setting needs no grant, so that no access stands for it; it is an effect
// of the statement. An explicit deny speaks about it all the same.

// deniedSetting returns a setting that a statement sets though a deny speaks against
// it. What set_config sets where it does not show, any such deny speaks against.
func (t *trial) deniedSetting(s *access.Statement) (access.Access, bool) {
	for _, e := range s.Effects {
		switch e.Kind {
		case access.EffectSet, access.EffectSetLocal:
			if a, barred := t.barred(e.Name); barred {
				return a, true
			}
		case access.EffectOpaque:
			if !ownsEffect(s.Kind) && t.deniesSettings() {
				o := access.Object{Kind: access.Setting}
				return access.Access{Action: access.Set, Named: o, Resolved: o}, true
			}
		default:
			// Nothing else sets anything but to what the session started with.
		}
	}
	return access.Access{}, false
}

// barred reports whether a deny speaks against setting a setting.
func (t *trial) barred(name string) (access.Access, bool) {
	o := access.Object{Kind: access.Setting, Name: name}
	a := access.Access{Action: access.Set, Named: o, Resolved: o, Within: true}
	return a, t.judge(&a) == denied
}

// ownsEffect reports whether a command is opaque by itself, whatever it sets: these go
// back to the session's start, or run code that was granted in trust.
func ownsEffect(kind string) bool {
	command, _, _ := strings.Cut(kind, " ")
	switch command {
	case "discard", "set", "reset", "do", "load":
		return true
	default:
		return false
	}
}

// deniesSettings reports whether any deny on settings counts here and now.
func (t *trial) deniesSettings() bool {
	for _, r := range t.policy.denies {
		sets := slices.ContainsFunc(r.actions, func(a actionItem) bool { return a.action == access.Set || a.action == anyAction })
		on := slices.ContainsFunc(r.objects, func(p pattern) bool { return p.kind == access.Setting })
		if sets && on && t.denies(r) {
			t.deniedBy = r
			return true
		}
	}
	return false
}

// MayStart returns the first of the settings a session is to start with that a deny
// speaks against; none is "". Whether they need a grant is analysis's to say.
func (g *Grants) MayStart(r Request, settings []string) string {
	t := trial{Grants: g, request: r}
	for _, name := range settings {
		if _, barred := t.barred(name); barred {
			return name
		}
	}
	return ""
}
