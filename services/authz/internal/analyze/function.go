package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// call binds a function call.
func (a *analyzer) call(s *scope, f *pg_query.FuncCall) (value, error) {
	v, _, err := a.resolveCall(s, f)
	return v, err
}

// resolveCall binds a function call and says what it was resolved to
// (transformFuncCall, ParseFuncOrColumn).
func (a *analyzer) resolveCall(s *scope, f *pg_query.FuncCall) (value, resolve.Found, error) {
	names, ok := stringNodes(f.Funcname)
	if !ok || len(names) == 0 {
		return value{}, resolve.Found{}, deny(access.Construct, "a function's name")
	}
	if a.defines && namesOddField(names, f) {
		return value{}, resolve.Found{}, deny(access.Construct, "EXTRACT of a field that is no name")
	}
	asked := resolve.Call{Star: f.AggStar, Variadic: f.FuncVariadic, Distinct: f.AggDistinct, WithinGroup: f.AggWithinGroup,
		Filter: f.AggFilter != nil, Over: f.Over != nil, OrderBy: len(f.AggOrder) > 0 && !f.AggWithinGroup}
	if err := a.functionName(&asked, names); err != nil {
		return value{}, resolve.Found{}, err
	}
	args, err := a.arguments(s, f, &asked)
	if err != nil {
		return value{}, resolve.Found{}, err
	}
	if f.AggFilter != nil {
		v, err := a.bind(s, f.AggFilter)
		if err != nil {
			return value{}, resolve.Found{}, err
		}
		if err := a.boolean(v, "FILTER"); err != nil {
			return value{}, resolve.Found{}, err
		}
	}
	v, found, err := a.invokeNamed(asked, args, f.Location)
	if err != nil {
		return value{}, resolve.Found{}, err
	}
	a.writeCall(f, found)
	return v, found, a.decoration(s, f, found)
}

// functionName fills in the name of a call. Servers before 16 look json_object up over
// the path, where the parser has qualified it.
func (a *analyzer) functionName(asked *resolve.Call, names []string) error {
	asked.Name = last(names)
	switch len(names) {
	case 1:
	case 3:
		if names[0] != a.snap.Database {
			return deny(access.Construct, "a function of another database")
		}
		asked.Schema = names[1]
	case 2:
		asked.Schema = names[0]
		if names[0] != schemaCatalog || a.version >= 160000 {
			break
		}
		switch asked.Name {
		case "json_object":
			asked.Schema = ""
		case systemUser:
			// In FROM it is a table there.
			return newerForm("SYSTEM_USER")
		}
	default:
		return deny(access.Construct, "a function's name")
	}
	if asked.Schema == schemaTemp {
		return deny(access.FunctionDenied, "a temporary function")
	}
	return a.spend(len(a.snap.FunctionsNamed(asked.Name)))
}

// arguments binds the arguments; those of WITHIN GROUP's ORDER BY come last.
func (a *analyzer) arguments(s *scope, f *pg_query.FuncCall, asked *resolve.Call) ([]value, error) {
	var args []value
	for _, node := range f.Args {
		name := ""
		if named := node.GetNamedArgExpr(); named != nil {
			node, name = named.Arg, named.Name
		}
		v, err := a.bind(s, node)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
		asked.Arguments = append(asked.Arguments, resolve.Argument{Type: v.typ, Name: name, Parameter: v.kind == parameter})
	}
	if !f.AggWithinGroup {
		return args, nil
	}
	for _, node := range f.AggOrder {
		sort := node.GetSortBy()
		if sort == nil {
			return nil, deny(access.Construct, "an ORDER BY")
		}
		v, err := a.bind(s, sort.Node)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
		asked.Arguments = append(asked.Arguments, resolve.Argument{Type: v.typ, Parameter: v.kind == parameter})
		asked.Ordered++
	}
	return args, nil
}

