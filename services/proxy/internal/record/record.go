// Package record builds the audit events of one session: what is the same in
// all of them, and the identifiers that tie them together.
package record

import (
	"sync"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/sys"
)

// SchemaVersion is the version of the event schema that is written.
const SchemaVersion = 1

// Spool takes events. Append returns once the event is as safe as the spool's
// mode promises; after an error the event counts as not recorded, and what it is
// about must not happen. Implementations are safe for concurrent use and keep
// the event.
type Spool interface {
	Append(ev *auditv1.Event) error
	// AppendLast is Append for an event that ends something: a rollback, a cancel, a
	// session. A full spool has a reserve for those.
	AppendLast(ev *auditv1.Event) error
	// AppendIntent is Append, or with last AppendLast, for an event that an outcome
	// follows. It keeps room for that, in bytes; after an error none.
	AppendIntent(ev *auditv1.Event, last bool) (room int64, err error)
	// AppendAfter is AppendLast for an event about what has happened already, in the room
	// that its intent kept. It is called once for each intent. It never waits for a disk:
	// the record is safe from the death of the process alone until the next sync.
	AppendAfter(ev *auditv1.Event, room int64) error
}

// Session is what all events of a session share. Fields are set before the first
// event and not changed afterwards, but for those of SetPrincipal and SetToken.
type Session struct {
	ID              id.ID
	Database        string
	ClientAddress   string
	ApplicationName string
	StartupUser     string

	clock sys.Clock
	rand  sys.Rand

	mu        sync.Mutex
	principal *authzv1.Principal
	login     string
}

// NewSession returns a session with a new id.
func NewSession(clock sys.Clock, rand sys.Rand) *Session {
	return &Session{ID: id.New(clock, rand), clock: clock, rand: rand}
}

// SetPrincipal records who was authenticated and under which login.
func (s *Session) SetPrincipal(p *authzv1.Principal, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.principal, s.login = p, login
}

// SetToken records a new token of the same principal.
func (s *Session) SetToken(p *authzv1.Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.principal = p
}

// Principal is who was authenticated last, nil before.
func (s *Session) Principal() *authzv1.Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principal
}

// Event returns an event of the session with an id and a time of its own.
func (s *Session) Event(typ auditv1.EventType, span trace.SpanContext) *auditv1.Event {
	ref := id.New(s.clock, s.rand)
	s.mu.Lock()
	principal, login := s.principal, s.login
	s.mu.Unlock()
	ev := &auditv1.Event{
		SchemaVersion: SchemaVersion, EventId: ref[:], Time: timestamppb.New(s.clock.Now().UTC()), Type: typ,
		Principal: principal, SessionId: s.ID[:], Database: s.Database, Login: login,
		ClientAddress: s.ClientAddress, ApplicationName: s.ApplicationName, StartupUser: s.StartupUser,
	}
	if span.HasTraceID() {
		tid, sid := span.TraceID(), span.SpanID()
		ev.TraceId, ev.SpanId = tid[:], sid[:]
	}
	return ev
}

// Finished returns the event of an outcome: short, because its intent, which it follows,
// says the rest. Of the principal it has what events are searched by.
func (s *Session) Finished(statement id.ID, intent []byte, transaction uint64, outcome *auditv1.Outcome) *auditv1.Event {
	ref := id.New(s.clock, s.rand)
	s.mu.Lock()
	p, login := s.principal, s.login
	s.mu.Unlock()
	ev := &auditv1.Event{
		SchemaVersion: SchemaVersion, EventId: ref[:], Time: timestamppb.New(s.clock.Now().UTC()),
		Type: auditv1.EventType_EVENT_TYPE_STATEMENT_FINISHED, SessionId: s.ID[:], Database: s.Database, Login: login,
		StatementId: statement[:], Follows: intent, Transaction: transaction, Outcome: outcome, Sqlstate: outcome.GetSqlstate(),
	}
	if p != nil {
		ev.Principal = &authzv1.Principal{Issuer: p.GetIssuer(), Subject: p.GetSubject(), ClientId: p.GetClientId()}
	}
	return ev
}
