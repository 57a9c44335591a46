package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// takes reports whether one of the given arguments of a call is for a parameter; order
// says which argument is for which, where they are named.
func takes(order []int, given, parameter int) bool {
	if order == nil {
		return parameter < given
	}
	return slices.Contains(order[:min(given, len(order))], parameter)
}

// runDefault judges the default of a parameter, which runs in the session's role.
func (a *analyzer) runDefault(f *catalog.Function, at int) error {
	recorded, _, err := a.defaultValue(f, at, nil)
	if err != nil {
		return err
	}
	way := a.functionObject(f)
	a.current.absorb(recorded, &way, false)
	return nil
}

// defaultType is the type of the default of a polymorphic parameter, 0 if it is not
// clear.
func (a *analyzer) defaultType(f *catalog.Function, parameter int) catalog.OID {
	at := parameter - (len(f.Arguments) - len(f.DefaultExpressions))
	if at < 0 || at >= len(f.DefaultExpressions) {
		return 0
	}
	_, typ, err := a.defaultValue(f, at, nil)
	if err != nil {
		return 0
	}
	return typ
}

// defaultValue binds the default of a parameter. What a function refers to is recorded
// for its defaults and its body together: with a body, that is held against it; shared
// is the record of the body or default that it is held against.
func (a *analyzer) defaultValue(f *catalog.Function, at int, shared *held) (*recorder, catalog.OID, error) {
	var typ catalog.OID
	from := functionOrigin(f)
	from.shared = shared
	switch {
	case shared != nil:
	case f.StandardBody != "":
		from.shared = from.held()
	default:
		from.others = func(h *held) error { return a.defaultsBut(f, at, h) }
	}
	recorded, err := a.catalogued("SELECT ("+f.DefaultExpressions[at]+")", inside{path: a.storedPath(), stored: true, origin: from},
		func(inner *analyzer, tree *pg_query.ParseResult) error {
			if len(tree.Stmts) != 1 {
				return deny(access.OpaqueCode, "the default of a parameter")
			}
			// What nothing has typed stays open, as it is stored (unknown).
			_, columns, err := inner.openQuery(nil, tree.Stmts[0].Stmt, nil)
			if err == nil && len(columns) == 1 {
				typ = columns[0].typ
			}
			return err
		})
	return recorded, typ, err
}

// defaultsBut binds the defaults of a function's parameters but for one, for what they
// refer to.
func (a *analyzer) defaultsBut(f *catalog.Function, but int, shared *held) error {
	for i := range f.DefaultExpressions {
		if i == but {
			continue
		}
		if _, _, err := a.defaultValue(f, i, shared); err != nil {
			return err
		}
	}
	return nil
}

// functionOrigin is where a function's body and defaults come from.
func functionOrigin(f *catalog.Function) origin {
	return origin{refs: f.References, besides: []catalog.OID{f.SupportFunction}}
}
