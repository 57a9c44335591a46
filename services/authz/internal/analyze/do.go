package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// doStmt judges DO: code that nobody looks into, with the login's rights. What runs it
// is the inline handler of its language, and whoever may execute that by a grant that is
// trusted may run it.
func (a *analyzer) doStmt(d *pg_query.DoStmt) error {
	language := "plpgsql"
	for _, node := range d.Args {
		option := node.GetDefElem()
		switch option.GetDefname() {
		case "language":
			language = option.GetArg().GetString_().GetSval()
		case "as":
		default:
			return deny(access.Construct, "an option of DO")
		}
	}
	found, err := a.language(language)
	if err != nil {
		return err
	}
	if found.Inline == 0 {
		return hide(stateUnsupported, "language \""+language+"\" does not support inline code execution", 0)
	}
	handler := a.snap.FunctionByOID(found.Inline)
	if handler == nil {
		return deny(access.OpaqueCode, "the handler of a language")
	}
	addTrust(a.ask(access.Execute, a.functionObject(handler)), access.Trust{Code: "DO in " + language})
	return nil
}
