package snapshotter

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// mark identifies the state of the catalog tables; see the package comment. Marks
// over the same base are equal when the tables are, and the other way round.
type mark [sha256.Size]byte

// base is the oldest transaction that was running when a catalog was read: the
// xmin of that snapshot, as an xid8. What it or a later one wrote is recent.
type base uint64

// xid is the base as an xid: without its epoch.
func (b base) xid() string { return strconv.FormatUint(uint64(b)&(1<<32-1), 10) }

// maxAge is how many transactions a base may lie behind. From half of them on,
// 2^31, age() would take it for one of the future.
const maxAge = 1 << 30

// marked lists the catalog tables a snapshot is made of. A table that a query of
// this package reads, or whose names pg_get_expr and its kin print, must be here.
// Rows of temporary objects do not count: owner is the indexed column that names
// the relation which a row hangs off, or where is a condition of its own.
var marked = []struct{ table, owner, where string }{
	{table: "pg_namespace", where: notTemporarySchema("nspname")},
	{table: "pg_auth_members"}, // Who has whose USAGE.
	{table: "pg_db_role_setting"},
	{table: "pg_class", where: "relpersistence OPERATOR(pg_catalog.<>) 't'"},
	{table: "pg_attribute", owner: "attrelid"},
	{table: "pg_attrdef", owner: "adrelid"},
	{table: "pg_constraint", where: "connamespace NOT IN (SELECT oid FROM hidden_schemas)"},
	{table: "pg_index", owner: "indrelid"},
	{table: "pg_trigger", owner: "tgrelid"},
	{table: "pg_rewrite", owner: "ev_class"},
	{table: "pg_policy", owner: "polrelid"},
	{table: "pg_statistic_ext", owner: "stxrelid"},
	// ALTER SEQUENCE writes the sequence's row whenever it writes to whom it belongs
	// (AlterSequence of sequence.c), which pg_depend has.
	{table: "pg_sequence", owner: "seqrelid"},
	{table: "pg_inherits", owner: "inhrelid"},
	{table: "pg_partitioned_table"},
	{table: "pg_foreign_table"},
	{table: "pg_foreign_server"},
	{table: "pg_type", where: "typnamespace NOT IN (SELECT oid FROM hidden_schemas)"},
	{table: "pg_enum"},
	{table: "pg_range"},
	{table: "pg_proc"},
	{table: "pg_aggregate"},
	{table: "pg_language"},
	{table: "pg_operator"},
	{table: "pg_opclass"},
	{table: "pg_opfamily"},
	{table: "pg_amop"},
	{table: "pg_amproc"},
	{table: "pg_am"},
	{table: "pg_cast"},
	{table: "pg_collation"},
	{table: "pg_ts_config"},
	{table: "pg_ts_dict"},
	{table: "pg_extension"},
	{table: "pg_event_trigger"},
	// What belongs to an extension; what a text depends on is written with the row that
	// has the text. By an index, since the table is large.
	{table: "pg_depend", where: "refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype OPERATOR(pg_catalog.=) 'e'"},
}

// notTemporarySchema is the condition that a schema is no session's own.
func notTemporarySchema(column string) string {
	return column + ` OPERATOR(pg_catalog.!~) '^pg_(toast_)?temp_'`
}

// markQuery computes the mark over a base, $1: a row for each table, in the order
// of their names. hash_record_extended and the hashes of xid and tid are there
// since PostgreSQL 14.
//
// Most rows are counted and nothing more. Rows of temporary relations, few and
// found by an index, are taken from the count; among recent rows they are looked
// for one by one.
func markQuery() string {
	var b strings.Builder
	b.WriteString(`WITH hidden AS MATERIALIZED (
	SELECT oid FROM pg_catalog.pg_class WHERE relpersistence OPERATOR(pg_catalog.=) 't'),
hidden_schemas AS MATERIALIZED (
	SELECT oid FROM pg_catalog.pg_namespace WHERE NOT (` + notTemporarySchema("nspname") + `)),
base AS MATERIALIZED (SELECT pg_catalog.age($1::pg_catalog.text::pg_catalog.xid) AS age)
SELECT 'pg_roles' AS name, pg_catalog.count(*), COALESCE(pg_catalog.sum(
	pg_catalog.hash_record_extended(ROW(oid, rolname, rolcanlogin, rolsuper, rolinherit, rolbypassrls), 0)), 0)::pg_catalog.text
FROM pg_catalog.pg_roles
UNION ALL SELECT 'pg_settings', 1, reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path'
`)
	for _, m := range marked {
		less, recent, where := "", "pg_catalog.age(xmin) OPERATOR(pg_catalog.<=) (SELECT age FROM base)", "true"
		if m.owner != "" {
			less = fmt.Sprintf(` OPERATOR(pg_catalog.-) (SELECT pg_catalog.count(*) FROM pg_catalog.%s
	WHERE %s OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT oid FROM hidden)))`, m.table, m.owner)
			recent += " AND " + m.owner + " NOT IN (SELECT oid FROM hidden)"
		}
		if m.where != "" {
			where = m.where
		}
		fmt.Fprintf(&b, `UNION ALL SELECT '%s', pg_catalog.count(*)%s,
	COALESCE(pg_catalog.sum(pg_catalog.hash_record_extended(ROW(xmin, ctid), 0)) FILTER (WHERE %s), 0)::pg_catalog.text
FROM pg_catalog.%s WHERE %s
`, m.table, less, recent, m.table, where)
	}
	b.WriteString("ORDER BY 1")
	return b.String()
}

// readMark computes the mark over a base as tx sees it.
func readMark(ctx context.Context, tx pgx.Tx, over base) (mark, error) {
	rows, err := tx.Query(ctx, markQuery(), over.xid())
	if err != nil {
		return mark{}, fmt.Errorf("look for changes: %w", err)
	}
	h := sha256.New()
	var name, sum string
	var count int64
	tag, err := pgx.ForEachRow(rows, []any{&name, &count, &sum}, func() error {
		_, err := fmt.Fprintf(h, "%s %d %s\n", name, count, sum)
		return err
	})
	if err != nil {
		return mark{}, fmt.Errorf("look for changes: %w", err)
	}
	if n := tag.RowsAffected(); n != int64(len(marked)+2) {
		return mark{}, fmt.Errorf("look for changes: %d rows", n)
	}
	return mark(h.Sum(nil)), nil
}
