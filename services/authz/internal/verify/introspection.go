package verify

import (
	"fmt"
	"net/url"
	"time"

	"github.com/scopewire/scopewire/internal/config"
)

// Mode says by what the tokens of an issuer are verified.
type Mode string

// The modes.
const (
	// Local takes JWTs, and verifies them by the issuer's keys. The zero value means it.
	Local Mode = "local"
	// Introspect asks the issuer about every token, whatever its form (RFC 7662).
	Introspect Mode = "introspect"
	// Both verifies JWTs by the issuer's keys and asks about them besides, so that the
	// issuer can take them back. Opaque tokens are asked about.
	Both Mode = "both"
	// ByForm verifies JWTs by the issuer's keys, and asks about opaque tokens alone: for
	// issuers that know nothing of their own JWTs.
	ByForm Mode = "by_form"
)

// Modes lists them.
func Modes() []Mode { return []Mode{Local, Introspect, Both, ByForm} }

// asks reports whether the issuer is asked about some tokens.
func (m Mode) asks() bool { return m == Introspect || m == Both || m == ByForm }

// The bounds of Introspection.TTL, and what it is when nothing is said.
const (
	MinIntrospectionTTL     = time.Second
	MaxIntrospectionTTL     = 10 * time.Minute
	DefaultIntrospectionTTL = 30 * time.Second
)

// Introspection is how an issuer is asked about tokens. It is comparable.
type Introspection struct {
	// Endpoint is the https address of the introspection endpoint. Empty: by discovery.
	Endpoint string
	// ClientID is who asks. It authenticates by SecretFile (client_secret_basic, RFC
	// 6749 section 2.3.1) or by KeyFile (private_key_jwt, RFC 7523): a private key in PKCS
	// 8 PEM, named KeyID to the issuer if it has a name. Either file is read for each question.
	ClientID, SecretFile, KeyFile, KeyID string
	// TTL is how long an answer counts. It never lengthens a token's life.
	TTL time.Duration
}

// check adds what is wrong to p.
func (in Introspection) check(p *config.Problems, path, issuer string) {
	if in.ClientID == "" {
		p.Addf(path+".client_id", "name the client that asks")
	}
	if (in.SecretFile == "") == (in.KeyFile == "") {
		p.Addf(path, "give either client_secret_file or client_key_file")
	}
	if in.KeyID != "" && in.KeyFile == "" {
		p.Addf(path+".client_key_id", "there is no client_key_file")
	}
	if in.Endpoint != "" {
		if err := checkHTTPS(in.Endpoint); err != nil {
			p.Addf(path+".endpoint", "%s", err)
		}
	} else if err := checkDiscovery(issuer); err != nil {
		p.Addf(path+".endpoint", "%s", err)
	}
	if in.TTL < MinIntrospectionTTL || in.TTL > MaxIntrospectionTTL {
		p.Addf(path+".ttl", "it is between %s and %s", MinIntrospectionTTL, MaxIntrospectionTTL)
	}
}

// checkDiscovery accepts an issuer whose metadata can be found (RFC 8414 section 2: no
// query and no fragment).
func checkDiscovery(issuer string) error {
	u, err := url.Parse(issuer)
	if herr := checkHTTPS(issuer); herr != nil || err != nil || u.RawQuery != "" || u.ForceQuery {
		return fmt.Errorf("discovery needs an issuer that is an https URL without query; give the address otherwise")
	}
	return nil
}
