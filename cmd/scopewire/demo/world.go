// Package demo builds a small world to try Scopewire in: a throw-away
// PostgreSQL with sample data, an OAuth issuer, a certificate authority, users
// with different scopes, and the three services in front of it all.
//
// Everything is real (TLS, tokens, gRPC, PostgreSQL) and everything lives in one
// temporary directory, which Close removes. Start makes the parts in order and
// says so on the progress writer; what it started is stopped in reverse by Close,
// also when Start fails half-way.
package demo

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/stack"
	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/auditview"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

// Config says how to build the world.
type Config struct {
	System sys.System
	// Progress takes a line for each step.
	Progress io.Writer
	// Program is how the person calls the command line, for lines to paste.
	Program string
	// Version is the build's.
	Version string
	// Port is where clients should connect; when it is taken, or 0, a free one is
	// used.
	Port int
	// AuditSocket is the path of a unix socket for audit queries; empty for none.
	AuditSocket string
	// AuthzSocket is the same for authz's administration.
	AuthzSocket string
	// Schema replaces the sample data, and Scopes and Users then replace the
	// sample's. Without Schema they are added to it.
	Schema string
	// SQL is run in the database after the schema and the roles.
	SQL string
	// Scopes are scopes of the policy file: YAML, indented by two.
	Scopes string
	// Policy are further lines of the policy file: YAML, not indented.
	Policy string
	// Issuers gives further issuers of the policy file, YAML items of its list, once
	// there are certificates; nil for none. What it starts is the caller's to end.
	Issuers func(context.Context, *World) (string, error)
	// Users are users of the issuer.
	Users []User
	// PostgresSettings are further settings of the server.
	PostgresSettings map[string]string
	// WithoutServices leaves proxy, authz and audit to the caller.
	WithoutServices bool
	// Database are further lines of the proxy's database, indented by six, Logins further
	// items of its logins, indented by eight; PolicyLogins replaces the policy's logins of
	// the database, a YAML mapping in braces.
	Database, Logins, PolicyLogins string
	// Limits are further lines of the proxy's configuration, under its key
	// limits: YAML in braces.
	Limits string
	// Keys are further members of authz's keys: YAML, each with a comma before it.
	Keys string
	// TokenLifetime is how long tokens live; 0 is the issuer's default.
	TokenLifetime time.Duration
	// Minted, in tests, is told of every token that the issuer signs.
	Minted func(token string)
	// Recorder, in tests, takes every span.
	Recorder *telemetry.Recorder
}

// World is a running demo.
type World struct {
	cfg Config
	// Dir is the temporary directory.
	Dir string
	// CAFile holds the authority that signed every certificate of the demo.
	CAFile string
	// Addr is where clients connect, host:port.
	Addr string
	// Postgres is the server behind it all.
	Postgres *pgboot.Server
	// Issuer issues the tokens.
	Issuer *devissuer.Issuer
	// DoorIssuer is where clients of OAUTHBEARER are sent; Issuers may name another than
	// the demo's own.
	DoorIssuer string
	// ProxyConfig are further lines of the proxy's configuration, indented by two;
	// Issuers may set them.
	ProxyConfig string
	// Stack is the three services.
	stack   *stack.Stack
	secrets map[string]secret.Bytes
	ca      *devca.CA
	users   []User
	issuers string

	// closers run in reverse.
	closers []func() error
	// failed tells of a part that ended on its own.
	failed chan error
}

// bootTimeout bounds what has to be ready before clients can come, fetching
// PostgreSQL included.
const bootTimeout = 10 * time.Minute

// Start builds and starts the world.
func Start(ctx context.Context, cfg Config) (*World, error) {
	if cfg.Schema == "" {
		cfg.Schema, cfg.Scopes, cfg.Users = schema, sampleScopes+cfg.Scopes, append(Users(), cfg.Users...)
	}
	w := &World{cfg: cfg, secrets: make(map[string]secret.Bytes), failed: make(chan error, 2), users: cfg.Users}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"certificates", w.makeCertificates},
		{"PostgreSQL with sample data", w.startPostgres},
		{"OAuth issuer", w.startIssuers},
		{"proxy, authz and audit", w.startStack},
	}
	if cfg.WithoutServices {
		steps = steps[:len(steps)-1]
	}
	for i, s := range steps {
		fmt.Fprintf(cfg.Progress, "[%d/%d] %s\n", i+1, len(steps), s.name)
		if err := s.run(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", s.name, err), w.Close())
		}
	}
	return w, nil
}

