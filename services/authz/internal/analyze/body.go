package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// bodyKey is a function's body and what its meaning depends on.
type bodyKey struct {
	oid catalog.OID
	// types are the actual types of its parameters, session the path in force.
	types, session string
}

// body is what running a function's body reads and runs.
type body struct {
	accesses *recorder
	// err says why it cannot be judged.
	err error
	// busy says that it is being bound.
	busy bool
}

// executeFunction asks for execute on a function, procedure or aggregate of a user,
// which PostgreSQL checks against the session's role wherever the call stands
// (ExecInitFunc), and judges what the code may do with that role's rights: nothing
// under SECURITY DEFINER, what the body says for LANGUAGE sql, else anything, which
// the grant must trust. types are the actual types of the parameters, needed for
// polymorphic ones only.
//
// Functions that builtin.Lookup knows are for the caller to judge by their class.
func (a *analyzer) executeFunction(f *catalog.Function, named access.Object, types ...catalog.OID) error {
	if a.planning {
		if runs, err := a.inlined(f); !runs {
			return err
		}
	}
	resolved := a.functionObject(f)
	named.Kind = resolved.Kind
	a.current.object(access.Execute, named, resolved)
	return a.runFunction(f, resolved, types)
}

// inlined reports whether planning can put a function's body in the place of a call
// (inline_function): that of an SQL function that is one SELECT of an expression.
func (a *analyzer) inlined(f *catalog.Function) (bool, error) {
	if f.Language != "sql" || f.SecurityDefiner || f.Kind != 'f' || f.ReturnSet || len(f.Settings) > 0 {
		return false, nil
	}
	if f.StandardBody != "" {
		return true, nil
	}
	expression := false
	_, err := a.catalogued(f.Body, inside{path: a.session, part: true}, func(_ *analyzer, tree *pg_query.ParseResult) error {
		if len(tree.Stmts) == 1 {
			query := tree.Stmts[0].Stmt.GetSelectStmt()
			expression = query != nil && len(query.FromClause) == 0 && query.WithClause == nil && len(query.ValuesLists) == 0 &&
				query.Op == pg_query.SetOperation_SETOP_NONE
		}
		return nil
	})
	if limited(err) {
		return false, err
	}
	return expression, nil
}

// functionObject is the object that grants on a function name.
func (a *analyzer) functionObject(f *catalog.Function) access.Object {
	object := access.Object{Kind: access.Function, Schema: f.Schema, Name: f.Name, Arguments: []string{}}
	if f.Kind == 'p' {
		object.Kind = access.Procedure
	}
	plain := a.plainNames()
	for _, oid := range f.Arguments {
		object.Arguments = append(object.Arguments, plain.Name(oid))
	}
	return object
}

// runFunction judges a function's code. What cannot be looked into must be trusted
// by the grant of execute on the object that runs it.
func (a *analyzer) runFunction(f *catalog.Function, on access.Object, types []catalog.OID) error {
	if f.Kind == 'a' {
		return a.runAggregate(f, on)
	}
	if a.runsOpaque(f.SupportFunction) {
		// The planner runs it (get_func_cost, simplify_function).
		a.trusts(access.Execute, on, access.Trust{Code: "the planner's support of function " + f.Schema + "." + f.Name, Extension: a.commonExtension([]catalog.OID{f.SupportFunction})})
	}
	if linked := builtin.Linked(f); linked.Class == builtin.Harmless && linked.Runs&^builtin.RunsCompare == 0 {
		// LANGUAGE internal, as constructors of ranges are: code of the server. What
		// values of a type compare with is judged where they come from.
		return nil
	}
	if f.StandardBody == catalog.Unreadable {
		// A deny on what it reads could not be seen.
		return unavailable(access.Access{Action: access.Execute, Named: on, Resolved: on})
	}
	inner, err := a.functionBody(f, types)
	switch {
	case limited(err):
		return err
	case f.SecurityDefiner && err == nil:
		a.current.absorb(inner, &on, true)
	case f.SecurityDefiner && f.Language == "sql" && a.layered != nil:
		// What the message has changed keeps the body from being followed, or may, and with it a
		// deny on what it reads.
		return err
	case f.SecurityDefiner:
		// It has its owner's rights, and the session's settings.
		a.current.opaque = true
	case err == nil:
		a.current.absorb(inner, &on, false)
		if f.StandardBody == "" && len(f.Settings) == 0 {
			a.current.loosen(looseBody{key: strings.Join(on.Arguments, "\x00"), on: on, code: a.codeOf(f)})
		}
	default:
		addTrust(a.current.object(access.Execute, on, on), a.codeOf(f))
		a.current.opaque = true
	}
	return nil
}