// invokeNamed resolves a call by the types of its arguments, coerces these and judges
// the function. A row's column in function notation is found as well: f(t) is t.f.
func (a *analyzer) invokeNamed(asked resolve.Call, args []value, location int32) (value, resolve.Found, error) {
	asked.DefaultType = a.defaultType
	found, bad := a.names().Call(asked)
	if bad != nil {
		if v, ok, err := a.projected(asked, args); ok || err != nil {
			return v, resolve.Found{Kind: resolve.Cast}, err
		}
		if bad.AtLast {
			location = args[len(args)-1].location
		}
		return value{}, found, a.noFunction(asked, bad, location)
	}
	v, err := a.invokeResolved(found, args, location)
	if err == nil && found.Kind != resolve.Cast {
		err = a.eclipsesFunctions(asked.Schema, asked.Name, found.Function, len(args))
	}
	return v, found, err
}

// invokeResolved coerces the arguments of a call that was resolved, and judges it.
func (a *analyzer) invokeResolved(found resolve.Found, args []value, location int32) (value, error) {
	if len(found.Coercions) > len(args) {
		return value{}, deny(access.FunctionDenied, "a call whose arguments are not clear")
	}
	result := value{typ: found.Result, location: leftmostOf(location, args)}
	if found.Kind == resolve.Cast {
		t := a.snap.TypeByOID(found.Result)
		if t == nil {
			return value{}, deny(access.OpaqueCode, "a type that is not in the catalog")
		}
		if err := a.nameType(t, access.Select); err != nil {
			return value{}, err
		}
		v, err := a.coerce(args[0], found.Result, resolve.Explicit, nil)
		if !a.keepsPlace(args[0], v, found.Result, nil) {
			v.location = result.location
		}
		return v, err
	}
	if len(found.Coercions) != len(args) {
		return value{}, deny(access.FunctionDenied, "a call whose arguments are not accounted for")
	}
	placed := make([]value, len(args))
	left := 0
	for i, arg := range args {
		if arg.kind == parameter && arg.typ == resolve.Void && found.Coercions[i].To == 0 {
			// An OUT parameter of JDBC's, which the call goes without (ParseFuncOrColumn).
			left++
			continue
		}
		v, err := a.convert(arg, found.Coercions[i])
		if err != nil {
			return value{}, err
		}
		at := i - left
		if found.Order != nil && at < len(found.Order) && found.Order[at] < len(args) {
			at = found.Order[at]
		}
		placed[at] = v
	}
	placed = placed[:len(args)-left]
	if found.Kind == resolve.Aggregate || found.Kind == resolve.Window {
		result.location = location
	}
	for _, o := range found.Outputs {
		result.fields = append(result.fields, output{name: o.Name, typ: o.Type})
	}
	return result, a.invokeFound(found, placed)
}

// invokeFound judges the function that a call was resolved to.
func (a *analyzer) invokeFound(found resolve.Found, placed []value) error {
	f := found.Function
	if f == nil {
		return deny(access.FunctionDenied, "a function that is not in the catalog")
	}
	a.held.meetFunction(f.OID)
	if f.OID >= catalog.FirstNormalOID {
		a.named(f.Schema)
	}
	given := len(placed)
	if found.Order != nil || found.Defaults > 0 {
		// A parameter without an argument takes its default; which value stands for which
		// parameter is certain only for those that are given.
		placed = append(placed, make([]value, found.Defaults)...)
	}
	if found.Defaults > 0 && f.OID >= catalog.FirstNormalOID {
		first := len(f.Arguments) - len(f.DefaultExpressions)
		for i := range f.DefaultExpressions {
			if f.Kind == 'f' && takes(found.Order, given, first+i) {
				continue
			}
			if err := a.runDefault(f, i); err != nil {
				return err
			}
		}
	}
	if err := a.runsOfTypes(f, found.Result, placed); err != nil {
		return err
	}
	return a.invoke(f, placed, found.Declared...)
}

// noFunction is PostgreSQL's own error for a call that means nothing. What it tells,
// that no function or procedure of the name takes these arguments and that no type is
// meant, is for those alone to whom all of that name would be granted in every schema
// that was looked into.
func (a *analyzer) noFunction(asked resolve.Call, bad *resolve.Error, location int32) error {
	if asked.Schema == schemaInformation || strings.HasPrefix(asked.Schema, "pg_") && asked.Schema != schemaCatalog {
		return deny(access.FunctionDenied, "function "+asked.Name)
	}
	v := a.unresolved(bad, location)
	if asked.Schema != schemaCatalog && a.mayBeUsers(asked, bad) {
		v.requires = a.everyFunction(asked.Schema, asked.Name)
		if len(asked.Arguments) == 1 {
			// It could have been a cast in function notation (FuncNameAsType).
			v.requires = append(v.requires, a.every(access.Usage, access.Type, asked.Schema, asked.Name)...)
		}
	}
	return v
}

