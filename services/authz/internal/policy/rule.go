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
	// index is its place in the list as written.
	index int
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

// problem is something wrong with a rule beyond its single parts.
type problem struct {
	// key is the key of the rule that it is about, and its item; "" is the rule.
	key, text string
}

// problems lists what is wrong with a grant beyond its single parts.
func (r *rule) problems() []problem {
	out := r.meaningless(coverable)
	add := func(key, format string, args ...any) {
		out = append(out, problem{key, fmt.Sprintf(format, args...)})
	}
	for _, a := range r.actions {
		if a.action == access.Admin && slices.ContainsFunc(r.objects, pattern.wild) {
			add(a.key(), "admin is never covered by a wildcard; name its objects in full")
		}
		if a.hole == "" && r.columns != nil && !perColumn(a.action, access.Table) {
			add(a.key(), "columns go with select, insert, update and references, not with %s", a.action)
		}
	}
	for _, o := range r.objects {
		if r.columns != nil && o.kind != access.Table {
			add(o.key(), "columns go with tables, not with a %s", o.kind)
		}
		if r.trusted && !runsCode(o.kind) {
			add(o.key(), "trusted is for what runs code, and a %s runs none", o.kind)
		}
		if why := o.pinned(); why != "" {
			add(o.key(), "%s", why)
		}
	}
	return out
}

// key is where the item stands in its rule.
func (a actionItem) key() string { return fmt.Sprintf(".actions[%d]", a.index) }

// key is where the item stands in its rule.
func (p pattern) key() string { return fmt.Sprintf(".objects[%d]", p.index) }

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
