package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// typeName resolves a type named in a statement and judges it (LookupTypeName,
// typenameTypeMod). A user's type needs usage of its schema, which is all that
// PostgreSQL asks for naming it in a query; the row type of a relation shows its
// columns and needs select on them. It returns the type's OID, that of the array for
// T[].
func (a *analyzer) typeName(t *pg_query.TypeName) (catalog.OID, error) {
	return a.typeNamed(t, access.Select)
}

// typeNamed is typeName, with the action that a relation's row type needs on all of the
// relation.
func (a *analyzer) typeNamed(t *pg_query.TypeName, action access.Action) (catalog.OID, error) {
	if t == nil || t.Setof || t.PctType || t.TypeOid != 0 {
		return 0, deny(access.Construct, "a type")
	}
	*a.literally = *a.literally || len(t.Typmods) > 0
	for _, modifier := range t.Typmods {
		ref := modifier.GetColumnRef()
		if modifier.GetAConst() == nil && (ref == nil || len(ref.Fields) != 1) {
			return 0, deny(access.Construct, "a type modifier that is no constant")
		}
	}
	names, ok := stringNodes(t.Names)
	if !ok || len(names) == 0 || len(names) > 3 {
		return 0, deny(access.Construct, "a type's name")
	}
	if len(names) == 3 {
		if names[0] != a.snap.Database {
			return 0, deny(access.Construct, "a type of another database")
		}
		names = names[1:]
	}
	found, err := a.lookUpType(names)
	if err != nil {
		return 0, err
	}
	if err := a.nameType(found, action); err != nil {
		return 0, err
	}
	a.held.writeType(t, found)
	oid := found.OID
	for _, bound := range t.ArrayBounds {
		if bound.GetInteger() == nil {
			return 0, deny(access.Construct, "an array bound")
		}
	}
	if len(t.ArrayBounds) > 0 {
		// An array's array is the array itself.
		if a.isArray(oid) && found.Schema != schemaCatalog {
			return oid, a.holds(oid)
		}
		if oid = a.names().ArrayOf(oid); oid == 0 {
			return 0, deny(access.UnknownObject, "an array of type "+found.Name)
		}
	}
	return oid, a.holds(oid)
}

// lookUpType is LookupTypeName over the path.
func (a *analyzer) lookUpType(names []string) (*catalog.Type, error) {
	schema, name := "", last(names)
	if len(names) == 2 {
		schema = names[0]
	}
	unknown := deny(access.UnknownObject, "type "+name)
	if err := a.spend(len(a.path)); err != nil {
		return nil, err
	}
	found, bad := a.names().Type(schema, name)
	if bad != nil || found == nil {
		return nil, unknown
	}
	if schema == schemaCatalog && name == "json" && a.version < 170000 {
		// The parser qualifies it; servers before 17 look it up over the path.
		if meant, bad := a.names().Type("", name); bad != nil || meant != found {
			return nil, deny(access.Construct, "type json under this search_path")
		}
	}
	if schema == "" {
		return found, a.eclipsesTypes(found)
	}
	return found, nil
}

// nameType asks for what naming a type needs.
func (a *analyzer) nameType(t *catalog.Type, action access.Action) error {
	a.named(t.Schema)
	composite := t
	if t.Kind == 'b' && t.Element != 0 {
		composite = a.snap.TypeByOID(t.Element)
	}
	if composite == nil || composite.Kind != 'c' {
		return nil
	}
	rel := a.snap.RelationByOID(composite.Relation)
	switch {
	case rel == nil:
		return deny(access.OpaqueCode, "type "+t.Name)
	case rel.Kind == catalog.KindComposite || isSystem(rel) || a.current.stored:
		return nil
	}
	named := access.Object{Kind: access.Table, Schema: rel.Schema, Name: rel.Name}
	a.current.need(action, named, rel)
	if action == access.Select {
		a.current.whole(action, named, rel)
	}
	return nil
}

// judgeType judges the code that values of a type run.
func (a *analyzer) judgeType(oid catalog.OID) error { return a.holds(oid) }

// checkDomain judges the checks of one domain. They run in the session's role.
func (a *analyzer) checkDomain(oid catalog.OID) error {
	t := a.snap.TypeByOID(oid)
	if t == nil {
		return deny(access.OpaqueCode, "a domain that is not in the catalog")
	}
	for _, check := range t.Checks {
		if err := a.judgeCheck(check, t.Base); limited(err) {
			return err
		} else if err != nil {
			return deny(access.OpaqueCode, "domain "+t.Name)
		}
	}
	return nil
}

// collation judges a collation named in a statement. Using one runs no code and needs
// no right; naming one of a schema of users needs that.
func (a *analyzer) collation(nodes []*pg_query.Node) error {
	names, ok := stringNodes(nodes)
	if !ok {
		return deny(access.Construct, "a collation")
	}
	_, err := a.collationNamed(names)
	return err
}

// collationNamed is get_collation_oid.
func (a *analyzer) collationNamed(names []string) (*catalog.Collation, error) {
	unknown := deny(access.UnknownObject, "a collation")
	if err := a.spend(len(a.path)); err != nil {
		return nil, err
	}
	schemas := []string(a.path)
	switch len(names) {
	case 1:
		// A temporary one is found by its full name alone.
		schemas = slices.DeleteFunc(slices.Clone(schemas), func(s string) bool { return s == schemaTemp })
	case 2:
		schemas = names[:1]
	default:
		return nil, unknown
	}
	for _, schema := range schemas {
		if found := a.snap.CollationByName(schema, last(names)); found != nil {
			a.named(found.Schema)
			a.held.writeCollation(names, found)
			return found, nil
		}
	}
	return nil, unknown
}
