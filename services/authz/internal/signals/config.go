package signals

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/scopewire/scopewire/internal/config"
)

// Config is where events are taken, and from whom.
type Config struct {
	// Address is host:port. Default: no events are taken.
	Address string `yaml:"address,omitempty"`
	// Path is the address's path that transmitters push to. Default /events.
	Path string `yaml:"path,omitempty"`
	// CertFile and KeyFile are the server's certificate chain and key, PEM, read again
	// when they change. Required.
	CertFile string `yaml:"cert_file,omitempty"`
	KeyFile  string `yaml:"key_file,omitempty"`
	// Transmitters are who may send events. At least one.
	Transmitters []Transmitter `yaml:"transmitters,omitempty"`
}

// Transmitter is one sender of events.
type Transmitter struct {
	// Issuer is the iss of its events. Required.
	Issuer string `yaml:"issuer"`
	// Audiences are the aud values that mean this receiver. At least one.
	Audiences []string `yaml:"audiences,omitempty"`
	// JWKSURI is the https address of its keys, JWKSFile a file with them. Default: by
	// discovery at Issuer.
	JWKSURI  string `yaml:"jwks_uri,omitempty"`
	JWKSFile string `yaml:"jwks_file,omitempty"`
	// Algorithms are those it signs with. Default: RS256, PS256, ES256, EdDSA.
	Algorithms []string `yaml:"algorithms,omitempty"`
	// BearerFile holds the secret that it sends as a bearer token, at least 16 bytes; it
	// is read for each request. Required.
	BearerFile string `yaml:"bearer_file"`
	// Subjects are the issuers whose subjects it may speak about. Default: itself.
	Subjects []string `yaml:"subjects,omitempty"`
	// Rate is how many events are taken in a second, with ten times as many at once.
	// Default 50. A higher one lets a transmitter gone wild write more to the state.
	Rate int `yaml:"rate,omitempty"`
	// TokenLifetime is the longest that tokens of Subjects live: after it a revocation is
	// forgotten. Default: what policy says of their issuer (max_token_lifetime), else they are
	// kept for ever, until a later one of the same subject. A shorter one than the tokens' would let revoked ones come back.
	TokenLifetime config.Duration `yaml:"token_lifetime,omitempty"`
}

const (
	defaultPath = "/events"
	defaultRate = 50
	// burst is how many times the rate may come at once.
	burst = 10
	// leastSecret is the shortest bearer secret, in bytes.
	leastSecret = 16
)

// Validate adds what is wrong, but for what is wrong with transmitters' keys, which New
// says.
func (c *Config) Validate(p *config.Problems, path string) {
	if c.Address == "" {
		if len(c.Transmitters) > 0 || c.CertFile != "" || c.KeyFile != "" {
			p.Addf(path+".address", "is needed to take events")
		}
		return
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		p.Addf(path+".address", "is host:port, not %q", c.Address)
	}
	if c.CertFile == "" || c.KeyFile == "" {
		p.Addf(path, "cert_file and key_file are needed: events are taken over HTTPS alone")
	}
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		p.Addf(path+".path", "it begins with a slash")
	}
	if len(c.Transmitters) == 0 {
		p.Addf(path+".transmitters", "at least one is needed")
	}
	for i, t := range c.Transmitters {
		at := fmt.Sprintf("%s.transmitters[%d]", path, i)
		if t.BearerFile == "" {
			p.Addf(at+".bearer_file", "name the file of the secret that it authenticates by")
		}
		if slices.Contains(t.Subjects, "") {
			p.Addf(at+".subjects", "an issuer is not empty")
		}
		if t.Rate < 0 || time.Duration(t.TokenLifetime) < 0 {
			p.Addf(at, "neither rate nor token_lifetime is negative")
		}
	}
}
