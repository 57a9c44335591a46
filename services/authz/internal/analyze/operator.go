package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// operation binds an A_Expr: its operands, and every operator its kind implies.
func (a *analyzer) operation(s *scope, e *pg_query.A_Expr) (value, error) {
	name, ok := stringNodes(e.Name)
	if !ok || len(name) == 0 {
		return value{}, deny(access.Construct, "an operator's name")
	}
	if e.Rexpr == nil {
		return value{}, deny(access.Construct, "a postfix operator")
	}
	switch e.Kind {
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE,
		pg_query.A_Expr_Kind_AEXPR_SIMILAR:
		return a.plainOperation(s, name, e)
	case pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL:
		left, err := a.bind(s, e.Lexpr)
		if err != nil {
			return value{}, err
		}
		before := s.references
		right, err := a.bind(s, e.Rexpr)
		if err != nil {
			return value{}, err
		}
		return a.operateArray(name, left, right, s.references == before, e.Location)
	case pg_query.A_Expr_Kind_AEXPR_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		left, right, err := a.operands(s, e)
		if err != nil {
			return value{}, err
		}
		return a.distinct(left, right, e)
	case pg_query.A_Expr_Kind_AEXPR_NULLIF:
		return a.nullIf(s, e)
	case pg_query.A_Expr_Kind_AEXPR_IN:
		return a.membership(s, name, e)
	case pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return a.between(s, e)
	default:
		return value{}, deny(access.Construct, "an operator expression")
	}
}

func (a *analyzer) operands(s *scope, e *pg_query.A_Expr) (left, right value, err error) {
	if left, err = a.bind(s, e.Lexpr); err != nil {
		return left, right, err
	}
	right, err = a.bind(s, e.Rexpr)
	return left, right, err
}

// plainOperation is transformAExprOp.
func (a *analyzer) plainOperation(s *scope, name []string, e *pg_query.A_Expr) (value, error) {
	if e.Lexpr == nil {
		right, err := a.bind(s, e.Rexpr)
		if err != nil {
			return value{}, err
		}
		return a.operate(name, nil, right, e.Location)
	}
	link := e.Rexpr.GetSubLink()
	if e.Lexpr.GetRowExpr() != nil && link != nil && link.SubLinkType == pg_query.SubLinkType_EXPR_SUBLINK {
		// row op (SELECT …): a row comparison with the subquery's columns.
		columns, err := a.sublinkQuery(s, link)
		if err != nil {
			return value{}, err
		}
		left, err := a.bind(s, e.Lexpr)
		if err != nil {
			return value{}, err
		}
		return a.compareSublink(name, left, columns, e.Location)
	}
	left, right, err := a.operands(s, e)
	if err != nil {
		return value{}, err
	}
	return a.compare(name, operand{e.Lexpr, left}, operand{e.Rexpr, right}, e.Location)
}

// operand is an operand as written and what it means.
type operand struct {
	node *pg_query.Node
	value
}

// compare applies a binary operator, row by row where both operands are written as row
// constructors: not where one is cast.
func (a *analyzer) compare(name []string, left, right operand, location int32) (value, error) {
	if left.node.GetRowExpr() == nil || right.node.GetRowExpr() == nil {
		return a.operate(name, &left.value, right.value, location)
	}
	return a.compareRows(name, left.cells, right.cells, location)
}

// binary applies a binary operator, row by row between two rows that are still taken
// apart: also constructed ones that were cast (transformAExprIn).
func (a *analyzer) binary(name []string, left, right value, location int32) (value, error) {
	if left.kind == constructed && right.kind == constructed {
		return a.compareRows(name, left.cells, right.cells, location)
	}
	return a.operate(name, &left, right, location)
}

// operate is make_op: it resolves an operator by its operands' types, and judges the
// function behind it. left is nil for a prefix operator.
func (a *analyzer) operate(name []string, left *value, right value, location int32) (value, error) {
	schema, op, err := a.operatorName(name)
	if err != nil {
		return value{}, err
	}
	leftType := catalog.OID(0)
	result := value{location: leftmost(location, right.location)}
	if left != nil {
		leftType, result.location = left.typ, leftmost(result.location, left.location)
	}
	found, bad := a.names().Operator(schema, op, leftType, right.typ)
	if bad != nil {
		return value{}, a.noOperator(schema, op, bad, location)
	}
	result.typ = found.Result
	a.held.meetBareOperator(schema, found.Operator)
	var args []value
	if left != nil {
		v, err := a.convert(*left, found.Left)
		if err != nil {
			return value{}, err
		}
		args = append(args, v)
	}
	v, err := a.convert(right, found.Right)
	if err != nil {
		return value{}, err
	}
	return result, a.runNamed(schema, found.Operator, found.Result, append(args, v))
}

