package policy

import (
	"fmt"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// applies reports whether an action means something for a kind of object
// (PostgreSQL: table "ACL Privilege Abbreviations" of the manual's chapter
// Privileges; the rest are Scopewire's own): whether a statement is ever judged by
// it, so that a deny can match.
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
	case access.Admin:
		return k == access.Database || k == access.Setting || k == access.Function
	case anyAction:
		return true
	default:
		return false
	}
}

// coverable reports whether a grant of an action on objects of a kind can cover
// anything.
func coverable(a access.Action, k access.Kind) bool {
	return applies(a, k) && (a != access.DDL || k == access.Schema)
}

// runsCode reports whether statements on objects of a kind may run code that a grant
// on them has to trust.
func runsCode(k access.Kind) bool {
	switch k {
	case access.Sequence, access.Setting, access.Channel:
		return false
	default:
		return true
	}
}

// meaningless lists the actions that fit none of the objects, and the objects that
// none of the actions fit, with what to write instead. What a placeholder stands for
// is checked when it is bound.
func (r *rule) meaningless(fits func(access.Action, access.Kind) bool) []problem {
	var out []problem
	some := false
	for _, a := range r.actions {
		fit := a.hole != "" || slices.ContainsFunc(r.objects, func(o pattern) bool { return fits(a.action, o.kind) })
		some = some || fit
		if !fit && len(r.objects) > 0 {
			out = append(out, problem{a.key(), r.instead(a.action, fits)})
		}
	}
	if !some {
		return out // All has been said.
	}
	for _, o := range r.objects {
		if !slices.ContainsFunc(r.actions, func(a actionItem) bool { return a.hole != "" || fits(a.action, o.kind) }) {
			out = append(out, problem{o.key(), fmt.Sprintf("none of these actions is for a %s: those are %s", o.kind, actionsOf(o.kind, fits))})
		}
	}
	return out
}

// instead says what to write in the place of an action that fits no object.
func (r *rule) instead(a access.Action, fits func(access.Action, access.Kind) bool) string {
	first := r.objects[0]
	if i := slices.IndexFunc(r.objects, func(o pattern) bool { return inSchema(o.kind) }); a == access.DDL && i >= 0 {
		return "ddl is granted on the schema that objects are in: write schema:" + r.objects[i].schemaText()
	}
	if !slices.ContainsFunc(r.objects, func(o pattern) bool { return o.kind != first.kind }) {
		return fmt.Sprintf("the action %s is not for a %s: those are %s", a, first.kind, actionsOf(first.kind, fits))
	}
	kinds := slices.DeleteFunc(access.Kinds(), func(k access.Kind) bool { return !fits(a, k) })
	return fmt.Sprintf("the action %s is for none of these objects, but for the kinds %s", a, join(kinds))
}

// schemaText is the schema of a pattern as a policy writes it.
func (p pattern) schemaText() string {
	switch {
	case p.whole != "":
		return "…"
	case p.parts[0].hole != "":
		return "{" + p.parts[0].hole + "}"
	case p.parts[0].any:
		return "*"
	default:
		return quoteIdentifier(p.parts[0].ident)
	}
}

// actionsOf lists the actions of a kind.
func actionsOf(k access.Kind, fits func(access.Action, access.Kind) bool) string {
	return join(slices.DeleteFunc(access.Actions(), func(a access.Action) bool { return !fits(a, k) }))
}

// pinned says that nobody can set a setting, so that no grant on it covers anything;
// or "". Another value would change where literals end.
func (p pattern) pinned() string {
	if p.kind != access.Setting || len(p.parts) != 1 {
		return ""
	}
	switch name := foldASCII(p.parts[0].ident); name {
	case "client_encoding", "standard_conforming_strings", "backslash_quote":
		return "the setting " + name + " is pinned: what it may be needs no grant, and nothing else can be set"
	default:
		return ""
	}
}
