package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/record"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
	"github.com/scopewire/scopewire/services/proxy/internal/upstream"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// judge is an authorizer of the test's own: a text with the word denied in it is
// denied, one with the word refused refused, one with a syntax error in error,
// and everything else allowed; with open errors where it has the comment "open". Of
// functions it denies one.
type judge struct {
	mu    sync.Mutex
	clock sys.Clock
	// deny is a further word that is denied from the moment it is set.
	deny string
	// asked are the texts that were judged.
	asked []string
	// policy is the epoch of answers.
	policy uint64
}

func (j *judge) Authorize(_ context.Context, req *decide.Request) (*decide.Decision, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := string(req.Text)
	j.asked = append(j.asked, text)
	now := j.clock.Now()
	d := &decide.Decision{Verdict: authzv1.Verdict_VERDICT_ALLOW, Epoch: &authzv1.Epoch{Policy: j.policy}, AsOf: now, Expires: now.Add(time.Minute),
		Statements: []*authzv1.Statement{{Kind: kindOf(text)}}, Open: strings.Contains(text, "/* open */")}
	if text == "ROLLBACK" || text == "ROLLBACK AND CHAIN" {
		d.Statements[0].Effects = []*authzv1.Effect{{Kind: authzv1.EffectKind_EFFECT_KIND_ROLLBACK, Chain: text != "ROLLBACK"}}
	}
	switch {
	case req.FunctionOID == deniedFunction, strings.Contains(text, "denied"), j.deny != "" && strings.Contains(text, j.deny):
		d.Verdict, d.Reason = authzv1.Verdict_VERDICT_DENY, authzv1.Reason_REASON_NOT_GRANTED
	case strings.Contains(text, "refused"):
		d.Verdict = authzv1.Verdict_VERDICT_REFUSE
	case strings.Contains(text, "SELEC "):
		d.Verdict = authzv1.Verdict_VERDICT_ERROR
		d.Error = &authzv1.StatementError{Sqlstate: "42601", Message: `syntax error at or near "SELEC"`, Position: 1}
	case strings.Contains(text, "undefined"):
		d.Verdict = authzv1.Verdict_VERDICT_ERROR
		d.Error = &authzv1.StatementError{Sqlstate: "42P01", Message: `relation "undefined" does not exist`, Position: 15}
	case strings.Contains(text, "missing("):
		d.Verdict = authzv1.Verdict_VERDICT_ERROR
		d.Error = &authzv1.StatementError{Sqlstate: "42883", Message: "function missing() does not exist", Position: 8, Hint: "a hint", Detail: "a detail"}
	}
	return d, nil
}

// deniedFunction is shobj_description, which every version has.
const deniedFunction = 1993

// kindOf is what authz calls a statement, as far as the session looks at it.
func kindOf(text string) string {
	if strings.Contains(text, "COPY") {
		return "copy"
	}
	return "select"
}

func (j *judge) set(deny string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.deny = deny
}

func (j *judge) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.asked)
}

// memory is a spool in memory.
type memory struct {
	mu     sync.Mutex
	events []*auditv1.Event
	err    error
	// kept is what is kept for outcomes.
	kept atomic.Int64
	// reserve is set when an error leaves room for what comes last.
	reserve bool
}

func (m *memory) Append(ev *auditv1.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.events = append(m.events, ev)
	return nil
}

func (m *memory) AppendLast(ev *auditv1.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil && !m.reserve {
		return m.err
	}
	m.events = append(m.events, ev)
	return nil
}

// AppendIntent keeps a byte for each outcome.
func (m *memory) AppendIntent(ev *auditv1.Event, last bool) (int64, error) {
	record := m.Append
	if last {
		record = m.AppendLast
	}
	if err := record(ev); err != nil {
		return 0, err
	}
	m.kept.Add(1)
	return 1, nil
}

func (m *memory) AppendAfter(ev *auditv1.Event, room int64) error {
	m.kept.Add(-room)
	return m.AppendLast(ev)
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.reserve = err, false
}

// fill leaves the reserve.
func (m *memory) fill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.reserve = spool.ErrFull, true
}

func (m *memory) of(typ auditv1.EventType) []*auditv1.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*auditv1.Event
	for _, ev := range m.events {
		if ev.GetType() == typ {
			out = append(out, ev)
		}
	}
	return out
}

// silent observes nothing.
type silent struct{}

func (silent) Judged(authzv1.Verdict, authzv1.Reason, bool, time.Duration) {}
func (silent) Refused(string)                                              {}
func (silent) Start(ctx context.Context, name telemetry.SpanName, _ ...attribute.KeyValue) (context.Context, trace.Span) {
	return noop.NewTracerProvider().Tracer("").Start(ctx, string(name))
}

// rig is one session in front of a real server, with a recording in between.
type rig struct {
	t        *testing.T
	judge    *judge
	spool    *memory
	fence    *decide.Fence
	session  *session.Session
	recorder *pgtest.Recorder
	client   *wireClient
	done     chan session.End
	// renewable says whether new tokens still stand when they are taken.
	renewable atomic.Bool
}

type option func(*session.Params, *session.Deps)

const schema = `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two')`

