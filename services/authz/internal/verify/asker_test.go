package verify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
	// counted is what the verifier has said of each question.
	counted map[string]int
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
	a.counted = map[string]int{}
	a.v.answered = func(answer string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.counted[answer]++
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
