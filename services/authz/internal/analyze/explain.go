package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// explainStmt asks for what the statement asks for: PostgreSQL checks the same rights
// whether or not it runs it. VERBOSE asks for select on all columns as well: a scan's
// output lists those that the statement does not name (use_physical_tlist), and an INSERT
// lists all of its target's.
func explainStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	e := node.GetExplainStmt()
	found := access.Statement{Kind: "explain"}
	o, err := a.explainOptions(e.Options)
	if err != nil {
		return found, err
	}
	effects, err := a.explained(e.Query, o)
	if err != nil {
		return found, err
	}
	if o.unknown != nil {
		// Said when it runs, after its names have been looked up (ExplainQuery).
		return found, hide(stateSyntax, "unrecognized EXPLAIN option \""+o.unknown.Defname+"\"", errorPosition(a.text, o.unknown.Location))
	}
	if o.analyze {
		found.Effects = effects
	}
	if o.verbose {
		a.current.showColumns()
	}
	return found, nil
}

// genericPlanSince is the first server_version_num that explains a query whose parameters
// have no values.
const genericPlanSince = 160000

// explaining is what EXPLAIN was told that matters here.
type explaining struct {
	analyze, verbose, generic bool
	// unknown is the first option that the server does not have yet.
	unknown *pg_query.DefElem
}

// explainOptions reads the options.
func (a *analyzer) explainOptions(options []*pg_query.Node) (explaining, error) {
	var o explaining
	for _, node := range options {
		option, since := node.GetDefElem(), 0
		// A switch counts as thrown whatever it is set to.
		switch option.GetDefname() {
		case "verbose":
			o.verbose = true
		case "analyze":
			o.analyze = true
		case "generic_plan":
			o.generic = a.version >= genericPlanSince
			since = genericPlanSince
		case "memory", "serialize":
			since = 170000
		case "costs", "buffers", "timing", "summary", "format", "wal":
		default:
			return o, deny(access.Construct, "an option of EXPLAIN")
		}
		if a.version < since && o.unknown == nil {
			o.unknown = option
		}
	}
	return o, nil
}

// explained judges what stands behind EXPLAIN (ExplainableStmt of gram.y), and returns
// what running it would do to the session.
func (a *analyzer) explained(query *pg_query.Node, o explaining) ([]access.Effect, error) {
	switch n := query.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt, *pg_query.Node_MergeStmt:
		if !o.generic {
			_, _, err := a.subquery(nil, query, nil)
			return nil, err
		}
		// Parameters without values may stand in it, also in a Query message.
		_, err := a.parameterised(a.settledTypes(), func(inner *analyzer) error {
			_, _, err := inner.subquery(nil, query, nil)
			return err
		})
		return nil, err
	case *pg_query.Node_DeclareCursorStmt:
		// Its cursor is not opened.
		return nil, a.declare(n.DeclareCursorStmt)
	case *pg_query.Node_ExecuteStmt:
		_, err := a.execute(nil, n.ExecuteStmt)
		return nil, err
	case *pg_query.Node_CreateTableAsStmt:
		made, err := createTableAsStmt(a, query)
		return made.Effects, err
	default:
		return nil, deny(access.StatementKind, "explain "+nodeWords(query))
	}
}
