package analyze

import (
	"errors"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// Some types look names up when they read a text: regclass a relation, regtype a type,
// aclitem a role. A literal of such a type is judged by what it names. Any other value
// that becomes one (a column, a parameter, an OID) could name anything: it reads the
// catalog that the names are in.

// readsNames reports whether reading a text as a value of the type looks a name up.
func (a *analyzer) readsNames(oid catalog.OID) bool {
	_, ok := a.nameKind(oid)
	return ok
}

// readText judges a type's input function reading a value: what it looks up, and what
// checks it runs.
func (a *analyzer) readText(v value, to catalog.OID) error {
	return a.readPart(v, to, 0)
}

func (a *analyzer) readPart(v value, to catalog.OID, depth int) error {
	if depth > maxTypeDepth {
		return deny(access.OpaqueCode, "a type within itself")
	}
	if err := a.spend(1); err != nil {
		return err
	}
	if kind, ok := a.nameKind(to); ok {
		return a.readName(v, kind)
	}
	t := a.snap.TypeByOID(to)
	if t == nil {
		return deny(access.OpaqueCode, "a type that is not in the catalog")
	}
	part := value{}
	switch {
	case to == resolve.Record || to == typeRecords:
		// What a record is made of is said by the value itself (record_recv).
		return deny(access.Construct, "a value of type "+t.Name+" that is read")
	case t.Kind == 'd':
		if err := a.readPart(v, t.Base, depth+1); err != nil {
			return err
		}
		return a.checkDomain(to)
	case t.Kind == 'b' && t.Element != 0:
		return a.readPart(part, t.Element, depth+1)
	case t.Kind == 'r' || t.Kind == 'm':
		return a.readPart(part, t.Subtype, depth+1)
	case t.Kind == 'c':
		rel := a.snap.RelationByOID(t.Relation)
		if rel == nil {
			return deny(access.OpaqueCode, "type "+t.Name)
		}
		for _, c := range rel.Columns {
			if err := a.readPart(part, c.Type, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// readName judges a value that names an object.
func (a *analyzer) readName(v value, kind builtin.NameKind) error {
	*a.literally = true
	switch v.kind {
	case null:
		return nil
	case constant:
		if text := a.says(v.literal); !allDigits(text) {
			return a.nameLiteral(text, builtin.Name{Kind: kind})
		}
	}
	// A number may be the OID of anything.
	return a.readCatalogOf(kind)
}

// readCatalogOf asks for the catalog that names of a kind are in.
func (a *analyzer) readCatalogOf(kind builtin.NameKind) error {
	name, column := "", ""
	switch kind {
	case builtin.Relation, builtin.Sequence, builtin.TypeName:
		// Types are readable by all, but a relation's row type tells of the relation.
		name, column = "pg_class", "relname"
	case builtin.Routine:
		name, column = "pg_proc", "proname"
	case builtin.Schema:
		name, column = "pg_namespace", "nspname"
	case builtin.Role:
		name, column = "pg_roles", "rolname"
	case builtin.OperatorName:
		name, column = "pg_operator", "oprname"
	case builtin.CollationName:
		name, column = "pg_collation", "collname"
	case builtin.ConfigurationName:
		name, column = "pg_ts_config", "cfgname"
	}
	rel := a.snap.RelationByName(schemaCatalog, name)
	if rel == nil {
		return deny(access.Construct, "a value whose type looks names up")
	}
	named := access.Object{Kind: access.Table, Schema: schemaCatalog, Name: name}
	a.current.need(access.Select, named, rel)
	a.current.column(access.Select, named, rel, "oid")
	a.current.column(access.Select, named, rel, column)
	return nil
}

// nameLiteral judges a literal that names an object. Who may read the catalog that
// lists such objects may name what there is not, or what is not granted, and hear the
// server's own answer.
func (a *analyzer) nameLiteral(text string, name builtin.Name) error {
	err := a.nameLiteralFound(text, name)
	var v *verdict
	if name.Action == "" && errors.As(err, &v) && v.outcome == access.Denied &&
		(v.reason == access.UnknownObject || v.reason == access.RelationKind) && len(text) <= maxNameLiteral {
		return a.readCatalogOf(name.Kind)
	}
	return err
}

// nameLiteralFound judges a literal that names an object, as the input functions of
// regproc.c read it. What does not exist and what is not granted are denied alike.
func (a *analyzer) nameLiteralFound(text string, name builtin.Name) error {
	unknown := deny(access.UnknownObject, "a literal that names an object")
	if len(text) > maxNameLiteral {
		return unknown
	}
	if err := a.spend(len(a.path)); err != nil {
		return err
	}
	switch name.Kind {
	case builtin.Relation, builtin.Sequence:
		return a.relationLiteral(text, name)
	case builtin.TypeName:
		return a.typeLiteral(text)
	case builtin.Routine:
		return a.routineLiteral(text)
	case builtin.Schema:
		parts, ok := qualifiedName(text)
		if !ok || len(parts) != 1 || !a.snap.SchemaExists(parts[0]) {
			return unknown
		}
		if parts[0] != schemaCatalog && parts[0] != schemaInformation {
			object := access.Object{Kind: access.Schema, Name: parts[0]}
			a.needs(access.Any, object)
		}
		return nil
	case builtin.Role:
		if parts, ok := qualifiedName(text); ok && len(parts) == 1 && parts[0] == a.in.Context.Role {
			return nil
		}
		return a.readCatalogOf(builtin.Role)
	case builtin.ConfigurationName:
		return a.configurationLiteral(text)
	case builtin.CollationName:
		parts, ok := qualifiedName(text)
		if !ok {
			return unknown
		}
		_, err := a.collationNamed(parts)
		return err
	case builtin.SettingName:
		return a.showSetting(text)
	default:
		return a.readCatalogOf(name.Kind)
	}
}

// maxNameLiteral bounds a literal that is read as a name: three identifiers in quotes.
const maxNameLiteral = 1024

// qualifiedName is stringToQualifiedNameList: names separated by dots.
func qualifiedName(text string) ([]string, bool) {
	names, ok := splitNames(text, '.')
	return names, ok && len(names) > 0
}

func allDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// relationLiteral is regclassin of a name, over the path.
func (a *analyzer) relationLiteral(text string, name builtin.Name) error {
	unknown := deny(access.UnknownObject, "a literal that names a relation")
	parts, ok := qualifiedName(text)
	if !ok || len(parts) > 3 {
		return unknown
	}
	if len(parts) == 3 {
		if parts[0] != a.snap.Database {
			return unknown
		}
		parts = parts[1:]
	}
	named := access.Object{Kind: access.Table, Name: last(parts)}
	var rel *catalog.Relation
	if len(parts) == 2 {
		named.Schema = parts[0]
		rel = a.snap.RelationByName(parts[0], parts[1])
	} else {
		rel = a.lookUp(parts[0])
	}
	if rel == nil || a.maybeGone[rel.OID] {
		return unknown
	}
	a.held.meetRelation(rel.OID, a.owner)
	if w := a.held.writes(); w != nil {
		w.relation = rel
	}
	return a.nameRelation(rel, named, name)
}

// nameRelation asks for what naming a relation needs: the privilege that the function
// checks, or else any grant on it.
func (a *analyzer) nameRelation(rel *catalog.Relation, named access.Object, name builtin.Name) error {
	if isSystem(rel) {
		if name.Action == "" && rel.OID < catalog.FirstNormalOID {
			return nil
		}
		return deny(access.RelationKind, "catalog "+fullName(rel))
	}
	if name.Kind == builtin.Sequence && rel.Kind != catalog.KindSequence {
		return deny(access.UnknownObject, "a literal that names a sequence")
	}
	action := access.Action(name.Action)
	if action == "" {
		action = access.Any
	}
	if name.Or != "" && rel.Kind == catalog.KindSequence {
		a.current.either(action, access.Action(name.Or), named, rel)
		return nil
	}
	a.current.need(action, named, rel)
	return nil
}

// typeLiteral is regtypein of a type as SQL writes it.
func (a *analyzer) typeLiteral(text string) error {
	unknown := deny(access.UnknownObject, "a literal that names a type")
	seen, err := precheck([]byte("SELECT NULL::"+text), a.limits)
	if err != nil || seen.faulty {
		return unknown
	}
	tree, err := parse(seen.parseText, seen.parseText, a.version/10000)
	if err != nil || len(tree.Stmts) != 1 {
		return unknown
	}
	query := tree.Stmts[0].Stmt.GetSelectStmt()
	if query == nil || len(query.TargetList) != 1 || len(query.FromClause) > 0 || query.WhereClause != nil || a.checkShape(query.ProtoReflect()) != nil {
		return unknown
	}
	cast := query.TargetList[0].GetResTarget().GetVal().GetTypeCast()
	if cast == nil || !cast.GetArg().GetAConst().GetIsnull() {
		return unknown
	}
	_, err = a.typeNamed(cast.TypeName, access.Any)
	return err
}

// routineLiteral is regprocin and regprocedurein. Only functions of the server and such
// as may be executed can be named.
func (a *analyzer) routineLiteral(text string) error {
	unknown := deny(access.UnknownObject, "a literal that names a function")
	name, arguments, listed := strings.Cut(text, "(")
	if listed && !strings.HasSuffix(strings.TrimRight(arguments, " \t\n\r\f\v"), ")") {
		return unknown
	}
	parts, ok := qualifiedName(name)
	if !ok || len(parts) > 2 {
		return unknown
	}
	candidates := a.snap.FunctionsNamed(last(parts))
	if err := a.spend(len(candidates)); err != nil {
		return err
	}
	found := false
	for _, f := range candidates {
		if len(parts) == 2 && f.Schema != parts[0] || len(parts) == 1 && !a.path.includes(f.Schema) {
			continue
		}
		found = true
		a.held.meetFunction(f.OID)
		if f.OID >= catalog.FirstNormalOID {
			// Which of several it is depends on the argument types: all must be granted.
			a.needs(access.Any, a.functionObject(f))
		}
	}
	if !found {
		return unknown
	}
	return nil
}

// configurationLiteral judges the name of a text search configuration or dictionary.
// Those of pg_catalog are known by name; parsing with one runs templates that only a
// superuser can make.
func (a *analyzer) configurationLiteral(text string) error {
	parts, ok := qualifiedName(text)
	if !ok || len(parts) > 2 {
		return deny(access.UnknownObject, "a text search configuration")
	}
	if a.searchConfigurations[last(parts)] && (len(parts) == 2 && parts[0] == schemaCatalog || len(parts) == 1 && a.path.catalogFirst()) {
		return nil
	}
	return a.readCatalogOf(builtin.ConfigurationName)
}
