package analyze

import (
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestInItsPlace: what the planner puts in the place of an operator is asked for, of the
// analysis and by PostgreSQL, which refuses it to a role that may run the operator that
// is written alone.
func TestInItsPlace(t *testing.T) {
	dsn := pgtest.NewDatabase(t, `
		CREATE SCHEMA s; SET search_path = s;
		CREATE TYPE pair AS (a int);
		CREATE FUNCTION lt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a < $2.a; END';
		CREATE FUNCTION eq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a = $2.a; END';
		CREATE TYPE pear AS (a int);
		CREATE FUNCTION crossed(pair, pear) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a = $2.a; END';
		CREATE FUNCTION turned(pear, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a = $2.a; END';
		CREATE FUNCTION ne(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a <> $2.a; END';
		CREATE FUNCTION cmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a - $2.a; END';
		CREATE FUNCTION hash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a; END';
		CREATE OPERATOR <<< (LEFTARG = pair, RIGHTARG = pair, FUNCTION = lt);
		CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = eq, COMMUTATOR = ===, NEGATOR = <>>, HASHES);
		CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pear, FUNCTION = crossed, COMMUTATOR = ===, HASHES);
		CREATE OPERATOR === (LEFTARG = pear, RIGHTARG = pair, FUNCTION = turned, COMMUTATOR = ===, HASHES);
		CREATE OPERATOR <>> (LEFTARG = pair, RIGHTARG = pair, FUNCTION = ne, NEGATOR = ===);
		CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <<<, OPERATOR 3 ===, FUNCTION 1 cmp(pair, pair);
		CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 ===, FUNCTION 1 hash(pair);
		CREATE FUNCTION hash(pear) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a; END';
		ALTER OPERATOR FAMILY pair_hash USING hash ADD OPERATOR 1 === (pair, pear), OPERATOR 1 === (pear, pair), FUNCTION 1 (pear, pear) hash(pear);
		CREATE FUNCTION same(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 OPERATOR(s.===) $2';
		CREATE TABLE t (q pair);
		INSERT INTO t SELECT ROW(i)::pair FROM generate_series(1, 1000) AS i;
		CREATE TABLE u (q pair, p pear);
		INSERT INTO u SELECT ROW(i)::pair, ROW(i)::pear FROM generate_series(1, 20) AS i;
		CREATE VIEW v AS SELECT q === q AS same FROM u;
		ANALYZE t, u;
		REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA s FROM PUBLIC;
		GRANT EXECUTE ON FUNCTION eq, crossed, same TO pg_monitor;
		GRANT USAGE ON SCHEMA s TO pg_monitor; GRANT SELECT ON t, u, v TO pg_monitor`)
	snap := readSnapshot(t, dsn)
	nine := "'" + strings.Repeat("(1)','", 8) + "(9)'"
	for _, tc := range []struct{ sql, asks string }{
		{"SELECT q === q FROM u", ""},
		{"SELECT NOT (q === q) FROM u", "ne"},
		{"SELECT 1 FROM u WHERE NOT (q IS NULL OR q === q)", "ne"},
		{"SELECT (q === q) = false FROM u", "ne"},
		{"SELECT (q === q) <> true FROM u", "ne"},
		{"SELECT NOT same(q, q) FROM u", "ne"},
		{"SELECT NOT same FROM v", "ne"},
		{"SELECT NOT (q OPERATOR(s.===) ANY (ARRAY['(1)']::pair[])) FROM u", "ne"},
		{"SELECT same FROM v", ""},
		{"SELECT NOT (q IS NULL) FROM u", ""},
		{"SELECT count(*) FROM t JOIN u ON t.q === u.p", "turned"},
		{"SELECT count(*) FROM t JOIN u ON t.q === u.q", ""},
		{"SELECT 1 FROM u WHERE q OPERATOR(s.===) ANY (ARRAY[" + nine + "]::pair[])", "hash"},
		{"SELECT 1 FROM u WHERE q OPERATOR(s.===) ANY (ARRAY(SELECT q FROM t))", ""},
		{"SELECT 1 FROM u WHERE q OPERATOR(s.===) ANY (ARRAY[q])", ""},
		{"SELECT dense_rank(ROW(1)::pair) WITHIN GROUP (ORDER BY q) FROM t", ""},
	} {
		got := Analyze(Input{Text: []byte(tc.sql), Context: Context{SearchPath: "s", Role: "postgres"}}, snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s", tc.sql, got.Detail)
			continue
		}
		asks := slices.ContainsFunc(got.Statements[0].Accesses, func(needed access.Access) bool {
			return needed.Action == access.Execute && needed.Resolved.Name == tc.asks
		})
		if asks != (tc.asks != "") {
			t.Errorf("%s: execute of %q is not asked for: %+v", tc.sql, tc.asks, got.Statements[0].Accesses)
		}
		if tc.asks != "ne" && slices.ContainsFunc(got.Statements[0].Accesses, func(needed access.Access) bool { return needed.Resolved.Name == "ne" }) {
			t.Errorf("%s: the negator is asked for", tc.sql)
		}
		if denied := runsDenied(t, dsn, tc.sql); denied != asks {
			t.Errorf("%s: PostgreSQL denies it: %t", tc.sql, denied)
		}
	}
	pgtest.Exec(t, dsn, "REVOKE EXECUTE ON FUNCTION s.eq FROM pg_monitor")
	for sql, asks := range map[string]bool{
		"SELECT dense_rank(ROW(1)::pair) WITHIN GROUP (ORDER BY q) FROM t":          true,
		"SELECT rank(ROW(1)::pair) WITHIN GROUP (ORDER BY q) FROM t":                false,
		"SELECT cume_dist(ROW(1)::pair) WITHIN GROUP (ORDER BY q) FROM t":           false,
		"SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY q) FROM t":              false,
		"SELECT 1 FROM u WHERE q OPERATOR(s.<>>) ALL (ARRAY[" + nine + "]::pair[])": true,
	} {
		got := Analyze(Input{Text: []byte(sql), Context: Context{SearchPath: "s", Role: "postgres"}}, snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s", sql, got.Detail)
			continue
		}
		found := slices.ContainsFunc(got.Statements[0].Accesses, func(needed access.Access) bool {
			return needed.Action == access.Execute && needed.Resolved.Name == "eq"
		})
		if found != asks || runsDenied(t, dsn, sql) != asks {
			t.Errorf("%s: execute of the equality is asked for: %t", sql, found)
		}
	}
}
