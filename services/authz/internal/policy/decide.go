package policy

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Decision is the answer for a protocol unit. The zero value denies.
type Decision struct {
	// Allow is set when every access of every statement is covered.
	Allow bool
	// Refused is set when a limit was met: the client hears a refusal, which
	// Failed describes, and no denial.
	Refused bool
	// Reason says why, for audit and metrics.
	Reason access.Reason
	// Detail is one line beside the reason, for audit. It names objects and
	// rules, and no literal of the statement.
	Detail string
	// Failed is the error that PostgreSQL itself would give and that the client
	// may hear; nil for a denial.
	Failed *access.Error
}

// verdict is the outcome for one access.
type verdict int

const (
	uncovered verdict = iota // No grant; the zero value.
	covered                  // Granted.
	denied                   // An explicit deny matches.
	opaque                   // Granted, but it runs code that nobody trusts.
)

// Decide judges what analysis found out about a unit.
func (g *Grants) Decide(a access.Analysis) Decision {
	switch a.Outcome {
	case access.Judge:
		return g.judgeAll(a.Statements)
	case access.Hidden:
		return g.judgeHidden(a)
	case access.Failed:
		return Decision{Reason: a.Reason, Detail: a.Detail, Failed: &a.Error}
	case access.Refused:
		// A limit that was met after names were looked up tells that they were found.
		if r, ok := g.uncoveredOf(a.Requires); ok {
			return deny(access.UnknownObject, displayAccess(r))
		}
		return Decision{Refused: true, Reason: a.Reason, Detail: a.Detail, Failed: &a.Error}
	case access.Denied:
		return deny(a.Reason, a.Detail)
	default:
		return deny(access.Construct, "analysis gave an outcome that policy does not know")
	}
}

// deny makes a denial. One without a reason, or with one that says the
// opposite, still needs a row in audit.
func deny(reason access.Reason, detail string) Decision {
	if reason == "" || reason == access.Granted {
		reason = access.NotGranted
	}
	return Decision{Reason: reason, Detail: detail}
}

func (g *Grants) judgeAll(statements []access.Statement) Decision {
	var rules []string
	for _, s := range statements {
		for _, a := range s.Accesses {
			v, rule := g.judge(a)
			switch v {
			case covered:
				if rule != "" && !slices.Contains(rules, rule) {
					rules = append(rules, rule)
				}
			case denied:
				return deny(access.ExplicitDeny, displayAccess(a)+": "+rule)
			case opaque:
				return deny(access.OpaqueCode, displayAccess(a)+" runs "+displayText(rule))
			default:
				return deny(access.NotGranted, displayAccess(a))
			}
		}
	}
	return Decision{Allow: true, Reason: access.Granted, Detail: strings.Join(rules, ", ")}
}

// judgeHidden tells the error if everything it would reveal is covered. One that
// requires nothing reveals nothing: the statement that caused it named no object
// (SELECT typo), and runs as little as one that is denied.
func (g *Grants) judgeHidden(a access.Analysis) Decision {
	if a.Error.SQLState == "" {
		return deny(access.UnknownObject, "analysis hides an error that it does not give")
	}
	if r, ok := g.uncoveredOf(a.Requires); ok {
		return deny(access.UnknownObject, displayAccess(r))
	}
	return Decision{Reason: a.Reason, Detail: a.Detail, Failed: &a.Error}
}

// uncoveredOf returns the first access that is not covered, if there is one.
func (g *Grants) uncoveredOf(accesses []access.Access) (access.Access, bool) {
	for _, r := range accesses {
		if v, _ := g.judge(r); v != covered {
			return r, true
		}
	}
	return access.Access{}, false
}

// Covers reports whether an access is allowed, and by which rule of the policy
// file; or by which deny it is not, which code nobody trusts, or "" when nothing
// covers it. An access is judged by the object as resolved, or as named where it
// could not be resolved.
func (g *Grants) Covers(a access.Access) (bool, string) {
	v, rule := g.judge(a)
	return v == covered, rule
}

