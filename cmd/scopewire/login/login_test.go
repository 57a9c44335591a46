package login_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// issuer is a server that answers as a test wants. What an honest one does is tested
// with real servers in test/interop.
type issuer struct {
	*httptest.Server
	mux    *http.ServeMux
	client *http.Client
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	mux := http.NewServeMux()
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	client := login.HTTPClient(sys.OS().Net, roots)
	t.Cleanup(client.CloseIdleConnections)
	return &issuer{s, mux, client}
}

// answers serves a text, with ISSUER for the server's own address.
func (i *issuer) answers(path string, status int, text string) {
	i.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, strings.ReplaceAll(text, "ISSUER", i.URL))
	})
}

func TestDiscover(t *testing.T) {
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	for name, tt := range map[string]struct {
		path, below, text string
		status            int
		want              string
	}{
		"OpenID Connect":     {path: oidc, text: `{"issuer":"ISSUER","token_endpoint":"ISSUER/t"}`},
		"RFC 8414":           {path: oauth, text: `{"issuer":"ISSUER","token_endpoint":"ISSUER/t"}`},
		"RFC 8414 with path": {path: oauth + "/tenant", below: "/tenant", text: `{"issuer":"ISSUER/tenant","token_endpoint":"ISSUER/t"}`},
		"another name":       {path: oidc, text: `{"issuer":"https://other.example.com","token_endpoint":"ISSUER/t"}`, want: "calls itself"},
		"a slash more":       {path: oidc, text: `{"issuer":"ISSUER/","token_endpoint":"ISSUER/t"}`, want: "calls itself"},
		"no token endpoint":  {path: oidc, text: `{"issuer":"ISSUER"}`, want: "token_endpoint"},
		"plain HTTP":         {path: oidc, text: `{"issuer":"ISSUER","token_endpoint":"http://a/t"}`, want: "https URL"},
		"plain HTTP, device": {path: oidc, text: `{"issuer":"ISSUER","token_endpoint":"ISSUER/t","device_authorization_endpoint":"http://a/d"}`, want: "https URL"},
		"a terminal's words": {path: oidc, text: `{"issuer":"ISSUER","token_endpoint":"https://a/\u001b[2J"}`, want: "https URL"},
		"no JSON":            {path: oidc, text: `<html>`, want: "not the JSON"},
		"too much":           {path: oidc, text: strings.Repeat(" ", 300<<10) + `{}`, want: "more than"},
		"an error":           {path: oidc, status: 500, text: `{}`, want: "status 500"},
		"nothing":            {path: "/else", want: "there is none"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			if tt.status == 0 {
				tt.status = http.StatusOK
			}
			i.answers(tt.path, tt.status, tt.text)
			s, err := login.Discover(t.Context(), i.client, i.URL+tt.below)
			switch {
			case tt.want == "" && (err != nil || s.Token != i.URL+"/t"):
				t.Errorf("%+v, %v", s, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	i := newIssuer(t)
	i.mux.Handle(oidc, http.RedirectHandler(i.URL+"/elsewhere", http.StatusFound))
	i.answers("/elsewhere", http.StatusOK, `{"issuer":"ISSUER","token_endpoint":"ISSUER/t"}`)
	if _, err := login.Discover(t.Context(), i.client, i.URL); err == nil {
		t.Error("a redirect was followed")
	}
	if _, err := login.Discover(t.Context(), i.client, "http://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "https") {
		t.Error(err)
	}
}

func TestProtected(t *testing.T) {
	i := newIssuer(t)
	const path = "/.well-known/oauth-protected-resource"
	i.answers(path, http.StatusOK, `{"resource":"ISSUER","authorization_servers":["https://idp.example.com"],"scopes_supported":["a"]}`)
	i.answers(path+"/other", http.StatusOK, `{"resource":"ISSUER","authorization_servers":["https://idp.example.com"]}`)
	i.answers(path+"/alone", http.StatusOK, `{"resource":"ISSUER/alone"}`)
	for _, good := range []string{i.URL, i.URL + "/"} {
		if r, err := login.Protected(t.Context(), i.client, good); err != nil || len(r.Scopes) != 1 {
			t.Errorf("%s: %+v, %v", good, r, err)
		}
	}
	for _, bad := range []string{i.URL + "/other", i.URL + "/alone", i.URL + "/missing", "http://127.0.0.1", "db"} {
		if r, err := login.Protected(t.Context(), i.client, bad); err == nil {
			t.Errorf("%s: %+v", bad, r)
		}
	}
}

func (i *issuer) person(server login.Server) *login.Client {
	server.Issuer, server.Token = i.URL, i.URL+"/token"
	return &login.Client{HTTP: i.client, Clock: sys.OS().Clock, Server: &server, ID: "cli", Scopes: []string{"a"}, Resource: "https://db"}
}

// visit calls an address and returns the status.
func visit(t *testing.T, address, host string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestBrowser: only the answer that belongs to this login, of this issuer, is taken,
// and its code goes to the issuer with the verifier of the challenge.
func TestBrowser(t *testing.T) {
	i := newIssuer(t)
	var challenge string
	i.mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		good := base64.RawURLEncoding.EncodeToString(sum[:]) == challenge && r.PostFormValue("code") == "c0de" &&
			r.PostFormValue("client_id") == "cli" && r.PostFormValue("resource") == "https://db"
		w.Header().Set("Content-Type", "application/json")
		if !good {
			w.WriteHeader(http.StatusBadRequest)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "t0ken", "token_type": "bearer", "refresh_token": "r", "expires_in": 60, "scope": "a"})
	})
	for name, tt := range map[string]struct{ query, want string }{
		"the code":                 {"code=c0de&iss=ISSUER", ""},
		"without a name":           {"code=c0de", "another issuer's"},
		"another issuer's":         {"code=c0de&iss=https://other", "another issuer's"},
		"a refusal":                {"error=access_denied&iss=ISSUER", "access_denied"},
		"another issuer's refusal": {"error=access_denied&iss=https://other", "another issuer's"},
		"a refusal with control":   {"error=%1b%5b2J&iss=ISSUER", `"unknown"`},
		"nothing":                  {"iss=ISSUER", "no code"},
	} {
		t.Run(name, func(t *testing.T) {
			c := i.person(login.Server{Authorization: i.URL + "/authorize", NamesItself: true})
			tokens, err := c.Browser(t.Context(), sys.OS().Net, sys.OS().Rand, "consent", func(address string) {
				u, err := url.Parse(address)
				if err != nil {
					t.Fatal(err)
				}
				q := u.Query()
				challenge = q.Get("code_challenge")
				if q.Get("code_challenge_method") != "S256" || q.Get("prompt") != "consent" || q.Get("response_type") != "code" {
					t.Errorf("asked with %v", q)
				}
				back, state := q.Get("redirect_uri"), q.Get("state")
				for _, wrong := range []struct{ address, host string }{
					{back + "?code=x&iss=" + i.URL + "&state=guess", ""},
					{back + "?code=x&iss=" + i.URL, ""},
					{strings.TrimSuffix(back, "callback") + "?code=x&state=" + state, ""},
					{back + "?code=x&state=" + state, "attacker.example.com"},
				} {
					if status := visit(t, wrong.address, wrong.host); status != http.StatusBadRequest {
						t.Errorf("%+v: status %d", wrong, status)
					}
				}
				if status := visit(t, back+"?"+strings.ReplaceAll(tt.query, "ISSUER", url.QueryEscape(i.URL))+"&state="+state, ""); status != http.StatusOK {
					t.Errorf("status %d", status)
				}
			})
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			case tt.want == "" && (err != nil || string(tokens.Access.Expose()) != "t0ken" || string(tokens.Refresh.Expose()) != "r" || tokens.Scope != "a"):
				t.Errorf("%+v, %v", tokens, err)
			case tt.want == "":
				if left := time.Until(tokens.Expires); left < 50*time.Second || left > 60*time.Second {
					t.Errorf("%v are left", left)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := i.person(login.Server{Authorization: i.URL + "/authorize"})
	if _, err := c.Browser(ctx, sys.OS().Net, sys.OS().Rand, "", func(string) {}); err == nil {
		t.Error("a person who does not come logged in")
	}
	c = i.person(login.Server{Authorization: i.URL + "/authorize", PKCEMethods: []string{"plain"}})
	if _, err := c.Browser(t.Context(), sys.OS().Net, sys.OS().Rand, "", func(string) {}); err == nil || !strings.Contains(err.Error(), "S256") {
		t.Error(err)
	}
}

// TestDevicePrompts: nothing that could lead a person astray is shown.
func TestDevicePrompts(t *testing.T) {
	for name, tt := range map[string]struct{ answer, want string }{
		"plain HTTP": {`{"device_code":"d","user_code":"AB","verification_uri":"http://a/","expires_in":60}`, "https"},
		"control":    {`{"device_code":"d","user_code":"A\u001b[2J","verification_uri":"https://a/","expires_in":60}`, "can type"},
		"no code":    {`{"device_code":"d","verification_uri":"https://a/","expires_in":60}`, "can type"},
		"two places": {`{"device_code":"d","user_code":"AB","verification_uri":"https://a/","verification_uri_complete":"https://b/?c=AB","expires_in":60}`, "two places"},
		"no JSON":    {`<html>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.answers("/device", http.StatusOK, tt.answer)
			c := i.person(login.Server{Device: i.URL + "/device"})
			shown := false
			_, err := c.Device(t.Context(), func(string, string, string) { shown = true })
			if err == nil || !strings.Contains(err.Error(), tt.want) || shown && tt.want != "" {
				t.Errorf("%v, shown %t", err, shown)
			}
		})
	}
	i := newIssuer(t)
	if _, err := i.person(login.Server{}).Device(t.Context(), nil); err == nil {
		t.Error("a server without the flow")
	}
}

// TestAnswers: what is no bearer token is none, and what a server says of an error is
// shown only where it is a plain word.
func TestAnswers(t *testing.T) {
	old := login.Tokens{Refresh: secret.FromString("old")}
	for name, tt := range map[string]struct {
		status       int
		answer, want string
	}{
		"tokens":         {200, `{"access_token":"a","token_type":"Bearer","refresh_token":"new"}`, ""},
		"without a new":  {200, `{"access_token":"a","token_type":"bearer"}`, ""},
		"MAC":            {200, `{"access_token":"a","token_type":"mac"}`, "no bearer token"},
		"no type":        {200, `{"access_token":"a"}`, "no bearer token"},
		"empty":          {200, `{}`, "no bearer token"},
		"a line more":    {200, `{"access_token":"a\nb","token_type":"bearer"}`, "no bearer token"},
		"an error":       {400, `{"error":"invalid_grant","error_description":"canary"}`, "invalid_grant"},
		"control":        {400, `{"error":"\u001b[2Jcanary"}`, "status 400"},
		"an error's end": {500, `canary`, "status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
				if r.PostFormValue("refresh_token") != "old" || r.PostFormValue("resource") != "https://db" {
					t.Errorf("asked with %v", r.PostForm)
				}
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprint(w, tt.answer)
			})
			got, err := i.person(login.Server{}).Refresh(t.Context(), old)
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary")):
				t.Errorf("%v, want %q", err, tt.want)
			case tt.want == "" && (err != nil || string(got.Access.Expose()) != "a" || got.Refresh.Len() != 3):
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestRevoke: both tokens are withdrawn; an issuer that cannot withdraw the access
// token is no error, one that fails is.
func TestRevoke(t *testing.T) {
	tokens := login.Tokens{Access: secret.FromString("a"), Refresh: secret.FromString("r")}
	i := newIssuer(t)
	var seen []string
	i.mux.HandleFunc("/revoke", func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.PostFormValue("token_type_hint")+"="+r.PostFormValue("token"))
		if r.PostFormValue("token") == "a" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `{"error":"unsupported_token_type"}`)
		}
	})
	if can, err := i.person(login.Server{Revocation: i.URL + "/revoke"}).Revoke(t.Context(), tokens); !can || err != nil || strings.Join(seen, " ") != "refresh_token=r access_token=a" {
		t.Errorf("%t, %v, %q", can, err, seen)
	}
	i.answers("/broken", http.StatusServiceUnavailable, "")
	if _, err := i.person(login.Server{Revocation: i.URL + "/broken"}).Revoke(t.Context(), tokens); err == nil {
		t.Error("a failure was not told")
	}
	if can, err := i.person(login.Server{}).Revoke(t.Context(), tokens); can || err != nil {
		t.Errorf("%t, %v", can, err)
	}
}
