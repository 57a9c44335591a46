package analyze

import (
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

func itoa(n int) string { return strconv.Itoa(n) }

// targets is a bound target list: what ORDER BY, GROUP BY and DISTINCT ON can name.
type targets struct {
	columns []output
}

func (t *targets) add(column output) error {
	if len(t.columns) >= maxTargets {
		return deny(access.Construct, "too many columns")
	}
	t.columns = append(t.columns, column)
	return nil
}

// find returns the place of the first column of a name, -1 for none.
func (t *targets) find(name string) int {
	for i := range t.columns {
		if t.columns[i].name == name {
			return i
		}
	}
	return -1
}

// targetList binds a SELECT or RETURNING list (transformTargetList).
func (a *analyzer) targetList(s *scope, nodes []*pg_query.Node) (*targets, error) {
	list := &targets{}
	for _, node := range nodes {
		target := node.GetResTarget()
		if target == nil || len(target.Indirection) > 0 {
			return nil, deny(access.Construct, "a target list")
		}
		before := len(list.columns)
		expanded, err := a.star(s, target.Val, list)
		if err != nil {
			return nil, err
		}
		if expanded {
			a.held.writeStar(s, target.Val, list.columns[before:])
			continue
		}
		v, err := a.bind(s, target.Val)
		if err != nil {
			return nil, err
		}
		name := target.Name
		if name == "" {
			name, _ = a.figureName(target.Val)
		}
		if name == "" {
			name = "?column?"
		}
		if err := list.add(v.output(name)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// output is a value as a column of a query.
func (v value) output(name string) output {
	c := output{name: name, typ: v.typ, location: v.location}
	if v.open() {
		c.literal = &v
	}
	if v.typ == resolve.Record {
		c.fields = v.fields
	}
	return c
}

func isStar(ref *pg_query.ColumnRef) bool {
	return len(ref.Fields) > 0 && ref.Fields[len(ref.Fields)-1].GetAStar() != nil
}

// star expands an item of a list that ends in a star; it reports false for any other.
func (a *analyzer) star(s *scope, node *pg_query.Node, list *targets) (bool, error) {
	if ref := node.GetColumnRef(); ref != nil && isStar(ref) {
		return true, a.expandStar(s, ref, list)
	}
	if n := node.GetAIndirection(); n != nil && n.Indirection[len(n.Indirection)-1].GetAStar() != nil {
		return true, a.expandRow(s, n, list)
	}
	return false, nil
}

// expandStar is ExpandColumnRefStar: every column is read, one by one.
func (a *analyzer) expandStar(s *scope, ref *pg_query.ColumnRef, list *targets) error {
	names, _, err := refNames(ref)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		it, level, err := a.refItem(s, names, true, ref.Location)
		if err != nil {
			return err
		}
		return a.expandItem(it, level, ref.Location, list)
	}
	for _, it := range s.namespace {
		if !it.columnsVisible || it.lateralOnly {
			continue
		}
		if err := a.expandItem(it, s, ref.Location, list); err != nil {
			return err
		}
	}
	return nil
}

// expandItem is expandNSItemAttrs: each column stands at the star.
func (a *analyzer) expandItem(it *item, level *scope, location int32, list *targets) error {
	if err := a.spend(starCost * len(it.columns)); err != nil {
		return err
	}
	a.refer(level)
	for i := range it.columns {
		c := &it.columns[i]
		if c.unexpanded {
			continue
		}
		a.read(c)
		if err := a.holds(c.typ); err != nil {
			return err
		}
		if err := list.add(output{name: c.name, typ: c.typ, fields: c.fields, location: location}); err != nil {
			return err
		}
	}
	return nil
}

// expandRow is ExpandIndirectionStar: (row).* stands for the row's columns.
func (a *analyzer) expandRow(s *scope, n *pg_query.A_Indirection, list *targets) error {
	inner := n.Arg
	if rest := n.Indirection[:len(n.Indirection)-1]; len(rest) > 0 {
		inner = &pg_query.Node{Node: &pg_query.Node_AIndirection{AIndirection: &pg_query.A_Indirection{Arg: n.Arg, Indirection: rest}}}
	}
	v, err := a.bind(s, inner)
	if err != nil {
		return err
	}
	if v.item != nil {
		return a.expandItem(v.item, v.level, v.location, list)
	}
	fields := a.fieldsOf(v)
	if fields == nil {
		return a.noRow(v)
	}
	for _, f := range fields {
		if err := a.holds(f.typ); err != nil {
			return err
		}
		if err := list.add(output{name: f.name, typ: f.typ, fields: f.fields, location: v.location}); err != nil {
			return err
		}
	}
	return nil
}

// noRow is the error of get_expr_result_tupdesc for a value whose columns are not known.
func (a *analyzer) noRow(v value) error {
	if a.isRow(v.typ) {
		return hideColumn(stateWrongObjectType, "record type has not been registered", 0)
	}
	return hideColumn(stateWrongObjectType, "type "+a.names().Name(v.typ)+" is not composite", 0)
}

// figureName is FigureColname: the name a target without AS gets, and how strongly.
func (a *analyzer) figureName(node *pg_query.Node) (string, int) {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		name := ""
		for _, field := range n.ColumnRef.Fields {
			if s, ok := stringNode(field); ok {
				name = s
			}
		}
		return name, 2
	case *pg_query.Node_AIndirection:
		for i := len(n.AIndirection.Indirection) - 1; i >= 0; i-- {
			if name, ok := stringNode(n.AIndirection.Indirection[i]); ok {
				return name, 2
			}
		}
		return a.figureName(n.AIndirection.Arg)
	case *pg_query.Node_FuncCall:
		names, _ := stringNodes(n.FuncCall.Funcname)
		return last(names), 2
	case *pg_query.Node_AExpr:
		if n.AExpr.Kind == pg_query.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2
		}
	case *pg_query.Node_TypeCast:
		if name, strength := a.figureName(n.TypeCast.Arg); strength > 1 {
			return name, strength
		}
		names, _ := stringNodes(n.TypeCast.TypeName.GetNames())
		return last(names), 1
	case *pg_query.Node_CollateClause:
		return a.figureName(n.CollateClause.Arg)
	case *pg_query.Node_GroupingFunc:
		return "grouping", 2
	case *pg_query.Node_SubLink:
		return a.figureSubLink(n.SubLink)
	case *pg_query.Node_CaseExpr:
		if name, strength := a.figureName(n.CaseExpr.Defresult); strength > 1 {
			return name, strength
		}
		return "case", 1
	case *pg_query.Node_AArrayExpr:
		return "array", 2
	case *pg_query.Node_RowExpr:
		return "row", 2
	case *pg_query.Node_CoalesceExpr:
		return "coalesce", 2
	case *pg_query.Node_MinMaxExpr:
		if n.MinMaxExpr.Op == pg_query.MinMaxOp_IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case *pg_query.Node_SqlvalueFunction:
		return valueFunctionName(n.SqlvalueFunction.Op), 2
	}
	return specialName(node), 2
}

func (a *analyzer) figureSubLink(link *pg_query.SubLink) (string, int) {
	switch link.SubLinkType {
	case pg_query.SubLinkType_EXISTS_SUBLINK:
		return "exists", 2
	case pg_query.SubLinkType_ARRAY_SUBLINK:
		return "array", 2
	case pg_query.SubLinkType_EXPR_SUBLINK:
		return a.sublinkNames[link], 2
	}
	return "", 0
}

func last(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

func valueFunctionName(op pg_query.SQLValueFunctionOp) string {
	switch op {
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
		return "current_date"
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIME, pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N:
		return "current_time"
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP, pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N:
		return "current_timestamp"
	case pg_query.SQLValueFunctionOp_SVFOP_LOCALTIME, pg_query.SQLValueFunctionOp_SVFOP_LOCALTIME_N:
		return "localtime"
	case pg_query.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP, pg_query.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N:
		return "localtimestamp"
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_ROLE:
		return "current_role"
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_USER:
		return "current_user"
	case pg_query.SQLValueFunctionOp_SVFOP_USER:
		return "user"
	case pg_query.SQLValueFunctionOp_SVFOP_SESSION_USER:
		return "session_user"
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG:
		return "current_catalog"
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
		return "current_schema"
	}
	return ""
}
