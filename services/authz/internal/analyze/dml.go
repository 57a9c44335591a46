package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// target opens the relation that a statement writes (setTargetTable). Its item is
// not in view yet.
func (a *analyzer) target(s *scope, rv *pg_query.RangeVar, action access.Action) (*item, error) {
	if rv == nil {
		return nil, deny(access.Construct, "a statement without a target")
	}
	rel, err := a.openRelation(rv, action, rv.Location)
	if err != nil {
		return nil, err
	}
	if err := a.judgeWrite(rel, action); err != nil {
		return nil, err
	}
	named := namedObject(rv)
	a.current.need(action, named, rel)
	it, err := a.relationItem(rel, named, rv.Alias)
	if err != nil {
		return nil, err
	}
	s.ranges = append(s.ranges, it.entry)
	return it, nil
}

// returning binds RETURNING and yields its columns; none without it.
func (a *analyzer) returning(s *scope, nodes []*pg_query.Node) ([]output, error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	list, err := a.targetList(s, nodes)
	if err != nil {
		return nil, err
	}
	return list.columns, nil
}

// updateStmt binds UPDATE in PostgreSQL's order: WITH, target, FROM, WHERE,
// RETURNING, SET.
func (a *analyzer) updateStmt(s *scope, u *pg_query.UpdateStmt) ([]output, error) {
	if err := a.with(s, u.WithClause); err != nil {
		return nil, err
	}
	it, err := a.target(s, u.Relation, access.Update)
	if err != nil {
		return nil, err
	}
	// FROM cannot see the target, WHERE and the rest can.
	setLateral([]*item{it}, true, false)
	s.namespace = append(s.namespace, it)
	if err := a.fromClause(s, u.FromClause); err != nil {
		return nil, err
	}
	if err := a.optional(s, u.WhereClause); err != nil {
		return nil, err
	}
	columns, err := a.returning(s, u.ReturningList)
	if err != nil {
		return nil, err
	}
	return columns, a.assignments(s, it, u.TargetList)
}

// deleteStmt binds DELETE.
func (a *analyzer) deleteStmt(s *scope, d *pg_query.DeleteStmt) ([]output, error) {
	if err := a.with(s, d.WithClause); err != nil {
		return nil, err
	}
	it, err := a.target(s, d.Relation, access.Delete)
	if err != nil {
		return nil, err
	}
	setLateral([]*item{it}, true, false)
	s.namespace = append(s.namespace, it)
	if err := a.fromClause(s, d.UsingClause); err != nil {
		return nil, err
	}
	if err := a.optional(s, d.WhereClause); err != nil {
		return nil, err
	}
	return a.returning(s, d.ReturningList)
}

// assignments binds a SET list: all sources first, then the columns.
func (a *analyzer) assignments(s *scope, it *item, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		target := node.GetResTarget()
		if target == nil {
			return deny(access.Construct, "a SET list")
		}
		if err := a.assigned(s, target.Val); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		target := node.GetResTarget()
		c, err := a.targetColumn(it, target, fmt.Sprintf("column \"%s\" of relation \"%s\" does not exist", target.Name, it.entry.relation.Name))
		if err != nil {
			return err
		}
		if err := a.subscripts(s, target.Indirection); err != nil {
			return err
		}
		a.current.column(access.Update, it.entry.named, it.entry.relation, c.Name)
		if target.Val.GetSetToDefault() != nil || target.Val.GetMultiAssignRef() != nil {
			if err := a.judgeDefault(it.entry.relation, c); err != nil && holdsDefault(target.Val) {
				return err
			}
		}
	}
	return nil
}

// assigned binds what a SET item assigns. A row or subquery that several columns
// share is bound with the first of them.
func (a *analyzer) assigned(s *scope, val *pg_query.Node) error {
	if val.GetSetToDefault() != nil {
		return nil
	}
	multi := val.GetMultiAssignRef()
	if multi == nil {
		return a.only(s, val)
	}
	if multi.Colno != 1 {
		return nil
	}
	if link := multi.Source.GetSubLink(); link != nil {
		if link.SubLinkType != pg_query.SubLinkType_EXPR_SUBLINK {
			return deny(access.Construct, "the source of a multiple assignment")
		}
		return a.only(s, multi.Source)
	}
	row := multi.Source.GetRowExpr()
	if row == nil {
		return deny(access.Construct, "the source of a multiple assignment")
	}
	_, err := a.exprList(s, row.Args, true)
	return err
}

// holdsDefault reports whether an assigned value is DEFAULT, or a row with one in
// it.
func holdsDefault(val *pg_query.Node) bool {
	if val.GetSetToDefault() != nil {
		return true
	}
	for _, arg := range val.GetMultiAssignRef().GetSource().GetRowExpr().GetArgs() {
		if arg.GetSetToDefault() != nil {
			return true
		}
	}
	return false
}

// targetColumn finds a column to be written.
func (a *analyzer) targetColumn(it *item, target *pg_query.ResTarget, missing string) (*catalog.Column, error) {
	rel := it.entry.relation
	if err := a.spend(len(rel.Columns)); err != nil {
		return nil, err
	}
	for i := range rel.Columns {
		if rel.Columns[i].Name == target.Name {
			return &rel.Columns[i], nil
		}
	}
	if isSystemColumn(target.Name) {
		return nil, deny(access.Construct, "an assignment to a system column")
	}
	return nil, hide(stateUndefinedColumn, missing, errorPosition(a.text, target.Location))
}

// subscripts binds the subscripts of an assigned column. Fields are denied.
func (a *analyzer) subscripts(s *scope, steps []*pg_query.Node) error {
	for _, step := range steps {
		indices := step.GetAIndices()
		if indices == nil {
			return deny(access.Construct, "an assignment to a field")
		}
		if err := a.optional(s, indices.Lidx, indices.Uidx); err != nil {
			return err
		}
	}
	return nil
}
