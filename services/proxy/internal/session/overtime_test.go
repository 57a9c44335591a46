package session_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// statementTime is what statements of these tests may take, on a clock that the test
// moves.
const statementTime = 30 * time.Second

const overTime = "ErrorResponse ERROR 57014 canceling statement due to statement timeout"

// hasty lets every unit run for no longer than it says.
type hasty struct {
	decide.Authorizer
	longest time.Duration
}

func (h *hasty) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := h.Authorizer.Authorize(ctx, req)
	if err == nil {
		d.Longest = h.longest
	}
	return d, err
}

// newTimedRig is a session whose statements may take so long by its configuration, and so
// long by their decisions; 0 is without end.
func newTimedRig(t *testing.T, database string, limit, longest time.Duration, options ...option) (*rig, *manual) {
	t.Helper()
	clock := newManual()
	r := newRig(t, database, append(options, func(p *session.Params, deps *session.Deps) {
		deps.System.Clock, deps.Limits.StatementTime = clock, limit
		p.Expires = clock.Now().Add(100_000 * time.Hour)
		if j, ok := deps.Authorizer.(*judge); ok {
			j.clock = clock
		}
		deps.Authorizer = &hasty{deps.Authorizer, longest}
		deps.Fence = decide.NewFence(clock, time.Hour)
		deps.Fence.Observe(&authzv1.Epoch{Policy: 1})
	})...)
	return r, clock
}

// checkOverTime: one cancel is recorded, for a statement that was forwarded.
func (r *rig) checkOverTime() {
	r.t.Helper()
	cancels := r.spool.of(auditv1.EventType_EVENT_TYPE_CANCEL)
	if len(cancels) != 1 {
		r.t.Fatalf("%d cancels recorded", len(cancels))
	}
	ev := cancels[0]
	if ev.GetReason() != authzv1.Reason_REASON_LIMIT || ev.GetSqlstate() != "57014" {
		r.t.Errorf("recorded: %v", ev)
	}
	for _, intent := range r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT) {
		if bytes.Equal(ev.GetFollows(), intent.GetEventId()) && bytes.Equal(ev.GetStatementId(), intent.GetStatementId()) {
			return
		}
	}
	r.t.Errorf("follows no intent: %v", ev)
}

// TestFault_F27_StatementTime: whatever the server is about when a statement's time is
// over, it stops, the client hears what PostgreSQL says of its own statement_timeout, and
// the session goes on.
func TestFault_F27_StatementTime(t *testing.T) {
	extended := func(sql string, more ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage {
		return append([]pgproto3.FrontendMessage{prep("", sql), bind("", ""), exec("")}, more...)
	}
	ends := func(status string) []string { return []string{overTime, "ReadyForQuery " + status} }
	for name, c := range map[string]struct {
		begin func(*rig)
		after func(*rig) []string
		want  []string
	}{
		"a Query": {func(r *rig) { r.running(q(work)) }, func(r *rig) []string { return r.client.until(1) }, ends("I")},
		"a Query in a transaction": {func(r *rig) { r.client.run(q("BEGIN")); r.running(q(work)) },
			func(r *rig) []string { return r.client.until(1) }, ends("E")},
		"the second of a Query": {func(r *rig) { r.running(q("DELETE FROM t; " + work)) },
			func(r *rig) []string { return r.client.until(1) }, ends("I")},
		"an Execute": {func(r *rig) { r.running(extended(work, syn)...) }, func(r *rig) []string { return r.client.until(1) }, ends("I")},
		"an Execute and a Flush": {func(r *rig) { r.running(extended(work, flush)...) },
			func(r *rig) []string { return r.client.run(syn) }, ends("I")},
		"COPY FROM STDIN without data": {func(r *rig) { r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))}) },
			func(r *rig) []string { return r.client.until(1) }, ends("I")},
		"COPY FROM STDIN, extended, amid data": {func(r *rig) {
			r.client.hold([]talk{say(in, extended("COPY t FROM STDIN")...)})
			r.client.send(data("100\tx\n"))
		}, func(r *rig) []string {
			return r.client.hold([]talk{say(failed), say(ready, data("101\ty\n"), done, syn)})
		}, ends("I")},
		"COPY TO STDOUT": {func(r *rig) {
			r.client.hold([]talk{say("CopyData", q("COPY (SELECT generate_series(1, 1000000000)) TO STDOUT"))})
		}, func(r *rig) []string { return r.untilNoData() }, ends("I")},
	} {
		for limited, by := range map[string][2]time.Duration{
			"by the configuration": {statementTime, 0}, "by the decision": {0, statementTime}, "by the shorter of both": {time.Hour, statementTime},
		} {
			if by[1] != 0 && name != "a Query" {
				continue
			}
			t.Run(name+"/"+limited, func(t *testing.T) {
				database := dbname(t)
				r, clock := newTimedRig(t, database, by[0], by[1])
				c.begin(r)
				clock.Advance(statementTime)
				wantLines(t, c.after(r), c.want...)
				r.checkOverTime()
				r.client.run(q("ROLLBACK"))
				wantLines(t, r.client.run(q("SELECT count(*) FROM t")), "RowDescription 1", "DataRow 2", "CommandComplete SELECT 1", "ReadyForQuery I")
			})
		}
	}
}

