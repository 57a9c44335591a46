package rpc_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	policyv1 "github.com/scopewire/scopewire/gen/go/scopewire/policy/v1"
	proxyv1 "github.com/scopewire/scopewire/gen/go/scopewire/proxy/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// query is a small service: it tells who called, and holds tails open.
type query struct {
	auditv1.UnimplementedAuditQueryServiceServer
	tailing chan struct{}
	ended   chan struct{}
}

func (query) ListEvents(ctx context.Context, req *auditv1.ListEventsRequest) (*auditv1.ListEventsResponse, error) {
	return &auditv1.ListEventsResponse{NextPageToken: rpc.Caller(ctx).String()}, nil
}

func (q query) TailEvents(_ *auditv1.TailEventsRequest, ss grpc.ServerStreamingServer[auditv1.TailEventsResponse]) error {
	close(q.tailing)
	<-ss.Context().Done()
	close(q.ended)
	return ss.Context().Err()
}

// everything registers every contract of the repository, unimplemented but for
// the queries: a caller who is admitted gets UNIMPLEMENTED.
func everything(s grpc.ServiceRegistrar, q auditv1.AuditQueryServiceServer) {
	authzv1.RegisterAuthorizationServiceServer(s, authzv1.UnimplementedAuthorizationServiceServer{})
	authzv1.RegisterAuthorizationAdminServiceServer(s, authzv1.UnimplementedAuthorizationAdminServiceServer{})
	policyv1.RegisterPolicyDecisionServiceServer(s, policyv1.UnimplementedPolicyDecisionServiceServer{})
	auditv1.RegisterAuditIngestServiceServer(s, auditv1.UnimplementedAuditIngestServiceServer{})
	auditv1.RegisterAuditQueryServiceServer(s, q)
	proxyv1.RegisterCancelServiceServer(s, proxyv1.UnimplementedCancelServiceServer{})
}

func newServer(t *testing.T, cfg rpc.ServerConfig, deps rpc.ServerDeps) *rpc.Server {
	t.Helper()
	os := sys.OS()
	deps.FS, deps.Net = os.FS, os.Net
	if deps.Clock == nil {
		deps.Clock = os.Clock
	}
	s, err := rpc.NewServer(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve runs s until the test ends.
func serve(t *testing.T, s *rpc.Server, listeners ...net.Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listeners...) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, cfg rpc.ClientConfig, deps rpc.ClientDeps) *grpc.ClientConn {
	t.Helper()
	os := sys.OS()
	deps.Clock, deps.FS = os.Clock, os.FS
	if deps.Net == nil {
		deps.Net = os.Net
	}
	c, err := rpc.Dial(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func whoAmI(t *testing.T, c *grpc.ClientConn) (string, error) {
	t.Helper()
	r, err := auditv1.NewAuditQueryServiceClient(c).ListEvents(deadline(t), &auditv1.ListEventsRequest{}, grpc.WaitForReady(true))
	return r.GetNextPageToken(), err
}

func TestPipe(t *testing.T) {
	rec := telemetry.NewRecorder()
	tel, err := telemetry.Setup(telemetry.Config{}, telemetry.Deps{Rand: sys.OS().Rand, Recorder: rec})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{Tracer: tel.TracerProvider()})
	everything(s, query{})
	pipe := rpc.NewPipe()
	stop := serve(t, s, pipe)
	c := dial(t, rpc.ClientConfig{}, rpc.ClientDeps{Pipe: pipe, Tracer: tel.TracerProvider()})
	if who, err := whoAmI(t, c); who != "local" || err != nil {
		t.Errorf("%q, %v", who, err)
	}
	h, err := healthpb.NewHealthClient(c).Check(deadline(t), &healthpb.HealthCheckRequest{})
	if err != nil || h.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", h, err)
	}
	stop()
	// A call makes a client's and a server's span in one trace; health makes none.
	spans := rec.Spans()
	if len(spans) != 2 || spans[0].TraceID != spans[1].TraceID {
		t.Errorf("%+v", spans)
	}
}

func TestUnaryCallNeedsDeadline(t *testing.T) {
	s := newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{})
	everything(s, query{})
	pipe := rpc.NewPipe()
	serve(t, s, pipe)
	c := dial(t, rpc.ClientConfig{}, rpc.ClientDeps{Pipe: pipe})
	_, err := auditv1.NewAuditQueryServiceClient(c).ListEvents(t.Context(), &auditv1.ListEventsRequest{})
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "has no deadline") {
		t.Error(err)
	}
}

