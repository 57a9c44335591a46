package snapshotter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scopewire/scopewire/internal/config"
)

// Config lists the databases whose catalogs are kept.
type Config struct {
	// Databases are the databases served. At least one.
	Databases []Database `yaml:"databases"`
	// Interval is the time between two checks for changes; 0 is 500ms. A longer
	// one lets decisions miss a change for longer; a shorter one costs the server
	// more: while transactions end that write anything, a check of a small catalog
	// takes it some 3 ms, one of 5,000 tables some 35 ms, one of 20,000 some 100 ms;
	// while none does, a tenth of a millisecond.
	Interval config.Duration `yaml:"interval,omitempty"`
	// FullInterval is the longest time between two whole reads; 0 is 10m. Changes
	// are seen meanwhile. A whole read of a small catalog takes the server some 50 ms,
	// one of 5,000 tables some 1.2 s.
	FullInterval config.Duration `yaml:"full_interval,omitempty"`
	// Timeout bounds a check, connecting included, and every statement of it; 0
	// is 10s. A catalog that takes longer to read is never had.
	Timeout config.Duration `yaml:"timeout,omitempty"`
}

// Database says how to reach one database.
type Database struct {
	// Name is the database's name.
	Name string `yaml:"name"`
	// Host is a host name, an address, or the folder of a unix socket, which
	// begins with a slash.
	Host string `yaml:"host"`
	// Port is the server's port; 0 is 5432.
	Port uint16 `yaml:"port,omitempty"`
	// User is a login that can read the system catalogs, as every role can
	// unless they were revoked from PUBLIC. It needs no other right.
	User string `yaml:"user"`
	// Password is where the login's password is; absent: none is sent.
	Password config.Source `yaml:"password,omitempty"`
	// TLS says how the connection is protected; absent: TLS with the server's
	// name verified by the machine's authorities. Unix sockets have none.
	TLS TLS `yaml:"tls,omitempty"`
}

// TLS is the protection of a connection.
type TLS struct {
	// Mode is verify-full (the default) or disable. Without TLS, whoever is
	// between the two ends can show a catalog of their own.
	Mode string `yaml:"mode,omitempty"`
	// CAFile holds the authorities, in PEM; empty: those of the machine. It is
	// read for every connection, so that it can be replaced.
	CAFile string `yaml:"ca_file,omitempty"`
	// ServerName is the name in the server's certificate; empty: Host.
	ServerName string `yaml:"server_name,omitempty"`
	// CertFile and KeyFile are the client's certificate and key, in PEM.
	CertFile string `yaml:"cert_file,omitempty"`
	KeyFile  string `yaml:"key_file,omitempty"`
}

// The modes of TLS.
const (
	tlsVerifyFull = "verify-full"
	tlsDisable    = "disable"
)

const (
	defaultInterval     = 500 * time.Millisecond
	defaultFullInterval = 10 * time.Minute
	defaultTimeout      = 10 * time.Second
	defaultPort         = 5432
)

// Validate implements config.Validator.
func (c Config) Validate(p *config.Problems) {
	if len(c.Databases) == 0 {
		p.Addf("databases", "name at least one database")
	}
	for i, d := range c.Databases {
		path := fmt.Sprintf("databases[%d]", i)
		if slices.ContainsFunc(c.Databases[:i], func(o Database) bool { return o.Name == d.Name }) {
			p.Addf(path+".name", "%q stands twice", d.Name)
		}
		d.validate(p, path)
	}
	for _, v := range []struct {
		path string
		d    config.Duration
	}{{"interval", c.Interval}, {"full_interval", c.FullInterval}, {"timeout", c.Timeout}} {
		if v.d < 0 {
			p.Addf(v.path, "a time span is not negative")
		}
	}
}

func (d Database) validate(p *config.Problems, path string) {
	for _, v := range []struct{ key, value string }{{"name", d.Name}, {"host", d.Host}, {"user", d.User}} {
		if v.value == "" {
			p.Addf(path+"."+v.key, "is missing")
		}
		if strings.ContainsRune(v.value, 0) {
			p.Addf(path+"."+v.key, "holds a NUL")
		}
	}
	if !d.Password.IsZero() {
		d.Password.Check(p, path+".password")
	}
	switch d.TLS.Mode {
	case "", tlsVerifyFull:
	case tlsDisable:
		if d.TLS != (TLS{Mode: tlsDisable}) {
			p.Addf(path+".tls", "mode disable goes with no other key")
		}
	default:
		p.Addf(path+".tls.mode", "%q is none of %s and %s", d.TLS.Mode, tlsVerifyFull, tlsDisable)
	}
	if (d.TLS.CertFile == "") != (d.TLS.KeyFile == "") {
		p.Addf(path+".tls", "cert_file and key_file go together")
	}
}

// unixSocket reports whether Host is the folder of a unix socket.
func (d Database) unixSocket() bool { return strings.HasPrefix(d.Host, "/") }
