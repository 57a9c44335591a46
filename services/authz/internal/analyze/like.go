package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// like is LIKE: select on all of a table or view, usage on a composite type
// (transformTableLikeClause).
func (a *analyzer) like(d *definition, l *pg_query.TableLikeClause) error {
	if rel := a.compositeNamed(l.Relation); rel != nil {
		t := a.snap.TypeByName(rel.Schema, rel.Name)
		if t == nil {
			return deny(access.OpaqueCode, "type "+rel.Name)
		}
		a.named(t.Schema)
		a.usesType(t.OID)
		a.likeColumns(d, rel, l.Options)
		return a.addColumns(d, rel)
	}
	rel, err := a.openRelation(l.Relation, access.Select, l.Relation.GetLocation())
	if err != nil {
		return err
	}
	if isSystem(rel) {
		return deny(access.RelationKind, "a table like one of the system")
	}
	a.current.whole(access.Select, namedObject(l.Relation), rel)
	a.likeColumns(d, rel, l.Options)
	return a.addColumns(d, rel)
}

// compositeNamed is the composite type that a relation's name means, nil for none.
func (a *analyzer) compositeNamed(rv *pg_query.RangeVar) *catalog.Relation {
	rel := a.snap.RelationByName(rv.GetSchemaname(), rv.GetRelname())
	if rv.GetSchemaname() == "" {
		rel = a.lookUp(rv.GetRelname())
	}
	if rel == nil || rel.Kind != catalog.KindComposite || isSystem(rel) || rv.GetCatalogname() != "" && rv.GetCatalogname() != a.snap.Database {
		return nil
	}
	return rel
}
