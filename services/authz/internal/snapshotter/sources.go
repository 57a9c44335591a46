package snapshotter

import (
	"fmt"
	"strings"
)

// source is a catalog table that a snapshot is made of. A table that a query of
// this package reads, or whose names pg_get_expr and its kin print, must be in
// sources. Rows of temporary objects do not count: owner is the indexed column that
// names the relation which a row hangs off, or where is a condition of its own.
type source struct {
	table, owner, where string
	// parts are the objects that a row is a part of. The first has an index.
	parts []part
	// lists are what a snapshot holds of the table as a whole.
	lists lists
}

// part is an OID in a catalog row. Of pg_class, pg_type and pg_proc, it names an
// object that is read by itself; of any other catalog table, one whose name texts
// can show.
type part struct{ table, column string }

// lists are the parts of a snapshot that are read as a whole when a table changes
// that they are made of: all of them are small.
type lists uint

const (
	listSchemas lists = 1 << iota
	listRoles
	listOperators
	listCasts
	listOperatorClasses
	listCollations
	listExtensions
	listEventTriggers
	listGlobals
	listTextSearch
	listSettings

	allLists = 1<<iota - 1
)

// The catalog tables of objects that are read one by one.
const (
	pgClass = "pg_class"
	pgType  = "pg_type"
	pgProc  = "pg_proc"
)

// The tables of what names a text can show besides.
const (
	pgConstraint = "pg_constraint"
	pgOperator   = "pg_operator"
	pgCollation  = "pg_collation"
)

func sources() []source {
	of := func(column string) []part { return []part{{pgClass, column}} }
	return []source{
		{table: "pg_namespace", where: notTemporarySchema("nspname"), lists: listSchemas | listOperators | listOperatorClasses | listCollations | listExtensions | listTextSearch},
		{table: "pg_auth_members", lists: listSchemas | listRoles}, // Who has whose USAGE.
		{table: "pg_db_role_setting", lists: listRoles},
		{table: pgClass, where: "relpersistence OPERATOR(pg_catalog.<>) 't' AND relnamespace OPERATOR(pg_catalog.<>) 'pg_toast'::pg_catalog.regnamespace", parts: of("oid")},
		{table: "pg_attribute", owner: "attrelid", parts: of("attrelid")},
		{table: "pg_attrdef", owner: "adrelid", parts: of("adrelid")},
		{table: pgConstraint, where: "connamespace NOT IN (SELECT oid FROM hidden_schemas)", parts: []part{{pgClass, "conrelid"}, {pgType, "contypid"}, {pgClass, "confrelid"}, {pgConstraint, "oid"}}},
		{table: "pg_index", owner: "indrelid", parts: []part{{pgClass, "indrelid"}, {pgClass, "indexrelid"}}},
		{table: "pg_trigger", owner: "tgrelid", parts: of("tgrelid")},
		{table: "pg_rewrite", owner: "ev_class", parts: of("ev_class")},
		{table: "pg_policy", owner: "polrelid", parts: of("polrelid")},
		{table: "pg_statistic_ext", owner: "stxrelid", parts: of("stxrelid")},
		// ALTER SEQUENCE writes the sequence's row whenever it writes to whom it belongs
		// (AlterSequence of sequence.c), which pg_depend has.
		{table: "pg_sequence", owner: "seqrelid", parts: of("seqrelid")},
		{table: "pg_inherits", owner: "inhrelid", parts: []part{{pgClass, "inhrelid"}, {pgClass, "inhparent"}}},
		{table: "pg_partitioned_table", parts: of("partrelid")},
		{table: "pg_foreign_table", parts: of("ftrelid")},
		{table: "pg_foreign_server", lists: listGlobals, parts: []part{{"pg_foreign_server", "oid"}}},
		{table: "pg_foreign_data_wrapper", lists: listGlobals},
		{table: "pg_publication", lists: listGlobals},
		{table: pgType, where: "typnamespace NOT IN (SELECT oid FROM hidden_schemas)", parts: []part{{pgType, "oid"}}},
		{table: "pg_enum", parts: []part{{pgType, "enumtypid"}}},
		{table: "pg_range", parts: []part{{pgType, "rngtypid"}, {pgType, "rngmultitypid"}}},
		{table: pgProc, parts: []part{{pgProc, "oid"}}},
		{table: "pg_aggregate", parts: []part{{pgProc, "aggfnoid"}}},
		{table: "pg_language", lists: listGlobals, parts: []part{{"pg_language", "oid"}}},
		{table: pgOperator, lists: listOperators},
		{table: "pg_opclass", lists: listOperatorClasses},
		{table: "pg_opfamily", lists: listOperatorClasses},
		{table: "pg_amop", lists: listOperatorClasses},
		{table: "pg_amproc", lists: listOperatorClasses},
		{table: "pg_am", lists: listOperatorClasses},
		{table: "pg_cast", lists: listCasts},
		{table: pgCollation, lists: listCollations, parts: []part{{pgCollation, "oid"}}},
		{table: "pg_ts_config", lists: listTextSearch, parts: []part{{"pg_ts_config", "oid"}}},
		{table: "pg_ts_dict", lists: listTextSearch, parts: []part{{"pg_ts_dict", "oid"}}},
		{table: "pg_extension", lists: listExtensions},
		{table: "pg_event_trigger", lists: listEventTriggers},
		// What belongs to an extension; what a text depends on is written with the row that
		// has the text. By an index, since the table is large.
		{table: "pg_depend", where: "refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype OPERATOR(pg_catalog.=) 'e'",
			parts: []part{
				{"", "objid"},
				{pgType, "CASE WHEN classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass THEN objid ELSE 0 END"},
				{pgProc, "CASE WHEN classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass THEN objid ELSE 0 END"},
			}},
	}
}

