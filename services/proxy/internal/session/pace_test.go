package session_test

import (
	"testing"
	"time"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
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

// What authz is asked for counts, allowed or not.
func TestMissesAreSlowedDown(t *testing.T) {
	count, over := slow()
	r := newRig(t, dbname(t), func(_ *session.Params, d *session.Deps) { d.Pace = session.Pace{Asked: count} })
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT denied")), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	r.client.send(q("SELECT 2"))
	<-over
	if r.received("SELECT 2") {
		t.Error("a statement went on before its time")
	}
}
