package policy

import "slices"

// Principal is who a verified token names, as far as policy asks.
type Principal struct {
	Issuer, Subject, ClientID string
	Scopes                    []string
	// Claims are all claims of the token as JSON values: string, bool, int64,
	// float64, nil, []any, map[string]any. Nil when they are not known, which
	// fails a condition on them. They are not changed.
	Claims map[string]any
	// Actors is the actor chain, outermost first.
	Actors []Actor
	// Details are the grants that the token carries.
	Details []Detail
}

// Actor is one link of an actor chain. Its issuer is empty when it is the
// token's.
type Actor struct{ Issuer, Subject string }

// actors are the actors as a condition sees them.
func (p *Principal) actors() []map[string]string {
	out := make([]map[string]string, len(p.Actors))
	for i, a := range p.Actors {
		out[i] = map[string]string{"issuer": a.Issuer, "subject": a.Subject}
	}
	return out
}

// Principal compiles what a token with these scopes and nothing else is granted.
func (p *Policy) Principal(scopes []string) *Grants { return p.Grants(Principal{Scopes: scopes}) }

// Grants compiles what a token grants. Order and repetition of its scopes do not
// matter, and scopes that the policy does not know grant nothing. Conditions that
// ask about the principal alone are evaluated here.
func (p *Policy) Grants(who Principal) *Grants {
	g := &Grants{policy: p, who: who, known: make(map[*condition]state)}
	var rules []*rule
	add := func(list []*rule) {
		for _, r := range list {
			if r.when != nil && r.when.ofPrincipal && g.ask(r.when) != holds {
				continue
			}
			g.hasConditions = g.hasConditions || r.asks()
			if len(r.objects) > 0 {
				rules = append(rules, r)
			}
			for _, of := range r.presets {
				g.presets = append(g.presets, presetGrant{rule: r, preset: of})
			}
		}
	}
	add(p.base)
	for _, s := range slices.Compact(slices.Sorted(slices.Values(who.Scopes))) {
		add(p.scopes[s])
		for _, t := range p.templates {
			add(t.expand(s))
		}
	}
	add(p.granted(who.Issuer, who.Details))
	for _, r := range p.denies {
		if r.when != nil && r.when.ofPrincipal {
			g.ask(r.when)
		}
	}
	g.allow = newIndex(rules, grantable())
	return g
}

// Idle returns those of a token's scopes that grant nothing at all by this policy, in
// order and once each. A scope that fits a template, but with a value that is no name
// or action, is one of them; one whose conditions do not hold is not.
func (p *Policy) Idle(scopes []string) []string {
	var idle []string
	for _, s := range slices.Compact(slices.Sorted(slices.Values(scopes))) {
		grants := func(t *template) bool { return len(t.expand(s)) > 0 }
		if len(p.scopes[s]) == 0 && !slices.ContainsFunc(p.templates, grants) {
			idle = append(idle, s)
		}
	}
	return idle
}

// ask evaluates a condition on the principal alone, once.
func (g *Grants) ask(c *condition) state {
	s, ok := g.known[c]
	if !ok {
		s = c.evaluate(facts{who: &g.who})
		g.known[c] = s
	}
	return s
}
