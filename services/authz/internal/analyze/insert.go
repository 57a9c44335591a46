package analyze

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// insertStmt binds INSERT in PostgreSQL's order: WITH, target, columns, source, ON
// CONFLICT, RETURNING.
func (a *analyzer) insertStmt(s *scope, ins *pg_query.InsertStmt) ([]output, error) {
	if err := a.with(s, ins.WithClause); err != nil {
		return nil, err
	}
	it, err := a.target(s, ins.Relation, nil, access.Insert)
	if err != nil {
		return nil, err
	}
	columns, err := a.insertColumns(s, it, ins.Cols)
	if err != nil {
		return nil, err
	}
	rows, err := a.insertSource(s, ins)
	if err != nil {
		return nil, err
	}
	if len(ins.Cols) == 0 {
		columns = firstColumns(columns, rows)
	}
	defaulted, err := a.assignRows(s, ins.Cols, columns, rows)
	if err != nil {
		return nil, err
	}
	if err := a.inserted(it, ins.Override, columns, defaulted); err != nil {
		return nil, err
	}
	// From here on the target can be named.
	s.namespace = []*item{it}
	if ins.OnConflictClause != nil {
		if err := a.onConflict(s, it, ins.OnConflictClause); err != nil {
			return nil, err
		}
		s.namespace = []*item{it}
	}
	returned, err := a.returning(s, it, ins.ReturningList)
	if err != nil {
		return nil, err
	}
	if ins.OnConflictClause.GetAction() == pg_query.OnConflictAction_ONCONFLICT_UPDATE {
		return returned, a.finishWrite(it, access.Insert, access.Update)
	}
	return returned, a.finishWrite(it, access.Insert)
}

// firstColumns are the columns that rows without a column list are for.
func firstColumns(columns []*catalog.Column, rows [][]value) []*catalog.Column {
	if len(rows) == 0 {
		return nil
	}
	return columns[:min(len(rows[0]), len(columns))]
}

