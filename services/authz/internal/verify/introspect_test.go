package verify

import (
	"context"
	"crypto/elliptic"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/internal/secret"
)

// TestIntrospection: what an issuer says of an opaque token is its principal, under the
// rules that hold for the claims of a JWT.
func TestIntrospection(t *testing.T) {
	a := newAsker(t, Introspect, nil)
	a.answer(nil)
	p, r := a.verify(t, opaqueToken)
	if r != nil {
		t.Fatal(r)
	}
	now := a.clock.Now()
	if p.Issuer != a.URL || p.Subject != "alice" || p.ClientID != "app" || p.TokenID != "j-1" || !cmp.Equal(p.Scopes, []string{"orders.read", "orders.write"}) ||
		!p.Deadline.Equal(now.Add(600*time.Second)) || !p.ConfirmBy.Equal(now.Add(30*time.Second)) || !p.ConfirmAt.Equal(now.Add(15*time.Second)) ||
		p.Claims()["tenant"] != "acme" || !a.v.Holds(p) {
		t.Errorf("%+v", p)
	}
	thumb := strings.Repeat("A", 43)
	for i, c := range []struct {
		name string
		set  map[string]any
		want Reason
	}{
		{"not active", map[string]any{"active": false}, Revoked},
		{"nothing but not active", map[string]any{"active": false, "iss": nil, "sub": nil, "aud": nil, "exp": nil}, Revoked},
		{"active is no boolean", map[string]any{"active": "true"}, Unconfirmed},
		{"active is missing", map[string]any{"active": nil}, Unconfirmed},
		{"another issuer", map[string]any{"iss": "https://other.example"}, IssuerUnknown},
		{"an issuer that is none", map[string]any{"iss": 1}, IssuerUnknown},
		{"no issuer", map[string]any{"iss": nil}, ""},
		{"another audience", map[string]any{"aud": "web"}, Audience},
		{"no audience", map[string]any{"aud": nil}, Audience},
		{"an empty audience", map[string]any{"aud": []string{}}, Audience},
		{"no expiry", map[string]any{"exp": nil}, ClaimsInvalid},
		{"expired all the same", map[string]any{"exp": epoch.Unix() - 60, "iat": nil}, Expired},
		{"not yet", map[string]any{"nbf": epoch.Unix() + 3000, "exp": epoch.Unix() + 9000}, NotYetValid},
		{"a refresh token of Hydra", map[string]any{"token_use": "refresh_token"}, Type},
		{"a refresh token of Keycloak", map[string]any{"typ": "Refresh"}, Type},
		{"an ID token of Keycloak", map[string]any{"typ": "ID"}, Type},
		{"a refresh token of oidc-provider", map[string]any{"token_type": nil}, Type},
		{"a token of DPoP", map[string]any{"token_type": "DPoP"}, Type},
		{"a type that is none", map[string]any{"token_type": 1}, Type},
		{"bearer in small letters", map[string]any{"token_type": "bearer"}, ""},
		{"an access token of Hydra", map[string]any{"token_use": "access_token"}, ""},
		{"no subject, a client", map[string]any{"sub": nil}, ""},
		{"no subject, no client", map[string]any{"sub": nil, "client_id": nil}, ClaimsInvalid},
		{"bound to a key", map[string]any{"cnf": map[string]any{"jkt": "x"}}, Binding},
		{"bound to a certificate", map[string]any{"cnf": map[string]any{"x5t#S256": thumb}}, ""},
		{"scopes that are none", map[string]any{"scope": 7}, ClaimsInvalid},
		{"scopes of bad characters", map[string]any{"scope": "a\"b"}, ClaimsInvalid},
	} {
		a.answer(c.set)
		p, r := a.verify(t, fmt.Sprintf("%s-%d", strings.Repeat("x", 40), i))
		if got := reason(r); got != c.want {
			t.Errorf("%s: %q, want %q: %v", c.name, got, c.want, r)
		}
		if c.name == "no subject, a client" && p.Subject != "app" {
			t.Errorf("%s: %q", c.name, p.Subject)
		}
		if c.name == "bound to a certificate" && (p.ShownBy(nil) || !p.ShownBy(make([]byte, 32))) {
			t.Error("the binding is not kept")
		}
	}
}

func reason(r *Refusal) Reason {
	if r == nil {
		return ""
	}
	return r.Reason
}

