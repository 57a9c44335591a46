package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// typeUnknown is the pseudo-type of a literal or parameter that its context types.
const typeUnknown catalog.OID = 705

// exprList binds a list of expressions and returns how many there are; a star in it
// counts for its columns where it stands for values. defaults allows DEFAULT.
func (a *analyzer) exprList(s *scope, nodes []*pg_query.Node, defaults bool) (int, error) {
	count := 0
	for _, node := range nodes {
		if node.GetSetToDefault() != nil && defaults {
			count++
			continue
		}
		if ref := node.GetColumnRef(); ref != nil && isStar(ref) {
			var list targets
			if err := a.expandStar(s, ref, &list, false); err != nil {
				return 0, err
			}
			count += len(list.columns)
			continue
		}
		if _, err := a.expr(s, node); err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

// exprs binds each of a list of expressions.
func (a *analyzer) exprs(s *scope, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		if _, err := a.expr(s, node); err != nil {
			return err
		}
	}
	return nil
}

// expr binds an expression. It returns the expression's type where that is plain
// to see, typeUnknown for a literal without one, and 0 where it would need
// PostgreSQL's own type resolution.
func (a *analyzer) expr(s *scope, node *pg_query.Node) (catalog.OID, error) {
	if a.casts != nil {
		return 0, a.casts
	}
	if err := a.spend(0); err != nil {
		return 0, err
	}
	shown := a.shown == node
	a.shown = nil
	switch n := node.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		typ, err := a.columnRef(s, n.ColumnRef)
		if err == nil && !shown && a.looksUp(typ) {
			err = denyLookUp()
		}
		return typ, err
	case *pg_query.Node_AConst:
		return constType(n.AConst), nil
	case *pg_query.Node_ParamRef:
		return a.param(n.ParamRef)
	case *pg_query.Node_AExpr:
		return 0, a.operation(s, n.AExpr)
	case *pg_query.Node_BoolExpr:
		return 0, a.exprs(s, n.BoolExpr.Args)
	case *pg_query.Node_TypeCast:
		if toText(n.TypeCast.TypeName) {
			a.shown = n.TypeCast.Arg
		}
		if _, err := a.expr(s, n.TypeCast.Arg); err != nil {
			return 0, err
		}
		return a.typeName(n.TypeCast.TypeName)
	case *pg_query.Node_FuncCall:
		if err := a.call(s, n.FuncCall); err != nil {
			return 0, err
		}
		if !shown && namesType(n.FuncCall) {
			return 0, denyLookUp()
		}
		return 0, nil
	case *pg_query.Node_SubLink:
		return 0, a.subLink(s, n.SubLink)
	case *pg_query.Node_NullTest:
		return 0, a.only(s, n.NullTest.Arg)
	case *pg_query.Node_BooleanTest:
		return 0, a.only(s, n.BooleanTest.Arg)
	case *pg_query.Node_CaseExpr:
		return 0, a.caseExpr(s, n.CaseExpr)
	case *pg_query.Node_CoalesceExpr:
		return 0, a.exprs(s, n.CoalesceExpr.Args)
	case *pg_query.Node_MinMaxExpr:
		return 0, a.exprs(s, n.MinMaxExpr.Args)
	case *pg_query.Node_AArrayExpr:
		return 0, a.exprs(s, n.AArrayExpr.Elements)
	case *pg_query.Node_RowExpr:
		_, err := a.exprList(s, n.RowExpr.Args, false)
		return 0, err
	case *pg_query.Node_GroupingFunc:
		return 0, a.exprs(s, n.GroupingFunc.Args)
	case *pg_query.Node_AIndirection:
		return 0, a.indirection(s, n.AIndirection)
	case *pg_query.Node_CollateClause:
		if err := a.collation(n.CollateClause.Collname); err != nil {
			return 0, err
		}
		return a.expr(s, n.CollateClause.Arg)
	case *pg_query.Node_SqlvalueFunction:
		if valueFunctionName(n.SqlvalueFunction.Op) == "" {
			return 0, deny(access.Construct, nodeWords(node))
		}
		return 0, nil
	default:
		return 0, deny(access.Construct, nodeWords(node))
	}
}