// Failed tells of a part that ended on its own.
func (w *World) Failed() <-chan error { return w.failed }

// Close stops everything and removes the directory.
func (w *World) Close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	w.closers = nil
	return errors.Join(errs...)
}

func (w *World) makeCertificates(context.Context) error {
	dir, err := os.MkdirTemp("", "scopewire-demo-")
	if err != nil {
		return err
	}
	w.Dir = dir
	w.closers = append(w.closers, func() error { return os.RemoveAll(dir) })
	if w.ca, err = devca.New(w.cfg.System.Clock, w.cfg.System.Rand); err != nil {
		return err
	}
	files, err := w.ca.WriteFiles(w.cfg.System.FS, dir, "server", devca.Options{Name: "scopewire demo", DNSNames: []string{"localhost"},
		IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, Server: true})
	if err != nil {
		return err
	}
	w.CAFile = files.CA
	return nil
}

// Certificate issues a certificate of the demo's authority and writes it into the
// directory.
func (w *World) Certificate(name string, opts devca.Options) (devca.Files, error) {
	return w.ca.WriteFiles(w.cfg.System.FS, w.Dir, name, opts)
}

// Policy is the text of the demo's policy file.
func (w *World) Policy() string {
	return policyFile(w.Issuer.Issuer(), w.issuers, w.cfg)
}

// Roles are the server's roles for sessions and for authz.
func (w *World) Roles() (app, catalog string) { return appRole, catalogRole }

func (w *World) file(name string) string { return filepath.Join(w.Dir, name) }

