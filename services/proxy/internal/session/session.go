// Package session runs one client session between login and end: every message
// that the server could execute is judged before it is forwarded, and what is
// denied is replaced by something the server cannot parse.
//
// # Who does what
//
// The frontend goroutine reads the client, judges and writes to the server. The
// backend goroutine reads the server and alone writes to the client, so nothing
// the proxy says can fall into the middle of a message. They share a
// stmt.Tracker, which knows what each answer belongs to. A third goroutine sends
// cancels and keeps the token's life (keeper.go), and where an issuer is asked about its
// tokens a fourth has them confirmed (confirm.go). Run owns all of them, and waits.
//
// # A denial
//
// The denied message is replaced: a Query by a Query, a Parse by a Parse under
// the client's own name, a Bind, Describe or Execute by a Parse under a reserved
// name, a FunctionCall by a Query. The text is one identifier, made of a marker
// that is random for the session and of the denial's reference. The server
// rejects it as a syntax error, with everything that follows from one: the
// transaction is aborted, the pipeline skipped to its Sync. When an error with
// SQLSTATE 42601 that quotes the marker answers the replaced message, the client
// gets the denial instead. Errors are never matched by counting.
//
// A COPY FROM STDIN is cut by a CopyFail with such a text (copy.go).
//
// After the replacement of a message of the extended protocol the frontend
// goroutine drops everything up to the next Sync, as the server would.
//
// # The context
//
// What a statement means depends on search_path, the role and more. context.go follows
// the effects that decisions name: after a statement that changes the context the
// next decision waits until the server has worked it off, and learn.go asks the
// server, with statements of the proxy's own, what the context is now. The same is
// done when a transaction ends in which it was changed. A statement or portal is
// judged again when the context has moved since.
//
// # What is the session's own
//
// Temporary objects, and what the open transaction has done to the catalog, are known to
// the session's backend alone. own.go asks it what authz wants to know, plans.go makes
// the server look up anew what it keeps plans of, and a portal or cursor is refused when
// its names have come to mean something else (prepared.go).
//
// # What can fail
//
// No decision, or no room in the audit spool: the statement is refused, by
// substitution as well. Anything that does not fit (a message type, an answer, a
// length) ends the session. A session that ends while the server still works for
// it sends a cancel, and closes.
package session

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/record"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// Limits bound a session.
type Limits struct {
	// Statement is the longest statement text, in bytes.
	Statement int
	// Prepared is the most statements and portals that may exist at once, and
	// PreparedText the most bytes that the texts of the statements may have
	// together.
	Prepared     int
	PreparedText int
	// Decision is how long a decision may take, Fresh one that waits for a catalog that
	// is read after the session's own DDL, or is about objects of its own.
	Decision, Fresh time.Duration
	// StatementTime is how long the server may take over a message, 0 is without end. What
	// a decision says may be shorter.
	StatementTime time.Duration
}

const (
	// maxMessage is the longest message but for those that carry data (16 MiB).
	maxMessage = 16 << 20
	// closing bounds what is still done for a session that has ended: its cancel
	// and its farewell.
	closing = time.Second
)

// Backend is the server side of a session.
type Backend interface {
	net.Conn
	// Cancel stops what the server runs for the session. It is called once at a
	// time.
	Cancel(ctx context.Context) error
}

// Observer counts what sessions do. Methods must not block.
type Observer interface {
	// Judged counts a unit's verdict, whether it was kept from an earlier one, and
	// how long it took.
	Judged(verdict authzv1.Verdict, reason authzv1.Reason, cached bool, took time.Duration)
	// Refused counts a refusal by its class.
	Refused(class string)
	// Start begins a span.
	Start(ctx context.Context, name telemetry.SpanName, attrs ...attribute.KeyValue) (context.Context, trace.Span)
}

// Deps are what a session works with.
type Deps struct {
	System     sys.System
	Logger     *slog.Logger
	Authorizer decide.Authorizer
	Fence      *decide.Fence
	Spool      record.Spool
	Observer   Observer
	Limits     Limits
	Expiry     Expiry
	// Buffers are shared by all sessions; nil gives the session its own.
	Buffers *Buffers
	// Confirm asks whether a token is still good. It does not keep it.
	Confirm func(ctx context.Context, token secret.Bytes) Standing
	// Pace says how fast the session's principal may be.
	Pace Pace
}

// Pace counts what the principal of a session does, and says how long the session has to
// wait before it goes on. A function that is nil lets everything pass.
type Pace struct {
	// Asked counts a decision that authz was asked for.
	Asked func(now time.Time) time.Duration
	// Denied counts a denial.
	Denied func(now time.Time) time.Duration
}

