package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// target opens the relation that a statement writes (setTargetTable), which asks for
// the actions on it; set are the columns that an update sets. Its item is not in view
// yet.
func (a *analyzer) target(s *scope, rv *pg_query.RangeVar, set columnSet, actions ...access.Action) (*item, error) {
	if rv == nil {
		return nil, deny(access.Construct, "a statement without a target")
	}
	rel, err := a.openRelation(rv, actions[0], rv.Location)
	if err != nil {
		return nil, err
	}
	named := namedObject(rv)
	for _, action := range actions {
		if !fits(rel.Kind, action) {
			return nil, deny(access.RelationKind, "relation "+fullName(rel)+" is of no kind for "+string(action))
		}
		a.current.need(action, named, rel)
		if rel.Kind == catalog.KindView {
			// What it becomes depends on the columns; finishWrite judges that.
			continue
		}
		if err := a.judgeWrite(rel, action, set); err != nil {
			return nil, err
		}
	}
	it, err := a.relationItem(rel, named, rv.Alias)
	if err != nil {
		return nil, err
	}
	s.ranges = append(s.ranges, it.entry)
	return it, nil
}

// updateStmt binds UPDATE in PostgreSQL's order: WITH, target, FROM, WHERE,
// RETURNING, SET.
func (a *analyzer) updateStmt(s *scope, u *pg_query.UpdateStmt) ([]output, error) {
	if err := a.with(s, u.WithClause); err != nil {
		return nil, err
	}
	it, err := a.target(s, u.Relation, setColumns(u.TargetList), access.Update)
	if err != nil {
		return nil, err
	}
	// FROM cannot see the target, WHERE and the rest can.
	setLateral([]*item{it}, true, false)
	s.namespace = append(s.namespace, it)
	if err := a.fromClause(s, u.FromClause); err != nil {
		return nil, err
	}
	if err := a.writeCondition(s, u.WhereClause); err != nil {
		return nil, err
	}
	columns, err := a.returning(s, it, u.ReturningList)
	if err != nil {
		return nil, err
	}
	if err := a.assignments(s, it, u.TargetList); err != nil {
		return nil, err
	}
	return columns, a.finishWrite(it, access.Update)
}

// deleteStmt binds DELETE.
func (a *analyzer) deleteStmt(s *scope, d *pg_query.DeleteStmt) ([]output, error) {
	if err := a.with(s, d.WithClause); err != nil {
		return nil, err
	}
	it, err := a.target(s, d.Relation, nil, access.Delete)
	if err != nil {
		return nil, err
	}
	setLateral([]*item{it}, true, false)
	s.namespace = append(s.namespace, it)
	if err := a.fromClause(s, d.UsingClause); err != nil {
		return nil, err
	}
	if err := a.writeCondition(s, d.WhereClause); err != nil {
		return nil, err
	}
	columns, err := a.returning(s, it, d.ReturningList)
	if err != nil {
		return nil, err
	}
	return columns, a.finishWrite(it, access.Delete)
}

// columnSet names columns; a nil one stands for any.
type columnSet map[string]bool

// setColumns are the columns that SET lists name.
func setColumns(lists ...[]*pg_query.Node) columnSet {
	set := columnSet{}
	for _, nodes := range lists {
		for _, node := range nodes {
			set[node.GetResTarget().GetName()] = true
		}
	}
	return set
}

// writeCondition binds WHERE of an UPDATE or DELETE. WHERE CURRENT OF finds the row
// that a cursor stands on: its query was judged when it was declared, and no column is
// read here (transformCurrentOfExpr).
func (a *analyzer) writeCondition(s *scope, node *pg_query.Node) error {
	cursor := node.GetCurrentOfExpr()
	if cursor == nil {
		return a.condition(s, node, "WHERE")
	}
	if cursor.CursorName == "" || cursor.CursorParam != 0 {
		return deny(access.Construct, "WHERE CURRENT OF")
	}
	return nil
}

