package devissuer_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func clients() []devissuer.Client {
	return []devissuer.Client{{
		ID: "reporting", Secret: secret.FromString("s3cret+&"), Scopes: []string{"orders.read", "orders.write"},
		Audiences: []string{"postgres", "warehouse"}, Claims: map[string]any{"tenant": "acme"},
	}}
}

// start runs an issuer over HTTPS until the test ends.
func start(t *testing.T, cfg devissuer.Config) (*devissuer.Issuer, *http.Client) {
	t.Helper()
	machine := sys.OS()
	ca, err := devca.New(machine.Clock, machine.Rand)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueTLS(devca.Options{Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := machine.Net.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	is, err := devissuer.New(cfg, devissuer.Deps{
		Clock: machine.Clock, Rand: machine.Rand, Listener: ln, Certificate: cert,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- is.Run(ctx) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return is, &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func getJSON(t *testing.T, client *http.Client, address string, v any) {
	t.Helper()
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("GET %s: %s, %s", address, resp.Status, resp.Header.Get("Content-Type"))
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		t.Fatal(err)
	}
}

type tokenAnswer struct {
	Status      int    `json:"-"`
	Raw         string `json:"-"`
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
	Error       string `json:"error"`
}

func ask(t *testing.T, is *devissuer.Issuer, client *http.Client, user, pass string, form url.Values) tokenAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, is.TokenEndpoint(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if user != "" {
		req.SetBasicAuth(url.QueryEscape(user), url.QueryEscape(pass))
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := tokenAnswer{Status: resp.StatusCode, Raw: string(raw)}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return answer
}

// open verifies a token with the published keys and decodes it.
func open(t *testing.T, keys jose.JSONWebKeySet, token string) (jose.Header, map[string]any) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := parsed.Claims(&keys, &claims); err != nil {
		t.Fatalf("verify: %v", err)
	}
	return parsed.Headers[0], claims
}

func TestTokenFollowsRFC9068(t *testing.T) {
	is, client := start(t, devissuer.Config{Clients: clients()})
	var meta struct {
		Issuer        string `json:"issuer"`
		JWKSURI       string `json:"jwks_uri"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		getJSON(t, client, is.Issuer()+path, &meta)
		if meta.Issuer != is.Issuer() || meta.TokenEndpoint != is.TokenEndpoint() || meta.JWKSURI != is.JWKSURI() {
			t.Fatalf("%s: %+v", path, meta)
		}
	}
	var keys jose.JSONWebKeySet
	getJSON(t, client, meta.JWKSURI, &keys)
	if len(keys.Keys) != 2 {
		t.Fatalf("%d keys", len(keys.Keys))
	}
	before := time.Now().Unix()
	answer := ask(t, is, client, "reporting", "s3cret+&", url.Values{
		"grant_type": {"client_credentials"}, "scope": {"orders.read admin orders.read"},
	})
	if answer.Status != http.StatusOK || answer.TokenType != "Bearer" || answer.ExpiresIn != 600 || answer.Scope != "orders.read" {
		t.Fatalf("%+v", answer)
	}
	header, claims := open(t, keys, answer.AccessToken)
	if header.ExtraHeaders["typ"] != "at+jwt" || header.Algorithm != "ES256" {
		t.Errorf("header %+v", header)
	}
	iat, exp := claims["iat"].(float64), claims["exp"].(float64)
	if int64(iat) < before || exp-iat != 600 {
		t.Errorf("iat %v, exp %v", iat, exp)
	}
	if claims["jti"] == "" {
		t.Error("no jti")
	}
	for _, name := range []string{"iat", "exp", "jti"} {
		delete(claims, name)
	}
	want := map[string]any{
		"iss": is.Issuer(), "sub": "reporting", "client_id": "reporting", "aud": "postgres",
		"scope": "orders.read", "tenant": "acme",
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
}

func TestTokenEndpoint(t *testing.T) {
	is, client := start(t, devissuer.Config{Clients: clients(), Algorithms: []string{"ES256"}})
	grant := func(more ...string) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(more); i += 2 {
			v.Add(more[i], more[i+1])
		}
		return v
	}
	tests := []struct {
		name, user, pass string
		form             url.Values
		status           int
		err              string
	}{
		{"all scopes by default", "reporting", "s3cret+&", grant(), 200, ""},
		{"secret in the form", "", "", grant("client_id", "reporting", "client_secret", "s3cret+&"), 200, ""},
		{"another audience", "reporting", "s3cret+&", grant("audience", "warehouse"), 200, ""},
		{"audience as resource", "reporting", "s3cret+&", grant("resource", "warehouse"), 200, ""},
		{"wrong secret", "reporting", "s3cret", grant(), 401, "invalid_client"},
		{"unknown client", "nobody", "", grant(), 401, "invalid_client"},
		{"no client", "", "", grant(), 401, "invalid_client"},
		{"two ways to authenticate", "reporting", "s3cret+&", grant("client_secret", "s3cret+&"), 401, "invalid_client"},
		{"foreign scope", "reporting", "s3cret+&", grant("scope", "admin"), 400, "invalid_scope"},
		{"foreign audience", "reporting", "s3cret+&", grant("audience", "payroll"), 400, "invalid_target"},
		{"another grant", "reporting", "s3cret+&", url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type"},
		{"parameter twice", "reporting", "s3cret+&", grant("scope", "a", "scope", "b"), 400, "invalid_request"},
		{"long body", "reporting", "s3cret+&", grant("scope", strings.Repeat("x", 20<<10)), 400, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, is, client, tt.user, tt.pass, tt.form)
			if got.Status != tt.status || got.Error != tt.err || (got.AccessToken != "") != (tt.status == 200) {
				t.Errorf("%d %q, want %d %q", got.Status, got.Error, tt.status, tt.err)
			}
			if strings.Contains(got.Raw, "s3cret") {
				t.Error("the answer quotes the secret")
			}
		})
	}
}

func TestRotateKeepsOldKeysUntilRetire(t *testing.T) {
	is, _ := start(t, devissuer.Config{})
	for _, alg := range []string{"ES256", "RS256"} {
		old, err := is.Mint(devissuer.Claims{Algorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		if err := is.Rotate(); err != nil {
			t.Fatal(err)
		}
		open(t, is.JWKS(), old)
		fresh, err := is.Mint(devissuer.Claims{Algorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		is.Retire()
		header, _ := open(t, is.JWKS(), fresh)
		if len(is.JWKS().Keys) != 2 {
			t.Errorf("%d keys are left", len(is.JWKS().Keys))
		}
		parsed, err := jwt.ParseSigned(old, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		left := is.JWKS()
		if parsed.Headers[0].KeyID == header.KeyID || len(left.Key(parsed.Headers[0].KeyID)) != 0 {
			t.Error("the old key is still published")
		}
	}
}

func TestMintOverrides(t *testing.T) {
	is, _ := start(t, devissuer.Config{Algorithms: []string{"ES256"}})
	token, err := is.Mint(devissuer.Claims{
		Audience: []string{"a", "b"}, Lifetime: -time.Minute,
		Set:    map[string]any{"sub": nil, "nbf": 17},
		Header: map[string]any{"typ": nil, "x": "y"},
	})
	if err != nil {
		t.Fatal(err)
	}
	header, claims := open(t, is.JWKS(), token)
	if _, ok := header.ExtraHeaders["typ"]; ok || header.ExtraHeaders["x"] != "y" {
		t.Errorf("header %+v", header.ExtraHeaders)
	}
	if _, ok := claims["sub"]; ok || claims["nbf"] != 17.0 || claims["exp"].(float64) > claims["iat"].(float64) {
		t.Errorf("claims %+v", claims)
	}
	raw, err := is.Mint(devissuer.Claims{Payload: []byte("not JSON")})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if payload := parsed.UnsafePayloadWithoutVerification(); string(payload) != "not JSON" {
		t.Errorf("payload %q", payload)
	}
	for _, c := range []devissuer.Claims{{Algorithm: "RS256"}, {KeyID: "none"}} {
		if _, err := is.Mint(c); err == nil {
			t.Errorf("%+v was minted", c)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := devissuer.Client{ID: "a", Secret: secret.FromString("x"), Audiences: []string{"postgres"}}
	deps := devissuer.Deps{Clock: sys.OS().Clock, Rand: sys.OS().Rand}
	for name, cfg := range map[string]devissuer.Config{
		"no name":           {},
		"http":              {Issuer: "http://localhost"},
		"path":              {Issuer: "https://localhost/realm"},
		"algorithm":         {Issuer: "https://localhost", Algorithms: []string{"HS256"}},
		"algorithm twice":   {Issuer: "https://localhost", Algorithms: []string{"ES256", "ES256"}},
		"client twice":      {Issuer: "https://localhost", Clients: []devissuer.Client{good, good}},
		"client no secret":  {Issuer: "https://localhost", Clients: []devissuer.Client{{ID: "a", Audiences: good.Audiences}}},
		"client no targets": {Issuer: "https://localhost", Clients: []devissuer.Client{{ID: "a", Secret: good.Secret}}},
	} {
		if _, err := devissuer.New(cfg, deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
