package analyze

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestWhatRuns asks which code of a table, view or database a statement has to be
// trusted with, on a catalog that a server made.
func TestWhatRuns(t *testing.T) {
	dsn := pgtest.NewDatabase(t, `
		CREATE SCHEMA s; SET search_path = s;
		CREATE FUNCTION f(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
		CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TABLE t (id int PRIMARY KEY, a int, b int, made int GENERATED ALWAYS AS (b + 1) STORED);
		CREATE TRIGGER ta BEFORE UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION fire();
		CREATE TABLE g (id int, b int, made int GENERATED ALWAYS AS (b + 1) STORED);
		CREATE TRIGGER tg AFTER UPDATE OF made ON g FOR EACH ROW EXECUTE FUNCTION fire();
		CREATE TABLE made (id int, a int, b int, c bool GENERATED ALWAYS AS (f(b)) STORED);
		CREATE TABLE p (b int, a int) PARTITION BY LIST (b);
		CREATE TABLE p1 (a int, b int);
		ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);
		CREATE TRIGGER tp BEFORE UPDATE OF a ON p1 FOR EACH ROW EXECUTE FUNCTION fire();
		CREATE TABLE other (id int);
		CREATE VIEW plain AS SELECT id, a, b FROM t WHERE f(id) AND id IN (SELECT id FROM other);
		CREATE VIEW local AS SELECT id, a FROM t WHERE f(id) WITH LOCAL CHECK OPTION;
		CREATE VIEW above AS SELECT id FROM plain WHERE id > 0 WITH CASCADED CHECK OPTION;
		CREATE TABLE checked (id int, n int, CHECK (f(n)) NOT VALID);
		CREATE DOMAIN small AS int CHECK (f(VALUE));
		CREATE TABLE keyed (id int) PARTITION BY LIST ((f(id)));
		CREATE TABLE part (id int);
		CREATE TABLE lists (id int, n int) PARTITION BY LIST (id);
		CREATE TABLE held (id int, n int, CHECK (f(n)) NOT VALID);
		CREATE TABLE indexed (id int, n int);
		CREATE INDEX ON indexed (id) WHERE n > 0 AND f(7);
		CREATE INDEX ON indexed (f(n));
		CREATE TABLE folded (id int, n int, CHECK (f(7)) NOT VALID);
		CREATE INDEX checked_id ON checked (id);
		CREATE MATERIALIZED VIEW mat AS SELECT 1 AS one;`)
	cases := []struct{ sql, want string }{
		{"UPDATE t SET b = 1", ""},
		{"UPDATE t SET a = 1", "trigger ta of s.t"},
		{"UPDATE t SET (b, a) = (1, 2)", "trigger ta of s.t"},
		{"INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET b = 1", ""},
		{"INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1", "trigger ta of s.t"},
		{"UPDATE plain SET b = 1", "execute f"},
		{"UPDATE plain SET a = 1", "execute f, trigger ta of s.t"},
		{"UPDATE g SET id = 1", "trigger tg of s.g"},
		{"UPDATE made SET a = 1", ""},
		{"UPDATE made SET a = 1, b = 1", "execute f, function s.f"},
		{"UPDATE made SET c = DEFAULT", ""},
		{"INSERT INTO made (a) VALUES (1)", "execute f, function s.f"},
		{"UPDATE p SET a = 1", "trigger tp of s.p1"},
		{"UPDATE p SET b = 1", ""},
		{"INSERT INTO plain (id) VALUES (1)", ""},
		{"UPDATE plain SET b = 1 WHERE id = 1", "execute f"},
		{"INSERT INTO plain (id) VALUES (1) RETURNING id", ""},
		{"INSERT INTO local (id) VALUES (1)", "execute f"},
		{"INSERT INTO above (id) VALUES (1)", "execute f"},
		{"ALTER TABLE checked ALTER n TYPE bigint", "execute f, function s.f"},
		{"ALTER TABLE checked VALIDATE CONSTRAINT checked_n_check", "execute f, function s.f"},
		{"ALTER TABLE checked ALTER n SET DEFAULT 1", ""},
		{"ALTER TABLE checked ADD COLUMN k small", "execute f"},
		{"ALTER TABLE keyed ATTACH PARTITION part FOR VALUES IN (true)", "execute f, function s.f"},
		{"ALTER TABLE lists ATTACH PARTITION held FOR VALUES IN (1)", ""},
		{"ALTER TABLE lists ATTACH PARTITION folded FOR VALUES IN (1)", "execute f, function s.f"},
		{"SELECT id FROM indexed", "execute f, function s.f"},
		{"SELECT id FROM checked", ""},
		{"REINDEX INDEX checked_id", "maintain checked"},
	}
	snap := readSnapshot(t, dsn)
	ask := func(sql string) string {
		got := Analyze(Input{Text: []byte(sql), Context: Context{SearchPath: "s", Role: "postgres"}}, snap)
		if got.Outcome != access.Judge {
			return got.Detail + got.Error.Message
		}
		var all []string
		for _, needed := range got.Statements[0].Accesses {
			switch needed.Action {
			case access.Execute, access.Maintain:
				all = append(all, string(needed.Action)+" "+needed.Resolved.Name)
				if needed.Action == access.Execute {
					continue
				}
			}
			for _, code := range needed.Trust {
				all = append(all, code.Code)
			}
		}
		slices.Sort(all)
		return strings.Join(slices.Compact(all), ", ")
	}
	for _, tc := range cases {
		if got := ask(tc.sql); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.sql, got, tc.want)
		}
	}
	pgtest.Exec(t, dsn, `
		CREATE FUNCTION s.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE FUNCTION s.owner() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN END';
		CREATE EVENT TRIGGER ended ON ddl_command_end EXECUTE FUNCTION s.watch();
		CREATE EVENT TRIGGER written ON table_rewrite EXECUTE FUNCTION s.watch();
		CREATE EVENT TRIGGER definer ON ddl_command_start EXECUTE FUNCTION s.owner();
		CREATE EVENT TRIGGER off ON ddl_command_start EXECUTE FUNCTION s.watch();
		ALTER EVENT TRIGGER off DISABLE`)
	snap = readSnapshot(t, dsn)
	for _, tc := range []struct{ sql, want string }{
		{"CREATE TABLE n (id int)", "event trigger ended"},
		{"CREATE TEMP TABLE n (id int)", "event trigger ended"},
		{"SELECT id INTO n FROM other", "event trigger ended"},
		{"DROP TABLE other", "event trigger ended"},
		{"ALTER TABLE other ADD COLUMN n int", "event trigger ended, event trigger written"},
		{"REFRESH MATERIALIZED VIEW mat", "event trigger ended, maintain mat"},
		{"DISCARD TEMP", ""},
		{"SELECT id FROM other", ""},
		{"TRUNCATE other", ""},
	} {
		if got := ask(tc.sql); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.sql, got, tc.want)
		}
	}
}

