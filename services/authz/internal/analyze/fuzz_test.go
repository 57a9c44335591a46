package analyze

import (
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// FuzzPrecheck: no panic, and what passes is within the limits of the parser.
func FuzzPrecheck(f *testing.F) {
	for _, seed := range lexerSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		seen, err := precheck(text, Limits{}.withDefaults())
		if err == nil && len(seen.parseText) != len(text) {
			t.Fatalf("%q: the parser would get %q", text, seen.parseText)
		}
	})
}

// FuzzAnalyze: no panic, bounded time, and only Judge comes without a reason.
func FuzzAnalyze(f *testing.F) {
	for _, file := range []string{"statements.yaml", "typed.yaml", "legitimate.yaml", "bypass.yaml", "errors.yaml",
		"session.yaml", "tables.yaml", "objects.yaml", "code.yaml"} {
		for _, c := range readCases(f, file) {
			f.Add(c.SQL, c.Parse)
		}
	}
	snap := fixture(f).index()
	f.Fuzz(func(t *testing.T, text string, parse bool) {
		start := time.Now()
		got := Analyze(Input{Text: []byte(text), Parse: parse, Context: publicContext()}, snap)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
		if got.Outcome == access.Judge != (got.Reason == access.Granted) {
			t.Fatalf("%+v", got)
		}
		if (got.Outcome == access.Failed || got.Outcome == access.Hidden || got.Outcome == access.Refused) && (got.Error.SQLState == "" || got.Error.Message == "") {
			t.Fatalf("%+v", got)
		}
	})
}

// benchmarked are statements of the sizes that a cold decision meets.
func benchmarked() map[string]string {
	return map[string]string{
		"point":    "SELECT id, total FROM orders WHERE id = $1",
		"join":     "SELECT c.name, sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.created_at > now() - interval '1 day' GROUP BY c.name ORDER BY 2 DESC LIMIT 10",
		"insert":   "INSERT INTO orders (id, customer_id, total, note) VALUES ($1, $2, $3, $4) RETURNING id",
		"analytic": "WITH recent AS (SELECT * FROM orders WHERE created_at > now() - interval '7 days'), ranked AS (SELECT r.*, rank() OVER (PARTITION BY customer_id ORDER BY total DESC) AS place FROM recent r) SELECT c.name, coalesce(sum(k.total), 0)::numeric(12,2) AS turnover, count(*) FILTER (WHERE k.note ILIKE '%gift%') AS gifts, max(k.doc->>'source') FROM customers c LEFT JOIN ranked k ON k.customer_id = c.id AND k.place <= 3 WHERE c.email LIKE '%@example.com' AND (c.id, c.name) IN (SELECT customer_id, note FROM orders) GROUP BY c.id, c.name HAVING sum(k.total) > 10 ORDER BY turnover DESC NULLS LAST LIMIT 50",
		"large":    "SELECT id FROM orders WHERE id IN (1" + strings.Repeat(", 2", 999) + ")",
	}
}

// BenchmarkAnalyze measures a cold decision without policy: pre-checks, parser, binding.
func BenchmarkAnalyze(b *testing.B) {
	snap := fixture(b).index()
	for name, sql := range benchmarked() {
		in := Input{Text: []byte(sql), Parse: true, Context: publicContext()}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := Analyze(in, snap); got.Outcome != access.Judge {
					b.Fatal(got.Detail)
				}
			}
		})
	}
}

// BenchmarkParse measures the part of it that is the parser's.
func BenchmarkParse(b *testing.B) {
	for name, sql := range benchmarked() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(sql, sql, 15); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