// target is the object an access is judged by.
func target(a access.Access) access.Object {
	if a.Resolved.Name != "" {
		return a.Resolved
	}
	return a.Named
}

// judge applies the rules in the order the package comment gives.
func (g *Grants) judge(a access.Access) (verdict, string) {
	o := target(a)
	fine := perColumn(a.Action, o.Kind)
	if inSchema(o.Kind) {
		// Without usage of its schema PostgreSQL lets nobody name an object.
		schema := access.Object{Kind: access.Schema, Name: o.Schema}
		for _, e := range g.deny.find(access.Usage, schema, false) {
			return denied, e.rule
		}
	}
	var deniedColumns []string
	for _, e := range g.deny.find(a.Action, o, false) {
		switch {
		case e.columns == nil:
			return denied, e.rule
		case !fine:
			// No column can be told apart under this action: a deny of columns
			// says nothing about it.
		case a.AllColumns, slices.ContainsFunc(a.Columns, func(c string) bool { return slices.Contains(e.columns, c) }):
			return denied, e.rule
		default:
			deniedColumns = append(deniedColumns, e.columns...)
		}
	}
	found := g.allow.find(a.Action, o, true)
	rule, ok := "", true
	if !a.Within {
		if rule, ok = covering(a, o, found, deniedColumns); !ok && a.Action == access.Usage && o.Kind == access.Schema {
			rule = g.allow.usage(o.Name)
			ok = rule != ""
		}
		if !ok {
			return uncovered, ""
		}
	}
	if code, untrusted := g.untrusted(a, o, found, deniedColumns); untrusted {
		return opaque, code
	}
	return covered, rule
}

// covering returns the rules by which the entries cover an access.
func covering(a access.Access, o access.Object, found []entry, deniedColumns []string) (string, bool) {
	for _, e := range found {
		if e.columns == nil {
			return e.rule, true
		}
	}
	switch {
	case a.AllColumns || !perColumn(a.Action, o.Kind):
	case len(a.Columns) > 0:
		if rule, ok := coverColumns(found, a.Columns); ok {
			return rule, true
		}
	default:
		for _, e := range found {
			if slices.ContainsFunc(e.columns, func(c string) bool { return !slices.Contains(deniedColumns, c) }) {
				return e.rule, true
			}
		}
	}
	return "", false
}

// untrusted returns code that would run because of the access and that nobody
// trusts. Code is trusted with its extension, or by trusted grants that cover the
// access by themselves: one that is about other columns says nothing about it.
func (g *Grants) untrusted(a access.Access, o access.Object, found []entry, deniedColumns []string) (code string, untrusted bool) {
	i := slices.IndexFunc(a.Trust, func(t access.Trust) bool { return t.Extension == "" || !g.extensions[t.Extension] })
	if i < 0 {
		return "", false
	}
	trusted := slices.DeleteFunc(slices.Clone(found), func(e entry) bool { return !e.trusted })
	if len(trusted) > 0 {
		if _, ok := covering(a, o, trusted, deniedColumns); ok {
			return "", false
		}
	}
	return a.Trust[i].Code, true
}

// coverColumns reports whether the entries' columns together hold all of the
// wanted ones, and which rules it took.
func coverColumns(found []entry, wanted []string) (string, bool) {
	var rules []string
	for _, c := range wanted {
		i := slices.IndexFunc(found, func(e entry) bool { return slices.Contains(e.columns, c) })
		if i < 0 {
			return "", false
		}
		if !slices.Contains(rules, found[i].rule) {
			rules = append(rules, found[i].rule)
		}
	}
	return strings.Join(rules, ", "), true
}

// usage returns a rule that grants something in the schema, or "".
func (x *index) usage(schema string) string {
	if rule := x.schemas[schema]; rule != "" {
		return rule
	}
	if reservedSchema(schema) {
		return ""
	}
	return x.everySchema
}
