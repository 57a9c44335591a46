package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Some types look names up when they read a text: regtype a type, regproc a
// function, aclitem a role. A statement cannot name such a type, but a literal takes
// the type of what it stands beside: in coalesce(pg_typeof(1), 'hr.salaries') the
// server looks up a row type, and says whether there is one. So an expression of
// such a type may stand only where no literal is beside it: as a whole column of the
// outermost query, or under a cast to text.

// looksUp reports whether reading a text as a value of the type may look a name up.
// Relations of users with columns of such types are not read at all.
func (a *analyzer) looksUp(typ catalog.OID) bool {
	if typ == 0 || typ == typeUnknown || typ >= catalog.FirstNormalOID {
		return false
	}
	_, ok := a.types.byOID[typ]
	return !ok
}

// namesType recognises pg_typeof, the one harmless function with such a result.
func namesType(f *pg_query.FuncCall) bool {
	names, _ := stringNodes(f.Funcname)
	return last(names) == "pg_typeof"
}

// toText reports whether a cast is one to text or varchar.
func toText(t *pg_query.TypeName) bool {
	names, ok := stringNodes(t.GetNames())
	if !ok || len(t.GetArrayBounds()) > 0 || len(names) == 2 && names[0] != schemaCatalog {
		return false
	}
	return last(names) == "text" || last(names) == "varchar"
}

// outermost reports whether a level's target list is what the client gets.
func (s *scope) outermost() bool { return s.parent == nil }

func denyLookUp() error {
	return deny(access.Construct, "a value whose type looks names up")
}
