package session_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// outcomes are the outcomes in the order of their intents, a line each. Every intent has
// exactly one, of its own statement.
func (r *rig) outcomes(t *testing.T) (lines []string) {
	t.Helper()
	ends := map[string]*auditv1.Event{}
	for _, ev := range r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_FINISHED) {
		if ends[string(ev.GetFollows())] != nil {
			t.Errorf("a second outcome: %v", ev)
		}
		ends[string(ev.GetFollows())] = ev
	}
	intents := r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT)
	if len(ends) != len(intents) {
		t.Errorf("%d intents and %d outcomes", len(intents), len(ends))
	}
	if room := r.spool.kept.Load(); room != 0 {
		t.Errorf("room for %d outcomes is kept beyond them", room)
	}
	for _, in := range intents {
		ev := ends[string(in.GetEventId())]
		if ev == nil {
			t.Fatalf("no outcome of %v", in)
		}
		if string(ev.GetStatementId()) != string(in.GetStatementId()) || ev.GetTransaction() != in.GetTransaction() || string(ev.GetSessionId()) != string(in.GetSessionId()) {
			t.Errorf("the outcome is of another statement: %v, %v", in, ev)
		}
		o := ev.GetOutcome()
		if d := o.GetDuration().AsDuration(); d <= 0 || d.Hours() > 1 || ev.GetSqlstate() != o.GetSqlstate() {
			t.Errorf("odd outcome %v", ev)
		}
		lines = append(lines, fmt.Sprintf("%s %q %q rows %d commands %d", o.GetKind().String()[len("OUTCOME_KIND_"):], o.GetCommandTag(), o.GetSqlstate(), o.GetRows(), o.GetCommands()))
	}
	return lines
}

// An outcome is on record when the client hears of it, and says what the server said.
func TestOutcomes(t *testing.T) {
	database := dbname(t)
	for name, tt := range map[string]struct {
		send []pgproto3.FrontendMessage
		want []string
	}{
		"rows":     {[]pgproto3.FrontendMessage{q("SELECT id FROM t ORDER BY id LIMIT 2")}, []string{`COMPLETED "SELECT 2" "" rows 2 commands 1`}},
		"several":  {[]pgproto3.FrontendMessage{q("SELECT 1; UPDATE t SET v = v WHERE id = 1")}, []string{`COMPLETED "UPDATE 1" "" rows 1 commands 2`}},
		"nothing":  {[]pgproto3.FrontendMessage{q("")}, []string{`COMPLETED "" "" rows 0 commands 0`}},
		"error":    {[]pgproto3.FrontendMessage{q("SELECT 1; SELECT 1/0")}, []string{`FAILED "SELECT 1" "22012" rows 1 commands 1`}},
		"function": {[]pgproto3.FrontendMessage{&pgproto3.FunctionCall{Function: 1598}}, []string{`COMPLETED "" "" rows 0 commands 0`}},
		"denied":   {[]pgproto3.FrontendMessage{q("SELECT denied")}, nil},
		"copy": {[]pgproto3.FrontendMessage{q("COPY (SELECT generate_series(1, 3)) TO STDOUT")},
			[]string{`COMPLETED "COPY 3" "" rows 0 commands 1`}},
		"suspended": {[]pgproto3.FrontendMessage{prep("", "SELECT generate_series(1, 3)"), bind("", ""), &pgproto3.Execute{MaxRows: 2}, &pgproto3.Execute{MaxRows: 2}, &pgproto3.Sync{}},
			[]string{`SUSPENDED "" "" rows 2 commands 0`, `COMPLETED "SELECT 1" "" rows 1 commands 1`}},
		"skipped": {[]pgproto3.FrontendMessage{prep("", "SELECT 1/(id-1) FROM t ORDER BY id"), bind("", ""), exec(""), exec(""), &pgproto3.Sync{}, q("SELECT 1")},
			[]string{`FAILED "" "22012" rows 0 commands 0`, `SKIPPED "" "" rows 0 commands 0`, `COMPLETED "SELECT 1" "" rows 1 commands 1`}},
		"rolled back": {[]pgproto3.FrontendMessage{q("BEGIN"), q("SELECT 1/0"), q("SELECT 1"), q("ROLLBACK")},
			[]string{`COMPLETED "BEGIN" "" rows 0 commands 1`, `FAILED "" "22012" rows 0 commands 0`, `FAILED "" "25P02" rows 0 commands 0`, `COMPLETED "ROLLBACK" "" rows 0 commands 1`}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, database)
			r.client.run(tt.send...)
			if diff := cmp.Diff(tt.want, r.outcomes(t)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

// What the server had not answered when the session ended is unknown: it may have been
// done.
func TestOutcomesOfSessionsThatEnd(t *testing.T) {
	database := dbname(t)
	for name, tt := range map[string]struct {
		text string
		end  func(r *rig)
		want string
	}{
		"client gone": {"SELECT pg_sleep(60)", func(r *rig) { _ = r.client.conn.Close() }, `UNKNOWN "" "" rows 0 commands 0`},
		"server gone": {"SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)", func(*rig) {}, `UNKNOWN "" "57P01" rows 0 commands 0`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, database)
			r.client.send(q(tt.text))
			for !r.received(tt.text) {
				if t.Context().Err() != nil {
					t.Fatal("the server was never sent the statement")
				}
			}
			tt.end(r)
			<-r.done
			if diff := cmp.Diff([]string{tt.want}, r.outcomes(t)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

// A statement whose outcome cannot be recorded is answered all the same: it has happened.
func TestOutcomeNotRecorded(t *testing.T) {
	var full *lateSpool
	r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
		full = &lateSpool{memory: deps.Spool.(*memory)} //nolint:forcetypeassert // The rig's own.
		deps.Spool = full
	})
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT)); n != 1 || full.refused != 1 {
		t.Errorf("%d intents, %d outcomes refused", n, full.refused)
	}
}

// lateSpool takes no outcomes.
type lateSpool struct {
	*memory
	refused int
}

func (s *lateSpool) AppendAfter(*auditv1.Event, int64) error {
	s.refused++
	return errors.New("no room")
}
