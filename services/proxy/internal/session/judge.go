package session

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// answer is what the client gets in place of a message's own answer.
type answer struct {
	// text is what the server is sent: one identifier that it cannot parse.
	text string
	// response is what the client is told.
	response *pgproto3.ErrorResponse
	// afterAbort says that the server would look at the transaction's state
	// before it came to this answer: in a failed transaction it is 25P02.
	afterAbort bool
	// dropped says that the server skips the message: there is nothing to answer. err
	// ends the session.
	dropped bool
	err     error
	// ends says that the session ends behind it.
	ends bool
}

// gone is the answer to a message with which the session may have ended, nil if not.
func gone(err error) *answer {
	if err == nil {
		return nil
	}
	return &answer{err: err}
}

// unit is a message under judgement.
type unit struct {
	message auditv1.MessageKind
	kind    decide.UnitKind
	text    []byte
	types   []uint32
	settled []uint32
	oid     uint32
	args    uint32
	// view is the context it is judged in: that of now, or, where bound is set, what bound
	// says of the session with the catalog of now.
	view  view
	bound *authzv1.SessionContext
	// fresh says that it is to be judged by a catalog that is read after it came.
	fresh bool
	// names is what authz was told of names of the protocol for it.
	names []*authzv1.ProbeAnswer
	// refreshed is the token that the unit brings.
	refreshed *decide.Refreshed
	// intent is the id of the event that says that it is about to be forwarded, began when
	// that was.
	intent []byte
	// room is what the spool keeps for its outcome, in bytes.
	room  int64
	began time.Time
	// sum is the digest of a text that is not held, nil of one that is.
	sum []byte
	// span is the statement's.
	ctx  context.Context //nolint:containedctx // Lives for one message, in one goroutine.
	span trace.Span
	id   id.ID
}

// begin opens a unit and its span.
func (s *Session) begin(ctx context.Context, message auditv1.MessageKind, kind decide.UnitKind, text []byte) *unit {
	u := &unit{message: message, kind: kind, text: text, view: s.around.view, id: id.New(s.System.Clock, s.System.Rand)}
	u.ctx, u.span = s.Observer.Start(ctx, telemetry.SpanStatement,
		telemetry.AttrDBSystem.String("postgresql"), telemetry.AttrDBNamespace.String(s.p.Context.GetDatabase()),
		telemetry.AttrSession.String(s.p.Record.ID.String()), telemetry.AttrStatement.String(u.id.String()))
	return u
}

// judge asks for the decision on a unit. With a nil answer the unit may be
// forwarded, under the decision that is returned.
func (s *Session) judge(u *unit) (*decide.Decision, *answer) {
	if len(u.text) > s.Limits.Statement && u.kind != decide.UnitFunctionCall {
		return nil, s.refuse(u, nil, pgerr.RefusalTooLong, "limit", authzv1.Reason_REASON_LIMIT, "statement text over the limit")
	}
	if !utf8.Valid(u.text) && u.kind != decide.UnitFunctionCall {
		return nil, s.refuse(u, nil, pgerr.RefusalEncoding, "encoding", authzv1.Reason_REASON_ENCODING, "statement text is not UTF-8")
	}
	if err := s.flushServer(); err != nil {
		// The session is ending; whatever is answered is not heard.
		return nil, s.refuse(u, nil, pgerr.RefusalUnavailable, "backend", authzv1.Reason_REASON_UNAVAILABLE, "")
	}
	// Before the decision, which is for now: one that waited would outlive what it rests on.
	s.wait(u, s.owed.Sub(s.System.Clock.Now()))
	expired := s.life.phase(s.System.Clock.Now()) != phaseLiving
	d, err := s.decide(u)
	if expired && !mayConclude(d, err) {
		return nil, s.refuse(u, nil, pgerr.RefusalTokenExpired, "token_expired", authzv1.Reason_REASON_TOKEN_EXPIRED, "")
	}
	for round := 0; err == nil && d.Verdict == authzv1.Verdict_VERDICT_PROBE; round++ {
		if round == maxRounds {
			return nil, s.unasked(u, "authz asks again and again")
		}
		names, others, again := sorted(d.Probes)
		u.fresh = u.fresh || again
		if a := s.tell(u, names); a != nil {
			return nil, a
		}
		if len(others) > 0 {
			if a := s.probe(u, others); a != nil {
				return nil, a
			}
		}
		u.view = s.viewOf(u.bound)
		d, err = s.decide(u)
	}
	if err != nil {
		s.Logger.Warn("no decision", "error", err, "statement", u.id.String())
		class := "authz_unavailable"
		if errors.Is(err, context.DeadlineExceeded) {
			class = "authz_timeout"
		}
		return nil, s.refuse(u, nil, pgerr.RefusalUnavailable, class, authzv1.Reason_REASON_UNAVAILABLE, "no decision")
	}
	switch d.Verdict {
	case authzv1.Verdict_VERDICT_ALLOW:
		if d.Refreshed != nil && !s.sameSubject(d.Refreshed.Principal) {
			return nil, s.refuse(u, d, pgerr.RefusalNewToken, "token_invalid", authzv1.Reason_REASON_TOKEN_INVALID, "the new token is another subject's")
		}
		if s.trouble != nil && !nameless(d.Statements) {
			return nil, s.unasked(u, "the session's context could not be learned")
		}
		a := s.hold(u, d)
		if a == nil && u.message != auditv1.MessageKind_MESSAGE_KIND_PARSE {
			a = s.replan(u, d)
		}
		return d, a
	case authzv1.Verdict_VERDICT_REFUSE:
		kind, class := refusalOf(d)
		return nil, s.refuse(u, d, kind, class, d.Reason, d.Detail)
	case authzv1.Verdict_VERDICT_ERROR:
		return nil, s.fail(u, d)
	default:
		return nil, s.deny(u, d)
	}
}

