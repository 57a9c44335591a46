package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/health" // Client side of healthCheckConfig below.
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
)

// ClientDeps is what a client is made with. Clock, Net, FS and Server are
// needed, except that with a Pipe nothing is.
type ClientDeps struct {
	// Clock times reloads.
	Clock sys.Clock
	// Net dials.
	Net sys.Dialer
	// FS reads certificates.
	FS sys.FS
	// Log takes what concerns the transport; nil discards it.
	Log *slog.Logger
	// Tracer makes spans of calls; nil makes none.
	Tracer trace.TracerProvider
	// Server is the role of the service the client means to reach.
	Server Role
	// Pipe, when set, is dialled instead of the configuration's address.
	Pipe *Pipe
	// Expiry, when set, is told of the client's certificate.
	Expiry *Expiry
	// ReceiveLimit bounds a received message in bytes; 0 is
	// DefaultReceiveLimit.
	ReceiveLimit int
	// SendLimit bounds a sent message in bytes; 0 is DefaultReceiveLimit. Set it
	// to what the server receives.
	SendLimit int
}

// serviceConfig spreads calls over every address whose health service says
// SERVING. A server without a health service counts as serving (gRPC's health
// checking protocol, client behaviour).
const serviceConfig = `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}`

// Dial makes a connection that is opened by its first call and kept. The
// caller closes it. Every unary call must carry a deadline; one that does not
// is failed without being sent.
func Dial(cfg ClientConfig, deps ClientDeps) (*grpc.ClientConn, error) {
	creds, target, dialer, err := cfg.route(deps)
	if err != nil {
		return nil, fmt.Errorf("make gRPC client: %w", err)
	}
	receive, err := receiveLimit(deps.ReceiveLimit)
	if err != nil {
		return nil, fmt.Errorf("make gRPC client: %w", err)
	}
	send, err := receiveLimit(deps.SendLimit)
	if err != nil {
		return nil, fmt.Errorf("make gRPC client: %w", err)
	}
	conn, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(dialer),
		// DNS must not be able to change how calls are made, nor the environment
		// which way they go.
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(traceOptions(deps.Tracer)...)),
		grpc.WithChainUnaryInterceptor(needDeadline),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(receive), grpc.MaxCallSendMsgSize(send)),
		grpc.WithMaxHeaderListSize(headerListLimit),
		// An idle connection is kept open: the next statement must not wait for a
		// handshake.
		grpc.WithIdleTimeout(0),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: clientPing, Timeout: clientPingTimeout, PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: reconnectBase, Multiplier: reconnectFactor, Jitter: reconnectJitter, MaxDelay: reconnectMax,
			},
			MinConnectTimeout: reconnectTimeout,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("make gRPC client for %s: %w", target, err)
	}
	return conn, nil
}

// route is where the connection goes and how it is secured.
func (c *ClientConfig) route(deps ClientDeps) (*transport, string, func(context.Context, string) (net.Conn, error), error) {
	if deps.Pipe != nil {
		dial := func(ctx context.Context, _ string) (net.Conn, error) { return deps.Pipe.DialContext(ctx) }
		return &transport{}, "passthrough:///pipe", dial, nil
	}
	var problems config.Problems
	c.Validate(&problems, "server")
	if err := problems.Err(); err != nil {
		return nil, "", nil, err
	}
	creds := &transport{clock: deps.Clock, loopback: c.InsecureLoopback, server: deps.Server, name: c.ServerName}
	if !c.TLS.IsZero() {
		if !certifiable(deps.Server) {
			return nil, "", nil, errors.New("the client does not say which role it means to reach")
		}
		log := deps.Log
		if log == nil {
			log = slog.New(slog.DiscardHandler)
		}
		var err error
		if creds.certs, err = newStore(c.TLS, deps.FS, deps.Clock, log); err != nil {
			return nil, "", nil, err
		}
		deps.Expiry.add(creds.certs)
	}
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		network := "tcp"
		if isUnix(address) {
			network, address = "unix", "/"+strings.TrimLeft(strings.TrimPrefix(address, "unix:"), "/")
		}
		return deps.Net.DialContext(ctx, network, address)
	}
	return creds, c.target(), dial, nil
}

// needDeadline fails a unary call that could wait forever. It is a bug of the
// caller; refusing the call makes it show in the first test instead of in the
// first outage.
func needDeadline(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		return status.Errorf(codes.Internal, "the call of %s has no deadline", method)
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}
