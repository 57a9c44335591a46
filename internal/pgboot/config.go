package pgboot

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Config says which server to boot and how. The zero value boots the newest
// server to be had, on a unix socket alone, without fsync.
type Config struct {
	// Major asks for one major version, 14 to 18. Zero takes the newest
	// installed one, or PreferredMajor when it has to be fetched.
	Major int
	// BinDir is a folder with initdb and postgres. It overrides every search.
	BinDir string
	// Offline forbids fetching: without a server on the machine Start fails.
	Offline bool
	// CacheDir holds fetched servers. Empty: scopewire in the user's cache
	// folder.
	CacheDir string
	// TCP also listens on 127.0.0.1, on a free port below 32768.
	TCP bool
	// Port fixes the port of TCP. Zero picks a free one.
	Port int
	// TLS turns on TLS for TCP connections. Plain ones stay possible unless HBA
	// says otherwise.
	TLS *TLS
	// Fsync makes commits durable. Off, the server is several times faster and a
	// crash of the machine, not of the server, can lose its data.
	Fsync bool
	// Superuser is the first role. Empty: postgres.
	Superuser string
	// Settings are server settings, by name. They win over the package's own.
	Settings map[string]string
	// HBA are lines put before the default lines of pg_hba.conf.
	HBA []string
	// LogFile keeps the server's log at this path. Empty: in the server's
	// folder, which goes with the server.
	LogFile string
	// Progress is told, a line each, what is being fetched or installed. Nil
	// discards.
	Progress io.Writer
}

// TLS names the server's certificate files, in PEM. They are copied; the copies
// have the owner and mode that PostgreSQL demands.
type TLS struct {
	// CertFile is the certificate chain.
	CertFile string
	// KeyFile is the private key.
	KeyFile string
	// ClientCAFile lists the authorities of client certificates. Empty: none
	// are asked for.
	ClientCAFile string
}

const (
	oldestMajor = 14
	newestMajor = 18
	// PreferredMajor is fetched when no version is asked for: the newest whose
	// grammar the SQL parser of authz knows completely.
	PreferredMajor = 17
)

func (c Config) withDefaults() (Config, error) {
	if c.Major != 0 && (c.Major < oldestMajor || c.Major > newestMajor) {
		return c, fmt.Errorf("boot postgres: major version %d is not between %d and %d", c.Major, oldestMajor, newestMajor)
	}
	if c.TLS != nil && (c.TLS.CertFile == "" || c.TLS.KeyFile == "") {
		return c, errors.New("boot postgres: tls needs a certificate file and a key file")
	}
	if c.TLS != nil && !c.TCP || c.Port != 0 && !c.TCP {
		return c, errors.New("boot postgres: a port and tls need tcp")
	}
	if c.Superuser == "" {
		c.Superuser = "postgres"
	}
	for name, value := range c.Settings {
		if strings.ContainsAny(name+value, "\n\r\x00") {
			return c, fmt.Errorf("boot postgres: setting %q has a line break", name)
		}
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c, nil
}