// hold refuses what is allowed and cannot be followed: names beyond the session's
// limit, and cursors whose names mean something else by now.
func (s *Session) hold(u *unit, d *decide.Decision) *answer {
	asDeclared, err := s.asDeclared(d.Statements)
	if err != nil {
		return &answer{err: err}
	}
	if !asDeclared {
		return s.refuse(u, d, pgerr.RefusalMoved, "context", authzv1.Reason_REASON_CONTEXT, "the cursor's names mean something else than when it was declared")
	}
	if s.around.own.touchesForeign(d.Statements) {
		denied := *d
		denied.Verdict, denied.Reason, denied.Detail = authzv1.Verdict_VERDICT_DENY, authzv1.Reason_REASON_OPAQUE_CODE, "a temporary object that code has made"
		return s.deny(u, &denied)
	}
	made, text := 0, 0
	for _, st := range d.Statements {
		for _, e := range st.GetEffects() {
			switch e.GetKind() {
			case authzv1.EffectKind_EFFECT_KIND_PREPARE, authzv1.EffectKind_EFFECT_KIND_DECLARE:
				made, text = made+1, text+len(e.GetValue())
			default:
				// No other effect makes a name.
			}
		}
	}
	if made > 0 && s.full(made, text) {
		return s.tooMany(u)
	}
	return nil
}

// longText is the length in bytes from which on a text gets the longer deadline: it may
// hold thousands of statements, as a migration file does.
const longText = 32 << 10

// decide asks the authorizer within the deadline, and again when the catalog was changed
// meanwhile, by whatever session.
func (s *Session) decide(u *unit) (*decide.Decision, error) {
	ctx, span := s.Observer.Start(u.ctx, telemetry.SpanDecide)
	defer span.End()
	database := s.p.Context.GetDatabase()
	// While the transaction that changed the catalog is open, no catalog that anybody
	// reads has the change.
	own, deadline := s.around.fresh && !s.around.altered || u.fresh, s.Limits.Decision
	fresh := own || s.Fence.Moved(database)
	// What the session has of its own may contradict the catalog that authz has read: then
	// it reads that again.
	if c := u.view.context; fresh || c.GetAltered() || len(c.GetTemporaryRelations()) > 0 {
		deadline = max(deadline, s.Limits.Fresh)
	}
	if len(u.text) > longText {
		deadline = max(deadline, s.Limits.Fresh)
	}
	within, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	answers, answersKey, err := answersOf(u)
	if err != nil {
		return nil, err
	}
	began := s.System.Clock.Now()
	req := &decide.Request{
		SessionID: s.p.Record.ID, StatementID: u.id, Token: s.p.Token, TokenHash: s.tokenHash, Principal: s.p.Principal,
		Context: u.view.context, ContextKey: u.view.key, Client: s.p.ClientInfo, Fresh: fresh,
		Answers: answers, AnswersKey: answersKey,
		Kind: u.kind, Text: u.text, ParameterTypes: u.types, SettledTypes: u.settled, FunctionOID: u.oid, Arguments: u.args,
	}
	d, err := s.Authorizer.Authorize(within, req)
	if err == nil && d.Allowed() && s.Fence.Outrun(d, database) {
		d, err = s.decideAgain(ctx, req)
	}
	if err == nil && d.Allowed() {
		s.Fence.Read(d, database)
	}
	s.around.fresh = s.around.fresh && !(own && err == nil)
	verdict, reason, cached := authzv1.Verdict_VERDICT_REFUSE, authzv1.Reason_REASON_UNAVAILABLE, false
	if err == nil {
		verdict, reason, cached = d.Verdict, d.Reason, d.Cached
	}
	u.span.SetAttributes(telemetry.AttrVerdict.String(telemetry.VerdictLabel(verdict)),
		telemetry.AttrReason.String(telemetry.ReasonLabel(reason)), telemetry.AttrCache.Bool(cached))
	s.Observer.Judged(verdict, reason, cached, s.System.Clock.Now().Sub(began))
	if count := s.Pace.Asked; count != nil && !cached {
		now := s.System.Clock.Now()
		s.owed = now.Add(count(now))
	}
	return d, err
}