// TestWhatGroups: of an operator class PostgreSQL asks for execute of the equality alone,
// and where rows are grouped.
func TestWhatGroups(t *testing.T) {
	dsn := pgtest.NewDatabase(t, `
		CREATE SCHEMA s; SET search_path = s;
		CREATE TYPE pair AS (a int);
		CREATE FUNCTION lt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a < $2.a; END';
		CREATE FUNCTION eq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a = $2.a; END';
		CREATE FUNCTION gt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a > $2.a; END';
		CREATE FUNCTION cmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.a - $2.a; END';
		CREATE OPERATOR <<< (LEFTARG = pair, RIGHTARG = pair, FUNCTION = lt);
		CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = eq);
		CREATE OPERATOR >>> (LEFTARG = pair, RIGHTARG = pair, FUNCTION = gt);
		CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <<<, OPERATOR 3 ===, OPERATOR 5 >>>, FUNCTION 1 cmp(pair, pair);
		CREATE TABLE t (q pair, k int);
		INSERT INTO t VALUES (ROW(1)::pair, 1), (ROW(2)::pair, 2);
		REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA s FROM PUBLIC;
		GRANT USAGE ON SCHEMA s TO pg_monitor; GRANT SELECT ON t TO pg_monitor`)
	snap := readSnapshot(t, dsn)
	for _, tc := range []struct {
		sql  string
		asks bool
	}{
		{"SELECT q, count(*) FROM t GROUP BY q", true},
		{"SELECT count(*) FROM t GROUP BY ROLLUP (k, q)", true},
		{"SELECT DISTINCT q FROM t", true},
		{"SELECT DISTINCT ON (q) k FROM t", true},
		{"SELECT q FROM t UNION SELECT q FROM t", true},
		{"SELECT q FROM t EXCEPT ALL SELECT q FROM t", true},
		{"SELECT rank() OVER (PARTITION BY q) FROM t", true},
		{"SELECT rank() OVER (ORDER BY q) FROM t", true},
		{"SELECT string_agg(DISTINCT q::text, 'x') FROM t", false},
		{"SELECT q FROM t UNION ALL SELECT q FROM t", false},
		{"SELECT q FROM t ORDER BY q", false},
		{"SELECT count(DISTINCT q) FROM t", false},
		{"SELECT array_agg(q ORDER BY q) FROM t", false},
		{"SELECT GREATEST(q, q) FROM t", false},
		{"SELECT ARRAY[q] = ARRAY[q] FROM t", false},
	} {
		got := Analyze(Input{Text: []byte(tc.sql), Context: Context{SearchPath: "s", Role: "postgres"}}, snap)
		asks := false
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s", tc.sql, got.Detail)
			continue
		}
		for _, needed := range got.Statements[0].Accesses {
			asks = asks || needed.Action == access.Execute && needed.Resolved.Name == "eq"
		}
		if asks != tc.asks {
			t.Errorf("%s: execute is asked for: %t", tc.sql, asks)
		}
		// From 18 on EXCEPT and INTERSECT may compare as sorting does, as the plan has it.
		byPlan := snap.ServerVersionNum >= 180000 && strings.Contains(tc.sql, "EXCEPT")
		if denied := runsDenied(t, dsn, tc.sql); denied != tc.asks && !byPlan {
			t.Errorf("%s: PostgreSQL denies it: %t", tc.sql, denied)
		}
	}
}

// runsDenied reports whether PostgreSQL denies a statement to pg_monitor.
func runsDenied(t *testing.T, dsn, sql string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), "SET ROLE pg_monitor; SET search_path = s; "+sql)
	var failed *pgconn.PgError
	if err != nil && (!errors.As(err, &failed) || failed.Code != "42501") {
		t.Errorf("%s: %s", sql, err)
	}
	return err != nil
}
