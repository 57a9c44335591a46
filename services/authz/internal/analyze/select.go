package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// subquery binds a query below a scope and returns its level and its columns; none for a
// DML without RETURNING. owner is the CTE it is the query of.
func (a *analyzer) subquery(parent *scope, node *pg_query.Node, owner *cte) (*scope, []output, error) {
	s, columns, err := a.openQuery(parent, node, owner)
	if err == nil {
		err = a.settle(columns)
	}
	return s, columns, err
}

// openQuery is subquery, but leaves columns without a type to the caller.
func (a *analyzer) openQuery(parent *scope, node *pg_query.Node, owner *cte) (*scope, []output, error) {
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
	case *pg_query.Node_MergeStmt:
		columns, err = a.mergeStmt(s, n.MergeStmt)
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
	if s.exempt = a.settingRow(q); s.exempt != nil {
		s.setting = settingOfRow(q)
	}
	if err := a.fromClause(s, q.FromClause); err != nil {
		return nil, err
	}
	targets, err := a.targetList(s, q.TargetList)
	if err != nil {
		return nil, err
	}
	if err := a.condition(s, q.WhereClause, "WHERE"); err != nil {
		return nil, err
	}
	if err := a.condition(s, q.HavingClause, "HAVING"); err != nil {
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
	if err := a.distinctClause(s, q.DistinctClause, targets); err != nil {
		return nil, err
	}
	if err := a.limit(s, q); err != nil {
		return nil, err
	}
	if err := a.windows(s, q.WindowClause); err != nil {
		return nil, err
	}
	// Whoever uses the columns types those that nothing has typed.
	return targets.columns, a.locking(s, q.LockingClause)
}

// condition binds a clause that must be boolean, if it is there
// (transformWhereClause).
func (a *analyzer) condition(s *scope, node *pg_query.Node, construct string) error {
	if node == nil {
		return nil
	}
	v, err := a.bind(s, node)
	if err != nil {
		return err
	}
	return a.boolean(v, construct)
}

// limit binds OFFSET and LIMIT (transformLimitClause).
func (a *analyzer) limit(s *scope, q *pg_query.SelectStmt) error {
	for _, clause := range []struct {
		node      *pg_query.Node
		construct string
	}{{q.LimitOffset, "OFFSET"}, {q.LimitCount, "LIMIT"}} {
		if clause.node == nil {
			continue
		}
		v, err := a.bind(s, clause.node)
		if err != nil {
			return err
		}
		if err := a.specific(v, resolve.Int8, clause.construct); err != nil {
			return err
		}
	}
	return nil
}

// settle gives the columns of a query that nobody else types the type text
// (resolveTargetListUnknowns).
func (a *analyzer) settle(columns []output) error {
	for i := range columns {
		c := &columns[i]
		if c.typ != resolve.Unknown {
			continue
		}
		if c.literal != nil {
			if _, err := a.coerce(*c.literal, resolve.Text, resolve.Implicit, nil); err != nil {
				return err
			}
		}
		c.typ, c.literal = resolve.Text, nil
	}
	return nil
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

// values binds VALUES as a query (transformValuesClause).
func (a *analyzer) values(s *scope, q *pg_query.SelectStmt) ([]output, error) {
	if err := a.with(s, q.WithClause); err != nil {
		return nil, err
	}
	rows := make([][]value, 0, len(q.ValuesLists))
	for _, row := range q.ValuesLists {
		cells, err := a.exprList(s, row.GetList().GetItems(), false)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 && len(cells) != len(rows[0]) {
			return nil, hideColumn(stateSyntax, "VALUES lists must all be the same length", errorPosition(a.text, firstLocation(cells)))
		}
		rows = append(rows, cells)
	}
	width := len(rows[0])
	if width > maxTargets {
		return nil, deny(access.Construct, "too many columns")
	}
	columns := make([]output, 0, width)
	for i := range width {
		column := make([]value, 0, len(rows))
		for _, cells := range rows {
			column = append(column, cells[i])
		}
		typ, err := a.common(column, "VALUES")
		if err != nil {
			return nil, err
		}
		columns = append(columns, output{name: "column" + itoa(i+1), typ: typ, fields: commonFields(column)})
	}
	it, err := a.computedItem(&rangeEntry{name: "*VALUES*"}, columns, nil)
	if err != nil {
		return nil, err
	}
	s.namespace = []*item{it}
	if err := a.sortClause(s, q.SortClause, &targets{columns: columns}); err != nil {
		return nil, err
	}
	if err := a.limit(s, q); err != nil {
		return nil, err
	}
	if len(q.LockingClause) > 0 {
		return nil, deny(access.Construct, "FOR UPDATE of VALUES")
	}
	return columns, nil
}

// commonFields are the columns of the records in a column, if that is what it holds:
// the first row decides (expandRecordVariable).
func commonFields(column []value) []output {
	if len(column) == 0 {
		return nil
	}
	return column[0].fields
}

func firstLocation(values []value) int32 {
	if len(values) == 0 {
		return -1
	}
	return values[0].location
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

// lockAll locks what stands in FROM of a level (markQueryForLocking, which follows the
// join tree): the arms of a set operation and WITH queries stay as they are.
func (a *analyzer) lockAll(s *scope) error {
	if err := a.spend(len(s.ranges)); err != nil {
		return err
	}
	for _, entry := range s.ranges {
		if !entry.inFrom {
			continue
		}
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
		if err := a.lockSecurity(entry.relation); err != nil {
			return err
		}
		if entry.relation.Kind == catalog.KindView {
			return a.lockView(entry.relation)
		}
	case entry.subquery != nil:
		return a.lockAll(entry.subquery)
	}
	return nil
}
