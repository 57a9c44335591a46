package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// createRule judges CREATE RULE: its actions run with the rights of the table's owner, so
// that whoever makes it needs what they need.
func (a *analyzer) createRule(r *pg_query.RuleStmt) error {
	rel, err := a.altered(r.Relation, false)
	if err != nil {
		return err
	}
	if r.Event == pg_query.CmdType_CMD_SELECT {
		return deny(access.Construct, "a rule that makes a view")
	}
	h, err := a.storing(func() error { return a.ruleActions(r, rel) })
	if err == nil {
		a.madeRule(r, &pg_query.Node{Node: &pg_query.Node_RuleStmt{RuleStmt: r}}, rel, h)
	}
	return err
}

// ruleActions judges the condition and the actions of a rule. Of one that is set off,
// trust covers whom it notifies.
func (a *analyzer) ruleActions(r *pg_query.RuleStmt, rel *catalog.Relation) error {
	if err := a.optional(a.ruleRows(r.Event, rel), r.WhereClause); err != nil {
		return err
	}
	s := a.oldAndNew(rel)
	for _, node := range r.Actions {
		if n := node.GetNotifyStmt(); n != nil {
			if a.current.stored {
				continue
			}
			if err := a.notify(n); err != nil {
				return err
			}
			continue
		}
		if err := preparable(node); err != nil {
			return deny(access.StatementKind, "a rule that does "+nodeWords(node))
		}
		if _, _, err := a.subquery(s, node, nil); err != nil {
			return err
		}
	}
	return nil
}

// ruleRows is the level of a rule's condition: the rows that its event has, whose columns
// need no qualifier (transformRuleStmt).
func (a *analyzer) ruleRows(event pg_query.CmdType, rel *catalog.Relation) *scope {
	s := a.oldAndNew(rel)
	switch event {
	case pg_query.CmdType_CMD_INSERT:
		s.namespace = s.namespace[1:]
	case pg_query.CmdType_CMD_DELETE:
		s.namespace = s.namespace[:1]
	}
	for _, it := range s.namespace {
		it.columnsVisible = true
	}
	return s
}

// createPolicy judges CREATE POLICY. One that is not restrictive makes rows readable.
func (a *analyzer) createPolicy(p *pg_query.CreatePolicyStmt) error {
	made := catalog.Policy{Name: p.PolicyName, Permissive: p.Permissive, Command: policyCommand(p.CmdName)}
	return a.policy(p.Table, made, p.Roles, p.Qual, p.WithCheck, false)
}

// policyCommand is polcmd.
func policyCommand(name string) byte {
	switch name {
	case "select":
		return 'r'
	case "insert":
		return 'a'
	case "update":
		return 'w'
	case "delete":
		return 'd'
	default:
		return '*'
	}
}

// alterPolicy judges ALTER POLICY: other roles or another condition show other rows.
func (a *analyzer) alterPolicy(p *pg_query.AlterPolicyStmt) error {
	return a.policy(p.Table, catalog.Policy{Name: p.PolicyName}, p.Roles, p.Qual, p.WithCheck, true)
}

// policy judges the expressions of a policy: they read with the rights of whoever uses
// the table, and are judged again with each use.
func (a *analyzer) policy(table *pg_query.RangeVar, made catalog.Policy, roles []*pg_query.Node, using, check *pg_query.Node, alter bool) error {
	rel, err := a.altered(table, false)
	if err != nil {
		return err
	}
	if alter || made.Permissive {
		a.readsAll(rel)
	}
	d, err := a.definitionOf(rel)
	if err != nil {
		return err
	}
	h, err := a.storing(func() error { return a.optional(d.scope(), using, check) })
	if err == nil {
		a.madePolicy(rel, made, roles, using, check, h, alter)
	}
	return err
}
