package rpc

import (
	"errors"
	"slices"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

func TestNoFactsNoAnswer(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token := w.token(t, "orders.read")
	for _, tt := range []struct {
		name  string
		spoil func(*sources)
	}{
		{"no policy", func(s *sources) { s.policy = nil }},
		{"policy without a revision", func(s *sources) { s.revision = 0 }},
		{"policy never read", func(s *sources) { s.policyAt = time.Time{} }},
		{"policy too old", func(s *sources) { s.policyAt = s.policyAt.Add(-2 * time.Second) }},
		{"no catalog", func(s *sources) { s.snap = nil }},
		{"catalog too old", func(s *sources) { s.snapAt = s.snapAt.Add(-2 * time.Second) }},
		{"catalog without a version", func(s *sources) { s.snap.Version = 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.setPolicy(t, testPolicy, 7)
			w.setCatalog(t, 3, "orders")
			w.mu.Lock()
			tt.spoil(w.sources)
			w.mu.Unlock()
			got := stream.ask(request(token, "SELECT id FROM orders"))
			if got.GetVerdict() != refuse || got.GetReason() != authzv1.Reason_REASON_UNAVAILABLE {
				t.Errorf("%v", got)
			}
			if resp := w.login(t, token, "app", "app_ro"); resp.GetRefusal().GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE {
				t.Errorf("login: %v", resp)
			}
		})
	}
	w.setPolicy(t, testPolicy, 7)
	w.setCatalog(t, 3, "orders")
	if got := stream.ask(request(token, "SELECT id FROM orders")); got.GetVerdict() != allow {
		t.Errorf("afterwards: %v", got)
	}
}

func TestAgeIsThatOfTheOldestFact(t *testing.T) {
	w := newWorld(t, nil)
	w.mu.Lock()
	w.policyAt = w.policyAt.Add(-time.Second)
	w.mu.Unlock()
	got := w.ask(t, request(w.token(t, "orders.read"), "SELECT id FROM orders"))
	if age := got.GetAge().AsDuration(); got.GetVerdict() != allow || age < time.Second || age > 1500*time.Millisecond {
		t.Errorf("%v after %s", got.GetVerdict(), age)
	}
}

// TestLeastEpoch: a replica that is behind what the proxy has seen reads again,
// and refuses when that does not help.
func TestLeastEpoch(t *testing.T) {
	const database = "app"
	least := func(policy, revocation, catalog uint64) *authzv1.Epoch {
		return &authzv1.Epoch{Policy: policy, Revocation: revocation, Catalog: map[string]uint64{database: catalog}}
	}
	for _, tt := range []struct {
		name    string
		least   *authzv1.Epoch
		pin     uint64
		refresh func(w *world, what string) error
		verdict authzv1.Verdict
		asked   []string
	}{
		{"none asked for", nil, 0, nil, allow, nil},
		{"the one there is", least(7, 0, 3), 0, nil, allow, nil},
		{"an older one", least(1, 0, 1), 0, nil, allow, nil},
		{"a newer policy, found", least(8, 0, 3), 0, func(w *world, _ string) error { w.setPolicy(t, testPolicy, 8); return nil }, allow, []string{"policy"}},
		{"a newer policy, not found", least(8, 0, 3), 0, nil, refuse, []string{"policy"}},
		{"a newer policy, refresh in vain", least(9, 0, 3), 0, func(w *world, _ string) error { w.setPolicy(t, testPolicy, 8); return nil }, refuse, []string{"policy"}},
		{"a newer catalog, found", least(7, 0, 4), 0, func(w *world, _ string) error { w.setCatalog(t, 4, "orders"); return nil }, allow, []string{"catalog of app"}},
		{"a newer catalog, not found", least(7, 0, 4), 0, nil, refuse, []string{"catalog of app"}},
		{"a newer catalog, failing", least(7, 0, 4), 0, func(*world, string) error { return errors.New("away") }, refuse, []string{"catalog of app"}},
		{"a newer revocation", least(7, 1, 3), 0, nil, refuse, nil},
		{"another database's catalog", &authzv1.Epoch{Catalog: map[string]uint64{"other": 1}}, 0, nil, refuse, []string{"catalog of app"}},
		{"pinned to the current policy", least(7, 0, 3), 7, nil, allow, nil},
		{"pinned to an earlier one", least(7, 0, 3), 6, nil, allow, nil},
		{"pinned, and the pin stands for the policy", least(99, 0, 3), 6, nil, allow, nil},
		{"pinned to one that is forgotten", least(7, 0, 3), 5, nil, refuse, nil},
		{"pinned to one that is to come", least(7, 0, 3), 8, nil, refuse, []string{"policy"}},
		{"pinned, with a newer revocation", least(7, 1, 3), 6, nil, refuse, nil},
		{"pinned, with a newer catalog", least(7, 0, 4), 6, nil, refuse, []string{"catalog of app"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.setPolicy(t, testPolicy, 6)
			w.setPolicy(t, testPolicy, 7)
			if tt.refresh != nil {
				w.mu.Lock()
				w.refresh = func(what string) error { return tt.refresh(w, what) }
				w.mu.Unlock()
			}
			req := request(w.token(t, "orders.read"), "SELECT id FROM orders")
			req.LeastEpoch, req.PinnedPolicy = tt.least, tt.pin
			got := w.ask(t, req)
			if got.GetVerdict() != tt.verdict {
				t.Errorf("%v", got)
			}
			if got.GetVerdict() == refuse && got.GetReason() != authzv1.Reason_REASON_UNAVAILABLE {
				t.Errorf("%v", got)
			}
			if got.GetVerdict() == allow && tt.pin != 0 && got.GetEpoch().GetPolicy() != tt.pin {
				t.Errorf("judged by policy %d", got.GetEpoch().GetPolicy())
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if !slices.Equal(w.asked, tt.asked) {
				t.Errorf("refreshed %q, want %q", w.asked, tt.asked)
			}
		})
	}
}

// TestPinnedPolicyJudges: the pin is what decides, whichever way the policy
// changed since.
func TestPinnedPolicyJudges(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	w.setPolicy(t, testPolicy, 7)
	w.setPolicy(t, policyHead, 8)
	token := w.token(t, "orders.read")
	for range 2 {
		for pin, want := range map[uint64]authzv1.Verdict{0: deny, 7: allow, 8: deny} {
			req := request(token, "SELECT id FROM orders")
			req.PinnedPolicy = pin
			if got := stream.ask(req); got.GetVerdict() != want {
				t.Errorf("pinned to %d: %v", pin, got)
			}
		}
	}
}

// TestMissingNameIsLookedUpAgain: a table made a moment ago is found; one that
// the principal could not see is not looked for.
func TestMissingNameIsLookedUpAgain(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	w.mu.Lock()
	w.refresh = func(string) error { w.setCatalog(t, 4, "orders", "fresh"); return nil }
	w.mu.Unlock()
	if got := stream.ask(request(w.token(t, "orders.read"), "SELECT id FROM fresh")); got.GetVerdict() != deny {
		t.Errorf("%v", got)
	}
	w.mu.Lock()
	if len(w.asked) != 0 {
		t.Errorf("refreshed %q for a name that is not granted", w.asked)
	}
	w.mu.Unlock()
	got := stream.ask(request(w.token(t, "everything"), "SELECT id FROM fresh"))
	if got.GetVerdict() != allow || got.GetEpoch().GetCatalog()["app"] != 4 {
		t.Errorf("%v", got)
	}
	if got := stream.ask(request(w.token(t, "everything"), "SELECT id FROM nowhere")); got.GetError().GetSqlstate() != "42P01" {
		t.Errorf("%v", got)
	}
	if got := stream.ask(request(w.token(t, "everything"), "SELECT nothing FROM fresh")); got.GetError().GetSqlstate() != "42703" {
		t.Errorf("%v", got)
	}
	// What names no object needs no look.
	w.mu.Lock()
	w.asked = nil
	w.mu.Unlock()
	if got := stream.ask(request(w.token(t), "SELECT nothing")); got.GetError().GetSqlstate() != "42703" {
		t.Errorf("%v", got)
	}
	w.mu.Lock()
	if len(w.asked) != 0 {
		t.Errorf("refreshed %q for a name of nothing", w.asked)
	}
	w.mu.Unlock()
	// Without a newer look, nobody says that a name does not exist.
	w.mu.Lock()
	w.refresh = nil
	w.mu.Unlock()
	req := request(w.token(t, "everything"), "SELECT id FROM nowhere")
	if got := stream.ask(req); got.GetVerdict() != authzv1.Verdict_VERDICT_PROBE || len(got.GetProbes()) != 1 || got.GetProbes()[0].GetKind() != authzv1.ProbeKind_PROBE_KIND_CATALOG {
		t.Errorf("%v", got)
	}
	req.FreshCatalog = true
	if got := stream.ask(req); got.GetVerdict() != refuse || got.GetError() != nil {
		t.Errorf("%v", got)
	}
	// What is not covered waits for nothing.
	if got := stream.ask(request(w.token(t), "SELECT id FROM nowhere")); got.GetVerdict() != deny {
		t.Errorf("%v", got)
	}
}
