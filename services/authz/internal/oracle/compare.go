package oracle

import (
	"context"
	"fmt"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Class says how two answers relate.
type Class string

// The classes. Those of failing are failures.
const (
	// Agree: both let it run, or both do not.
	Agree Class = "agree"
	// Nobody: Scopewire denies what fails for the login, too, with the same error.
	Nobody Class = "fails for everybody"
	// Undecided: the server's error says nothing about rights, and the login gets another
	// answer.
	Undecided Class = "undecided"
	// Explained: Scopewire denies what the role may do, by a rule of the list.
	Explained Class = "explained"
	// ServerRefuses: Scopewire allows what the role is refused, and the server refuses
	// it to the login as well: what is refused is not the role but, say, a view's owner.
	ServerRefuses Class = "server refuses the login too"
	// PlannerDropped: Scopewire asks for what the plan no longer holds.
	PlannerDropped Class = "planner dropped"
	// ByDefinition: who may define in a schema may change what others made in it; in
	// PostgreSQL that takes the owner.
	ByDefinition Class = "by definition"
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
		for _, denial := range c.Verdict.Denials {
			if denial.Detail == c.Verdict.Detail && denial.Access != nil && len(denial.Access.Through) > 0 {
				ours += fmt.Sprintf(" through %v", denial.Access.Through)
			}
		}
	}
	theirs := "runs"
	if !c.Server.Ran() {
		theirs = fmt.Sprintf("%s: %s (%d)", c.Server.State, c.Server.Message, c.Server.Position)
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
		told, err := d.toldBeside(c)
		if err != nil {
			return c, false, err
		}
		if told {
			c.Class, c.Rule = Explained, "error beside what is not granted"
			return c, false, nil
		}
	}
	if c.Class == Agree || c.Class == Undecided {
		if err := d.decide(ctx, &c); err != nil {
			return c, false, err
		}
	}
	switch c.Class {
	case Leak:
		err = d.excuse(ctx, &c)
	case Unbound:
		err = d.trustBody(ctx, &c)
	case Overdenied:
		err = d.explain(ctx, &c, rules)
	case WrongError:
		if name := rules.findError(c.Verdict, c.Server, c.Unit.SQL); name != "" {
			c.Class, c.Rule = Explained, name
			return c, false, nil
		}
		err = d.owned(ctx, &c)
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
