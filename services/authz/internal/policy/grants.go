package policy

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Grants is what a set of scopes grants: an immutable index, safe for
// concurrent use.
type Grants struct {
	allow, deny *index
	// extensions are those whose code is trusted.
	extensions map[string]bool
}

// key finds the rules of one action on one object, or on all objects of a
// schema or kind. Wildcards are flags, since "*" can be a name.
type key struct {
	action             access.Action
	kind               access.Kind
	schema, name       string
	anySchema, anyName bool
}

// entry is one rule under a key.
type entry struct {
	rule string
	// columns is nil for the whole object.
	columns []string
	// overload is set when arguments must match.
	overload  bool
	arguments []string
	trusted   bool
}

// settingEntry is a rule on settings whose name has a wildcard.
type settingEntry struct {
	action access.Action
	parts  []part
	entry  entry
}

// index holds rules by key.
type index struct {
	entries  map[key][]entry
	settings []settingEntry
	// schemas maps a schema in which something is granted to a rule; everySchema
	// is a rule whose schema is a wildcard.
	schemas     map[string]string
	everySchema string
}

// newIndex compiles rules whose placeholders are bound. all holds the actions
// that anyAction stands for.
func newIndex(rules []*rule, all []access.Action) *index {
	x := &index{entries: make(map[key][]entry), schemas: make(map[string]string)}
	for _, r := range rules {
		var columns []string
		if r.columns != nil {
			columns = make([]string, 0, len(r.columns))
			for _, c := range r.columns {
				columns = append(columns, c.ident)
			}
		}
		for _, o := range r.objects {
			e := entry{rule: r.name, columns: columns, overload: o.overload, arguments: o.arguments, trusted: r.trusted}
			for _, a := range r.actions {
				actions := all
				if a.action != anyAction {
					actions = []access.Action{a.action}
				}
				for _, action := range actions {
					if applies(action, o.kind) {
						x.add(action, o, e)
					}
				}
			}
		}
	}
	return x
}

// add puts one entry where find will look for it.
func (x *index) add(action access.Action, o pattern, e entry) {
	k := key{action: action, kind: o.kind}
	last := o.parts[len(o.parts)-1]
	switch {
	case o.kind == access.Setting && o.wild():
		x.settings = append(x.settings, settingEntry{action: action, parts: o.parts, entry: e})
		return
	case o.kind == access.Setting:
		k.name = settingName(o.parts)
	case inSchema(o.kind):
		k.schema, k.anySchema = o.parts[0].ident, o.parts[0].any
		if k.anySchema {
			x.everySchema = e.rule
		} else {
			x.schemas[k.schema] = e.rule
		}
		k.name, k.anyName = last.ident, last.any
	default:
		k.name, k.anyName = last.ident, last.any
		if o.kind == access.Schema && !k.anyName {
			x.schemas[k.name] = e.rule
		}
	}
	x.entries[k] = append(x.entries[k], e)
}

// find lists the entries for an action on an object. With narrow, wildcards
// leave out what only a name in full may cover.
func (x *index) find(a access.Action, o access.Object, narrow bool) []entry {
	if len(x.entries) == 0 && len(x.settings) == 0 {
		return nil // Most policies deny nothing, and every access asks.
	}
	if o.Name == "" || inSchema(o.Kind) != (o.Schema != "") {
		return nil
	}
	k := key{action: a, kind: o.Kind, schema: o.Schema, name: o.Name}
	if o.Kind == access.Setting {
		return x.findSetting(k, narrow)
	}
	found := slices.Clip(x.entries[k])
	add := func(k key) {
		switch more := x.entries[k]; {
		case len(more) == 0:
		case len(found) == 0:
			found = slices.Clip(more)
		default:
			found = append(found, more...)
		}
	}
	if !narrow || o.Kind != access.Schema || !reservedSchema(o.Name) {
		add(key{action: a, kind: o.Kind, schema: o.Schema, anyName: true})
	}
	if inSchema(o.Kind) && (!narrow || !reservedSchema(o.Schema)) {
		add(key{action: a, kind: o.Kind, anySchema: true, name: o.Name})
		add(key{action: a, kind: o.Kind, anySchema: true, anyName: true})
	}
	if o.Kind == access.Function || o.Kind == access.Procedure {
		found = slices.DeleteFunc(slices.Clone(found), func(e entry) bool {
			return e.overload && !sameArguments(e.arguments, o.Arguments)
		})
	}
	return found
}

// findSetting matches the parts of a setting's name.
func (x *index) findSetting(k key, narrow bool) []entry {
	// The names of settings are compared without regard to ASCII case
	// (guc_name_compare of guc.c).
	k.name = foldASCII(k.name)
	found := slices.Clip(x.entries[k])
	parts := strings.Split(k.name, ".")
	if narrow && (k.name == "role" || k.name == "session_authorization" || parts[0] == "scopewire") {
		return found
	}
	for _, s := range x.settings {
		if s.action != k.action || len(s.parts) != len(parts) {
			continue
		}
		if matchParts(s.parts, parts) {
			found = append(found, s.entry)
		}
	}
	return found
}

func matchParts(pattern []part, parts []string) bool {
	for i, q := range pattern {
		if !q.any && foldASCII(q.ident) != parts[i] {
			return false
		}
	}
	return true
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
