package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// attached asks for execute on the function that a definition attaches by its exact
// argument types (LookupFuncName of parse_func.c).
func (a *analyzer) attached(arg *pg_query.Node, types ...catalog.OID) (*catalog.Function, error) {
	exact, _, err := a.attachable(arg, types)
	if err != nil {
		return nil, err
	}
	if exact == nil {
		return nil, unattached(arg)
	}
	return exact, a.attaches(exact)
}

// attachedAs asks for execute on the function that a definition attaches, by the first
// of these lists of argument types that there is one for.
func (a *analyzer) attachedAs(arg *pg_query.Node, signatures ...[]catalog.OID) (*catalog.Function, error) {
	for _, types := range signatures {
		f, _, err := a.attachable(arg, types)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return f, a.attaches(f)
		}
	}
	return nil, unattached(arg)
}

// attachedNamed asks for execute on a function that is named with its arguments
// (LookupFuncWithArgs); without them on each that the name can mean.
func (a *analyzer) attachedNamed(o *pg_query.ObjectWithArgs) error {
	if o == nil {
		return deny(access.Construct, "a function")
	}
	if o.ArgsUnspecified {
		return a.attachedAny(o.Objname)
	}
	var types []catalog.OID
	for _, node := range o.Objargs {
		oid, _, err := a.argumentType(node.GetTypeName())
		if err != nil {
			return err
		}
		types = append(types, oid)
	}
	name := &pg_query.Node{Node: &pg_query.Node_List{List: &pg_query.List{Items: o.Objname}}}
	_, err := a.attached(name, types...)
	return err
}

// attachedAny asks for execute on every function that a name can mean.
func (a *analyzer) attachedAny(nodes []*pg_query.Node) error {
	return a.eachNamed(nodes, a.attaches)
}

// eachNamed calls f for every function that a name without argument types can mean; the
// name of none is denied.
func (a *analyzer) eachNamed(nodes []*pg_query.Node, f func(*catalog.Function) error) error {
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	found := false
	for _, fn := range a.snap.FunctionsNamed(name) {
		if err := a.spend(1); err != nil {
			return err
		}
		if schema != "" && fn.Schema != schema || schema == "" && !a.path.includes(fn.Schema) {
			continue
		}
		found = true
		if err := f(fn); err != nil {
			return err
		}
	}
	if !found {
		return deny(access.UnknownObject, "function "+name)
	}
	return nil
}

// attachedCoercible asks for execute on what an aggregate is made of: the function with
// these argument types, or else any that takes them without a coercion at run time
// (lookup_agg_function of pg_aggregate.c). Which of several it is, PostgreSQL decides by
// preferences; all of them are asked for. It returns their result types.
func (a *analyzer) attachedCoercible(arg *pg_query.Node, types ...catalog.OID) ([]catalog.OID, error) {
	exact, others, err := a.attachable(arg, types)
	if err != nil {
		return nil, err
	}
	if exact != nil {
		others = []*catalog.Function{exact}
	}
	if len(others) == 0 {
		return nil, unattached(arg)
	}
	var results []catalog.OID
	for _, f := range others {
		if err := a.attachesCode(f); err != nil {
			return nil, err
		}
		results = append(results, f.Result)
	}
	return results, nil
}

// attachable finds the functions that a definition can mean: the one with exactly these
// argument types that comes first on the path, and all that take them as they are.
func (a *analyzer) attachable(arg *pg_query.Node, types []catalog.OID) (exact *catalog.Function, others []*catalog.Function, err error) {
	schema, name, err := qualified(definedNames(arg))
	if err != nil {
		return nil, nil, err
	}
	if schema == schemaTemp {
		return nil, nil, deny(access.FunctionDenied, "a temporary function")
	}
	candidates := a.snap.FunctionsNamed(name)
	if err := a.spend(len(candidates) + len(a.path)); err != nil {
		return nil, nil, err
	}
	best := len(a.path)
	for _, f := range candidates {
		at := 0
		if schema == "" {
			// Functions are never found in the temporary schema by their name alone.
			at = slices.Index([]string(a.path), f.Schema)
		} else if f.Schema != schema {
			at = -1
		}
		if at < 0 || ownTemporary(f.Schema) || len(f.Arguments) != len(types) {
			continue
		}
		if slices.Equal(f.Arguments, types) {
			if exact == nil || at < best {
				exact, best = f, at
			}
		} else if a.takes(f, types) {
			others = append(others, f)
		}
	}
	return exact, others, nil
}

// takes reports whether a function takes arguments of these types as they are.
func (a *analyzer) takes(f *catalog.Function, types []catalog.OID) bool {
	for i, declared := range f.Arguments {
		if !a.takesAny(declared) && !a.names().BinaryCoercible(types[i], declared) {
			return false
		}
	}
	return true
}

// takesAny reports whether a declared type stands for that of the argument. These
// are the pseudo-types whose names start so (pg_type.dat).
func (a *analyzer) takesAny(oid catalog.OID) bool {
	t := a.snap.TypeByOID(oid)
	return t != nil && t.OID < catalog.FirstNormalOID && t.Kind == 'p' && len(t.Name) >= 3 && t.Name[:3] == "any"
}

// attaches asks for execute on a function that becomes part of a definition. What the
// server brought along must be harmless, or be of no use but as part of one.
func (a *analyzer) attaches(f *catalog.Function) error {
	ours := f.OID < catalog.FirstNormalOID
	switch builtin.Lookup(a.snap, f).Class {
	case builtin.Harmless, builtin.Internal:
		if ours {
			return nil
		}
	case builtin.Unreviewed:
		if ours {
			return deny(access.FunctionDenied, "function "+f.Name)
		}
	default:
		return deny(access.FunctionDenied, "function "+f.Name)
	}
	a.ask(access.Execute, a.functionObject(f))
	return nil
}

// attachesCode is attaches for what gives a function another name, or runs it for whoever
// writes: there trust in that name would carry it, so that code which nobody can look
// into is attached only by who is trusted with it.
func (a *analyzer) attachesCode(f *catalog.Function) error {
	if err := a.attaches(f); err != nil {
		return err
	}
	if f.OID < catalog.FirstNormalOID || f.SecurityDefiner || !a.runsOpaque(f.OID) {
		return nil
	}
	if _, err := a.functionBody(f, nil); limited(err) {
		return err
	} else if err != nil {
		addTrust(a.ask(access.Execute, a.functionObject(f)), a.codeOf(f))
	}
	return nil
}

// definedNames is defGetQualifiedName: the grammar takes a function's name for that of
// a type, and a word that is reserved or quoted for a string.
func definedNames(arg *pg_query.Node) []*pg_query.Node {
	switch {
	case arg.GetTypeName() != nil:
		return arg.GetTypeName().Names
	case arg.GetList() != nil:
		return arg.GetList().Items
	}
	return []*pg_query.Node{arg}
}

func unattached(arg *pg_query.Node) error {
	_, name, err := qualified(definedNames(arg))
	if err != nil {
		return err
	}
	return deny(access.UnknownObject, "function "+name)
}
