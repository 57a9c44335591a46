package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// functionClauses is what the options of a function say.
type functionClauses struct {
	language, body string
	definer        bool
	// path is the search_path it runs under, if fixed.
	path  searchPath
	fixed bool
	// foreign says that the body is of another kind than text.
	foreign bool
	// volatile, strict, leakproof and settings are what the catalog holds of them, unsure
	// says that there is more.
	volatile                  string
	strict, leakproof, unsure bool
	settings                  []string
}

// createFunction judges CREATE FUNCTION and CREATE PROCEDURE. Calls of an SQL function are
// judged by its body, so that what its maker needs is what the body needs; other
// languages are code that nobody looks into, and making it needs a grant that is
// trusted, whatever name it gets.
func (a *analyzer) createFunction(f *pg_query.CreateFunctionStmt) error {
	object, err := a.newNamed(f.Funcname)
	if err != nil {
		return err
	}
	a.guard(access.Object{Kind: access.Function, Schema: object.Schema, Name: object.Name})
	clauses, err := a.functionOptions(f.Options)
	if err != nil {
		return err
	}
	trusted := false
	if clauses.language != "" {
		language, err := a.language(clauses.language)
		if err != nil {
			return err
		}
		trusted = language.Trusted
	}
	sig, err := a.signature(f, clauses.language)
	if err != nil {
		return err
	}
	code := "function " + object.Schema + "." + object.Name
	switch {
	case clauses.language == "" && f.SqlBody != nil, clauses.language == "sql" && !clauses.foreign:
	case trusted && !clauses.foreign:
		// Code that can do no more than SQL can. Any other is an administrator's.
		a.trusted(object.Schema, code+" in "+clauses.language)
		a.madeFunction(f, object, sig, clauses, catalog.Expression{})
		return nil
	default:
		return a.onDatabase()
	}
	if clauses.definer && f.SqlBody == nil && !clauses.fixed {
		// Its names mean what the caller's path makes of them, with the owner's rights.
		a.trusted(object.Schema, code+" with its owner's rights under any path")
		a.madeFunction(f, object, sig, clauses, catalog.Expression{})
		return nil
	}
	if sig.polymorphic {
		a.trusted(object.Schema, code+" of any type")
		if f.SqlBody == nil {
			a.madeFunction(f, object, sig, clauses, catalog.Expression{})
		}
		return nil
	}
	in := inside{path: a.path, types: sig.types}
	if clauses.fixed {
		in.session = clauses.path
		if f.SqlBody == nil {
			// A body that is no string has been bound by then (interpret_AS_clause).
			in.path = clauses.path
		}
	}
	outer := sig.scope(object.Name)
	var found *recorder
	body := catalog.Expression{Text: unwritten}
	if f.SqlBody != nil {
		var h *held
		h, err = a.storing(func() (err error) {
			found, err = a.atomicBody(f.SqlBody, in, outer)
			return err
		})
		if err == nil {
			body = a.standardText(h, f.SqlBody)
		}
	} else {
		found, err = a.bodyText(clauses.body, in, outer)
	}
	switch {
	case err == nil:
		a.current.absorb(found, nil, false)
	case limited(err):
		return err
	default:
		// It calls procedures, sets something, or names what is not there yet.
		a.trusted(object.Schema, code+", whose body cannot be followed")
	}
	a.madeFunction(f, object, sig, clauses, body)
	return nil
}

// parameterList is the input parameters of a function that is being made.
type parameterList struct {
	types []catalog.OID
	names []string
	// polymorphic says that a type is a pseudo-type: the body means something else with
	// each.
	polymorphic bool
	// all are the types of all parameters, defaults the defaults as they are stored, result
	// the type after RETURNS.
	all      []catalog.OID
	defaults []catalog.Expression
	result   catalog.OID
}

// scope is the level outside a body's statements, at which the names of parameters
// stand.
func (p parameterList) scope(function string) *scope {
	it := &item{name: function, nameVisible: true, columnsVisible: true, lateralOK: true, entry: &rangeEntry{name: function}}
	for i, name := range p.names {
		if name != "" {
			it.columns = append(it.columns, column{name: name, typ: p.types[i]})
		}
	}
	return &scope{namespace: []*item{it}}
}