// refusalOf says which refusal a verdict REFUSE is.
func refusalOf(d *decide.Decision) (pgerr.Refusal, string) {
	if brings(d.Statements) {
		return pgerr.RefusalNewToken, "token_invalid"
	}
	switch d.Reason {
	case authzv1.Reason_REASON_LIMIT:
		if d.Error.GetSqlstate() == pgerr.ProgramLimitExceeded {
			return pgerr.RefusalTooLong, "limit"
		}
		return pgerr.RefusalTooComplex, "limit"
	case authzv1.Reason_REASON_CONTEXT:
		if d.Error.GetSqlstate() == pgerr.FeatureNotSupported {
			return pgerr.RefusalAltered, "context"
		}
		return pgerr.RefusalUnavailable, "context"
	case authzv1.Reason_REASON_ENCODING:
		return pgerr.RefusalEncoding, "encoding"
	case authzv1.Reason_REASON_TOKEN_EXPIRED:
		return pgerr.RefusalTokenExpired, "token_expired"
	case authzv1.Reason_REASON_TOKEN_REVOKED:
		return pgerr.RefusalTokenRevoked, "token_revoked"
	case authzv1.Reason_REASON_TOKEN_INVALID:
		return pgerr.RefusalTokenInvalid, "token_invalid"
	case authzv1.Reason_REASON_INTROSPECTION:
		return pgerr.RefusalIntrospection, "introspection"
	default:
		return pgerr.RefusalUnavailable, "authz_unavailable"
	}
}

// deny records a denial and returns its answer. A denial that cannot be recorded
// is answered as a refusal, which names no reference.
func (s *Session) deny(u *unit, d *decide.Decision) *answer {
	ev := s.event(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED, u, d)
	ev.Sqlstate = pgerr.InsufficientPrivilege
	ref, err := id.FromBytes(ev.GetEventId())
	if err == nil {
		err = s.Spool.Append(ev)
	}
	if err != nil {
		return s.unrecorded(u, err)
	}
	if count := s.Pace.Denied; count != nil {
		s.wait(u, count(s.System.Clock.Now()))
	}
	return s.answer(u, pgerr.Denied(ref.String()), ref, true)
}

// wait holds a unit up because its principal is over a rate. The session reads no message
// meanwhile.
func (s *Session) wait(u *unit, long time.Duration) {
	if long <= 0 {
		return
	}
	timer := s.System.Clock.NewTimer(long)
	defer timer.Stop()
	select {
	case <-u.ctx.Done():
	case <-timer.C():
	}
}

// refuse records a refusal and returns its answer.
func (s *Session) refuse(u *unit, d *decide.Decision, kind pgerr.Refusal, class string, reason authzv1.Reason, detail string) *answer {
	s.Observer.Refused(class)
	resp := pgerr.Refused(kind)
	ev := s.event(auditv1.EventType_EVENT_TYPE_STATEMENT_REFUSED, u, d)
	ev.Verdict, ev.Reason, ev.ReasonDetail, ev.Sqlstate = authzv1.Verdict_VERDICT_REFUSE, reason, detail, resp.Code
	if err := s.Spool.Append(ev); err != nil {
		return s.unrecorded(u, err)
	}
	return s.answer(u, resp, id.New(s.System.Clock, s.System.Rand), false)
}

// fail records a statement that is in error and returns the error. A syntax
// error comes before the server looks at the transaction, any other after.
func (s *Session) fail(u *unit, d *decide.Decision) *answer {
	ev := s.event(auditv1.EventType_EVENT_TYPE_STATEMENT_ERROR, u, d)
	ev.Sqlstate = d.Error.GetSqlstate()
	if err := s.Spool.Append(ev); err != nil {
		return s.unrecorded(u, err)
	}
	resp := pgerr.Statement(d.Error.GetSqlstate(), d.Error.GetMessage(), d.Error.GetPosition())
	resp.Hint, resp.Detail = d.Error.GetHint(), d.Error.GetDetail()
	return s.answer(u, resp, id.New(s.System.Clock, s.System.Rand), d.Error.GetSqlstate() != pgerr.SyntaxError)
}

