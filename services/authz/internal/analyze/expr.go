package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// typeUnknown is the pseudo-type of a literal or parameter that its context types.
const typeUnknown = resolve.Unknown

// expr binds an expression and returns its type, typeUnknown for a literal or
// parameter that its context has to type.
func (a *analyzer) expr(s *scope, node *pg_query.Node) (catalog.OID, error) {
	v, err := a.bind(s, node)
	return v.typ, err
}

// only binds an expression whose value is not used.
func (a *analyzer) only(s *scope, node *pg_query.Node) error {
	_, err := a.bind(s, node)
	return err
}

// bind binds an expression (transformExprRecurse) and judges what its value runs.
func (a *analyzer) bind(s *scope, node *pg_query.Node) (value, error) {
	if err := a.spend(0); err != nil {
		return value{}, err
	}
	v, err := a.bindNode(s, node)
	if err != nil {
		return value{}, err
	}
	a.held.meetType(v.typ)
	return v, a.holds(v.typ)
}

func (a *analyzer) bindNode(s *scope, node *pg_query.Node) (value, error) {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		return a.columnRef(s, n.ColumnRef)
	case *pg_query.Node_AConst:
		return constantValue(n.AConst), nil
	case *pg_query.Node_ParamRef:
		return a.param(n.ParamRef)
	case *pg_query.Node_AExpr:
		v, err := a.operation(s, n.AExpr)
		a.held.writeOperator(n.AExpr)
		return v, err
	case *pg_query.Node_BoolExpr:
		return a.boolExpr(s, n.BoolExpr)
	case *pg_query.Node_TypeCast:
		return a.typeCast(s, n.TypeCast)
	case *pg_query.Node_FuncCall:
		if a.version < systemUserSince && n.FuncCall.Funcformat == pg_query.CoercionForm_COERCE_SQL_SYNTAX && funcName(n.FuncCall) == systemUser {
			return a.columnRef(s, &pg_query.ColumnRef{Fields: []*pg_query.Node{stringOf(systemUser)}, Location: n.FuncCall.Location})
		}
		return a.call(s, n.FuncCall)
	case *pg_query.Node_SubLink:
		return a.subLink(s, n.SubLink)
	case *pg_query.Node_NullTest:
		v, err := a.bind(s, n.NullTest.Arg)
		return typed(resolve.Bool, leftmost(n.NullTest.Location, v.location)), err
	case *pg_query.Node_BooleanTest:
		return a.booleanTest(s, n.BooleanTest)
	case *pg_query.Node_CaseExpr:
		return a.caseExpr(s, n.CaseExpr)
	case *pg_query.Node_CoalesceExpr:
		return a.coalesce(s, n.CoalesceExpr)
	case *pg_query.Node_MinMaxExpr:
		return a.minMax(s, n.MinMaxExpr)
	case *pg_query.Node_AArrayExpr:
		return a.array(s, n.AArrayExpr, 0, 0)
	case *pg_query.Node_RowExpr:
		return a.rowExpr(s, n.RowExpr)
	case *pg_query.Node_GroupingFunc:
		_, err := a.binds(s, n.GroupingFunc.Args)
		return typed(resolve.Int4, n.GroupingFunc.Location), err
	case *pg_query.Node_AIndirection:
		return a.indirection(s, n.AIndirection)
	case *pg_query.Node_CollateClause:
		return a.collateClause(s, n.CollateClause)
	case *pg_query.Node_SqlvalueFunction:
		typ := valueFunctionType(n.SqlvalueFunction.Op)
		if typ == 0 {
			return value{}, deny(access.Construct, nodeWords(node))
		}
		if n.SqlvalueFunction.Op == pg_query.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA {
			a.namesCurrentSchema()
		}
		return typed(typ, n.SqlvalueFunction.Location), nil
	default:
		return a.bindSpecial(s, node)
	}
}