// signature judges the types of a function's parameters and result, and its defaults.
func (a *analyzer) signature(f *pg_query.CreateFunctionStmt, language string) (parameterList, error) {
	var list parameterList
	for _, node := range f.Parameters {
		p := node.GetFunctionParameter()
		if p == nil {
			return list, deny(access.Construct, "a parameter")
		}
		oid, pseudo, err := a.functionType(p.ArgType, language)
		if err != nil {
			return list, err
		}
		list.polymorphic = list.polymorphic || pseudo
		list.all = append(list.all, oid)
		if p.Defexpr != nil {
			text, err := a.keeping(&scope{}, p.Defexpr, "", func(v value) error {
				if pseudo {
					return nil
				}
				return a.assign(v, output{name: p.Name, typ: oid})
			})
			if err != nil {
				return list, err
			}
			list.defaults = append(list.defaults, text)
		}
		switch p.Mode {
		case pg_query.FunctionParameterMode_FUNC_PARAM_OUT, pg_query.FunctionParameterMode_FUNC_PARAM_TABLE:
		default:
			list.types, list.names = append(list.types, oid), append(list.names, p.Name)
		}
	}
	if f.ReturnType == nil {
		return list, nil
	}
	if makes, err := a.makesShell(f.ReturnType, language); makes || err != nil {
		return list, err
	}
	var err error
	list.result, _, err = a.functionType(f.ReturnType, language)
	return list, err
}

// makesShell reports whether a function's result is a type that is not there: in C its
// definition makes a shell for the type (compute_return_type, functioncmds.c).
func (a *analyzer) makesShell(t *pg_query.TypeName, language string) (bool, error) {
	names, ok := stringNodes(t.GetNames())
	if language != "c" && language != "internal" || !ok || len(names) == 0 || len(names) > 2 || len(t.ArrayBounds)+len(t.Typmods) > 0 || t.PctType {
		return false, nil
	}
	if err := a.spend(len(a.path)); err != nil {
		return false, err
	}
	schema, name, _ := qualified(t.Names)
	if !a.names().Missing(schema, name) {
		return false, nil
	}
	made, err := a.newNamed(t.Names)
	if err == nil {
		a.guard(access.Object{Kind: access.Type, Schema: made.Schema, Name: made.Name})
	}
	return true, err
}

// shell is the type of a name that is only a shell, which a function may take and give
// in any language but SQL.
func (a *analyzer) shell(t *pg_query.TypeName, language string) *catalog.Type {
	schema, name, err := qualified(t.GetNames())
	if err != nil || language == "sql" || len(t.ArrayBounds)+len(t.Typmods) > 0 || t.PctType {
		return nil
	}
	return a.names().Shell(schema, name)
}

// functionType is signatureType that takes shells as well.
func (a *analyzer) functionType(t *pg_query.TypeName, language string) (oid catalog.OID, pseudo bool, err error) {
	if found := a.shell(t, language); found != nil {
		a.named(found.Schema)
		return found.OID, false, nil
	}
	return a.signatureType(t)
}

// signatureType is columnType that takes pg_catalog's pseudo-types as well.
func (a *analyzer) signatureType(t *pg_query.TypeName) (oid catalog.OID, pseudo bool, err error) {
	oid, pseudo, err = a.argumentType(t)
	if err == nil && !pseudo {
		a.usesType(oid)
	}
	return oid, pseudo, err
}

// argumentType resolves a type by which something that is there already is named, which
// needs no right on it (LookupTypeNameOid).
func (a *analyzer) argumentType(t *pg_query.TypeName) (oid catalog.OID, pseudo bool, err error) {
	names, ok := stringNodes(t.GetNames())
	if ok && len(names) > 0 && len(names) <= 2 && len(t.ArrayBounds) == 0 && (len(names) == 1 || names[0] == schemaCatalog) && a.path.catalogFirst() &&
		(len(names) == 2 || a.snap.TypeByName(schemaTemp, names[0]) == nil) {
		if found := a.snap.TypeByName(schemaCatalog, last(names)); found != nil && found.Kind == 'p' {
			return found.OID, true, nil
		}
	}
	oid, err = a.typeName(t)
	return oid, false, err
}

// functionOptions judges the options of CREATE FUNCTION and ALTER FUNCTION.
func (a *analyzer) functionOptions(options []*pg_query.Node) (functionClauses, error) {
	var clauses functionClauses
	for _, node := range options {
		option := node.GetDefElem()
		switch option.GetDefname() {
		case "language":
			clauses.language = option.GetArg().GetString_().GetSval()
		case "as":
			items := option.GetArg().GetList().GetItems()
			if len(items) != 1 {
				// An object file and a symbol.
				clauses.foreign = true
				continue
			}
			clauses.body = items[0].GetString_().GetSval()
		case "volatility":
			clauses.volatile = option.GetArg().GetString_().GetSval()
		case "strict":
			clauses.strict = option.GetArg().GetBoolean().GetBoolval()
		case "cost", "rows", "parallel":
		case "security":
			clauses.definer = option.GetArg().GetBoolean().GetBoolval()
		case "set":
			if err := a.functionSetting(option.GetArg().GetVariableSetStmt(), &clauses); err != nil {
				return clauses, err
			}
		case "leakproof", "support", "window", "transform":
			clauses.leakproof = clauses.leakproof || option.Defname == "leakproof" && option.GetArg().GetBoolean().GetBoolval()
			clauses.unsure = clauses.unsure || option.Defname == "support" || option.Defname == "window"
			a.ask(access.Admin, a.database())
		default:
			return clauses, deny(access.Construct, "an option of a function")
		}
	}
	return clauses, nil
}

