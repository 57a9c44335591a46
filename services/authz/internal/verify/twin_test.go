package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// other writes a token's ECDSA signature in its other spelling.
func other(t *testing.T, token string, curve elliptic.Curve) string {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(sig[len(sig)/2:])
	s.Sub(curve.Params().N, s).FillBytes(sig[len(sig)/2:])
	return token[:dot+1] + b64(sig)
}

// TestSec_T38_OtherSpelling: whoever holds a token with an ECDSA signature can spell it in
// another way that verifies too. Each of the two names the other, so that a revocation of
// one digest finds both. Tokens of other algorithms have one spelling.
func TestSec_T38_OtherSpelling(t *testing.T) {
	machine := sys.OS()
	machine.Clock = newClock()
	rules := testRules()
	rules.Algorithms = Algorithms()
	keys := map[string]pair{
		"ES256": {kid: "ES256", signer: ecKey(t, elliptic.P256())}, "ES384": {kid: "ES384", signer: ecKey(t, elliptic.P384())},
		"ES512": {kid: "ES512", signer: ecKey(t, elliptic.P521())}, "EdDSA": {kid: "EdDSA", signer: edKey(t)},
		"RS256": {kid: "RS256", signer: rsaKey(t, 2048)}, "PS256": {kid: "PS256", signer: rsaKey(t, 2048)},
	}
	var list []pair
	for _, k := range keys {
		list = append(list, k)
	}
	v := newVerifier(t, machine, rules, jwks(t, list...))
	for alg, k := range keys {
		token := sign(t, alg, k.signer, `{"alg":"`+alg+`","typ":"at+jwt","kid":"`+alg+`"}`, object(t, goodClaims(), nil))
		p, r := reasonOf(t, v, token)
		if r != nil {
			t.Fatalf("%s: %v", alg, r)
		}
		key, elliptic := k.signer.(*ecdsa.PrivateKey)
		if !elliptic {
			if p.Twin != nil {
				t.Errorf("%s: a token has another spelling", alg)
			}
			continue
		}
		second := other(t, token, key.Curve)
		q, err := v.Verify(context.Background(), secret.FromString(second))
		if err != nil || second == token {
			t.Fatalf("%s: the other spelling does not verify: %v", alg, err)
		}
		if p.Twin == nil || *p.Twin != sha256.Sum256([]byte(second)) || q.Twin == nil || *q.Twin != sha256.Sum256([]byte(token)) {
			t.Errorf("%s: the spellings do not name each other", alg)
		}
	}
}

// Signatures that no key has made have no other spelling, and break nothing.
func TestTwinOfNonsense(t *testing.T) {
	order := elliptic.P256().Params().N
	for name, sig := range map[string][]byte{
		"none": nil, "short": make([]byte, 63), "long": make([]byte, 65), "s is zero": make([]byte, 64),
		"s is the order": append(make([]byte, 32), order.Bytes()...), "s is beyond": []byte(strings.Repeat("\xff", 64)),
	} {
		if got := twin(&compact{alg: "ES256", input: []byte("a.b"), signature: sig}); got != nil {
			t.Errorf("%s: %x", name, *got)
		}
	}
}
