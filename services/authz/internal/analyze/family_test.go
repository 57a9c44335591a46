package analyze

import (
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// familySchema is a btree family over integers of two sizes, all of whose functions are
// code; m_ is its prefix for int4 with int8, and w_ the other way around.
const familySchema = `
	CREATE SCHEMA s; SET search_path = s;
	DO $$ DECLARE sides text[]; op text[]; BEGIN
		FOREACH sides SLICE 1 IN ARRAY ARRAY[['n_', 'int4', 'int4'], ['m_', 'int4', 'int8'], ['w_', 'int8', 'int4'], ['b_', 'int8', 'int8']] LOOP
			FOREACH op SLICE 1 IN ARRAY ARRAY[['lt', '<', '>', '>=', 'scalarlt'], ['le', '<=', '>=', '>', 'scalarle'], ['eq', '=', '=', '<>', 'eq'],
					['ge', '>=', '<=', '<', 'scalarge'], ['gt', '>', '<', '<=', 'scalargt'], ['ne', '<>', '<>', '=', 'neq']] LOOP
				EXECUTE format('CREATE FUNCTION s.%1$s%2$s(%3$s, %4$s) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS ''BEGIN RETURN $1 %5$s $2; END''',
					sides[1], op[1], sides[2], sides[3], op[2]);
				EXECUTE format('CREATE OPERATOR s.#%1$s# (LEFTARG = %2$s, RIGHTARG = %3$s, FUNCTION = s.%4$s%5$s, COMMUTATOR = OPERATOR(s.#%6$s#), NEGATOR = OPERATOR(s.#%7$s#), RESTRICT = %8$ssel, JOIN = %8$sjoinsel%9$s)',
					op[2], sides[2], sides[3], sides[1], op[1], op[3], op[4], op[5], CASE WHEN op[1] = 'eq' THEN ', MERGES' ELSE '' END);
			END LOOP;
		END LOOP;
	END $$;
	CREATE FUNCTION cmp(int4, int4) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN btint4cmp($1, $2); END';
	CREATE OPERATOR CLASS ops FOR TYPE int4 USING btree AS OPERATOR 1 #<#, OPERATOR 2 #<=#, OPERATOR 3 #=#, OPERATOR 4 #>=#, OPERATOR 5 #>#, FUNCTION 1 cmp(int4, int4);
	ALTER OPERATOR FAMILY ops USING btree ADD
		OPERATOR 1 #<# (int4, int8), OPERATOR 2 #<=# (int4, int8), OPERATOR 3 #=# (int4, int8), OPERATOR 4 #>=# (int4, int8), OPERATOR 5 #># (int4, int8),
		OPERATOR 1 #<# (int8, int4), OPERATOR 2 #<=# (int8, int4), OPERATOR 3 #=# (int8, int4), OPERATOR 4 #>=# (int8, int4), OPERATOR 5 #># (int8, int4),
		OPERATOR 1 #<# (int8, int8), OPERATOR 2 #<=# (int8, int8), OPERATOR 3 #=# (int8, int8), OPERATOR 4 #>=# (int8, int8), OPERATOR 5 #># (int8, int8),
		FUNCTION 1 (int4, int8) btint48cmp(int4, int8), FUNCTION 1 (int8, int4) btint84cmp(int8, int4), FUNCTION 1 (int8, int8) btint8cmp(int8, int8);
	CREATE FUNCTION far(int4, int4) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN btint4cmp($1, $2); END';
	CREATE OPERATOR CLASS far_ops FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 far(int4, int4);
	CREATE TABLE plain (i int4, l int8);
	CREATE TABLE partial (i int4, l int8); CREATE INDEX ON partial (l) WHERE i #<# 9;
	CREATE TABLE mixed (i int4, l int8); CREATE INDEX ON mixed (l) WHERE i #<# 9::int8;
	CREATE TABLE keyed (i int4, l int8); CREATE INDEX ON keyed (i ops);
	CREATE TABLE other (i int4, l int8); CREATE INDEX ON other (i far_ops);
	CREATE TABLE parent (i int4, l int8); CREATE TABLE child (CHECK (i #># 20)) INHERITS (parent);
	CREATE TABLE listed (i int4) PARTITION BY LIST (i ops); CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN (1, 2); CREATE TABLE listed_x PARTITION OF listed DEFAULT;
	CREATE TABLE ranged (i int4) PARTITION BY RANGE (i ops); CREATE TABLE ranged_1 PARTITION OF ranged FOR VALUES FROM (1) TO (2);
	REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA s FROM PUBLIC;
	GRANT USAGE ON SCHEMA s TO pg_monitor; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA s TO pg_monitor`

// TestFamilies: what the statement does not name and PostgreSQL may ask execute for.
// refused says that it does whatever the plan; where nothing is asked for, it must not.
func TestFamilies(t *testing.T) {
	dsn := pgtest.NewDatabase(t, familySchema)
	snap := readSnapshot(t, dsn)
	for _, tc := range []struct {
		sql, named, asks string
		refused          bool
	}{
		{sql: "SELECT 1 FROM plain WHERE i #<# 3", named: "n_lt"},
		{sql: "SELECT 1 FROM plain WHERE i #<# 3 AND i #># 1", named: "n_lt n_gt"},
		{sql: "SELECT 1 FROM plain a JOIN plain b ON a.i #=# b.i", named: "n_eq"},
		{sql: "SELECT 1 FROM plain a JOIN plain b ON a.i #=# b.l", named: "m_eq", asks: "w_eq"},
		{sql: "SELECT 1 FROM plain a JOIN plain b ON a.i #=# b.l JOIN plain c ON c.i #=# b.l", named: "m_eq", asks: "w_eq n_eq b_eq"},
		{sql: "SELECT 1 FROM partial WHERE i #<# 3", named: "n_lt", asks: "n_ge n_le", refused: true},
		{sql: "SELECT 1 FROM partial WHERE 3 #># i", named: "n_gt", asks: "n_le n_ge", refused: true},
		{sql: "SELECT 1 FROM partial WHERE i #<# 3::int8", named: "m_lt", asks: "m_ge w_ge", refused: true},
		{sql: "SELECT 1 FROM partial WHERE l #<# 3::int8", named: "b_lt"},
		{sql: "SELECT 1 FROM mixed WHERE i #<# 3", named: "n_lt", asks: "m_ge w_ge w_le", refused: true},
		{sql: "SELECT 1 FROM partial WHERE i = 3"},
		{sql: "SELECT 1 FROM keyed WHERE 3 #># i", named: "n_gt", asks: "n_lt"},
		{sql: "SELECT 1 FROM keyed WHERE i #># 3", named: "n_gt", asks: "n_lt"},
		{sql: "SELECT 1 FROM keyed WHERE (i, i) OPERATOR(s.#<#) (3, 4)", named: "n_lt", asks: "n_le n_ge n_gt"},
		{sql: "SELECT 1 FROM other WHERE i = 3"},
		{sql: "SELECT 1 FROM ONLY parent WHERE i #<# 3", named: "n_lt"},
		{sql: "SELECT 1 FROM parent WHERE i #<# 3", named: "n_lt", asks: "n_ge n_le", refused: true},
		{sql: "INSERT INTO listed VALUES (7)", named: "n_eq", asks: "n_ne", refused: true},
		{sql: "INSERT INTO listed_1 VALUES (1)", asks: "n_eq n_ne", refused: true},
		{sql: "INSERT INTO ranged_1 VALUES (1)", asks: "n_eq n_ge n_lt n_ne", refused: true},
	} {
		got := Analyze(Input{Text: []byte(tc.sql), Context: Context{SearchPath: "s", Role: "postgres"}}, snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s", tc.sql, got.Detail)
			continue
		}
		named := strings.Fields(tc.named)
		var asked []string
		for _, needed := range got.Statements[0].Accesses {
			if needed.Action == access.Execute && !slices.Contains(named, needed.Resolved.Name) {
				asked = append(asked, needed.Resolved.Name)
			}
		}
		want := strings.Fields(tc.asks)
		slices.Sort(asked)
		slices.Sort(want)
		if !slices.Equal(asked, want) {
			t.Errorf("%s: asks for %q, want %q", tc.sql, asked, want)
		}
		pgtest.Exec(t, dsn, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA s TO pg_monitor")
		for _, name := range want {
			pgtest.Exec(t, dsn, "REVOKE EXECUTE ON FUNCTION s."+name+" FROM pg_monitor")
		}
		if denied := runsDenied(t, dsn, tc.sql); tc.refused && !denied || denied && len(want) == 0 {
			t.Errorf("%s: PostgreSQL refuses it: %t", tc.sql, denied)
		}
	}
}

// TestFamilyTrust: code that runs without a right is trusted by the grant on what brings
// it along.
func TestFamilyTrust(t *testing.T) {
	snap := readSnapshot(t, pgtest.NewDatabase(t, familySchema))
	for sql, want := range map[string]string{
		"SELECT i FROM plain":                           "",
		"SELECT 1 FROM plain WHERE i = 3":               "",
		"SELECT 1 FROM plain WHERE i #<# 3":             "n_lt: operator class s.ops, function s.n_gt, function s.n_ge, function s.n_lt",
		"SELECT i FROM other":                           "",
		"SELECT 1 FROM other WHERE i = 3":               "other: an operator class of s.other",
		"SELECT 1 FROM other WHERE l = 3":               "",
		"SELECT 1 FROM plain JOIN other USING (i)":      "other: an operator class of s.other",
		"SELECT count(*) FROM listed":                   "listed: an operator class of s.listed",
		"SELECT i FROM listed_1":                        "listed_1: an operator class of s.listed",
		"DELETE FROM listed":                            "listed: an operator class of s.listed",
		"CREATE TABLE x (i int4) PARTITION BY LIST (i)": "",
	} {
		got := Analyze(Input{Text: []byte(sql), Context: Context{SearchPath: "s", Role: "postgres"}}, snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s", sql, got.Detail)
			continue
		}
		var trusts []string
		for _, needed := range got.Statements[0].Accesses {
			var code []string
			for _, trust := range needed.Trust {
				code = append(code, trust.Code)
			}
			if len(code) > 0 {
				trusts = append(trusts, needed.Resolved.Name+": "+strings.Join(code, ", "))
			}
		}
		if text := strings.Join(trusts, "; "); text != want {
			t.Errorf("%s: trust in %q, want %q", sql, text, want)
		}
	}
}
