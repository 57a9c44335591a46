package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// authz stands in for the service where a test needs it to fail in ways of which the
// real one has none. It denies texts with the word denied and allows all others.
type authz struct {
	authzv1.UnimplementedAuthorizationServiceServer
	database string

	// changes is how often the policy has changed.
	changes atomic.Uint64

	mu sync.Mutex
	// alter changes an answer, and says whether it is sent at all.
	alter func(*authzv1.AuthorizeRequest, *authzv1.AuthorizeResponse) bool
}

func (a *authz) set(alter func(*authzv1.AuthorizeRequest, *authzv1.AuthorizeResponse) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alter = alter
}

func (a *authz) Authenticate(context.Context, *authzv1.AuthenticateRequest) (*authzv1.AuthenticateResponse, error) {
	return &authzv1.AuthenticateResponse{Outcome: &authzv1.AuthenticateResponse_Authenticated{Authenticated: &authzv1.Authenticated{
		Principal: &authzv1.Principal{Issuer: "https://idp.test", Subject: "someone"}, Login: "app", ExpiresIn: durationpb.New(time.Hour), Epoch: a.epoch(),
	}}}, nil
}

func (a *authz) epoch() *authzv1.Epoch {
	return &authzv1.Epoch{Policy: 1 + a.changes.Load(), Catalog: map[string]uint64{a.database: 1}}
}

func (a *authz) Authorize(stream authzv1.AuthorizationService_AuthorizeServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		resp := &authzv1.AuthorizeResponse{RequestId: req.GetRequestId(), UnitSha256: req.GetUnitSha256(), Verdict: authzv1.Verdict_VERDICT_ALLOW,
			Reason: authzv1.Reason_REASON_GRANTED, Epoch: a.epoch(), Age: durationpb.New(0), Ttl: durationpb.New(time.Minute), Errors: authzv1.ErrorExposure_ERROR_EXPOSURE_OPEN,
			Cacheability: authzv1.Cacheability_CACHEABILITY_EXACT, Statements: []*authzv1.Statement{statement(string(req.GetQuery()) + string(req.GetParse().GetText()))}}
		if text := string(req.GetQuery()) + string(req.GetParse().GetText()); strings.Contains(text, "denied") {
			resp.Verdict, resp.Reason = authzv1.Verdict_VERDICT_DENY, authzv1.Reason_REASON_NOT_GRANTED
		}
		a.mu.Lock()
		alter := a.alter
		a.mu.Unlock()
		if alter != nil && !alter(req, resp) {
			continue
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// statement is what authz would say of a text, as far as the proxy looks at it.
func statement(text string) *authzv1.Statement {
	word := strings.ToLower(strings.Fields(text + " -")[0])
	st := &authzv1.Statement{Kind: word, Normalised: "?"}
	for effect, kind := range map[string]authzv1.EffectKind{"begin": authzv1.EffectKind_EFFECT_KIND_BEGIN, "commit": authzv1.EffectKind_EFFECT_KIND_COMMIT,
		"rollback": authzv1.EffectKind_EFFECT_KIND_ROLLBACK} {
		if word == effect {
			st.Effects = []*authzv1.Effect{{Kind: kind}}
		}
	}
	return st
}

func (a *authz) Watch(stream authzv1.AuthorizationService_WatchServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := stream.Send(&authzv1.WatchResponse{Epoch: a.epoch(), Age: durationpb.New(0), Answers: req.GetSequence()}); err != nil {
			return err
		}
	}
}

// audit takes all that it is sent, and counts it.
type audit struct {
	auditv1.UnimplementedAuditIngestServiceServer
	taken atomic.Int64
}

func (a *audit) Append(stream auditv1.AuditIngestService_AppendServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		a.taken.Add(int64(len(req.GetRecords())))
		last := req.GetFirstSequence() + uint64(len(req.GetRecords())) - 1
		if err := stream.Send(&auditv1.AppendResponse{BatchId: req.GetBatchId(), DurableSequence: last}); err != nil {
			return err
		}
	}
}

// link is the way to a service, which can break: connections are reset and none can be
// made, or nothing comes through either way and nobody is told.
type link struct {
	to *bufconn.Listener

	mu    sync.Mutex
	reset bool
	// open is closed while something comes through.
	open  chan struct{}
	conns map[*linked]bool
	dials int
}

func newLink(to *bufconn.Listener) *link {
	l := &link{to: to, open: make(chan struct{}), conns: map[*linked]bool{}}
	close(l.open)
	return l
}

// cut resets what there is, and refuses what comes.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset = true
	for c := range l.conns {
		_ = c.Conn.Close()
	}
}

// drop lets nothing through any more.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

// mend makes it whole: what was dropped is sent again, as TCP does.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset = false
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

func (l *link) gate() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

func (l *link) dial(ctx context.Context, _ string) (net.Conn, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.gate():
	}
	l.mu.Lock()
	l.dials++
	refused := l.reset
	l.mu.Unlock()
	if refused {
		return nil, errors.New("connection refused")
	}
	conn, err := l.to.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	c := &linked{Conn: conn, link: l, closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reset {
		// It was cut while this came about.
		return nil, errors.Join(errors.New("connection refused"), conn.Close())
	}
	l.conns[c] = true
	return c, nil
}

// linked is a connection over a link.
type linked struct {
	net.Conn
	link   *link
	once   sync.Once
	closed chan struct{}
}

func (c *linked) pass() error {
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-c.link.gate():
		return nil
	}
}

func (c *linked) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if gone := c.pass(); gone != nil {
		return 0, gone
	}
	return n, err
}

