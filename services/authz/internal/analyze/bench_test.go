package analyze

import (
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

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

// BenchmarkColdDecision is what a decision costs that nobody has kept: the whole per
// operation, and its parts apart: what the parser takes, what pre-checks, binding and
// normalising take beside it, and what policy takes.
func BenchmarkColdDecision(b *testing.B) {
	snap := fixture(b).index()
	p, err := policy.Parse([]byte("version: 1\nissuers: [{issuer: https://idp.example.com, audiences: [postgres]}]\n" +
		"scopes: {s: [{actions: [select, insert], objects: ['public.*']}]}\ndeny: [{objects: ['private.*']}]\n"))
	if err != nil {
		b.Fatal(err)
	}
	grants := p.Principal([]string{"s"})
	for name, sql := range benchmarked() {
		in := Input{Text: []byte(sql), Parse: true, Context: publicContext()}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var parsing, analysing, judging time.Duration
			for b.Loop() {
				// The parser runs by itself first, outside of what counts as the whole.
				b.StopTimer()
				start := time.Now()
				if _, err := parse(sql, sql, 15); err != nil {
					b.Fatal(err)
				}
				parsing += time.Since(start)
				b.StartTimer()
				start = time.Now()
				found := Analyze(in, snap)
				analysed := time.Now()
				d := grants.DecideIn(policy.Request{Database: "app"}, found)
				judging += time.Since(analysed)
				analysing += analysed.Sub(start)
				if found.Outcome != access.Judge || !d.Allow {
					b.Fatal(found.Detail, d.Detail)
				}
			}
			each := func(total time.Duration, unit string) {
				b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), unit)
			}
			each(parsing, "parse-ns/op")
			each(analysing-parsing, "bind-ns/op")
			each(judging, "policy-ns/op")
		})
	}
}
