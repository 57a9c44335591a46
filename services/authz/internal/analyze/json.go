package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// jsonExpr binds SQL/JSON constructors and query functions. Servers older than the
// syntax take those that look like one for an ordinary call over the path; what does
// not look like one is denied there.
func (a *analyzer) jsonExpr(s *scope, node *pg_query.Node) (value, error) {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_JsonScalarExpr:
		if a.version < 170000 {
			return a.olderCall(s, "json_scalar", []*pg_query.Node{n.JsonScalarExpr.Expr}, n.JsonScalarExpr.Location)
		}
		v, err := a.bind(s, n.JsonScalarExpr.Expr)
		if err != nil {
			return value{}, err
		}
		if err := a.madeJSON(v); err != nil {
			return value{}, err
		}
		return a.jsonMade(n.JsonScalarExpr.Output, typeJSON, n.JsonScalarExpr.Location)
	case *pg_query.Node_JsonParseExpr:
		if a.version < 170000 {
			return a.olderCall(s, "json", []*pg_query.Node{n.JsonParseExpr.Expr.GetRawExpr()}, n.JsonParseExpr.Location)
		}
		if _, err := a.jsonValue(s, n.JsonParseExpr.Expr, typeJSON); err != nil {
			return value{}, err
		}
		return a.jsonMade(n.JsonParseExpr.Output, typeJSON, n.JsonParseExpr.Location)
	case *pg_query.Node_JsonSerializeExpr:
		if a.version < 170000 {
			return a.olderCall(s, "json_serialize", []*pg_query.Node{n.JsonSerializeExpr.Expr.GetRawExpr()}, n.JsonSerializeExpr.Location)
		}
		if _, err := a.jsonValue(s, n.JsonSerializeExpr.Expr, typeJSON); err != nil {
			return value{}, err
		}
		return a.jsonMade(n.JsonSerializeExpr.Output, resolve.Text, n.JsonSerializeExpr.Location)
	case *pg_query.Node_JsonFuncExpr:
		return a.jsonFunction(s, n.JsonFuncExpr)
	case *pg_query.Node_JsonObjectConstructor:
		return a.jsonObject(s, n.JsonObjectConstructor)
	case *pg_query.Node_JsonArrayConstructor:
		return a.jsonArray(s, n.JsonArrayConstructor)
	case *pg_query.Node_JsonArrayQueryConstructor:
		return a.jsonArrayQuery(s, n.JsonArrayQueryConstructor)
	case *pg_query.Node_JsonObjectAgg:
		return a.jsonObjectAgg(s, n.JsonObjectAgg)
	case *pg_query.Node_JsonArrayAgg:
		return a.jsonArrayAgg(s, n.JsonArrayAgg)
	case *pg_query.Node_JsonIsPredicate:
		return a.isJSON(s, n.JsonIsPredicate)
	default:
		return value{}, deny(access.Construct, nodeWords(node))
	}
}

// jsonName is FigureColname for SQL/JSON.
func jsonName(node *pg_query.Node) string {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_JsonScalarExpr:
		return "json_scalar"
	case *pg_query.Node_JsonParseExpr:
		return "json"
	case *pg_query.Node_JsonSerializeExpr:
		return "json_serialize"
	case *pg_query.Node_JsonFuncExpr:
		return jsonFunctionName(n.JsonFuncExpr.Op)
	case *pg_query.Node_JsonObjectConstructor:
		return "json_object"
	case *pg_query.Node_JsonArrayConstructor, *pg_query.Node_JsonArrayQueryConstructor:
		return "json_array"
	case *pg_query.Node_JsonObjectAgg:
		return "json_objectagg"
	case *pg_query.Node_JsonArrayAgg:
		return "json_arrayagg"
	}
	return ""
}

func jsonFunctionName(op pg_query.JsonExprOp) string {
	switch op {
	case pg_query.JsonExprOp_JSON_EXISTS_OP:
		return "json_exists"
	case pg_query.JsonExprOp_JSON_QUERY_OP:
		return "json_query"
	case pg_query.JsonExprOp_JSON_VALUE_OP:
		return "json_value"
	}
	return ""
}

// olderCall binds what an older server takes for a call of a function.
func (a *analyzer) olderCall(s *scope, name string, args []*pg_query.Node, location int32) (value, error) {
	return a.call(s, &pg_query.FuncCall{Funcname: []*pg_query.Node{stringOf(name)}, Args: args, Location: location})
}

// newerForm denies what newerSyntax has not found to be an error.
func newerForm(words string) error {
	return deny(access.Construct, words+" is newer than the server")
}

