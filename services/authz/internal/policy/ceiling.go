package policy

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// ceilingEntry is a ceiling as written: the word all, or what tokens may grant.
type ceilingEntry struct {
	word    string
	Actions *[]string `yaml:"actions"`
	Objects *[]string `yaml:"objects"`
	Presets *[]string `yaml:"presets"`
}

func (e *ceilingEntry) setWord(word string) { e.word = word }

// ceiling bounds what the tokens of an issuer may grant by themselves.
type ceiling struct {
	// all lifts the bound: a token grants what a policy file could grant, but
	// trust.
	all bool
	// rule has the actions and objects up to which tokens may go; nil is none.
	rule    *rule
	presets []*preset
}

func (e *ceilingEntry) compile(c *compiler, path string) *ceiling {
	switch {
	case e.word == "all":
		return &ceiling{all: true}
	case e.word != "":
		c.Addf(path, "write all, or the actions and objects up to which tokens may grant; leave the key out for none")
		return nil
	}
	out := &ceiling{presets: c.compilePresets(path+".presets", e.Presets)}
	if e.Presets != nil && e.Actions == nil && e.Objects == nil {
		return out
	}
	out.rule = &rule{
		name:    path,
		actions: compileActions(c, path+".actions", list(e.Actions), nil),
		objects: compileObjects(c, path+".objects", list(e.Objects), nil),
	}
	c.addProblems(path, out.rule.problems())
	return out
}

// narrow reduces a rule of a token to what the ceiling leaves of it, or returns
// nil. Nothing that either of them would not cover is left: a wildcard of one is
// no name of the other's where a name has to be written out.
func (c *ceiling) narrow(r *rule) *rule {
	if c == nil {
		return nil
	}
	if c.all {
		return r
	}
	out := *r
	out.presets = slices.DeleteFunc(slices.Clone(r.presets), func(p *preset) bool { return !slices.Contains(c.presets, p) })
	out.actions, out.objects = nil, nil
	if c.rule != nil {
		for _, a := range r.expanded() {
			if slices.Contains(c.rule.expanded(), a) {
				out.actions = append(out.actions, actionItem{action: a})
			}
		}
		for _, o := range r.objects {
			for _, most := range c.rule.objects {
				if both, ok := o.intersect(most); ok {
					out.objects = append(out.objects, both)
				}
			}
		}
	}
	if len(out.actions) == 0 || len(out.objects) == 0 {
		out.actions, out.objects, out.columns = nil, nil, nil
		if len(out.presets) == 0 {
			return nil
		}
	}
	return &out
}

// expanded lists the rule's actions, what the wildcard stands for included.
func (r *rule) expanded() []access.Action {
	var out []access.Action
	for _, a := range r.actions {
		if a.action == anyAction {
			out = append(out, grantable()...)
		} else {
			out = append(out, a.action)
		}
	}
	return out
}

// intersect is the pattern of the names that both cover.
func (p pattern) intersect(q pattern) (pattern, bool) {
	if p.kind != q.kind || len(p.parts) != len(q.parts) {
		return pattern{}, false
	}
	out := pattern{kind: p.kind, parts: make([]part, len(p.parts)), overload: p.overload || q.overload}
	for i, a := range p.parts {
		b := q.parts[i]
		switch {
		case a.any:
			out.parts[i] = b
		case b.any || a.ident == b.ident || p.kind == access.Setting && foldASCII(a.ident) == foldASCII(b.ident):
			out.parts[i] = a
		default:
			return pattern{}, false
		}
	}
	switch {
	case p.overload && q.overload && !slices.Equal(p.arguments, q.arguments):
		return pattern{}, false
	case p.overload:
		out.arguments = p.arguments
	case q.overload:
		out.arguments = q.arguments
	}
	return out, !p.leavesOut(out) && !q.leavesOut(out)
}

// leavesOut reports whether a name, which the wildcards of p stand for, is one
// that they do not cover in a grant (see index.find).
func (p pattern) leavesOut(name pattern) bool {
	return p.parts[0].any && !name.parts[0].any && name.ofServer()
}

// ofServer reports whether the name is one of the server itself, which a grant covers
// only where the policy has it in so many letters.
func (p pattern) ofServer() bool {
	first := p.parts[0]
	switch {
	case p.kind == access.Setting:
		s := foldASCII(first.ident)
		return len(p.parts) == 1 && (s == "role" || s == "session_authorization") || s == "scopewire"
	case p.kind == access.Schema, inSchema(p.kind):
		return reservedSchema(first.ident)
	default:
		return false
	}
}
