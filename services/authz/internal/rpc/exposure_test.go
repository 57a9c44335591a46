package rpc

import (
	"strings"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestErrorsOpen: errors are open where everything that they may quote is granted to
// read, and where the policy says so.
func TestErrorsOpen(t *testing.T) {
	const open, closed = authzv1.ErrorExposure_ERROR_EXPOSURE_OPEN, authzv1.ErrorExposure_ERROR_EXPOSURE_CLOSED
	const conditional = `  at.times:
    - actions: [select]
      objects: [public.orders]
      when: "now.getFullYear() > 2000"
  insert.only:
    - actions: [insert]
      objects: [public.orders]
  code:
    - {actions: [execute], objects: ["function:pg_catalog.plpgsql_inline_handler"], trusted: true}
  admin:
    - {actions: [admin], objects: ["database:app"]}
`
	for _, tt := range []struct {
		name, rule, scopes, sql string
		want                    authzv1.ErrorExposure
		ttl                     time.Duration
	}{
		{"read", "", "orders.read", "SELECT id FROM orders", open, time.Minute},
		{"written and read", "", "orders.write", "INSERT INTO orders VALUES (1, 'x')", open, time.Minute},
		{"written alone", "", "insert.only", "INSERT INTO orders VALUES (1, 'x')", closed, time.Minute},
		{"no relation", "", "", "SELECT 'x'::text", open, time.Minute},
		{"while a condition holds", "", "insert.only at.times", "INSERT INTO orders VALUES (1, 'x')", open, conditionalTTL},
		{"code", "", "code everything", "DO 'BEGIN NULL; END'", closed, time.Minute},
		{"code of who knows all but the catalogs", "", "code everything admin", "DO 'BEGIN NULL; END'", closed, time.Minute},
		{"code of who knows all", "", "code everything catalogs admin", "DO 'BEGIN NULL; END'", open, time.Minute},
		{"closed by the policy", "errors: closed\n", "orders.read", "SELECT id FROM orders", closed, time.Minute},
		{"open by the policy", "errors: open\n", "insert.only", "INSERT INTO orders VALUES (1, 'x')", open, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.setPolicy(t, testPolicy+conditional+catalogs(w.snap)+tt.rule, 8)
			got := w.ask(t, request(w.token(t, strings.Fields(tt.scopes)...), tt.sql))
			if got.GetVerdict() != allow || got.GetErrors() != tt.want {
				t.Errorf("%v (%s), %v", got.GetVerdict(), got.GetReasonDetail(), got.GetErrors())
			}
			if ttl := got.GetTtl().AsDuration(); ttl != tt.ttl {
				t.Errorf("ttl %s", ttl)
			}
			kept := tt.ttl == time.Minute && !strings.HasPrefix(tt.sql, "DO")
			if reusable := got.GetCacheability() == authzv1.Cacheability_CACHEABILITY_FINGERPRINT; reusable != kept {
				t.Errorf("%v", got.GetCacheability())
			}
		})
	}
}

// catalogs is a scope for reading every catalog.
func catalogs(snap *catalog.Snapshot) string {
	var names []string
	for _, rel := range snap.Relations {
		if rel.Schema == "pg_catalog" || rel.Schema == "information_schema" {
			names = append(names, rel.Schema+"."+rel.Name)
		}
	}
	return "  catalogs:\n    - {actions: [select], objects: [" + strings.Join(names, ", ") + "]}\n"
}
