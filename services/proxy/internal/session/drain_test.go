package session_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

const stops = "ErrorResponse FATAL 57P01 terminating connection due to administrator command"

// TestFault_F29_SessionsComeToTheirEnds: a session that is to end goes on with what it is
// about, and ends once it is idle: behind the answer to what was sent, never in front of
// it.
func TestFault_F29_SessionsComeToTheirEnds(t *testing.T) {
	work := []pgproto3.FrontendMessage{prep("", "INSERT INTO t VALUES (9, 'kept')"), bind("", ""), exec("")}
	for name, c := range map[string]struct {
		begin, finish func(*rig)
		rows          string
	}{
		"idle": {func(*rig) {}, nil, "2"},
		"in a transaction": {func(r *rig) { r.client.run(q("BEGIN"), q("INSERT INTO t VALUES (9, 'kept')")) },
			func(r *rig) { wantLines(r.t, r.client.run(q("COMMIT")), "CommandComplete COMMIT", "ReadyForQuery I") }, "3"},
		"in a failed one": {func(r *rig) { r.client.run(q("BEGIN"), q("SELECT denied")) },
			func(r *rig) {
				wantLines(r.t, r.client.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
			}, "2"},
		"in a pipeline": {func(r *rig) { r.client.hold([]talk{say("CommandComplete", append(work, flush)...)}) },
			func(r *rig) { wantLines(r.t, r.client.run(syn), "ReadyForQuery I") }, "3"},
		"in a pipeline that nobody has asked about": {func(r *rig) {
			r.client.send(work...)
			for tick := time.NewTicker(5 * time.Millisecond); !r.received("kept"); <-tick.C {
				defer tick.Stop()
			}
		}, func(r *rig) {
			wantLines(r.t, r.client.run(syn), "ParseComplete", "BindComplete", "CommandComplete INSERT 0 1", "ReadyForQuery I")
		}, "3"},
		"in a COPY": {func(r *rig) { r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))}) },
			func(r *rig) {
				wantLines(r.t, r.client.hold([]talk{say(ready, data("9\tkept\n"), done)}), "CommandComplete COPY 1", "ReadyForQuery I")
			}, "3"},
	} {
		t.Run(name, func(t *testing.T) {
			database := dbname(t)
			r, clock := newTimedRig(t, database, 0, 0)
			c.begin(r)
			r.session.Drain()
			if c.finish != nil {
				// Long past the time in which sessions are let work on.
				for range 40 {
					clock.Advance(time.Second)
				}
				c.finish(r)
			}
			if end := advance(t, clock, 100*time.Millisecond, r.done); end != session.EndShutdown {
				t.Errorf("ended %q", end)
			}
			wantLines(t, r.client.hold([]talk{say(gone)}), stops, "END")
			wantLines(t, direct(t, database).run(q("SELECT count(*) FROM t"))[1:2], "DataRow "+c.rows)
		})
	}
}

// TestFault_F29_BusySessions: a client that works without a pause is let go on for a
// while, and ended between two of its transactions; each that it began is committed, and
// answered.
func TestFault_F29_BusySessions(t *testing.T) {
	database := dbname(t)
	r, clock := newTimedRig(t, database, 0, 0)
	committed := 0
	worked := make(chan string)
	begun := make(chan struct{}, 1)
	go func() {
		for {
			for _, text := range []string{"BEGIN", "INSERT INTO t SELECT max(id) + 1, 'busy' FROM t", "COMMIT"} {
				r.client.f.Send(&pgproto3.Query{String: text})
				_ = r.client.f.Flush()
				line := ""
				for !strings.HasPrefix(line, ready) {
					var ok bool
					if line, ok = r.client.receive(); !ok || strings.HasPrefix(line, failed) {
						worked <- text + ": " + line
						return
					}
				}
			}
			committed++
			select {
			case begun <- struct{}{}:
			default:
			}
		}
	}()
	<-begun
	r.session.Drain()
	<-begun
	if end := advance(t, clock, 20*time.Millisecond, r.done); end != session.EndShutdown {
		t.Errorf("ended %q", end)
	}
	if got := <-worked; got != "BEGIN: "+stops {
		t.Errorf("ended at %q", got)
	}
	wantLines(t, direct(t, database).run(q("SELECT count(*) - 2 = " + strconv.Itoa(committed) + " FROM t"))[1:2], "DataRow t")
}

// TestFault_F29_AmidAMessage: a client that has sent a part of a message is waited for.
func TestFault_F29_AmidAMessage(t *testing.T) {
	database := dbname(t)
	r, clock := newTimedRig(t, database, 0, 0)
	r.client.run(q("SELECT 1"))
	message, err := (&pgproto3.Query{String: "INSERT INTO t VALUES (9, 'kept')"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	// The first part comes with a message before it, so that it is at hand once that is answered.
	first, err := (&pgproto3.Query{String: "SELECT 2"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.conn.Write(append(first, message[:10]...)); err != nil {
		t.Fatal(err)
	}
	r.client.until(1)
	r.session.Drain()
	for range 40 {
		clock.Advance(time.Second)
	}
	if _, err := r.client.conn.Write(message[10:]); err != nil {
		t.Fatal(err)
	}
	wantLines(t, r.client.until(1), "CommandComplete INSERT 0 1", "ReadyForQuery I")
	if end := advance(t, clock, 100*time.Millisecond, r.done); end != session.EndShutdown {
		t.Errorf("ended %q", end)
	}
}
