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
		if err := a.attaches(f); err != nil {
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
