package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Maintenance needs maintain: a privilege from PostgreSQL 17 on, ownership before. The
// code it runs (index expressions, views' queries) runs as the relation's owner in a
// restricted operation, and is none of the session's.

// maintained opens a relation that is maintained, and asks for maintain on it and on
// its partitions (vacuum_rel, cluster_is_permitted_for_relation). What inherits from it
// otherwise is left alone.
func (a *analyzer) maintained(rv *pg_query.RangeVar) (*catalog.Relation, error) {
	rel, err := a.remade(rv)
	if err != nil || rel.Kind != catalog.KindPartitionedTable {
		return rel, err
	}
	children, err := a.descendants(rel)
	for _, child := range children {
		a.current.whole(access.Maintain, relationObject(child), child)
	}
	return rel, err
}

// remade opens a relation whose indexes are made anew, and asks for maintain on it: its
// partitions come with it (ReindexPartitions).
func (a *analyzer) remade(rv *pg_query.RangeVar) (*catalog.Relation, error) {
	if rv == nil {
		return nil, deny(access.Construct, "a relation")
	}
	rel, err := a.openRelation(rv, access.Select, -1)
	if err != nil {
		return nil, err
	}
	if isSystem(rel) {
		return nil, deny(access.RelationKind, "catalog "+fullName(rel))
	}
	a.current.whole(access.Maintain, namedObject(rv), rel)
	return rel, nil
}

func vacuumStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	v := node.GetVacuumStmt()
	found := access.Statement{Kind: "vacuum"}
	if !v.IsVacuumcmd {
		found.Kind = "analyze"
	}
	for _, option := range v.Options {
		switch option.GetDefElem().GetDefname() {
		case "analyze", "full", "freeze", "verbose", "disable_page_skipping", "skip_locked", "index_cleanup",
			"process_main", "process_toast", "truncate", "parallel", "skip_database_stats", "buffer_usage_limit":
		default:
			return found, deny(access.Construct, "an option of VACUUM")
		}
	}
	if len(v.Rels) == 0 {
		a.ask(access.Admin, a.database())
	}
	for _, rel := range v.Rels {
		if rel.GetVacuumRelation().GetOid() != 0 {
			return found, deny(access.Construct, "a relation by number")
		}
		table, err := a.maintained(rel.GetVacuumRelation().GetRelation())
		if err != nil {
			return found, err
		}
		for _, node := range rel.GetVacuumRelation().GetVaCols() {
			if name := node.GetString_().GetSval(); columnNamed(table, name) == nil {
				return found, noColumn(table.Name, name)
			}
		}
	}
	return found, nil
}

// cluster judges CLUSTER; the index is one of the table's.
func (a *analyzer) cluster(c *pg_query.ClusterStmt) error {
	if c.Relation == nil {
		a.ask(access.Admin, a.database())
		return nil
	}
	_, err := a.maintained(c.Relation)
	return err
}

func (a *analyzer) refresh(r *pg_query.RefreshMatViewStmt) error {
	rel, err := a.maintained(r.Relation)
	if err == nil && rel.Kind != catalog.KindMaterializedView {
		err = deny(access.RelationKind, "a refresh of what is no materialized view")
	}
	return err
}

// reindexKind is a row of the table of REINDEX.
type reindexKind struct {
	kind  pg_query.ReindexObjectType
	words string
	judge func(*analyzer, *pg_query.ReindexStmt) error
	takes string
}

func reindexKinds() []reindexKind {
	admin := func(a *analyzer, _ *pg_query.ReindexStmt) error {
		a.ask(access.Admin, a.database())
		return nil
	}
	return []reindexKind{
		{pg_query.ReindexObjectType_REINDEX_OBJECT_INDEX, "INDEX", func(a *analyzer, r *pg_query.ReindexStmt) error {
			return a.reindexIndex(r.Relation)
		}, "`maintain` on the index's table"},
		{pg_query.ReindexObjectType_REINDEX_OBJECT_TABLE, "TABLE", func(a *analyzer, r *pg_query.ReindexStmt) error {
			_, err := a.remade(r.Relation)
			return err
		}, "`maintain` on the table"},
		{pg_query.ReindexObjectType_REINDEX_OBJECT_SCHEMA, "SCHEMA", func(a *analyzer, r *pg_query.ReindexStmt) error {
			return a.ddlIn(r.Name)
		}, "`ddl` on the schema: PostgreSQL asks for its owner"},
		{pg_query.ReindexObjectType_REINDEX_OBJECT_SYSTEM, "SYSTEM", admin, "`admin` on the database"},
		{pg_query.ReindexObjectType_REINDEX_OBJECT_DATABASE, "DATABASE", admin, "`admin` on the database"},
	}
}

// reindexIndex asks for what REINDEX of the index's table does
// (RangeVarCallbackForReindexIndex): a partitioned index is made anew on all partitions.
func (a *analyzer) reindexIndex(rv *pg_query.RangeVar) error {
	index := a.indexNamed(rv)
	if index == nil {
		// The server says what it is.
		_, err := a.altered(rv, false)
		return err
	}
	table := a.snap.RelationByOID(index.IndexOf)
	if table == nil {
		return deny(access.UnknownObject, "an index of a relation that is not known")
	}
	_, err := a.remade(&pg_query.RangeVar{Schemaname: table.Schema, Relname: table.Name, Inh: true, Relpersistence: "p", Location: rv.GetLocation()})
	return err
}

// indexNamed finds an index over the path, or returns nil.
func (a *analyzer) indexNamed(rv *pg_query.RangeVar) *catalog.Relation {
	var rel *catalog.Relation
	switch {
	case rv == nil || rv.Catalogname != "" && rv.Catalogname != a.snap.Database || rv.Schemaname == schemaTemp:
	case rv.Schemaname == "":
		rel = a.lookUp(rv.Relname)
	default:
		rel = a.snap.RelationByName(rv.Schemaname, rv.Relname)
	}
	if rel == nil || rel.Kind != catalog.KindIndex && rel.Kind != catalog.KindPartitionedIndex {
		return nil
	}
	return rel
}

func (a *analyzer) reindex(r *pg_query.ReindexStmt) error {
	for _, option := range r.Params {
		switch option.GetDefElem().GetDefname() {
		case "verbose", "concurrently":
		case "tablespace":
			a.ask(access.Admin, a.database())
		default:
			return deny(access.Construct, "an option of REINDEX")
		}
	}
	for _, k := range reindexKinds() {
		if k.kind == r.Kind {
			return k.judge(a, r)
		}
	}
	return deny(access.StatementKind, "reindex")
}
