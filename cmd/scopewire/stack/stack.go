// Package stack runs proxy, authz and audit in one process. They speak the same
// contracts as three processes do, over pipes in memory instead of sockets; none
// of them can tell the difference.
//
// Besides the proxy's listeners the stack can serve the audit queries and authz's
// administration on unix sockets, for the command line of the same user.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/audit"
	"github.com/scopewire/scopewire/services/authz"
	"github.com/scopewire/scopewire/services/proxy"
)

// Config is the configuration of `scopewire up`.
type Config struct {
	// Proxy is the proxy's. Its authz and audit addresses are left out.
	Proxy proxy.Config `yaml:"proxy"`
	// Authz is authz's. With a listen address it also serves other proxies.
	Authz authz.Config `yaml:"authz"`
	// Audit is the audit service's. With a listen address it also serves other
	// proxies and queries.
	Audit audit.Config `yaml:"audit"`
	// Telemetry is the process's log and traces.
	Telemetry telemetry.Config `yaml:"telemetry,omitempty"`
	// Admin is the process's server for metrics and health.
	Admin telemetry.AdminConfig `yaml:"admin,omitempty"`
}

// Validate implements config.Validator.
func (c *Config) Validate(p *config.Problems) {
	c.Proxy.ValidateAt(p, "proxy.")
	var part config.Problems
	c.Authz.Validate(&part)
	if err := part.Err(); err != nil {
		p.Addf("authz", "%s", err)
	}
	c.Audit.Store.Validate(p, "audit.store")
	if c.Authz.Listen.Address != "" {
		c.Authz.Listen.Validate(p, "authz.listen")
	}
	if c.Audit.Listen.Address != "" {
		c.Audit.Listen.Validate(p, "audit.listen")
	}
	c.Telemetry.Validate(p, "telemetry")
	c.Admin.Validate(p, "admin")
}

// Deps are what a stack runs on.
type Deps struct {
	System sys.System
	// Log takes the log lines.
	Log io.Writer
	// Version is the build's.
	Version string
	// AuditSocket is the path of the unix socket for audit queries; empty for
	// none.
	AuditSocket string
	// AuthzSocket is the same for authz's administration.
	AuthzSocket string
	// Recorder, in tests, takes every span.
	Recorder *telemetry.Recorder
}

// Stack is the three services in one process.
type Stack struct {
	cfg       Config
	deps      Deps
	telemetry *telemetry.Telemetry

	authz  *authz.Authz
	audit  *audit.Service
	proxy  *proxy.Proxy
	admin  *telemetry.Admin
	hosted []*host
	// query is a client of the audit service.
	query   auditv1.AuditQueryServiceClient
	clients []*grpc.ClientConn
	// certificates are those of the hosted servers.
	certificates rpc.Expiry
	stopExpiry   func()
}

// host is a gRPC server with its listeners.
type host struct {
	server    *rpc.Server
	listeners []net.Listener
}

// New builds the stack. Nothing runs and nothing listens yet. The caller runs it,
// or closes it.
func New(cfg Config, deps Deps) (*Stack, error) {
	t, err := telemetry.Setup(cfg.Telemetry, telemetry.Deps{Service: "scopewire", Version: deps.Version, Instance: cfg.Proxy.Instance,
		Log: deps.Log, Rand: deps.System.Rand, Net: deps.System.Net, FS: deps.System.FS, Recorder: deps.Recorder})
	if err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, deps: deps, telemetry: t}
	s.stopExpiry = t.Gauge(telemetry.CertificateLeft, s.certificates.Left)
	if err := s.build(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) build() error {
	var err error
	if s.audit, err = audit.New(s.cfg.Audit, audit.Deps{System: s.deps.System, Telemetry: s.telemetry}); err != nil {
		return err
	}
	auditConn, err := s.host(s.cfg.Audit.Listen, max(audit.ReceiveLimit, audit.QueryReceiveLimit), rpc.Audit, s.audit.Register)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if s.authz, err = authz.New(s.cfg.Authz, authz.Deps{System: s.deps.System, Telemetry: s.telemetry, Audit: auditConn}); err != nil {
		return err
	}
	authzConn, err := s.host(s.cfg.Authz.Listen, rpc.AuthorizeLimit, rpc.Authz, s.authz.Register)
	if err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	s.query = auditv1.NewAuditQueryServiceClient(auditConn)
	s.proxy, err = proxy.New(s.cfg.Proxy, proxy.Deps{System: s.deps.System, Telemetry: s.telemetry, Authz: authzConn, Audit: auditConn})
	if err != nil {
		return err
	}
	s.admin, err = telemetry.NewAdmin(s.cfg.Admin, telemetry.AdminDeps{Net: s.deps.System.Net, Log: s.telemetry.Log(),
		Metrics: s.telemetry.Metrics(), Ready: s.Ready})
	return err
}