// TestFault_F27_WaitingForALock: what waits for another's lock is over its time as well,
// the proxy's own question included that a message had to wait for.
func TestFault_F27_WaitingForALock(t *testing.T) {
	database := dbname(t)
	other := direct(t, database)
	other.run(q("BEGIN"), q("LOCK TABLE t"))
	r, clock := newTimedRig(t, database, statementTime, 0)
	r.client.send(q("SELECT v FROM t"))
	for waits := "f"; waits != "t"; {
		waits = rows(other.run(q("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")))
	}
	clock.Advance(statementTime)
	wantLines(t, r.client.until(1), overTime, "ReadyForQuery I")
	r.checkOverTime()
}

// TestFault_F27_NothingToStop: time in which the server is not asked for anything counts
// for nothing: a transaction, an open portal, and a pipeline whose answers nobody has
// asked for are there as before, and nothing was cancelled.
func TestFault_F27_NothingToStop(t *testing.T) {
	r, clock := newTimedRig(t, dbname(t), statementTime, 0)
	clock.Advance(time.Minute)
	r.client.run(q("BEGIN"), prep("", "SELECT generate_series(1, 9)"), bind("open", ""), &pgproto3.Execute{Portal: "open", MaxRows: 1}, syn)
	clock.Advance(time.Minute)
	wantLines(t, r.client.run(&pgproto3.Execute{Portal: "open", MaxRows: 1}, syn), "DataRow 2", "PortalSuspended", "ReadyForQuery T")
	r.client.run(q("COMMIT"))
	r.client.send(prep("", "SELECT 7"), bind("", ""), exec(""))
	for looks := time.NewTicker(5 * time.Millisecond); !r.received("SELECT 7"); <-looks.C {
		defer looks.Stop()
	}
	clock.Advance(statementTime)
	wantLines(t, r.client.hold([]talk{say("CommandComplete"), say(ready, syn)}), "ParseComplete", "BindComplete", "DataRow 7", "CommandComplete SELECT 1", "ReadyForQuery I")
	if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_CANCEL)); n != 0 {
		t.Errorf("%d cancels", n)
	}
}

// advance moves the clock step by step until something has come about.
func advance[T any](t *testing.T, clock *manual, step time.Duration, came <-chan T) T {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; {
		select {
		case v := <-came:
			return v
		case <-tick.C:
			clock.Advance(step)
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing has come about")
		}
	}
}