// jsonValue binds a JSON value as written: an expression that may be untyped, which to
// then types (transformJsonValueExpr).
func (a *analyzer) jsonValue(s *scope, x *pg_query.JsonValueExpr, to catalog.OID) (value, error) {
	v, err := a.bind(s, x.GetRawExpr())
	if err != nil {
		return v, err
	}
	if !v.open() {
		return v, a.madeJSON(v)
	}
	if x.GetFormat().GetFormatType() == pg_query.JsonFormatType_JS_FORMAT_JSON {
		to = resolve.Text
	}
	return a.coerce(v, to, resolve.Implicit, nil)
}

// jsonMade is a value made by a constructor, in the type of RETURNING.
func (a *analyzer) jsonMade(out *pg_query.JsonOutput, standard catalog.OID, location int32) (value, error) {
	if out.GetTypeName() == nil {
		return typed(standard, location), nil
	}
	typ, err := a.typeName(out.TypeName)
	if err != nil {
		return value{}, err
	}
	if err := a.readText(value{}, typ); err != nil {
		return value{}, err
	}
	for _, from := range []catalog.OID{typeJSON, typeJSONB, resolve.Text} {
		cast := a.names().Cast(from, typ)
		if cast == nil || cast.Function == 0 || cast.OID < catalog.FirstNormalOID {
			continue
		}
		f := a.snap.FunctionByOID(cast.Function)
		if f == nil {
			return value{}, deny(access.OpaqueCode, "a cast by a function that is not in the catalog")
		}
		a.held.meetFunction(f.OID)
		if err := a.invoke(f, nil); err != nil {
			return value{}, err
		}
	}
	return typed(typ, location), nil
}

// jsonFunction binds JSON_EXISTS, JSON_QUERY and JSON_VALUE (transformJsonFuncExpr).
func (a *analyzer) jsonFunction(s *scope, f *pg_query.JsonFuncExpr) (value, error) {
	name := jsonFunctionName(f.Op)
	if name == "" {
		return value{}, deny(access.Construct, "an SQL/JSON function")
	}
	if a.version < 170000 {
		if len(f.Passing) > 0 || f.Output != nil || f.OnEmpty != nil || f.OnError != nil {
			return value{}, newerForm(name)
		}
		return a.olderCall(s, name, []*pg_query.Node{f.ContextItem.GetRawExpr(), f.Pathspec}, f.Location)
	}
	if err := a.jsonPath(s, f.ContextItem, f.Pathspec, f.Passing); err != nil {
		return value{}, err
	}
	standard := map[string]catalog.OID{"json_exists": resolve.Bool, "json_query": typeJSONB, "json_value": resolve.Text}[name]
	v, err := a.jsonMade(f.Output, standard, f.Location)
	if err != nil {
		return value{}, err
	}
	for _, behaviour := range []*pg_query.JsonBehavior{f.OnEmpty, f.OnError} {
		if err := a.jsonBehaviour(s, behaviour, v.typ); err != nil {
			return value{}, err
		}
	}
	return v, nil
}

