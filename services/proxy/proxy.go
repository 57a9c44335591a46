package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/cancel"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/registry"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
	"github.com/scopewire/scopewire/services/proxy/internal/startup"
)

// AuditSendLimit is the send limit that the connection to the audit service needs,
// in bytes: the spool closes a batch with the record that takes it over 1 MiB, and
// a record has at most 1 MiB.
const AuditSendLimit = 4 << 20

// Deps are what a proxy works with.
type Deps struct {
	System sys.System
	// Telemetry makes logs, metrics and spans.
	Telemetry *telemetry.Telemetry
	// Authz and Audit are connections to the two services. The caller closes them
	// after Run.
	Authz, Audit grpc.ClientConnInterface
}

// Proxy is the service. New makes it, Listen opens its sockets, Run serves.
type Proxy struct {
	cfg     Config
	system  sys.System
	log     *slog.Logger
	metrics *metrics

	listeners []listener
	metadata  *metadata
	databases map[string]*database
	limits    session.Limits
	login     time.Duration
	sessions  int64

	authz  authzv1.AuthorizationServiceClient
	audit  auditv1.AuditIngestServiceClient
	fence  *decide.Fence
	remote *decide.Remote
	// decisions is the remote authorizer behind the cache.
	decisions decide.Authorizer
	watcher   *decide.Watcher
	cancels   *cancel.Registry
	// registry ends the sessions of tokens that are revoked.
	registry *registry.Registry
	spool    *spool.Spool

	// buffers are the sessions'.
	buffers session.Buffers
	open    atomic.Int64
	// stopping says that no more clients are taken.
	stopping atomic.Bool
	// perPrincipal is what each principal has of open sessions.
	perPrincipal *quota
	// misses and denials are how fast each principal may be.
	misses, denials *paces
}

// database is a database behind the proxy, with its logins by their names.
type database struct {
	cfg    DatabaseConfig
	logins map[string]*credential
}

// credential is a login of a database; nil when there is none of that name.
func (p *Proxy) credential(databaseName, login string) *credential {
	d, ok := p.databases[databaseName]
	if !ok {
		return nil
	}
	return d.logins[login]
}

// namesPrincipal reports whether the server is told the principal as the application.
func (p *Proxy) namesPrincipal(databaseName string) bool {
	d, ok := p.databases[databaseName]
	return ok && d.cfg.ApplicationName == applicationPrincipal
}

type listener struct {
	cfg   ListenerConfig
	start startup.Config
	l     net.Listener
}

// New checks the configuration, loads certificates and secrets and opens the
// spool. Close releases the spool when Run is not called.
func New(cfg Config, deps Deps) (*Proxy, error) {
	log := deps.Telemetry.Log().With("service", "proxy")
	p := &Proxy{
		cfg: cfg, system: deps.System, log: log,
		authz: authzv1.NewAuthorizationServiceClient(deps.Authz), audit: auditv1.NewAuditIngestServiceClient(deps.Audit),
		databases: make(map[string]*database),
		limits: session.Limits{
			Statement: or(cfg.Limits.StatementBytes, maxStatementBytes), Prepared: or(cfg.Limits.Prepared, defaultPrepared),
			PreparedText: or(cfg.Limits.PreparedBytes, defaultPreparedBytes), Decision: cfg.Limits.Decision.Or(defaultDecision),
			Fresh: cfg.Limits.Fresh.Or(defaultFresh), StatementTime: time.Duration(cfg.Limits.StatementTime),
		},
		login:    cfg.Limits.Login.Or(defaultLogin),
		sessions: int64(or(cfg.Limits.Sessions, defaultSessions)),
		cancels:  cancel.New(deps.System.Clock, deps.System.Rand),
		registry: registry.New(),

		perPrincipal: newQuota(or(cfg.Limits.SessionsPerPrincipal, defaultPerPrincipal)),
		misses:       newPaces(or(cfg.Limits.MissesPerPrincipal, defaultMisses)),
		denials:      newPaces(or(cfg.Limits.DenialsPerPrincipal, defaultDenials)),
	}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	staleness := cfg.Limits.Staleness.Or(defaultStaleness)
	p.fence = decide.NewFence(deps.System.Clock, staleness)
	p.remote = decide.NewRemote(p.authz, p.fence, deps.System.Clock, log)
	cached, err := decide.NewCache(p.remote, p.fence, or(cfg.Limits.Decisions, defaultDecisions))
	if err != nil {
		return nil, err
	}
	p.decisions = cached
	p.watcher = decide.NewWatcher(p.authz, p.fence, p.registry, cfg.Instance, staleness/watchPerStaleness, deps.System.Clock, log)
	p.spool, err = spool.Open(spool.Config{Dir: cfg.Spool.Dir, Instance: cfg.Instance,
		MaxBytes: or(cfg.Spool.MaxBytes, defaultSpoolBytes), Mode: or(cfg.Spool.Mode, spool.ModeGroup)},
		spool.Deps{System: deps.System, Logger: log})
	if err != nil {
		return nil, err
	}
	p.metrics = newMetrics(deps.Telemetry, p.spool)
	return p, nil
}