// What is no answer denies, with its own reason, and the token is in no error.
func TestIntrospectionFails(t *testing.T) {
	a := newAsker(t, Introspect, nil)
	var elsewhere atomic.Int32
	for name, h := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"an array": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"active":true}]`) },
		"active twice": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"active":false,"active":true}`)
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"active":true,"x":"`+strings.Repeat("x", maxIntrospection)+`"}`)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("again") {
				elsewhere.Add(1)
			}
			http.Redirect(w, r, a.URL+"/introspect?again", http.StatusTemporaryRedirect)
		},
		"silence": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // Until then the server does not see that the client has gone.
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.fail(h)
			token := strings.Repeat("t", 40) + strings.ReplaceAll(name, " ", "-")
			_, err := a.v.Verify(t.Context(), secret.FromString(token))
			if err == nil || !strings.Contains(err.Error(), "introspection") || strings.Contains(err.Error(), token) {
				t.Errorf("%v", err)
			}
			// Nothing is hammered: the failure is believed for a moment, and then not.
			n := a.asked.Load()
			if _, r := a.verify(t, token); reason(r) != Unconfirmed || a.asked.Load() != n {
				t.Errorf("asked again at once: %v", r)
			}
			a.clock.advance(failedFor)
			a.answer(nil)
			if _, r := a.verify(t, token); r != nil {
				t.Errorf("it does not come back: %v", r)
			}
		})
	}
	if elsewhere.Load() > 0 {
		t.Error("a redirect was followed, with the token")
	}
	a.Close()
	if _, r := a.verify(t, strings.Repeat("u", 40)); reason(r) != Unconfirmed {
		t.Errorf("an issuer that is gone: %v", r)
	}
}

// An answer counts for the TTL, and never beyond the token; `active: false` shortly.
func TestIntrospectionIsKept(t *testing.T) {
	a := newAsker(t, Introspect, nil)
	a.answer(map[string]any{"exp": epoch.Unix() + 70})
	token := strings.Repeat("k", 40)
	asked := func(want int32) {
		t.Helper()
		if n := a.asked.Load(); n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	p, r := a.verify(t, token)
	if r != nil {
		t.Fatal(r)
	}
	a.clock.advance(29 * time.Second)
	if _, r = a.verify(t, token); r != nil || !a.v.Holds(p) {
		t.Fatal(r)
	}
	asked(1)
	// Half of the time has passed: a confirmation asks.
	confirmed, err := a.v.Confirm(t.Context(), secret.FromString(token))
	if err != nil || !confirmed.ConfirmBy.Equal(epoch.Add(59*time.Second)) {
		t.Fatal(err, confirmed.ConfirmBy)
	}
	asked(2)
	if _, err = a.v.Confirm(t.Context(), secret.FromString(token)); err != nil {
		t.Fatal(err)
	}
	asked(2)
	a.clock.advance(time.Second)
	if a.v.Holds(p) || !a.v.Holds(confirmed) {
		t.Error("the time of an answer is not held")
	}
	a.clock.advance(29 * time.Second)
	last, r := a.verify(t, token)
	if r != nil || !last.ConfirmBy.Equal(epoch.Add(70*time.Second)) || !last.ConfirmAt.IsZero() {
		t.Fatalf("beyond the token: %v %v %v", r, last.ConfirmBy, last.ConfirmAt)
	}
	asked(3)
	a.answer(map[string]any{"active": false})
	other := strings.Repeat("n", 40)
	for range 3 {
		if _, r := a.verify(t, other); reason(r) != Revoked {
			t.Error(r)
		}
	}
	asked(4)
	a.clock.advance(inactiveFor)
	if _, r := a.verify(t, other); reason(r) != Revoked {
		t.Error(r)
	}
	asked(5)
}

// Of many who ask about one token one asks the issuer, and what many tokens cost is
// bounded.
func TestIntrospectionStorm(t *testing.T) {
	a := newAsker(t, Introspect, nil)
	var first, one sync.Once
	entered, release := make(chan struct{}), make(chan struct{})
	free := func() { one.Do(func() { close(release) }) }
	t.Cleanup(free)
	a.fail(func(w http.ResponseWriter, _ *http.Request) {
		first.Do(func() { close(entered) })
		<-release
		_, _ = io.WriteString(w, `{"active":false}`)
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := a.v.Verify(context.Background(), secret.FromString(strings.Repeat("s", 40))); err == nil {
				t.Error("accepted")
			}
		})
	}
	<-entered
	if n := a.asked.Load(); n != 1 {
		t.Errorf("%d questions for one token", n)
	}
	// Who gives up leaves the question to the others.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.v.Verify(ctx, secret.FromString(strings.Repeat("s", 40))); err == nil {
		t.Error("accepted")
	}
	is := a.v.opaque([]byte(strings.Repeat("s", 40)))
	for range maxQuestions - 1 {
		is.ask.slots <- struct{}{}
	}
	if o := is.ask.ask(ctx, []byte(strings.Repeat("z", 40)), time.Minute); reason(o.failed) != Unconfirmed || a.asked.Load() != 1 {
		t.Errorf("over the bound: %v", o.failed)
	}
	for range maxQuestions - 1 {
		<-is.ask.slots
	}
	free()
	all.Wait()
	for i := range 3 * maxAnswers {
		is.ask.mu.Lock()
		is.ask.keepLocked([32]byte{byte(i), byte(i >> 8), 1}, opinion{asked: a.clock.Now(), until: a.clock.Now().Add(time.Hour)})
		n := len(is.ask.known)
		is.ask.mu.Unlock()
		if n > maxAnswers {
			t.Fatalf("%d answers are kept", n)
		}
	}
}

// TestSec_T33: a token goes to nobody but the one issuer that is asked, and what has the
// form of a JWT is never taken for an opaque one.
func TestSec_T33_TokensAreShownToTheirIssuerAlone(t *testing.T) {
	for _, mode := range []Mode{Introspect, Both, ByForm} {
		a := newAsker(t, mode, nil)
		a.answer(nil)
		now := a.clock.Now().Unix()
		foreign := sign(t, "ES256", a.key.signer, goodHeader, object(t, goodClaims(), map[string]any{"iss": "https://other.example", "exp": now + 60, "iat": now}))
		for _, token := range []string{
			foreign, "a short password", "short-one", strings.Repeat("ü", 30), "with space " + strings.Repeat("x", 40), strings.Repeat("x", MaxTokenSize+1),
			"eyJhbGciOiJkaXIifQ." + strings.Repeat("x", 40) + ".y", "eyJhbGciOiJkaXIifQ.a.b.c." + strings.Repeat("x", 40),
			b64([]byte(` {"alg":"none"}`)) + "." + strings.Repeat("y", 40) + ".z", strings.Repeat("=", 40),
		} {
			if _, r := a.verify(t, token); r == nil {
				t.Errorf("%s: accepted", mode)
			}
		}
		if n := a.asked.Load(); n != 0 {
			t.Errorf("%s: the issuer was shown %d tokens that are not its", mode, n)
		}
	}
	a := newAsker(t, Local, func(is *Issuer) { is.Introspection = Introspection{} })
	if _, r := a.verify(t, opaqueToken); reason(r) != Malformed {
		t.Errorf("local: %v", r)
	}
}

// By mode: whose word counts about a JWT.
func TestIntrospectionOfJWTs(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   Mode
		forged bool
		set    map[string]any
		want   Reason
		asks   bool
	}{
		{name: "by form: its keys alone", mode: ByForm, set: map[string]any{"active": false}},
		{name: "by form: forged", mode: ByForm, forged: true, want: Signature},
		{name: "introspect: its issuer's word alone", mode: Introspect, forged: true, asks: true},
		{name: "introspect: not active", mode: Introspect, set: map[string]any{"active": false}, want: Revoked, asks: true},
		{name: "both", mode: Both, asks: true},
		{name: "both: forged", mode: Both, forged: true, want: Signature},
		{name: "both: not active", mode: Both, set: map[string]any{"active": false}, want: Revoked, asks: true},
		{name: "both: another subject", mode: Both, set: map[string]any{"sub": "bob"}, want: ClaimsInvalid, asks: true},
		{name: "both: another client", mode: Both, set: map[string]any{"client_id": "x"}, want: ClaimsInvalid, asks: true},
		{name: "both: another issuer", mode: Both, set: map[string]any{"iss": "https://other.example"}, want: IssuerUnknown, asks: true},
		{name: "both: says little", mode: Both, set: map[string]any{"sub": nil, "client_id": nil, "jti": nil, "aud": nil, "scope": nil, "exp": nil, "iat": nil}, asks: true},
		{name: "both: bound after all", mode: Both, set: map[string]any{"cnf": map[string]any{"jkt": "x"}}, want: Binding, asks: true},
		{name: "both: expired", mode: Both, set: map[string]any{"exp": epoch.Unix() - 1, "iat": nil}, want: Expired, asks: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAsker(t, c.mode, nil)
			set := map[string]any{"jti": nil}
			for k, v := range c.set {
				set[k] = v
			}
			a.answer(set)
			key := a.key
			if c.forged {
				key.signer = ecKey(t, elliptic.P256())
			}
			_, r := a.verify(t, a.token(t, key))
			if reason(r) != c.want || (a.asked.Load() > 0) != c.asks {
				t.Errorf("%v, want %q; asked %d times", r, c.want, a.asked.Load())
			}
		})
	}
	// What the issuer says takes from the token, and adds nothing.
	a := newAsker(t, Both, nil)
	a.answer(map[string]any{"jti": nil, "scope": "orders.write admin", "exp": epoch.Unix() + 20, "cnf": map[string]any{"x5t#S256": strings.Repeat("A", 43)}})
	p, r := a.verify(t, a.token(t, a.key))
	if r != nil || !cmp.Equal(p.Scopes, []string{"orders.write"}) || !p.Deadline.Equal(epoch.Add(20*time.Second)) || p.ShownBy(nil) {
		t.Errorf("%v %+v", r, p)
	}
}

// Each question is counted by its answer; what is known is no question.
func TestIntrospectionsAreCounted(t *testing.T) {
	a := newAsker(t, Introspect, nil)
	a.answer(nil)
	a.verify(t, opaqueToken)
	a.verify(t, opaqueToken)
	a.answer(map[string]any{"active": false})
	a.verify(t, "2"+opaqueToken)
	a.fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	a.verify(t, "3"+opaqueToken)
	a.mu.Lock()
	defer a.mu.Unlock()
	if diff := cmp.Diff(map[string]int{"active": 1, "inactive": 1, "failed": 1}, a.counted); diff != "" {
		t.Error(diff)
	}
}
