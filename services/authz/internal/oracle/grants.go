package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Grant is one right, in the words of the policy file.
type Grant struct {
	Action access.Action `yaml:"action"`
	Kind   access.Kind   `yaml:"kind"`
	Schema string        `yaml:"schema,omitempty"`
	Name   string        `yaml:"name"`
	// Arguments are a routine's argument types, as format_type prints them.
	Arguments []string `yaml:"arguments,omitempty"`
	// Columns is empty for the whole object; Name is * for all of the schema.
	Columns []string `yaml:"columns,omitempty"`
	// Trusted lets code run that analysis cannot look into. PostgreSQL has no such
	// word: a role that may call a function may have it do anything.
	Trusted bool `yaml:"trusted,omitempty"`

	// anyColumn marks a column that stands for any.
	anyColumn bool
}

// quote writes a name as a quoted identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

// object is the qualified name, with argument types for a routine.
func (g Grant) object() string {
	name := quote(g.Name)
	if g.Name == every {
		name = every
	}
	if g.Schema != "" {
		name = quote(g.Schema) + "." + name
	}
	if g.Name != every && (g.Kind == access.Function || g.Kind == access.Procedure) {
		name += "(" + strings.Join(g.Arguments, ", ") + ")"
	}
	return name
}

// SQL is the statement that gives a role the same right, empty for what
// PostgreSQL asks nobody for.
func (g Grant) SQL(role string) string {
	var what string
	switch g.Kind {
	case access.Table, access.Sequence, access.Schema, access.Function, access.Procedure, access.Type, access.Database:
		what = strings.ToUpper(string(g.Kind))
	default:
		return ""
	}
	if g.Name == every {
		return fmt.Sprintf("GRANT %s ON ALL %sS IN SCHEMA %s TO %s; GRANT USAGE ON SCHEMA %s TO %s", g.Action, what, quote(g.Schema), quote(role), quote(g.Schema), quote(role))
	}
	if g.Action == access.DDL {
		return g.definitionSQL(role)
	}
	columns := ""
	if len(g.Columns) > 0 {
		columns = " (" + quoteAll(g.Columns) + ")"
	}
	sql := fmt.Sprintf("GRANT %s%s ON %s %s TO %s", g.Action, columns, what, g.object(), quote(role))
	if g.Schema != "" {
		sql += fmt.Sprintf("; GRANT USAGE ON SCHEMA %s TO %s", quote(g.Schema), quote(role))
	}
	return sql
}

// definitionSQL is the right to create in a schema, which in PostgreSQL goes with the
// languages of what is created.
func (g Grant) definitionSQL(role string) string {
	if g.Kind != access.Schema {
		return ""
	}
	languages := "sql"
	if g.Trusted {
		languages = "sql, plpgsql"
	}
	return fmt.Sprintf("GRANT CREATE, USAGE ON SCHEMA %s TO %s; GRANT USAGE ON LANGUAGE %s TO %s", quote(g.Name), quote(role), languages, quote(role))
}

// yaml is the grant as an entry of a policy file. Strings are quoted as YAML's
// single-quoted scalars.
func (g Grant) yaml() string {
	scalar := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	text := fmt.Sprintf("    - {actions: [%s], objects: [%s]", g.Action, scalar(string(g.Kind)+":"+g.object()))
	if len(g.Columns) > 0 {
		var columns []string
		for _, c := range g.Columns {
			columns = append(columns, scalar(quote(c)))
		}
		text += ", columns: [" + strings.Join(columns, ", ") + "]"
	}
	if g.Trusted {
		text += ", trusted: true"
	}
	return text + "}\n"
}

// every stands for all objects of a schema.
const every = "*"

// DealAll grants everything in every schema by wildcards: who holds it may know
// what does not exist.
func DealAll(m *Model) []Grant {
	var all []Grant
	add := func(schema string, kind access.Kind, actions ...access.Action) {
		for _, a := range actions {
			all = append(all, Grant{Action: a, Kind: kind, Schema: schema, Name: every})
		}
	}
	for _, schema := range m.Schemas {
		add(schema, access.Table, access.Select, access.Insert, access.Update, access.Delete, access.Truncate, access.References, access.Trigger)
		add(schema, access.Sequence, access.Usage, access.Select, access.Update)
		add(schema, access.Function, access.Execute)
		add(schema, access.Procedure, access.Execute)
		all = append(all, Grant{Action: access.DDL, Kind: access.Schema, Name: schema})
	}
	all = append(all, Grant{Action: access.Temporary, Kind: access.Database, Name: m.Database})
	return all
}

