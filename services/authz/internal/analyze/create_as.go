package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// createTableAsStmt judges CREATE TABLE AS and CREATE MATERIALIZED VIEW: what is stored
// was read with the rights of who stores it.
func createTableAsStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	c := node.GetCreateTableAsStmt()
	found := access.Statement{Kind: "create table as"}
	switch c.Objtype {
	case pg_query.ObjectType_OBJECT_TABLE:
	case pg_query.ObjectType_OBJECT_MATVIEW:
		found.Kind = "create materialized view"
		a.defines, a.stores = true, checksStoredTypes(a.version)
	default:
		return found, deny(access.Construct, "CREATE TABLE AS")
	}
	object, err := a.into(c.Into)
	if err != nil {
		return found, err
	}
	found.Effects = []access.Effect{made(object)}
	if e := c.Query.GetExecuteStmt(); e != nil {
		columns, err := a.execute(nil, e)
		a.usesTypes(columns)
		if err == nil {
			err = a.settle(columns)
			a.madeInto(catalog.KindTable, c.Into, object, catalog.Expression{}, columns, c.IfNotExists)
		}
		return found, err
	}
	if c.Query.GetSelectStmt() == nil {
		return found, deny(access.StatementKind, "create table as "+nodeWords(c.Query))
	}
	if c.Objtype == pg_query.ObjectType_OBJECT_MATVIEW {
		a.runsStored = true
		text, columns, err := a.storedQuery(c.Query)
		a.usesTypes(columns)
		if err == nil {
			a.madeInto(catalog.KindMaterializedView, c.Into, object, text, columns, c.IfNotExists)
		}
		return found, err
	}
	_, columns, err := a.subquery(nil, c.Query, nil)
	a.usesTypes(columns)
	if err == nil {
		a.madeInto(catalog.KindTable, c.Into, object, catalog.Expression{}, columns, c.IfNotExists)
	}
	return found, err
}

// storedQuery binds a query that a definition stores, and says how the catalog would hold
// it.
func (a *analyzer) storedQuery(node *pg_query.Node) (catalog.Expression, []output, error) {
	var columns []output
	h, err := a.storing(func() (err error) {
		_, columns, err = a.subquery(nil, node, nil)
		return err
	})
	if err != nil {
		return catalog.Expression{}, columns, err
	}
	return a.writtenStatement(h, node), columns, nil
}

// into judges where a query's rows are stored.
func (a *analyzer) into(into *pg_query.IntoClause) (access.Object, error) {
	object, err := a.newRelation(into.GetRel())
	a.tablespace(into.GetTableSpaceName())
	return object, err
}

// selectInto judges SELECT INTO, which is CREATE TABLE AS (transformStmt).
func selectInto(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	q := node.GetSelectStmt()
	found := access.Statement{Kind: "select into"}
	first := q
	for first.Larg != nil {
		first = first.Larg
	}
	object, err := a.into(first.IntoClause)
	if err != nil {
		return found, err
	}
	found.Effects = []access.Effect{made(object)}
	// The tree is the analyzer's own.
	into := first.IntoClause
	first.IntoClause = nil
	_, columns, err := a.subquery(nil, node, nil)
	a.usesTypes(columns)
	if err == nil {
		a.madeInto(catalog.KindTable, into, object, catalog.Expression{}, columns, false)
	}
	return found, err
}

// hasInto reports whether a query stores its rows: INTO stands in its first arm.
func hasInto(q *pg_query.SelectStmt) bool {
	for ; q != nil; q = q.Larg {
		if q.IntoClause != nil {
			return true
		}
	}
	return false
}

// viewStmt judges CREATE VIEW: a view reads with the rights of its owner, the login,
// so that its query needs the accesses of who makes it.
func viewStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	v := node.GetViewStmt()
	found := access.Statement{Kind: "create view"}
	object, err := a.newRelation(v.View)
	if err != nil {
		return found, err
	}
	found.Effects = []access.Effect{made(object)}
	if q := v.Query.GetSelectStmt(); q == nil || hasInto(q) {
		return found, deny(access.Construct, "a view's query")
	}
	text, columns, err := a.storedQuery(v.Query)
	a.usesTypes(columns)
	if err == nil && object.Schema != schemaTemp && a.current.temporary() {
		// It becomes temporary itself (DefineView), wherever its name would have put it.
		a.ask(access.Temporary, a.database())
		found.Effects = []access.Effect{{Kind: access.EffectTemp, Name: object.Name}, {Kind: access.EffectDDL}}
		object.Schema = schemaTemp
	}
	if err == nil {
		a.madeView(v, object, text, columns)
	}
	return found, err
}
