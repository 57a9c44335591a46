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
	if !trustedLanguage(language) {
		a.ask(access.Admin, a.database())
	}
	handler := access.Object{Kind: access.Function, Schema: schemaCatalog, Name: language + "_inline_handler", Arguments: []string{"internal"}}
	addTrust(a.ask(access.Execute, handler), access.Trust{Code: "DO in " + language})
	return nil
}
