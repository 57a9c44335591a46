// Package probe holds the questions that only one session's backend can answer:
// what its temporary objects are, and what its open transaction has made or
// changed. Authz names a probe, the proxy runs its query in the client's own
// session, and authz decodes the answer (catalog.Describe).
//
// A query is one statement that runs under whatever search_path the client has
// chosen, with whatever the client has put there: every function, type, operator,
// collation and relation in it is qualified, names go in as hexadecimal digits,
// and nothing of the client's is called. It gives one row of one text: a JSON
// document, or NULL where there is no such object.
//
// Expressions are printed by the server with names qualified as far as the
// search_path makes it necessary, so the query sets that to pg_catalog for the time
// it takes (set_config, local to the transaction) and puts it back: it leaves the value
// that was in force in force, and leaves what COMMIT and ROLLBACK make of it as it was.
// Names of the session's temporary relations and types are printed without a schema
// under any path. pg_temp stands last in this one, so that a bare name is one of
// pg_catalog if there is one, as in the texts of a snapshot, and a temporary one
// otherwise. The server evaluates in the order that CASE gives it. The statement needs a
// transaction that has not failed; an error in it fails the transaction, as any
// does. pg_get_expr and its kin lock the relations they print for (ACCESS SHARE).
package probe

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Kind is what a probe asks about.
type Kind int

// The kinds. A relation's answer holds its row type and that one's array type as
// well; a type's holds its array type, the multirange of a range, and the relation
// of a composite; a function's holds all functions of the name. Session asks for all
// that a session sees and a snapshot does not show; it has no name, and there is
// always an answer.
const (
	Relation Kind = iota + 1
	Function
	Type
	Session
)

// tempSchema is the name by which a session calls its own temporary schema.
const tempSchema = "pg_temp"

// Query returns the query for the object of that name: as it is stored, not as it
// is quoted in SQL. The schema pg_temp is the session's own. An unknown kind gives
// a query that finds nothing.
func Query(kind Kind, schema, name string) string {
	in := "n.nspname OPERATOR(pg_catalog.=) " + literal(schema)
	if schema == tempSchema {
		in = "n.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"
	}
	named := func(column string) string { return in + " AND " + column + " OPERATOR(pg_catalog.=) " + literal(name) }
	var found string
	switch kind {
	case Relation:
		found = document(`
	SELECT c.oid AS relation, c.reltype AS type, NULL::pg_catalog.oid[] AS functions FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace WHERE ` + named("c.relname"))
	case Type:
		found = document(`
	SELECT t.typrelid AS relation, t.oid AS type, NULL::pg_catalog.oid[] AS functions FROM pg_catalog.pg_type AS t
		JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace WHERE ` + named("t.typname"))
	case Function:
		found = document(`
	SELECT NULL::pg_catalog.oid AS relation, NULL::pg_catalog.oid AS type, pg_catalog.array_agg(p.oid) AS functions FROM pg_catalog.pg_proc AS p
		JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace WHERE ` + named("p.proname") + `
		HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0`)
	case Session:
		found = sessionQuery()
	default:
		found = "NULL"
	}
	return `SELECT CASE WHEN pg_catalog.set_config('search_path', d.path, true) IS NOT NULL THEN d.answer END
FROM (SELECT pg_catalog.current_setting('search_path') AS path,
	CASE WHEN pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true) IS NOT NULL THEN (` + found + `)::pg_catalog.text END AS answer OFFSET 0) AS d`
}

// literal is a name as an expression that holds no character of it.
func literal(name string) string {
	return fmt.Sprintf("pg_catalog.convert_from(pg_catalog.decode('%s', 'hex'), 'UTF8')::pg_catalog.name", hex.EncodeToString([]byte(name)))
}

// document puts the objects that found gives into the fields of catalog.Additions.
func document(found string) string {
	return `SELECT pg_catalog.json_build_object(
	'TempSchema', (SELECT s.nspname FROM pg_catalog.pg_namespace AS s WHERE s.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
	'Relations', (SELECT pg_catalog.json_agg(` + object(relationFields) + `)` + relationFrom + ` WHERE c.oid OPERATOR(pg_catalog.=) o.relation),
	'Types', (SELECT pg_catalog.json_agg(` + object(typeFields) + ` ORDER BY t.oid)` + typeFrom + ` WHERE t.oid OPERATOR(pg_catalog.=) o.type
		OR t.typelem OPERATOR(pg_catalog.=) o.type AND t.typsubscript OPERATOR(pg_catalog.=) 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
		OR m.rngtypid OPERATOR(pg_catalog.=) o.type),
	'Functions', (SELECT pg_catalog.json_agg(` + object(functionFields) + ` ORDER BY p.oid)` + functionFrom + ` WHERE p.oid OPERATOR(pg_catalog.=) ANY (o.functions)))
	FROM (` + found + `) AS o`
}

// field is a field of the catalog's model and the expression that gives it. Where
// an expression is NULL the field is zero.
type field struct{ name, expression string }

func object(fields []field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = "'" + f.name + "', " + f.expression
	}
	return "pg_catalog.json_build_object(" + strings.Join(parts, ",\n\t\t") + ")"
}

// list is an array of objects that a query gives, in an order.
func list(fields []field, order, from string) string {
	return "(SELECT pg_catalog.json_agg(" + object(fields) + " ORDER BY " + order + ") FROM " + from + ")"
}

// oid is an OID as JSON has numbers.
func oid(expression string) string { return "(" + expression + ")::pg_catalog.oid::pg_catalog.int8" }

// oids is an array of OIDs that a query gives, as JSON has numbers.
func oids(query string) string { return "ARRAY(" + query + ")::pg_catalog.int8[]" }

// char is a "char" as a number.
func char(column string) string { return "pg_catalog.ascii(" + column + "::pg_catalog.text)" }

// expressionFields are those of a text of the catalog with what it depends on.
func expressionFields(text, catalog, object string) []field {
	return []field{{"Text", text}, {"References", references(catalog, object)}}
}

// references is what the text of a row of a catalog depends on.
func references(catalog, row string) string { return referencesOf(dependent(catalog, row, "0")) }

// dependent is a condition that pg_depend's row is about a part of an object, 0 for the
// object itself.
func dependent(catalog, object, part string) string {
	return `dep.classid OPERATOR(pg_catalog.=) 'pg_catalog.` + catalog + `'::pg_catalog.regclass
			AND dep.objid OPERATOR(pg_catalog.=) ` + object + ` AND dep.objsubid OPERATOR(pg_catalog.=) ` + part
}

func referencesOf(dependents string) string {
	on := func(what string) string {
		return oids(`SELECT DISTINCT dep.refobjid FROM pg_catalog.pg_depend AS dep
			WHERE dep.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.` + what + `'::pg_catalog.regclass AND (` + dependents + `) ORDER BY dep.refobjid`)
	}
	return object([]field{{"Recorded", "true"}, {"Relations", on("pg_class")}, {"Functions", on("pg_proc")}, {"Operators", on("pg_operator")}})
}

// extension is the name of the extension that an object of a catalog belongs to.
func extension(catalog, object string) string {
	return `(SELECT x.extname FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS x ON x.oid OPERATOR(pg_catalog.=) d.refobjid
		WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.` + catalog + `'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) ` + object + `
			AND d.objsubid OPERATOR(pg_catalog.=) 0 AND d.deptype OPERATOR(pg_catalog.=) 'e'
			AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass)`
}
