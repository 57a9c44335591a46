package snapshotter

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// mark identifies the state of the catalog tables; see the package comment.
type mark [sha256.Size]byte

// marked lists the catalog tables a snapshot is made of, with the condition that
// leaves temporary objects out. A table that a query of this package reads, or
// whose names pg_get_expr and its kin print, must be here.
var marked = []struct{ table, where string }{
	{"pg_namespace", notTemporarySchema("nspname")},
	{"pg_auth_members", "true"}, // Who has whose USAGE.
	{"pg_db_role_setting", "true"},
	{"pg_class", "relpersistence OPERATOR(pg_catalog.<>) 't'"},
	{"pg_attribute", "attnum OPERATOR(pg_catalog.>) 0 AND " + permanent("attrelid")}, // System columns never change.
	{"pg_attrdef", permanent("adrelid")},
	{"pg_constraint", "connamespace NOT IN (SELECT oid FROM hidden_schemas)"},
	{"pg_index", permanent("indrelid")},
	{"pg_trigger", permanent("tgrelid")},
	{"pg_rewrite", permanent("ev_class")},
	{"pg_policy", permanent("polrelid")},
	{"pg_statistic_ext", permanent("stxrelid")},
	// ALTER SEQUENCE writes the sequence's row whenever it writes to whom it belongs
	// (AlterSequence of sequence.c), which pg_depend has.
	{"pg_sequence", permanent("seqrelid")},
	{"pg_inherits", permanent("inhrelid")},
	{"pg_partitioned_table", "true"},
	{"pg_foreign_table", "true"},
	{"pg_foreign_server", "true"},
	{"pg_type", "typnamespace NOT IN (SELECT oid FROM hidden_schemas)"},
	{"pg_enum", "true"},
	{"pg_range", "true"},
	{"pg_proc", "true"},
	{"pg_aggregate", "true"},
	{"pg_language", "true"},
	{"pg_operator", "true"},
	{"pg_opclass", "true"},
	{"pg_opfamily", "true"},
	{"pg_amop", "true"},
	{"pg_amproc", "true"},
	{"pg_am", "true"},
	{"pg_cast", "true"},
	{"pg_collation", "true"},
	{"pg_ts_config", "true"},
	{"pg_ts_dict", "true"},
	{"pg_extension", "true"},
	// What belongs to an extension; by an index, since the table is large.
	{"pg_depend", "refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype OPERATOR(pg_catalog.=) 'e'"},
}

// notTemporarySchema is the condition that a schema is no session's own.
func notTemporarySchema(column string) string {
	return column + ` OPERATOR(pg_catalog.!~) '^pg_(toast_)?temp_'`
}

func permanent(column string) string { return column + " NOT IN (SELECT oid FROM hidden)" }

// markQuery computes the mark: a row for each table, in the order of their
// names. hash_record_extended and the hashes of xid and tid are there since
// PostgreSQL 14.
func markQuery() string {
	var b strings.Builder
	b.WriteString(`WITH hidden AS MATERIALIZED (
	SELECT oid FROM pg_catalog.pg_class WHERE relpersistence OPERATOR(pg_catalog.=) 't'),
hidden_schemas AS MATERIALIZED (
	SELECT oid FROM pg_catalog.pg_namespace WHERE NOT (` + notTemporarySchema("nspname") + `))
SELECT 'pg_roles' AS name, pg_catalog.count(*), COALESCE(pg_catalog.sum(
	pg_catalog.hash_record_extended(ROW(oid, rolname, rolcanlogin, rolsuper, rolinherit, rolbypassrls), 0)), 0)::pg_catalog.text
FROM pg_catalog.pg_roles
UNION ALL SELECT 'pg_settings', 1, reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path'
`)
	for _, m := range marked {
		fmt.Fprintf(&b, `UNION ALL SELECT '%[1]s', pg_catalog.count(*), COALESCE(pg_catalog.sum(
	pg_catalog.hash_record_extended(ROW(xmin, ctid), 0)), 0)::pg_catalog.text
FROM pg_catalog.%[1]s WHERE %[2]s
`, m.table, m.where)
	}
	b.WriteString("ORDER BY 1")
	return b.String()
}

// readMark computes the mark as tx sees it.
func readMark(ctx context.Context, tx pgx.Tx) (mark, error) {
	rows, err := tx.Query(ctx, markQuery())
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
