package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// The sizes of an RSA modulus that are accepted, in bits. The lower bound is RFC
// 7518 section 3.3; the upper one keeps one signature check under a millisecond.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Algorithms lists every signature algorithm a policy may allow (RFC 7518
// section 3.1, RFC 8037 section 3.1). All are asymmetric: with a shared secret,
// who can verify can also sign.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// known reports whether alg is one of Algorithms.
func known(alg string) bool { return slices.Contains(Algorithms(), alg) }

// DefaultAlgorithms are allowed for an issuer that names none.
func DefaultAlgorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

// agrees reports whether a key of this type, size and curve may be used with
// alg. An algorithm it does not know agrees with nothing.
func agrees(alg string, key crypto.PublicKey) bool {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		k, ok := key.(*rsa.PublicKey)
		return ok && k.N.BitLen() >= minRSABits && k.N.BitLen() <= maxRSABits && k.N.Bit(0) == 1 &&
			k.E >= 3 && k.E <= math.MaxInt32 && k.E%2 == 1
	case "ES256":
		return onCurve(key, elliptic.P256())
	case "ES384":
		return onCurve(key, elliptic.P384())
	case "ES512":
		return onCurve(key, elliptic.P521())
	case "EdDSA":
		k, ok := key.(ed25519.PublicKey)
		return ok && len(k) == ed25519.PublicKeySize
	default:
		return false
	}
}

func onCurve(key crypto.PublicKey, curve elliptic.Curve) bool {
	k, ok := key.(*ecdsa.PublicKey)
	return ok && k.Curve == curve
}

// signed reports whether signature is alg's signature over input by key, which
// must agree with alg.
func signed(alg string, key crypto.PublicKey, input, signature []byte) bool {
	if !agrees(alg, key) {
		return false
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(alg))
	if err != nil {
		return false
	}
	return verifier.Verify(input, signature, key) == nil
}