// jsonPath binds what a path is applied to, the path, and the values passed to it.
func (a *analyzer) jsonPath(s *scope, item *pg_query.JsonValueExpr, path *pg_query.Node, passing []*pg_query.Node) error {
	if _, err := a.jsonValue(s, item, typeJSONB); err != nil {
		return err
	}
	v, err := a.bind(s, path)
	if err != nil {
		return err
	}
	if _, err := a.coerce(v, typeJSONPath, resolve.Explicit, nil); err != nil {
		return err
	}
	for _, node := range passing {
		argument := node.GetJsonArgument()
		if argument == nil {
			return deny(access.Construct, "an argument of PASSING")
		}
		if _, err := a.jsonValue(s, argument.Val, resolve.Text); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) jsonBehaviour(s *scope, b *pg_query.JsonBehavior, to catalog.OID) error {
	if b.GetExpr() == nil {
		return nil
	}
	v, err := a.bind(s, b.Expr)
	if err != nil {
		return err
	}
	_, err = a.coerce(v, to, resolve.Explicit, nil)
	return err
}

// jsonObject binds JSON_OBJECT with its own syntax.
func (a *analyzer) jsonObject(s *scope, c *pg_query.JsonObjectConstructor) (value, error) {
	if a.version < 160000 {
		if len(c.Exprs) == 0 && c.Output == nil {
			return a.olderCall(s, "json_object", nil, c.Location)
		}
		return value{}, newerForm("JSON_OBJECT")
	}
	for _, node := range c.Exprs {
		if err := a.jsonKeyValue(s, node.GetJsonKeyValue()); err != nil {
			return value{}, err
		}
	}
	return a.jsonMade(c.Output, typeJSON, c.Location)
}

func (a *analyzer) jsonKeyValue(s *scope, pair *pg_query.JsonKeyValue) error {
	if pair == nil {
		return deny(access.Construct, "a member of a JSON object")
	}
	v, err := a.bind(s, pair.Key)
	if err != nil {
		return err
	}
	if v.open() {
		if _, err := a.coerce(v, resolve.Text, resolve.Implicit, nil); err != nil {
			return err
		}
	}
	_, err = a.jsonValue(s, pair.Value, resolve.Text)
	return err
}

// jsonArray binds JSON_ARRAY of values.
func (a *analyzer) jsonArray(s *scope, c *pg_query.JsonArrayConstructor) (value, error) {
	if a.version < 160000 {
		var args []*pg_query.Node
		for _, node := range c.Exprs {
			args = append(args, node.GetJsonValueExpr().GetRawExpr())
		}
		if c.Output != nil {
			return value{}, newerForm("JSON_ARRAY")
		}
		return a.olderCall(s, "json_array", args, c.Location)
	}
	for _, node := range c.Exprs {
		if node.GetJsonValueExpr() == nil {
			return value{}, deny(access.Construct, "an element of a JSON array")
		}
		if _, err := a.jsonValue(s, node.GetJsonValueExpr(), resolve.Text); err != nil {
			return value{}, err
		}
	}
	return a.jsonMade(c.Output, typeJSON, c.Location)
}

// jsonArrayQuery binds JSON_ARRAY of a query's only column.
func (a *analyzer) jsonArrayQuery(s *scope, c *pg_query.JsonArrayQueryConstructor) (value, error) {
	if a.version < 160000 {
		return value{}, newerForm("JSON_ARRAY of a query")
	}
	columns, err := a.sublinkQuery(s, &pg_query.SubLink{Subselect: c.Query})
	if err != nil {
		return value{}, err
	}
	if len(columns) != 1 {
		return value{}, hideColumn(stateSyntax, "subquery must return only one column", errorPosition(a.text, c.Location))
	}
	return a.jsonMade(c.Output, typeJSON, c.Location)
}

func (a *analyzer) jsonObjectAgg(s *scope, g *pg_query.JsonObjectAgg) (value, error) {
	if a.version < 160000 {
		return value{}, newerForm("JSON_OBJECTAGG")
	}
	if err := a.jsonKeyValue(s, g.Arg); err != nil {
		return value{}, err
	}
	return a.jsonAggregate(s, g.Constructor)
}

func (a *analyzer) jsonArrayAgg(s *scope, g *pg_query.JsonArrayAgg) (value, error) {
	if a.version < 160000 {
		c := g.Constructor
		if c.GetOutput() != nil {
			return value{}, newerForm("JSON_ARRAYAGG")
		}
		return a.call(s, &pg_query.FuncCall{Funcname: []*pg_query.Node{stringOf("json_arrayagg")}, Args: []*pg_query.Node{g.Arg.GetRawExpr()},
			AggOrder: c.GetAggOrder(), AggFilter: c.GetAggFilter(), Over: c.GetOver(), Location: c.GetLocation()})
	}
	if _, err := a.jsonValue(s, g.Arg, resolve.Text); err != nil {
		return value{}, err
	}
	return a.jsonAggregate(s, g.Constructor)
}

// jsonAggregate binds what stands around the argument of a JSON aggregate.
func (a *analyzer) jsonAggregate(s *scope, c *pg_query.JsonAggConstructor) (value, error) {
	if c == nil {
		return value{}, deny(access.Construct, "a JSON aggregate")
	}
	if err := a.condition(s, c.AggFilter, "FILTER"); err != nil {
		return value{}, err
	}
	if err := a.sortInputs(s, c.AggOrder); err != nil {
		return value{}, err
	}
	if c.Over != nil {
		s.windows = append(s.windows, c.Over)
	}
	return a.jsonMade(c.Output, typeJSON, c.Location)
}

// isJSON binds IS JSON (transformJsonIsPredicate).
func (a *analyzer) isJSON(s *scope, p *pg_query.JsonIsPredicate) (value, error) {
	if a.version < 160000 {
		return value{}, newerForm("IS JSON")
	}
	v, err := a.bind(s, p.Expr)
	if err != nil {
		return value{}, err
	}
	if v.open() {
		if v, err = a.coerce(v, resolve.Text, resolve.Implicit, nil); err != nil {
			return value{}, err
		}
	}
	return typed(resolve.Bool, leftmost(p.Location, v.location)), nil
}
