package verify

import (
	"encoding/json"
	"maps"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/internal/sys"
)

// TestProviders: tokens in the shapes that providers publish, signed by keys of our own.
// Times are the test's.
func TestProviders(t *testing.T) {
	text, err := os.ReadFile("testdata/providers.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name      string         `json:"name"`
		AcceptJWT bool           `json:"accept_typ_jwt"`
		Issuer    string         `json:"issuer"`
		Header    map[string]any `json:"header"`
		Claims    map[string]any `json:"claims"`
		Subject   string         `json:"subject"`
		Client    string         `json:"client"`
		Scopes    []string       `json:"scopes"`
		Refused   Reason         `json:"refused"`
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) < 14 {
		t.Fatal(len(cases), err)
	}
	key := pair{kid: "k", signer: rsaKey(t, 2048), extra: map[string]any{"use": "sig", "alg": "RS256"}}
	machine := sys.OS()
	machine.Clock, machine.Net = newClock(), noNet{t}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			v := newVerifier(t, machine, Issuer{Issuer: c.Issuer, Audiences: []string{testAudience}, AcceptTypJWT: c.AcceptJWT}, jwks(t, key))
			c.Header["kid"] = "k"
			claims := maps.Clone(c.Claims)
			claims["iat"], claims["exp"] = epoch.Unix(), epoch.Unix()+3600
			if _, ok := claims["nbf"]; ok {
				claims["nbf"] = epoch.Unix()
			}
			p, r := reasonOf(t, v, sign(t, "RS256", key.signer, object(t, c.Header, nil), object(t, claims, nil)))
			if reason(r) != c.Refused {
				t.Fatalf("%v, want %q", r, c.Refused)
			}
			if p.Subject != c.Subject || p.ClientID != c.Client || !cmp.Equal(p.Scopes, c.Scopes) {
				t.Errorf("%q %q %q", p.Subject, p.ClientID, p.Scopes)
			}
		})
	}
	// Google's access tokens are opaque, and Google has no introspection by RFC 7662.
	v := newVerifier(t, machine, testRules(), jwks(t, key))
	if _, r := reasonOf(t, v, "ya29.a0AfH6SMBx-Zm9vYmFyYmF6cXV4"); reason(r) != Malformed {
		t.Error(r)
	}
}
