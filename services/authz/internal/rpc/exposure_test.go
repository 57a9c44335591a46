package rpc

import (
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
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
		{"closed by the policy", "errors: closed\n", "orders.read", "SELECT id FROM orders", closed, time.Minute},
		{"open by the policy", "errors: open\n", "insert.only", "INSERT INTO orders VALUES (1, 'x')", open, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.setPolicy(t, testPolicy+conditional+tt.rule, 8)
			var scopes []string
			if tt.scopes != "" {
				scopes = []string{tt.scopes}
			}
			got := w.ask(t, request(w.token(t, scopes...), tt.sql))
			if got.GetVerdict() != allow || got.GetErrors() != tt.want {
				t.Errorf("%v (%s), %v", got.GetVerdict(), got.GetReasonDetail(), got.GetErrors())
			}
			if ttl := got.GetTtl().AsDuration(); ttl != tt.ttl {
				t.Errorf("ttl %s", ttl)
			}
			if reusable := got.GetCacheability() == authzv1.Cacheability_CACHEABILITY_EXACT; reusable != (tt.ttl == time.Minute) {
				t.Errorf("%v", got.GetCacheability())
			}
		})
	}
}
