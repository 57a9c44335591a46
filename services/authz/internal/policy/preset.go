package policy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// PresetSession is the preset for what pools and drivers ask at connect and
// reset: they read pg_type, pg_range and pg_enum to learn the types they will
// meet. It is on unless the policy gives a list of presets without it.
const PresetSession = "session"

// preset is a named set of grants. There is one of each for all principals of a
// policy.
type preset struct {
	name  string
	rule  *rule
	index *index
}

// presets are those there are, by name.
type presets map[string]*preset

// newPresets builds the presets.
func newPresets() presets {
	session := &rule{actions: []actionItem{{action: access.Select}}}
	for _, table := range []string{"pg_type", "pg_range", "pg_enum"} {
		session.objects = append(session.objects, catalogPattern(access.Table, table))
	}
	out := make(presets)
	out.add(PresetSession, session)
	return out
}

// add makes a preset of rules.
func (p presets) add(name string, rules ...*rule) {
	for _, r := range rules {
		r.name = "presets." + name
	}
	p[name] = &preset{name: name, rule: &rule{name: "presets." + name}, index: newIndex(rules, grantable())}
}

// catalogPattern names an object of pg_catalog.
func catalogPattern(kind access.Kind, name string) pattern {
	return pattern{kind: kind, parts: []part{{ident: "pg_catalog"}, {ident: name}}}
}

// compileBase checks the policy's own list of presets, which every principal
// has. None at all is the default; a list that is there, even empty, is taken as
// it stands.
func (c *compiler) compileBase(names *[]string) []*rule {
	if names == nil {
		names = &[]string{PresetSession}
	}
	var out []*rule
	for i, p := range c.namedPresets("presets", *names) {
		at := fmt.Sprintf("presets[%d]", i)
		out = append(out, &rule{name: "presets." + p.name, line: c.placeOf(at).line, presets: []*preset{p}})
	}
	return out
}

// compilePresets checks the presets of a grant.
func (c *compiler) compilePresets(path string, names *[]string) []*preset {
	if names == nil {
		return nil
	}
	if len(*names) == 0 {
		c.Addf(path, "name at least one preset, or leave the key out")
	}
	return c.namedPresets(path, *names)
}

func (c *compiler) namedPresets(path string, names []string) []*preset {
	var out []*preset
	for i, name := range names {
		p := c.presets[name]
		if p == nil {
			c.Addf(fmt.Sprintf("%s[%d]", path, i), "there is no preset %q; the presets are %s", name, join(slices.Sorted(maps.Keys(c.presets))))
			continue
		}
		if slices.Contains(names[:i], name) {
			c.Addf(fmt.Sprintf("%s[%d]", path, i), "%q stands twice", name)
		}
		out = append(out, p)
	}
	return out
}