// runAggregate judges the functions an aggregate is made of. Its owner must be
// allowed to execute them (build_aggregate_transfn_expr's callers in nodeAgg.c), but
// they run with the rights of the session's role.
func (a *analyzer) runAggregate(f *catalog.Function, on access.Object) error {
	for _, oid := range f.Aggregate.Functions {
		if err := a.runSupport(oid, on); err != nil {
			return err
		}
	}
	return nil
}

// runSupport judges a function that runs without anybody being asked for execute. Of
// the server's own, not all are harmless there: with ts_rewrite as its transition
// function an aggregate runs the query that its argument is, and with pg_read_file as
// its final function it reads files.
func (a *analyzer) runSupport(oid catalog.OID, on access.Object) error {
	part := a.snap.FunctionByOID(oid)
	if part == nil {
		return deny(access.OpaqueCode, "a function that is not known")
	}
	switch builtin.Lookup(a.snap, part).Class {
	case builtin.Harmless, builtin.Internal:
		return nil
	}
	return a.runFunction(part, on, nil)
}

// codeOf names a function for audit and for trust in its extension.
func (a *analyzer) codeOf(f *catalog.Function) access.Trust {
	return access.Trust{Code: "function " + f.Schema + "." + f.Name, Extension: f.Extension}
}

// functionBody collects what an SQL function's body reads and runs, once for each
// way of calling it.
func (a *analyzer) functionBody(f *catalog.Function, types []catalog.OID) (*recorder, error) {
	if f.Language != "sql" || f.Kind == 'a' {
		return nil, deny(access.OpaqueCode, "language "+f.Language)
	}
	in, err := a.bodyContext(f, types)
	if err != nil {
		return nil, err
	}
	key := bodyKey{oid: f.OID, session: strings.Join(in.path, "\x00")}
	for _, oid := range in.types {
		key.types += itoa(int(oid)) + " "
	}
	if known := a.bodies[key]; known != nil {
		if known.busy {
			// A recursive call adds nothing to what the outer one collects.
			a.unfinished = true
			return &recorder{}, nil
		}
		return known.accesses, known.err
	}
	b := &body{busy: true}
	a.bodies[key] = b
	outer := a.unfinished
	a.unfinished = false
	b.accesses, b.err = a.bindBody(f, in)
	b.busy = false
	if a.unfinished && a.busyBodies() {
		// What a call further out collects is missing here.
		delete(a.bodies, key)
		outer = true
	}
	a.unfinished = outer
	return b.accesses, b.err
}

func (a *analyzer) busyBodies() bool {
	for _, b := range a.bodies {
		if b.busy {
			return true
		}
	}
	return false
}

// bodyContext is what the names in an SQL function's body mean: parameters, and the
// path the function sets for itself or is called under.
func (a *analyzer) bodyContext(f *catalog.Function, types []catalog.OID) (inside, error) {
	in := inside{path: a.session}
	if len(types) != len(f.Arguments) {
		types = f.Arguments
	}
	for i, oid := range f.Arguments {
		if a.polymorphic(oid) {
			oid = types[i]
		}
		if a.polymorphic(oid) {
			return in, deny(access.OpaqueCode, "a parameter of any type")
		}
		in.types = append(in.types, oid)
	}
	for _, setting := range f.Settings {
		name, value, _ := strings.Cut(setting, "=")
		if lowerASCII(name) != "search_path" {
			return in, deny(access.OpaqueCode, "setting "+name)
		}
		path, err := newSearchPath(value, a.in.Context.Role, a.snap)
		if err != nil {
			return in, err
		}
		in.path = path
	}
	in.session = in.path
	if f.StandardBody != "" {
		in.path, in.stored = a.storedPath(), true
		in.origin = functionOrigin(f)
		in.origin.others = func(h *held) error { return a.defaultsBut(f, -1, h) }
	}
	return in, nil
}

// polymorphic reports whether a type stands for that of an argument.
func (a *analyzer) polymorphic(oid catalog.OID) bool {
	t := a.snap.TypeByOID(oid)
	return t == nil || t.Kind == 'p'
}