// Params describe an open session.
type Params struct {
	// Client is ready for the protocol after login; the session closes it.
	Client net.Conn
	// Server is an idle backend; the session closes it.
	Server Backend
	// Record makes the session's audit events.
	Record *record.Session
	// Context is the session context the server started with.
	Context *authzv1.SessionContext
	// ClientInfo is what is known of the client, for conditions of the policy. It
	// is never modified.
	ClientInfo *authzv1.ClientInfo
	// Token is the session's token; Expires is when its life ends, on the
	// monotonic clock.
	Token   secret.Bytes
	Expires time.Time
	// ConfirmIn is after how long the token is to be confirmed, 0 for never.
	ConfirmIn time.Duration
	// Principal is whom the token names, for the share of the decision cache.
	Principal string
	// Renew says that the session has another token, which was judged by all revocations up
	// to a number. It reports false when the token has been revoked since.
	Renew func(p *authzv1.Principal, sum [32]byte, revocation uint64) bool
}

// prepared is a statement or portal at the server and the decision it was let
// through by. The frontend goroutine alone changes it.
type prepared struct {
	text  []byte
	types []uint32
	// settled are the types of its parameters as they were found when it was parsed, nil
	// where all were given. The server keeps to them.
	settled []uint32
	// decision is nil where the statement was let through as part of one of SQL. naming
	// says that it reads names of the protocol, which can change without anything else.
	decision *decide.Decision
	naming   bool
	// sql is what requests say of a name that SQL has made, nil of others; untold that the
	// query behind it is not known. source is the message that made it.
	sql    []byte
	untold bool
	source source
	// meaning is, of a portal, what it was found to touch when it was opened; ends that it
	// is SQL's and ends with its transaction.
	meaning []*authzv1.Statement
	ends    bool
	// view is the context of the decision; also, of a portal, the generation of
	// another one under which it was allowed to run as well.
	view view
	also uint64
}

// Session is one client session.
type Session struct {
	Deps
	p         Params
	tokenHash decide.TokenHash
	marker    string
	// around is the context that the next statement is read in; ending is how many cursors
	// of SQL end with the transaction, undecided are those WITH HOLD that a ROLLBACK of it
	// takes back. piped says that messages of the extended
	// protocol, which begin a transaction, were forwarded since the last Sync or Query. The frontend goroutine's
	// alone.
	around    surroundings
	ending    int
	undecided []string
	piped     bool
	// trouble is why the context is not known that the message at hand will be read in, nil
	// if it is. The frontend goroutine's alone.
	trouble error
	// hushed says that a message of the transaction was forwarded under a decision that
	// keeps the server's errors closed. Of the goroutine that reads the server.
	hushed bool
	// moving says that the transaction at hand has changed the catalog: of the same
	// goroutine. moved that a message was forwarded that does: the frontend's.
	moving, moved bool
	// copying is the last message forwarded, if the server may turn to COPY for it and
	// has not answered it. The frontend goroutine's alone.
	copying *op
	// cutBy is the answer by which a COPY is being cut.
	cutBy atomic.Pointer[answer]
	// disturbed says that the server has reported a change nobody asked for.
	disturbed atomic.Bool

	reader   *wire.Reader
	toServer *outbox
	scanner  *wire.Scanner
	toClient *outbox
	names    *stmt.Tracker[*prepared]
	// skipping says that the server skips to the next Sync. The frontend
	// goroutine's alone.
	skipping bool
	cancels  cancels
	tx       transaction
	life     *life
	gate     *gate
	// drain is the end that the session is asked to come to.
	drain drain
	// watched is what is known of statements that run longer than they may, receiver the
	// client as bytes go to it.
	watched  *watched
	receiver *receiver
	// confirming is the token that is asked about; confirms begins to ask, once. The
	// frontend goroutine's alone.
	confirming *confirming
	confirms   func()
	// cutting says that what runs is cancelled because the token has expired; late, which
	// is the frontend goroutine's, that it has been asked to wind up amid a message.
	cutting atomic.Bool
	// lapsing is held by who acts upon the token's end, a cancel's delivery included.
	lapsing sync.Mutex
	late    bool

	mu  sync.Mutex
	end End
	// woken says that the frontend goroutine is to wind up.
	woken bool
	// leaving says that the client has said Terminate: answers may still come, and
	// go nowhere if the client has closed.
	leaving bool
	// owed is until when the next unit that is judged waits. The frontend goroutine's alone.
	owed time.Time
	// told says that the server has told the client of the end, partial that the client
	// has a message of which more is to come. The backend goroutine's alone.
	told, partial bool
	stop          context.CancelFunc
}

