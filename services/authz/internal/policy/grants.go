package policy

import (
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Grants is what a principal is granted: an immutable index, safe for concurrent
// use.
type Grants struct {
	policy  *Policy
	who     Principal
	allow   *index
	presets []presetGrant
	// hasConditions is set when a grant has a condition on time or client.
	hasConditions bool
	// known are the conditions on the principal alone, evaluated.
	known map[*condition]state
}

// presetGrant is a preset and the rule that gives it.
type presetGrant struct {
	rule   *rule
	preset *preset
}

// key finds the rules on one object, or on all objects of a schema or kind.
// Wildcards are flags, since "*" can be a name.
type key struct {
	kind               access.Kind
	schema, name       string
	anySchema, anyName bool
}

// entry is one rule under a key.
type entry struct {
	rule    *rule
	actions actionSet
	// columns is nil for the whole object.
	columns []string
	// except are columns that are left out of the whole object.
	except []string
	// overload is set when arguments must match.
	overload  bool
	arguments []string
}

// settingEntry is a rule on settings whose name has a wildcard.
type settingEntry struct {
	parts []part
	entry entry
}

// index holds rules by key.
type index struct {
	entries  map[key][]entry
	settings []settingEntry
	// wild has the kinds for which there are keys with the schema, the name or both
	// left open, so that most look-ups are for one key.
	wild [3]kindSet
	// schemas maps a schema in which something is granted to the rules that do;
	// everySchema are the rules whose schema is a wildcard.
	schemas     map[string][]*rule
	everySchema []*rule
}

// The members of index.wild.
const (
	wildName = iota
	wildSchema
	wildBoth
)

// newIndex compiles rules whose placeholders are bound. all holds the actions
// that anyAction stands for.
func newIndex(rules []*rule, all []access.Action) *index {
	x := &index{entries: make(map[key][]entry), schemas: make(map[string][]*rule)}
	every := setOf(all)
	fits := make(map[access.Kind]actionSet)
	for _, k := range access.Kinds() {
		fits[k] = applicable(k)
	}
	for _, r := range rules {
		var columns []string
		if r.columns != nil {
			columns = make([]string, 0, len(r.columns))
			for _, c := range r.columns {
				columns = append(columns, c.ident)
			}
		}
		var wanted actionSet
		for _, a := range r.actions {
			if a.action == anyAction {
				wanted |= every
			} else {
				wanted |= bit(a.action)
			}
		}
		for _, o := range r.objects {
			if actions := wanted & fits[o.kind]; actions != 0 {
				x.add(o, entry{rule: r, actions: actions, columns: columns, except: r.except, overload: o.overload, arguments: o.arguments})
			}
		}
	}
	return x
}

// add puts one entry where each will look for it.
func (x *index) add(o pattern, e entry) {
	k := key{kind: o.kind}
	last := o.parts[len(o.parts)-1]
	switch {
	case o.kind == access.Setting && o.wild():
		x.settings = append(x.settings, settingEntry{parts: o.parts, entry: e})
		return
	case o.kind == access.Setting:
		k.name = settingName(o.parts)
	case inSchema(o.kind):
		k.schema, k.anySchema = o.parts[0].ident, o.parts[0].any
		if k.anySchema {
			x.everySchema = append(x.everySchema, e.rule)
		} else {
			x.schemas[k.schema] = append(x.schemas[k.schema], e.rule)
		}
		k.name, k.anyName = last.ident, last.any
	default:
		k.name, k.anyName = last.ident, last.any
		if o.kind == access.Schema && !k.anyName {
			x.schemas[k.name] = append(x.schemas[k.name], e.rule)
		}
	}
	switch {
	case k.anySchema && k.anyName:
		x.wild[wildBoth] |= kindBit(o.kind)
	case k.anySchema:
		x.wild[wildSchema] |= kindBit(o.kind)
	case k.anyName:
		x.wild[wildName] |= kindBit(o.kind)
	}
	x.entries[k] = append(x.entries[k], e)
}

// each calls yield for the entries for an action on an object, until it returns
// false. With narrow, wildcards leave out what only a name in full may cover.
func (x *index) each(a access.Action, o access.Object, narrow bool, yield func(*entry) bool) {
	if len(x.entries) == 0 && len(x.settings) == 0 {
		return // Most policies deny nothing, and every access asks.
	}
	if o.Name == "" || inSchema(o.Kind) != (o.Schema != "") {
		return
	}
	of, kind := bit(a), kindBit(o.Kind)
	if o.Kind == access.Setting {
		x.eachSetting(of, o.Name, narrow, yield)
		return
	}
	if !eachOf(x.entries[key{kind: o.Kind, schema: o.Schema, name: o.Name}], of, o, narrow, yield) {
		return
	}
	if x.wild[wildName]&kind != 0 && (!narrow || o.Kind != access.Schema || !reservedSchema(o.Name)) &&
		!eachOf(x.entries[key{kind: o.Kind, schema: o.Schema, anyName: true}], of, o, narrow, yield) {
		return
	}
	if !inSchema(o.Kind) || narrow && reservedSchema(o.Schema) {
		return
	}
	if x.wild[wildSchema]&kind != 0 && !eachOf(x.entries[key{kind: o.Kind, anySchema: true, name: o.Name}], of, o, narrow, yield) {
		return
	}
	if x.wild[wildBoth]&kind != 0 {
		eachOf(x.entries[key{kind: o.Kind, anySchema: true, anyName: true}], of, o, narrow, yield)
	}
}

// eachOf reports false when yield wants no more.
func eachOf(list []entry, of actionSet, o access.Object, narrow bool, yield func(*entry) bool) bool {
	for i := range list {
		e := &list[i]
		switch {
		case e.actions&of == 0:
			continue
		case e.overload && o.Overloads:
			// A grant on one says nothing about the others; a deny takes from all.
			if narrow {
				continue
			}
		case e.overload && !sameArguments(e.arguments, o.Arguments):
			continue
		}
		if !yield(e) {
			return false
		}
	}
	return true
}

// eachSetting matches the parts of a setting's name.
func (x *index) eachSetting(of actionSet, name string, narrow bool, yield func(*entry) bool) {
	// The names of settings are compared without regard to ASCII case
	// (guc_name_compare of guc.c).
	name = foldASCII(name)
	if !eachOf(x.entries[key{kind: access.Setting, name: name}], of, access.Object{}, narrow, yield) {
		return
	}
	parts := strings.Split(name, ".")
	if narrow && (name == "role" || name == "session_authorization" || parts[0] == "scopewire") {
		return
	}
	for i := range x.settings {
		s := &x.settings[i]
		if s.entry.actions&of != 0 && matchParts(s.parts, parts) && !yield(&s.entry) {
			return
		}
	}
}

func matchParts(pattern []part, parts []string) bool {
	if len(pattern) != len(parts) {
		return false
	}
	for i, q := range pattern {
		if !q.any && foldASCII(q.ident) != parts[i] {
			return false
		}
	}
	return true
}

// usage calls yield for the rules that grant something in the schema, until it
// returns false.
func (x *index) usage(schema string, yield func(*rule) bool) {
	for _, r := range x.schemas[schema] {
		if !yield(r) {
			return
		}
	}
	if reservedSchema(schema) {
		return
	}
	for _, r := range x.everySchema {
		if !yield(r) {
			return
		}
	}
}

// settingName joins the parts of a setting's name as access.Object carries it.
func settingName(parts []part) string {
	names := make([]string, len(parts))
	for i, q := range parts {
		names[i] = foldASCII(q.ident)
	}
	return strings.Join(names, ".")
}

// reservedSchema reports whether wildcards leave the schema out: those of the
// server itself. Names that begin with pg_ are reserved to it (IsReservedName
// of catalog.c); pg_toast and every session's pg_temp_n are among them.
func reservedSchema(name string) bool {
	return strings.HasPrefix(name, "pg_") || name == "information_schema"
}
