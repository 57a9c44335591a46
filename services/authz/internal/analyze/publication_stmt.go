package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Publications are admin's. What they publish can be read by whoever may subscribe, so
// that it takes select as well.

// createPublication judges CREATE PUBLICATION (publicationcmds.c).
func (a *analyzer) createPublication(p *pg_query.CreatePublicationStmt) error {
	a.ask(access.Admin, a.database())
	if p.ForAllTables {
		return a.publishes(func(*catalog.Relation) bool { return true })
	}
	return a.published(p.Pubobjects)
}

// alterPublication judges ALTER PUBLICATION. DROP takes tables away, which shows
// nobody anything.
func (a *analyzer) alterPublication(p *pg_query.AlterPublicationStmt) error {
	a.ask(access.Admin, a.database())
	if _, err := a.global(catalog.KindPublication, p.Pubname); err != nil {
		return err
	}
	if p.Action == pg_query.AlterPublicationAction_AP_DropObjects {
		return nil
	}
	return a.published(p.Pubobjects)
}

// published judges the objects of a publication (ObjectsInPublicationToOids). CONTINUATION
// repeats the kind of the object before it, as the grammar has settled it.
func (a *analyzer) published(objects []*pg_query.Node) error {
	for _, node := range objects {
		o := node.GetPublicationObjSpec()
		var err error
		switch o.GetPubobjtype() {
		case pg_query.PublicationObjSpecType_PUBLICATIONOBJ_TABLE:
			err = a.publishedTable(o.Pubtable)
		case pg_query.PublicationObjSpecType_PUBLICATIONOBJ_TABLES_IN_SCHEMA:
			err = a.publishedSchema(o.Name)
		case pg_query.PublicationObjSpecType_PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA:
			schemas := a.path.foreign()
			if len(schemas) == 0 {
				return deny(access.UnknownObject, "a schema that is current")
			}
			err = a.publishedSchema(schemas[0])
		default:
			err = deny(access.Construct, "an object of a publication")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// publishedTable judges a table with its descendants. The row filter and the list of
// columns narrow what is published: the filter reads the columns that it names.
func (a *analyzer) publishedTable(t *pg_query.PublicationTable) error {
	rel, err := a.altered(t.GetRelation(), false)
	if err != nil {
		return err
	}
	if err := a.altersFamily(rel); err != nil {
		return err
	}
	if len(t.Columns) == 0 {
		a.readsAll(rel)
	}
	for _, node := range t.Columns {
		name, ok := stringNode(node)
		if !ok || columnNamed(rel, name) == nil {
			return deny(access.UnknownObject, "a column of a publication")
		}
		a.current.column(access.Select, relationObject(rel), rel, name)
	}
	d, err := a.definitionOf(rel)
	if err != nil {
		return err
	}
	return a.optional(d.scope(), t.WhereClause)
}

func (a *analyzer) publishedSchema(schema string) error {
	if err := a.ddlIn(schema); err != nil {
		return err
	}
	return a.publishes(func(rel *catalog.Relation) bool { return rel.Schema == schema })
}

// publishes asks for select on every table that there is, of those of users.
func (a *analyzer) publishes(covered func(*catalog.Relation) bool) error {
	for rel := range a.snap.EachRelation() {
		if err := a.spend(1); err != nil {
			return err
		}
		if (rel.Kind == catalog.KindTable || rel.Kind == catalog.KindPartitionedTable) && !isSystem(rel) && !ownTemporary(rel.Schema) && covered(rel) {
			a.readsAll(rel)
		}
	}
	return nil
}
