package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// lateCancel is a server to which cancels take as long as the test wants.
type lateCancel struct {
	session.Backend
	begun, release chan struct{}
}

func (l *lateCancel) Cancel(ctx context.Context) error {
	l.begun <- struct{}{}
	<-l.release
	return l.Backend.Cancel(ctx)
}

// waiting waits until so many locks are waited for.
func waiting(t *testing.T, watcher *wireClient) {
	t.Helper()
	for waits := false; !waits; {
		if t.Context().Err() != nil {
			t.Fatal("nobody waits for the lock")
		}
		waits = strings.Contains(strings.Join(watcher.run(q("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "+
			"AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")), " "), "DataRow 1")
	}
}

// TestSec_T17_LateCancel: a cancel that reaches the server when its statement is over does
// not meet the one that the client has sent since, in either protocol.
func TestSec_T17_LateCancel(t *testing.T) {
	database := dbname(t)
	late := &lateCancel{begun: make(chan struct{}), release: make(chan struct{})}
	r := newRig(t, database, func(p *session.Params, _ *session.Deps) {
		late.Backend = p.Server
		p.Server = late
	})
	locker, watcher := direct(t, database), direct(t, database)
	for _, next := range []string{"SELECT 'next', pg_sleep(1)", "SELECT 'extended', pg_sleep(1)"} {
		locker.run(q("SELECT pg_advisory_lock(17)"))
		r.client.send(q("SELECT pg_advisory_xact_lock(17)"))
		waiting(t, watcher)
		r.session.Cancel()
		<-late.begun
		locker.run(q("SELECT pg_advisory_unlock(17)"))
		wantLines(t, r.client.until(1), "RowDescription 1", "DataRow *", "CommandComplete SELECT 1", "ReadyForQuery I")
		want := []string{"RowDescription 2", "DataRow *", "CommandComplete SELECT 1", "ReadyForQuery I"}
		if strings.Contains(next, "extended") {
			r.client.send(prep("", next), bind("", ""), exec(""), syn)
			want = append([]string{"ParseComplete", "BindComplete"}, want[1:]...)
		} else {
			r.client.send(q(next))
		}
		// Were it forwarded now, it would run when the cancel comes.
		for range 20 {
			if strings.Contains(strings.Join(watcher.run(q("SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()")), " "), "pg_sleep(1)") {
				t.Error("the next statement overtakes the cancel")
				break
			}
		}
		late.release <- struct{}{}
		wantLines(t, r.client.until(1), want...)
	}
	// Of an idle session nothing is cancelled, and the server hears nothing of it.
	r.session.Cancel()
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	select {
	case <-late.begun:
		t.Error("an idle session sends a cancel")
	default:
	}
}

// holding is an authorizer that holds one text until it is told to go on.
type holding struct {
	decide.Authorizer
	text        string
	asked, goOn chan struct{}
}

func (h *holding) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	if string(req.Text) == h.text {
		h.asked <- struct{}{}
		<-h.goOn
	}
	return h.Authorizer.Authorize(ctx, req)
}

// TestSec_T17_CancelAmidJudgement: a cancel that comes while its statement is judged stops
// the statement when it runs, and never another: not where the statement was denied, and
// not the one behind it.
func TestSec_T17_CancelAmidJudgement(t *testing.T) {
	h := &holding{asked: make(chan struct{}), goOn: make(chan struct{})}
	r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
		h.Authorizer = deps.Authorizer
		deps.Authorizer = h
		deps.Limits.Decision = time.Minute
	})
	sleeps := []string{"RowDescription 1", "ErrorResponse ERROR 57014 *", "ReadyForQuery I"}
	run := []string{"RowDescription 1", "DataRow *", "CommandComplete SELECT 1", "ReadyForQuery I"}
	stopped := func(text string, want ...string) {
		t.Helper()
		h.text = text
		r.client.send(q(text))
		<-h.asked
		r.session.Cancel()
		h.goOn <- struct{}{}
		wantLines(t, r.client.until(1), want...)
		h.text = ""
		wantLines(t, r.client.run(q("SELECT pg_sleep(0.01)")), run...)
	}
	stopped("SELECT pg_sleep(600)", sleeps...)
	stopped("SELECT denied", "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	r.client.run(q("BEGIN"))
	stoppedIn := func(text string) {
		t.Helper()
		h.text = text
		r.client.send(prep("", text), bind("", ""), exec(""), syn)
		<-h.asked
		r.session.Cancel()
		h.goOn <- struct{}{}
	}
	// The Parse is what is judged; the cancel goes behind it, and finds nothing or the Execute.
	stoppedIn("SELECT 7")
	r.client.until(1)
	wantLines(t, r.client.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT pg_sleep(0.01)")), run...)
}
