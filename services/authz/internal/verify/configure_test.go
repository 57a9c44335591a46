package verify

import (
	"crypto/elliptic"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scopewire/scopewire/internal/sys"
)

func TestRefusalCarriesTheClaim(t *testing.T) {
	b := newBench(t, testRules())
	_, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", nil, map[string]any{"aud": "payroll", "act": map[string]any{"sub": "gw"}}))
	if r == nil || r.Unverified == nil {
		t.Fatalf("%v", r)
	}
	want := &Principal{
		Issuer: testIssuer, Subject: "alice", ClientID: "app", TokenID: "t-1", Actors: []Actor{{Subject: "gw"}},
		Scopes: []string{"orders.read", "orders.write"}, IssuedAt: epoch, ExpiresAt: epoch.Add(10 * time.Minute),
	}
	if diff := cmp.Diff(want, r.Unverified, cmpopts.IgnoreUnexported(Principal{})); diff != "" {
		t.Error(diff)
	}
	if b.v.Holds(*r.Unverified) {
		t.Error("the verifier stands by what nobody verified")
	}
	_, r = reasonOf(t, b.v, b.token(t, "ES256", "p256", nil, map[string]any{"aud": "payroll", "sub": 1, "jti": true, "iat": "x", "scope": 2}))
	if u := r.Unverified; u.Subject != "" || u.TokenID != "" || !u.IssuedAt.IsZero() || u.Scopes != nil || u.ClientID != "app" {
		t.Errorf("%+v", u)
	}
	if _, r := reasonOf(t, b.v, "abc"); r == nil || r.Unverified != nil {
		t.Errorf("%+v", r)
	}
}

func TestAcceptTypJWTRefusesOtherKindsOfToken(t *testing.T) {
	rules := testRules()
	rules.AcceptTypJWT = true
	b := newBench(t, rules)
	jwt := map[string]any{"typ": "JWT"}
	for name, claims := range map[string]map[string]any{
		"plain":              nil,
		"token_use access":   {"token_use": "access"},
		"typ claim":          {"typ": "Bearer"},
		"scopes in an array": {"scope": nil, "scp": []string{"orders.read"}},
	} {
		if _, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", jwt, claims)); r != nil {
			t.Errorf("%s: %v", name, r)
		}
	}
	for name, claims := range map[string]map[string]any{
		"ID token":                 {"nonce": "n"},
		"ID token, code flow":      {"at_hash": "x"},
		"ID token, hybrid flow":    {"c_hash": "x"},
		"ID token, financial":      {"s_hash": "x"},
		"logout token":             {"events": map[string]any{}},
		"ID token by token_use":    {"token_use": "id"},
		"token_use is a number":    {"token_use": 1},
		"ID token by typ claim":    {"typ": "ID"},
		"refresh token by typ":     {"typ": "Refresh"},
		"typ claim is not a text":  {"typ": true},
		"back-channel typ claim":   {"typ": "Logout"},
		"offline token by a claim": {"typ": "Offline"},
	} {
		if _, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", jwt, claims)); r == nil || r.Reason != Type {
			t.Errorf("%s: %v", name, r)
		}
	}
	// Okta writes none at all.
	if _, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", map[string]any{"typ": nil}, nil)); r != nil {
		t.Errorf("no typ: %v", r)
	}
	for _, typ := range []any{"jwt", "Jwt", "JWT ", "application/jwt"} {
		if _, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", map[string]any{"typ": typ}, nil)); r == nil || r.Reason != Type {
			t.Errorf("typ %v: %v", typ, r)
		}
	}
}

func TestIssuersDoNotShareKeys(t *testing.T) {
	clock := newClock()
	machine := sys.OS()
	machine.Clock, machine.Net = clock, noNet{t}
	mine := pair{kid: "k", signer: ecKey(t, elliptic.P256())}
	theirs := pair{kid: "k", signer: ecKey(t, elliptic.P256())}
	v := newVerifier(t, machine, testRules(), jwks(t, mine))
	other := newVerifier(t, machine, Issuer{Issuer: "https://other.example", Audiences: []string{testAudience}}, jwks(t, theirs))
	rules := []Issuer{(*v.issuers.Load())[testIssuer].rules, (*other.issuers.Load())["https://other.example"].rules}
	if err := v.Configure(rules); err != nil {
		t.Fatal(err)
	}
	header := `{"alg":"ES256","typ":"at+jwt","kid":"k"}`
	for _, tt := range []struct {
		name string
		key  pair
		iss  string
		want Reason
	}{
		{"mine", mine, testIssuer, ""},
		{"theirs", theirs, "https://other.example", ""},
		{"mine in their name", mine, "https://other.example", Signature},
		{"theirs in my name", theirs, testIssuer, Signature},
	} {
		_, r := reasonOf(t, v, sign(t, "ES256", tt.key.signer, header, object(t, goodClaims(), map[string]any{"iss": tt.iss})))
		if (r == nil) != (tt.want == "") || r != nil && r.Reason != tt.want {
			t.Errorf("%s: %v", tt.name, r)
		}
	}
}