func newRig(t *testing.T, database string, options ...option) *rig {
	t.Helper()
	srv := pgtest.Start(t)
	r := &rig{t: t, spool: &memory{}, recorder: pgtest.Record(t, srv.Addr), done: make(chan session.End, 1)}
	system := sys.OS()
	r.judge = &judge{clock: system.Clock, policy: 1}
	r.fence = decide.NewFence(system.Clock, time.Hour)
	r.fence.Observe(&authzv1.Epoch{Policy: r.judge.policy})
	server, err := connect(t, srv, r.recorder.Addr, database)
	if err != nil {
		t.Fatal(err)
	}
	clientEnd, proxyEnd := tcpPair(t)
	rec := record.NewSession(system.Clock, system.Rand)
	params := session.Params{Client: proxyEnd, Server: server, Record: rec, Context: server.Context,
		Token: secret.FromString("token"), Expires: system.Clock.Now().Add(time.Hour),
		Renew: func(*authzv1.Principal, [32]byte, uint64) bool { return r.renewable.Load() }}
	r.renewable.Store(true)
	deps := session.Deps{System: system, Logger: slog.New(slog.DiscardHandler), Authorizer: r.judge, Fence: r.fence, Spool: r.spool,
		Observer: silent{}, Limits: session.Limits{Statement: 1 << 20, Prepared: 100, PreparedText: 1 << 20, Decision: time.Second, Fresh: time.Second}}
	for _, o := range options {
		o(&params, &deps)
	}
	r.session = session.New(params, deps)
	r.client = newWireClient(t, clientEnd)
	stopped := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(stopped)
		r.done <- r.session.Run(ctx)
	}()
	t.Cleanup(func() {
		_ = clientEnd.Close()
		cancel()
		<-stopped
	})
	return r
}

func connect(t *testing.T, srv *pgboot.Server, addr, database string) (*upstream.Conn, error) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var n uint16
	if _, err := fmt.Sscan(port, &n); err != nil {
		return nil, err
	}
	return upstream.Connect(t.Context(), sys.OS().Net, upstream.Target{Host: host, Port: n, Database: database,
		User: srv.Superuser, Password: srv.Password, Login: "login"}, map[string]string{"client_encoding": "UTF8"})
}

// direct is a connection to the server without Scopewire in between.
func direct(t *testing.T, database string) *wireClient {
	t.Helper()
	srv := pgtest.Start(t)
	server, err := connect(t, srv, srv.Addr, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return newWireClient(t, server)
}

func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := pgboot.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var d net.Dialer
	if a, err = d.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// wireClient speaks the protocol message by message and writes a transcript.
type wireClient struct {
	t    *testing.T
	conn net.Conn
	f    *pgproto3.Frontend
}

func newWireClient(t *testing.T, conn net.Conn) *wireClient {
	return &wireClient{t: t, conn: conn, f: pgproto3.NewFrontend(conn, conn)}
}

func (c *wireClient) send(msgs ...pgproto3.FrontendMessage) {
	c.t.Helper()
	for _, m := range msgs {
		c.f.Send(m)
	}
	if err := c.f.Flush(); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// receive returns the next message as a line of a transcript, false at the end
// of the connection.
func (c *wireClient) receive() (string, bool) {
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	m, err := c.f.Receive()
	if err != nil {
		return err.Error(), false
	}
	switch m := m.(type) {
	case *pgproto3.ReadyForQuery:
		return "ReadyForQuery " + string(m.TxStatus), true
	case *pgproto3.CommandComplete:
		return "CommandComplete " + string(m.CommandTag), true
	case *pgproto3.ErrorResponse:
		return fmt.Sprintf("ErrorResponse %s %s %s", m.Severity, m.Code, m.Message), true
	case *pgproto3.NoticeResponse:
		return fmt.Sprintf("NoticeResponse %s %s %s", m.Severity, m.Code, m.Message), true
	case *pgproto3.DataRow:
		var vals []string
		for _, v := range m.Values {
			vals = append(vals, string(v))
		}
		return "DataRow " + strings.Join(vals, "|"), true
	case *pgproto3.RowDescription:
		return fmt.Sprintf("RowDescription %d", len(m.Fields)), true
	case *pgproto3.ParameterDescription:
		return fmt.Sprintf("ParameterDescription %v", m.ParameterOIDs), true
	case *pgproto3.CopyData:
		return fmt.Sprintf("CopyData %q", m.Data), true
	case *pgproto3.FunctionCallResponse:
		return fmt.Sprintf("FunctionCallResponse %q", m.Result), true
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."), true
	}
}

// until reads up to and including n ReadyForQuery, or the end.
func (c *wireClient) until(n int) []string {
	c.t.Helper()
	var out []string
	for n > 0 {
		line, ok := c.receive()
		out = append(out, line)
		if !ok {
			return out
		}
		if strings.HasPrefix(line, "ReadyForQuery") {
			n--
		}
	}
	return out
}

// run sends msgs, and returns the transcript of as many ReadyForQuery as they
// will cause.
func (c *wireClient) run(msgs ...pgproto3.FrontendMessage) []string {
	c.t.Helper()
	n := 0
	extended := false
	for _, m := range msgs {
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.FunctionCall:
			// Behind a failed message of the extended protocol the server skips these.
			if !extended {
				n++
			}
		case *pgproto3.Sync:
			n++
			extended = false
		case *pgproto3.Parse, *pgproto3.Bind, *pgproto3.Execute:
			extended = true
		}
	}
	c.send(msgs...)
	return c.until(n)
}

// received reports whether the server was ever sent the text.
func (r *rig) received(text string) bool { return r.recorder.Saw(text) }
