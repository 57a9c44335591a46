package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/scopewire/scopewire/internal/secret"
)

const (
	opaqueToken  = "ory_at_Zm9v.b3BhcXVl-_~+/=="
	clientName   = "scope wire"
	clientSecret = "s3cret: & ü"
)

// asker is an issuer that is asked about tokens. What it says is set by the test.
type asker struct {
	*idp
	secretFile string
	// asked counts questions; says is the answer to a token, nil for none of it.
	asked atomic.Int32
	mu    sync.Mutex
	says  func(token string) any
	spoil http.HandlerFunc
	// authorize judges who asks; nil is by the secret.
	authorize func(r *http.Request) bool
	named     string
}

func newAsker(t *testing.T, mode Mode, change func(*Issuer)) *asker {
	t.Helper()
	a := &asker{idp: newIDP(t), secretFile: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(a.secretFile, []byte(clientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.named = a.URL + "/introspect"
	a.set(func(w http.ResponseWriter, r *http.Request) bool { return a.serve(t, w, r) }, a.key)
	is := Issuer{Issuer: a.URL, Audiences: []string{testAudience}, Mode: mode,
		Introspection: Introspection{ClientID: clientName, SecretFile: a.secretFile, TTL: 30 * time.Second}}
	if change != nil {
		change(&is)
	}
	if err := a.v.Configure([]Issuer{is}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.v.questions.Wait)
	return a
}

func (a *asker) serve(t *testing.T, w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"introspection_endpoint":%q}`, a.URL, a.URL+"/jwks", a.named)
		return true
	case "/introspect":
	default:
		return false
	}
	a.asked.Add(1)
	a.mu.Lock()
	spoil, says, authorize := a.spoil, a.says, a.authorize
	a.mu.Unlock()
	if spoil != nil {
		spoil(w, r)
		return true
	}
	if authorize == nil {
		authorize = func(r *http.Request) bool {
			name, word, ok := r.BasicAuth()
			return ok && name == "scope+wire" && word == "s3cret%3A+%26+%C3%BC"
		}
	}
	if r.Method != http.MethodPost || r.ParseForm() != nil || r.PostForm.Get("token_type_hint") != "access_token" || r.URL.RawQuery != "" {
		t.Errorf("asked by %s with %v", r.Method, r.PostForm)
	}
	if !authorize(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(says(r.PostForm.Get("token"))); err != nil {
		t.Error(err)
	}
	return true
}

// answer sets what is said of every token: a good answer, changed; nil takes a member out.
func (a *asker) answer(changes map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoil = nil
	a.says = func(string) any {
		now := a.clock.Now().Unix()
		m := map[string]any{"active": true, "iss": a.URL, "sub": "alice", "aud": []string{testAudience}, "client_id": "app", "jti": "j-1",
			"token_type": "Bearer", "iat": now - 1, "exp": now + 600, "scope": "orders.read orders.write", "tenant": "acme"}
		for name, v := range changes {
			m[name] = v
			if v == nil {
				delete(m, name)
			}
		}
		return m
	}
}

func (a *asker) fail(h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoil = h
}

func (a *asker) verify(t *testing.T, token string) (Principal, *Refusal) {
	t.Helper()
	return reasonOf(t, a.v, token)
}

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

// TestClientAuthentication: the files are read for each question.
func TestClientAuthentication(t *testing.T) {
	a := newAsker(t, Introspect, nil)
	a.answer(nil)
	n := 0
	refused := func() bool {
		n++
		_, r := a.verify(t, fmt.Sprintf("%040d", n))
		return r != nil
	}
	if refused() {
		t.Error("the right secret is refused")
	}
	for _, text := range []string{"another", " \n", ""} {
		if err := os.WriteFile(a.secretFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if !refused() {
			t.Errorf("%q: accepted", text)
		}
	}
	if err := os.WriteFile(a.secretFile, []byte(clientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if refused() {
		t.Error("the secret is not read again")
	}
	for name, key := range map[jwa.SignatureAlgorithm]any{
		jwa.ES256: ecKey(t, elliptic.P256()), jwa.ES384: ecKey(t, elliptic.P384()), jwa.ES512: ecKey(t, elliptic.P521()),
		jwa.RS256: rsaKey(t, 2048), jwa.EdDSA: edKey(t),
	} {
		t.Run(name.String(), func(t *testing.T) { checkAssertion(t, name, key) })
	}
	if _, _, err := clientKey([]byte("no PEM")); err == nil {
		t.Error("text is a key")
	}
	if _, _, err := clientKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})); err == nil {
		t.Error("bytes are a key")
	}
}

func checkAssertion(t *testing.T, alg jwa.SignatureAlgorithm, key any) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	var public any
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		public = k.Public()
	case *rsa.PrivateKey:
		public = k.Public()
	case ed25519.PrivateKey:
		public = k.Public()
	}
	a := newAsker(t, Introspect, func(is *Issuer) {
		is.Introspection.SecretFile, is.Introspection.KeyFile, is.Introspection.KeyID = "", file, "k1"
	})
	a.answer(nil)
	seen := map[any]bool{}
	a.mu.Lock()
	a.authorize = func(r *http.Request) bool {
		form := r.PostForm
		if form.Get("client_id") != clientName || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" ||
			r.Header.Get("Authorization") != "" {
			t.Errorf("%v", form)
		}
		payload, err := jws.Verify([]byte(form.Get("client_assertion")), jws.WithKey(alg, public))
		if err != nil {
			t.Error(err)
			return false
		}
		var c map[string]any
		if err := json.Unmarshal(payload, &c); err != nil {
			t.Error(err)
		}
		now := float64(a.clock.Now().Unix())
		if c["iss"] != clientName || c["sub"] != clientName || c["aud"] != a.URL || c["exp"] != now+60 || seen[c["jti"]] {
			t.Errorf("%v", c)
		}
		seen[c["jti"]] = true
		return true
	}
	a.mu.Unlock()
	for i := range 2 {
		if _, r := a.verify(t, fmt.Sprintf("%040d", i)); r != nil {
			t.Error(r)
		}
	}
}
