package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// operandTypes are what is known of an operator's operands: 0 is some type,
// typeUnknown a literal that may become any type. A prefix operator has only the
// right one.
type operandTypes struct {
	left, right catalog.OID
}

// operation binds an A_Expr: its operands, and every operator its kind implies.
func (a *analyzer) operation(s *scope, e *pg_query.A_Expr) error {
	name, ok := stringNodes(e.Name)
	if !ok || len(name) == 0 {
		return deny(access.Construct, "an operator's name")
	}
	var types operandTypes
	var err error
	if e.Lexpr != nil {
		if types.left, err = a.operand(s, e.Lexpr); err != nil {
			return err
		}
	}
	if e.Rexpr == nil {
		return deny(access.Construct, "a postfix operator")
	}
	if types.right, err = a.operand(s, e.Rexpr); err != nil {
		return err
	}
	switch e.Kind {
	case pg_query.A_Expr_Kind_AEXPR_OP:
		if e.Lexpr == nil {
			return a.prefixOperator(name, types.right)
		}
		return a.operator(name, types)
	case pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL, pg_query.A_Expr_Kind_AEXPR_DISTINCT,
		pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NULLIF, pg_query.A_Expr_Kind_AEXPR_LIKE,
		pg_query.A_Expr_Kind_AEXPR_ILIKE, pg_query.A_Expr_Kind_AEXPR_SIMILAR:
		return a.operator(name, types)
	case pg_query.A_Expr_Kind_AEXPR_IN:
		// NOT IN is spelled <> and compares rows by that name as well.
		return a.operators(types, name, []string{"="})
	case pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return a.operators(types, []string{"<"}, []string{"<="}, []string{">"}, []string{">="})
	default:
		return deny(access.Construct, "an operator expression")
	}
}

// operand binds an operand: an expression, a row, or the list of IN and BETWEEN. A
// list or row that holds an untyped literal counts as one.
func (a *analyzer) operand(s *scope, node *pg_query.Node) (catalog.OID, error) {
	var elements []*pg_query.Node
	switch n := node.GetNode().(type) {
	case *pg_query.Node_List:
		elements = n.List.Items
	case *pg_query.Node_RowExpr:
		elements = n.RowExpr.Args
	case *pg_query.Node_AArrayExpr:
		elements = n.AArrayExpr.Elements
	default:
		return a.expr(s, node)
	}
	seen := catalog.OID(0)
	for _, element := range elements {
		if ref := element.GetColumnRef(); ref != nil && isStar(ref) {
			var list targets
			if err := a.expandStar(s, ref, &list, false); err != nil {
				return 0, err
			}
			continue
		}
		typ, err := a.operand(s, element)
		if err != nil {
			return 0, err
		}
		if typ == typeUnknown {
			seen = typeUnknown
		}
	}
	return seen, nil
}

func (a *analyzer) operators(types operandTypes, names ...[]string) error {
	for _, name := range names {
		if err := a.operator(name, types); err != nil {
			return err
		}
	}
	return nil
}

// operator allows a binary operator if only built-in ones can be meant.
func (a *analyzer) operator(name []string, types operandTypes) error {
	return a.judgeOperator(name, types, false)
}

func (a *analyzer) prefixOperator(name []string, operand catalog.OID) error {
	return a.judgeOperator(name, operandTypes{right: operand}, true)
}

func (a *analyzer) judgeOperator(name []string, types operandTypes, prefix bool) error {
	op := name[len(name)-1]
	if !a.operatorNames[op] {
		return deny(access.FunctionDenied, "operator "+op)
	}
	qualified := len(name) == 2 && name[0] == schemaCatalog
	if len(name) > 1 && !qualified {
		return deny(access.FunctionDenied, "operator "+op+" of a schema")
	}
	candidates := a.snap.OperatorsNamed(op)
	if err := a.spend(len(candidates)); err != nil {
		return err
	}
	for _, candidate := range candidates {
		// Superusers and extensions can add to pg_catalog, too.
		inCatalog := candidate.Schema == schemaCatalog
		if inCatalog && candidate.OID < catalog.FirstNormalOID || (candidate.Left == 0) != prefix ||
			qualified && !inCatalog || !a.path.includes(candidate.Schema) {
			continue
		}
		if a.couldBeMeant(candidate, types, candidates) {
			return deny(access.FunctionDenied, "operator "+op+" may be that of schema "+candidate.Schema)
		}
	}
	return nil
}

// couldBeMeant reports whether PostgreSQL's resolution (func_select_candidate)
// could choose a user's operator. It could not if an operand would have to be of a
// type that no expression here can have, unless the operand is an untyped literal;
// and not then either if pg_catalog has the operator with text in its place, since
// text, the preferred type of the preferred category, wins.
func (a *analyzer) couldBeMeant(op *catalog.Operator, types operandTypes, all []*catalog.Operator) bool {
	left, right := op.Left == 0 || a.reachable(op.Left), a.reachable(op.Right)
	if !left && types.left != typeUnknown || !right && types.right != typeUnknown {
		return false
	}
	if left && right || a.preferred(op.Left) && !left || a.preferred(op.Right) && !right {
		return true
	}
	wantLeft, wantRight := op.Left, op.Right
	if !left {
		wantLeft = typeText
	}
	if !right {
		wantRight = typeText
	}
	for _, builtin := range all {
		if builtin.Schema == schemaCatalog && builtin.OID < catalog.FirstNormalOID && builtin.Left == wantLeft && builtin.Right == wantRight {
			return false
		}
	}
	return true
}

// typeText is text.
const typeText catalog.OID = 25

// preferred reports whether a type is preferred in its category; one that is not
// known is taken to be.
func (a *analyzer) preferred(oid catalog.OID) bool {
	if oid == 0 {
		return false
	}
	t := a.snap.TypeByOID(oid)
	return t == nil || t.Preferred
}

// reachable reports whether an expression can come to have a type: all but base
// types of users, to which no built-in type converts by itself.
func (a *analyzer) reachable(oid catalog.OID) bool {
	if oid < catalog.FirstNormalOID {
		return true
	}
	t := a.snap.TypeByOID(oid)
	if t == nil || t.Kind != 'b' || t.Element != 0 {
		return true
	}
	for _, cast := range a.snap.UserCasts() {
		if cast.Target == oid && cast.Context == 'i' && cast.Source != oid {
			return true
		}
	}
	return false
}

// judgeCasts denies expressions where a user's cast could run unasked: between two
// built-in types by any method, between types an expression can have by function.
func (a *analyzer) judgeCasts() error {
	for _, cast := range a.snap.UserCasts() {
		builtin := cast.Source < catalog.FirstNormalOID && cast.Target < catalog.FirstNormalOID
		if builtin || cast.Method == 'f' && a.reachable(cast.Source) && a.reachable(cast.Target) {
			return deny(access.OpaqueCode, "a user-defined cast between types in use")
		}
	}
	return nil
}
