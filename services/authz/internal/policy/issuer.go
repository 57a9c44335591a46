package policy

import (
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Issuer is an OAuth issuer whose tokens are accepted.
type Issuer struct {
	// Issuer is compared with the token's iss as it stands.
	Issuer string
	// Audiences are the values one of which the token's aud must hold.
	Audiences []string
	// JWKSURI is where the issuer's keys are; empty with JWKSFile empty too:
	// found by discovery.
	JWKSURI string
	// JWKSFile is a file with the issuer's keys.
	JWKSFile string
	// AcceptTypJWT also accepts tokens of typ JWT or of none, which RFC 9068 access tokens
	// are not: an issuer that needs it must not sign ID tokens for the audience.
	AcceptTypJWT bool
	// Algorithms are the signature algorithms accepted (RFC 7518 section 3.1 and
	// RFC 8037), never empty.
	Algorithms []string
	// Skew is how far the issuer's clock may be off, at most MaxSkew.
	Skew time.Duration
	// MaxTokenLifetime is the longest that its tokens may live, from iat to exp; 0 for no
	// bound.
	MaxTokenLifetime time.Duration
	// Verification says by what its tokens are verified, one of Verifications.
	Verification string
	// Introspection is how the issuer is asked; zero where it is not.
	Introspection Introspection
}

// MaxSkew bounds the skew of an issuer's clock.
const MaxSkew = 30 * time.Second

// algorithms are the asymmetric ones: with a symmetric algorithm, whoever
// verifies could also sign.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// defaultAlgorithms are accepted where the policy names none.
var defaultAlgorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}

// issuerEntry is an issuer as written.
type issuerEntry struct {
	Issuer        string              `yaml:"issuer"`
	Audiences     []string            `yaml:"audiences"`
	JWKSURI       *string             `yaml:"jwks_uri"`
	JWKSFile      *string             `yaml:"jwks_file"`
	AcceptTypJWT  bool                `yaml:"accept_typ_jwt"`
	Algorithms    *[]string           `yaml:"algorithms"`
	Skew          time.Duration       `yaml:"skew"`
	MaxLifetime   time.Duration       `yaml:"max_token_lifetime"`
	Verification  *string             `yaml:"verification"`
	Introspection *introspectionEntry `yaml:"introspection"`
	// TrustAuthorizationDetails is the ceiling of what tokens of the issuer may
	// grant by themselves; none when it is not there.
	TrustAuthorizationDetails *ceilingEntry `yaml:"trust_authorization_details"`
}

func compileIssuers(c *compiler, entries []issuerEntry) ([]Issuer, map[string]*ceiling) {
	ceilings := make(map[string]*ceiling)
	if len(entries) == 0 {
		c.Addf("issuers", "name at least one issuer")
	}
	var out []Issuer
	asked := ""
	for i, e := range entries {
		path := fmt.Sprintf("issuers[%d]", i)
		if slices.ContainsFunc(out, func(o Issuer) bool { return o.Issuer == e.Issuer }) {
			c.Addf(path+".issuer", "%q stands twice", e.Issuer)
		}
		e.check(c, path)
		is := Issuer{
			Issuer: e.Issuer, Audiences: e.Audiences, JWKSURI: value(e.JWKSURI), JWKSFile: value(e.JWKSFile),
			AcceptTypJWT: e.AcceptTypJWT, Algorithms: defaultAlgorithms, Skew: e.Skew, MaxTokenLifetime: e.MaxLifetime,
		}
		is.Verification, is.Introspection = e.introspection(c, path)
		if is.Verification != verifyLocal {
			if asked != "" {
				c.Addf(path+".verification", "an opaque token does not say whose it is: tokens of %s are introspected already", asked)
			}
			asked = e.Issuer
		}
		if e.Algorithms != nil {
			is.Algorithms = *e.Algorithms
		}
		out = append(out, is)
		if e.TrustAuthorizationDetails != nil {
			ceilings[e.Issuer] = e.TrustAuthorizationDetails.compile(c, path+".trust_authorization_details")
		}
	}
	return out, ceilings
}

func (e issuerEntry) check(c *compiler, path string) {
	switch {
	case e.Issuer == "":
		c.Addf(path+".issuer", "name the issuer as its tokens do, by their claim iss")
	case e.JWKSURI == nil && e.JWKSFile == nil && value(e.Verification) != verifyIntrospect && !secureURL(e.Issuer):
		c.Addf(path+".issuer", "discovery needs an https URL; else name jwks_uri or jwks_file")
	}
	if len(e.Audiences) == 0 {
		c.Addf(path+".audiences", "name at least one audience")
	}
	for i, a := range e.Audiences {
		if a == "" {
			c.Addf(fmt.Sprintf("%s.audiences[%d]", path, i), "an audience is not empty")
		}
	}
	if e.JWKSURI != nil && e.JWKSFile != nil {
		c.Addf(path, "name jwks_uri or jwks_file, not both")
	}
	if e.JWKSFile != nil && *e.JWKSFile == "" {
		c.Addf(path+".jwks_file", "name a file, or leave the key out")
	}
	if e.JWKSURI != nil && !secureURL(*e.JWKSURI) {
		c.Addf(path+".jwks_uri", "keys are fetched by https")
	}
	if e.Algorithms != nil {
		if len(*e.Algorithms) == 0 {
			c.Addf(path+".algorithms", "name at least one algorithm, or leave the key out for %s", join(defaultAlgorithms))
		}
		for i, a := range *e.Algorithms {
			if !slices.Contains(algorithms, a) {
				c.Addf(fmt.Sprintf("%s.algorithms[%d]", path, i), "%q is not accepted; the algorithms are %s", a, join(algorithms))
			}
		}
	}
	if e.Skew < 0 || e.Skew > MaxSkew {
		c.Addf(path+".skew", "the skew is between 0s and %s", MaxSkew)
	}
}

// value is what a key holds, nothing when it is not there.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// secureURL reports whether s is an absolute https URL.
func secureURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https"
}

func cloneIssuers(in []Issuer) []Issuer {
	out := slices.Clone(in)
	for i := range out {
		out[i].Audiences = slices.Clone(out[i].Audiences)
		out[i].Algorithms = slices.Clone(out[i].Algorithms)
	}
	return out
}
