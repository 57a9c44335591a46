package analyze

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// bombs are texts that would overflow the C parser's stack, take it quadratic time
// or let it fill the memory.
func bombs() map[string]string {
	repeat := strings.Repeat
	multi := "1"
	for range 30 {
		multi = "(WITH x AS (UPDATE t SET (a, b) = (SELECT 1, " + multi + ") RETURNING 1) SELECT 1 FROM x)"
	}
	return map[string]string{
		"parentheses":           "SELECT " + repeat("(", 10_000) + "1" + repeat(")", 10_000),
		"a megabyte of (":       repeat("(", 1<<20-1),
		"brackets":              "SELECT ARRAY" + repeat("[", 10_000) + "1" + repeat("]", 10_000),
		"subqueries":            repeat("SELECT (", 50_000) + "1" + repeat(")", 50_000),
		"operators":             "SELECT a" + repeat(" + a", 50_000),
		"operators in halves":   "SELECT " + repeat("(", 900) + "a" + repeat(repeat("+a", 100)+")", 900),
		"prefix operators":      "SELECT " + repeat("- ", 100_000) + "1",
		"pluses":                "SELECT 1" + repeat("+", 1<<19),
		"casts":                 "SELECT a" + repeat("::int", 50_000),
		"collations":            "SELECT a" + repeat(` COLLATE "C"`, 50_000),
		"null tests":            "SELECT a" + repeat(" IS NULL", 50_000),
		"not":                   "SELECT " + repeat("NOT ", 100_000) + "a",
		"unions":                "SELECT 1" + repeat(" UNION SELECT 1", 50_000),
		"unions of two columns": "SELECT 1, 1" + repeat(" UNION SELECT 1, 1", 40_000),
		"joins":                 "SELECT 1 FROM a" + repeat(" JOIN a ON b", 50_000),
		"natural joins":         "SELECT 1 FROM a" + repeat(" NATURAL JOIN a", 50_000),
		"case":                  "SELECT " + repeat("CASE WHEN a THEN ", 20_000) + "1" + repeat(" END", 20_000),
		"case around a field":   "SELECT " + repeat("CASE WHEN a.end THEN ", 20_000) + "1" + repeat(" END", 20_000),
		"comments":              "SELECT " + repeat("/*", 100_000) + repeat("*/", 100_000) + " 1",
		"atomic bodies":         repeat("CREATE FUNCTION f() BEGIN ATOMIC ", 10_000),
		"tokens":                "SELECT 1" + repeat(",1", 400_000),
		"multiple assignment":   "UPDATE t SET (" + strings.TrimSuffix(repeat("a,", 50_000), ",") + ") = (SELECT 1" + repeat(",1", 40_000) + ")",
		"nested assignments":    "SELECT " + multi,
		"length":                "SELECT '" + repeat("x", 1<<20) + "'",
	}
}

