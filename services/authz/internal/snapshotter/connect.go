package snapshotter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/sys"
)

// lockTimeout is how long a read waits for a relation that somebody has locked
// exclusively.
const lockTimeout = 300 * time.Millisecond

// sessionSettings pins every setting that changes how PostgreSQL prints an
// expression, so that two replicas read the same text, and bounds what the
// session can cost the server.
func sessionSettings(timeout time.Duration) map[string]string {
	return map[string]string{
		"application_name":                    "scopewire-authz",
		"client_encoding":                     "UTF8",
		"quote_all_identifiers":               "off",
		"standard_conforming_strings":         "on",
		"backslash_quote":                     "safe_encoding",
		"datestyle":                           "ISO, YMD",
		"intervalstyle":                       "postgres",
		"timezone":                            "UTC",
		"extra_float_digits":                  "1",
		"bytea_output":                        "hex",
		"xmlbinary":                           "base64",
		"jit":                                 "off",
		"max_parallel_workers_per_gather":     "0", // A check takes the server one process.
		"default_transaction_read_only":       "on",
		"statement_timeout":                   milliseconds(timeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(timeout),
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// session is a connection on which every setting is pinned.
type session struct {
	*pgx.Conn
	// serverPath says that the search_path the session would have by default is the
	// server's own, and not one of the login's or the database's.
	serverPath bool
}

// pathSources are the values of pg_settings.source that stand for the server's
// own setting (GucSource of utils/guc.h, in the words of GucSource_Names).
var pathSources = []string{"default", "environment variable", "configuration file", "command line"}

// pin empties the session's search_path. It is not given at startup, since then
// nothing would tell what other sessions start with.
func (s *session) pin(ctx context.Context) error {
	var source string
	err := s.QueryRow(ctx, `SELECT source FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path'`).Scan(&source)
	if err != nil {
		return err
	}
	s.serverPath = slices.Contains(pathSources, source)
	_, err = s.Exec(ctx, `SET search_path = ''`)
	return err
}

// connect opens a connection. Only d says where it goes and how: the variables
// and files that libpq would also read are overridden.
func connect(ctx context.Context, d Database, s sys.System, timeout time.Duration) (*session, error) {
	cfg, err := pgx.ParseConfig("host=/ port=1 user=x dbname=x password=x sslmode=disable passfile=/dev/null")
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", d.Name, err)
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = d.Host, d.Port, d.Name, d.User, ""
	if cfg.Port == 0 {
		cfg.Port = defaultPort
	}
	cfg.Fallbacks, cfg.ValidateConnect, cfg.OAuthTokenProvider = nil, nil, nil
	cfg.SSLNegotiation, cfg.SSLCertMode, cfg.ChannelBinding = "postgres", "allow", "prefer"
	cfg.MinProtocolVersion, cfg.MaxProtocolVersion = "3.0", "3.0"
	cfg.KerberosSrvName, cfg.KerberosSpn = "", ""
	cfg.ConnectTimeout = 0 // ctx has the deadline.
	cfg.RuntimeParams = sessionSettings(timeout)
	// Once connected, pgconn dials for one thing alone: to cancel the statement
	// of a connection it gives up, in a goroutine nobody waits for. The server
	// stops such a statement by its own timeout.
	var connected atomic.Bool
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
			return nil, errNoCancel
		}
		return s.Net.DialContext(ctx, network, address)
	}
	// The name is resolved where it is dialled.
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	cfg.RequireAuth = ""
	if cfg.TLSConfig, err = tlsConfig(d, s.FS); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", d.Name, err)
	}
	if cfg.TLSConfig == nil && !d.unixSocket() {
		// In the clear, a password goes by SCRAM or not at all.
		cfg.RequireAuth = "scram-sha-256,none"
	}
	if !d.Password.IsZero() {
		password, err := d.Password.Read(s.FS)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: password: %w", d.Name, err)
		}
		cfg.Password = string(password.Expose())
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", d.Name, err)
	}
	connected.Store(true)
	out := &session{Conn: conn}
	if err := out.pin(ctx); err != nil {
		closeSession(conn, s)
		return nil, fmt.Errorf("connect to %s: pin the search_path: %w", d.Name, err)
	}
	return out, nil
}

// errNoCancel is never seen: pgconn gives cancelling up in silence.
var errNoCancel = errors.New("no connection is made to cancel a statement")

// tlsConfig returns nil where the connection has no TLS.
func tlsConfig(d Database, fsys sys.FS) (*tls.Config, error) {
	if d.unixSocket() || d.TLS.Mode == tlsDisable {
		return nil, nil //nolint:nilnil // pgconn's word for a connection without TLS.
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: d.TLS.ServerName}
	if c.ServerName == "" {
		c.ServerName = d.Host
	}
	if d.TLS.CAFile != "" {
		pem, err := fsys.ReadFile(d.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("read authorities: no certificate in " + d.TLS.CAFile)
		}
	}
	if d.TLS.CertFile != "" {
		cert, err := fsys.ReadFile(d.TLS.CertFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		key, err := fsys.ReadFile(d.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", d.TLS.CertFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