// host puts a service on a server of its own and returns a connection to it
// through memory.
func (s *Stack) host(cfg rpc.ServerConfig, limit int, role rpc.Role, register func(grpc.ServiceRegistrar)) (*grpc.ClientConn, error) {
	server, err := rpc.NewServer(cfg, rpc.ServerDeps{Clock: s.deps.System.Clock, Net: s.deps.System.Net, FS: s.deps.System.FS,
		Log: s.telemetry.Log(), Tracer: s.telemetry.TracerProvider(), Expiry: &s.certificates, ReceiveLimit: limit})
	if err != nil {
		return nil, err
	}
	register(server)
	pipe := rpc.NewPipe()
	s.hosted = append(s.hosted, &host{server: server, listeners: []net.Listener{pipe}})
	conn, err := rpc.Dial(rpc.ClientConfig{}, rpc.ClientDeps{Clock: s.deps.System.Clock, Log: s.telemetry.Log(),
		Tracer: s.telemetry.TracerProvider(), Server: role, Pipe: pipe, ReceiveLimit: limit, SendLimit: limit})
	if err != nil {
		return nil, err
	}
	s.clients = append(s.clients, conn)
	return conn, nil
}

// Listen opens every socket.
func (s *Stack) Listen(ctx context.Context) error {
	for i, cfg := range []rpc.ServerConfig{s.cfg.Audit.Listen, s.cfg.Authz.Listen} {
		if cfg.Address == "" {
			continue
		}
		l, err := s.hosted[i].server.Listen(ctx)
		if err != nil {
			return err
		}
		s.hosted[i].listeners = append(s.hosted[i].listeners, l)
	}
	for _, local := range []struct {
		what, path string
		register   func(grpc.ServiceRegistrar)
	}{
		{"audit queries", s.deps.AuditSocket, s.audit.RegisterQuery},
		{"administration", s.deps.AuthzSocket, s.authz.RegisterAdmin},
	} {
		if local.path == "" {
			continue
		}
		if err := s.listenLocally(ctx, local.path, local.register); err != nil {
			return fmt.Errorf("%s: %w", local.what, err)
		}
	}
	return s.proxy.Listen(ctx)
}

// listenLocally serves one service, and nothing else, on a unix socket. Whoever may open
// its directory may ask.
func (s *Stack) listenLocally(ctx context.Context, path string, register func(grpc.ServiceRegistrar)) error {
	cfg := rpc.ServerConfig{Address: "unix:" + path, InsecureLoopback: true}
	server, err := rpc.NewServer(cfg, rpc.ServerDeps{Clock: s.deps.System.Clock, Net: s.deps.System.Net, FS: s.deps.System.FS,
		Log: s.telemetry.Log(), Tracer: s.telemetry.TracerProvider()})
	if err != nil {
		return err
	}
	register(server)
	l, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	s.hosted = append(s.hosted, &host{server: server, listeners: []net.Listener{l}})
	return nil
}