// prepare loads what listeners and databases need.
func (p *Proxy) prepare() error {
	for _, l := range p.cfg.Listeners {
		start := startup.Config{AllowPlaintext: l.InsecureLoopback, Door: l.Door, OAuth: l.OAuth.door(),
			OAuthServerNames: l.OAuth.ServerNames, Word: doorWord}
		if l.TLS.CertFile != "" {
			var err error
			if start.TLS, err = serverTLS(l.TLS, p.system, p.log); err != nil {
				return fmt.Errorf("listener %s: %w", l.Address, err)
			}
		}
		p.listeners = append(p.listeners, listener{cfg: l, start: start})
	}
	for _, d := range p.cfg.Databases {
		served := &database{cfg: d, logins: make(map[string]*credential)}
		for _, l := range d.Logins {
			var err error
			if served.logins[l.Name], err = newCredential(d, l, p.system, p.log); err != nil {
				return err
			}
		}
		p.databases[d.Name] = served
	}
	var err error
	if p.metadata, err = p.newMetadata(); err != nil {
		return err
	}
	return nil
}

// Listen opens the sockets, so that the caller knows the addresses before Run.
func (p *Proxy) Listen(ctx context.Context) error {
	for i := range p.listeners {
		l, err := p.system.Net.Listen(ctx, "tcp", p.listeners[i].cfg.Address)
		if err != nil {
			return errors.Join(fmt.Errorf("listen for clients: %w", err), p.closeListeners())
		}
		p.listeners[i].l = l
	}
	if err := p.metadata.listen(ctx, p); err != nil {
		return errors.Join(err, p.closeListeners())
	}
	return nil
}

// Addresses are where clients can connect after Listen, in the configuration's
// order.
func (p *Proxy) Addresses() []net.Addr {
	var out []net.Addr
	for _, l := range p.listeners {
		out = append(out, l.l.Addr())
	}
	return out
}

// Ready says why the proxy should get no new client: it stops, or authz has not been heard
// of within the staleness bound.
func (p *Proxy) Ready(context.Context) error {
	if p.stopping.Load() {
		return errors.New("the proxy stops")
	}
	if !p.fence.Fresh() {
		return errors.New("authz has not been heard of within the staleness bound")
	}
	return nil
}

// Run serves until ctx ends. Then it takes no more clients, lets the sessions come to
// their ends for as long as the configuration says, ends those that have not, and returns
// when their events are delivered, if that can be had soon; the others stay in the spool.
// Listen must have been called.
func (p *Proxy) Run(ctx context.Context) error {
	// The spool outlives the sessions: their last events go into it.
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	var support errgroup.Group
	support.Go(func() error { return p.remote.Run(background) })
	support.Go(func() error { return p.watcher.Run(background) })
	support.Go(func() error { return p.spool.Run(background, p.audit) })
	support.Go(func() error { return p.metadata.run(background) })

	var accepting errgroup.Group
	sessions, endSessions := context.WithCancel(context.WithoutCancel(ctx))
	defer endSessions()
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(stopped)
		p.drain(sessions, endSessions)
	})
	for i := range p.listeners {
		accepting.Go(func() error { return p.accept(ctx, sessions, &p.listeners[i]) })
	}
	err := accepting.Wait()
	endSessions()
	if !unwatch() {
		<-stopped
	}
	p.deliver()
	stopBackground()
	return errors.Join(err, support.Wait(), p.Close())
}

// drain takes no more clients, and asks the sessions to end. Those that have not in time
// are ended.
func (p *Proxy) drain(sessions context.Context, end func()) {
	p.stopping.Store(true)
	if err := p.closeListeners(); err != nil {
		p.log.Warn("close listeners", "error", err)
	}
	p.log.Info("the proxy stops", "sessions", p.open.Load())
	p.registry.Drain()
	timer := p.system.Clock.NewTimer(p.cfg.Limits.Drain.Or(defaultDrain))
	defer timer.Stop()
	select {
	case <-timer.C():
		end()
	case <-sessions.Done():
		// All have ended.
	}
}

const (
	// lastEvents is how long a proxy that stops waits for its events to be delivered, and
	// looksForEvents how often it looks.
	lastEvents     = 5 * time.Second
	looksForEvents = 10 * time.Millisecond
)

// deliver waits for the audit service to have all events.
func (p *Proxy) deliver() {
	timer := p.system.Clock.NewTimer(looksForEvents)
	defer timer.Stop()
	for end := p.system.Clock.Now().Add(lastEvents); p.spool.Lag() > 0 && p.system.Clock.Now().Before(end); timer.Reset(looksForEvents) {
		<-timer.C()
	}
	if n := p.spool.Lag(); n > 0 {
		p.log.Warn("events stay in the spool", "records", n)
	}
}

// Close releases the spool. Run calls it.
func (p *Proxy) Close() error {
	p.metrics.stop()
	return p.spool.Close()
}

func (p *Proxy) closeListeners() error {
	errs := []error{p.metadata.close()}
	for _, l := range p.listeners {
		if l.l != nil {
			if err := l.l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// acceptPause is how long accepting waits after an error such as running out of
// descriptors.
const acceptPause = 50 * time.Millisecond

// accept serves one listener's connections and waits for them. It takes no more once ctx
// ends; their sessions go on until theirs does.
func (p *Proxy) accept(ctx, sessions context.Context, l *listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept on %s: %w", l.cfg.Address, err)
			}
			p.log.Error("connection not accepted", "error", err)
			timer := p.system.Clock.NewTimer(acceptPause)
			select {
			case <-ctx.Done():
			case <-timer.C():
			}
			timer.Stop()
			continue
		}
		wg.Go(func() { p.serve(sessions, conn, l.start) })
	}
}
