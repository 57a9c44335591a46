package session_test

import (
	"sync/atomic"
	"testing"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// late counts writes to the server that begin after a moment.
type late struct {
	session.Backend
	over  atomic.Bool
	count atomic.Int64
}

func (l *late) Write(b []byte) (int, error) {
	if l.over.Load() {
		l.count.Add(1)
	}
	return l.Backend.Write(b)
}

// TestFault_F12: a revoked session ends at once, whatever it is about, and nothing is
// forwarded from the moment on at which Revoke has returned.
func TestFault_F12_RevokedSessionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(*rig)
		// flood goes on sending while the session is revoked.
		flood bool
	}{
		"an idle session":     {func(*rig) {}, false},
		"a running statement": {func(r *rig) { r.running(q(work)) }, false},
		"an open transaction": {func(r *rig) { r.client.run(q("BEGIN"), q("LOCK TABLE t"), q("INSERT INTO t VALUES (9, 'lost')")) }, false},
		"an open pipeline": {func(r *rig) {
			r.client.hold([]talk{say("CommandComplete", prep("", "DELETE FROM t"), bind("", ""), exec(""), flush)})
		}, false},
		"COPY FROM STDIN":         {func(r *rig) { r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))}) }, false},
		"COPY FROM STDIN, amid":   {func(r *rig) { r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))}) }, true},
		"many statements at once": {func(*rig) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			database := dbname(t)
			server := &late{}
			r := newRig(t, database, func(p *session.Params, _ *session.Deps) { server.Backend, p.Server = p.Server, server })
			c.begin(r)
			if c.flood {
				go func() {
					for i := 0; ; i++ {
						r.client.f.Send(q("SELECT 1"))
						if name != "many statements at once" {
							r.client.f.Send(data("100\tx\n"))
						}
						if r.client.f.Flush() != nil {
							return
						}
					}
				}()
				r.client.receive()
			}
			r.session.Revoke()
			server.over.Store(true)
			if end := <-r.done; end != session.EndTokenRevoked && !c.flood {
				t.Errorf("ended %q", end)
			}
			if n := server.count.Load(); n > 0 {
				t.Errorf("%d writes to the server after the session was revoked", n)
			}
			if !c.flood {
				if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_TOKEN_REVOKED)); n != 1 {
					t.Errorf("%d revocations recorded", n)
				}
				last := ""
				for line, ok := r.client.receive(); ok; line, ok = r.client.receive() {
					last = line
				}
				if last != "ErrorResponse FATAL 28000 the access token has been revoked" {
					t.Errorf("the client hears %q", last)
				}
			}
			wantLines(t, direct(t, database).hold([]talk{say(ready, q("BEGIN; LOCK TABLE t; SELECT count(*) FROM t"))})[3:4], "DataRow 2")
		})
	}
}

// A token that has been revoked since it was judged ends the session that takes it.
func TestFault_F12_RefreshByRevokedToken(t *testing.T) {
	r, _ := newLifeRig(t, dbname(t), session.Expiry{Grace: grace})
	r.renewable.Store(false)
	r.client.send(q(newToken))
	if end := <-r.done; end != session.EndTokenRevoked {
		t.Errorf("ended %q", end)
	}
}
