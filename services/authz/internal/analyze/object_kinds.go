package analyze

import pg_query "github.com/pganalyze/pg_query_go/v6"

// objectForm is how the grammar names objects of a type in DROP, COMMENT, ALTER … RENAME
// and their kin, and where they live.
type objectForm int

const (
	// unnamed: not an object that a statement names. Denied. The zero value.
	unnamed objectForm = iota
	// relationForm: a relation, by RangeVar or a list of names.
	relationForm
	// partForm: part of a relation: its name, then that of the part.
	partForm
	// routineForm: ObjectWithArgs.
	routineForm
	// typeForm: a TypeName.
	typeForm
	// typePartForm: a constraint of a domain.
	typePartForm
	// qualifiedForm: a list of one or two names.
	qualifiedForm
	// schemaForm: a schema.
	schemaForm
	// globalForm: an object of no schema. Changing it is admin's.
	globalForm
)

// objectKind is a row of the table of object types.
type objectKind struct {
	kind  pg_query.ObjectType
	words string
	form  objectForm
	// code says that objects of the type are, or run, code: another name for one may
	// be one that is trusted.
	code bool
}

func objectKinds() []objectKind {
	return []objectKind{
		{pg_query.ObjectType_OBJECT_ACCESS_METHOD, "access method", globalForm, false},
		{pg_query.ObjectType_OBJECT_AGGREGATE, "aggregate", routineForm, true},
		{pg_query.ObjectType_OBJECT_AMOP, "operator of a family", unnamed, false},
		{pg_query.ObjectType_OBJECT_AMPROC, "function of a family", unnamed, false},
		{pg_query.ObjectType_OBJECT_ATTRIBUTE, "attribute of a type", partForm, false},
		{pg_query.ObjectType_OBJECT_CAST, "cast", globalForm, false},
		{pg_query.ObjectType_OBJECT_COLUMN, "column", partForm, false},
		{pg_query.ObjectType_OBJECT_COLLATION, "collation", qualifiedForm, false},
		{pg_query.ObjectType_OBJECT_CONVERSION, "conversion", globalForm, false},
		{pg_query.ObjectType_OBJECT_DATABASE, "database", globalForm, false},
		{pg_query.ObjectType_OBJECT_DEFAULT, "default", unnamed, false},
		{pg_query.ObjectType_OBJECT_DEFACL, "default privileges", unnamed, false},
		{pg_query.ObjectType_OBJECT_DOMAIN, "domain", typeForm, true},
		{pg_query.ObjectType_OBJECT_DOMCONSTRAINT, "constraint of a domain", typePartForm, false},
		{pg_query.ObjectType_OBJECT_EVENT_TRIGGER, "event trigger", globalForm, false},
		{pg_query.ObjectType_OBJECT_EXTENSION, "extension", globalForm, false},
		{pg_query.ObjectType_OBJECT_FDW, "foreign-data wrapper", globalForm, false},
		{pg_query.ObjectType_OBJECT_FOREIGN_SERVER, "server", globalForm, false},
		{pg_query.ObjectType_OBJECT_FOREIGN_TABLE, "foreign table", relationForm, false},
		{pg_query.ObjectType_OBJECT_FUNCTION, "function", routineForm, true},
		{pg_query.ObjectType_OBJECT_INDEX, "index", relationForm, false},
		{pg_query.ObjectType_OBJECT_LANGUAGE, "language", globalForm, false},
		{pg_query.ObjectType_OBJECT_LARGEOBJECT, "large object", globalForm, false},
		{pg_query.ObjectType_OBJECT_MATVIEW, "materialized view", relationForm, false},
		{pg_query.ObjectType_OBJECT_OPCLASS, "operator class", globalForm, false},
		{pg_query.ObjectType_OBJECT_OPERATOR, "operator", routineForm, true},
		{pg_query.ObjectType_OBJECT_OPFAMILY, "operator family", globalForm, false},
		{pg_query.ObjectType_OBJECT_PARAMETER_ACL, "privileges on a setting", unnamed, false},
		{pg_query.ObjectType_OBJECT_POLICY, "policy", partForm, false},
		{pg_query.ObjectType_OBJECT_PROCEDURE, "procedure", routineForm, true},
		{pg_query.ObjectType_OBJECT_PUBLICATION, "publication", globalForm, false},
		{pg_query.ObjectType_OBJECT_PUBLICATION_NAMESPACE, "schema of a publication", unnamed, false},
		{pg_query.ObjectType_OBJECT_PUBLICATION_REL, "table of a publication", unnamed, false},
		{pg_query.ObjectType_OBJECT_ROLE, "role", globalForm, false},
		{pg_query.ObjectType_OBJECT_ROUTINE, "routine", routineForm, true},
		{pg_query.ObjectType_OBJECT_RULE, "rule", partForm, false},
		{pg_query.ObjectType_OBJECT_SCHEMA, "schema", schemaForm, true},
		{pg_query.ObjectType_OBJECT_SEQUENCE, "sequence", relationForm, false},
		{pg_query.ObjectType_OBJECT_SUBSCRIPTION, "subscription", globalForm, false},
		{pg_query.ObjectType_OBJECT_STATISTIC_EXT, "statistics", qualifiedForm, false},
		{pg_query.ObjectType_OBJECT_TABCONSTRAINT, "constraint", partForm, false},
		{pg_query.ObjectType_OBJECT_TABLE, "table", relationForm, false},
		{pg_query.ObjectType_OBJECT_TABLESPACE, "tablespace", globalForm, false},
		{pg_query.ObjectType_OBJECT_TRANSFORM, "transform", globalForm, false},
		{pg_query.ObjectType_OBJECT_TRIGGER, "trigger", partForm, false},
		{pg_query.ObjectType_OBJECT_TSCONFIGURATION, "text search configuration", qualifiedForm, false},
		{pg_query.ObjectType_OBJECT_TSDICTIONARY, "text search dictionary", qualifiedForm, false},
		{pg_query.ObjectType_OBJECT_TSPARSER, "text search parser", globalForm, false},
		{pg_query.ObjectType_OBJECT_TSTEMPLATE, "text search template", globalForm, false},
		{pg_query.ObjectType_OBJECT_TYPE, "type", typeForm, true},
		{pg_query.ObjectType_OBJECT_USER_MAPPING, "user mapping", globalForm, false},
		{pg_query.ObjectType_OBJECT_VIEW, "view", relationForm, false},
	}
}

func newObjectKinds() map[pg_query.ObjectType]objectKind {
	table := map[pg_query.ObjectType]objectKind{}
	for _, k := range objectKinds() {
		table[k.kind] = k
	}
	return table
}
