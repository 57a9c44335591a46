package oracle

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// excuse looks closer at a statement that Scopewire allows and the role is refused.
func (d *Database) excuse(ctx context.Context, c *Comparison) error {
	if mustOwn.MatchString(c.Server.Message) && slices.ContainsFunc(c.Verdict.Accesses, func(a access.Access) bool { return a.Action == access.DDL }) {
		c.Class = ByDefinition
		return nil
	}
	asLogin, lost, err := d.login.rolledBack(ctx, c.Role.Path, c.Unit)
	switch {
	case err != nil || lost:
		return err
	case asLogin.Refused(), d.definerRefused(c.Server):
		c.Class = ServerRefuses
		return nil
	}
	trusted, err := d.byTrust(*c)
	if err == nil && trusted {
		c.Class = ByTrust
	}
	return err
}

// definerRefused reports whether a refusal comes out of a function that runs with its
// owner's rights. Which rows are sampled, and so whether it is called, may differ from
// run to run.
func (d *Database) definerRefused(a Answer) bool {
	from := refusedIn.FindStringSubmatch(a.Where)
	return from != nil && slices.ContainsFunc(d.Snapshot.Functions, func(f catalog.Function) bool { return f.Name == from[1] && f.SecurityDefiner }) &&
		!slices.ContainsFunc(d.Snapshot.Functions, func(f catalog.Function) bool { return f.Name == from[1] && !f.SecurityDefiner })
}

// refusedIn is the beginning of an error's context: the innermost function
// (sql_exec_error_callback of functions.c, plpgsql_exec_error_callback of pl_exec.c).
var refusedIn = regexp.MustCompile(`^(?:SQL function "|PL/pgSQL function (?:\w+\.)?)(\w+)`)

// mustOwn is the message about what only an owner may do (aclcheck_error of aclchk.c).
var mustOwn = regexp.MustCompile(`^must be owner of `)

// byTrust reports whether a refusal comes out of code that a grant trusts: it came
// through a function that a grant names or that hangs off a table, from the validator of
// one that is being made, or a rule's action was refused something that the text does
// not name; and without the word trusted in the grants Scopewire denies.
func (d *Database) byTrust(c Comparison) (bool, error) {
	through := definesBody.MatchString(c.Unit.SQL)
	plain := slices.Clone(c.Role.Grants)
	for i := range plain {
		g := &plain[i]
		through = through || g.Trusted && strings.Contains(c.Server.Where, "function") && (g.Kind == access.Table || strings.Contains(c.Server.Where, g.Name))
		g.Trusted = false
	}
	j, err := d.judge(c.Role.Path, plain)
	if err != nil {
		return false, err
	}
	verdict := j.verdict(c.Unit)
	if through || verdict.Allow {
		return !verdict.Allow, nil
	}
	refused := refusedObject.FindStringSubmatch(c.Server.Message)
	return refused != nil && !slices.Contains(d.textWords(c.Unit.SQL), refused[1]) &&
		slices.ContainsFunc(verdict.Denials, func(d Denial) bool { return strings.Contains(d.Detail, " runs rule ") }), nil
}

// trustBody looks closer at a statement with a name that means nothing: a body that
// nobody can follow is taken on trust, names and all.
func (d *Database) trustBody(c *Comparison) error {
	trusted, err := d.byTrust(*c)
	if trusted {
		c.Class = ByTrust
	}
	return err
}

// definesBody matches what the server validates a body of (ProcedureCreate).
var definesBody = regexp.MustCompile(`(?is)^\W*create\s+(or\s+replace\s+)?(function|procedure)\b`)

// refusedObject is the message about an object (aclcheck_error of aclchk.c).
var refusedObject = regexp.MustCompile(`^permission denied for (?:table|view|materialized view|sequence|function|procedure) (.*)$`)

// explain looks for the reasons why Scopewire denies what the role may do. Each access
// that is not covered needs one.
func (d *Database) explain(ctx context.Context, c *Comparison, rules Rules) error {
	class := Class("")
	for _, denial := range c.Verdict.Denials {
		why, rule, err := d.reason(ctx, *c, rules, denial)
		if err != nil || why == Overdenied {
			c.Verdict.Detail = denial.Detail // The one to look at.
			return err
		}
		if class != Explained {
			class, c.Rule = why, rule
		}
	}
	if class != "" {
		c.Class = class
	}
	return nil
}