// binds binds each of a list of expressions.
func (a *analyzer) binds(s *scope, nodes []*pg_query.Node) ([]value, error) {
	values := make([]value, 0, len(nodes))
	for _, node := range nodes {
		v, err := a.bind(s, node)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// exprList binds a list of expressions as transformExpressionList does: a star in it
// stands for its columns. defaults allows DEFAULT, which has no type.
func (a *analyzer) exprList(s *scope, nodes []*pg_query.Node, defaults bool) ([]value, error) {
	var values []value
	for _, node := range nodes {
		if node.GetSetToDefault() != nil && defaults {
			values = append(values, value{kind: byDefault, location: node.GetSetToDefault().Location})
			continue
		}
		var list targets
		expanded, err := a.star(s, node, &list)
		if err != nil {
			return nil, err
		}
		if expanded {
			for _, c := range list.columns {
				values = append(values, value{typ: c.typ, location: -1, fields: c.fields})
			}
			continue
		}
		v, err := a.bind(s, node)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// param is a parameter. A Query message has none, and the parser's own error for
// it is repeated.
func (a *analyzer) param(p *pg_query.ParamRef) (value, error) {
	if !a.in.Parse || p.Number <= 0 || p.Number > maxParameter {
		// Hidden, because it comes after what the statement names: it would tell that
		// all of that was found.
		return value{}, hide(stateUndefinedParam, fmt.Sprintf("there is no parameter $%d", p.Number), errorPosition(a.text, p.Location))
	}
	typ := a.deduction().typeOf(p.Number)
	v := value{typ: typ, location: p.Location, kind: parameter, number: p.Number}
	if typ != resolve.Unknown && typ != resolve.Void {
		// Its type is settled, and Bind reads it without the statement.
		v.kind = computed
	}
	return v, nil
}

// deduced are the types of a statement's parameters as far as they are known.
type deduced struct{ types []catalog.OID }

// maxParameter is the most parameters that a Bind message can carry.
const maxParameter = 65535

func (d *deduced) typeOf(number int32) catalog.OID {
	for int(number) > len(d.types) {
		d.types = append(d.types, resolve.Unknown)
	}
	return d.types[number-1]
}

// settledTypes are the types that the parameters have as long as the text at hand lives,
// 0 for one that is still to be found.
func (a *analyzer) settledTypes() []catalog.OID {
	if len(a.in.SettledTypes) > 0 {
		return a.in.SettledTypes
	}
	return a.in.ParameterTypes
}

// deduction is what is known of the parameters of the text at hand.
func (a *analyzer) deduction() *deduced {
	if a.deduced == nil {
		a.deduced = &deduced{}
		for _, typ := range a.settledTypes() {
			if typ == 0 {
				typ = resolve.Unknown
			}
			a.deduced.types = append(a.deduced.types, typ)
		}
	}
	return a.deduced
}

// boolExpr is transformBoolExpr.
func (a *analyzer) boolExpr(s *scope, b *pg_query.BoolExpr) (value, error) {
	construct, ok := map[pg_query.BoolExprType]string{pg_query.BoolExprType_AND_EXPR: "AND", pg_query.BoolExprType_OR_EXPR: "OR",
		pg_query.BoolExprType_NOT_EXPR: "NOT"}[b.Boolop]
	if !ok {
		return value{}, deny(access.Construct, "a logical expression")
	}
	a.current.negates = a.current.negates || b.Boolop == pg_query.BoolExprType_NOT_EXPR
	result := typed(resolve.Bool, b.Location)
	for _, node := range b.Args {
		v, err := a.bind(s, node)
		if err != nil {
			return value{}, err
		}
		if err := a.boolean(v, construct); err != nil {
			return value{}, err
		}
		result.location = leftmost(result.location, v.location)
	}
	return result, nil
}

// booleanTest is transformBooleanTest.
func (a *analyzer) booleanTest(s *scope, b *pg_query.BooleanTest) (value, error) {
	construct, ok := map[pg_query.BoolTestType]string{
		pg_query.BoolTestType_IS_TRUE: "IS TRUE", pg_query.BoolTestType_IS_NOT_TRUE: "IS NOT TRUE",
		pg_query.BoolTestType_IS_FALSE: "IS FALSE", pg_query.BoolTestType_IS_NOT_FALSE: "IS NOT FALSE",
		pg_query.BoolTestType_IS_UNKNOWN: "IS UNKNOWN", pg_query.BoolTestType_IS_NOT_UNKNOWN: "IS NOT UNKNOWN",
	}[b.Booltesttype]
	if !ok {
		return value{}, deny(access.Construct, "a test of truth")
	}
	v, err := a.bind(s, b.Arg)
	if err != nil {
		return value{}, err
	}
	return typed(resolve.Bool, leftmost(b.Location, v.location)), a.boolean(v, construct)
}

// typeCast is transformTypeCast.
func (a *analyzer) typeCast(s *scope, c *pg_query.TypeCast) (value, error) {
	to, err := a.typeName(c.TypeName)
	if err != nil {
		return value{}, err
	}
	var v value
	element := a.names().ElementOf(to)
	if list := c.Arg.GetAArrayExpr(); list != nil && element != 0 {
		v, err = a.array(s, list, a.names().Base(to), element)
	} else {
		v, err = a.bind(s, c.Arg)
	}
	if err != nil {
		return value{}, err
	}
	location := c.Location
	if location < 0 {
		location = c.TypeName.GetLocation()
	}
	if v.typ == resolve.Record {
		// Its errors point at the cast.
		v.location = location
	}
	made, err := a.coerce(v, to, resolve.Explicit, func(bad *resolve.Error) error { return a.wrong(bad, location) })
	if err != nil {
		return value{}, err
	}
	if len(c.TypeName.Typmods) > 0 {
		// The modifier is applied by a function, and a constant is no more what it was.
		if err := a.applyModifier(to); err != nil {
			return value{}, err
		}
		made.kind = computed
	}
	if !a.keepsPlace(v, made, to, c.TypeName) {
		made.location = leftmost(location, v.location, c.TypeName.GetLocation())
	}
	return made, nil
}

// keepsPlace reports whether a cast leaves no node of its own (coerce_type of
// parse_coerce.c): what is of the type already stays what it is, under a polymorphic
// pseudo-type and record as well, and an untyped literal becomes a constant in its own
// place. Errors then point at that.
func (a *analyzer) keepsPlace(v, made value, to catalog.OID, name *pg_query.TypeName) bool {
	literal := v.open() && (v.kind == constant || v.kind == null) && a.names().Base(to) == to
	return len(name.GetTypmods()) == 0 && (v.typ == made.typ || literal)
}

// applyModifier judges the cast of a type to itself, which applies a type modifier
// (coerce_type_typmod).
func (a *analyzer) applyModifier(to catalog.OID) error {
	base := a.names().Base(to)
	if element := a.names().ElementOf(base); element != 0 {
		base = a.names().Base(element)
	}
	cast := a.names().Cast(base, base)
	if cast == nil || cast.Function == 0 {
		return nil
	}
	f := a.snap.FunctionByOID(cast.Function)
	if f == nil {
		return deny(access.OpaqueCode, "a cast by a function that is not in the catalog")
	}
	a.held.meetFunction(f.OID)
	return a.invoke(f, nil)
}

// collateClause is transformCollateClause.
func (a *analyzer) collateClause(s *scope, c *pg_query.CollateClause) (value, error) {
	v, err := a.bind(s, c.Arg)
	if err != nil {
		return value{}, err
	}
	if v.open() {
		// It stays a literal without a type (transformCollateClause lets unknown pass).
		return v, a.collation(c.Collname)
	}
	v.kind, v.location = computed, leftmost(c.Location, v.location)
	return v, a.collation(c.Collname)
}

// array is transformArrayExpr. Under a cast arrayType and element are what it is cast
// to, else 0.
func (a *analyzer) array(s *scope, n *pg_query.A_ArrayExpr, arrayType, element catalog.OID) (value, error) {
	var values []value
	nested := false
	for _, node := range n.Elements {
		var v value
		var err error
		if inner := node.GetAArrayExpr(); inner != nil {
			v, err = a.array(s, inner, arrayType, element)
			nested = true
		} else {
			v, err = a.bind(s, node)
			nested = nested || err == nil && a.isArray(v.typ)
		}
		if err != nil {
			return value{}, err
		}
		values = append(values, v)
	}
	if arrayType != 0 {
		each := element
		if nested {
			each = arrayType
		}
		for _, v := range values {
			if _, err := a.coerce(v, each, resolve.Explicit, nil); err != nil {
				return value{}, err
			}
		}
		return typed(arrayType, n.Location), nil
	}
	if len(values) == 0 {
		return value{}, hideColumn(stateIndeterminateType, "cannot determine type of empty array", errorPosition(a.text, n.Location)).
			hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
	}
	typ, err := a.common(values, "ARRAY")
	if err != nil {
		return value{}, err
	}
	if nested {
		if a.names().ElementOf(typ) == 0 {
			return value{}, hideColumn(stateUndefinedObject, "could not find element type for data type "+a.names().Name(typ), errorPosition(a.text, n.Location))
		}
		return typed(typ, n.Location), nil
	}
	made := a.names().ArrayOf(typ)
	if made == 0 {
		return value{}, hideColumn(stateUndefinedObject, "could not find array type for data type "+a.names().Name(typ), errorPosition(a.text, n.Location))
	}
	return typed(made, n.Location), nil
}

// isArray is type_is_array: no domain over one.
func (a *analyzer) isArray(oid catalog.OID) bool {
	t := a.snap.TypeByOID(oid)
	return t != nil && t.Kind == 'b' && t.Element != 0
}

// rowExpr is transformRowExpr.
func (a *analyzer) rowExpr(s *scope, r *pg_query.RowExpr) (value, error) {
	cells, err := a.exprList(s, r.Args, false)
	if err != nil {
		return value{}, err
	}
	if len(cells) > maxTargets {
		return value{}, hideColumn(stateTooManyColumns, "ROW expressions can have at most 1664 entries", errorPosition(a.text, r.Location))
	}
	v := value{typ: resolve.Record, location: r.Location, kind: constructed, cells: cells}
	for i, cell := range cells {
		v.fields = append(v.fields, output{name: "f" + itoa(i+1), typ: cell.typ, fields: cell.fields})
	}
	return v, nil
}
