package snapshotter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// maxParts is how many parts a source has at most.
const maxParts = 4

// key are the objects that rows of a source belong to, in the order of its parts; 0
// stands for none.
type key [maxParts]catalog.OID

// stamp identifies the recent rows of one key.
type stamp struct {
	rows int64
	sum  int64
}

// recents are the recent rows of each source, and inventory is how many rows there
// are in all. Those of a table are never changed, but replaced.
type (
	recents   map[string]map[key]stamp
	inventory map[string]map[key]int32
)

// size is how many keys there are.
func (r recents) size() int {
	n := 0
	for _, keys := range r {
		n += len(keys)
	}
	return n
}

// readRecents reads which rows of some tables are recent over a base.
func readRecents(ctx context.Context, tx pgx.Tx, over base, from []source) (recents, error) {
	out := make(recents)
	var b strings.Builder
	b.WriteString(withHidden())
	for _, s := range from {
		if len(s.parts) == 0 {
			continue
		}
		if len(out) > 0 {
			b.WriteString("UNION ALL ")
		}
		out[s.table] = make(map[key]stamp)
		fmt.Fprintf(&b, `SELECT '%s', k0, k1, k2, k3, pg_catalog.count(*), pg_catalog.bit_xor(hash)
FROM (SELECT %s, pg_catalog.hash_record_extended(ROW(xmin, ctid), 0) AS hash
	FROM pg_catalog.%s WHERE %s AND %s) AS u GROUP BY k0, k1, k2, k3
`, s.table, s.keyColumns(), s.table, recent, s.visible())
	}
	if len(out) == 0 {
		return out, nil
	}
	// What is asked depends on what has changed: there is no use in keeping the plan.
	rows, err := tx.Query(ctx, b.String(), pgx.QueryExecModeExec, over.xid())
	if err != nil {
		return nil, fmt.Errorf("read what is recent: %w", err)
	}
	var table string
	var k key
	var v stamp
	_, err = pgx.ForEachRow(rows, []any{&table, &k[0], &k[1], &k[2], &k[3], &v.rows, &v.sum}, func() error {
		out[table][k] = v
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is recent: %w", err)
	}
	return out, nil
}

// differing lists the keys whose recent rows are not the same.
func differing(before, after map[key]stamp) []key {
	var out []key
	for k, v := range after {
		if before[k] != v {
			out = append(out, k)
		}
	}
	for k := range before {
		if _, ok := after[k]; !ok {
			out = append(out, k)
		}
	}
	return out
}

// countRows counts a source's rows by key: all of them, or with owners those whose
// first part is among them. The server sends them packed, as there are many.
func countRows(ctx context.Context, tx pgx.Tx, s source, owners []catalog.OID) (map[key]int32, error) {
	where := s.visible()
	if owners != nil {
		where += " AND " + s.parts[0].column + " OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.oid[])"
	} else {
		where += " AND $2::pg_catalog.oid[] IS NULL"
	}
	var packed []byte
	err := tx.QueryRow(ctx, fmt.Sprintf(`%s, counts AS (SELECT k0, k1, k2, k3, pg_catalog.count(*) AS n
	FROM (SELECT %s FROM pg_catalog.%s WHERE %s) AS u GROUP BY k0, k1, k2, k3)
SELECT COALESCE(pg_catalog.string_agg(pg_catalog.oidsend(k0) OPERATOR(pg_catalog.||) pg_catalog.oidsend(k1) OPERATOR(pg_catalog.||)
	pg_catalog.oidsend(k2) OPERATOR(pg_catalog.||) pg_catalog.oidsend(k3) OPERATOR(pg_catalog.||) pg_catalog.int4send(n::pg_catalog.int4), ''), '')
FROM counts`, strings.TrimSpace(withHidden()), s.keyColumns(), s.table, where), base(0).xid(), owners).Scan(&packed)
	if err != nil {
		return nil, fmt.Errorf("count rows of %s: %w", s.table, err)
	}
	const width = 4 * (maxParts + 1)
	if len(packed)%width != 0 {
		return nil, errors.New("count rows: the answer has another length")
	}
	out := make(map[key]int32, len(packed)/width)
	for ; len(packed) > 0; packed = packed[width:] {
		var k key
		for i := range k {
			k[i] = catalog.OID(binary.BigEndian.Uint32(packed[4*i:]))
		}
		out[k] = int32(binary.BigEndian.Uint32(packed[4*maxParts:])) //nolint:gosec // G115: int4send sent it.
	}
	return out, nil
}

func total(counts map[key]int32) int64 {
	sum := int64(0)
	for _, n := range counts {
		sum += int64(n)
	}
	return sum
}

// recount brings the counts of one source up to date and lists the keys that have
// more or fewer rows than before. changed are those that are known to have other rows;
// those of suspects are looked at as well. rows is how many there are now. The rows of
// other keys can only have become fewer, as a row that was added is recent: so when the
// sum is right, they have not.
func recount(ctx context.Context, tx pgx.Tx, s source, counts map[key]int32, changed map[key]bool, suspects map[object]bool, rows int64) (now map[key]int32, others []key, err error) {
	now = maps.Clone(counts)
	for k := range counts {
		for i, p := range s.parts {
			if suspects[object{p.table, k[i]}] {
				changed[k] = true
			}
		}
	}
	owners := make(map[catalog.OID]bool, len(changed))
	for k := range changed {
		owners[k[0]] = true
	}
	if len(owners) > 0 {
		again, err := countRows(ctx, tx, s, slices.Collect(maps.Keys(owners)))
		if err != nil {
			return nil, nil, err
		}
		maps.DeleteFunc(now, func(k key, _ int32) bool { return owners[k[0]] })
		maps.Copy(now, again)
	}
	if total(now) != rows {
		if now, err = countRows(ctx, tx, s, nil); err != nil {
			return nil, nil, err
		}
	}
	for k, n := range counts {
		if now[k] != n {
			others = append(others, k)
		}
	}
	return now, others, nil
}
