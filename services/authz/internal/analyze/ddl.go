package analyze

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// PostgreSQL lets an object's owner change it and whoever has CREATE on a schema add to
// it. Behind Scopewire every object may be the login's, so that there is one right
// instead: ddl on the schema. It is no right to data: what makes rows or values
// readable in another way (a stored query, an expression over existing columns, another
// name) needs select on them as well.

// ddlIn asks for ddl on a schema. That of the system is nobody's.
func (a *analyzer) ddlIn(schema string) error {
	switch {
	case ownTemporary(schema), schema == schemaTemp && a.snap.TempSchema() != "":
		a.change.temporary = true
		return nil
	case reserved(schema):
		return deny(access.RelationKind, "a change in schema "+schema)
	}
	a.change.permanent = true
	a.ask(access.DDL, access.Object{Kind: access.Schema, Name: schema})
	return nil
}

// ddlEverywhere asks for ddl on every schema of users: what CASCADE reaches, and all
// that depends on a name, only the server knows.
func (a *analyzer) ddlEverywhere() error {
	a.change.permanent = true
	for schema := range a.snap.EachSchema() {
		if err := a.spend(1); err != nil {
			return err
		}
		if name := schema.Name; !strings.HasPrefix(name, "pg_") && name != schemaInformation {
			a.ask(access.DDL, access.Object{Kind: access.Schema, Name: name})
		}
	}
	return nil
}

func (a *analyzer) behaviour(b pg_query.DropBehavior) error {
	if b == pg_query.DropBehavior_DROP_CASCADE {
		return a.ddlEverywhere()
	}
	return nil
}

// newObject asks for what making an object of a name takes and returns its schema:
// ddl on it, or temporary on the database (RangeVarGetCreationNamespace).
func (a *analyzer) newObject(schema string, temporary bool) (string, error) {
	if schema == "" && !temporary {
		var err error
		if schema, err = a.creationSchema(); err != nil {
			return "", err
		}
	}
	if temporary && schema == "" || schema != "" && schema == a.snap.TempSchema() {
		schema = schemaTemp
	}
	if schema == schemaTemp {
		a.ask(access.Temporary, a.database())
		return schema, nil
	}
	if temporary {
		return "", deny(access.Construct, "a temporary object in a schema")
	}
	return schema, a.ddlIn(schema)
}

// creationSchema is where an object without a schema is made: the first of search_path
// that is there and open to the role (recomputeNamespacePath).
func (a *analyzer) creationSchema() (string, error) {
	names, ok := splitIdentifiers(a.in.Context.SearchPath)
	if !ok {
		return "", deny(access.Context, "search_path cannot be read")
	}
	for _, name := range names {
		switch {
		case name == schemaTemp || name == schemaCatalog:
			return name, nil
		case name == "$user":
			name = a.in.Context.Role
		}
		if a.snap.SchemaOpenTo(name, a.in.Context.Role) {
			return name, nil
		}
	}
	return "", deny(access.UnknownObject, "no schema to make an object in")
}

// newRelation is newObject for a relation's name.
func (a *analyzer) newRelation(rv *pg_query.RangeVar) (access.Object, error) {
	if rv == nil || rv.Catalogname != "" && rv.Catalogname != a.snap.Database {
		return access.Object{}, deny(access.Construct, "a relation of another database")
	}
	schema, err := a.newObject(rv.Schemaname, rv.Relpersistence == "t")
	object := access.Object{Kind: access.Table, Schema: schema, Name: rv.Relname}
	if err == nil && schema != schemaTemp {
		a.guard(object)
	}
	return object, err
}

// newNamed is newObject for a name of one or two parts. Only relations can be
// temporary.
func (a *analyzer) newNamed(nodes []*pg_query.Node) (access.Object, error) {
	schema, name, err := qualified(nodes)
	if err != nil {
		return access.Object{}, err
	}
	schema, err = a.newObject(schema, false)
	if err == nil && schema == schemaTemp {
		err = deny(access.Construct, "a temporary object that is no relation")
	}
	return access.Object{Schema: schema, Name: name}, err
}

// qualified splits a name of one or two parts.
func qualified(nodes []*pg_query.Node) (schema, name string, err error) {
	names, ok := stringNodes(nodes)
	switch {
	case ok && len(names) == 1:
		return "", names[0], nil
	case ok && len(names) == 2:
		return names[0], names[1], nil
	}
	return "", "", deny(access.Construct, "an object's name")
}

// made is the effect of making a relation.
func made(object access.Object) access.Effect {
	if object.Schema == schemaTemp {
		return access.Effect{Kind: access.EffectTemp, Name: object.Name}
	}
	return access.Effect{Kind: access.EffectDDL}
}

