package analyze

import (
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestSec_T27_ParserBombs: texts that would exhaust a parser's stack or time are refused
// or denied soon, within a small stack. The time is generous: machines that run tests
// are busy, and what is guarded against takes seconds or for ever.
func TestSec_T27_ParserBombs(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(64 << 20))
	for _, size := range []int{1 << 20, 200_000, 40_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) { explode(t, size) })
	}
}

func explode(t *testing.T, size int) {
	fill := func(prefix, unit, suffix string) string {
		return prefix + strings.Repeat(unit, (size-len(prefix)-len(suffix))/len(unit)) + suffix
	}
	list := func(prefix, suffix string, item func(int) string) string {
		var out strings.Builder
		out.WriteString(prefix)
		for i := 0; out.Len() < size-200; i++ {
			if i > 0 {
				out.WriteString(",")
			}
			out.WriteString(item(i))
		}
		return out.String() + suffix
	}
	for name, text := range map[string]string{
		"parentheses":            fill("SELECT ", "(", ""),
		"closed parentheses":     "SELECT " + strings.Repeat("(", size/2-10) + "1" + strings.Repeat(")", size/2-10),
		"brackets":               fill("SELECT ARRAY", "[", ""),
		"NOT":                    fill("SELECT ", "NOT ", "true"),
		"subqueries":             fill("", "SELECT(", ""),
		"CASE":                   fill("SELECT ", "CASE WHEN ", ""),
		"additions":              fill("SELECT 1", "+1", ""),
		"casts":                  fill("SELECT 1", "::int", ""),
		"unions":                 fill("SELECT 1", " UNION SELECT 1", ""),
		"comments":               strings.Repeat("/*", size/4) + strings.Repeat("*/", size/4) + "SELECT 1",
		"minus":                  fill("SELECT ", "- ", "1"),
		"joins":                  fill("SELECT 1 FROM orders", " JOIN orders ON true", ""),
		"functions":              fill("SELECT ", "abs(", ""),
		"IN":                     list("SELECT id FROM orders WHERE id IN (", ")", strconv.Itoa),
		"CTEs":                   list("WITH ", " SELECT 1", func(i int) string { return "a" + strconv.Itoa(i) + " AS (SELECT 1)" }),
		"CTEs in CTEs":           fill("", "WITH a AS (", ""),
		"statements":             fill("", "SELECT 1;", ""),
		"prepared statements":    list("SELECT 1", "", func(i int) string { return "1;PREPARE p" + strconv.Itoa(i) + " AS SELECT 1" }),
		"settings":               fill("", "SET work_mem = 64;", ""),
		"columns of a table":     list("CREATE TABLE t9 (", ")", func(i int) string { return "c" + strconv.Itoa(i) + " int" }),
		"subcommands":            fill("ALTER TABLE orders DROP COLUMN x", ", DROP COLUMN x", ""),
		"options":                list("EXPLAIN (", ") SELECT 1", func(i int) string { return "o" + strconv.Itoa(i) }),
		"a body in a body":       fill("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $a$ SELECT ", "(", " $a$"),
		"savepoints":             list("BEGIN", "", func(i int) string { return ";SAVEPOINT s" + strconv.Itoa(i) }),
		"dropped with CASCADE":   fill("", "DROP TABLE orders CASCADE;", ""),
		"a path of many schemas": list("SET search_path = ", "", func(i int) string { return "s" + strconv.Itoa(i) }),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got := Analyze(Input{Text: []byte(text), Context: publicContext()}, fixture(t).index())
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("%d bytes took %v", len(text), took)
			}
			if size == 1<<20 && got.Outcome != access.Refused && got.Outcome != access.Failed {
				t.Errorf("%s %s", outcomeName(got.Outcome), got.Detail)
			}
		})
	}
}
