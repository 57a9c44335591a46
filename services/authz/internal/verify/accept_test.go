package verify

import (
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scopewire/scopewire/internal/sys"
)

// bench is a verifier with one key of each kind and a way to sign with them.
type bench struct {
	v     *Verifier
	clock *manualClock
	keys  map[string]pair
}

func newBench(t *testing.T, rules Issuer) *bench {
	t.Helper()
	b := &bench{clock: newClock(), keys: map[string]pair{}}
	var list []pair
	for _, p := range []pair{
		{kid: "rsa", signer: rsaKey(t, 2048)},
		{kid: "pss", signer: rsaKey(t, 2048), extra: map[string]any{"alg": "PS256"}},
		{kid: "p256", signer: ecKey(t, elliptic.P256()), extra: map[string]any{"use": "sig", "alg": "ES256"}},
		{kid: "p384", signer: ecKey(t, elliptic.P384())},
		{kid: "p521", signer: ecKey(t, elliptic.P521())},
		{kid: "ed", signer: edKey(t)},
		{kid: "enc", signer: ecKey(t, elliptic.P256()), extra: map[string]any{"use": "enc"}},
		{kid: "weak", signer: rsaKey(t, 1024)},
		{kid: "twin", signer: ecKey(t, elliptic.P256())},
		{kid: "twin", signer: ecKey(t, elliptic.P256())},
	} {
		b.keys[p.kid] = p
		list = append(list, p)
	}
	machine := sys.OS()
	machine.Clock = b.clock
	machine.Net = noNet{t}
	b.v = newVerifier(t, machine, rules, jwks(t, list...))
	return b
}

// token signs with the key of that name; header and claims change the good ones.
func (b *bench) token(t *testing.T, alg, kid string, header, claims map[string]any) string {
	t.Helper()
	h := object(t, map[string]any{"alg": alg, "typ": "at+jwt", "kid": kid}, header)
	return sign(t, alg, b.keys[kid].signer, h, object(t, goodClaims(), claims))
}

const goodHeader = `{"alg":"ES256","typ":"at+jwt","kid":"p256"}`

func TestVerifyAccepts(t *testing.T) {
	rules := testRules()
	rules.Algorithms = Algorithms()
	rules.Skew = 30 * time.Second
	b := newBench(t, rules)
	sec := epoch.Unix()
	set := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	tests := []struct {
		name, alg, kid string
		header, claims map[string]any
		want           func(*Principal)
	}{
		{name: "RS256", alg: "RS256", kid: "rsa"},
		{name: "RS384", alg: "RS384", kid: "rsa"},
		{name: "RS512", alg: "RS512", kid: "rsa"},
		{name: "PS256", alg: "PS256", kid: "pss"},
		{name: "PS384", alg: "PS384", kid: "rsa"},
		{name: "PS512", alg: "PS512", kid: "rsa"},
		{name: "ES256", alg: "ES256", kid: "p256"},
		{name: "ES384", alg: "ES384", kid: "p384"},
		{name: "ES512", alg: "ES512", kid: "p521"},
		{name: "EdDSA", alg: "EdDSA", kid: "ed"},
		{name: "no kid, one key fits", alg: "ES384", kid: "p384", header: set("kid", nil)},
		{name: "long typ", alg: "ES256", kid: "p256", header: set("typ", "application/at+jwt")},
		{name: "foreign keys in the header are not looked at", alg: "ES256", kid: "p256", header: set(
			"jku", "https://attacker.example/jwks", "x5u", "https://attacker.example/x5u", "x5c", []string{"AAAA"},
			"x5t", "AAAA", "jwk", map[string]any{"kty": "EC"})},
		{name: "audience in an array", alg: "ES256", kid: "p256", claims: set("aud", []string{"other", testAudience})},
		{name: "scopes in scp", alg: "ES256", kid: "p256", claims: set("scope", nil, "scp", []string{"orders.write", "orders.read", "orders.write"}),
			want: func(p *Principal) { p.Scopes = []string{"orders.write", "orders.read"} }},
		{name: "scp as a string", alg: "ES256", kid: "p256", claims: set("scope", nil, "scp", "a  b a"),
			want: func(p *Principal) { p.Scopes = []string{"a", "b"} }},
		{name: "scope and scp agree", alg: "ES256", kid: "p256", claims: set("scp", []string{"orders.write", "orders.read"})},
		{name: "no scopes", alg: "ES256", kid: "p256", claims: set("scope", nil), want: func(p *Principal) { p.Scopes = nil }},
		{name: "empty scope", alg: "ES256", kid: "p256", claims: set("scope", ""), want: func(p *Principal) { p.Scopes = nil }},
		{name: "azp for client_id", alg: "ES256", kid: "p256", claims: set("client_id", nil, "azp", "other"),
			want: func(p *Principal) { p.ClientID = "other" }},
		{name: "no iat, no jti, no client", alg: "ES256", kid: "p256", claims: set("iat", nil, "jti", nil, "client_id", nil),
			want: func(p *Principal) { p.IssuedAt, p.TokenID, p.ClientID = time.Time{}, "", "" }},
		{name: "nbf within the skew", alg: "ES256", kid: "p256", claims: set("nbf", sec+30)},
		{name: "iat within the skew", alg: "ES256", kid: "p256", claims: set("iat", sec+30),
			want: func(p *Principal) { p.IssuedAt = time.Unix(sec+30, 0) }},
		{name: "fractions of seconds", alg: "ES256", kid: "p256", claims: set("exp", float64(sec)+600.75, "iat", float64(sec)-0.25),
			want: func(p *Principal) { p.IssuedAt = time.Unix(sec-1, 0) }},
		{name: "last second", alg: "ES256", kid: "p256", claims: set("exp", sec+1), want: func(p *Principal) {
			p.ExpiresAt, p.Deadline = time.Unix(sec+1, 0), epoch.Add(time.Second)
		}},
		{name: "far future", alg: "ES256", kid: "p256", claims: set("exp", int64(maxDate)), want: func(p *Principal) {
			p.ExpiresAt, p.Deadline = time.Unix(maxDate, 0), epoch.Add(maxLifetime)
		}},
		{name: "actors", alg: "ES256", kid: "p256", claims: set("act", map[string]any{
			"sub": "gateway", "iss": "https://other.example", "act": map[string]any{"sub": "batch"}}),
			want: func(p *Principal) {
				p.Actors = []Actor{{Issuer: "https://other.example", Subject: "gateway"}, {Subject: "batch"}}
			}},
		{name: "deep but not too deep", alg: "ES256", kid: "p256", claims: set("x", nest(maxDepth-1))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := Principal{
				Issuer: testIssuer, Subject: "alice", ClientID: "app", TokenID: "t-1",
				Scopes: []string{"orders.read", "orders.write"}, IssuedAt: epoch, ExpiresAt: epoch.Add(10 * time.Minute),
				Deadline: epoch.Add(10 * time.Minute),
			}
			if tt.want != nil {
				tt.want(&want)
			}
			got, r := reasonOf(t, b.v, b.token(t, tt.alg, tt.kid, tt.header, tt.claims))
			if r != nil {
				t.Fatal(r)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Principal{}), cmpopts.IgnoreFields(Principal{}, "Twin")); diff != "" {
				t.Error(diff)
			}
			if !b.v.Holds(got) {
				t.Error("the verifier does not stand by it")
			}
		})
	}
}

// nest is depth arrays around a number.
func nest(depth int) any {
	var v any = 1
	for range depth {
		v = []any{v}
	}
	return v
}