// counted reports whether how many rows each object has is kept: that tells which
// objects have lost rows.
func (s source) counted() bool {
	for _, p := range s.parts {
		if p.table == pgClass || p.table == pgType || p.table == pgProc {
			return true
		}
	}
	return false
}

// notTemporarySchema is the condition that a schema is no session's own.
func notTemporarySchema(column string) string {
	return column + ` OPERATOR(pg_catalog.!~) '^pg_(toast_)?temp_'`
}

// withHidden begins a query over sources: which rows are those of temporary objects,
// and how old a transaction is that counts as recent, over the base $1.
func withHidden() string {
	return `WITH hidden AS MATERIALIZED (
	SELECT oid FROM pg_catalog.pg_class WHERE relpersistence OPERATOR(pg_catalog.=) 't'),
hidden_schemas AS MATERIALIZED (
	SELECT oid FROM pg_catalog.pg_namespace WHERE NOT (` + notTemporarySchema("nspname") + `)),
base AS MATERIALIZED (SELECT pg_catalog.age($1::pg_catalog.text::pg_catalog.xid) AS age)
`
}

// recent is the condition that a row was written by the base or later.
const recent = "pg_catalog.age(xmin) OPERATOR(pg_catalog.<=) (SELECT age FROM base)"

// visible is the condition that a row counts.
func (s source) visible() string {
	switch {
	case s.where != "":
		return s.where
	case s.owner != "":
		return s.owner + " NOT IN (SELECT oid FROM hidden)"
	default:
		return "true"
	}
}

// keyColumns are the parts' OIDs as a list of columns k0, k1 and so on.
func (s source) keyColumns() string {
	columns := make([]string, maxParts)
	for i := range columns {
		column := "0"
		if i < len(s.parts) {
			column = s.parts[i].column
		}
		columns[i] = fmt.Sprintf("(%s)::pg_catalog.oid AS k%d", column, i)
	}
	return strings.Join(columns, ", ")
}
