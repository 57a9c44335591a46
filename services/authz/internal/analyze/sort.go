package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// sortClause binds ORDER BY of a query: an output name, an ordinal, or an
// expression over the input (transformSortClause).
func (a *analyzer) sortClause(s *scope, nodes []*pg_query.Node, list *targets) error {
	for _, node := range nodes {
		sort := node.GetSortBy()
		if sort == nil {
			return deny(access.Construct, "an ORDER BY")
		}
		v, err := a.outputExpr(s, sort.Node, list, false)
		if err != nil {
			return err
		}
		if err := a.sortBy(sort, v); err != nil {
			return err
		}
	}
	return nil
}

// sortInputs binds ORDER BY inside a window or an aggregate: input expressions
// (SQL:1999).
func (a *analyzer) sortInputs(s *scope, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		sort := node.GetSortBy()
		if sort == nil {
			return deny(access.Construct, "an ORDER BY")
		}
		v, err := a.bind(s, sort.Node)
		if err != nil {
			return err
		}
		if v.open() {
			if v, err = a.coerce(v, resolve.Text, resolve.Implicit, nil); err != nil {
				return err
			}
		}
		if err := a.sortBy(sort, v); err != nil {
			return err
		}
	}
	return nil
}

// sortBy judges the order of one ORDER BY item: the type's own, which no right guards
// and holds has judged, or that of an operator.
func (a *analyzer) sortBy(sort *pg_query.SortBy, v value) error {
	if len(sort.UseOp) == 0 {
		return nil
	}
	return a.usingOperator(sort, v)
}

// usingOperator judges ORDER BY … USING operator (compatible_oper_opid). The operator
// must be of a btree class, whose functions sort.
func (a *analyzer) usingOperator(sort *pg_query.SortBy, v value) error {
	name, ok := stringNodes(sort.UseOp)
	if !ok || len(name) == 0 {
		return deny(access.Construct, "ORDER BY … USING")
	}
	schema, op, err := a.operatorName(name)
	if err != nil {
		return err
	}
	found, bad := a.names().Operator(schema, op, v.typ, v.typ)
	if bad != nil {
		return a.wrong(bad, sort.Location)
	}
	return a.runNamed(schema, found.Operator, found.Result, []value{v, v})
}

// outputExpr is findTargetlistEntrySQL92. In GROUP BY an input column of the name
// comes first, elsewhere an output one. A literal that nothing has typed is text.
func (a *analyzer) outputExpr(s *scope, node *pg_query.Node, list *targets, group bool) (value, error) {
	if err := a.spend(len(list.columns)); err != nil {
		return value{}, err
	}
	if ref := node.GetColumnRef(); ref != nil && len(ref.Fields) == 1 {
		if name, ok := stringNode(ref.Fields[0]); ok {
			if v, found, err := a.outputNamed(s, name, ref.Location, list, group); found || err != nil {
				return v, err
			}
		}
	}
	if constant := node.GetAConst(); constant != nil && constant.GetIval() != nil {
		*a.literally = true
		return a.outputAt(int(constant.GetIval().Ival), list)
	}
	v, err := a.bind(s, node)
	if err == nil && v.open() {
		v, err = a.coerce(v, resolve.Text, resolve.Implicit, nil)
	}
	return v, err
}

// outputNamed finds an output column by its name. That there are two of the name is
// left to the server.
func (a *analyzer) outputNamed(s *scope, name string, location int32, list *targets, group bool) (value, bool, error) {
	at := list.find(name)
	if at < 0 {
		return value{}, false, nil
	}
	if group {
		// Columns of outer levels come after output names.
		local := *s
		local.parent = nil
		c, _, err := a.findColumn(&local, name, location)
		if err != nil {
			return value{}, false, err
		}
		if c != nil {
			return a.columnValue(c, s, location), true, nil
		}
	}
	v, err := a.outputAt(at+1, list)
	return v, true, err
}

// outputAt is the output column of an ordinal. One out of range is left to the server.
func (a *analyzer) outputAt(ordinal int, list *targets) (value, error) {
	if ordinal < 1 || ordinal > len(list.columns) {
		return typed(resolve.Int4, -1), nil
	}
	c := &list.columns[ordinal-1]
	if c.typ == resolve.Unknown {
		if err := a.settle(list.columns[ordinal-1 : ordinal]); err != nil {
			return value{}, err
		}
	}
	return c.value(), nil
}

// groupItem binds an item of GROUP BY; rows and grouping sets stand for what is in
// them (flatten_grouping_sets).
func (a *analyzer) groupItem(s *scope, node *pg_query.Node, list *targets) error {
	var content []*pg_query.Node
	switch n := node.GetNode().(type) {
	case *pg_query.Node_GroupingSet:
		content = n.GroupingSet.Content
	case *pg_query.Node_RowExpr:
		if n.RowExpr.RowFormat != pg_query.CoercionForm_COERCE_IMPLICIT_CAST {
			return a.groupExpr(s, node, list)
		}
		content = n.RowExpr.Args
	case *pg_query.Node_List:
		content = n.List.Items
	default:
		return a.groupExpr(s, node, list)
	}
	for _, inner := range content {
		if err := a.groupItem(s, inner, list); err != nil {
			return err
		}
	}
	return nil
}

// groupExpr binds an expression to group by.
func (a *analyzer) groupExpr(s *scope, node *pg_query.Node, list *targets) error {
	v, err := a.outputExpr(s, node, list, true)
	if err != nil {
		return err
	}
	return a.groups(v.typ)
}

// distinctClause binds DISTINCT ON; a plain DISTINCT is a list of one empty node, and
// compares every output column.
func (a *analyzer) distinctClause(s *scope, nodes []*pg_query.Node, list *targets) error {
	for _, node := range nodes {
		if node.GetNode() == nil {
			if err := a.settle(list.columns); err != nil {
				return err
			}
			return a.groupsAll(list.columns)
		}
		v, err := a.outputExpr(s, node, list, false)
		if err != nil {
			return err
		}
		if err := a.groups(v.typ); err != nil {
			return err
		}
	}
	return nil
}