// TestBombs: each is refused in linear time, before the parser.
func TestBombs(t *testing.T) {
	snap := fixture(t).index()
	for name, text := range bombs() {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got := Analyze(Input{Text: []byte(text), Context: publicContext()}, snap)
			if got.Outcome != access.Refused || got.Reason != access.Limit || !strings.HasPrefix(got.Error.SQLState, "5400") || got.Error.Message == "" {
				t.Errorf("%+v", got)
			}
			// A hundred times what it takes: the bound is for what is quadratic.
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestPrecheckTakesRealTexts: what people send in bulk is within the limits.
func TestPrecheckTakesRealTexts(t *testing.T) {
	repeat := strings.Repeat
	for name, text := range map[string]string{
		"many rows of negative numbers": "INSERT INTO order_items VALUES (1,-1,-2)" + repeat(",(-1,-2,-3)", 9_000),
		"many casts":                    "INSERT INTO orders (created_at) VALUES ('2020-01-01'::timestamptz)" + repeat(",('2020-01-01'::timestamptz)", 9_000),
		"a long IN":                     "SELECT id FROM orders WHERE id IN (1" + repeat(",-2", 20_000) + ")",
		"a long OR":                     "SELECT id FROM orders WHERE id = 1" + repeat(" OR id = 2", 4_000),
		"a long script":                 "SELECT 1 + 1" + repeat("; SELECT 1 + 1 UNION SELECT 2", 5_000),
		"a long comment":                "/*" + repeat(" *", 200_000) + "/ SELECT 1 --" + repeat("-", 200_000),
		"nesting":                       "SELECT " + repeat("(", 900) + "1" + repeat(")", 900),
		"operators":                     "SELECT 1" + repeat(" + 1", 4_800),
		"a column named end":            "SELECT id AS end, id AS case, (id) AS end FROM orders",
		"multiple assignment":           "UPDATE orders SET (total, note) = (1, 'x'), (id, doc) = (SELECT 1, '{}'::jsonb) WHERE id IN (1" + repeat(",2", 9_000) + ")",
	} {
		t.Run(name, func(t *testing.T) {
			got := Analyze(Input{Text: []byte(text), Context: publicContext()}, fixture(t).index())
			if got.Outcome != access.Judge {
				t.Errorf("%v %v %v %v", outcomeName(got.Outcome), got.Reason, got.Detail, got.Error)
			}
		})
	}
}

// TestNearTheLimits: the deepest trees that pass the pre-check do not overflow the
// parser's stack, or anything after it.
func TestNearTheLimits(t *testing.T) {
	repeat := strings.Repeat
	for name, text := range map[string]string{
		"operators":              "SELECT a" + repeat(" + a", 4_890),
		"casts":                  "SELECT 1" + repeat("::int", 4_890),
		"collations":             "SELECT ''" + repeat(` COLLATE "C"`, 4_890),
		"null tests":             "SELECT 1" + repeat(" IS NULL", 4_890),
		"unions":                 "SELECT 1" + repeat(" UNION SELECT 1", 4_890),
		"joins":                  "SELECT 1 FROM base" + repeat(" CROSS JOIN base", 4_800),
		"joins with conditions":  "SELECT 1 FROM base" + repeat(" JOIN base ON true", 2_400),
		"natural joins":          "SELECT 1 FROM base" + repeat(" NATURAL JOIN base", 200),
		"not":                    "SELECT " + repeat("NOT ", 4_890) + "true",
		"minus":                  "SELECT " + repeat("- ", 4_890) + "a",
		"case":                   "SELECT " + repeat("CASE WHEN true THEN ", 990) + "1" + repeat(" END", 990),
		"subqueries":             repeat("SELECT (", 990) + "SELECT 1" + repeat(")", 990),
		"subqueries in FROM":     repeat("SELECT * FROM (", 990) + "SELECT 1" + repeat(") s", 990),
		"with":                   repeat("WITH x AS (", 990) + "SELECT 1" + repeat(") SELECT * FROM x", 990),
		"subqueries and sums":    repeat("SELECT 1+1+1+1+(", 990) + "SELECT 1" + repeat(")", 990),
		"calls":                  "SELECT " + repeat("lower(", 990) + "''" + repeat(")", 990),
		"arrays":                 "SELECT " + repeat("ARRAY[", 990) + "1" + repeat("]", 990),
		"rows":                   "SELECT " + repeat("ROW(", 990) + "1" + repeat(")", 990),
		"doubled columns":        "SELECT * FROM " + repeat("(SELECT s.*, s.* FROM ", 40) + "base s" + repeat(") s", 40),
		"many names, many lists": "SELECT " + strings.TrimSuffix(repeat("zz,", 40_000), ",") + " FROM " + strings.TrimSuffix(repeat("base,", 40_000), ","),
		"many queries":           "WITH " + strings.TrimSuffix(repeat("a AS (SELECT 1),", 15_000), ",") + " SELECT 1 FROM " + strings.TrimSuffix(repeat("z,", 30_000), ","),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got := Analyze(Input{Text: []byte(text), Context: publicContext()}, fixture(t).index())
			t.Log(outcomeName(got.Outcome), got.Detail, time.Since(start))
			if got.Outcome == access.Refused && got.Reason != access.Limit {
				t.Errorf("%+v", got)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestNothingUnmeasuredIsParsed: what stops the lexer must stop the parser, or the
// text stays out of it; the rest was not measured.
func TestNothingUnmeasuredIsParsed(t *testing.T) {
	bomb := strings.Repeat(" + a", 100_000)
	for _, start := range []string{"SELECT $1a", "SELECT 1a", "SELECT 1e+", "SELECT 0x", "SELECT 0b12", "SELECT \"\"", "SELECT 1_", "SELECT $1é", "SELECT 1e5$"} {
		got := Analyze(Input{Text: []byte(start + bomb), Parse: true, Context: publicContext()}, fixture(t).index())
		if got.Outcome != access.Failed && got.Outcome != access.Denied {
			t.Errorf("%s: %+v", start, got)
		}
	}
}

func TestEncoding(t *testing.T) {
	for text, message := range map[string]string{
		"SELECT 1\x00; DROP TABLE orders": `invalid byte sequence for encoding "UTF8": 0x00`,
		"SELECT '\xc0'' OR 1=1":           `invalid byte sequence for encoding "UTF8": 0xc0 0x27`,
		"SELECT '\xed\xa0\x80'":           `invalid byte sequence for encoding "UTF8": 0xed 0xa0 0x80`,
		"SELECT '\xf8'":                   `invalid byte sequence for encoding "UTF8": 0xf8`,
		"SELECT '\xe6\x97":                `invalid byte sequence for encoding "UTF8": 0xe6 0x97`,
		"SELECT '\xc1\xbf'":               `invalid byte sequence for encoding "UTF8": 0xc1 0xbf`,
	} {
		got := Analyze(Input{Text: []byte(text), Context: publicContext()}, fixture(t).index())
		want := access.Analysis{Outcome: access.Refused, Reason: access.Encoding, Detail: "text is not valid UTF-8",
			Error: access.Error{SQLState: "22021", Message: message}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q\n%s", text, diff)
		}
	}
}
