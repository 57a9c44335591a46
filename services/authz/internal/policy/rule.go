package policy

import (
	"fmt"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// rule is one compiled grant or deny.
type rule struct {
	// name is its path in the policy file, for audit and explanations; line is
	// where it stands, 0 for what stands in no file.
	name    string
	line    int
	actions []actionItem
	objects []pattern
	// columns is nil for the whole object.
	columns []part
	// except are columns that the whole object does not stand for.
	except []string
	// trusted also lets code that cannot be looked into run with the login's
	// rights: on a routine, the routine; on a table, what its writing runs.
	trusted bool
	// presets are granted beside the objects.
	presets []*preset
	// when has to hold; nil always does.
	when *condition
	// databases are those the rule is for; nil is any.
	databases []string
}

// actionItem is an action, anyAction or a template's placeholder.
type actionItem struct {
	action access.Action
	hole   string
}

// applies reports whether an action means something for a kind of object
// (PostgreSQL: table "ACL Privilege Abbreviations" of the manual's chapter
// Privileges; the rest are Scopewire's own).
func applies(a access.Action, k access.Kind) bool {
	switch a {
	case access.Select, access.Update:
		return k == access.Table || k == access.Sequence
	case access.Insert, access.Delete, access.Truncate, access.References, access.Trigger, access.Maintain:
		return k == access.Table
	case access.Execute:
		return k == access.Function || k == access.Procedure
	case access.Usage:
		return k == access.Sequence || k == access.Schema || k == access.Type
	case access.Temporary, access.Connect:
		return k == access.Database
	case access.Listen, access.Notify:
		return k == access.Channel
	case access.Set:
		return k == access.Setting
	case access.DDL:
		// Granted on a schema; a deny may keep single objects of it from being changed.
		return k == access.Schema || inSchema(k)
	case access.Admin, anyAction:
		return true
	default:
		return false
	}
}

// perColumn reports whether PostgreSQL has the privilege for single columns.
func perColumn(a access.Action, k access.Kind) bool {
	switch a {
	case access.Select, access.Insert, access.Update, access.References:
		return k == access.Table
	default:
		return false
	}
}

// meaningless lists the actions that apply to none of the objects, and the
// objects to which none of the actions apply. What a placeholder stands for is
// checked when it is bound.
func (r *rule) meaningless() []string {
	var out []string
	holes := slices.ContainsFunc(r.actions, func(a actionItem) bool { return a.hole != "" })
	for _, a := range r.actions {
		if a.hole == "" && len(r.objects) > 0 &&
			!slices.ContainsFunc(r.objects, func(o pattern) bool { return applies(a.action, o.kind) }) {
			out = append(out, fmt.Sprintf("the action %s means nothing for these objects", a.action))
		}
	}
	for _, o := range r.objects {
		if !holes && len(r.actions) > 0 &&
			!slices.ContainsFunc(r.actions, func(a actionItem) bool { return applies(a.action, o.kind) }) {
			out = append(out, fmt.Sprintf("none of these actions means anything for a %s", o.kind))
		}
	}
	return out
}

// problems lists what is wrong with a grant beyond its single parts.
func (r *rule) problems() []string {
	out := r.meaningless()
	for _, a := range r.actions {
		if a.action == access.Admin && slices.ContainsFunc(r.objects, pattern.wild) {
			out = append(out, "admin is never covered by a wildcard; name its objects in full")
		}
		if a.hole != "" || r.columns == nil {
			continue
		}
		if !perColumn(a.action, access.Table) {
			out = append(out, fmt.Sprintf("columns go with select, insert, update and references, not with %s", a.action))
		}
	}
	if r.columns != nil {
		for _, o := range r.objects {
			if o.kind != access.Table {
				out = append(out, fmt.Sprintf("columns go with tables, not with a %s", o.kind))
			}
		}
	}
	return out
}

// wild reports whether a pattern stands for more than one name.
func (p pattern) wild() bool {
	return slices.ContainsFunc(p.parts, func(q part) bool { return q.any })
}

// asks reports whether the rule has a condition on more than the principal.
func (r *rule) asks() bool { return r.when != nil && !r.when.ofPrincipal }

// open reports whether a pattern has a placeholder.
func (p pattern) open() bool {
	return p.whole != "" || slices.ContainsFunc(p.parts, func(q part) bool { return q.hole != "" })
}

// uses reports whether the rule has the placeholder.
func (r *rule) uses(h string) bool {
	return slices.ContainsFunc(r.actions, func(a actionItem) bool { return a.hole == h }) ||
		slices.ContainsFunc(r.columns, func(c part) bool { return c.hole == h }) ||
		slices.ContainsFunc(r.objects, func(o pattern) bool {
			return o.whole == h || slices.ContainsFunc(o.parts, func(q part) bool { return q.hole == h })
		})
}
