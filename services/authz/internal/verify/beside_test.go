package verify

import (
	"crypto/elliptic"
	"reflect"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/secret"
)

// TestSec_T37_NothingBesideAnError: a token with one fault, whichever it is, gives a refusal
// and nothing else. Each fault is of a check of its own, so that none of them can be left
// out without this failing.
func TestSec_T37_NothingBesideAnError(t *testing.T) {
	b := newBench(t, testRules())
	sec := epoch.Unix()
	forged := pair{kid: "p256", signer: ecKey(t, elliptic.P256())}
	faults := map[string]struct {
		header, claims map[string]any
		key            *pair
		change         func(string) string
		want           Reason
	}{
		"form":              {change: func(s string) string { return s + "." }, want: Malformed},
		"length":            {change: func(s string) string { return s + strings.Repeat("A", MaxTokenSize) }, want: Malformed},
		"critical header":   {header: one("crit", []string{"x"}), want: Malformed},
		"payload's form":    {header: one("b64", false), want: Malformed},
		"compression":       {header: one("zip", "DEF"), want: Malformed},
		"algorithm":         {header: one("alg", "none"), want: Algorithm},
		"algorithm allowed": {header: one("alg", "ES384"), want: Algorithm},
		"key":               {header: one("kid", "nobody"), want: Signature},
		"signature":         {key: &forged, want: Signature},
		"type":              {header: one("typ", "JWT"), want: Type},
		"issuer":            {claims: one("iss", testIssuer+"/"), want: IssuerUnknown},
		"audience":          {claims: one("aud", "other"), want: Audience},
		"expiry":            {claims: map[string]any{"exp": sec, "iat": sec - 60}, want: Expired},
		"no expiry":         {claims: one("exp", nil), want: ClaimsInvalid},
		"not before":        {claims: one("nbf", sec+1), want: NotYetValid},
		"issued":            {claims: one("iat", sec+1), want: NotYetValid},
		"subject":           {claims: one("sub", ""), want: ClaimsInvalid},
		"scopes":            {claims: one("scope", "a\"b"), want: ClaimsInvalid},
		"two lists":         {claims: one("scp", "other"), want: ClaimsInvalid},
		"actors":            {claims: one("act", map[string]any{}), want: ClaimsInvalid},
		"binding":           {claims: one("cnf", map[string]any{"jkt": "x"}), want: Binding},
		"details":           {claims: one("authorization_details", []any{map[string]any{"type": "postgresql", "x": 1}}), want: ClaimsInvalid},
	}
	for name, f := range faults {
		token := b.token(t, "ES256", "p256", f.header, f.claims)
		if f.key != nil {
			token = sign(t, "ES256", f.key.signer, goodHeader, object(t, goodClaims(), f.claims))
		}
		if f.change != nil {
			token = f.change(token)
		}
		for by, verify := range map[string]func() (Principal, error){
			"Verify":  func() (Principal, error) { return b.v.Verify(t.Context(), secret.FromString(token)) },
			"Confirm": func() (Principal, error) { return b.v.Confirm(t.Context(), secret.FromString(token)) },
		} {
			p, err := verify()
			r, ok := err.(*Refusal) //nolint:errorlint // It is documented to be one itself.
			if !ok || r.Reason != f.want {
				t.Errorf("%s: %s: %v, want %q", by, name, err, f.want)
			}
			if !reflect.ValueOf(p).IsZero() {
				t.Errorf("%s: %s: beside the error there is %+v", by, name, p)
			}
			if ok && r.Unverified != nil && b.v.Holds(*r.Unverified) {
				t.Errorf("%s: %s: what the token claims is believed", by, name)
			}
		}
		if e, err := b.v.Event(t.Context(), secret.FromString(token)); err == nil || !reflect.ValueOf(e).IsZero() {
			t.Errorf("Event: %s: %v %+v", name, err, e)
		}
	}
	if _, err := b.v.Verify(t.Context(), secret.FromString(b.token(t, "ES256", "p256", nil, nil))); err != nil {
		t.Errorf("without a fault: %v", err)
	}
}