// assignments binds a SET list: all sources first, then the columns
// (transformUpdateTargetList).
func (a *analyzer) assignments(s *scope, it *item, nodes []*pg_query.Node) error {
	sources := make([]value, 0, len(nodes))
	var shared []value
	for _, node := range nodes {
		target := node.GetResTarget()
		if target == nil {
			return deny(access.Construct, "a SET list")
		}
		multi := target.Val.GetMultiAssignRef()
		switch {
		case target.Val.GetSetToDefault() != nil:
			sources = append(sources, value{kind: byDefault})
		case multi == nil:
			v, err := a.bind(s, target.Val)
			if err != nil {
				return err
			}
			sources = append(sources, v)
		default:
			if multi.Colno == 1 {
				var err error
				if shared, err = a.sharedSource(s, multi); err != nil {
					return err
				}
			}
			if multi.Colno < 1 || int(multi.Colno) > len(shared) {
				return deny(access.Construct, "the source of a multiple assignment")
			}
			sources = append(sources, shared[multi.Colno-1])
		}
	}
	for i, node := range nodes {
		target := node.GetResTarget()
		c, err := a.targetColumn(it, target, fmt.Sprintf("column \"%s\" of relation \"%s\" does not exist", target.Name, it.entry.relation.Name))
		if err != nil {
			return err
		}
		if err := a.assignTo(s, sources[i], c, target); err != nil {
			return err
		}
		a.current.column(access.Update, it.entry.named, it.entry.relation, c.Name)
		if it.set == nil {
			it.set = map[string]bool{}
		}
		it.set[c.Name] = it.set[c.Name] || sources[i].kind != byDefault
		if sources[i].kind == byDefault {
			if err := a.judgeDefault(it.entry.relation, c, place{access.Update, it.entry.relation}); err != nil {
				return err
			}
		}
	}
	return nil
}

// sharedSource binds the row or subquery that several columns share, with the first of
// them, and returns a value for each (transformMultiAssignRef).
func (a *analyzer) sharedSource(s *scope, multi *pg_query.MultiAssignRef) ([]value, error) {
	var values []value
	if link := multi.Source.GetSubLink(); link != nil {
		if link.SubLinkType != pg_query.SubLinkType_EXPR_SUBLINK {
			return nil, deny(access.Construct, "the source of a multiple assignment")
		}
		columns, err := a.sublinkQuery(s, link)
		if err != nil {
			return nil, err
		}
		for _, c := range columns {
			a.dependsOn(c.typ) // A Param, as in compareSublink.
			values = append(values, value{typ: c.typ, location: c.location, fields: c.fields})
		}
		if len(values) != int(multi.Ncolumns) {
			return nil, hideColumn(stateSyntax, "number of columns does not match number of values", errorPosition(a.text, link.Location))
		}
		return values, nil
	}
	row := multi.Source.GetRowExpr()
	if row == nil {
		return nil, deny(access.Construct, "the source of a multiple assignment")
	}
	values, err := a.exprList(s, row.Args, true)
	if err == nil && len(values) != int(multi.Ncolumns) {
		err = hideColumn(stateSyntax, "number of columns does not match number of values", errorPosition(a.text, row.Location))
	}
	return values, err
}

// assignTo coerces a value to the column it is assigned to, or to what its subscripts
// reach (transformAssignedExpr). DEFAULT has no type.
func (a *analyzer) assignTo(s *scope, v value, c *catalog.Column, target *pg_query.ResTarget) error {
	steps := target.GetIndirection()
	if v.kind == byDefault {
		return a.subscripts(s, steps)
	}
	to := output{name: c.Name, typ: c.Type}
	if len(steps) == 0 {
		return a.assign(v, to)
	}
	reached, err := a.reach(s, value{typ: c.Type, location: -1}, steps)
	if err != nil {
		return err
	}
	if err := a.assignPart(v, reached, target); err != nil {
		return err
	}
	// The whole column is made anew, and a domain over it checked.
	return a.checkDomains(c.Type)
}

// assignPart coerces a value to the element or field it is assigned to
// (transformAssignmentIndirection, transformAssignmentSubscripts).
func (a *analyzer) assignPart(v value, to catalog.OID, target *pg_query.ResTarget) error {
	message := "subscripted assignment to \"" + target.Name + "\" requires type " + a.names().Name(to)
	if name, ok := stringNode(target.Indirection[len(target.Indirection)-1]); ok {
		message = "subfield \"" + name + "\" is of type " + a.names().Name(to)
	}
	_, err := a.coerce(v, to, resolve.Assignment, func(*resolve.Error) error {
		return hideColumn(stateDatatypeMismatch, message+" but expression is of type "+a.names().Name(v.typ), errorPosition(a.text, target.Location)).hint(hintRewrite)
	})
	return err
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