// mayBeUsers reports whether an error about a call depends on functions that are not
// the server's. Errors about a call that only the server's own functions could be are
// the same for all.
func (a *analyzer) mayBeUsers(asked resolve.Call, bad *resolve.Error) bool {
	if bad.SQLState == stateUndefinedFunction || asked.Schema != "" {
		return true
	}
	for _, f := range a.snap.FunctionsNamed(asked.Name) {
		if f.OID >= catalog.FirstNormalOID && a.path.includes(f.Schema) {
			return true
		}
	}
	return false
}

// everyFunction are the accesses to all functions and procedures of a name, of one
// schema or of the path, whether there are any or not.
func (a *analyzer) everyFunction(schema, name string) []access.Access {
	var all []access.Access
	for _, kind := range []access.Kind{access.Function, access.Procedure} {
		all = append(all, a.every(access.Execute, kind, schema, name)...)
	}
	return all
}

// every is an access to a name in a schema, or in each of the path.
func (a *analyzer) every(action access.Action, kind access.Kind, schema, name string) []access.Access {
	schemas := []string{schema}
	if schema == "" {
		schemas = a.path.foreign()
	}
	var all []access.Access
	for _, s := range schemas {
		o := access.Object{Kind: kind, Schema: s, Name: name, Overloads: kind != access.Type}
		all = append(all, access.Access{Action: action, Named: o, Resolved: o})
	}
	return all
}

// projected is the column of a row in function notation.
func (a *analyzer) projected(asked resolve.Call, args []value) (value, bool, error) {
	if len(args) != 1 || asked.Schema != "" || asked.Star || asked.Variadic || asked.Distinct || asked.WithinGroup ||
		asked.Filter || asked.Over || asked.OrderBy || asked.Arguments[0].Name != "" || !a.isRow(args[0].typ) {
		return value{}, false, nil
	}
	return a.project(args[0], asked.Name)
}

// decoration binds what stands around an aggregate's or window function's arguments:
// ORDER BY, DISTINCT, OVER.
func (a *analyzer) decoration(s *scope, f *pg_query.FuncCall, found resolve.Found) error {
	if f.AggDistinct && len(found.Coercions) > 1 {
		for _, c := range found.Coercions {
			if err := a.groups(c.To); err != nil {
				return err
			}
		}
	}
	if !f.AggWithinGroup {
		if err := a.sortInputs(s, f.AggOrder); err != nil {
			return err
		}
	} else if err := a.sortUsing(s, f.AggOrder, found); err != nil {
		return err
	}
	if f.Over == nil {
		return nil
	}
	level := s
	level.windows = append(level.windows, f.Over)
	return nil
}

// denseRank is dense_rank(VARIADIC "any") WITHIN GROUP (pg_proc.dat), the one function
// over an ordered set that tells equal rows by the type's equality
// (hypothetical_dense_rank_final).
const denseRank catalog.OID = 3992

// sortUsing judges the operators of WITHIN GROUP (ORDER BY … USING …); its values are
// bound as arguments.
func (a *analyzer) sortUsing(s *scope, nodes []*pg_query.Node, found resolve.Found) error {
	first := len(found.Coercions) - len(nodes)
	for i, node := range nodes {
		sort := node.GetSortBy()
		if first+i < 0 {
			return deny(access.Construct, "ORDER BY … USING")
		}
		if found.Function != nil && found.Function.OID == denseRank {
			if err := a.groups(found.Coercions[first+i].To); err != nil {
				return err
			}
		}
		if len(sort.GetUseOp()) == 0 {
			continue
		}
		if err := a.usingOperator(sort, typed(found.Coercions[first+i].To, sort.Location)); err != nil {
			return err
		}
	}
	return nil
}
