// Package certfile keeps a server's certificate as its files say, for servers of TLS that
// are no gRPC servers. Files are replaced in place; what does not load leaves the last
// good certificate in use, and is logged.
package certfile

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// ReloadAfter is how old the last look at the files may be.
const ReloadAfter = 10 * time.Second

// Certificate is a server's certificate. Safe for concurrent use.
type Certificate struct {
	cert, key string
	fs        sys.FS
	clock     sys.Clock
	log       *slog.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	looked time.Time
}

// Load reads a certificate chain and its key, PEM, which must load now.
func Load(certFile, keyFile string, system sys.System, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{cert: certFile, key: keyFile, fs: system.FS, clock: system.Clock, log: log}
	return c, c.load()
}

// Get is for tls.Config.GetCertificate. It never fails.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Now(); now.Sub(c.looked) > ReloadAfter {
		if err := c.load(); err != nil {
			c.looked = now
			c.log.Error("certificate not reloaded; the last one stays in use", "error", err)
		}
	}
	return c.loaded, nil
}

func (c *Certificate) load() error {
	certPEM, err := c.fs.ReadFile(c.cert)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	keyPEM, err := c.fs.ReadFile(c.key)
	if err != nil {
		return fmt.Errorf("read certificate key: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("load certificate %s: %w", c.cert, err)
	}
	c.loaded, c.looked = &cert, c.clock.Now()
	return nil
}
