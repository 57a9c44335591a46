package policy

import (
	"slices"
	"time"
)

// Verifications are by what the tokens of an issuer can be verified: its keys, its own
// word (RFC 7662), both, or by the form of the token.
func Verifications() []string { return []string{verifyLocal, verifyIntrospect, "both", "by_form"} }

const (
	verifyLocal      = "local"
	verifyIntrospect = "introspect"
)

// Introspection is how an issuer is asked about tokens.
type Introspection struct {
	// Endpoint is where; empty is found by discovery.
	Endpoint string
	// ClientID asks, with the secret of SecretFile or the private key of KeyFile, which has
	// the name KeyID or none.
	ClientID, SecretFile, KeyFile, KeyID string
	// TTL is how long an answer counts.
	TTL time.Duration
}

// The bounds of an answer's time, and what it is where the policy does not say.
const (
	minIntrospectionTTL     = time.Second
	maxIntrospectionTTL     = 10 * time.Minute
	defaultIntrospectionTTL = 30 * time.Second
)

// introspectionEntry is Introspection as written.
type introspectionEntry struct {
	Endpoint   *string        `yaml:"endpoint"`
	ClientID   string         `yaml:"client_id"`
	SecretFile *string        `yaml:"client_secret_file"`
	KeyFile    *string        `yaml:"client_key_file"`
	KeyID      *string        `yaml:"client_key_id"`
	TTL        *time.Duration `yaml:"ttl"`
}

// introspection says by what the issuer's tokens are verified, and adds what is wrong.
func (e issuerEntry) introspection(c *compiler, path string) (verification string, in Introspection) {
	verification = verifyLocal
	if e.Verification != nil {
		verification = *e.Verification
	}
	if !slices.Contains(Verifications(), verification) {
		c.Addf(path+".verification", "%q is not one of %s", verification, join(Verifications()))
		return verifyLocal, in
	}
	path += ".introspection"
	switch w := e.Introspection; {
	case verification == verifyLocal && w != nil:
		c.Addf(path, "verification is local: the issuer is never asked")
		return verification, in
	case verification == verifyLocal:
		return verification, in
	case w == nil:
		c.Addf(path, "say who asks the issuer: client_id, and client_secret_file or client_key_file")
		return verification, in
	default:
		return verification, w.compile(c, path, e.Issuer)
	}
}

func (w *introspectionEntry) compile(c *compiler, path, issuer string) Introspection {
	in := Introspection{Endpoint: value(w.Endpoint), ClientID: w.ClientID, SecretFile: value(w.SecretFile), KeyFile: value(w.KeyFile),
		KeyID: value(w.KeyID), TTL: defaultIntrospectionTTL}
	if w.TTL != nil {
		in.TTL = *w.TTL
	}
	if in.TTL < minIntrospectionTTL || in.TTL > maxIntrospectionTTL {
		c.Addf(path+".ttl", "an answer counts for between %s and %s", minIntrospectionTTL, maxIntrospectionTTL)
	}
	if in.ClientID == "" {
		c.Addf(path+".client_id", "name the client that asks")
	}
	if (in.SecretFile == "") == (in.KeyFile == "") {
		c.Addf(path, "name client_secret_file or client_key_file, and one of them")
	}
	if w.KeyID != nil && (in.KeyID == "" || in.KeyFile == "") {
		c.Addf(path+".client_key_id", "it names the key of client_key_file")
	}
	switch {
	case w.Endpoint != nil && !secureURL(*w.Endpoint):
		c.Addf(path+".endpoint", "an issuer is asked by https")
	case w.Endpoint == nil && !secureURL(issuer):
		c.Addf(path+".endpoint", "discovery needs an issuer that is an https URL")
	}
	return in
}
