package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The values of Rule.Event (CmdType of nodes.h).
const (
	ruleUpdate = 2
	ruleInsert = 3
	ruleDelete = 4
)

// ruleEvent is the event that an action is to rules, 0 for none.
func ruleEvent(action access.Action) byte {
	switch action {
	case access.Update:
		return ruleUpdate
	case access.Insert:
		return ruleInsert
	case access.Delete:
		return ruleDelete
	default:
		return 0
	}
}

// rules judges the rules that an action on a relation sets off. Their queries read
// and write with the rights of the relation's owner (setRuleCheckAsUser), but what
// the statement itself computes is put into them: the grant must trust them, except
// those that do nothing instead. Their functions are the session's role's to execute,
// whatever is trusted (ExecInitFunc).
func (a *analyzer) rules(rel *catalog.Relation, action access.Action, at place) error {
	for i := range rel.Rules {
		r := &rel.Rules[i]
		if !enabled(r.Enabled) || r.Event != ruleEvent(action) {
			continue
		}
		nothing, err := a.doesNothing(r)
		if err != nil {
			return err
		}
		if !nothing {
			what := "rule " + r.Name + " of " + fullName(rel)
			if r.Definition == unwritten {
				// Trust does not stand in for execute on what it calls, which is not known.
				return deny(access.OpaqueCode, what+", which the message has changed")
			}
			a.mustTrust(at, what)
			if err := a.runs(a.boundRule(rel, r), at, what); err != nil {
				return err
			}
		}
	}
	return nil
}

// boundRule binds the condition and the actions of a rule, once in a unit. Of a temporary
// table's the relations are the session's role's to use, which owns it.
func (a *analyzer) boundRule(rel *catalog.Relation, r *catalog.Rule) *code {
	key := storedKey{relation: rel.OID, session: strings.Join(a.session, "\x00"), text: r.Definition, references: referenceKey(r.References)}
	if known := a.expressions[key]; known != nil {
		return known
	}
	// The server refuses a rule that sets itself off.
	a.expressions[key] = &code{err: deny(access.OpaqueCode, "a rule that sets itself off")}
	in := inside{path: a.storedPath(), reader: rel.Owner, stored: true, origin: origin{refs: r.References, owner: rel.OID}}
	if ownTemporary(rel.Schema) {
		in.reader = ""
	}
	c := &code{}
	c.accesses, c.err = a.catalogued(r.Definition, in, func(inner *analyzer, tree *pg_query.ParseResult) error {
		if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetRuleStmt() == nil {
			return deny(access.Construct, "a rule")
		}
		return inner.ruleActions(tree.Stmts[0].Stmt.GetRuleStmt(), rel)
	})
	a.expressions[key] = c
	return c
}

// doesNothing reports whether a rule, as pg_get_ruledef prints it, has no action and
// no condition.
func (a *analyzer) doesNothing(r *catalog.Rule) (bool, error) {
	nothing := false
	_, err := a.catalogued(r.Definition, inside{path: a.storedPath(), stored: true, part: true},
		func(_ *analyzer, tree *pg_query.ParseResult) error {
			if len(tree.Stmts) == 1 && tree.Stmts[0].Stmt.GetRuleStmt() != nil {
				rule := tree.Stmts[0].Stmt.GetRuleStmt()
				nothing = rule.WhereClause == nil && len(rule.Actions) == 0
			}
			return nil
		})
	if limited(err) {
		return false, err
	}
	return nothing && err == nil, nil
}
