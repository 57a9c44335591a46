package devissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/scopewire/scopewire/internal/sys"
)

// rsaBits is the least RFC 7518 section 3.3 allows.
const rsaBits = 2048

// signingKey is one key of the issuer. The newest of an algorithm signs; older
// ones are only published.
type signingKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

// Rotate makes a new key for each algorithm. From now on it signs; the keys
// before it stay published, so that tokens signed with them verify until Retire.
func (is *Issuer) Rotate() error {
	is.mu.Lock()
	defer is.mu.Unlock()
	for _, alg := range is.algs {
		key, err := is.generate(alg)
		if err != nil {
			return fmt.Errorf("make %s key of development issuer: %w", alg, err)
		}
		is.made++
		is.keys = append(is.keys, signingKey{id: fmt.Sprintf("dev-%d-%s", is.made, alg), alg: alg, key: key})
	}
	return nil
}

// Retire withdraws every key but the newest of each algorithm.
func (is *Issuer) Retire() { is.Keep(1) }

// Keep withdraws every key but the n newest of each algorithm.
func (is *Issuer) Keep(n int) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.keys = slices.Clone(is.keys[max(0, len(is.keys)-n*len(is.algs)):])
}

// JWKS is the set of public keys as published.
func (is *Issuer) JWKS() jose.JSONWebKeySet {
	is.mu.Lock()
	defer is.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range is.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: k.key.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig",
		})
	}
	return set
}

func (is *Issuer) generate(alg jose.SignatureAlgorithm) (crypto.Signer, error) {
	if alg == jose.RS256 {
		return rsa.GenerateKey(reader{is.rand}, rsaBits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), reader{is.rand})
}

// signer finds the key: by id when one is given, else the newest of the
// algorithm, which is the issuer's first when none is given.
func (is *Issuer) signer(alg, id string) (signingKey, error) {
	if alg == "" {
		alg = string(is.algs[0])
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	for _, k := range slices.Backward(is.keys) {
		if id == k.id || id == "" && alg == string(k.alg) {
			return k, nil
		}
	}
	return signingKey{}, fmt.Errorf("development issuer has no %s key %q", alg, id)
}

// reader gives sys.Rand the form that package crypto asks for.
type reader struct{ sys.Rand }

// Read fills p.
func (r reader) Read(p []byte) (int, error) {
	r.Rand.Read(p)
	return len(p), nil
}
