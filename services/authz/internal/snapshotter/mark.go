package snapshotter

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// mark identifies the state of the catalog tables, each by its name; see the package
// comment. Marks over the same base are equal when the tables are, and the other way
// round. It is not changed once it was read.
type mark map[string]tally

// tally identifies the state of one table.
type tally struct {
	// rows is how many there are that count.
	rows int64
	// recent is over those that are recent.
	recent string
}

// base is the oldest transaction that was running when a catalog was read: the
// xmin of that snapshot, as an xid8. What it or a later one wrote is recent.
type base uint64

// xid is the base as an xid: without its epoch.
func (b base) xid() string { return strconv.FormatUint(uint64(b)&(1<<32-1), 10) }

// maxAge is how many transactions a base may lie behind. From half of them on,
// 2^31, age() would take it for one of the future.
const maxAge = 1 << 30

// What else a mark is made of.
const (
	markRoles    = "pg_roles"
	markSettings = "pg_settings"
	markDatabase = "pg_database"
)

// markQuery computes the mark over a base, $1: a row for each table.
// hash_record_extended and the hashes of xid and tid are there since PostgreSQL 14.
//
// Most rows are counted and nothing more. Rows of temporary relations, few and
// found by an index, are taken from the count; among recent rows they are looked
// for one by one.
//
// Whose the database is decides what pg_database_owner's members may use.
func markQuery() string {
	var b strings.Builder
	b.WriteString(withHidden())
	b.WriteString(`SELECT 'pg_roles' AS name, pg_catalog.count(*), COALESCE(pg_catalog.sum(
	pg_catalog.hash_record_extended(ROW(oid, rolname, rolcanlogin, rolsuper, rolinherit, rolbypassrls), 0)), 0)::pg_catalog.text
FROM pg_catalog.pg_roles
UNION ALL SELECT 'pg_settings', 1, reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path'
UNION ALL SELECT 'pg_database', 1, datdba::pg_catalog.text FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
`)
	for _, s := range sources() {
		less, recent, where := "", recent, "true"
		if s.owner != "" {
			less = fmt.Sprintf(` OPERATOR(pg_catalog.-) (SELECT pg_catalog.count(*) FROM pg_catalog.%s
	WHERE %s OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT oid FROM hidden)))`, s.table, s.owner)
			recent += " AND " + s.owner + " NOT IN (SELECT oid FROM hidden)"
		}
		if s.where != "" {
			where = s.where
		}
		fmt.Fprintf(&b, `UNION ALL SELECT '%s', pg_catalog.count(*)%s,
	COALESCE(pg_catalog.sum(pg_catalog.hash_record_extended(ROW(xmin, ctid), 0)) FILTER (WHERE %s), 0)::pg_catalog.text
FROM pg_catalog.%s WHERE %s
`, s.table, less, recent, s.table, where)
	}
	return b.String()
}

// readMark computes the mark over a base as tx sees it.
func readMark(ctx context.Context, tx pgx.Tx, over base) (mark, error) {
	rows, err := tx.Query(ctx, markQuery(), over.xid())
	if err != nil {
		return nil, fmt.Errorf("look for changes: %w", err)
	}
	m := make(mark)
	var name string
	var t tally
	_, err = pgx.ForEachRow(rows, []any{&name, &t.rows, &t.recent}, func() error {
		m[name] = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for changes: %w", err)
	}
	if want := len(sources()) + 3; len(m) != want {
		return nil, fmt.Errorf("look for changes: %d tables instead of %d", len(m), want)
	}
	return m, nil
}
