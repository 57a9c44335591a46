package devissuer

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scopewire/scopewire/internal/id"
)

// TypeAccessToken is the header's typ (RFC 9068 section 2.1).
const TypeAccessToken = "at+jwt"

// Claims describes a token to mint. The zero value is a good token of the issuer
// for the subject "dev"; each field changes one thing.
type Claims struct {
	// Subject is `sub`; empty is "dev".
	Subject string
	// ClientID is `client_id`; empty is the subject.
	ClientID string
	// Audience is `aud`: one is written as a string, several as an array; none is
	// "postgres".
	Audience []string
	// Scopes are joined to `scope`; none leaves the claim out.
	Scopes []string
	// Lifetime is counted from now; zero is the issuer's. A negative one has
	// expired.
	Lifetime time.Duration
	// Set adds or replaces members of the claims, last of all; a nil value removes
	// the member.
	Set map[string]any
	// Header adds or replaces members of the JOSE header, alg excepted; a nil
	// value removes the member.
	Header map[string]any
	// Algorithm and KeyID choose the signing key; empty is the issuer's first
	// algorithm and its newest key.
	Algorithm, KeyID string
	// Payload, when set, is signed as it is in place of the claims.
	Payload []byte
}

// Mint signs a token, a right or a wrong one.
func (is *Issuer) Mint(c Claims) (string, error) {
	key, err := is.signer(c.Algorithm, c.KeyID)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	payload := c.Payload
	if payload == nil {
		if payload, err = json.Marshal(is.claims(c)); err != nil {
			return "", fmt.Errorf("mint token: encode claims: %w", err)
		}
	}
	header := map[string]any{"typ": TypeAccessToken, "kid": key.id}
	override(header, c.Header)
	opts := &jose.SignerOptions{}
	for name, v := range header {
		opts.WithHeader(jose.HeaderKey(name), v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.alg, Key: key.key}, opts)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("mint token: sign: %w", err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("mint token: serialise: %w", err)
	}
	if is.minted != nil {
		is.minted(token)
	}
	return token, nil
}

func (is *Issuer) claims(c Claims) map[string]any {
	if c.Subject == "" {
		c.Subject = "dev"
	}
	if c.ClientID == "" {
		c.ClientID = c.Subject
	}
	if c.Lifetime == 0 {
		c.Lifetime = is.lifetime
	}
	var aud any = c.Audience
	switch len(c.Audience) {
	case 0:
		aud = "postgres"
	case 1:
		aud = c.Audience[0]
	}
	now := is.clock.Now()
	claims := map[string]any{
		"iss":       is.issuer,
		"sub":       c.Subject,
		"aud":       aud,
		"iat":       now.Unix(),
		"exp":       now.Add(c.Lifetime).Unix(),
		"jti":       id.New(is.clock, is.rand).String(),
		"client_id": c.ClientID,
	}
	if len(c.Scopes) > 0 {
		claims["scope"] = strings.Join(c.Scopes, " ")
	}
	override(claims, c.Set)
	return claims
}

// override lays changes over m; nil removes.
func override(m, changes map[string]any) {
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
}