// TestFault_F27_NobodyAsked: what runs and nobody has asked the server about is stopped as
// well, once it has been asked.
func TestFault_F27_NobodyAsked(t *testing.T) {
	server := &counting{cancelled: make(chan struct{}, 1000)}
	r, clock := newTimedRig(t, dbname(t), statementTime, 0, func(p *session.Params, _ *session.Deps) {
		server.Backend = p.Server
		p.Server = server
	})
	r.running(prep("", work), bind("", ""), exec(""))
	clock.Advance(statementTime)
	advance(t, clock, 50*time.Millisecond, server.cancelled)
	wantLines(t, r.client.hold([]talk{say(failed), say(ready, syn)}), overTime, "ReadyForQuery I")
	r.checkOverTime()
}

// TestFault_F27_HungOverTime: a server that goes on with what was cancelled is given up:
// the client is told, and the session ends.
func TestFault_F27_HungOverTime(t *testing.T) {
	server := &hung{sent: make(chan struct{}, 1), cancelled: make(chan struct{}, 100)}
	r, clock := newTimedRig(t, dbname(t), statementTime, 0, func(p *session.Params, _ *session.Deps) {
		server.Backend = p.Server
		p.Server = server
	})
	r.client.send(q("SELECT 1"))
	<-server.sent
	if end := advance(t, clock, time.Second, r.done); end != session.EndBackendHung {
		t.Errorf("ended %q", end)
	}
	wantLines(t, r.client.hold([]talk{say(gone)}), "ErrorResponse FATAL 08006 *", "END")
	if len(server.cancelled) == 0 {
		t.Error("nothing was said to the server")
	}
	r.checkOverTime()
}

// counting counts cancels.
type counting struct {
	session.Backend
	cancelled chan struct{}
}

func (c *counting) Cancel(ctx context.Context) error {
	err := c.Backend.Cancel(ctx)
	c.cancelled <- struct{}{}
	return err
}

// TestFault_F27_SlowReaderIsNotHung: a server that cannot write, because the client does
// not read, hears no cancel. It is not given up for that; once the client reads on, the
// result breaks off with the error, and the session goes on.
func TestFault_F27_SlowReaderIsNotHung(t *testing.T) {
	database := dbname(t)
	slow := &gated{left: 1 << 20, reached: make(chan struct{}, 1), gate: make(chan struct{})}
	server := &counting{cancelled: make(chan struct{}, 1000)}
	r, clock := newTimedRig(t, database, statementTime, 0, unrecorded(t, database), func(p *session.Params, _ *session.Deps) {
		slow.Conn, server.Backend = p.Client, p.Server
		p.Client, p.Server = slow, server
	})
	r.client.send(q("SELECT repeat('x', 1024) FROM generate_series(1, 1000000)"))
	rest := make(chan []string)
	go func() {
		var lines []string
		for {
			line, ok := r.client.receive()
			if !strings.HasPrefix(line, "DataRow") {
				lines = append(lines, line)
			}
			if !ok || strings.HasPrefix(line, "ReadyForQuery") {
				rest <- lines
				return
			}
		}
	}()
	<-slow.reached
	// More looks than a hung server would get.
	for range 40 {
		advance(t, clock, time.Second, server.cancelled)
	}
	close(slow.gate)
	wantLines(t, <-rest, "RowDescription 1", overTime, "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
}

// TestFault_F27_NextStatementIsNotHit: a client that waits for its answers never has its
// next statement stopped by a cancel that was meant for the one before, however close to
// its end that was over its time.
func TestFault_F27_NextStatementIsNotHit(t *testing.T) {
	const limit = 10 * time.Millisecond
	r, clock := newTimedRig(t, dbname(t), limit, 0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(200 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				clock.Advance(limit)
			}
		}
	}()
	over := 0
	for range 300 {
		got := r.client.run(q("SELECT 1 FROM pg_sleep(0.0005)"))
		switch got[max(0, len(got)-2)] {
		case "CommandComplete SELECT 1":
		case overTime:
			over++
		default:
			t.Errorf("%q", got)
		}
	}
	close(stop)
	<-stopped
	if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_CANCEL)); over > n {
		t.Errorf("%d statements were stopped, %d for their time", over, n)
	}
	t.Logf("%d of 300 statements were over their time", over)
}
