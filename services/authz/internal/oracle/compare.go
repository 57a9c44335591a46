package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Class says how two answers relate.
type Class string

// The classes. Those of failing are failures.
const (
	// Agree: both let it run, or both do not.
	Agree Class = "agree"
	// Undecided: the server's error says nothing about rights, and Scopewire denies.
	Undecided Class = "undecided"
	// Explained: Scopewire denies what the role may do, by a rule of the list.
	Explained Class = "explained"
	// ServerRefuses: Scopewire allows what the role is refused, and the server refuses
	// it to the login as well: what is refused is not the role but, say, a view's owner.
	ServerRefuses Class = "server refuses the login too"
	// PlannerDropped: Scopewire asks for what the plan no longer holds.
	PlannerDropped Class = "planner dropped"
	// ByTrust: code that the policy trusts was refused something by the role.
	ByTrust Class = "by trust"

	// Leak: Scopewire allows what the role is refused.
	Leak Class = "LEAK"
	// Unbound: Scopewire allows a text with a name that means nothing.
	Unbound Class = "UNBOUND"
	// Overdenied: Scopewire denies what the role may do, and no rule says why.
	Overdenied Class = "OVERDENIED"
	// WrongError: Scopewire gives an error in the server's name, and the server has
	// another answer.
	WrongError Class = "WRONG ERROR"
)

// Failing reports whether the class is a failure.
func (c Class) Failing() bool {
	return c == Leak || c == Unbound || c == Overdenied || c == WrongError
}

// Comparison is what the two sides said of a statement.
type Comparison struct {
	Unit    Unit
	Role    *Role
	Class   Class
	Rule    string // The explanation's name.
	Server  Answer
	Verdict Verdict
	// Schema is what made the database, for those who want to make it again; Origin
	// the script that the statement comes from.
	Schema []string
	Origin string
}

// String is the comparison in a few lines.
func (c Comparison) String() string {
	ours := "allow"
	switch {
	case c.Verdict.Error != nil:
		ours = fmt.Sprintf("error %s: %s (%d)", c.Verdict.Error.SQLState, c.Verdict.Error.Message, c.Verdict.Error.Position)
	case !c.Verdict.Allow:
		ours = fmt.Sprintf("deny %s: %s", c.Verdict.Reason, c.Verdict.Detail)
	}
	theirs := "runs"
	if !c.Server.Ran() {
		theirs = c.Server.State + ": " + c.Server.Message
		if c.Server.Where != "" {
			theirs += " (" + strings.ReplaceAll(c.Server.Where, "\n", "; ") + ")"
		}
	}
	return fmt.Sprintf("%s %s\n  statement:  %s\n  path:       %s\n  scopewire:  %s\n  postgresql: %s", c.Class, c.Origin, c.Unit, c.Role.Path, ours, theirs)
}

// Compare runs a statement as the role and asks Scopewire. lost reports that the
// server gave no answer in time.
func (d *Database) Compare(ctx context.Context, r *Role, rules Rules, u Unit) (c Comparison, lost bool, err error) {
	c = Comparison{Unit: u, Role: r, Verdict: r.judge.verdict(u)}
	if c.Server, lost, err = r.session.rolledBack(ctx, r.Path, u); err != nil || lost {
		return c, lost, err
	}
	c.Class = classify(c.Server, c.Verdict)
	missing := c.Server.State == "42P01" || c.Server.State == "42703"
	if c.Class == Agree && missing && wild(r.Grants) && !c.Verdict.Allow && c.Verdict.Error == nil && c.Server.Where == "" {
		// Who is granted everything is told that a name means nothing.
		c.Class = Overdenied
	}
	switch c.Class {
	case Leak:
		err = d.excuse(ctx, &c)
	case Overdenied:
		err = d.explain(ctx, &c, rules)
	case WrongError:
		if name := rules.findError(c.Verdict, c.Server); name != "" {
			c.Class, c.Rule = Explained, name
		}
	}
	return c, false, err
}

// classify compares the answers by themselves.
func classify(a Answer, v Verdict) Class {
	switch {
	case v.Allow && a.Refused():
		return Leak
	case v.Allow && a.Unbound():
		return Unbound
	case v.Allow:
		return Agree
	case v.Error != nil && !v.Refused:
		return classifyError(a, *v.Error)
	case a.Ran():
		return Overdenied
	case a.Refused(), a.Unbound():
		return Agree
	default:
		return Undecided
	}
}

// classifyError compares an error that Scopewire gives in the server's name with
// what the server says itself.
func classifyError(a Answer, e access.Error) Class {
	switch {
	case a.State == e.SQLState && a.Message == e.Message && a.Position == e.Position:
		return Agree
	case a.State == e.SQLState:
		return WrongError
	case a.Ran(), a.Refused():
		return WrongError
	default:
		// The server looks at types, grouping and literals in another order.
		return Undecided
	}
}

