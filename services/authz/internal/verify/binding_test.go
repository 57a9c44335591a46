package verify

import (
	"crypto/sha256"
	"testing"
)

// TestSec_T38: a token that is bound to a certificate is told to be, and only by its
// thumbprint; any other confirmation refuses it.
func TestSec_T38_CertificateAlone(t *testing.T) {
	b := newBench(t, testRules())
	sum, other := sha256.Sum256([]byte("certificate")), sha256.Sum256([]byte("another"))
	verify := func(claims map[string]any) (Principal, *Refusal) {
		return reasonOf(t, b.v, b.es(nil, claims)(t))
	}
	p, r := verify(one("cnf", map[string]any{"x5t#S256": b64(sum[:])}))
	if r != nil {
		t.Fatal(r)
	}
	if !p.ShownBy(sum[:]) || p.ShownBy(other[:]) || p.ShownBy(nil) || p.ShownBy(sum[:31]) {
		t.Error("the token is not held against the certificate")
	}
	if free, err := verify(nil); err != nil || !free.ShownBy(nil) || !free.ShownBy(sum[:]) {
		t.Errorf("a token that is bound to nothing: %v", err)
	}
	for name, cnf := range map[string]any{
		"empty": map[string]any{}, "a string": b64(sum[:]), "an array": []any{map[string]any{"x5t#S256": b64(sum[:])}},
		"beside another": map[string]any{"x5t#S256": b64(sum[:]), "jkt": "AAAA"},
		"SHA-1":          map[string]any{"x5t": b64(sum[:20])}, "short": map[string]any{"x5t#S256": b64(sum[:31])},
		"padded": map[string]any{"x5t#S256": b64(sum[:]) + "="}, "a number": map[string]any{"x5t#S256": 7},
		"a key": map[string]any{"jwk": map[string]any{"kty": "EC"}}, "in another case": map[string]any{"X5T#S256": b64(sum[:])},
	} {
		if _, r := verify(one("cnf", cnf)); r == nil || r.Reason != Binding {
			t.Errorf("%s: %v", name, r)
		}
	}
}
