package oracle

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShrink(t *testing.T) {
	list := strings.Fields("a b c d e f g h i j k")
	got, err := shrink(list, func(rest []string) (bool, error) {
		return slices.Contains(rest, "c") && slices.Contains(rest, "j"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c", "j"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTokens(t *testing.T) {
	for sql, want := range map[string][]string{
		`SELECT a.b::text, 'x''y' FROM "T ""q" -- z`:      {"SELECT", "a", ".", "b", "::", "text", ",", "'x''y'", "FROM", `"T ""q"`},
		`E'a\'b' U&"d" $1 $t$ ; $t$ /* /* ; */ */ 1e-5+2`: {`E'a\'b'`, `U&"d"`, "$1", "$t$ ; $t$", "1e-5", "+", "2"},
		"a<=b @>c--x\nd := e":                             {"a", "<=", "b", "@>", "c", "d", ":=", "e"},
		"(.5 = a.b), .25e-1, x[1..2]":                     {"(", ".5", "=", "a", ".", "b", ")", ",", ".25e-1", ",", "x", "[", "1..2", "]"},
		"a /* never closed":                               {"a"},
	} {
		if diff := cmp.Diff(want, Tokens(sql)); diff != "" {
			t.Errorf("%s\n%s", sql, diff)
		}
	}
}

// FuzzTokens: every text is cut up to its end.
func FuzzTokens(f *testing.F) {
	f.Add("SELECT 'a' \"b\" $$c$$ -- d\n/* e */ 1.5 @@ :x")
	f.Fuzz(func(t *testing.T, sql string) {
		rest := sql
		for _, token := range Tokens(sql) {
			at := strings.Index(rest, token)
			if token == "" || at < 0 {
				t.Fatalf("%q is not a part of %q", token, rest)
			}
			rest = rest[at+len(token):]
		}
	})
}

func TestQueries(t *testing.T) {
	sql := `BEGIN; EXPLAIN (ANALYZE, COSTS off) SELECT 1; COPY (SELECT 2, (3)) TO STDOUT (FORMAT csv);
		declare c no scroll cursor with hold for values (4); PREPARE p AS (TABLE x); EXECUTE p; DELETE FROM y; CREATE TEMP TABLE z AS SELECT 5;
		EXPLAIN/* ; */SELECT 'x  --'; CREATE TABLE a . "b c" AS SELECT .5-- ;
		; CREATE TABLE d (e int); PREPARE q AS EXPLAIN SELECT 6`
	want := []string{"SELECT 1", "SELECT 2, (3)", "values (4)", "(TABLE x)", "DELETE FROM y", "SELECT 5", "SELECT 'x  --'", "SELECT .5", "SELECT 6"}
	if diff := cmp.Diff(want, queries(sql)); diff != "" {
		t.Error(diff)
	}
}

func TestScript(t *testing.T) {
	text := "\\set x 1\nSELECT 1; -- a; b\nCREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;\n" +
		"SELECT 2 \\gset\nCOPY t FROM stdin;\n1\t;\n\\.\nCREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);\nSELECT '\\d;' \\;SELECT 3"
	want := []string{"SELECT 1", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END", "SELECT 2", "COPY t FROM stdin",
		"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", `SELECT '\d;'`, "SELECT 3"}
	if diff := cmp.Diff(want, Script(text)); diff != "" {
		t.Error(diff)
	}
}
