package rpc

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/scopewire/scopewire/internal/config"
)

// ServerConfig says where a gRPC server listens and how it is secured. The
// zero value listens nowhere and serves a Pipe only.
type ServerConfig struct {
	// Address is host:port, or unix:/absolute/path. No default: absent, the server is reachable
	// inside its process only.
	Address string `yaml:"address,omitempty"`
	// TLS names the certificate files. Needed unless insecure_loopback is set.
	TLS TLSFiles `yaml:"tls,omitempty"`
	// InsecureLoopback serves plaintext, without client certificates, on a
	// loopback or unix socket: every process of the machine that can connect may
	// call every service. Default false.
	InsecureLoopback bool `yaml:"insecure_loopback,omitempty"`
	// Reflection serves gRPC reflection to the admin role. Default false; it only
	// tells what the published protos tell.
	Reflection bool `yaml:"reflection,omitempty"`
	// MaxConnectionAge is how long a connection lives before its client is asked
	// to make a new one. Default 30m, or a quarter of the life of the certificate at
	// the start where that is less: a connection is cut when a certificate that it
	// was made with ends, and should have been replaced by then. Lower spreads load
	// over new replicas and takes up rotated certificates sooner, at one handshake
	// each. Where clients' certificates live for less than an hour, set it to a
	// quarter of that.
	MaxConnectionAge config.Duration `yaml:"max_connection_age,omitempty"`
	// Drain is how long a stopping server waits for calls to end. Default 5s.
	// Higher lets slow calls finish; the stop takes as long.
	Drain config.Duration `yaml:"drain,omitempty"`
}

// ClientConfig says how to reach a gRPC server.
type ClientConfig struct {
	// Address is host:port, dns:///host:port (every address of the name is used),
	// passthrough:///host:port (resolved by the dialer), or unix:/absolute/path.
	// A bare host:port is taken as dns:///host:port.
	Address string `yaml:"address"`
	// ServerName is the DNS name the server's certificate must carry. Default:
	// the host of the address.
	ServerName string `yaml:"server_name,omitempty"`
	// TLS names the certificate files. Needed unless insecure_loopback is set.
	TLS TLSFiles `yaml:"tls,omitempty"`
	// InsecureLoopback speaks plaintext to a loopback or unix socket. Default
	// false.
	InsecureLoopback bool `yaml:"insecure_loopback,omitempty"`
}

// TLSFiles names PEM files. All three are needed; a rotation replaces them in
// place or by rename.
type TLSFiles struct {
	// CertFile is the own certificate, leaf first, then intermediates.
	CertFile string `yaml:"cert_file,omitempty"`
	// KeyFile is its private key.
	KeyFile string `yaml:"key_file,omitempty"`
	// CAFile holds the authorities whose certificates are accepted from the other
	// side.
	CAFile string `yaml:"ca_file,omitempty"`
	// Reload is the least time between two looks at the files. Default 10s. A
	// look happens at a handshake, so lower costs reads per connection.
	Reload config.Duration `yaml:"reload,omitempty"`
}

// IsZero reports whether no file is named.
func (t TLSFiles) IsZero() bool { return t.CertFile == "" && t.KeyFile == "" && t.CAFile == "" }

func (t TLSFiles) validate(p *config.Problems, path string) {
	for _, f := range []struct{ key, value string }{
		{"cert_file", t.CertFile}, {"key_file", t.KeyFile}, {"ca_file", t.CAFile},
	} {
		if f.value == "" {
			p.Addf(path+"."+f.key, "must be set: between processes both sides show a certificate")
		}
	}
	if t.Reload < 0 {
		p.Addf(path+".reload", "must not be negative")
	}
}

// Validate adds every finding to p, with path before each key.
func (c *ServerConfig) Validate(p *config.Problems, path string) {
	if c.Address == "" {
		if !c.TLS.IsZero() || c.InsecureLoopback {
			p.Addf(path+".address", "must be set where tls or insecure_loopback is")
		}
	} else {
		validateAddress(p, path, c.Address, c.TLS, c.InsecureLoopback)
	}
	if c.MaxConnectionAge < 0 || c.MaxConnectionAge > 0 && time.Duration(c.MaxConnectionAge) < time.Second {
		p.Addf(path+".max_connection_age", "must be at least 1s")
	}
	if c.Drain < 0 {
		p.Addf(path+".drain", "must not be negative")
	}
}

// Validate adds every finding to p, with path before each key.
func (c *ClientConfig) Validate(p *config.Problems, path string) {
	if c.Address == "" {
		p.Addf(path+".address", "must be set")
		return
	}
	if _, err := url.Parse(c.target()); err != nil {
		p.Addf(path+".address", "is not an address gRPC can resolve")
		return
	}
	validateAddress(p, path, c.endpoint(), c.TLS, c.InsecureLoopback)
}

func validateAddress(p *config.Problems, path, address string, files TLSFiles, insecure bool) {
	if !isUnix(address) {
		_, port, err := net.SplitHostPort(address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			p.Addf(path+".address", "looks like host:port or unix:/path, not %q", address)
			return
		}
	} else if !strings.HasPrefix(strings.TrimPrefix(address, "unix:"), "/") {
		p.Addf(path+".address", "a unix socket is named by its absolute path, unix:/path")
		return
	}
	switch {
	case insecure && !files.IsZero():
		p.Addf(path+".insecure_loopback", "cannot be set beside tls")
	case insecure && !isLoopbackName(address):
		p.Addf(path+".insecure_loopback", "is for loopback and unix sockets only; %q is neither", address)
	case !insecure:
		files.validate(p, path+".tls")
	}
}

// target is the address in gRPC's naming syntax.
func (c *ClientConfig) target() string {
	switch {
	case isUnix(c.Address), strings.HasPrefix(c.Address, "dns:"), strings.HasPrefix(c.Address, "passthrough:"):
		return c.Address
	default:
		return "dns:///" + c.Address
	}
}

// endpoint is the host:port or unix path inside the address.
func (c *ClientConfig) endpoint() string {
	for _, scheme := range []string{"dns:", "passthrough:"} {
		rest, found := strings.CutPrefix(c.Address, scheme)
		if !found {
			continue
		}
		// dns://authority/host:port names the resolver before the host.
		if rest, found = strings.CutPrefix(rest, "//"); found {
			_, rest, _ = strings.Cut(rest, "/")
		}
		return rest
	}
	return c.Address
}

func isUnix(address string) bool { return strings.HasPrefix(address, "unix:") }

// isLoopbackName judges an address as it is written; the connection itself is
// judged again by isLoopback.
func isLoopbackName(address string) bool {
	if isUnix(address) {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// isLoopback judges the address of a connection or listener.
func isLoopback(addr net.Addr) bool {
	switch addr.Network() {
	case "unix":
		return true
	case "tcp":
		ap, err := netip.ParseAddrPort(addr.String())
		return err == nil && ap.Addr().Unmap().IsLoopback()
	default:
		return false
	}
}
