package session_test

import (
	"testing"
	"time"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// slow is a rate that two have reached.
func slow() (count func(time.Time) time.Duration, over chan struct{}) {
	over = make(chan struct{}, 1)
	n := 0
	return func(time.Time) time.Duration {
		if n++; n <= 2 {
			return 0
		}
		over <- struct{}{}
		return time.Hour
	}, over
}

// Who is denied too often waits, with the denial on record, until the session ends; what
// is allowed does not count.
func TestDenialsAreSlowedDown(t *testing.T) {
	count, over := slow()
	r := newRig(t, dbname(t), func(_ *session.Params, d *session.Deps) { d.Pace = session.Pace{Denied: count} })
	for range 2 {
		wantLines(t, r.client.run(q("SELECT denied")), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
		wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	}
	r.client.send(q("SELECT denied"))
	<-over
	if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)); n != 3 {
		t.Errorf("%d denials are on record", n)
	}
}

// held is a clock whose timers of about half an hour run out when the test says so.
type held struct {
	sys.Clock
	timers chan chan time.Time
}

func (h held) NewTimer(d time.Duration) sys.Timer {
	t := h.Clock.NewTimer(d)
	if d < 29*time.Minute || d > 31*time.Minute {
		return t
	}
	c := make(chan time.Time)
	h.timers <- c
	return heldTimer{t, c}
}

type heldTimer struct {
	sys.Timer
	c chan time.Time
}

func (t heldTimer) C() <-chan time.Time { return t.c }

// What authz is asked for counts, allowed or not. Who is over the rate waits before the
// next decision, not behind it: what is decided is what holds after the wait.
func TestMissesAreSlowedDown(t *testing.T) {
	clock := held{sys.OS().Clock, make(chan chan time.Time, 1)}
	asked := 0
	r := newRig(t, dbname(t), func(_ *session.Params, d *session.Deps) {
		d.System.Clock = clock
		d.Pace = session.Pace{Asked: func(time.Time) time.Duration {
			if asked++; asked < 3 {
				return 0
			}
			return 30 * time.Minute
		}}
	})
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT denied")), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT 2")), "RowDescription 1", "DataRow 2", "CommandComplete SELECT 1", "ReadyForQuery I")
	r.client.send(q("SELECT 3"))
	over := <-clock.timers
	if n := r.judge.count(); n != 3 || r.received("SELECT 3") {
		t.Errorf("a statement went on before its time: %d were judged", n)
	}
	r.judge.set("SELECT 3")
	over <- time.Time{}
	wantLines(t, r.client.until(1), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
}