// parameterScope is the level outside every statement of a body at which the names
// of parameters stand, p or f.p (sql_fn_post_column_ref).
func parameterScope(f *catalog.Function, types []catalog.OID) *scope {
	it := &item{name: f.Name, nameVisible: true, columnsVisible: true, lateralOK: true, entry: &rangeEntry{name: f.Name}}
	for i, name := range inputNames(f) {
		if name != "" && i < len(types) {
			it.columns = append(it.columns, column{name: name, typ: types[i]})
		}
	}
	return &scope{namespace: []*item{it}}
}

// inputNames are the names of a function's input parameters, in order.
func inputNames(f *catalog.Function) []string {
	if len(f.ArgumentModes) == 0 {
		return f.ArgumentNames
	}
	var names []string
	for i, mode := range f.ArgumentModes {
		if mode != 'i' && mode != 'b' && mode != 'v' {
			continue
		}
		name := ""
		if i < len(f.ArgumentNames) {
			name = f.ArgumentNames[i]
		}
		names = append(names, name)
	}
	return names
}

// bindBody binds every statement of an SQL function's body (fmgr_sql). Kinds other
// than queries are left to trust.
func (a *analyzer) bindBody(f *catalog.Function, in inside) (*recorder, error) {
	text := f.Body
	if in.stored {
		text = standardBody(f.StandardBody)
	}
	if text == "" && (in.stored || f.OID < catalog.FirstNormalOID) {
		return nil, deny(access.OpaqueCode, "a body that is not known")
	}
	return a.catalogued(text, in, func(inner *analyzer, tree *pg_query.ParseResult) error {
		for i, raw := range tree.Stmts {
			switch raw.Stmt.GetNode().(type) {
			case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt,
				*pg_query.Node_MergeStmt:
			default:
				return deny(access.OpaqueCode, "a "+nodeWords(raw.Stmt)+" in a function")
			}
			_, columns, err := inner.openQuery(parameterScope(f, in.types), raw.Stmt, nil)
			if err != nil {
				return err
			}
			if i == len(tree.Stmts)-1 {
				// What makes its columns the result is not stored.
				err = inner.unheld(func() error { return inner.bodyResult(f, columns) })
			} else {
				err = inner.settle(columns)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// standardBody is the text of a body that pg_get_function_sqlbody prints: BEGIN
// ATOMIC … END, or RETURN and an expression.
func standardBody(printed string) string {
	if expression, ok := strings.CutPrefix(printed, "RETURN "); ok {
		return "SELECT " + expression
	}
	inner, ok := strings.CutPrefix(printed, "BEGIN ATOMIC")
	if inner, end := strings.CutSuffix(strings.TrimRight(inner, " \n;"), "END"); ok && end {
		return inner
	}
	return ""
}

// bodyResult judges how the last query's columns become the function's result, as in
// an assignment (check_sql_fn_retval): casts run, domains check.
func (a *analyzer) bodyResult(f *catalog.Function, columns []output) error {
	if f.Result == resolve.Void || f.Kind == 'p' && len(columns) == 0 {
		return a.settle(columns)
	}
	wanted := outputTypes(f)
	if fields, _, ok := a.rowType(f.Result); ok && (len(columns) != 1 || a.names().Base(columns[0].typ) != a.names().Base(f.Result)) {
		for _, field := range fields {
			wanted = append(wanted, field.typ)
		}
	} else if len(wanted) == 0 {
		wanted = []catalog.OID{f.Result}
	}
	for i, c := range columns {
		if i >= len(wanted) || a.polymorphic(wanted[i]) {
			// A record, or a type of the arguments: the column is taken as it is.
			if err := a.settle(columns[i : i+1]); err != nil {
				return err
			}
			continue
		}
		if err := a.assign(c.value(), output{name: c.name, typ: wanted[i]}); err != nil {
			return err
		}
	}
	return a.checkDomains(f.Result)
}

// outputTypes are the types of a function's OUT and TABLE parameters.
func outputTypes(f *catalog.Function) []catalog.OID {
	var types []catalog.OID
	for i, mode := range f.ArgumentModes {
		if (mode == 'o' || mode == 'b' || mode == 't') && i < len(f.AllArguments) {
			types = append(types, f.AllArguments[i])
		}
	}
	return types
}
