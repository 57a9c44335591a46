package session_test

import (
	"context"
	"net"
	"testing"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/record"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// Parts of a session that fail as a bug would make them.

type failingConn struct {
	net.Conn
	read, write bool
}

func (c *failingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read && n > 0 {
		panic("read")
	}
	return n, err
}

func (c *failingConn) Write(p []byte) (int, error) {
	if c.write {
		panic("write")
	}
	return c.Conn.Write(p)
}

type failingBackend struct {
	session.Backend
	read, write, cancel bool
}

func (b *failingBackend) Read(p []byte) (int, error) {
	n, err := b.Backend.Read(p)
	if b.read && n > 0 {
		panic("read")
	}
	return n, err
}

func (b *failingBackend) Write(p []byte) (int, error) {
	if b.write {
		panic("write")
	}
	return b.Backend.Write(p)
}

func (b *failingBackend) Cancel(ctx context.Context) error {
	if b.cancel {
		panic("cancel")
	}
	return b.Backend.Cancel(ctx)
}

type failingAuthorizer struct{}

func (failingAuthorizer) Authorize(context.Context, *decide.Request) (*decide.Decision, error) {
	panic("authorize")
}

// failingSpool fails at events of a type.
type failingSpool struct {
	record.Spool
	at auditv1.EventType
}

func (s failingSpool) Append(ev *auditv1.Event) error {
	if ev.GetType() == s.at {
		panic("append")
	}
	return s.Spool.Append(ev)
}

func (s failingSpool) AppendLast(ev *auditv1.Event) error { return s.Append(ev) }

func (s failingSpool) AppendIntent(ev *auditv1.Event, _ bool) (int64, error) { return 0, s.Append(ev) }

func (s failingSpool) AppendAfter(ev *auditv1.Event, _ int64) error { return s.Append(ev) }

// TestSec_T13_PanicsEndOneSession: a panic in any goroutine of a session ends that
// session, tells its client, and leaves its neighbour alone.
func TestSec_T13_PanicsEndOneSession(t *testing.T) {
	database := dbname(t)
	neighbour := newRig(t, database)
	for name, tt := range map[string]struct {
		fails option
		// cause is what makes it fail; nil is a Query.
		cause func(r *rig)
		// unheard: what fails is the way to the client.
		unheard bool
	}{
		"reading the client":    {fails: func(p *session.Params, _ *session.Deps) { p.Client = &failingConn{Conn: p.Client, read: true} }},
		"writing to it":         {fails: func(p *session.Params, _ *session.Deps) { p.Client = &failingConn{Conn: p.Client, write: true} }, unheard: true},
		"reading the server":    {fails: func(p *session.Params, _ *session.Deps) { p.Server = &failingBackend{Backend: p.Server, read: true} }},
		"writing to the server": {fails: func(p *session.Params, _ *session.Deps) { p.Server = &failingBackend{Backend: p.Server, write: true} }},
		"judging":               {fails: func(_ *session.Params, deps *session.Deps) { deps.Authorizer = failingAuthorizer{} }},
		"recording an intent": {fails: func(_ *session.Params, deps *session.Deps) {
			deps.Spool = failingSpool{deps.Spool, auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT}
		}},
		"cancelling": {fails: func(p *session.Params, _ *session.Deps) { p.Server = &failingBackend{Backend: p.Server, cancel: true} },
			cause: func(r *rig) {
				r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))})
				r.session.Cancel()
			}},
		"recording the expiry": {fails: func(p *session.Params, deps *session.Deps) {
			deps.Spool = failingSpool{deps.Spool, auditv1.EventType_EVENT_TYPE_TOKEN_EXPIRED}
			p.Expires = deps.System.Clock.Now()
		}, cause: func(*rig) {}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, database, tt.fails)
			if tt.cause == nil {
				r.client.send(q("SELECT 1"))
			} else {
				tt.cause(r)
			}
			if end := <-r.done; end != session.EndInternal {
				t.Errorf("ended %q", end)
			}
			if !tt.unheard {
				wantLines(t, r.client.until(1)[:1], "ErrorResponse FATAL 08006 *")
			}
			wantLines(t, neighbour.client.run(q("SELECT v FROM t WHERE id = 1")), "RowDescription 1", "DataRow one", "CommandComplete SELECT 1", "ReadyForQuery I")
		})
	}
}