// Addresses are where clients can connect after Listen.
func (s *Stack) Addresses() []net.Addr { return s.proxy.Addresses() }

// Ready says what is missing, nil when clients can come.
func (s *Stack) Ready(ctx context.Context) error {
	if err := s.authz.Ready(ctx); err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	return s.proxy.Ready(ctx)
}

// AwaitReady returns when clients can come, or the reason why they cannot when
// ctx ends.
func (s *Stack) AwaitReady(ctx context.Context) error {
	return s.await(ctx, func() (bool, error) {
		err := s.Ready(ctx)
		return err == nil, err
	})
}

// pollInterval is the time between two looks at something that is about to
// happen.
const pollInterval = 20 * time.Millisecond

// await looks until done says true. When ctx ends it returns the last look's
// error.
func (s *Stack) await(ctx context.Context, look func() (done bool, err error)) error {
	timer := s.deps.System.Clock.NewTimer(0)
	defer timer.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return errors.Join(last, ctx.Err())
		case <-timer.C():
		}
		done, err := look()
		if done {
			return err
		}
		last = err
		timer.Reset(pollInterval)
	}
}

// Run serves until ctx ends: first the sessions end, then what they need. Listen
// must have been called.
func (s *Stack) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var services, support errgroup.Group
	failed := make(chan error, 1)
	watch := func(name string, run func() error) func() error {
		return func() error {
			err := run()
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			select {
			case failed <- err:
			default:
			}
			return err
		}
	}
	for _, h := range s.hosted {
		support.Go(watch("serve", func() error { return h.server.Serve(background, h.listeners...) }))
	}
	support.Go(watch("authz", func() error { return s.authz.Run(background) }))
	support.Go(watch("audit", func() error { return s.audit.Run(background) }))
	support.Go(watch("admin", func() error { return s.admin.Run(background) }))
	front, stopFront := context.WithCancel(ctx)
	defer stopFront()
	services.Go(watch("proxy", func() error { return s.proxy.Run(front) }))
	select {
	case <-ctx.Done():
	case <-failed:
	}
	stopFront()
	err := services.Wait()
	stop()
	err = errors.Join(err, support.Wait())
	s.audit.Wait()
	return errors.Join(err, s.release())
}

// Close releases a stack that was not run.
func (s *Stack) Close() error {
	var errs []error
	if s.proxy != nil {
		errs = append(errs, s.proxy.Close())
	}
	if s.authz != nil {
		errs = append(errs, s.authz.Close())
	}
	if s.audit != nil {
		errs = append(errs, s.audit.Close())
	}
	for _, h := range s.hosted {
		for _, l := range h.listeners {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(append(errs, s.release())...)
}

// shutdown is how long the last spans may take.
const shutdown = 5 * time.Second

func (s *Stack) release() error {
	s.stopExpiry()
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdown)
	defer cancel()
	return errors.Join(append(errs, s.telemetry.Shutdown(ctx))...)
}

// Metrics serves the metrics of the three.
func (s *Stack) Metrics() http.Handler { return s.telemetry.Metrics() }

// Query is a client of the audit service.
func (s *Stack) Query() auditv1.AuditQueryServiceClient { return s.query }

// queryTimeout bounds one query.
const queryTimeout = 5 * time.Second

// Event returns an event by its reference. Events reach the store a moment after
// what they record; Event waits for it as long as ctx allows.
func (s *Stack) Event(ctx context.Context, reference string) (*auditv1.StoredEvent, error) {
	ref, err := id.Parse(reference)
	if err != nil {
		return nil, err
	}
	var found *auditv1.StoredEvent
	err = s.await(ctx, func() (bool, error) {
		ask, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		resp, err := s.query.GetEvent(ask, &auditv1.GetEventRequest{EventId: ref[:]})
		found = resp.GetEvent()
		return err == nil || status.Code(err) != codes.NotFound, err
	})
	return found, err
}
