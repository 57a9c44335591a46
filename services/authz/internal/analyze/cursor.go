package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// cursorHold is CURSOR_OPT_HOLD (parsenodes.h).
const cursorHold = 0x0020

// declareStmt judges DECLARE by its query.
func declareStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	d := node.GetDeclareCursorStmt()
	err := a.declare(d)
	types := a.deduction().types
	effect := access.Effect{Kind: access.EffectDeclare, Name: d.Portalname, Value: a.remembered(types), Hold: d.Options&cursorHold != 0,
		Query: a.queryBehind("FOR", types)}
	return access.Statement{Kind: "declare", Effects: []access.Effect{effect}}, err
}

func (a *analyzer) declare(d *pg_query.DeclareCursorStmt) error {
	if d.Query.GetSelectStmt() == nil {
		return deny(access.StatementKind, "declare "+nodeWords(d.Query))
	}
	_, _, err := a.subquery(nil, d.Query, nil)
	return err
}

// fetchStmt judges FETCH and MOVE by the query behind the cursor, bound under the path
// it was declared under: the cursor's plan was made then, and rights may have gone since.
func fetchStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	f := node.GetFetchStmt()
	command := "fetch"
	if f.Ismove {
		command = "move"
	}
	return access.Statement{Kind: command, Cursor: f.Portalname}, a.cursor(f.Portalname)
}

func (a *analyzer) cursor(name string) error {
	text, ok := a.in.Context.Cursors[name]
	if !ok {
		return a.portal(name)
	}
	b, err := a.behind(text)
	if err != nil {
		return err
	}
	d := b.node.GetDeclareCursorStmt()
	if d == nil || d.Portalname != name {
		return deny(access.Context, "a cursor whose text is another's")
	}
	if !b.pathKnown {
		return deny(access.Context, "a cursor of an unknown path")
	}
	return a.inText(text, b.path, b.types, func(inner *analyzer) error { return inner.declare(d) })
}

// portal judges what reads a portal of the protocol by the text that was bound, under the
// path of that moment. FETCH runs what may have RETURNING as well (PortalRunFetch,
// pquery.c).
func (a *analyzer) portal(name string) error {
	p, ok := a.standsFor(access.Name{Cursor: true, Name: name})
	if !ok {
		return hide("34000", fmt.Sprintf("cursor \"%s\" does not exist", name), 0)
	}
	if !p.PathKnown {
		return deny(access.Context, "a cursor of an unknown path")
	}
	path, err := newSearchPath(p.SearchPath, a.in.Context.Role, a.snap)
	if err != nil {
		return err
	}
	query, err := a.lone(p.Text)
	if err != nil {
		return err
	}
	return a.inText(p.Text, path, p.ParameterTypes, func(inner *analyzer) error {
		if preparable(query) != nil {
			return deny(access.StatementKind, "fetch from "+nodeWords(query))
		}
		_, _, err := inner.subquery(nil, query, nil)
		return err
	})
}

func closeStmt(_ *analyzer, node *pg_query.Node) (access.Statement, error) {
	effect := access.Effect{Kind: access.EffectClose, Name: node.GetClosePortalStmt().Portalname}
	return access.Statement{Kind: "close", Effects: []access.Effect{effect}}, nil
}