// excuse looks closer at a statement that Scopewire allows and the role is refused.
func (d *Database) excuse(ctx context.Context, c *Comparison) error {
	asLogin, lost, err := d.login.rolledBack(ctx, c.Role.Path, c.Unit)
	switch {
	case err != nil || lost:
		return err
	case asLogin.Refused():
		c.Class = ServerRefuses
	case c.Role.trusts(c.Server.Where):
		c.Class = ByTrust
	}
	return nil
}

// trusts reports whether a grant of the role lets the code run that an error comes
// from: a function by its name, what hangs off a table by being any function.
func (r *Role) trusts(where string) bool {
	for _, g := range r.Grants {
		if g.Trusted && strings.Contains(where, "function") && (g.Kind == access.Table || strings.Contains(where, g.Name)) {
			return true
		}
	}
	return false
}

// explain looks for the reason why Scopewire denies what the role may do.
func (d *Database) explain(ctx context.Context, c *Comparison, rules Rules) error {
	if name := rules.find(c.Verdict, c.Unit.SQL); name != "" {
		c.Class, c.Rule = Explained, name
		return nil
	}
	if d.baseType(c.Verdict.Missing) {
		c.Class, c.Rule = Explained, "base type"
		return nil
	}
	if c.Verdict.Missing == nil || c.Verdict.Missing.Resolved.Name == "" {
		return nil
	}
	dropped, err := d.dropped(ctx, c.Role.Path, c.Unit, c.Verdict.Missing.Resolved)
	if err == nil && dropped {
		c.Class = PlannerDropped
	}
	return err
}

// baseType reports whether an access is about a type of somebody's own whose input
// and output functions, or casts, are code that runs without PostgreSQL asking for it.
func (d *Database) baseType(a *access.Access) bool {
	if a == nil || a.Resolved.Kind != access.Type {
		return false
	}
	typ := d.Snapshot.TypeByName(a.Resolved.Schema, a.Resolved.Name)
	return typ != nil && (typ.Kind == 'b' && typ.Element == 0 ||
		slices.ContainsFunc(d.Snapshot.UserCasts(), func(c *catalog.Cast) bool { return c.Source == typ.OID }))
}

// dropped reports whether the plan of a statement does not mention an object that
// the text names.
func (d *Database) dropped(ctx context.Context, path string, u Unit, o access.Object) (bool, error) {
	if o.Kind != access.Table && o.Kind != access.Function {
		return false, nil
	}
	plan, err := d.login.plan(ctx, path, u)
	if err != nil || plan == "" {
		return false, err
	}
	if strings.Contains(plan, "One-Time Filter: false") {
		// A condition is false whatever the rows are: what hung on it is gone.
		return true, nil
	}
	// The text may name an object more often than the plan does, and a child for itself.
	words, own := planWords(plan), planWords(u.SQL)
	if o.Kind == access.Function {
		return calls(words, o.Name) == 0 || calls(words, o.Name) < calls(own, o.Name), nil
	}
	if n := scans(words, o.Schema, o.Name); n > 0 {
		return n < mentions(own, o.Schema, o.Name), nil
	}
	rel := d.Snapshot.RelationByName(o.Schema, o.Name)
	if rel == nil {
		return false, nil
	}
	for _, child := range d.descendants(rel, nil)[1:] {
		if scans(words, child.Schema, child.Name) > mentions(own, child.Schema, child.Name) {
			return false, nil
		}
	}
	return true, nil
}

// calls counts the calls of functions of a name.
func calls(words []string, name string) int {
	n := 0
	for i := range len(words) - 1 {
		if words[i] == name && words[i+1] == "(" {
			n++
		}
	}
	return n
}

// scans counts the nodes of a plan that are about a relation.
func scans(words []string, schema, name string) int {
	n := 0
	for i := 3; i < len(words); i++ {
		if words[i] == name && words[i-1] == "." && words[i-2] == schema && words[i-3] == "on" {
			n++
		}
	}
	return n
}

// mentions counts the places of a text that may name a relation: with its schema, or
// without any.
func mentions(words []string, schema, name string) int {
	n := 0
	for i, word := range words {
		qualified := i > 1 && words[i-1] == "."
		if word == name && (!qualified || words[i-2] == schema) {
			n++
		}
	}
	return n
}

// planWords are the names of a plan, quotes removed.
func planWords(plan string) []string {
	words := Tokens(plan)
	for i, word := range words {
		words[i] = strings.ReplaceAll(strings.Trim(word, `"`), `""`, `"`)
	}
	return words
}

// descendants are a relation and those below it: a plan shows the partitions and not
// the table.
func (d *Database) descendants(rel *catalog.Relation, all []*catalog.Relation) []*catalog.Relation {
	all = append(all, rel)
	for _, oid := range rel.Children {
		if child := d.Snapshot.RelationByOID(oid); child != nil && len(all) < 100 {
			all = d.descendants(child, all)
		}
	}
	return all
}