func TestDrainCutsWhatDoesNotEnd(t *testing.T) {
	s := newServer(t, rpc.ServerConfig{Drain: config.Duration(time.Millisecond)}, rpc.ServerDeps{})
	q := query{tailing: make(chan struct{}), ended: make(chan struct{})}
	everything(s, q)
	pipe := rpc.NewPipe()
	stop := serve(t, s, pipe)
	c := dial(t, rpc.ClientConfig{}, rpc.ClientDeps{Pipe: pipe})
	if _, err := auditv1.NewAuditQueryServiceClient(c).TailEvents(t.Context(), &auditv1.TailEventsRequest{}); err != nil {
		t.Fatal(err)
	}
	<-q.tailing
	stop()
	select {
	case <-q.ended:
	default:
		t.Error("Serve returned while a handler was running")
	}
}

func TestServeReturnsWhenListenerFails(t *testing.T) {
	s := newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{})
	pipe := rpc.NewPipe()
	_ = pipe.Close()
	if err := s.Serve(t.Context(), pipe); err == nil {
		t.Error("no error")
	}
}

// TestSec_T41_Limits: what is too large is refused, on the way in.
func TestSec_T41_Limits(t *testing.T) {
	s := newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{ReceiveLimit: 1000})
	everything(s, query{})
	pipe := rpc.NewPipe()
	serve(t, s, pipe)
	c := auditv1.NewAuditQueryServiceClient(dial(t, rpc.ClientConfig{}, rpc.ClientDeps{Pipe: pipe}))
	if _, err := c.ListEvents(deadline(t), &auditv1.ListEventsRequest{Subject: strings.Repeat("x", 900)}); err != nil {
		t.Error(err)
	}
	if _, err := c.ListEvents(deadline(t), &auditv1.ListEventsRequest{Subject: strings.Repeat("x", 1001)}); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
	big := metadata.AppendToOutgoingContext(deadline(t), "x", strings.Repeat("x", 20<<10))
	if _, err := c.ListEvents(big, &auditv1.ListEventsRequest{}); err == nil {
		t.Error("20 KiB of header were taken")
	}
	for _, n := range []int{-1, 17 << 20} {
		if _, err := rpc.NewServer(rpc.ServerConfig{}, rpc.ServerDeps{ReceiveLimit: n}); err == nil {
			t.Errorf("a receive limit of %d was taken", n)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	address := "unix:" + filepath.Join(t.TempDir(), "s")
	s := newServer(t, rpc.ServerConfig{Address: address, InsecureLoopback: true}, rpc.ServerDeps{})
	everything(s, query{})
	l, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s, l)
	if who, err := whoAmI(t, dial(t, rpc.ClientConfig{Address: address, InsecureLoopback: true}, rpc.ClientDeps{})); who != "local" || err != nil {
		t.Errorf("%q, %v", who, err)
	}
}

func TestReflectionBehindFlag(t *testing.T) {
	for _, on := range []bool{false, true} {
		s := newServer(t, rpc.ServerConfig{Reflection: on}, rpc.ServerDeps{})
		pipe := rpc.NewPipe()
		serve(t, s, pipe)
		c := dial(t, rpc.ClientConfig{}, rpc.ClientDeps{Pipe: pipe})
		stream, err := c.NewStream(deadline(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.CloseSend()
		err = stream.RecvMsg(&healthpb.HealthCheckRequest{})
		if missing := status.Code(err) == codes.Unimplemented; missing == on {
			t.Errorf("reflection %v: %v", on, err)
		}
	}
}

// Plaintext leaves the machine under no configuration, and reaches a listener
// that is not loopback under none.
func TestPlaintextIsLocal(t *testing.T) {
	s := newServer(t, rpc.ServerConfig{Address: "127.0.0.1:0", InsecureLoopback: true}, rpc.ServerDeps{})
	if err := s.Serve(t.Context(), listen(t, "0.0.0.0:0")); err == nil || !strings.Contains(err.Error(), "plaintext") {
		t.Errorf("served on all addresses: %v", err)
	}
	s = newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{})
	if err := s.Serve(t.Context(), listen(t, "127.0.0.1:0")); err == nil || !strings.Contains(err.Error(), "plaintext") {
		t.Errorf("served on a socket without being told: %v", err)
	}
	// A name that leads elsewhere than it says.
	l := listen(t, "0.0.0.0:0")
	defer func() { _ = l.Close() }()
	c := dial(t, rpc.ClientConfig{Address: "passthrough:///localhost:1", InsecureLoopback: true}, rpc.ClientDeps{Net: elsewhere{}})
	_, err := auditv1.NewAuditQueryServiceClient(c).ListEvents(deadline(t), &auditv1.ListEventsRequest{})
	if err == nil || !strings.Contains(err.Error(), "plaintext is not spoken") {
		t.Error(err)
	}
}

// elsewhere dials to an address that is not loopback, whatever it is asked.
type elsewhere struct{}

func (elsewhere) DialContext(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	_ = b.Close()
	return remote{a}, nil
}

type remote struct{ net.Conn }

func (remote) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1} }

