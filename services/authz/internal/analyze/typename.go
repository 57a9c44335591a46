package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// typeName resolves a type named in a statement and judges it. A user's type needs
// usage of its schema, which is all that PostgreSQL asks for naming it in a query. It
// returns the
// type's OID, that of the array for T[].
func (a *analyzer) typeName(t *pg_query.TypeName) (catalog.OID, error) {
	if t == nil || t.Setof || t.PctType || t.TypeOid != 0 {
		return 0, deny(access.Construct, "a type")
	}
	for _, modifier := range t.Typmods {
		if modifier.GetAConst() == nil {
			return 0, deny(access.Construct, "a type modifier that is no constant")
		}
	}
	names, ok := stringNodes(t.Names)
	if !ok || len(names) == 0 || len(names) > 2 {
		return 0, deny(access.Construct, "a type's name")
	}
	oid, err := a.lookUpType(names)
	if err != nil {
		return 0, err
	}
	if len(t.ArrayBounds) == 0 {
		return oid, nil
	}
	for _, bound := range t.ArrayBounds {
		if bound.GetInteger() == nil {
			return 0, deny(access.Construct, "an array bound")
		}
	}
	if builtin, ok := a.types.byOID[oid]; ok {
		return builtin.array, nil
	}
	// The array of an enum or domain: what it runs is what its element runs.
	return 0, nil
}

// lookUpType is LookupTypeName over the path, with judgement.
func (a *analyzer) lookUpType(names []string) (catalog.OID, error) {
	schema, name := "", names[len(names)-1]
	if len(names) == 2 {
		schema = names[0]
	}
	if schema == schemaCatalog && name == "json" && a.version < 170000 && a.path[0] != schemaCatalog {
		// The parser qualifies it; servers before 17 look it up over the path.
		return 0, deny(access.Construct, "type json under this search_path")
	}
	if schema == schemaCatalog {
		return a.builtinTypeNamed(name)
	}
	schemas := []string{schema}
	if schema == "" {
		schemas = a.path
	}
	for _, candidate := range schemas {
		if candidate == schemaCatalog {
			if _, ok := a.types.byName[name]; ok || a.snap.TypeByName(schemaCatalog, name) != nil || !a.knowsCatalogTypes() {
				return a.builtinTypeNamed(name)
			}
			continue
		}
		if t := a.snap.TypeByName(candidate, name); t != nil {
			a.current.schema(t.Schema)
			return t.OID, a.judgeType(t.OID)
		}
	}
	return 0, deny(access.UnknownObject, "type "+name)
}

// knowsCatalogTypes reports whether the snapshot lists pg_catalog's types, so that
// a name it does not list is none of them.
func (a *analyzer) knowsCatalogTypes() bool { return a.snap.TypeByName(schemaCatalog, "bool") != nil }

func (a *analyzer) builtinTypeNamed(name string) (catalog.OID, error) {
	t, ok := a.types.byName[name]
	if !ok || t.noCast {
		return 0, deny(access.Construct, "type "+name)
	}
	return t.oidOf(name), nil
}

// oidOf is the OID of the type, or of its array under the array's name.
func (t builtinType) oidOf(name string) catalog.OID {
	if t.name == name && t.oid != 0 {
		return t.oid
	}
	return t.array
}

// judgeType allows types whose input, output, casts and comparison run built-in
// code only: built-in ones of the list, enums, and domains and arrays over those.
// Ranges of users are not: their canonical and difference functions are code.
func (a *analyzer) judgeType(oid catalog.OID) error {
	if _, ok := a.types.byOID[oid]; ok {
		return nil
	}
	t := a.snap.TypeByOID(oid)
	if t == nil || oid < catalog.FirstNormalOID {
		return deny(access.OpaqueCode, "a type that is not on the list")
	}
	switch {
	case t.Kind == 'e':
		return nil
	case t.Kind == 'b' && t.Element != 0:
		if element := a.snap.TypeByOID(t.Element); element == nil || element.OID == oid || element.Element != 0 {
			return deny(access.OpaqueCode, "type "+t.Name)
		}
		return a.judgeType(t.Element)
	case t.Kind == 'd':
		return a.judgeDomain(t)
	default:
		return deny(access.OpaqueCode, "type "+t.Name)
	}
}

// judgeDomain judges a domain by its base and its checks.
func (a *analyzer) judgeDomain(t *catalog.Type) error {
	if err, ok := a.domains[t.OID]; ok {
		return err
	}
	// A domain in its own checks cannot be: the catalog has no cycles, but a
	// snapshot is data.
	a.domains[t.OID] = deny(access.OpaqueCode, "type "+t.Name)
	err := a.judgeType(t.Base)
	for _, check := range t.Checks {
		if err == nil {
			err = a.judgeStored(check, nil)
		}
	}
	if err != nil {
		err = deny(access.OpaqueCode, "domain "+t.Name)
	}
	a.domains[t.OID] = err
	return err
}

// collation allows the collations of pg_catalog.
func (a *analyzer) collation(nodes []*pg_query.Node) error {
	names, ok := stringNodes(nodes)
	if ok && len(names) == 2 && names[0] == schemaCatalog {
		return nil
	}
	if ok && len(names) == 1 && a.path[0] == schemaCatalog && a.builtinCollation(names[0]) {
		return nil
	}
	return deny(access.Construct, "a collation that is not one of pg_catalog")
}

// builtinCollation recognises the names that initdb gives collations: the standard
// ones and locales.
func (a *analyzer) builtinCollation(name string) bool {
	switch name {
	case "C", "POSIX", "default", "ucs_basic", "unicode", "pg_c_utf8", "pg_unicode_fast":
		return true
	}
	return a.locales.MatchString(name)
}