func TestConfigureRefuses(t *testing.T) {
	good := testRules()
	change := func(f func(*Issuer)) []Issuer {
		is := good
		f(&is)
		return []Issuer{is}
	}
	for name, list := range map[string][]Issuer{
		"T33 no issuer":       change(func(is *Issuer) { is.Issuer = ""; is.JWKSFile = "x" }),
		"T33 no audience":     change(func(is *Issuer) { is.Audiences = nil }),
		"T33 empty audience":  change(func(is *Issuer) { is.Audiences = []string{"postgres", ""} }),
		"twice":               {good, good},
		"http discovery":      change(func(is *Issuer) { is.Issuer = "http://idp.example.com" }),
		"discovery by query":  change(func(is *Issuer) { is.Issuer = "https://idp.example.com?x" }),
		"http keys":           change(func(is *Issuer) { is.JWKSURI = "http://idp.example.com/jwks" }),
		"keys with a user":    change(func(is *Issuer) { is.JWKSURI = "https://u:p@idp.example.com/jwks" }),
		"two sources":         change(func(is *Issuer) { is.JWKSURI = "https://idp.example.com/jwks"; is.JWKSFile = "x" }),
		"symmetric algorithm": change(func(is *Issuer) { is.Algorithms = []string{"ES256", "HS256"} }),
		"none":                change(func(is *Issuer) { is.Algorithms = []string{"none"} }),
		"much skew":           change(func(is *Issuer) { is.Skew = MaxSkew + 1 }),
		"negative skew":       change(func(is *Issuer) { is.Skew = -1 }),
	} {
		v, err := New(Config{}, Deps{System: sys.OS()})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Configure(list); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if len(*v.issuers.Load()) != 0 {
			t.Errorf("%s: half accepted", name)
		}
	}
}

func TestHoldsFollowsTheConfiguration(t *testing.T) {
	b := newBench(t, testRules())
	p, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", nil, nil))
	if r != nil {
		t.Fatal(r)
	}
	rules := (*b.v.issuers.Load())[testIssuer].rules
	same := rules
	if err := b.v.Configure([]Issuer{same}); err != nil {
		t.Fatal(err)
	}
	if !b.v.Holds(p) {
		t.Error("nothing changed, and the token is no longer good")
	}
	stricter := rules
	stricter.Algorithms = []string{"RS256"}
	if err := b.v.Configure([]Issuer{stricter}); err != nil {
		t.Fatal(err)
	}
	if b.v.Holds(p) {
		t.Error("the issuer's rules changed, and the token is still good")
	}
	if err := b.v.Configure(nil); err != nil {
		t.Fatal(err)
	}
	if b.v.Holds(p) {
		t.Error("the issuer is gone, and the token is still good")
	}
	if b.v.Holds(Principal{}) {
		t.Error("nobody is held good")
	}
}

func TestNewRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, []byte("no certificate"), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"negative refresh":                {Refresh: -1},
		"negative age":                    {MaxAge: -1},
		"negative timeout":                {FetchTimeout: -1},
		"too old before the next refresh": {Refresh: time.Minute, MaxAge: time.Minute},
		"no roots":                        {CAFile: empty + ".missing"},
		"empty roots":                     {CAFile: empty},
	} {
		if _, err := New(cfg, Deps{System: sys.OS()}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestClaimedFallsBackToAzp(t *testing.T) {
	b := newBench(t, testRules())
	_, r := reasonOf(t, b.v, b.token(t, "ES256", "p256", nil, map[string]any{"aud": "payroll", "client_id": nil, "azp": "other"}))
	if r == nil || r.Unverified.ClientID != "other" {
		t.Errorf("%+v", r)
	}
}