// functionSetting judges a setting that a function runs under, as SET itself.
func (a *analyzer) functionSetting(v *pg_query.VariableSetStmt, clauses *functionClauses) error {
	name := lowerASCII(v.GetName())
	if v == nil || ownSetting(name) {
		return deny(access.SettingDenied, "setting "+name)
	}
	switch v.Kind {
	case pg_query.VariableSetKind_VAR_SET_VALUE:
	case pg_query.VariableSetKind_VAR_SET_CURRENT:
		if name == "search_path" {
			clauses.path, clauses.fixed = a.path, true
		}
		clauses.unsure = true
		return nil
	case pg_query.VariableSetKind_VAR_SET_DEFAULT, pg_query.VariableSetKind_VAR_RESET, pg_query.VariableSetKind_VAR_RESET_ALL:
		clauses.unsure = true
		return nil
	default:
		return deny(access.SettingDenied, "setting "+name)
	}
	value, ok := flattenSetting(name, v.Args)
	if !ok {
		return deny(access.SettingDenied, "a value of setting "+name)
	}
	if name == "search_path" {
		path, err := newSearchPath(value, a.in.Context.Role, a.snap)
		if err != nil {
			return err
		}
		clauses.path, clauses.fixed = path, true
	}
	clauses.settings = append(slices.DeleteFunc(clauses.settings, func(s string) bool { return strings.HasPrefix(s, name+"=") }), name+"="+value)
	return a.setting(name, value)
}

// bodyText collects what the body of an SQL function needs that is written as a string.
func (a *analyzer) bodyText(body string, in inside, outer *scope) (*recorder, error) {
	return a.catalogued(body, in, func(inner *analyzer, tree *pg_query.ParseResult) error {
		for _, raw := range tree.Stmts {
			if err := inner.bodyStatement(outer, raw.Stmt); err != nil {
				return err
			}
		}
		return nil
	})
}

// atomicBody does so for a body that is parsed with the statement: RETURN, or BEGIN
// ATOMIC, which is a list of lists.
func (a *analyzer) atomicBody(body *pg_query.Node, in inside, outer *scope) (*recorder, error) {
	inner := *a
	inner.in = Input{Parse: true, ParameterTypes: in.types, Context: a.in.Context}
	inner.path, inner.current, inner.deduced = in.path, &recorder{}, nil
	var err error
	if body.GetReturnStmt() != nil {
		err = inner.bodyStatement(outer, body)
	}
	for _, list := range body.GetList().GetItems() {
		for _, node := range list.GetList().GetItems() {
			if err == nil {
				err = inner.bodyStatement(outer, node)
			}
		}
	}
	a.work = inner.work
	return inner.current, err
}

// bodyStatement judges a statement of an SQL function: one that reads or writes rows.
func (a *analyzer) bodyStatement(outer *scope, node *pg_query.Node) error {
	if r := node.GetReturnStmt(); r != nil {
		return a.optional(&scope{parent: outer}, r.Returnval)
	}
	if err := preparable(node); err != nil {
		return deny(access.OpaqueCode, "a "+nodeWords(node)+" in a function")
	}
	_, _, err := a.subquery(outer, node, nil)
	return err
}

// alterFunction judges ALTER FUNCTION. What was judged under its maker's rights may not
// become the owner's, nor run under other settings.
func (a *analyzer) alterFunction(f *pg_query.AlterFunctionStmt) error {
	s, err := a.changes(f.Objtype, &pg_query.Node{Node: &pg_query.Node_ObjectWithArgs{ObjectWithArgs: f.Func}}, nil, false)
	if err != nil {
		return err
	}
	clauses, err := a.functionOptions(f.Actions)
	if err != nil {
		return err
	}
	if clauses.definer || len(settingClauses(f.Actions)) > 0 {
		for _, schema := range s.schemas {
			a.trusted(schema, "function "+s.name+" with other rights or settings")
		}
	}
	a.alteredFunction(f, clauses)
	return nil
}
