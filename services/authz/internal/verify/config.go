package verify

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/scopewire/scopewire/internal/config"
)

// MaxSkew is the most by which an issuer's clock may be ahead.
const MaxSkew = 30 * time.Second

// The defaults of Config.
const (
	DefaultRefresh      = 300 * time.Second
	DefaultMaxAge       = time.Hour
	DefaultFetchTimeout = 4 * time.Second
)

// Config is how keys are kept. Zero fields mean their defaults.
type Config struct {
	// Refresh is how often each key set is fetched again: how long a withdrawn key
	// is still accepted. Default 300 s.
	Refresh time.Duration
	// MaxAge is how old a key set may be before every token of its issuer is
	// refused. Default 1 h.
	MaxAge time.Duration
	// FetchTimeout bounds one fetch, discovery included, and with it how long a
	// login waits for an issuer that does not answer. Default 4 s.
	FetchTimeout time.Duration
	// CAFile holds the PEM roots that issuers' certificates are checked with.
	// Empty: the system's.
	CAFile string
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.Refresh, DefaultRefresh}, {&c.MaxAge, DefaultMaxAge}, {&c.FetchTimeout, DefaultFetchTimeout}} {
		if *d.v == 0 {
			*d.v = d.def
		}
		if *d.v < 0 {
			return c, fmt.Errorf("a negative duration: %s", *d.v)
		}
	}
	if c.MaxAge < c.Refresh+c.FetchTimeout {
		return c, fmt.Errorf("keys would be too old (%s) before they are fetched again (%s)", c.MaxAge, c.Refresh)
	}
	return c, nil
}

// Issuer is one issuer whose tokens are accepted, as policy names it.
type Issuer struct {
	// Issuer is the exact iss.
	Issuer string
	// Audiences are the aud values that mean this service; at least one.
	Audiences []string
	// JWKSURI is the https address of the key set, JWKSFile a file with it. With
	// neither, the address is found by discovery. At most one of the two.
	JWKSURI, JWKSFile string
	// Algorithms are accepted; none is DefaultAlgorithms.
	Algorithms []string
	// AcceptTypJWT also accepts tokens of typ JWT or of none, for issuers that do not
	// follow RFC 9068.
	AcceptTypJWT bool
	// Skew is by how much the issuer's clock may be ahead, at most MaxSkew. It
	// never lengthens a token's life.
	Skew time.Duration
	// MaxLifetime is the longest that its tokens may live, from iat to exp; 0 for no
	// bound. With it a token has to have iat.
	MaxLifetime time.Duration
	// Mode says by what its tokens are verified; empty is Local. Introspection is how the
	// issuer is asked, where it is.
	Mode          Mode
	Introspection Introspection
}

// check adds what is wrong with the issuer to p.
func (is Issuer) check(p *config.Problems, path string) {
	if is.Issuer == "" {
		p.Addf(path+".issuer", "name the issuer; without it any signed token would do")
	}
	if len(is.Audiences) == 0 || slices.Contains(is.Audiences, "") {
		p.Addf(path+".audiences", "name at least one audience; without it a token for anybody would do")
	}
	switch {
	case is.JWKSURI != "" && is.JWKSFile != "":
		p.Addf(path, "give either jwks_uri or jwks_file")
	case is.JWKSURI != "":
		if err := checkHTTPS(is.JWKSURI); err != nil {
			p.Addf(path+".jwks_uri", "%s", err)
		}
	case is.JWKSFile == "":
		if is.Mode != Introspect && checkDiscovery(is.Issuer) != nil {
			p.Addf(path+".issuer", "discovery needs an https URL without query; give jwks_uri or jwks_file otherwise")
		}
	}
	switch {
	case !slices.Contains(Modes(), is.Mode):
		p.Addf(path+".verification", "%q is not one of %v", is.Mode, Modes())
	case is.Mode.asks():
		is.Introspection.check(p, path+".introspection", is.Issuer)
	case is.Introspection != (Introspection{}):
		p.Addf(path+".introspection", "verification is local: the issuer is never asked")
	}
	for _, alg := range is.Algorithms {
		if !known(alg) {
			p.Addf(path+".algorithms", "%q is not one of %v", alg, Algorithms())
		}
	}
	if is.MaxLifetime < 0 {
		p.Addf(path+".max_token_lifetime", "it is not negative")
	}
	if is.Skew < 0 || is.Skew > MaxSkew {
		p.Addf(path+".skew", "it is between 0s and %s", MaxSkew)
	}
}

// checkHTTPS accepts an absolute https URL without fragment and user.
func checkHTTPS(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return fmt.Errorf("%q is no https URL", address)
	}
	return nil
}
