package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// call binds a function call: only harmless built-ins, and only where no other
// function, nor a cast written as a call, can be meant.
func (a *analyzer) call(s *scope, f *pg_query.FuncCall) error {
	if err := a.functionName(f.Funcname); err != nil {
		return err
	}
	exact := !f.FuncVariadic && !f.AggWithinGroup
	var types []catalog.OID
	for _, arg := range f.Args {
		if named := arg.GetNamedArgExpr(); named != nil {
			arg, exact = named.Arg, false
		}
		typ, err := a.expr(s, arg)
		if err != nil {
			return err
		}
		types = append(types, typ)
	}
	if err := a.overloads(f.Funcname, types, exact); err != nil {
		return err
	}
	if err := a.sortInputs(s, f.AggOrder); err != nil {
		return err
	}
	if err := a.optional(s, f.AggFilter); err != nil {
		return err
	}
	if f.Over != nil {
		return a.window(s, f.Over)
	}
	return nil
}

// functionName judges the name of a call.
func (a *analyzer) functionName(nodes []*pg_query.Node) error {
	names, ok := stringNodes(nodes)
	if !ok || len(names) == 0 {
		return deny(access.Construct, "a function's name")
	}
	name := names[len(names)-1]
	switch {
	case len(names) == 1:
	case len(names) == 2 && names[0] == schemaCatalog:
		if name == "json_object" && a.version < 160000 {
			// The parser qualifies it; servers before 16 look it up over the path.
			break
		}
		if !a.functions[name] || a.addedToCatalog(name) {
			return deny(access.FunctionDenied, "function "+name)
		}
		return nil
	default:
		return deny(access.FunctionDenied, "function "+name+" of a schema")
	}
	if !a.functions[name] || a.addedToCatalog(name) {
		return deny(access.FunctionDenied, "function "+name)
	}
	// f(x) is also a cast to the type f (FuncNameAsType).
	if a.typeInPath(name) {
		return deny(access.FunctionDenied, "function "+name+" may be a cast to a user's type")
	}
	return nil
}

// overloads allows an unqualified call if no function of a user can be meant. exact
// says that the arguments are the parameters, one by one.
func (a *analyzer) overloads(funcname []*pg_query.Node, args []catalog.OID, exact bool) error {
	names, _ := stringNodes(funcname)
	qualified := len(names) > 1 && (last(names) != "json_object" || a.version >= 160000)
	if qualified {
		return nil
	}
	for _, f := range a.snap.FunctionsNamed(last(names)) {
		if f.Schema == schemaCatalog || !a.path.includes(f.Schema) {
			continue
		}
		if err := a.spend(len(f.Arguments)); err != nil {
			return err
		}
		if !exact || a.takes(f, args) {
			return deny(access.FunctionDenied, "function "+f.Name+" may be that of schema "+f.Schema)
		}
	}
	return nil
}

// takes reports whether a function could be what a call of so many arguments of such
// types means (FuncnameGetCandidates, func_match_argtypes): not if the number does
// not fit, nor if an argument that is no untyped literal would have to be of a type
// that no expression here can have.
func (a *analyzer) takes(f *catalog.Function, args []catalog.OID) bool {
	if f.Variadic != 0 {
		return true
	}
	if len(args) > len(f.Arguments) || len(args) < len(f.Arguments)-f.Defaults {
		return false
	}
	for i, typ := range args {
		if typ != typeUnknown && !a.reachable(f.Arguments[i]) {
			return false
		}
		// Only a row becomes a row.
		if wanted := a.snap.TypeByOID(f.Arguments[i]); wanted != nil && wanted.Kind == 'c' && a.plain(typ) {
			return false
		}
	}
	return true
}

// addedToCatalog reports whether pg_catalog has a function of that name that did not
// come with the server: superusers and extensions can put one there.
func (a *analyzer) addedToCatalog(name string) bool {
	for _, f := range a.snap.FunctionsNamed(name) {
		if f.Schema == schemaCatalog && f.OID >= catalog.FirstNormalOID {
			return true
		}
	}
	return false
}

// cameWithServer reports whether pg_catalog has a function of that name that came
// with the server.
func (a *analyzer) cameWithServer(name string) bool {
	for _, f := range a.snap.FunctionsNamed(name) {
		if f.Schema == schemaCatalog && f.OID < catalog.FirstNormalOID {
			return true
		}
	}
	return false
}

// typeInPath reports whether a schema of the path other than pg_catalog has a type
// of that name, row types of relations aside.
func (a *analyzer) typeInPath(name string) bool {
	for _, schema := range a.path.foreign() {
		if t := a.snap.TypeByName(schema, name); t != nil && t.Relation == 0 {
			return true
		}
	}
	return false
}

