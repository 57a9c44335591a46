package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// reservedName is the statement name that a denial's Parse uses where the
// client's message has none. The server never gets as far as using it.
const reservedName = "_scopewire"

func digest(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

type (
	op = stmt.Op[*prepared]
	// attachment hangs on an op until its answer has come.
	attachment struct {
		answer *answer
		// decision is what the message was forwarded under, nil for one that was not.
		decision *decide.Decision
		// moves is what it does to the catalog.
		moves moves
		// statement and backend are the spans that end with the answer.
		statement, backend trace.Span
		// id is the statement's, and intent its event's.
		id     id.ID
		intent []byte
		// room is what the spool keeps for the outcome, in bytes.
		room int64
		// ending is what is known of its end. Of the goroutine that reads the server.
		ending ending
	}
)

// frontend reads the client until the session ends.
func (s *Session) frontend(ctx context.Context) End {
	for {
		msg, err := s.reader.Next()
		switch {
		case err != nil && s.wakened():
			if err := s.windUp(); err != nil {
				return s.messageFailed(err)
			}
			if s.retires() {
				return EndShutdown
			}
			continue
		case err != nil:
			return s.readFailed(err)
		}
		if msg.Type == wire.Terminate {
			return s.terminate(msg)
		}
		err = s.take(ctx, msg)
		if err == nil && s.late {
			err = s.windUp()
		}
		if err != nil {
			return s.messageFailed(err)
		}
	}
}

func (s *Session) readFailed(err error) End {
	var long *wire.TooLongError
	switch {
	case errors.As(err, &long):
		s.violation(err)
		return EndLimit
	case errors.Is(err, wire.ErrMalformed):
		s.violation(err)
		return EndProtocolViolation
	case errors.Is(err, errServerGone):
		return EndBackendGone
	default:
		return EndClientGone
	}
}

func (s *Session) messageFailed(err error) End {
	var read *clientError
	switch {
	case errors.As(err, &read):
		return s.readFailed(read.err)
	case errors.Is(err, wire.ErrMalformed):
		s.violation(err)
		return EndProtocolViolation
	case errors.Is(err, stmt.ErrEnded):
		return ""
	default:
		return EndBackendGone
	}
}

// violation records a message that ends the session.
func (s *Session) violation(err error) {
	ev := s.p.Record.Event(auditv1.EventType_EVENT_TYPE_PROTOCOL_VIOLATION, trace.SpanContext{})
	ev.Message, ev.Sqlstate = auditv1.MessageKind_MESSAGE_KIND_OTHER, pgerr.ProtocolViolation
	ev.ReasonDetail = err.Error()
	if err := s.Spool.Append(ev); err != nil {
		s.Logger.Error("protocol violation not recorded", "error", err)
	}
}

// terminate passes the client's goodbye on. What was sent before it is still
// worked off: the backend goroutine goes on until the server closes.
func (s *Session) terminate(msg wire.Message) End {
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	if _, err := s.toServer.Write(msg.Raw); err != nil {
		return EndClosed
	}
	if err := s.toServer.Flush(); err != nil {
		return EndClosed
	}
	return ""
}

func (s *Session) isLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

// message handles one message. An error ends the session.
func (s *Session) message(ctx context.Context, msg wire.Message) error {
	if s.skipping && msg.Type != wire.Sync {
		return nil
	}
	if reads, err := s.readsData(); err != nil {
		return err
	} else if reads {
		return s.data(ctx, msg)
	}
	if drop, err := s.ready(msg); drop || err != nil {
		return err
	}
	switch msg.Type {
	case wire.Query:
		s.around.own.boundary(s.tx.current() != 0)
		return s.query(ctx, msg)
	case wire.FunctionCall:
		return s.functionCall(ctx, msg)
	case wire.Parse:
		return s.parse(ctx, msg)
	case wire.Bind:
		return s.bind(ctx, msg)
	case wire.Describe:
		return s.describe(ctx, msg)
	case wire.Execute:
		return s.execute(ctx, msg)
	case wire.Close:
		return s.close(msg)
	case wire.Sync:
		s.skipping = false
		s.around.own.boundary(s.tx.current() != 0)
		return s.forward(&op{Kind: stmt.Sync}, msg.Raw)
	case wire.Flush:
		return s.askForAnswers()
	case wire.CopyData, wire.CopyDone, wire.CopyFail:
		// Outside of COPY the server ignores these: what follows a COPY that has failed
		// (tcop/postgres.c, PostgresMain).
		return nil
	default:
		return fmt.Errorf("%w: type %q", wire.ErrMalformed, msg.Type)
	}
}

// ready makes the context known before a message that is judged by it, or drops a name
// of it. drop says that
// nothing is left to do with the message.
func (s *Session) ready(msg wire.Message) (drop bool, err error) {
	switch msg.Type {
	case wire.Query, wire.FunctionCall, wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close:
	default:
		return false, nil
	}
	drop, s.trouble, err = s.settle()
	if s.trouble != nil {
		s.Logger.Warn("no context", "error", s.trouble)
	}
	return drop, err
}

// forward records the message with the tracker, then writes it: an answer can
// never come before its message is known.
func (s *Session) forward(o *op, raw []byte) error {
	if err := s.names.Push(o); err != nil {
		s.outcome(o, auditv1.OutcomeKind_OUTCOME_KIND_SKIPPED)
		return err
	}
	// A Close begins no transaction.
	s.piped = o.Kind != stmt.Query && o.Kind != stmt.FunctionCall && o.Kind != stmt.Sync && (s.piped || o.Kind != stmt.Close)
	s.around.sent(o)
	s.around.own.done = s.around.own.done && o.Kind == stmt.Execute
	s.around.crossed = s.around.crossed || !s.piped
	s.watched.limited(longestOf(o))
	if o.Copies {
		s.copying = o
	}
	_, err := s.toServer.Write(raw)
	return err
}

// askForAnswers sends a Flush: the server is to say what it has done so far.
func (s *Session) askForAnswers() error {
	s.names.Asked()
	_, err := s.toServer.Write(wire.AppendBare(nil, wire.Flush))
	return err
}

// errServerGone is a server that takes no bytes any more.
var errServerGone = errors.New("the server is gone")

func (s *Session) flushServer() error {
	if err := s.toServer.Flush(); err != nil {
		return errServerGone
	}
	return nil
}

// track returns the attachment of a message that is forwarded under a unit.
func (s *Session) track(u *unit, d *decide.Decision) *attachment {
	_, backend := s.Observer.Start(u.ctx, telemetry.SpanBackend, telemetry.AttrStatement.String(u.id.String()))
	a := &attachment{decision: d, statement: u.span, backend: backend, moves: movesOf(d.Statements), id: u.id, intent: u.intent, room: u.room,
		ending: ending{began: u.began, transaction: s.tx.current()}}
	s.moved = s.moved || a.moves.changes
	return a
}

// substituteQuery sends a Query that stands for an answer.
func (s *Session) substituteQuery(u *unit, a *answer) error {
	if a.dropped || a.err != nil {
		u.span.End()
		return a.err
	}
	return s.forward(&op{Kind: stmt.Query, Substituted: true, Attachment: &attachment{answer: a, statement: u.span}},
		wire.AppendQuery(nil, a.text))
}

// substituteParse sends a Parse that stands for an answer, and skips to Sync as
// the server will.
func (s *Session) substituteParse(u *unit, name string, a *answer) error {
	if a.dropped || a.err != nil {
		u.span.End()
		return a.err
	}
	att := &attachment{answer: a}
	if u != nil {
		att.statement = u.span
	}
	s.skipping = true
	return s.forward(&op{Kind: stmt.Parse, Space: stmt.Statements, Name: name, Substituted: true, Attachment: att},
		wire.AppendParse(nil, name, a.text))
}

func (s *Session) query(ctx context.Context, msg wire.Message) error {
	if msg.More > 0 {
		return s.overlongQuery(ctx, msg)
	}
	text, err := wire.DecodeQuery(msg.Body)
	if err != nil {
		return err
	}
	u := s.begin(ctx, auditv1.MessageKind_MESSAGE_KIND_QUERY, decide.UnitQuery, text)
	d, a := s.judge(u)
	if a == nil {
		a = s.intend(u, d)
	}
	if a != nil {
		return s.substituteQuery(u, a)
	}
	raw := msg.Raw
	if d.Refreshed != nil {
		raw = wire.AppendQuery(nil, refreshText(d.Refreshed))
	}
	if err := s.forward(&op{Kind: stmt.Query, Copies: copies(d.Statements), Attachment: s.track(u, d)}, raw); err != nil {
		return err
	}
	return s.refreshed(d)
}

func (s *Session) functionCall(ctx context.Context, msg wire.Message) error {
	oid, args, err := wire.DecodeFunctionCall(msg.Body)
	if err != nil {
		return err
	}
	u := s.begin(ctx, auditv1.MessageKind_MESSAGE_KIND_FUNCTION_CALL, decide.UnitFunctionCall, msg.Body)
	u.oid, u.args = oid, uint32(args) //nolint:gosec // G115: an Int16.
	d, a := s.judge(u)
	if a == nil {
		a = s.intend(u, d)
	}
	if a != nil {
		return s.substituteQuery(u, a)
	}
	return s.forward(&op{Kind: stmt.FunctionCall, Attachment: s.track(u, d)}, msg.Raw)
}

func (s *Session) parse(ctx context.Context, msg wire.Message) error {
	if msg.More > 0 {
		return s.overlongParse(ctx, msg)
	}
	f, err := wire.DecodeParse(msg.Body)
	if err != nil {
		return err
	}
	// The text outlives the message: it is judged again when its decision no
	// longer holds.
	p := &prepared{text: append([]byte(nil), f.Text...), types: f.Parameters, source: digest(f.Text)}
	u := s.begin(ctx, auditv1.MessageKind_MESSAGE_KIND_PARSE, decide.UnitParse, p.text)
	u.types = p.types
	name := cutName(f.Name)
	weight := len(p.text) + 4*len(p.types)
	if s.full(1, weight) {
		return s.substituteParse(u, name, s.tooMany(u))
	}
	d, a := s.judge(u)
	if a != nil {
		return s.substituteParse(u, name, a)
	}
	p.decision, p.view, p.naming = d, u.view.bare(), len(u.names) > 0
	p.settle(d)
	s.around.own.parsed(d.Statements, s.basisOf(u, d))
	s.touches(stmt.Statements, f.Name)
	raw := msg.Raw
	if d.Refreshed != nil {
		text := refreshText(d.Refreshed)
		raw, p.source = wire.AppendParse(nil, name, text), digest([]byte(text))
	}
	return s.forward(&op{Kind: stmt.Parse, Space: stmt.Statements, Name: name, Value: p, Weight: weight,
		Attachment: s.track(u, d)}, raw)
}

func (s *Session) bind(ctx context.Context, msg wire.Message) error {
	portal, name, err := wire.DecodeBind(msg.Body)
	if err != nil {
		return err
	}
	p, ok, err := s.lookup(stmt.Statements, string(name))
	if err != nil {
		return err
	}
	if !ok {
		return s.substituteParse(nil, reservedName, s.missingStatement(string(name)))
	}
	if s.full(1, 0) {
		u := s.again(ctx, auditv1.MessageKind_MESSAGE_KIND_BIND, p)
		return s.substituteParse(u, reservedName, s.tooMany(u))
	}
	if !s.holds(p) {
		u := s.again(ctx, auditv1.MessageKind_MESSAGE_KIND_BIND, p)
		if a := s.renew(u, p); a != nil {
			return s.substituteParse(u, reservedName, a)
		}
		u.span.End()
	}
	s.touches(stmt.Portals, portal)
	s.plan(p.decision)
	if msg.More > 0 && s.piped {
		// It may take its time to come, and nothing can be put into it.
		if err := s.askForAnswers(); err != nil {
			return err
		}
	}
	bound := &prepared{text: p.text, types: p.types, settled: p.settled, decision: p.decision, naming: p.naming, view: p.view,
		source: p.source, meaning: meaningOf(p.decision.Statements)}
	if err := s.forward(&op{Kind: stmt.Bind, Space: stmt.Portals, Name: cutName(portal), Value: bound,
		Attachment: &attachment{decision: p.decision}}, msg.Raw); err != nil {
		return err
	}
	return s.passRest(msg)
}

func (s *Session) describe(ctx context.Context, msg wire.Message) error {
	kind, name, err := wire.DecodeTarget(msg.Body)
	if err != nil {
		return err
	}
	p, ok, err := s.lookup(stmt.Space(kind), string(name))
	if err != nil {
		return err
	}
	if !ok {
		return s.substituteParse(nil, reservedName, s.missingTarget(kind, string(name)))
	}
	if !s.holds(p) {
		u := s.again(ctx, auditv1.MessageKind_MESSAGE_KIND_DESCRIBE, p)
		renew := s.renew
		if stmt.Space(kind) == stmt.Portals {
			renew = s.renewPortal
		}
		if a := renew(u, p); a != nil {
			return s.substituteParse(u, reservedName, a)
		}
		u.span.End()
	}
	return s.forward(&op{Kind: stmt.Describe, Space: stmt.Space(kind), Attachment: &attachment{decision: p.decision}}, msg.Raw)
}

func (s *Session) execute(ctx context.Context, msg wire.Message) error {
	portal, _, err := wire.DecodeExecute(msg.Body)
	if err != nil {
		return err
	}
	p, ok, err := s.lookup(stmt.Portals, string(portal))
	if err != nil {
		return err
	}
	if !ok {
		return s.substituteParse(nil, reservedName, s.missingTarget(byte(stmt.Portals), string(portal)))
	}
	u := s.again(ctx, auditv1.MessageKind_MESSAGE_KIND_EXECUTE, p)
	a := s.renewPortal(u, p)
	if a == nil {
		a = s.intend(u, p.decision)
	}
	if a != nil {
		return s.substituteParse(u, reservedName, a)
	}
	if err := s.forward(&op{Kind: stmt.Execute, Copies: copies(p.decision.Statements), Attachment: s.track(u, p.decision)}, msg.Raw); err != nil {
		return err
	}
	return s.refreshed(p.decision)
}

func (s *Session) close(msg wire.Message) error {
	kind, name, err := wire.DecodeTarget(msg.Body)
	if err != nil {
		return err
	}
	s.touches(stmt.Space(kind), name)
	return s.forward(&op{Kind: stmt.Close, Space: stmt.Space(kind), Name: cutName(name)}, msg.Raw)
}
