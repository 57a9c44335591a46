package rpc

import (
	"context"
	"sync"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// word is a verifier whose issuers' word counts for ten seconds. What they say is the
// test's: a refusal, or that the token is good.
type word struct {
	Verifier
	clock *shiftClock

	mu        sync.Mutex
	refuse    *verify.Refusal
	confirmed int
}

func (v *word) say(r *verify.Refusal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refuse = r
}

func (v *word) Verify(ctx context.Context, token secret.Bytes) (verify.Principal, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.refuse != nil {
		return verify.Principal{}, v.refuse
	}
	p, err := v.Verifier.Verify(ctx, token)
	now := v.clock.Now()
	p.ConfirmBy, p.ConfirmAt = now.Add(10*time.Second), now.Add(5*time.Second)
	return p, err
}

func (v *word) Confirm(ctx context.Context, token secret.Bytes) (verify.Principal, error) {
	v.mu.Lock()
	v.confirmed++
	v.mu.Unlock()
	return v.Verify(ctx, token)
}

func (v *word) Holds(p verify.Principal) bool {
	return v.Verifier.Holds(p) && v.clock.Now().Before(p.ConfirmBy)
}

func asking(t *testing.T) (*world, *word, string) {
	w := settled(t)
	v := &word{Verifier: w.server.tokens.verifier, clock: w.clock}
	w.server.tokens.verifier = v
	return w, v, w.mint(t, "alice", time.Hour, "everything")
}

func (w *world) confirm(t *testing.T, token string) *authzv1.ConfirmResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := w.client.Confirm(ctx, &authzv1.ConfirmRequest{Token: []byte(token), SessionId: newID()})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// What is decided on an issuer's word is used for no longer than the word counts, and a
// proxy is told when to have it confirmed.
func TestConfirmation(t *testing.T) {
	w, v, token := asking(t)
	if in := w.login(t, token, "app", "x").GetAuthenticated().GetConfirmIn().AsDuration(); in <= 4*time.Second || in > 5*time.Second {
		t.Errorf("to be confirmed after %v", in)
	}
	resp := w.ask(t, byHash(token, "SELECT * FROM orders"))
	if ttl := resp.GetTtl().AsDuration(); resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW || ttl <= 0 || ttl > 10*time.Second {
		t.Errorf("%v for %v", resp.GetVerdict(), ttl)
	}
	w.clock.advance(9 * time.Second)
	confirmed := w.confirm(t, token).GetConfirmed()
	if in := confirmed.GetConfirmIn().AsDuration(); in <= 0 || v.confirmed != 1 {
		t.Errorf("confirmed %d times, next after %v", v.confirmed, in)
	}
	if left := confirmed.GetExpiresIn().AsDuration(); left <= 0 || left > time.Hour-9*time.Second {
		t.Errorf("the token is said to live for %v", left)
	}
	w.fresh(t)
	w.clock.advance(2 * time.Second)
	w.fresh(t)
	if resp := w.ask(t, byHash(token, "SELECT * FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW {
		t.Errorf("after the confirmation: %v", resp)
	}
	w.clock.advance(10 * time.Second)
	w.fresh(t)
	// The word is too old: the token is asked for, and its issuer with it.
	if resp := w.ask(t, byHash(token, "SELECT * FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_UNKNOWN_TOKEN {
		t.Errorf("beyond the word: %v", resp)
	}
	v.say(&verify.Refusal{Reason: verify.Unconfirmed, Detail: "down"})
	if resp := w.ask(t, request(token, "SELECT * FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE || resp.GetReason() != authzv1.Reason_REASON_INTROSPECTION {
		t.Errorf("without a word: %v", resp)
	}
	if r := w.login(t, token, "app", "x").GetRefusal(); r.GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_INTROSPECTION {
		t.Errorf("login without a word: %v", r)
	}
	v.say(nil)
	if resp := w.ask(t, request(token, "SET scopewire.token = '"+token+"'")); resp.GetRefreshed().GetConfirmIn().AsDuration() <= 0 {
		t.Errorf("a new token is not to be confirmed: %v", resp)
	}
}

// fresh makes what the server has read new.
func (w *world) fresh(t *testing.T) {
	t.Helper()
	w.setPolicy(t, testPolicy, 7)
	w.setCatalog(t, 3, "orders", "secrets")
}

// A token that is not active any more is refused from the moment on at which its issuer
// has said so.
func TestConfirmationRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world, v *word)
		want  authzv1.AuthenticateRefusalReason
	}{
		"not active": {func(_ *world, v *word) { v.say(&verify.Refusal{Reason: verify.Revoked}) },
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_REVOKED},
		"no word": {func(_ *world, v *word) { v.say(&verify.Refusal{Reason: verify.Unconfirmed}) },
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_INTROSPECTION},
		"revoked here": {func(w *world, _ *word) { w.revoke(t, &authzv1.Revocation{Subject: "alice"}) },
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_REVOKED},
	} {
		w, v, token := asking(t)
		w.login(t, token, "app", "x")
		c.spoil(w, v)
		if r := w.confirm(t, token).GetRefusal(); r.GetReason() != c.want {
			t.Errorf("%s: %v", name, r)
		}
		w.fresh(t)
		if resp := w.ask(t, byHash(token, "SELECT * FROM orders")); resp.GetVerdict() == authzv1.Verdict_VERDICT_ALLOW {
			t.Errorf("%s: still allowed", name)
		}
	}
	w, _, token := asking(t)
	resp, err := w.server.Confirm(t.Context(), &authzv1.ConfirmRequest{Token: []byte(token), SessionId: []byte{1}})
	if err != nil || resp.GetRefusal() == nil {
		t.Errorf("without a session: %v %v", resp, err)
	}
}
