package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// largePolicy has 1,000 scopes with 10 grants each, and denies.
func largePolicy(tb testing.TB) *Policy {
	tb.Helper()
	var b strings.Builder
	b.WriteString(minimal + "scopes:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "  scope%d:\n", i)
		for j := range 10 {
			fmt.Fprintf(&b, "    - actions: [select, insert]\n      objects: [public.t%d_%d, app%d.*]\n", i, j, i)
			if j%2 == 0 {
				b.WriteString("      columns: [id, total, status, tenant_id]\n")
			}
		}
	}
	b.WriteString("deny:\n  - objects: ['private.*', 'schema:closed', '*.secret']\n  - objects: [public.t1_0]\n    columns: [password]\n")
	p, err := Parse([]byte(b.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func twentyScopes() []string {
	scopes := make([]string, 20)
	for i := range scopes {
		scopes[i] = fmt.Sprintf("scope%d", i*7)
	}
	return scopes
}

// typical is what `SELECT o.id, o.total, c.name FROM orders o JOIN customers c …`
// touches.
func typical() access.Analysis {
	table := func(name string, columns ...string) access.Access {
		o := access.Object{Kind: access.Table, Schema: "public", Name: name}
		return access.Access{Action: access.Select, Named: o, Resolved: o, Columns: columns}
	}
	return access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Kind: "select", Accesses: []access.Access{
		table("t7_0", "id", "status", "tenant_id", "total"), table("t14_1", "id", "name", "region"),
	}}}}
}

// BenchmarkDecide is what a decision costs on top of parsing and binding.
func BenchmarkDecide(b *testing.B) {
	g, a := largePolicy(b).Principal(twentyScopes()), typical()
	b.ReportAllocs()
	for b.Loop() {
		if !g.DecideIn(Request{Database: "app"}, a).Allow {
			b.Fatal("denied")
		}
	}
}

// BenchmarkDecideCondition is the same where a condition on time and client is
// asked.
func BenchmarkDecideCondition(b *testing.B) {
	p, err := Parse([]byte(minimal + `
scopes:
  s:
    - actions: [select]
      objects: [public.*]
      when: now.getHours() < 24 && cidr('10.0.0.0/8').containsIP(client.address)
`))
	if err != nil {
		b.Fatal(err)
	}
	g, a, r := p.Principal([]string{"s"}), typical(), officeRequest()
	b.ReportAllocs()
	for b.Loop() {
		if !g.DecideIn(r, a).Allow {
			b.Fatal("denied")
		}
	}
}

// BenchmarkGrants is what a token costs once, before its first decision.
func BenchmarkGrants(b *testing.B) {
	p, scopes := largePolicy(b), twentyScopes()
	b.ReportAllocs()
	for b.Loop() {
		p.Principal(scopes)
	}
}

// BenchmarkParse is what a changed policy file costs.
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		largePolicy(b)
	}
}

// officeRequest is one of which everything is known.
func officeRequest() Request {
	return Request{
		Now: time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC), Database: "app",
		Client: &Client{Address: netip.MustParseAddr("10.1.2.3"), TLS: true, ApplicationName: "psql"},
	}
}

// TestDecideStaysCheap bounds the allocations of a decision, which is what makes
// it slow under load.
func TestDecideStaysCheap(t *testing.T) {
	g, a := largePolicy(t).Principal(twentyScopes()), typical()
	if n := testing.AllocsPerRun(100, func() { g.DecideIn(Request{Database: "app"}, a) }); n > 6 {
		t.Errorf("a decision allocates %g times", n)
	}
}
