package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
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
	s := a.oldAndNew(rel)
	if err := a.optional(s, r.WhereClause); err != nil {
		return err
	}
	for _, node := range r.Actions {
		if n := node.GetNotifyStmt(); n != nil {
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

// createPolicy judges CREATE POLICY. One that is not restrictive makes rows readable.
func (a *analyzer) createPolicy(p *pg_query.CreatePolicyStmt) error {
	return a.policy(p.Table, p.Permissive, p.Qual, p.WithCheck)
}

// alterPolicy judges ALTER POLICY: other roles or another condition show other rows.
func (a *analyzer) alterPolicy(p *pg_query.AlterPolicyStmt) error {
	return a.policy(p.Table, true, p.Qual, p.WithCheck)
}

// policy judges the expressions of a policy: they read with the rights of whoever uses
// the table, and are judged again with each use.
func (a *analyzer) policy(table *pg_query.RangeVar, shows bool, expressions ...*pg_query.Node) error {
	rel, err := a.altered(table, false)
	if err != nil {
		return err
	}
	if shows {
		a.readsAll(rel)
	}
	d, err := a.definitionOf(rel)
	if err != nil {
		return err
	}
	return a.optional(d.scope(), expressions...)
}