// newSecret mints a password of 128 bits.
func (w *World) newSecret() string {
	var b [16]byte
	w.cfg.System.Rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (w *World) startPostgres(ctx context.Context) error {
	srv, err := pgboot.Start(ctx, pgboot.Config{TCP: true, Progress: w.cfg.Progress, Settings: w.cfg.PostgresSettings,
		TLS: &pgboot.TLS{CertFile: w.file("server.crt"), KeyFile: w.file("server.key")}})
	if err != nil {
		return err
	}
	w.Postgres = srv
	w.closers = append(w.closers, func() error { return srv.Stop(context.Background()) })
	fmt.Fprintf(w.cfg.Progress, "      PostgreSQL %s from %s\n", srv.Version, srv.BinDir)
	app, catalog := w.newSecret(), w.newSecret()
	for name, value := range map[string]string{"app.password": app, "catalog.password": catalog} {
		if err := sys.WriteFileAtomic(w.cfg.System.FS, w.file(name), []byte(value+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := execute(ctx, srv.ConnString("postgres"), "CREATE DATABASE "+Database); err != nil {
		return err
	}
	return execute(ctx, srv.ConnString(Database), w.cfg.Schema+roles(app, catalog)+w.cfg.SQL)
}

func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

func (w *World) startIssuer(ctx context.Context) error {
	l, err := pgboot.Listen(ctx)
	if err != nil {
		return err
	}
	cert, err := w.ca.IssueTLS(devca.Options{Name: "issuer", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	var clients []devissuer.Client
	for _, u := range w.users {
		w.secrets[u.Name] = secret.FromString(w.newSecret())
		clients = append(clients, devissuer.Client{ID: u.Name, Secret: w.secrets[u.Name], Scopes: u.Scopes, Audiences: []string{Audience}})
	}
	w.Issuer, err = devissuer.New(devissuer.Config{Clients: clients, TokenLifetime: w.cfg.TokenLifetime, Minted: w.cfg.Minted},
		devissuer.Deps{Clock: w.cfg.System.Clock, Rand: w.cfg.System.Rand, Listener: l, Certificate: cert})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	w.background("OAuth issuer", w.Issuer.Run)
	return nil
}

// startIssuers starts the demo's own issuer, and those of the caller.
func (w *World) startIssuers(ctx context.Context) error {
	if err := w.startIssuer(ctx); err != nil {
		return err
	}
	if w.DoorIssuer = w.Issuer.Issuer(); w.cfg.Issuers == nil {
		return nil
	}
	var err error
	w.issuers, err = w.cfg.Issuers(ctx, w)
	return err
}

// background runs a part until Close.
func (w *World) background(name string, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		if ctx.Err() == nil {
			select {
			case w.failed <- fmt.Errorf("%s ended: %w", name, err):
			default:
			}
		}
		done <- err
	}()
	w.closers = append(w.closers, func() error {
		stop()
		return <-done
	})
}

// startStack writes the configuration files and starts the services from them,
// as `scopewire up -c` would.
func (w *World) startStack(ctx context.Context) error {
	if err := w.writeConfig(ctx); err != nil {
		return err
	}
	var cfg stack.Config
	if err := config.Load(w.cfg.System.FS, w.ConfigFile(), &cfg); err != nil {
		return err
	}
	logFile, err := os.Create(w.file("scopewire.log"))
	if err != nil {
		return err
	}
	w.closers = append(w.closers, logFile.Close)
	s, err := stack.New(cfg, stack.Deps{System: w.cfg.System, Log: logFile, Version: w.cfg.Version,
		AuditSocket: w.cfg.AuditSocket, AuthzSocket: w.cfg.AuthzSocket, Recorder: w.cfg.Recorder})
	if err != nil {
		return err
	}
	if err := s.Listen(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	w.stack, w.Addr = s, s.Addresses()[0].String()
	w.background("scopewire", s.Run)
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.AwaitReady(ready)
}

// ConfigFile is the configuration that `scopewire up -c` would run the services
// with, PolicyFile their policy. LogFile is where they log.
func (w *World) ConfigFile() string { return w.file("scopewire.yaml") }

// PolicyFile is the policy in force.
func (w *World) PolicyFile() string { return w.file("policy.yaml") }

// LogFile is where the services log.
func (w *World) LogFile() string { return w.file("scopewire.log") }

// Users are the issuer's users.
func (w *World) Users() []User { return w.users }

func (w *World) writeConfig(ctx context.Context) error {
	port, err := freePort(ctx, w.cfg.Port)
	if err != nil {
		return err
	}
	host, pgPort, err := net.SplitHostPort(w.Postgres.Addr)
	if err != nil {
		return err
	}
	policy := w.Policy()
	if err := sys.WriteFileAtomic(w.cfg.System.FS, w.PolicyFile(), []byte(policy), 0o644); err != nil {
		return err
	}
	text := configFile(configValues{Dir: w.Dir, Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Host: host, Port: pgPort, Limits: w.cfg.Limits,
		Issuer: w.DoorIssuer, Database: w.cfg.Database, Logins: w.cfg.Logins, Proxy: w.ProxyConfig, Keys: w.cfg.Keys})
	return sys.WriteFileAtomic(w.cfg.System.FS, w.ConfigFile(), []byte(text), 0o644)
}

// Token mints an access token of a user with all its scopes.
func (w *World) Token(user string) (string, error) {
	for _, u := range w.users {
		if u.Name == user {
			return w.Issuer.Mint(devissuer.Claims{Subject: u.Name, Audience: []string{Audience}, Scopes: u.Scopes})
		}
	}
	return "", fmt.Errorf("the demo has no user %q", user)
}

// ConnString is how a driver connects as a user, the token left out.
func (w *World) ConnString(user string) string { return w.ConnStringAt(w.Addr, user) }

// ConnStringAt is the same for a proxy at another address.
func (w *World) ConnStringAt(addr, user string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic("demo: the proxy's address has no port")
	}
	return fmt.Sprintf("host=localhost port=%s dbname=%s user=%s sslmode=verify-full sslrootcert=%s", port, Database, user, w.CAFile)
}

func (w *World) connect(ctx context.Context, user, token string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(w.ConnString(user))
	if err != nil {
		return nil, err
	}
	cfg.Password = token
	return pgx.ConnectConfig(ctx, cfg)
}

// Describe writes what `scopewire token` needs to know of a running demo, JSON.
func (w *World) Describe() ([]byte, error) {
	clients := make(map[string]string, len(w.secrets))
	for name, s := range w.secrets {
		clients[name] = string(s.Expose())
	}
	return json.Marshal(map[string]any{"token_url": w.Issuer.TokenEndpoint(), "ca_file": w.CAFile, "client_secrets": clients})
}

// Query is a client of the audit service.
func (w *World) Query() auditv1.AuditQueryServiceClient { return w.stack.Query() }

func (w *World) render(out io.Writer, ev *auditv1.StoredEvent) error {
	return auditview.Show(out, ev)
}
