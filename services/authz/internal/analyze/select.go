package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// subquery binds a query below a scope and returns its level and its columns; none for a DML without RETURNING. owner is the CTE it is the query of.
func (a *analyzer) subquery(parent *scope, node *pg_query.Node, owner *cte) (*scope, []output, error) {
	if a.casts != nil {
		// Assignments, set operations and joins cast without an expression to see.
		return nil, nil, a.casts
	}
	s := &scope{parent: parent}
	var columns []output
	var err error
	switch n := node.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		columns, err = a.selectStmt(s, n.SelectStmt, owner)
	case *pg_query.Node_InsertStmt:
		columns, err = a.insertStmt(s, n.InsertStmt)
	case *pg_query.Node_UpdateStmt:
		columns, err = a.updateStmt(s, n.UpdateStmt)
	case *pg_query.Node_DeleteStmt:
		columns, err = a.deleteStmt(s, n.DeleteStmt)
	default:
		err = deny(access.StatementKind, nodeWords(node))
	}
	return s, columns, err
}

// selectStmt binds SELECT, VALUES or a set operation and returns its columns.
func (a *analyzer) selectStmt(s *scope, q *pg_query.SelectStmt, owner *cte) ([]output, error) {
	switch {
	case q.IntoClause != nil:
		return nil, deny(access.StatementKind, "select into")
	case q.Op != pg_query.SetOperation_SETOP_NONE:
		return a.setOperation(s, q, owner)
	case len(q.ValuesLists) > 0:
		return a.values(s, q)
	}
	if err := a.with(s, q.WithClause); err != nil {
		return nil, err
	}
	if err := a.fromClause(s, q.FromClause); err != nil {
		return nil, err
	}
	targets, err := a.targetList(s, q.TargetList)
	if err != nil {
		return nil, err
	}
	if err := a.optional(s, q.WhereClause, q.HavingClause); err != nil {
		return nil, err
	}
	if err := a.sortClause(s, q.SortClause, targets); err != nil {
		return nil, err
	}
	for _, node := range q.GroupClause {
		if err := a.groupItem(s, node, targets); err != nil {
			return nil, err
		}
	}
	for _, node := range q.DistinctClause {
		// A plain DISTINCT is a list of one empty node.
		if node.GetNode() != nil {
			if err := a.outputExpr(s, node, targets, false); err != nil {
				return nil, err
			}
		}
	}
	if err := a.optional(s, q.LimitOffset, q.LimitCount); err != nil {
		return nil, err
	}
	for _, node := range q.WindowClause {
		if err := a.window(s, node.GetWindowDef()); err != nil {
			return nil, err
		}
	}
	return targets.columns, a.locking(s, q.LockingClause)
}

// optional binds expressions that may be absent.
func (a *analyzer) optional(s *scope, nodes ...*pg_query.Node) error {
	for _, node := range nodes {
		if node != nil {
			if _, err := a.expr(s, node); err != nil {
				return err
			}
		}
	}
	return nil
}

// setOperation binds UNION and its kin: the arms below this level, then ORDER BY
// over the columns of the first arm.
func (a *analyzer) setOperation(s *scope, q *pg_query.SelectStmt, owner *cte) ([]output, error) {
	if len(q.LockingClause) > 0 {
		return nil, deny(access.Construct, "FOR UPDATE of a set operation")
	}
	if err := a.with(s, q.WithClause); err != nil {
		return nil, err
	}
	columns, err := a.setArm(s, q, owner, true)
	if err != nil {
		return nil, err
	}
	// ORDER BY sees the output names only, and LIMIT nothing.
	it, err := a.computedItem(&rangeEntry{name: "unnamed_join"}, columns, nil)
	if err != nil {
		return nil, err
	}
	it.nameVisible = false
	s.namespace = []*item{it}
	if err := a.sortClause(s, q.SortClause, &targets{columns: columns}); err != nil {
		return nil, err
	}
	s.namespace = nil
	return columns, a.optional(s, q.LimitOffset, q.LimitCount)
}