func TestConfigProblems(t *testing.T) {
	files := rpc.TLSFiles{CertFile: "c", KeyFile: "k", CAFile: "a"}
	for name, c := range map[string]struct {
		cfg  rpc.ServerConfig
		want string
	}{
		"no tls":            {rpc.ServerConfig{Address: "0.0.0.0:1"}, "tls.cert_file"},
		"half tls":          {rpc.ServerConfig{Address: "0.0.0.0:1", TLS: rpc.TLSFiles{CertFile: "c", KeyFile: "k"}}, "tls.ca_file"},
		"insecure far":      {rpc.ServerConfig{Address: "0.0.0.0:1", InsecureLoopback: true}, "insecure_loopback"},
		"insecure all":      {rpc.ServerConfig{Address: ":1", InsecureLoopback: true}, "insecure_loopback"},
		"insecure name":     {rpc.ServerConfig{Address: "localhost.example.com:1", InsecureLoopback: true}, "insecure_loopback"},
		"insecure and tls":  {rpc.ServerConfig{Address: "127.0.0.1:1", InsecureLoopback: true, TLS: files}, "insecure_loopback"},
		"no port":           {rpc.ServerConfig{Address: "127.0.0.1", TLS: files}, "host:port"},
		"named port":        {rpc.ServerConfig{Address: "http://a", TLS: files}, "host:port"},
		"relative unix":     {rpc.ServerConfig{Address: "unix:s", InsecureLoopback: true}, "absolute path"},
		"tls, no address":   {rpc.ServerConfig{TLS: files}, "address"},
		"age":               {rpc.ServerConfig{MaxConnectionAge: 1}, "max_connection_age"},
		"drain":             {rpc.ServerConfig{Drain: -1}, "drain"},
		"insecure, no addr": {rpc.ServerConfig{InsecureLoopback: true}, "address"},
	} {
		var p config.Problems
		c.cfg.Validate(&p, "listen")
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := rpc.NewServer(c.cfg, rpc.ServerDeps{}); err == nil {
			t.Errorf("%s: NewServer took it", name)
		}
	}
	for name, c := range map[string]struct {
		cfg  rpc.ClientConfig
		want string
	}{
		"nothing":      {rpc.ClientConfig{}, "address"},
		"no tls":       {rpc.ClientConfig{Address: "authz:6433"}, "tls.cert_file"},
		"insecure far": {rpc.ClientConfig{Address: "dns:///authz:6433", InsecureLoopback: true}, "insecure_loopback"},
		"insecure ns":  {rpc.ClientConfig{Address: "dns://127.0.0.1:53/authz:6433", InsecureLoopback: true}, "insecure_loopback"},
		"insecure via": {rpc.ClientConfig{Address: "passthrough:///10.0.0.1:6433", InsecureLoopback: true}, "insecure_loopback"},
		"other scheme": {rpc.ClientConfig{Address: "xds:///authz", TLS: files}, "host:port"},
	} {
		var p config.Problems
		c.cfg.Validate(&p, "authz")
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if conn, err := rpc.Dial(c.cfg, rpc.ClientDeps{}); err == nil {
			_ = conn.Close()
			t.Errorf("%s: Dial took it", name)
		}
	}
	for _, good := range []rpc.ClientConfig{
		{Address: "127.0.0.1:6433", InsecureLoopback: true}, {Address: "[::1]:6433", InsecureLoopback: true},
		{Address: "unix:/run/scopewire/authz", InsecureLoopback: true}, {Address: "unix:///run/scopewire/authz", InsecureLoopback: true},
		{Address: "dns:///authz.svc:6433", TLS: files}, {Address: "authz:6433", TLS: files},
	} {
		var p config.Problems
		good.Validate(&p, "authz")
		if p.Err() != nil {
			t.Errorf("%s: %v", good.Address, p.Err())
		}
	}
}

func testLog(out *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(out, nil)) }