// unrecorded is the answer to what could not be recorded.
func (s *Session) unrecorded(u *unit, err error) *answer {
	class := "spool_failed"
	if errors.Is(err, spool.ErrFull) {
		class = "spool_full"
	}
	s.Observer.Refused(class)
	s.Logger.Error("audit event not recorded", "error", err, "statement", u.id.String())
	return s.answer(u, pgerr.Refused(pgerr.RefusalSpoolFull), id.New(s.System.Clock, s.System.Rand), false)
}

// missing is the server's own answer to a name that nothing stands for. It is
// not about data and is not recorded.
func (s *Session) missing(sqlstate, message string) *answer {
	return s.answer(nil, pgerr.Statement(sqlstate, message, 0), id.New(s.System.Clock, s.System.Rand), false)
}

// answer makes the text that stands for ref: at most 63 bytes, the longest
// identifier that the server does not complain about (NAMEDATALEN - 1).
func (s *Session) answer(u *unit, resp *pgproto3.ErrorResponse, ref id.ID, afterAbort bool) *answer {
	if u != nil {
		u.span.SetAttributes(telemetry.AttrDBStatus.String(resp.Code))
	}
	const digits = "0123456789abcdef"
	text := append(make([]byte, 0, 63), s.marker...)
	text = append(text, '_')
	for _, b := range ref {
		text = append(text, digits[b>>4], digits[b&15])
	}
	return &answer{text: string(text), response: resp, afterAbort: afterAbort}
}

// intend records that a unit is about to be forwarded.
func (s *Session) intend(u *unit, d *decide.Decision) *answer {
	last := s.tx.current() != 0 && rollsBack(d.Statements)
	u.refreshed = d.Refreshed
	s.follow(d.Statements, u)
	s.tx.apply(d.Statements)
	ev := s.event(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT, u, d)
	room, err := s.Spool.AppendIntent(ev, last)
	if err != nil {
		return s.unrecorded(u, err)
	}
	u.room = room
	u.intent, u.began = ev.GetEventId(), s.System.Clock.Now()
	return nil
}

// event builds the event of a unit. Its text is never in it, only what authz
// made of it and its digest.
func (s *Session) event(typ auditv1.EventType, u *unit, d *decide.Decision) *auditv1.Event {
	ev := s.p.Record.Event(typ, u.span.SpanContext())
	ev.StatementId, ev.Message, ev.Transaction = u.id[:], u.message, s.tx.current()
	ev.UnitSha256 = u.sum
	if u.sum == nil {
		sum := digest(u.text)
		ev.UnitSha256 = sum[:]
	}
	if d != nil {
		ev.Statements = recordable(d.Statements)
		ev.Verdict, ev.Reason, ev.ReasonDetail, ev.Epoch = d.Verdict, d.Reason, d.Detail, d.Epoch
	}
	return ev
}

// withoutValues leaves the values of effects out: what a setting is set to and the
// texts of prepared statements and cursors hold literals.
func withoutValues(statements []*authzv1.Statement) []*authzv1.Statement {
	if !slices.ContainsFunc(statements, func(st *authzv1.Statement) bool { return len(st.GetEffects()) > 0 }) {
		return statements
	}
	out := make([]*authzv1.Statement, 0, len(statements))
	for _, st := range statements {
		bare := &authzv1.Statement{Kind: st.GetKind(), Accesses: st.GetAccesses(), Normalised: st.GetNormalised(), TextSha256: st.GetTextSha256(), Cursor: st.GetCursor()}
		for _, e := range st.GetEffects() {
			bare.Effects = append(bare.Effects, &authzv1.Effect{Kind: e.GetKind(), Name: e.GetName(), Chain: e.GetChain(), Hold: e.GetHold()})
		}
		out = append(out, bare)
	}
	return out
}

// maxRecorded bounds what an event says of its statements, in bytes. A record
// that the spool could not take would leave a denial without one.
const maxRecorded = 512 << 10

// recordable is as much of the statements as an event can carry: all of it, else
// what they touch without their texts, else nothing beside the unit's digest.
func recordable(statements []*authzv1.Statement) []*authzv1.Statement {
	statements = withoutValues(statements)
	size := func(in []*authzv1.Statement) (n int) {
		for _, s := range in {
			n += proto.Size(s)
		}
		return n
	}
	if size(statements) <= maxRecorded {
		return statements
	}
	bare := make([]*authzv1.Statement, 0, len(statements))
	for _, s := range statements {
		bare = append(bare, &authzv1.Statement{Kind: s.GetKind(), Accesses: s.GetAccesses(), TextSha256: s.GetTextSha256()})
	}
	if size(bare) <= maxRecorded {
		return bare
	}
	return nil
}
