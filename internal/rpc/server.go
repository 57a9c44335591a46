package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
)

// ServerDeps is what a server is made with. Clock, Net and FS are needed.
type ServerDeps struct {
	// Clock times reloads and the drain.
	Clock sys.Clock
	// Net listens.
	Net sys.Net
	// FS reads certificates.
	FS sys.FS
	// Log takes what concerns the transport; nil discards it.
	Log *slog.Logger
	// Tracer makes spans of calls; nil makes none.
	Tracer trace.TracerProvider
	// Matrix says who may call what; nil is DefaultMatrix.
	Matrix Matrix
	// Expiry, when set, is told of the server's certificate.
	Expiry *Expiry
	// ReceiveLimit bounds a received message in bytes; 0 is
	// DefaultReceiveLimit.
	ReceiveLimit int
}

// Server is a gRPC server. Register services before Serve.
type Server struct {
	cfg    ServerConfig
	deps   ServerDeps
	matrix Matrix
	grpc   *grpc.Server
	health *health.Server
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// NewServer makes a server that nothing can reach before Serve. It fails when
// the configuration is invalid or the certificates do not load.
func NewServer(cfg ServerConfig, deps ServerDeps) (*Server, error) {
	var problems config.Problems
	cfg.Validate(&problems, "listen")
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("make gRPC server: %w", err)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	limit, err := receiveLimit(deps.ReceiveLimit)
	if err != nil {
		return nil, fmt.Errorf("make gRPC server: %w", err)
	}
	creds := &transport{clock: deps.Clock, loopback: cfg.InsecureLoopback}
	if !cfg.TLS.IsZero() {
		if creds.certs, err = newStore(cfg.TLS, deps.FS, deps.Clock, deps.Log); err != nil {
			return nil, fmt.Errorf("make gRPC server: %w", err)
		}
		deps.Expiry.add(creds.certs)
	}
	s := &Server{cfg: cfg, deps: deps, matrix: deps.Matrix, health: health.NewServer()}
	if s.matrix == nil {
		s.matrix = DefaultMatrix()
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(creds),
		grpc.StatsHandler(otelgrpc.NewServerHandler(traceOptions(deps.Tracer)...)),
		grpc.ChainUnaryInterceptor(s.matrix.unary),
		grpc.ChainStreamInterceptor(s.matrix.stream),
		// The interceptor has admitted the caller to the method when this runs:
		// the method is one that this version does not serve yet.
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			return status.Error(codes.Unimplemented, "this version does not serve the method")
		}),
		grpc.MaxRecvMsgSize(limit),
		grpc.MaxHeaderListSize(headerListLimit),
		grpc.MaxConcurrentStreams(maxConcurrentStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		// Stop then returns only when every handler has: what a handler uses may be
		// closed after Serve.
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: serverMinPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      cfg.MaxConnectionAge.Or(creds.certs.connectionAge()),
			MaxConnectionAgeGrace: connectionAgeGrace,
			Time:                  serverPing,
			Timeout:               serverPingTimeout,
		}),
	)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	if cfg.Reflection {
		reflection.Register(s.grpc)
	}
	return s, nil
}

// RegisterService implements grpc.ServiceRegistrar.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.grpc.RegisterService(desc, impl)
}

// SetServing says what the health service answers. Serve turns it on and off
// by itself; a service that cannot work turns it off in between.
func (s *Server) SetServing(serving bool) {
	answer := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		answer = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", answer)
}

// Listen opens the configured address. The caller gives the listener to Serve,
// which closes it.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	if s.cfg.Address == "" {
		return nil, errors.New("listen for gRPC: no address is configured")
	}
	network, address := "tcp", s.cfg.Address
	if isUnix(address) {
		network, address = "unix", "/"+strings.TrimLeft(strings.TrimPrefix(address, "unix:"), "/")
	}
	l, err := s.deps.Net.Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen for gRPC on %s: %w", s.cfg.Address, err)
	}
	return l, nil
}

// Serve serves every listener until ctx ends, then drains: health turns to not
// serving, new calls are refused, and calls in flight have the drain time
// before they are cut. It returns when no handler runs any more and every
// listener is closed. The error is nil after ctx ended. Call it once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	closeAll := func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}
	if err := s.check(listeners); err != nil {
		closeAll()
		s.grpc.Stop()
		return fmt.Errorf("serve gRPC: %w", err)
	}
	// Before the first connection is accepted: a client that came in between would
	// be told NOT_SERVING, and fail its call.
	s.SetServing(true)
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- s.grpc.Serve(l) }()
	}

	var err error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case err = <-ended:
		running--
		if err == nil {
			err = errors.New("the listener was closed")
		}
	}
	s.health.Shutdown()
	s.drain()
	for ; running > 0; running-- {
		<-ended
	}
	if err != nil {
		return fmt.Errorf("serve gRPC: %w", err)
	}
	return nil
}

// drain stops gracefully, and hard once the drain time is over.
func (s *Server) drain() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	timer := s.deps.Clock.NewTimer(s.cfg.Drain.Or(defaultDrain))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C():
		s.deps.Log.Warn("calls are still open after the drain time, cutting them")
		s.grpc.Stop()
		<-done
	}
}

func (s *Server) check(listeners []net.Listener) error {
	if len(listeners) == 0 {
		return errors.New("there is no listener")
	}
	for _, l := range listeners {
		if _, ok := l.(*Pipe); ok {
			continue
		}
		if s.cfg.TLS.IsZero() && (!s.cfg.InsecureLoopback || !isLoopback(l.Addr())) {
			return fmt.Errorf("plaintext is not served on %s", l.Addr())
		}
	}
	return s.matrix.check(s.grpc.GetServiceInfo())
}

// traceOptions give calls a span and carry W3C trace context. Metrics of calls
// are the services' own, from the catalog of names.
func traceOptions(tp trace.TracerProvider) []otelgrpc.Option {
	if tp == nil {
		tp = nooptrace.NewTracerProvider()
	}
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(tp),
		otelgrpc.WithMeterProvider(noopmetric.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(filters.Not(filters.HealthCheck())),
	}
}

func receiveLimit(n int) (int, error) {
	switch {
	case n == 0:
		return DefaultReceiveLimit, nil
	case n < 0 || n > maxReceiveLimit:
		return 0, fmt.Errorf("a receive limit is between 1 and %d bytes, not %d", maxReceiveLimit, n)
	default:
		return n, nil
	}
}