// reason is the class of one denial, with the rule that explains it; Overdenied where
// nothing does.
func (d *Database) reason(ctx context.Context, c Comparison, rules Rules, denial Denial) (Class, string, error) {
	if name := rules.find(denial, strings.Join(Tokens(c.Unit.SQL), " ")); name != "" {
		return Explained, name, nil
	}
	missing := denial.Access
	if missing == nil || missing.Resolved.Name == "" {
		return Overdenied, "", nil
	}
	if d.baseType(missing) {
		return Explained, "base type", nil
	}
	if missing.Resolved.Kind == access.Sequence {
		idle, err := d.idle(ctx, c, missing.Resolved)
		if err != nil || !idle {
			return Overdenied, "", err
		}
		return Explained, "sequence not reached", nil
	}
	uncalled, err := d.uncalled(ctx, c, missing.Resolved)
	if err != nil {
		return Overdenied, "", err
	}
	if uncalled {
		return Explained, "body not reached", nil
	}
	// What a view reads is gone when the view is.
	for _, o := range append([]access.Object{missing.Resolved}, missing.Through...) {
		dropped, err := d.dropped(ctx, c.Role.Path, c.Unit, o)
		if err != nil {
			return Overdenied, "", err
		}
		if dropped {
			return PlannerDropped, "", nil
		}
	}
	return Overdenied, "", nil
}

// baseType reports whether an access is about a type of somebody's own whose input
// and output functions, or casts, are code that runs without PostgreSQL asking for it.
func (d *Database) baseType(a *access.Access) bool {
	if a.Resolved.Kind != access.Type {
		return false
	}
	typ := d.Snapshot.TypeByName(a.Resolved.Schema, a.Resolved.Name)
	return typ != nil && (typ.Kind == 'b' && typ.Element == 0 ||
		slices.ContainsFunc(d.Snapshot.UserCasts(), func(c *catalog.Cast) bool { return c.Source == typ.OID }))
}

// idle reports whether a statement leaves a sequence alone when the login runs it.
// PostgreSQL asks for a sequence when nextval is called, analysis whenever it may be:
// an INSERT of no rows calls it not, nor does EXPLAIN. What a sequence gave out does not
// come back with ROLLBACK.
func (d *Database) idle(ctx context.Context, c Comparison, sequence access.Object) (bool, error) {
	state := "SELECT last_value, is_called FROM " + quote(sequence.Schema) + "." + quote(sequence.Name)
	before, err := d.admin.row(ctx, state)
	if err != nil {
		return false, err
	}
	answer, lost, err := d.login.rolledBack(ctx, c.Role.Path, c.Unit)
	if err != nil || lost || !answer.Ran() {
		return false, err
	}
	after, err := d.admin.row(ctx, state)
	return err == nil && slices.Equal(before, after), err
}

// uncalled reports whether an object that a text does not name can only be in the body of
// a function that the text names and that was not called when the login ran it: for
// no row there is nothing to call it with, and PostgreSQL looks at no body then.
func (d *Database) uncalled(ctx context.Context, c Comparison, o access.Object) (bool, error) {
	own := d.textWords(c.Unit.SQL)
	if slices.Contains(own, o.Name) {
		return false, nil
	}
	var named []string
	for _, f := range d.Model.Routines {
		if calls(own, f.Name) > 0 {
			named = append(named, quoteLiteral(f.Name))
		}
	}
	if len(named) == 0 {
		return false, nil
	}
	uncalled := false
	_, _, err := d.login.rolledBackAfter(ctx, c.Role.Path, c.Unit, []string{"SET LOCAL track_functions = 'all'"}, func() error {
		row, err := d.login.row(ctx, fmt.Sprintf("SELECT count(*) FROM pg_catalog.pg_stat_xact_user_functions WHERE calls > 0 AND funcname IN (%s)", strings.Join(named, ", ")))
		uncalled = err == nil && row[0] == "0"
		return err
	})
	return uncalled, err
}