// insertColumns resolves the column list, or takes all columns (checkInsertTargets).
func (a *analyzer) insertColumns(s *scope, it *item, nodes []*pg_query.Node) ([]*catalog.Column, error) {
	var columns []*catalog.Column
	if len(nodes) == 0 {
		for i := range it.entry.relation.Columns {
			columns = append(columns, &it.entry.relation.Columns[i])
		}
		return columns, nil
	}
	for _, node := range nodes {
		target := node.GetResTarget()
		if target == nil {
			return nil, deny(access.Construct, "a column list")
		}
		c, err := a.targetColumn(it, target, fmt.Sprintf("column \"%s\" of relation \"%s\" does not exist", target.Name, it.entry.relation.Name))
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, nil
}

// insertSource binds the rows to insert: those of VALUES, or the columns of a query as
// one row.
func (a *analyzer) insertSource(s *scope, ins *pg_query.InsertStmt) ([][]value, error) {
	if ins.SelectStmt == nil {
		return nil, nil
	}
	q := ins.SelectStmt.GetSelectStmt()
	if q == nil {
		return nil, deny(access.Construct, "the source of an INSERT")
	}
	plainValues := len(q.ValuesLists) > 0 && q.WithClause == nil && len(q.SortClause) == 0 && q.LimitOffset == nil &&
		q.LimitCount == nil && len(q.LockingClause) == 0 && q.Op == pg_query.SetOperation_SETOP_NONE
	if !plainValues {
		// The target types what the query leaves open.
		_, columns, err := a.openQuery(s, ins.SelectStmt, nil)
		row := make([]value, 0, len(columns))
		for _, c := range columns {
			row = append(row, c.value())
		}
		return [][]value{row}, err
	}
	rows := make([][]value, 0, len(q.ValuesLists))
	for _, list := range q.ValuesLists {
		row, err := a.exprList(s, list.GetList().GetItems(), true)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 && len(row) != len(rows[0]) {
			return nil, hideColumn(stateSyntax, "VALUES lists must all be the same length", errorPosition(a.text, firstLocation(row)))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// assignRows coerces each row to the columns (transformInsertRow). It returns which
// columns hold DEFAULT in some row.
func (a *analyzer) assignRows(s *scope, cols []*pg_query.Node, columns []*catalog.Column, rows [][]value) (map[int]bool, error) {
	defaulted := map[int]bool{}
	for _, row := range rows {
		if len(row) > len(columns) {
			return nil, hideColumn(stateSyntax, "INSERT has more expressions than target columns", errorPosition(a.text, row[len(columns)].location))
		}
		if len(cols) > 0 && len(row) < len(columns) {
			return nil, hideColumn(stateSyntax, "INSERT has more target columns than expressions",
				errorPosition(a.text, cols[len(row)].GetResTarget().GetLocation()))
		}
		for i, v := range row {
			if v.kind == byDefault {
				defaulted[i] = true
			}
			var target *pg_query.ResTarget
			if len(cols) > 0 {
				target = cols[i].GetResTarget()
			}
			if err := a.assignTo(s, v, columns[i], target); err != nil {
				return nil, err
			}
		}
	}
	return defaulted, nil
}

// inserted records the columns and judges the defaults that will be computed: those
// of columns that are not given, and of those given as DEFAULT.
func (a *analyzer) inserted(it *item, override pg_query.OverridingKind, columns []*catalog.Column, defaulted map[int]bool) error {
	rel := it.entry.relation
	if err := a.spend(starCost*len(columns) + rowCost*len(rel.Columns)); err != nil {
		return err
	}
	given := map[string]bool{}
	it.given = given
	for i, c := range columns {
		a.current.column(access.Insert, it.entry.named, rel, c.Name)
		if !defaulted[i] {
			given[c.Name] = true
		}
	}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		// OVERRIDING USER VALUE computes identity columns that are given.
		if given[c.Name] && (c.Identity == 0 || override != pg_query.OverridingKind_OVERRIDING_USER_VALUE) {
			continue
		}
		if err := a.judgeDefault(rel, c, place{access.Insert, rel}); err != nil {
			return err
		}
	}
	return nil
}

// onConflict binds ON CONFLICT: the arbiter is read, `excluded` stands for the
// target's columns and asks for select on them, DO UPDATE updates
// (transformOnConflictClause).
func (a *analyzer) onConflict(s *scope, it *item, clause *pg_query.OnConflictClause) error {
	rel, named := it.entry.relation, it.entry.named
	var excluded *item
	if clause.Action == pg_query.OnConflictAction_ONCONFLICT_UPDATE {
		var err error
		if excluded, err = a.relationItem(rel, named, &pg_query.Alias{Aliasname: "excluded"}); err != nil {
			return err
		}
		excluded.system, excluded.entry.system = false, false
		s.ranges = append(s.ranges, excluded.entry)
	}
	if infer := clause.Infer; infer != nil {
		if infer.Conname != "" {
			a.arbiterConstraint(it, infer.Conname)
		}
		if err := a.arbiter(s, infer); err != nil {
			return err
		}
	}
	switch clause.Action {
	case pg_query.OnConflictAction_ONCONFLICT_NOTHING:
		return nil
	case pg_query.OnConflictAction_ONCONFLICT_UPDATE:
	default:
		return deny(access.Construct, "ON CONFLICT")
	}
	a.current.need(access.Update, named, rel)
	if rel.Kind != catalog.KindView {
		if err := a.judgeWrite(rel, access.Update, setColumns(clause.TargetList)); err != nil {
			return err
		}
	}
	s.namespace = []*item{it, excluded}
	if err := a.assignments(s, it, clause.TargetList); err != nil {
		return err
	}
	return a.condition(s, clause.WhereClause, "WHERE")
}

// arbiterConstraint reads the columns of a constraint that ON CONFLICT names
// (transformOnConflictArbiter). Of one that is not known it reads all.
func (a *analyzer) arbiterConstraint(it *item, name string) {
	rel, named := it.entry.relation, it.entry.named
	for _, key := range rel.Keys {
		if key.Name != name {
			continue
		}
		for _, c := range rel.Columns {
			if slices.Contains(key.Columns, c.Number) {
				a.current.column(access.Select, named, rel, c.Name)
			}
		}
		return
	}
	a.current.whole(access.Select, named, rel)
}

// arbiter binds the columns and expressions by which a unique index is inferred.
func (a *analyzer) arbiter(s *scope, infer *pg_query.InferClause) error {
	for _, node := range infer.IndexElems {
		element := node.GetIndexElem()
		if element == nil || len(element.Opclass) > 0 && !a.knowsClass(element.Opclass) || len(element.Opclassopts) > 0 {
			return deny(access.Construct, "a conflict target")
		}
		if len(element.Collation) > 0 {
			if err := a.collation(element.Collation); err != nil {
				return err
			}
		}
		expression := element.Expr
		if element.Name != "" {
			expression = &pg_query.Node{Node: &pg_query.Node_ColumnRef{ColumnRef: &pg_query.ColumnRef{Location: infer.Location,
				Fields: []*pg_query.Node{{Node: &pg_query.Node_String_{String_: &pg_query.String{Sval: element.Name}}}}}}}
		}
		if _, err := a.expr(s, expression); err != nil {
			return err
		}
	}
	return a.condition(s, infer.WhereClause, "WHERE")
}

// knowsClass reports whether there is a btree operator class of the name
// (OpclassnameGetOpcid). An arbiter only compares it with those of indexes.
func (a *analyzer) knowsClass(nodes []*pg_query.Node) bool {
	names, ok := stringNodes(nodes)
	if !ok || len(names) == 0 || len(names) > 2 {
		return false
	}
	return slices.ContainsFunc(a.snap.OperatorClasses, func(c catalog.OperatorClass) bool {
		if c.Method != "btree" || c.Name != last(names) {
			return false
		}
		return len(names) == 2 && c.Schema == names[0] || len(names) == 1 && slices.Contains(a.path, c.Schema)
	})
}
