package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
)

// The presets.
const (
	// PresetSession is what pools and drivers ask at connect and reset: the types
	// they will meet, an end to advisory locks, and the statements that take the whole
	// session back to where it started (access.Statement.Session). It is on unless the
	// policy gives a list of presets without it.
	PresetSession = "session"
	// PresetIntrospection is what psql's backslash commands, ORMs and JDBC ask about
	// the database's objects: the catalogs that hold definitions, information_schema,
	// and the functions that print definitions. Catalogs that hold data, secrets or
	// others' activity are not in it.
	PresetIntrospection = "introspection"
	// PresetAdvisoryLocks are advisory locks.
	PresetAdvisoryLocks = "advisory_locks"
	// PresetMigrations is what migration tools need beside grants of ddl on their
	// schemas and of the table that they keep their history in: the other three.
	// Transactions and plain settings need no grant.
	PresetMigrations = "migrations"
)

// presetNames lists the presets.
func presetNames() []string {
	return []string{PresetSession, PresetIntrospection, PresetAdvisoryLocks, PresetMigrations}
}

// preset is a named set of grants.
type preset struct {
	name  string
	index *index
	// session is set when the preset allows what access.Statement.Session marks.
	session bool
}

// presets are those there are, by name.
type presets map[string]*preset

// sharedPresets are the presets of all policies and principals. They are made
// from the reviewed lists of package builtin.
var sharedPresets = sync.OnceValue(func() presets {
	unlock := catalogObject(access.Function, "pg_catalog", "pg_advisory_unlock_all")
	unlock.arguments, unlock.overload = []string{}, true
	session := append(relationRules(builtin.Drivers), presetRule(access.Execute, unlock))
	introspection := append(relationRules(builtin.Definitions), relationRules(builtin.Drivers)...)
	introspection = append(introspection, namedRules()...)
	introspection = append(introspection, presetRule(access.Execute, functionsOf(builtin.Introspection)...))
	locks := []*rule{presetRule(access.Execute, functionsOf(builtin.Advisory)...)}
	out := make(presets)
	for name, rules := range map[string][]*rule{
		PresetSession: session, PresetIntrospection: introspection, PresetAdvisoryLocks: locks,
		PresetMigrations: slices.Concat(session, introspection, locks),
	} {
		out[name] = &preset{name: name, index: newIndex(rules, grantable()), session: name == PresetSession || name == PresetMigrations}
	}
	return out
})

func presetRule(action access.Action, objects ...pattern) *rule {
	return &rule{actions: []actionItem{{action: action}}, objects: objects}
}

// relationRules grant reading the system relations of a class, but for the columns
// that stay closed.
func relationRules(class builtin.RelationClass) []*rule {
	closed := byRelation(builtin.ClosedColumns())
	var rules []*rule
	for _, relation := range builtin.Relations(class) {
		schema, name, _ := strings.Cut(relation, ".")
		r := presetRule(access.Select, catalogObject(access.Table, schema, name))
		r.except = closed[relation]
		rules = append(rules, r)
	}
	return rules
}

// namedRules grant reading the columns that are open in what is closed otherwise.
func namedRules() []*rule {
	var rules []*rule
	for relation, columns := range byRelation(builtin.NamedColumns()) {
		schema, name, _ := strings.Cut(relation, ".")
		r := presetRule(access.Select, catalogObject(access.Table, schema, name))
		for _, c := range columns {
			r.columns = append(r.columns, part{ident: c})
		}
		rules = append(rules, r)
	}
	return rules
}

// byRelation takes schema.relation.column apart.
func byRelation(columns []string) map[string][]string {
	out := make(map[string][]string)
	for _, column := range columns {
		i := strings.LastIndexByte(column, '.')
		out[column[:i]] = append(out[column[:i]], column[i+1:])
	}
	return out
}

// functionsOf lists the server's own functions of a class, of every version.
// Those of extensions are not among them: they are granted by name, in the schema
// where the extension is.
func functionsOf(class builtin.Class) []pattern {
	var out []pattern
	for major := minMajor; major <= maxMajor; major++ {
		for _, e := range builtin.All(major) {
			if e.Extension != "" || e.Function.Class != class {
				continue
			}
			p := catalogObject(access.Function, e.Schema, e.Name)
			p.overload, p.arguments = true, make([]string, len(e.Arguments))
			for i, a := range e.Arguments {
				p.arguments[i] = formatType(a)
			}
			if !slices.ContainsFunc(out, p.equal) {
				out = append(out, p)
			}
		}
	}
	return out
}

// The major versions of the server that are served.
const (
	minMajor = 14
	maxMajor = 18
)

// formatType turns a name of pg_type into what format_type prints.
func formatType(name string) string {
	if element, ok := strings.CutPrefix(name, "_"); ok {
		return formatType(element) + "[]"
	}
	if name == "char" {
		return `"char"` // The one-byte type; character is bpchar there.
	}
	if full, ok := typeAliases[name]; ok {
		return full
	}
	return name
}

func (p pattern) equal(q pattern) bool {
	return p.kind == q.kind && slices.Equal(p.parts, q.parts) && slices.Equal(p.arguments, q.arguments)
}

// catalogObject names an object in full.
func catalogObject(kind access.Kind, schema, name string) pattern {
	return pattern{kind: kind, parts: []part{{ident: schema}, {ident: name}}}
}

// judgeSession judges a statement that the preset session allows.
func (t *trial) judgeSession() verdict {
	t.deniedBy, t.unmet, t.code = nil, nil, ""
	// As with grants, conditions are asked last.
	for _, asking := range []bool{false, true} {
		for _, p := range t.presets {
			if p.preset.session && p.rule.asks() == asking && t.grants(p.rule) {
				t.note(p.rule)
				return covered
			}
		}
	}
	if t.unmet != nil {
		return unmet
	}
	return uncovered
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
			c.Addf(fmt.Sprintf("%s[%d]", path, i), "there is no preset %q; the presets are %s", name, join(presetNames()))
			continue
		}
		if slices.Contains(names[:i], name) {
			c.Addf(fmt.Sprintf("%s[%d]", path, i), "%q stands twice", name)
		}
		out = append(out, p)
	}
	return out
}
