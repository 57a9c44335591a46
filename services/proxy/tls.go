package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"

	"github.com/scopewire/scopewire/internal/certfile"
	"github.com/scopewire/scopewire/internal/sys"
)

// serverTLS returns the configuration for clients. The files must load now;
// later, one that does not load leaves the last good certificate in use.
func serverTLS(files ServerTLS, system sys.System, log *slog.Logger) (*tls.Config, error) {
	c, err := certfile.Load(files.CertFile, files.KeyFile, system, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		// Drivers of today's distributions all speak 1.2.
		MinVersion: tls.VersionTLS12,
		// Asked for, and held against the token alone where that is bound to one: the
		// handshake proves that the client has its key, and no authority is needed (RFC 8705
		// section 2.2).
		ClientAuth:     tls.RequestClientCert,
		GetCertificate: c.Get,
		Time:           system.Clock.Now,
		// A session that is resumed is one whose certificates were checked by what was
		// configured then.
		SessionTicketsDisabled: true,
	}, nil
}

// clientTLS returns the configuration towards a database, nil for plaintext.
func clientTLS(d DatabaseConfig, system sys.System) (*tls.Config, error) {
	if d.TLS.Mode == tlsModeDisable {
		return nil, nil //nolint:nilnil // Plaintext is a valid configuration.
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: or(d.TLS.ServerName, d.Host), Time: system.Clock.Now}
	if d.TLS.CAFile != "" {
		pem, err := system.FS.ReadFile(d.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities of database %s: %w", d.Name, err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read authorities of database %s: %s holds no certificate", d.Name, d.TLS.CAFile)
		}
	}
	if d.TLS.CertFile != "" {
		certPEM, err := system.FS.ReadFile(d.TLS.CertFile)
		if err != nil {
			return nil, fmt.Errorf("read client certificate of database %s: %w", d.Name, err)
		}
		keyPEM, err := system.FS.ReadFile(d.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read client key of database %s: %w", d.Name, err)
		}
		cert, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			return nil, fmt.Errorf("load client certificate of database %s: %w", d.Name, err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}
