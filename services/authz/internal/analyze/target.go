package analyze

import (
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
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

func (t *targets) has(name string) bool {
	for _, have := range t.columns {
		if have.name == name {
			return true
		}
	}
	return false
}

// targetList binds a SELECT or RETURNING list (transformTargetList).
func (a *analyzer) targetList(s *scope, nodes []*pg_query.Node) (*targets, error) {
	list := &targets{}
	for _, node := range nodes {
		target := node.GetResTarget()
		if target == nil || len(target.Indirection) > 0 {
			return nil, deny(access.Construct, "a target list")
		}
		if ref := target.Val.GetColumnRef(); ref != nil && isStar(ref) {
			if err := a.expandStar(s, ref, list, true); err != nil {
				return nil, err
			}
			continue
		}
		if s.outermost() {
			a.shown = target.Val
		}
		typ, err := a.expr(s, target.Val)
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
		if err := list.add(output{name, typ}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func isStar(ref *pg_query.ColumnRef) bool {
	return len(ref.Fields) > 0 && ref.Fields[len(ref.Fields)-1].GetAStar() != nil
}

// expandStar is ExpandColumnRefStar: every column is read, one by one. inTargets says
// that the star is an item of a target list.
func (a *analyzer) expandStar(s *scope, ref *pg_query.ColumnRef, list *targets, inTargets bool) error {
	names, _, err := refNames(ref)
	if err != nil {
		return err
	}
	var items []*item
	if len(names) == 0 {
		for _, it := range s.namespace {
			if it.columnsVisible && !it.lateralOnly {
				items = append(items, it)
			}
		}
	} else {
		it, err := a.refItem(s, names, true, ref.Location)
		if err != nil {
			return err
		}
		items = []*item{it}
	}
	for _, it := range items {
		if it.unsure {
			return deny(access.Construct, "all columns of a function's result that is not known")
		}
		if err := a.spend(len(it.columns)); err != nil {
			return err
		}
		for i := range it.columns {
			if a.looksUp(it.columns[i].typ) && !(inTargets && s.outermost()) {
				return denyLookUp()
			}
			a.read(&it.columns[i])
			if err := list.add(output{it.columns[i].name, it.columns[i].typ}); err != nil {
				return err
			}
		}
	}
	return nil
}

// sortClause binds ORDER BY of a query: an output name, an ordinal, or an
// expression over the input.
func (a *analyzer) sortClause(s *scope, nodes []*pg_query.Node, list *targets) error {
	for _, node := range nodes {
		sort := node.GetSortBy()
		if sort == nil || len(sort.UseOp) > 0 {
			return deny(access.Construct, "ORDER BY … USING")
		}
		if err := a.outputExpr(s, sort.Node, list, false); err != nil {
			return err
		}
	}
	return nil
}

// outputExpr is findTargetlistEntrySQL92. In GROUP BY an input column of the name
// comes first, elsewhere an output one.
func (a *analyzer) outputExpr(s *scope, node *pg_query.Node, list *targets, group bool) error {
	if err := a.spend(len(list.columns)); err != nil {
		return err
	}
	if ref := node.GetColumnRef(); ref != nil && len(ref.Fields) == 1 {
		if name, ok := stringNode(ref.Fields[0]); ok && list.has(name) {
			if !group {
				return nil
			}
			c, unsure, err := a.findColumn(s, name, ref.Location)
			if err != nil {
				return err
			}
			if unsure {
				return deny(access.Construct, "a name that may be a column of a function's result")
			}
			if c != nil {
				a.read(c)
			}
			return nil
		}
	}
	if constant := node.GetAConst(); constant != nil && constant.GetIval() != nil {
		return nil
	}
	_, err := a.expr(s, node)
	return err
}

// groupItem binds an item of GROUP BY; rows and grouping sets stand for what is in
// them (flatten_grouping_sets).
func (a *analyzer) groupItem(s *scope, node *pg_query.Node, list *targets) error {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_GroupingSet:
		for _, inner := range n.GroupingSet.Content {
			if err := a.groupItem(s, inner, list); err != nil {
				return err
			}
		}
		return nil
	case *pg_query.Node_RowExpr:
		if n.RowExpr.RowFormat == pg_query.CoercionForm_COERCE_IMPLICIT_CAST {
			for _, inner := range n.RowExpr.Args {
				if err := a.groupItem(s, inner, list); err != nil {
					return err
				}
			}
			return nil
		}
	case *pg_query.Node_List:
		for _, inner := range n.List.Items {
			if err := a.groupItem(s, inner, list); err != nil {
				return err
			}
		}
		return nil
	}
	return a.outputExpr(s, node, list, true)
}

// window binds a window definition: expressions only, as SQL:1999 has it.
func (a *analyzer) window(s *scope, w *pg_query.WindowDef) error {
	if w == nil {
		return deny(access.Construct, "a window")
	}
	if _, err := a.exprList(s, w.PartitionClause, false); err != nil {
		return err
	}
	if err := a.sortInputs(s, w.OrderClause); err != nil {
		return err
	}
	return a.optional(s, w.StartOffset, w.EndOffset)
}

// sortInputs binds ORDER BY inside a window or an aggregate: input expressions.
func (a *analyzer) sortInputs(s *scope, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		sort := node.GetSortBy()
		if sort == nil || len(sort.UseOp) > 0 {
			return deny(access.Construct, "ORDER BY … USING")
		}
		if _, err := a.expr(s, sort.Node); err != nil {
			return err
		}
	}
	return nil
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
	return "", 0
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
