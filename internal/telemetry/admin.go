package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
)

// AdminDeps is what the admin server is made with.
type AdminDeps struct {
	// Net listens.
	Net sys.Net
	// Log takes errors of the server; nil discards them.
	Log *slog.Logger
	// Metrics answers /metrics: Telemetry.Metrics.
	Metrics http.Handler
	// Ready says why the process should get no new work; nil when it should. It
	// is called by each request for /readyz, from any goroutine, and must return
	// within the request's context. nil is always ready.
	Ready func(context.Context) error
}

// Admin is the HTTP server for machines that watch a process: /metrics,
// /healthz (the process lives) and /readyz (it should get work). It has no
// authentication, so it is served on loopback only, and it repeats nothing that
// a request carries.
type Admin struct {
	cfg  AdminConfig
	deps AdminDeps
}

// The admin server's limits: a scrape is small and quick.
const (
	adminHeaderLimit  = 16 << 10
	adminReadTimeout  = 5 * time.Second
	adminWriteTimeout = 30 * time.Second
	adminIdleTimeout  = 2 * time.Minute
	adminReadyTimeout = 2 * time.Second
	adminDrain        = 2 * time.Second
)

// NewAdmin makes the admin server. It fails when the address is not loopback.
func NewAdmin(cfg AdminConfig, deps AdminDeps) (*Admin, error) {
	var problems config.Problems
	cfg.Validate(&problems, "admin")
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("make admin server: %w", err)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = http.NotFoundHandler()
	}
	return &Admin{cfg, deps}, nil
}

// Run serves until ctx ends. Without an address it only waits.
func (a *Admin) Run(ctx context.Context) error {
	if a.cfg.Address == "" {
		<-ctx.Done()
		return nil
	}
	l, err := a.deps.Net.Listen(ctx, "tcp", a.cfg.Address)
	if err != nil {
		return fmt.Errorf("listen for admin on %s: %w", a.cfg.Address, err)
	}
	return a.Serve(ctx, l)
}

// Serve serves on l, which it closes, until ctx ends.
func (a *Admin) Serve(ctx context.Context, l net.Listener) error {
	// A name may have been configured; what counts is where it led.
	if ap, err := netip.ParseAddrPort(l.Addr().String()); err != nil || !ap.Addr().Unmap().IsLoopback() {
		_ = l.Close()
		return fmt.Errorf("serve admin: %s is not a loopback address", l.Addr())
	}
	srv := &http.Server{
		Handler:           a.Handler(),
		MaxHeaderBytes:    adminHeaderLimit,
		ReadTimeout:       adminReadTimeout,
		ReadHeaderTimeout: adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       adminIdleTimeout,
		ErrorLog:          slog.NewLogLogger(a.deps.Log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve admin: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminDrain)
	defer cancel()
	err := srv.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-ended
	if err != nil {
		return fmt.Errorf("stop admin: %w", err)
	}
	return nil
}

// Handler is the server's routes.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.deps.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), adminReadyTimeout)
		defer cancel()
		if a.deps.Ready != nil {
			if err := a.deps.Ready(ctx); err != nil {
				answer(w, http.StatusServiceUnavailable, "not ready: "+plain(err.Error()))
				return
			}
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusNotFound, "not found") })
	return mux
}

func answer(w http.ResponseWriter, code int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, line+"\n")
}
