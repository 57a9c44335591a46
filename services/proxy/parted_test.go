package proxy_test

import (
	"strings"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// withdraw changes the policy of authz: table t is not granted any more.
func (a *authz) withdraw() {
	a.set(func(req *authzv1.AuthorizeRequest, resp *authzv1.AuthorizeResponse) bool {
		if text := string(req.GetQuery()) + string(req.GetParse().GetText()); strings.Contains(text, "FROM t") {
			resp.Verdict, resp.Reason = authzv1.Verdict_VERDICT_DENY, authzv1.Reason_REASON_NOT_GRANTED
		}
		return true
	})
	a.changes.Add(1)
}

// TestFault_F07_PartedWhilePolicyChanges: a proxy that is parted from authz while a grant
// is withdrawn uses what was decided before for no longer than the staleness bound after
// the change, and not once when they are together again.
func TestFault_F07_PartedWhilePolicyChanges(t *testing.T) {
	for name, part := range map[string]func(*link){"packets are dropped": (*link).drop, "connections are reset": (*link).cut} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.connect()
			if _, err := c.Prepare(t.Context(), "kept", "SELECT v FROM t WHERE id = 1", nil); err != nil {
				t.Fatal(err)
			}
			asks := map[string]func() string{
				"prepared": func() string { return c.prepared("kept") },
				"a Query":  func() string { return c.query("SELECT v FROM t") },
			}
			for what, ask := range asks {
				if got := ask(); got != "" {
					t.Fatalf("%s, before: %q", what, got)
				}
			}
			part(w.link)
			w.authz.withdraw()
			changed := time.Now()
			for what, ask := range asks {
				for got := ""; got != "57P03"; {
					began := time.Now()
					if got = ask(); got != "" && got != "57P03" {
						t.Fatalf("%s, parted: %q", what, got)
					}
					if got == "" && began.After(changed.Add(staleness)) {
						t.Fatalf("%s: forwarded %v after the change", what, began.Sub(changed))
					}
				}
			}
			w.link.mend()
			for what, ask := range asks {
				w.until(what+" is not denied", func() bool {
					got := ask()
					if got != "42501" && got != "57P03" {
						t.Fatalf("%s, together again: %q", what, got)
					}
					return got == "42501"
				})
			}
			if got := c.query("SELECT 1"); got != "" {
				t.Errorf("what is granted: %q", got)
			}
		})
	}
}

// TestFault_F08_ReplicaLags: the answers of a replica that has not heard of a change, or
// has forgotten it, allow nothing, however often it is asked; what is known to have
// changed is not forgotten for it. One that has heard is believed at once.
func TestFault_F08_ReplicaLags(t *testing.T) {
	w := newWorld(t)
	c, other := w.connect(), w.connect()
	w.authz.changes.Add(1)
	if got := other.query("SELECT 'the change is heard of'"); got != "" {
		t.Fatal(got)
	}
	for name, lag := range map[string]func(*authzv1.Epoch){
		"behind in the policy":      func(e *authzv1.Epoch) { e.Policy = 1 },
		"without the policy":        func(e *authzv1.Epoch) { e.Policy = 0 },
		"without the catalog":       func(e *authzv1.Epoch) { e.Catalog = nil },
		"behind in one, far in two": func(e *authzv1.Epoch) { e.Policy, e.Catalog = 1, map[string]uint64{w.database: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			w.wantRefused(c, func() {
				w.authz.set(func(_ *authzv1.AuthorizeRequest, resp *authzv1.AuthorizeResponse) bool {
					lag(resp.GetEpoch())
					return true
				})
			}, func() { w.authz.set(nil) })
		})
	}
}