// wild reports whether a role was dealt everything by wildcards.
func wild(grants []Grant) bool { return len(grants) > 0 && grants[0].Name == every }

// scope is the scope under which a policy file of this package holds its grants.
const scope = "oracle"

// PolicyText is a policy file with the grants in one scope.
func PolicyText(grants []Grant) string {
	var b strings.Builder
	b.WriteString("version: 1\nissuers:\n  - {issuer: 'https://oracle.invalid', audiences: [postgres]}\nscopes:\n  " + scope + ":\n")
	// A scope cannot be empty; nobody has a database of this name.
	b.WriteString(Grant{Action: access.Connect, Kind: access.Database, Name: "none"}.yaml())
	for _, g := range grants {
		b.WriteString(g.yaml())
	}
	return b.String()
}

// schemasOf lists the schemas in which something is granted.
func schemasOf(grants []Grant) []string {
	var all []string
	for _, g := range grants {
		name := g.Schema
		if g.Kind == access.Schema {
			name = g.Name
		}
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// maintainSince is the first version with the privilege MAINTAIN.
const maintainSince = 17

// Deal picks grants on the objects of a model. Generosity is the chance, in
// percent, of each right.
func Deal(r *rand.Rand, m *Model, generosity int) []Grant {
	var all []Grant
	chance := func(percent int) bool { return r.IntN(100) < percent }
	for _, rel := range m.Relations {
		if rel.System {
			continue
		}
		if rel.Kind == access.Sequence {
			for _, a := range []access.Action{access.Usage, access.Select, access.Update} {
				if chance(generosity) {
					all = append(all, Grant{Action: a, Kind: access.Sequence, Schema: rel.Schema, Name: rel.Name})
				}
			}
			continue
		}
		all = append(all, dealTable(chance, rel, generosity)...)
		if m.Version >= maintainSince && chance(generosity/2) {
			all = append(all, Grant{Action: access.Maintain, Kind: access.Table, Schema: rel.Schema, Name: rel.Name})
		}
	}
	for _, f := range m.Routines {
		kind := access.Function
		if f.Kind == 'p' {
			kind = access.Procedure
		}
		if chance(generosity) {
			all = append(all, Grant{Action: access.Execute, Kind: kind, Schema: f.Schema, Name: f.Name, Arguments: f.ArgumentNames, Trusted: chance(40)})
		}
	}
	for _, t := range m.Types {
		if chance(generosity) {
			all = append(all, Grant{Action: access.Usage, Kind: access.Type, Schema: t.Schema, Name: t.Name})
		}
	}
	for _, schema := range m.Schemas {
		if chance(generosity) {
			all = append(all, Grant{Action: access.Usage, Kind: access.Schema, Name: schema})
		}
		if chance(generosity / 3) {
			all = append(all, Grant{Action: access.DDL, Kind: access.Schema, Name: schema, Trusted: chance(50)})
		}
	}
	if chance(generosity / 2) {
		all = append(all, Grant{Action: access.Listen, Kind: access.Channel, Name: "changes"}, Grant{Action: access.Notify, Kind: access.Channel, Name: "changes"})
	}
	if chance(generosity / 2) {
		all = append(all, Grant{Action: access.Temporary, Kind: access.Database, Name: m.Database})
	}
	return all
}

// dealTable deals the rights on one table: some in whole, some by columns.
func dealTable(chance func(int) bool, rel Relation, generosity int) []Grant {
	var all []Grant
	trusted := chance(30)
	byColumn := chance(30) && len(rel.Columns) > 0
	for _, a := range []access.Action{access.Select, access.Insert, access.Update, access.Delete, access.Truncate, access.References, access.Trigger} {
		g := Grant{Action: a, Kind: access.Table, Schema: rel.Schema, Name: rel.Name, Trusted: trusted}
		fine := a == access.Select || a == access.Insert || a == access.Update || a == access.References
		if !byColumn || !fine {
			if chance(generosity) {
				all = append(all, g)
			}
			continue
		}
		for _, c := range rel.Columns {
			if chance(generosity) {
				g.Columns = append(g.Columns, c.Name)
			}
		}
		if len(g.Columns) > 0 {
			all = append(all, g)
		}
	}
	return all
}
