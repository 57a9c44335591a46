package session_test

import (
	"strings"
	"testing"
	"time"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

const newToken = "SET scopewire.token = 'alice.NEWTOKEN'"

// alive: the session is under a token that lives a minute from start.
func (r *rig) alive(clock *manual) {
	r.t.Helper()
	wantLines(r.t, r.client.run(q("SELECT 1"))[1:], "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	if r.received("NEWTOKEN") {
		r.t.Error("the server was sent the token")
	}
	if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_TOKEN_REFRESHED)); n != 1 {
		r.t.Errorf("%d refreshes recorded", n)
	}
	for _, ev := range r.spool.events {
		if s := ev.String(); strings.Contains(s, "NEWTOKEN") {
			r.t.Errorf("the token is in an event: %s", s)
		}
	}
	clock.Advance(time.Minute)
	wantLines(r.t, r.client.run(q("SELECT 1")), tokenEnded, "ReadyForQuery I")
}

// tellsScopes: the server knows the scopes of the new token.
func (r *rig) tellsScopes() {
	r.t.Helper()
	wantLines(r.t, r.client.run(q("SHOW scopewire.scopes"))[1:], `DataRow orders.read it's\ ?';?`, "CommandComplete SHOW", "ReadyForQuery I")
}

// A new token takes the old one's place, by either protocol, before the old one's end and
// in grace, in a transaction and outside of one.
func TestRefresh(t *testing.T) {
	for name, before := range map[string]func(*rig, *manual){
		"while the token is good": func(*rig, *manual) {},
		"in grace":                func(_ *rig, clock *manual) { clock.Advance(tokenLife) },
		"in grace, after a transaction": func(r *rig, clock *manual) {
			r.client.run(q("BEGIN"))
			clock.Advance(tokenLife)
			// A failed transaction takes no token: it has to be rolled back first.
			wantLines(r.t, r.client.run(q("SELECT 1")), tokenEnded, "ReadyForQuery E")
			wantLines(r.t, r.client.run(q(newToken)), "ErrorResponse ERROR 25P02 *", "ReadyForQuery E")
			wantLines(r.t, r.client.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, clock := newLifeRig(t, dbname(t), session.Expiry{Grace: grace})
			before(r, clock)
			wantLines(t, r.client.run(q(newToken)), "CommandComplete SET", "ReadyForQuery I")
			r.tellsScopes()
			r.alive(clock)
		})
		t.Run(name+", extended", func(t *testing.T) {
			r, clock := newLifeRig(t, dbname(t), session.Expiry{Grace: grace})
			before(r, clock)
			wantLines(t, r.client.run(prep("s", newToken), descS("s"), bind("", "s"), exec(""), syn),
				"ParseComplete", "ParameterDescription []", "NoData", "BindComplete", "CommandComplete SET", "ReadyForQuery I")
			r.tellsScopes()
			r.alive(clock)
		})
	}
}

// A refresh is not transactional: what becomes of the transaction does not matter.
func TestRefreshOutlivesRollback(t *testing.T) {
	r, clock := newLifeRig(t, dbname(t), session.Expiry{Grace: grace})
	r.client.run(q("BEGIN"), q(newToken), q("ROLLBACK"))
	clock.Advance(tokenLife)
	r.alive(clock)
}

// Where the server never comes to the statement, in a pipeline that has failed, the token
// does not count.
func TestRefreshBehindAFailure(t *testing.T) {
	r, clock := newLifeRig(t, dbname(t), session.Expiry{Grace: grace})
	wantLines(t, r.client.run(prep("", "SELECT 1/0"), bind("", ""), exec(""), prep("", newToken), bind("", ""), exec(""), syn)[1:],
		"ErrorResponse ERROR 22012 *", "ReadyForQuery I")
	clock.Advance(tokenLife)
	wantLines(t, r.client.run(q("SELECT 1")), tokenEnded, "ReadyForQuery I")
}

// The token of somebody else is refused, and the session stays what it was.
func TestRefreshOfAnotherSubject(t *testing.T) {
	r, clock := newLifeRig(t, dbname(t), session.Expiry{Grace: grace})
	refused := "ErrorResponse ERROR 28P01 the new access token was refused, the one before stays"
	wantLines(t, r.client.run(q("SET scopewire.token = 'bob.NEWTOKEN'")), refused, "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT 1"))[1:], "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	clock.Advance(tokenLife)
	wantLines(t, r.client.run(q("SET scopewire.token = 'bob.NEWTOKEN'")), refused, "ReadyForQuery I")
	r.checkGrace(clock, "I")
}

// Nothing that was judged under the old token runs under the new one unasked: statements,
// portals and cursors are judged again.
func TestRefreshJudgesAgain(t *testing.T) {
	r, _ := newLifeRig(t, dbname(t), session.Expiry{Grace: grace})
	wantLines(t, r.client.run(prep("p", "SELECT 'narrow'"), bind("", "p"), exec(""), syn)[2:3], "DataRow narrow")
	r.client.run(q("BEGIN"), prep("", "SELECT 'narrow', generate_series(1, 9)"), bind("c", ""), syn)
	r.client.run(q(newToken))
	// The new token's scopes are fewer.
	r.judge.set("narrow")
	asked := r.judge.count()
	wantLines(t, r.client.run(exec("c"), syn), "ErrorResponse ERROR 42501 *", "ReadyForQuery E")
	r.client.run(q("ROLLBACK"))
	wantLines(t, r.client.run(bind("", "p"), exec(""), syn), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	if r.judge.count() < asked+3 {
		t.Error("not everything was judged again")
	}
}
