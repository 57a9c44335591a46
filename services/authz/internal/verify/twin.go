package verify

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
)

// twin is the SHA-256 of the token's other spelling, nil where it has none. Whoever holds
// an ECDSA signature (r, s) can write (r, n-s) too, n being the order of the curve's group,
// and both verify: SEC 1 section 4.1 knows no canonical one, and RFC 7518 section 3.4 asks
// for none. A token that is revoked by its digest would come back under another.
//
// Signatures of the other algorithms have one spelling: EdDSA's s is below the order (RFC
// 8032 section 5.1.7), RSA's is below the modulus and as long as it.
func twin(c *compact) *[sha256.Size]byte {
	var curve elliptic.Curve
	switch c.alg {
	case "ES256":
		curve = elliptic.P256()
	case "ES384":
		curve = elliptic.P384()
	case "ES512":
		curve = elliptic.P521()
	default:
		return nil
	}
	size := (curve.Params().BitSize + 7) / 8
	s := new(big.Int)
	if len(c.signature) != 2*size || s.SetBytes(c.signature[size:]).Sign() == 0 || s.Cmp(curve.Params().N) >= 0 {
		return nil
	}
	other := append([]byte(nil), c.signature...)
	s.Sub(curve.Params().N, s).FillBytes(other[size:])
	text := append(append([]byte(nil), c.input...), '.')
	text = base64.RawURLEncoding.AppendEncode(text, other)
	defer clear(text)
	sum := sha256.Sum256(text)
	return &sum
}