// altered opens a relation that a statement changes, and asks for ddl on its schema. It
// returns nil when the relation may be missing, and is.
func (a *analyzer) altered(rv *pg_query.RangeVar, missingOK bool) (*catalog.Relation, error) {
	if rv == nil || rv.Catalogname != "" && rv.Catalogname != a.snap.Database {
		return nil, deny(access.Construct, "a relation of another database")
	}
	var rel *catalog.Relation
	if rv.Schemaname == "" {
		rel = a.lookUp(rv.Relname)
		if a.shadowed(rv.Relname, rel) {
			return nil, deny(access.RelationKind, "relation "+rv.Relname+" may be one of the system's")
		}
	} else {
		rel = a.snap.RelationByName(rv.Schemaname, rv.Relname)
	}
	if rel == nil {
		return nil, a.missingAltered(rv, missingOK)
	}
	return rel, a.alters(rel)
}

// alters asks for ddl on a relation's schema.
func (a *analyzer) alters(rel *catalog.Relation) error {
	if isSystem(rel) {
		return deny(access.RelationKind, "catalog "+fullName(rel))
	}
	a.guard(relationObject(rel))
	return a.ddlIn(rel.Schema)
}

// altersFamily asks for it on the descendants as well, to which most changes go on.
func (a *analyzer) altersFamily(rel *catalog.Relation) error {
	children, err := a.descendants(rel)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := a.alters(child); err != nil {
			return err
		}
	}
	return nil
}

// relationObject is a relation's full name.
func relationObject(rel *catalog.Relation) access.Object {
	kind := access.Table
	if rel.Kind == catalog.KindSequence {
		kind = access.Sequence
	}
	return access.Object{Kind: kind, Schema: shownSchema(rel.Schema), Name: rel.Name}
}

// missingAltered asks for ddl on every schema in which the relation could be, and gives
// PostgreSQL's own error to whom that is granted.
func (a *analyzer) missingAltered(rv *pg_query.RangeVar, missingOK bool) error {
	shown, schemas := rv.Relname, a.path.foreign()
	if rv.Schemaname != "" {
		shown, schemas = rv.Schemaname+"."+rv.Relname, []string{rv.Schemaname}
	}
	if rv.Schemaname == schemaTemp {
		schemas = nil
	} else if len(schemas) == 0 {
		return deny(access.UnknownObject, "relation "+shown)
	}
	for _, schema := range schemas {
		if err := a.ddlIn(schema); err != nil {
			return err
		}
	}
	if missingOK {
		return nil
	}
	if rv.Schemaname != "" && rv.Schemaname != schemaTemp && !a.snap.SchemaExists(rv.Schemaname) {
		return hide(stateUndefinedSchema, fmt.Sprintf("schema \"%s\" does not exist", rv.Schemaname), 0)
	}
	// Utility statements do not say where the name stands.
	if a.dropping != "" {
		return hide(stateUndefinedTable, fmt.Sprintf("%s \"%s\" does not exist", a.dropping, rv.Relname), 0)
	}
	return hide(stateUndefinedTable, fmt.Sprintf("relation \"%s\" does not exist", shown), 0)
}

// readsAll asks for select on all of a relation: the statement makes its rows
// readable under another name.
func (a *analyzer) readsAll(rel *catalog.Relation) {
	switch rel.Kind {
	case catalog.KindIndex, catalog.KindPartitionedIndex, catalog.KindComposite:
	default:
		a.current.whole(access.Select, relationObject(rel), rel)
	}
}

// listed makes a RangeVar of a list of names (makeRangeVarFromNameList).
func listed(nodes []*pg_query.Node) (*pg_query.RangeVar, error) {
	names, ok := stringNodes(nodes)
	rv := &pg_query.RangeVar{Inh: true, Relpersistence: "p", Location: -1}
	switch {
	case ok && len(names) == 1:
		rv.Relname = names[0]
	case ok && len(names) == 2:
		rv.Schemaname, rv.Relname = names[0], names[1]
	case ok && len(names) == 3:
		rv.Catalogname, rv.Schemaname, rv.Relname = names[0], names[1], names[2]
	default:
		return nil, deny(access.Construct, "a relation's name")
	}
	return rv, nil
}

// columnType resolves the type of a column or parameter that is being defined: a user's
// type needs usage on it. No value of it is made yet.
func (a *analyzer) columnType(t *pg_query.TypeName) (catalog.OID, error) {
	oid, err := a.typeName(t)
	if err != nil {
		return 0, err
	}
	a.usesType(oid)
	return oid, nil
}

// tablespace asks for what naming a tablespace takes.
func (a *analyzer) tablespace(name string) {
	if name != "" && name != "pg_default" {
		a.ask(access.Admin, a.database())
	}
}
