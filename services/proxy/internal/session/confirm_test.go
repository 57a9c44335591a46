package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// confirmAfter is when sessions of these tests have their token confirmed.
const confirmAfter = 10 * time.Second

// oracleOf answers one confirmation at a time with what the test gives it.
type oracleOf struct {
	asked   chan string
	answers chan session.Standing
}

func (o *oracleOf) confirm(ctx context.Context, token secret.Bytes) session.Standing {
	select {
	case o.asked <- string(token.Expose()):
	case <-ctx.Done():
		return session.Standing{}
	}
	select {
	case a := <-o.answers:
		return a
	case <-ctx.Done():
		return session.Standing{}
	}
}

// newConfirmRig is a session whose token is to be confirmed.
func newConfirmRig(t *testing.T, database string) (*rig, *manual, *oracleOf) {
	t.Helper()
	clock := newManual()
	o := &oracleOf{asked: make(chan string), answers: make(chan session.Standing)}
	r := newRig(t, database, func(p *session.Params, deps *session.Deps) {
		deps.System.Clock = clock
		p.Expires, p.ConfirmIn = clock.Now().Add(1e6*time.Hour), confirmAfter
		p.Record.SetPrincipal(&authzv1.Principal{Issuer: "https://idp.example.com", Subject: "alice"}, "login")
		j, _ := deps.Authorizer.(*judge)
		j.clock = clock
		deps.Authorizer, deps.Confirm = &minder{j, confirmAfter}, o.confirm
		deps.Fence = decide.NewFence(clock, time.Hour)
		deps.Fence.Observe(&authzv1.Epoch{Policy: j.policy})
	})
	return r, clock, o
}

// until moves the clock until the token is asked about. The timer may not run yet when it
// is moved first.
func (o *oracleOf) until(t *testing.T, clock *manual) string {
	t.Helper()
	for {
		clock.Advance(time.Second)
		select {
		case token := <-o.asked:
			return token
		case <-time.After(10 * time.Millisecond):
			// Not faster: the tokens of these tests end, too.
		}
	}
}

// TestSessionsAreConfirmed: a session whose token is found not to be good any more ends,
// whatever it is about; one that nobody knows of is asked about again.
func TestSessionsAreConfirmed(t *testing.T) {
	for name, begin := range map[string]func(*rig){
		"idle":                func(*rig) {},
		"a running statement": func(r *rig) { r.running(q(work)) },
		"a COPY":              func(r *rig) { r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))}) },
	} {
		t.Run(name, func(t *testing.T) {
			r, clock, o := newConfirmRig(t, dbname(t))
			begin(r)
			for range 2 {
				if token := o.until(t, clock); token != "token" {
					t.Fatalf("asked about %q", token)
				}
				o.answers <- session.Standing{Next: confirmAfter}
			}
			o.until(t, clock)
			o.answers <- session.Standing{Ended: true}
			if end := <-r.done; end != session.EndTokenRevoked {
				t.Errorf("ended %q", end)
			}
		})
	}
}

// A new token is the one that is asked about, and an answer about the old one is none
// about it.
func TestNewTokensAreConfirmed(t *testing.T) {
	r, clock, o := newConfirmRig(t, dbname(t))
	o.until(t, clock)
	// While the answer is under way the session is given another token.
	// The token is taken once the server has completed, ahead of the next statement.
	if got := r.client.run(q("SET scopewire.token = 'alice.2'"), q("SELECT 1")); got[len(got)-1] != "ReadyForQuery I" {
		t.Fatal(got)
	}
	o.answers <- session.Standing{Ended: true}
	if got := r.client.run(q("SELECT 1")); got[len(got)-1] != "ReadyForQuery I" {
		t.Fatalf("the session ended by the word about the token before: %v", got)
	}
	if token := o.until(t, clock); token != "alice.2" {
		t.Errorf("asked about %q", token)
	}
	o.answers <- session.Standing{Ended: true}
	if end := <-r.done; end != session.EndTokenRevoked {
		t.Errorf("ended %q", end)
	}
}

// An issuer that is asked may say that a token ends sooner, or later, than it said at login.
// The session ends by the last word, and by none about a token before.
func TestIssuersMoveTheEnd(t *testing.T) {
	over := func(r *rig) bool {
		r.client.send(q("SELECT 1"))
		for {
			line, ok := r.client.receive()
			if !ok || strings.Contains(line, "28000") {
				return true
			}
			if strings.HasPrefix(line, "ReadyForQuery") {
				return false
			}
		}
	}
	// At login it was said to end after a million hours.
	for name, said := range map[string]time.Duration{"sooner": 1e5 * time.Hour, "later": 2e6 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r, clock, o := newConfirmRig(t, dbname(t))
			o.until(t, clock)
			end := clock.Now().Add(said)
			o.answers <- session.Standing{Next: confirmAfter, Expires: end}
			// The word is taken by the time that it is asked for again.
			o.until(t, clock)
			o.answers <- session.Standing{}
			clock.Advance(end.Add(-time.Second).Sub(clock.Now()))
			if over(r) {
				t.Error("the session ends ahead of the word")
			}
			clock.Advance(2 * time.Second)
			if !over(r) {
				t.Error("the session goes on behind the word")
			}
			if end := <-r.done; end != session.EndTokenExpired {
				t.Errorf("ended %q", end)
			}
		})
	}
	t.Run("of another token", func(t *testing.T) {
		r, clock, o := newConfirmRig(t, dbname(t))
		o.until(t, clock)
		if got := r.client.run(q("SET scopewire.token = 'alice.2'"), q("SELECT 1")); got[len(got)-1] != "ReadyForQuery I" {
			t.Fatal(got)
		}
		o.answers <- session.Standing{Expires: clock.Now().Add(-time.Second)}
		if token := o.until(t, clock); token != "alice.2" {
			t.Fatalf("asked about %q", token)
		}
		o.answers <- session.Standing{}
		if over(r) {
			t.Error("the session ends by the word about the token before")
		}
	})
}
