package verify

import (
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// TestSec_T36_LifetimeIsBounded: where policy bounds the life of tokens, one that lives longer
// is refused, and one that does not say since when it lives; their end alone says nothing.
func TestSec_T36_LifetimeIsBounded(t *testing.T) {
	machine := sys.OS()
	machine.Clock = newClock()
	k := pair{kid: "p256", signer: ecKey(t, elliptic.P256())}
	rules := testRules()
	rules.MaxLifetime = time.Hour
	v := newVerifier(t, machine, rules, jwks(t, k))
	now := epoch.Unix()
	for name, c := range map[string]struct {
		claims map[string]any
		want   Reason
	}{
		"as long":              {map[string]any{"iat": now, "exp": now + 3600}, ""},
		"a second more":        {map[string]any{"iat": now, "exp": now + 3601}, ClaimsInvalid},
		"nearly at its end":    {map[string]any{"iat": now - 1e6, "exp": now + 1}, ClaimsInvalid},
		"nobody knows since":   {map[string]any{"iat": nil, "exp": now + 60}, ClaimsInvalid},
		"since a negative one": {map[string]any{"iat": -1, "exp": now + 60}, ClaimsInvalid},
		"a fraction more":      {map[string]any{"iat": float64(now) - 0.5, "exp": now + 3600}, ClaimsInvalid},
	} {
		p, r := reasonOf(t, v, sign(t, "ES256", k.signer, goodHeader, object(t, goodClaims(), c.claims)))
		if reason(r) != c.want {
			t.Errorf("%s: %v, %v", name, p, r)
		}
	}
	if v.MaxLifetime(testIssuer) != time.Hour || v.MaxLifetime("https://other.example.com") != 0 {
		t.Error("the bound is not that of the issuer")
	}
	// A tightened bound ends what was verified before it.
	p, r := reasonOf(t, v, sign(t, "ES256", k.signer, goodHeader, object(t, goodClaims(), nil)))
	if r != nil || !v.Holds(p) {
		t.Fatal(r)
	}
	tighter := (*v.issuers.Load())[testIssuer].rules
	tighter.MaxLifetime = time.Minute
	if err := v.Configure([]Issuer{tighter}); err != nil {
		t.Fatal(err)
	}
	if v.Holds(p) {
		t.Error("a token that lives too long by now is still believed")
	}
}