func (c *linked) Write(p []byte) (int, error) {
	if err := c.pass(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *linked) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.link.mu.Lock()
		delete(c.link.conns, c)
		c.link.mu.Unlock()
	})
	return c.Conn.Close()
}

// world is a proxy with everything around it: a real server with a recording in
// between, and services that the test can make fail.
type world struct {
	t        *testing.T
	proxy    *proxy.Proxy
	authz    *authz
	link     *link
	recorder *pgtest.Recorder
	database string
	addr     string
	log      *lines
	audit    *audit
	// stop asks the proxy to stop, stopped is closed when it has.
	stop    context.CancelFunc
	stopped chan struct{}
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// The bounds of the worlds here: short, so that a test soon sees them run out, and long
// enough for a machine that does other things beside.
const (
	staleness = 1500 * time.Millisecond
	decision  = 500 * time.Millisecond
)

type option func(*proxy.Config, *sys.System)

func newWorld(t *testing.T, options ...option) *world {
	t.Helper()
	srv := pgtest.Start(t)
	return newWorldOn(t, srv, pgtest.NewDatabaseOn(t, srv, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')"), options...)
}

// newWorldOn is a world in front of a server and a database of the test's own.
func newWorldOn(t *testing.T, srv *pgboot.Server, database string, options ...option) *world {
	t.Helper()
	w := &world{t: t, recorder: pgtest.Record(t, srv.Addr), log: &lines{}, audit: &audit{}, database: database}
	w.authz = &authz{database: w.database}
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, srv.Password.Expose(), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(w.recorder.Addr)
	if err != nil {
		t.Fatal(err)
	}
	db := proxy.DatabaseConfig{Name: w.database, Host: host, TLS: proxy.ClientTLS{Mode: "disable"},
		Logins: []proxy.LoginConfig{{Name: "app", User: srv.Superuser, Password: config.Source{File: password}}}}
	if _, err := fmt.Sscan(port, &db.Port); err != nil {
		t.Fatal(err)
	}
	cfg := proxy.Config{Instance: "p", Listeners: []proxy.ListenerConfig{{Address: "127.0.0.1:0", InsecureLoopback: true}},
		Databases: []proxy.DatabaseConfig{db}, Spool: proxy.SpoolConfig{Dir: filepath.Join(dir, "spool")},
		Limits: proxy.LimitsConfig{Staleness: config.Duration(staleness), Decision: config.Duration(decision)}}
	system := sys.OS()
	for _, o := range options {
		o(&cfg, &system)
	}
	observed, err := telemetry.Setup(telemetry.Config{}, telemetry.Deps{Service: "proxy", Log: w.log, Rand: system.Rand, Net: system.Net, FS: system.FS})
	if err != nil {
		t.Fatal(err)
	}
	authzConn, authzLink := serve(t, func(s *grpc.Server) { authzv1.RegisterAuthorizationServiceServer(s, w.authz) })
	auditConn, _ := serve(t, func(s *grpc.Server) { auditv1.RegisterAuditIngestServiceServer(s, w.audit) })
	w.link = authzLink
	w.proxy, err = proxy.New(cfg, proxy.Deps{System: system, Telemetry: observed, Authz: authzConn, Audit: auditConn})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.proxy.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.addr = w.proxy.Addresses()[0].String()
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.stopped = stop, make(chan struct{})
	go func() {
		defer close(w.stopped)
		err = w.proxy.Run(ctx)
	}()
	t.Cleanup(func() {
		authzLink.mend()
		stop()
		if <-w.stopped; err != nil {
			t.Errorf("the proxy ended: %v", err)
		}
		_ = observed.Shutdown(context.Background())
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

// serve runs a gRPC service in memory, over a link.
func serve(t *testing.T, register func(*grpc.Server)) (*grpc.ClientConn, *link) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	srv := grpc.NewServer(grpc.WaitForHandlers(true))
	register(srv)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(listener)
	}()
	l := newLink(listener)
	conn, err := grpc.NewClient("passthrough:service", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(l.dial),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond}, MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		<-served
	})
	return conn, l
}

// ready waits until the proxy would get clients.
func (w *world) ready() {
	w.t.Helper()
	w.until("the proxy is not ready", func() bool { return w.proxy.Ready(w.t.Context()) == nil })
}

// until waits for something that comes about by itself.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !done(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Fatal(what)
		}
	}
}

func (w *world) dsn() string {
	return fmt.Sprintf("postgres://u:token@%s/%s?sslmode=disable", w.addr, w.database)
}

func (w *world) connect() *client {
	w.t.Helper()
	w.ready()
	conn, err := pgx.Connect(w.t.Context(), w.dsn())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &client{w.t, conn.PgConn()}
}

// client answers with SQLSTATEs, empty for none.
type client struct {
	t *testing.T
	*pgconn.PgConn
}

func (c *client) query(sql string) string {
	_, err := c.Exec(c.t.Context(), sql).ReadAll()
	return c.state(err)
}

func (c *client) prepared(name string) string {
	return c.state(c.ExecPrepared(c.t.Context(), name, nil, nil, nil).Read().Err)
}

func (c *client) state(err error) string { return stateOf(err) }

// stateOf is the SQLSTATE of an error; its text for another kind of error.
func stateOf(err error) string {
	var said *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &said):
		return said.Code
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	default:
		return err.Error()
	}
}

// reached is how often the server was sent a text.
func (w *world) reached(text string) int {
	n := 0
	for _, sent := range w.recorder.Sent() {
		n += strings.Count(string(sent), text)
	}
	return n
}