// noOperator is PostgreSQL's own error for operands that no operator takes. Whether users
// have made one of a name that the server has not is told to whom every function is
// granted where it would be, since operators are granted by their functions.
func (a *analyzer) noOperator(schema, op string, bad *resolve.Error, location int32) error {
	for _, o := range a.snap.OperatorsNamed(op) {
		if o.OID < catalog.FirstNormalOID {
			return a.unresolved(bad, location)
		}
	}
	v := a.unresolved(bad, location)
	v.requires = a.everyFunction(schema, op)
	return v
}

// operatorName splits an operator's name and charges its look-up.
func (a *analyzer) operatorName(name []string) (schema, op string, err error) {
	op = name[len(name)-1]
	switch len(name) {
	case 1:
	case 2:
		schema = name[0]
		if schema == schemaTemp || !a.snap.SchemaExists(schema) {
			return "", "", deny(access.FunctionDenied, "operator "+op+" of schema "+schema)
		}
		// Also what is not found there tells of it.
		a.named(schema)
	default:
		return "", "", deny(access.Construct, "an operator's name")
	}
	return schema, op, a.spend(len(a.snap.OperatorsNamed(op)))
}

// runOperator judges the function of an operator.
func (a *analyzer) runOperator(op *catalog.Operator, result catalog.OID, args []value) error {
	f := a.snap.FunctionByOID(op.Function)
	if f == nil {
		return deny(access.OpaqueCode, "operator "+op.Name+" of schema "+op.Schema)
	}
	a.held.meetOperator(op.OID)
	if op.OID >= catalog.FirstNormalOID {
		a.named(op.Schema)
	}
	if err := a.kin(op); err != nil {
		return err
	}
	if err := a.inItsPlace(op); err != nil {
		return err
	}
	if err := a.runsOfTypes(f, result, args); err != nil {
		return err
	}
	return a.invoke(f, args)
}

// named asks for usage of the schema of something found in it.
func (a *analyzer) named(schema string) {
	if schema != schemaCatalog && schema != schemaInformation && !ownTemporary(schema) {
		a.current.schema(schema)
	}
}

// compareRows is make_row_comparison_op: pair by pair.
func (a *analyzer) compareRows(name []string, left, right []value, location int32) (value, error) {
	switch {
	case len(left) != len(right):
		return value{}, hideColumn(stateSyntax, "unequal number of entries in row expressions", errorPosition(a.text, location))
	case len(left) == 0:
		return value{}, hideColumn(stateUnsupported, "cannot compare rows of zero length", errorPosition(a.text, location))
	}
	result := value{typ: resolve.Bool, location: location}
	first := len(a.current.compares)
	defer func() { a.current.rows = append(a.current.rows, a.current.compares[first:]...) }()
	for i := range left {
		pair, err := a.operate(name, &left[i], right[i], location)
		if err != nil {
			return value{}, err
		}
		if pair.typ != resolve.Bool {
			return value{}, hideColumn(stateDatatypeMismatch, "row comparison operator must yield type boolean, not type "+a.names().Name(pair.typ),
				errorPosition(a.text, location))
		}
		result.location = leftmost(result.location, pair.location)
	}
	return result, nil
}

// distinct is transformAExprDistinct: between rows pair by pair; against NULL it is a
// test that runs no operator.
func (a *analyzer) distinct(left, right value, e *pg_query.A_Expr) (value, error) {
	result := typed(resolve.Bool, leftmost(e.Location, left.location, right.location))
	if e.Lexpr.GetAConst().GetIsnull() || e.Rexpr.GetAConst().GetIsnull() {
		return result, nil
	}
	if left.kind != constructed || right.kind != constructed {
		return result, a.distinctPair(left, right, e.Location)
	}
	if len(left.cells) != len(right.cells) {
		return value{}, hideColumn(stateSyntax, "unequal number of entries in row expressions", errorPosition(a.text, e.Location))
	}
	for i := range left.cells {
		if err := a.distinctPair(left.cells[i], right.cells[i], e.Location); err != nil {
			return value{}, err
		}
	}
	return result, nil
}

// distinctPair is make_distinct_op.
func (a *analyzer) distinctPair(left, right value, location int32) error {
	v, err := a.compareImplied(left, right, location)
	if err == nil && v.typ != resolve.Bool {
		err = hideColumn(stateDatatypeMismatch, "IS DISTINCT FROM requires = operator to yield boolean", errorPosition(a.text, location))
	}
	return err
}