func (a *analyzer) only(s *scope, node *pg_query.Node) error {
	_, err := a.expr(s, node)
	return err
}

// constType is the type make_const gives a literal.
func constType(c *pg_query.A_Const) catalog.OID {
	switch {
	case c.GetIval() != nil:
		return 23
	case c.GetBoolval() != nil:
		return 16
	case c.GetFval() != nil:
		// int8 or numeric, by size.
		return 0
	case c.GetBsval() != nil:
		return 1560
	}
	return typeUnknown
}

// param is a parameter. A Query message has none, and the parser's own error for
// it is repeated.
func (a *analyzer) param(p *pg_query.ParamRef) (catalog.OID, error) {
	if !a.in.Parse || p.Number <= 0 {
		// Hidden, because it comes after what the statement names: it would tell that
		// all of that was found.
		return 0, hide(stateUndefinedParam, fmt.Sprintf("there is no parameter $%d", p.Number), errorPosition(a.text, p.Location))
	}
	if int(p.Number) > len(a.in.ParameterTypes) || a.in.ParameterTypes[p.Number-1] == 0 {
		return typeUnknown, nil
	}
	return a.in.ParameterTypes[p.Number-1], nil
}

// subLink binds a subquery in an expression, and the comparison it makes.
func (a *analyzer) subLink(s *scope, link *pg_query.SubLink) error {
	if a.catalogText {
		return deny(access.Construct, "a subquery")
	}
	switch link.SubLinkType {
	case pg_query.SubLinkType_EXISTS_SUBLINK, pg_query.SubLinkType_EXPR_SUBLINK, pg_query.SubLinkType_ARRAY_SUBLINK:
	case pg_query.SubLinkType_ANY_SUBLINK, pg_query.SubLinkType_ALL_SUBLINK:
		name := []string{"="}
		if len(link.OperName) > 0 {
			var ok bool
			if name, ok = stringNodes(link.OperName); !ok {
				return deny(access.Construct, "a subquery's operator")
			}
		}
		if err := a.operator(name, operandTypes{typeUnknown, typeUnknown}); err != nil {
			return err
		}
	default:
		return deny(access.Construct, "a subquery")
	}
	if link.Subselect.GetSelectStmt() == nil {
		return deny(access.Construct, "a subquery")
	}
	_, columns, err := a.subquery(s, link.Subselect, nil)
	if err != nil {
		return err
	}
	if len(columns) > 0 {
		if a.sublinkNames == nil {
			a.sublinkNames = map[*pg_query.SubLink]string{}
		}
		a.sublinkNames[link] = columns[0].name
	}
	// The left side comes after the subquery, as in transformSubLink.
	return a.optional(s, link.Testexpr)
}

func (a *analyzer) caseExpr(s *scope, c *pg_query.CaseExpr) error {
	if c.Arg != nil {
		if _, err := a.expr(s, c.Arg); err != nil {
			return err
		}
	}
	for _, node := range c.Args {
		when := node.GetCaseWhen()
		if when == nil {
			return deny(access.Construct, "a CASE")
		}
		typ, err := a.expr(s, when.Expr)
		if err != nil {
			return err
		}
		if c.Arg != nil {
			// CASE x WHEN y compares x = y; x is a typed placeholder by then.
			if err := a.operator([]string{"="}, operandTypes{0, typ}); err != nil {
				return err
			}
		}
		if _, err := a.expr(s, when.Result); err != nil {
			return err
		}
	}
	if c.Defresult != nil {
		return a.only(s, c.Defresult)
	}
	return nil
}

// indirection is a subscript. Selecting a field of a composite is denied: f may be
// a function.
func (a *analyzer) indirection(s *scope, n *pg_query.A_Indirection) error {
	for _, step := range n.Indirection {
		indices := step.GetAIndices()
		if indices == nil {
			return deny(access.Construct, "selection of a field")
		}
		if err := a.optional(s, indices.Lidx, indices.Uidx); err != nil {
			return err
		}
	}
	return a.only(s, n.Arg)
}
