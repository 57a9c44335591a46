package analyze

import (
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// usesType asks for usage on a user's type, or on what it is an array of. The row type
// of a relation has no right of its own by default (TypeCreate): select on all of the
// relation, which naming it takes, is more.
func (a *analyzer) usesType(oid catalog.OID) {
	t := a.snap.TypeByOID(oid)
	if t != nil && t.Element != 0 {
		t = a.snap.TypeByOID(t.Element)
	}
	if t == nil || t.OID < catalog.FirstNormalOID || ownTemporary(t.Schema) {
		return
	}
	if rel := a.snap.RelationByOID(t.Relation); rel == nil || rel.Kind == catalog.KindComposite {
		a.current.usage(t)
	}
}

// usesTypes asks for usage on the types of the columns of a relation that a query
// makes (BuildDescForRelation).
func (a *analyzer) usesTypes(columns []output) {
	for _, c := range columns {
		a.usesType(c.typ)
	}
}

// dependsOn notes that an expression holds a constant of a type, or a coercion to it. In
// what a definition stores that needs usage on the type.
func (a *analyzer) dependsOn(oid catalog.OID) {
	if a.stores && !a.current.stored {
		a.usesType(oid)
	}
}

// checksStoredTypes reports whether a server asks for usage on the types that stored
// expressions depend on (CheckUsageOnTypesInExpr of dependency.c, since August 2026).
func checksStoredTypes(version int) bool { return catalog.HasRelease(version, catalog.August2026) }

// accesses are what the current statement touches. Usage of a type comes with the
// relations that have columns of it.
func (a *analyzer) accesses() []access.Access {
	asked := map[catalog.OID]*entry{}
	for _, e := range a.current.entries {
		if t := e.usedType; t != nil && len(e.access.Trust) == 0 && !a.current.implied(e) {
			e.access.Bearers = nil
			asked[t.OID] = e
			if t.Array != 0 {
				asked[t.Array] = e
			}
		}
	}
	if len(asked) == 0 {
		return a.current.accesses()
	}
	seen := 0
	for rel := range a.snap.EachRelation() {
		if seen += len(rel.Columns); !holdsRows(rel) && rel.Kind != catalog.KindView || ownTemporary(rel.Schema) {
			continue
		}
		for i := range rel.Columns {
			if e := asked[rel.Columns[i].Type]; e != nil {
				e.bornBy(rel, rel.Columns[i].Name)
			}
		}
	}
	a.work -= seen / 16
	return a.current.accesses()
}

// bornBy notes that a column of a relation is of the type that is asked for.
func (e *entry) bornBy(rel *catalog.Relation, column string) {
	object := relationObject(rel)
	all := e.access.Bearers
	if n := len(all); n > 0 && sameObject(all[n-1].Relation, object) {
		all[n-1].Columns = append(all[n-1].Columns, column)
		return
	}
	e.access.Bearers = append(all, access.Bearer{Relation: object, Columns: []string{column}})
}

// usage notes that usage on a type is needed.
func (r *recorder) usage(t *catalog.Type) {
	object := access.Object{Kind: access.Type, Schema: t.Schema, Name: t.Name}
	key := entryKey{action: access.Usage, kind: access.Type, schema: t.Schema, name: t.Name}
	r.find(key, object, object, nil).usedType = t
}

// implied reports whether an entry is usage on a type that the grants for other entries
// bring: a grant on a relation implies usage of the types of its columns.
func (r *recorder) implied(e *entry) bool {
	if e.usedType == nil || len(e.access.Trust) > 0 {
		return false
	}
	for _, other := range r.entries {
		if other.relation == nil || other.access.Within {
			continue
		}
		for i := range other.relation.Columns {
			c := &other.relation.Columns[i]
			if (c.Type == e.usedType.OID || c.Type == e.usedType.Array) && other.covers(c.Name) {
				return true
			}
		}
	}
	return false
}

// covers reports whether an access asks for a column.
func (e *entry) covers(column string) bool {
	switch e.access.Action {
	case access.Select, access.Insert, access.Update, access.References:
		return e.access.AllColumns || e.columns[column]
	default:
		return true
	}
}