// New returns a session that Run runs.
func New(p Params, deps Deps) *Session {
	var random [12]byte
	deps.System.Rand.Read(random[:])
	g := &gate{Backend: p.Server}
	p.Server = g
	s := &Session{Deps: deps, gate: g, p: p, tokenHash: decide.TokenHash(p.Token.SHA256()),
		marker: "sw" + hex.EncodeToString(random[:]), cancels: cancels{asked: make(chan struct{}, 1)},
		names: stmt.NewTracker[*prepared](), stop: func() {}, around: newSurroundings(p.Context), life: newLife(p.Expires, deps.Expiry),
		watched: newWatched(deps.Limits.StatementTime), receiver: &receiver{conn: p.Client}, confirming: newConfirming(p.Token, p.ConfirmIn),
		drain: drain{asked: make(chan struct{}, 1)}}
	s.reader = wire.NewReader(p.Client, frontendLimit, s.flushServer)
	s.reader.Held = min(deps.Limits.Statement+besideText, maxMessage)
	if s.Buffers == nil {
		s.Buffers = &Buffers{}
	}
	s.toServer = &outbox{buffers: s.Buffers, to: p.Server}
	s.scanner = wire.NewScanner(p.Server, s.wantWhole, s.flushClient)
	s.toClient = &outbox{buffers: s.Buffers, to: s.receiver}
	s.names.Skipped = s.skipped
	s.names.Now = deps.System.Clock.Now
	return s
}

// frontendLimit is the length limit of each message a client may send after
// login; 0 for types that it may not.
func frontendLimit(typ byte) uint32 {
	switch typ {
	case wire.Query, wire.Parse, wire.FunctionCall:
		return maxMessage
	case wire.Bind, wire.CopyData:
		return wire.MaxCopyData
	case wire.CopyFail:
		return wire.MaxCopyFail
	case wire.Describe, wire.Execute, wire.Close:
		return 64 << 10
	case wire.Flush, wire.Sync, wire.Terminate, wire.CopyDone:
		return 4
	default:
		return 0
	}
}

// Run serves the session until it ends, and returns how it did. Both connections
// are closed then.
func (s *Session) Run(ctx context.Context) End {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !s.enter(stop) {
		end := s.ended()
		s.farewell(end)
		return end
	}

	unwatch := context.AfterFunc(ctx, func() { s.finish(EndShutdown) })
	defer unwatch()

	var wg sync.WaitGroup
	wg.Go(func() { s.guard(s.backend) })
	wg.Go(func() { s.guard(func() End { return s.keeper(ctx) }) })
	s.confirms = sync.OnceFunc(func() { wg.Go(func() { s.guard(func() End { return s.confirmer(ctx) }) }) })
	if p := s.p.ConfirmIn; p > 0 {
		s.confirms()
	}
	s.guard(func() End { return s.frontend(ctx) })
	wg.Wait()

	end := s.ended()
	s.guard(func() End { s.unanswered(); return "" })
	s.guard(func() End { s.farewell(end); return "" })
	if s.moved {
		// What the server has made of the last message nobody has heard.
		s.Fence.Move(s.p.Context.GetDatabase())
	}
	return end
}

// enter begins the session, unless it has been ended before. From here on deadlines are
// the session's own.
func (s *Session) enter(stop context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != "" {
		return false
	}
	s.stop = stop
	_ = s.p.Client.SetDeadline(time.Time{})
	_ = s.p.Server.SetDeadline(time.Time{})
	return true
}

// guard runs one of the session's goroutines. A panic ends this session and no
// other.
func (s *Session) guard(run func() End) {
	defer func() {
		if v := recover(); v != nil {
			s.Logger.Error("session goroutine failed", "panic", v, "stack", string(debug.Stack()))
			s.finish(EndInternal)
		}
	}()
	if end := run(); end != "" {
		s.finish(end)
	}
}

// finish ends the session. The first cause counts; every goroutine is woken.
func (s *Session) finish(end End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != "" {
		return
	}
	s.end = end
	s.stop()
	s.names.End()
	_ = s.p.Client.SetReadDeadline(past())
	_ = s.p.Server.SetDeadline(past())
	// Whoever writes to the client may finish its message.
	_ = s.p.Client.SetWriteDeadline(s.System.Clock.Now().Add(closing))
}

func (s *Session) ended() End {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

func (s *Session) cancelServer(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, closing)
	defer done()
	if err := s.p.Server.Cancel(ctx); err != nil {
		s.Logger.Warn("cancel not delivered", "error", err)
	}
}

// farewell stops the server's work, tells the client, and closes. No other
// goroutine of the session runs any more.
func (s *Session) farewell(end End) {
	defer func() { _ = s.p.Client.Close() }()
	defer func() { _ = s.p.Server.Close() }()
	if end == EndTokenRevoked {
		if err := s.Spool.AppendLast(s.p.Record.Event(auditv1.EventType_EVENT_TYPE_TOKEN_REVOKED, trace.SpanContext{})); err != nil {
			s.Logger.Error("revocation not recorded", "error", err)
		}
	}
	if s.names.InFlight() > 0 && end != EndBackendGone && end != EndBackendHung && end != EndClosed {
		s.guard(func() End { s.cancelServer(context.Background()); return "" })
	}
	_ = s.p.Server.Close()
	if resp := end.farewell(); resp != nil && !s.told && !s.partial {
		if b, err := resp.Encode(nil); err == nil {
			_, _ = s.toClient.Write(b)
			_ = s.toClient.Flush()
		}
	}
}