// nullIf is transformAExprNullIf: the result is the left operand as the operator took
// it.
func (a *analyzer) nullIf(s *scope, e *pg_query.A_Expr) (value, error) {
	left, right, err := a.operands(s, e)
	if err != nil {
		return value{}, err
	}
	compared, err := a.compareImplied(left, right, e.Location)
	if err != nil {
		return value{}, err
	}
	if compared.typ != resolve.Bool {
		return value{}, hideColumn(stateDatatypeMismatch, "NULLIF requires = operator to yield boolean", errorPosition(a.text, e.Location))
	}
	var result value
	err = a.implying(equality, func() error {
		found, bad := a.names().Operator("", equality, left.typ, right.typ)
		if bad != nil {
			return a.wrong(bad, e.Location)
		}
		result = typed(found.Left.To, compared.location)
		return nil
	})
	return result, err
}

// equality is the operator behind JOIN USING, CASE, NULLIF and IS DISTINCT FROM.
const equality = "="

// compareImplied compares by the operator that these do not name.
func (a *analyzer) compareImplied(left, right value, location int32) (value, error) {
	var v value
	err := a.implying(equality, func() (err error) {
		v, err = a.operate([]string{equality}, &left, right, location)
		return err
	})
	return v, err
}

// between is transformAExprBetween: the comparisons that it stands for.
func (a *analyzer) between(s *scope, e *pg_query.A_Expr) (value, error) {
	bounds := e.Rexpr.GetList().GetItems()
	if len(bounds) != 2 {
		return value{}, deny(access.Construct, "a BETWEEN")
	}
	bound, err := a.bind(s, e.Lexpr)
	if err != nil {
		return value{}, err
	}
	subject, low, high := operand{node: e.Lexpr, value: bound}, operand{node: bounds[0]}, operand{node: bounds[1]}
	if low.value, err = a.bind(s, bounds[0]); err != nil {
		return value{}, err
	}
	first, second := []string{">="}, []string{"<="}
	if e.Kind == pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN || e.Kind == pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		first, second = []string{"<"}, []string{">"}
	}
	// The upper bound comes after the first comparison.
	if err := a.compareBound(s, first, subject, low, e.Location); err != nil {
		return value{}, err
	}
	if high.value, err = a.bind(s, bounds[1]); err != nil {
		return value{}, err
	}
	if err := a.compareBound(s, second, subject, high, e.Location); err != nil {
		return value{}, err
	}
	if e.Kind == pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM || e.Kind == pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		if err := a.compareBound(s, first, subject, high, e.Location); err != nil {
			return value{}, err
		}
		if err := a.compareBound(s, second, subject, low, e.Location); err != nil {
			return value{}, err
		}
	}
	return typed(resolve.Bool, leftmost(e.Location, subject.location)), nil
}

// compareBound is one of those comparisons. A parameter that one of them has typed has that
// type in the next.
func (a *analyzer) compareBound(s *scope, name []string, subject, limit operand, location int32) error {
	for _, o := range []*operand{&subject, &limit} {
		if o.kind != parameter {
			continue
		}
		var err error
		if o.value, err = a.bind(s, o.node); err != nil {
			return err
		}
	}
	v, err := a.compare(name, subject, limit, location)
	if err != nil {
		return err
	}
	return a.boolean(v, "AND")
}

// membership is transformAExprIn: constants on the right become an array if they have a type
// in common, the rest is compared one by one.
func (a *analyzer) membership(s *scope, name []string, e *pg_query.A_Expr) (value, error) {
	left, err := a.bind(s, e.Lexpr)
	if err != nil {
		return value{}, err
	}
	var all, fixed, varying []value
	for _, node := range e.Rexpr.GetList().GetItems() {
		before := s.references
		v, err := a.bind(s, node)
		if err != nil {
			return value{}, err
		}
		all = append(all, v)
		if s.references != before {
			varying = append(varying, v)
		} else {
			fixed = append(fixed, v)
		}
	}
	result := typed(resolve.Bool, leftmost(e.Location, left.location))
	remaining := all
	if len(fixed) > 1 {
		typ, array := a.commonArray(append([]value{left}, fixed...))
		if array != 0 {
			if err := a.toCommon(fixed, typ, "IN"); err != nil {
				return value{}, err
			}
			if _, err := a.operateArray(name, left, typed(array, -1), len(fixed) >= hashedArray, e.Location); err != nil {
				return value{}, err
			}
			remaining = varying
		}
	}
	for _, right := range remaining {
		v, err := a.binary(name, left, right, e.Location)
		if err != nil {
			return value{}, err
		}
		if err := a.boolean(v, "IN"); err != nil {
			return value{}, err
		}
	}
	return result, nil
}

// commonArray is the type that all values have in common (select_common_type,
// verify_common_type) and its array type; 0 when there is none, or when PostgreSQL
// compares them one by one for other reasons.
func (a *analyzer) commonArray(values []value) (typ, array catalog.OID) {
	typ, bad := a.names().Common(types(values), "")
	if bad != nil || typ == 0 || typ == resolve.Record {
		return 0, 0
	}
	return typ, a.names().ArrayOf(typ)
}