// setArm is transformSetOperationTree.
func (a *analyzer) setArm(s *scope, q *pg_query.SelectStmt, owner *cte, top bool) ([]output, error) {
	leaf := q.Op == pg_query.SetOperation_SETOP_NONE ||
		!top && (len(q.SortClause) > 0 || q.LimitOffset != nil || q.LimitCount != nil || len(q.LockingClause) > 0 || q.WithClause != nil)
	if leaf {
		inner := &scope{parent: s}
		columns, err := a.selectStmt(inner, q, nil)
		s.ranges = append(s.ranges, &rangeEntry{name: "*SELECT*", subquery: inner})
		return columns, err
	}
	columns, err := a.setArm(s, q.Larg, nil, false)
	if err != nil {
		return nil, err
	}
	if top && owner != nil && owner.scope.hasRecursion(owner) {
		if err := a.nameCTE(owner, columns); err != nil {
			return nil, err
		}
	}
	_, err = a.setArm(s, q.Rarg, nil, false)
	return columns, err
}

// hasRecursion reports whether a CTE may name itself: under WITH RECURSIVE its
// name is in view while it is bound.
func (s *scope) hasRecursion(c *cte) bool {
	for _, have := range s.ctes {
		if have == c {
			return true
		}
	}
	return false
}

// values binds VALUES as a query (transformValuesClause).
func (a *analyzer) values(s *scope, q *pg_query.SelectStmt) ([]output, error) {
	if err := a.with(s, q.WithClause); err != nil {
		return nil, err
	}
	width := 0
	for _, row := range q.ValuesLists {
		n, err := a.exprList(s, row.GetList().GetItems(), false)
		if err != nil {
			return nil, err
		}
		width = max(width, n)
	}
	if width > maxTargets {
		return nil, deny(access.Construct, "too many columns")
	}
	columns := make([]output, 0, width)
	for i := range width {
		columns = append(columns, output{name: "column" + itoa(i+1)})
	}
	it, err := a.computedItem(&rangeEntry{name: "*VALUES*"}, columns, nil)
	if err != nil {
		return nil, err
	}
	s.namespace = []*item{it}
	if err := a.sortClause(s, q.SortClause, &targets{columns: columns}); err != nil {
		return nil, err
	}
	if err := a.optional(s, q.LimitOffset, q.LimitCount); err != nil {
		return nil, err
	}
	if len(q.LockingClause) > 0 {
		return nil, deny(access.Construct, "FOR UPDATE of VALUES")
	}
	return columns, nil
}

// locking adds the update access that FOR UPDATE and FOR SHARE need
// (transformLockingClause).
func (a *analyzer) locking(s *scope, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		clause := node.GetLockingClause()
		if clause == nil {
			return deny(access.Construct, "a locking clause")
		}
		if len(clause.LockedRels) == 0 {
			if err := a.lockAll(s); err != nil {
				return err
			}
			continue
		}
		for _, target := range clause.LockedRels {
			name := target.GetRangeVar()
			if name == nil {
				return deny(access.Construct, "a locking clause")
			}
			found := false
			if err := a.spend(len(s.ranges)); err != nil {
				return err
			}
			for _, entry := range s.ranges {
				if entry.inFrom && entry.name == name.Relname {
					found = true
					if err := a.lock(entry); err != nil {
						return err
					}
				}
			}
			if !found {
				return deny(access.Construct, "FOR UPDATE of what is not in FROM")
			}
		}
	}
	return nil
}

func (a *analyzer) lockAll(s *scope) error {
	if err := a.spend(len(s.ranges)); err != nil {
		return err
	}
	for _, entry := range s.ranges {
		if err := a.lock(entry); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) lock(entry *rangeEntry) error {
	switch {
	case entry.relation != nil:
		if isSystem(entry.relation) {
			return deny(access.RelationKind, "FOR UPDATE of a catalog")
		}
		a.current.need(access.Update, entry.named, entry.relation)
		if entry.relation.Kind == catalog.KindView {
			return a.lockView(entry.relation)
		}
	case entry.subquery != nil:
		return a.lockAll(entry.subquery)
	}
	return nil
}