// rangeFunction binds a function in FROM.
func (a *analyzer) rangeFunction(s *scope, rf *pg_query.RangeFunction) (*item, error) {
	outer := s.lateral
	// A function in FROM may refer to its neighbours with or without LATERAL.
	s.lateral = true
	defer func() { s.lateral = outer }()
	var calls []*pg_query.FuncCall
	var definitions [][]*pg_query.Node
	for _, node := range rf.Functions {
		pair := node.GetList().GetItems()
		if len(pair) == 0 || pair[0].GetFuncCall() == nil {
			return nil, deny(access.Construct, "a FROM item that is no plain function call")
		}
		f := pair[0].GetFuncCall()
		var columns []*pg_query.Node
		if len(pair) > 1 {
			columns = pair[1].GetList().GetItems()
		}
		if names, _ := stringNodes(f.Funcname); last(names) == "unnest" && len(f.Args) > 1 {
			// unnest(a, b) in FROM is ROWS FROM (unnest(a), unnest(b)).
			for _, arg := range f.Args {
				calls = append(calls, &pg_query.FuncCall{Funcname: f.Funcname, Args: []*pg_query.Node{arg}})
				definitions = append(definitions, nil)
			}
			continue
		}
		calls, definitions = append(calls, f), append(definitions, columns)
	}
	if len(rf.Coldeflist) > 0 {
		if len(calls) != 1 || len(definitions[0]) > 0 {
			return nil, deny(access.Construct, "a column definition list")
		}
		definitions[0] = rf.Coldeflist
	}
	return a.functionItem(s, rf, calls, definitions)
}

// functionItem makes the item of a function in FROM (addRangeTableEntryForFunction).
func (a *analyzer) functionItem(s *scope, rf *pg_query.RangeFunction, calls []*pg_query.FuncCall, definitions [][]*pg_query.Node) (*item, error) {
	var columns []output
	unsure := false
	firstName := ""
	for i, f := range calls {
		typ, err := a.callInFrom(s, f)
		if err != nil {
			return nil, err
		}
		parts, _ := stringNodes(f.Funcname)
		name := last(parts)
		if i == 0 {
			firstName = name
		}
		own, isRecord := a.records[name]
		switch {
		case len(definitions[i]) > 0:
			defined, err := a.definedColumns(definitions[i])
			if err != nil {
				return nil, err
			}
			columns = append(columns, defined...)
		case isRecord:
			for _, name := range own {
				columns = append(columns, output{name: name})
			}
		case len(calls) == 1 && rf.Alias != nil:
			columns = append(columns, output{name: rf.Alias.Aliasname})
			unsure = name == "unnest" && !a.plainArray(typ)
		default:
			columns = append(columns, output{name: name})
			unsure = unsure || name == "unnest" && !a.plainArray(typ)
		}
	}
	if rf.Ordinality {
		columns = append(columns, output{"ordinality", typeInt8})
	}
	if unsure && rf.Alias != nil && len(rf.Alias.Colnames) > len(columns) {
		return nil, deny(access.Construct, "a function whose columns are not known")
	}
	it, err := a.computedItem(&rangeEntry{name: firstName}, columns, rf.Alias)
	if err != nil {
		return nil, err
	}
	it.unsure = unsure
	return it, nil
}

// callInFrom binds a call in FROM and returns the type of its first argument.
func (a *analyzer) callInFrom(s *scope, f *pg_query.FuncCall) (catalog.OID, error) {
	if err := a.call(s, f); err != nil {
		return 0, err
	}
	if namesType(f) {
		return 0, denyLookUp()
	}
	if len(f.Args) != 1 {
		return 0, nil
	}
	return a.shownType(s, f.Args[0])
}

// shownType is the type of an argument that has been bound. Only leaves are bound
// again: nested calls would double the work at each level.
func (a *analyzer) shownType(s *scope, node *pg_query.Node) (catalog.OID, error) {
	if node.GetAArrayExpr() != nil {
		// An array of whatever its elements are. One composite among literals makes them
		// all composites, so that every element must be a literal or of a type that is
		// plain to see.
		for _, element := range node.GetAArrayExpr().Elements {
			if element.GetAConst() != nil {
				continue
			}
			if element.GetColumnRef() == nil && element.GetTypeCast() == nil {
				return 0, nil
			}
			typ, err := a.shownType(s, element)
			if err != nil || !a.plain(typ) {
				return 0, err
			}
		}
		return typeTextArray, nil
	}
	if cast := node.GetTypeCast(); cast != nil {
		return a.typeName(cast.TypeName)
	}
	if node.GetColumnRef() == nil && node.GetParamRef() == nil {
		return 0, nil
	}
	return a.expr(s, node)
}

// typeInt8 is bigint.
const typeInt8 catalog.OID = 20

// typeTextArray is text[].
const typeTextArray catalog.OID = 1009

// plainArray reports whether a type is an array whose elements are no composites,
// so that unnest in FROM yields one column.
func (a *analyzer) plainArray(oid catalog.OID) bool {
	if t, ok := a.types.byOID[oid]; ok {
		return t.name[0] == '_'
	}
	t := a.snap.TypeByOID(oid)
	if t == nil || t.Element == 0 {
		return false
	}
	return a.plain(t.Element)
}

// plain reports whether a type is a built-in one of the list or an enum: no
// composite, and no domain over one.
func (a *analyzer) plain(oid catalog.OID) bool {
	if _, ok := a.types.byOID[oid]; ok {
		return true
	}
	t := a.snap.TypeByOID(oid)
	return t != nil && t.Kind == 'e'
}

// definedColumns reads a column definition list: names with types.
func (a *analyzer) definedColumns(nodes []*pg_query.Node) ([]output, error) {
	var columns []output
	for _, node := range nodes {
		def := node.GetColumnDef()
		if def == nil {
			return nil, deny(access.Construct, "a column definition list")
		}
		typ, err := a.typeName(def.TypeName)
		if err != nil {
			return nil, err
		}
		if def.CollClause != nil {
			if err := a.collation(def.CollClause.Collname); err != nil {
				return nil, err
			}
		}
		columns = append(columns, output{def.Colname, typ})
	}
	return columns, nil
}
