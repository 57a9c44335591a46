package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// wantLines compares a transcript with lines that may end in an asterisk.
func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		if prefix, open := strings.CutSuffix(want[i], "*"); open {
			ok = strings.HasPrefix(got[i], prefix)
		} else {
			ok = got[i] == want[i]
		}
	}
	if !ok {
		t.Errorf("transcript (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// A denial's reference is the id of its event, and the client hears nothing else.
func TestDenialIsRecordedAndReferenced(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.send(q("SELECT denied"))
	m, err := r.client.f.Receive()
	if err != nil {
		t.Fatal(err)
	}
	e, ok := m.(*pgproto3.ErrorResponse)
	if !ok || e.Code != "42501" || e.Position != 0 || e.Hint != "" || e.Where != "" || e.File != "" {
		t.Fatalf("%#v", m)
	}
	events := r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	ref, err := id.FromBytes(events[0].GetEventId())
	if err != nil || e.Detail != "Reference: "+ref.String() {
		t.Errorf("detail %q, event %v (%v)", e.Detail, ref, err)
	}
}

// TestErrorIsWhole: what PostgreSQL would say of a statement reaches the client with its
// hint and detail.
func TestErrorIsWhole(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.send(q("SELECT missing()"))
	m, err := r.client.f.Receive()
	if err != nil {
		t.Fatal(err)
	}
	e, ok := m.(*pgproto3.ErrorResponse)
	if !ok || e.Code != "42883" || e.Position != 8 || e.Hint != "a hint" || e.Detail != "a detail" {
		t.Errorf("%#v", m)
	}
}

// In a failed transaction a denial, a refusal's kin and an undefined name are
// 25P02, and a syntax error is itself, as in PostgreSQL.
func TestFailedTransaction(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.run(q("BEGIN"))
	wantLines(t, r.client.run(q("SELECT 1/0")), "ErrorResponse ERROR 22012 division by zero", "ReadyForQuery E")
	wantLines(t, r.client.run(q("SELECT denied")), "ErrorResponse ERROR 25P02 *", "ReadyForQuery E")
	wantLines(t, r.client.run(q("SELECT * FROM undefined")), "ErrorResponse ERROR 25P02 *", "ReadyForQuery E")
	wantLines(t, r.client.run(q("SELEC 1")), `ErrorResponse ERROR 42601 syntax error at or near "SELEC"`, "ReadyForQuery E")
	wantLines(t, r.client.run(prep("", "SELECT denied"), syn), "ErrorResponse ERROR 25P02 *", "ReadyForQuery E")
	// The transaction ends inside the pipeline: from there on it is no longer failed.
	wantLines(t, r.client.run(prep("", "ROLLBACK"), bind("", ""), exec(""), prep("", "SELECT denied"), syn),
		"ParseComplete", "BindComplete", "CommandComplete ROLLBACK", "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
}

// A prepared statement is judged again when its decision no longer holds, at
// Bind, Describe and Execute alike.
func TestPreparedStatementIsJudgedAgain(t *testing.T) {
	for _, at := range []string{"bind", "describe", "execute", "portal describe"} {
		t.Run(at, func(t *testing.T) {
			r := newRig(t, dbname(t))
			wantLines(t, r.client.run(prep("s", "SELECT v FROM t WHERE id = 1"), syn), "ParseComplete", "ReadyForQuery I")
			r.client.run(q("BEGIN"))
			wantLines(t, r.client.run(bind("p", "s"), syn), "BindComplete", "ReadyForQuery T")
			asked := r.judge.count()
			wantLines(t, r.client.run(descS("s"), descP("p"), syn), "ParameterDescription []", "RowDescription 1", "RowDescription 1", "ReadyForQuery T")
			if n := r.judge.count(); n != asked {
				t.Errorf("judged again while the decision held: %d, then %d", asked, n)
			}
			// The policy moves, and the new one denies.
			r.judge.set("SELECT v")
			r.fence.Observe(&authzv1.Epoch{Policy: 2})
			msg := map[string]pgproto3.FrontendMessage{"bind": bind("", "s"), "describe": descS("s"), "execute": exec("p"), "portal describe": descP("p")}[at]
			wantLines(t, r.client.run(msg, exec("p"), syn), "ErrorResponse ERROR 42501 *", "ReadyForQuery E")
			if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)); n != 1 {
				t.Errorf("%d denials recorded", n)
			}
		})
	}
}

// A statement that never got a ParseComplete does not take a name over: the text
// behind the name stays the one the server has.
func TestDuplicateParseDoesNotRename(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.run(prep("s", "SELECT 'first'"), syn)
	wantLines(t, r.client.run(prep("s", "SELECT 'second'"), syn), "ErrorResponse ERROR 42P05 *", "ReadyForQuery I")
	// Now the first text is denied, the second is not: the name must be denied.
	r.judge.set("first")
	r.fence.Observe(&authzv1.Epoch{Policy: 2})
	wantLines(t, r.client.run(bind("", "s"), exec(""), syn), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	// The same with the duplicate and its use in flight at once.
	r2 := newRig(t, dbname(t))
	r2.client.run(prep("s", "SELECT 'first'"), syn)
	r2.judge.set("first")
	r2.fence.Observe(&authzv1.Epoch{Policy: 2})
	wantLines(t, r2.client.run(prep("s", "SELECT 'second'"), syn, bind("", "s"), exec(""), syn),
		"ErrorResponse ERROR 42P05 *", "ReadyForQuery I", "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
}

// What the server says goes out closed: no name, value or code of the database.
func TestServerErrorsAreClosed(t *testing.T) {
	r := newRig(t, dbname(t))
	for sql, want := range map[string]string{
		"INSERT INTO t VALUES (1, 'dup')":          "ErrorResponse ERROR 23505 unique violation",
		"SELECT 'secret-value'::int":               "ErrorResponse ERROR 22P02 invalid text representation",
		"SELECT * FROM nowhere":                    "ErrorResponse ERROR 42P01 undefined table",
		"DO $$BEGIN RAISE EXCEPTION 'leak'; END$$": "ErrorResponse ERROR P0001 raise exception",
	} {
		wantLines(t, r.client.run(q(sql)), want, "ReadyForQuery I")
	}
	wantLines(t, r.client.run(q("DO $$BEGIN RAISE NOTICE 'leak'; END$$")), "NoticeResponse NOTICE 00000 notice", "CommandComplete DO", "ReadyForQuery I")
	wantLines(t, r.client.run(q("COMMIT")), "NoticeResponse WARNING 25P01 no active sql transaction", "CommandComplete COMMIT", "ReadyForQuery I")
}

// A server that copies for what was judged as no COPY: the session ends instead of
// passing data on.
func TestUnexpectedServerMessageEndsTheSession(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.send(q("copy t TO STDOUT"))
	var lines []string
	for {
		line, ok := r.client.receive()
		if !ok {
			break
		}
		lines = append(lines, line)
	}
	wantLines(t, lines, "ErrorResponse FATAL 08006 *")
	if end := <-r.done; end != session.EndInternal {
		t.Errorf("ended %q", end)
	}
}

func TestSec_T15_UnknownAndMalformedMessagesEndTheSession(t *testing.T) {
	for name, raw := range map[string]string{
		"unknown type":        "y\x00\x00\x00\x04",
		"password after auth": "p\x00\x00\x00\x06a\x00",
		"length too small":    "Q\x00\x00\x00\x03",
		"NUL inside a query":  "Q\x00\x00\x00\x0fMARKED\x001;\x00\x00",
		"parse with a tail":   "P\x00\x00\x00\x11\x00MARKED 1\x00\x00\x00xx",
		"bad describe":        "D\x00\x00\x00\x06X\x00",
		"execute too short":   "E\x00\x00\x00\x06\x00\x00",
		"sync with a body":    "S\x00\x00\x00\x05x",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, dbname(t))
			if _, err := r.client.conn.Write([]byte(raw)); err != nil {
				t.Fatal(err)
			}
			line, _ := r.client.receive()
			if !strings.HasPrefix(line, "ErrorResponse FATAL 08P01") && !strings.HasPrefix(line, "ErrorResponse FATAL 54000") {
				t.Errorf("got %q", line)
			}
			end := <-r.done
			if end != session.EndProtocolViolation && end != session.EndLimit {
				t.Errorf("ended %q", end)
			}
			if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_PROTOCOL_VIOLATION)); n != 1 {
				t.Errorf("%d violations recorded", n)
			}
			if r.received("MARKED") {
				t.Error("the server was sent something")
			}
		})
	}
}

// Without a record there is no statement, and the session stays.
func TestFullSpoolRefuses(t *testing.T) {
	r := newRig(t, dbname(t))
	r.spool.fail(errors.New("disk full"))
	wantLines(t, r.client.run(q("SELECT v FROM t")), "ErrorResponse ERROR 53100 *", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT denied")), "ErrorResponse ERROR 53100 *", "ReadyForQuery I")
	wantLines(t, r.client.run(prep("", "SELECT v FROM t"), bind("", ""), exec(""), syn), "ParseComplete", "BindComplete", "ErrorResponse ERROR 53100 *", "ReadyForQuery I")
	if r.received("SELECT v FROM t\x00P") || r.received("Q\x00\x00\x00\x13SELECT v") {
		t.Error("an unrecorded query reached the server")
	}
	r.spool.fail(nil)
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
}

// What ends a transaction block is recorded from the spool's reserve; nothing else is.
func TestFault_F19_TransactionsEndWithAFullSpool(t *testing.T) {
	r := newRig(t, dbname(t))
	wantLines(t, r.client.run(q("BEGIN")), "CommandComplete BEGIN", "ReadyForQuery T")
	r.spool.fill()
	for _, sql := range []string{"SELECT v FROM t", "ROLLBACK TO s", "COMMIT", "ROLLBACK AND CHAIN", "ROLLBACK; SELECT 1"} {
		wantLines(t, r.client.run(q(sql)), "ErrorResponse ERROR 53100 *", "ReadyForQuery E")
		wantLines(t, r.client.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
		wantLines(t, r.client.run(q("ROLLBACK")), "ErrorResponse ERROR 53100 *", "ReadyForQuery I")
		r.spool.fail(nil)
		wantLines(t, r.client.run(q("BEGIN")), "CommandComplete BEGIN", "ReadyForQuery T")
		r.spool.fill()
	}
	wantLines(t, r.client.run(prep("", "ROLLBACK"), bind("", ""), exec(""), syn),
		"ParseComplete", "BindComplete", "CommandComplete ROLLBACK", "ReadyForQuery I")
}

// An intent is in the spool before the server has the statement.
func TestIntentBeforeForward(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.run(q("INSERT INTO t VALUES (20, 'x')"))
	r.client.run(prep("s", "SELECT 1"), bind("", "s"), exec(""), exec(""), syn)
	events := r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT)
	var kinds []auditv1.MessageKind
	for _, ev := range events {
		kinds = append(kinds, ev.GetMessage())
		if len(ev.GetStatementId()) != 16 || len(ev.GetUnitSha256()) != 32 {
			t.Errorf("event without identity: %v", ev)
		}
	}
	want := []auditv1.MessageKind{auditv1.MessageKind_MESSAGE_KIND_QUERY, auditv1.MessageKind_MESSAGE_KIND_EXECUTE, auditv1.MessageKind_MESSAGE_KIND_EXECUTE}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}

func TestCancel(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.send(q("SELECT pg_sleep(30)"))
	// The statement has reached the server once its intent is recorded and a
	// cancel has an effect; cancels that come too early have none.
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				r.session.Cancel()
			}
		}
	}()
	got := r.client.until(1)
	close(stop)
	wantLines(t, got, "RowDescription 1", "ErrorResponse ERROR 57014 *", "ReadyForQuery I")
}

// Statements that were sent before Terminate are carried out.
func TestTerminateIsNotACancel(t *testing.T) {
	db := dbname(t)
	r := newRig(t, db)
	r.client.send(q("INSERT INTO t VALUES (30, 'x')"), &pgproto3.Terminate{})
	if err := r.client.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if end := <-r.done; end != session.EndClosed {
		t.Errorf("ended %q", end)
	}
	wantLines(t, direct(t, db).run(q("SELECT count(*) FROM t WHERE id = 30")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
}

// Cutting what the client sends at every byte changes nothing.
func TestSplitWrites(t *testing.T) {
	r := newRig(t, dbname(t))
	var raw []byte
	msgs := []pgproto3.FrontendMessage{q("SELECT 1"), q("SELECT denied"), prep("a", "SELECT $1::int"), descS("a"), closeS("a"), syn,
		prep("", "SELECT denied"), bind("", ""), exec(""), syn, prep("", "SELECT v FROM t WHERE id=2"), bind("", ""), exec(""), syn}
	for _, m := range msgs {
		var err error
		if raw, err = m.Encode(raw); err != nil {
			t.Fatal(err)
		}
	}
	want := r.client.run(msgs...)
	for i := range raw {
		for _, part := range [][]byte{raw[:i], raw[i:]} {
			if _, err := r.client.conn.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, r.client.until(5)); diff != "" {
			t.Fatalf("cut at %d: %s", i, diff)
		}
	}
}

// A first message is answered although only a part of the second has come.
func TestPartialMessageHoldsNothingBack(t *testing.T) {
	r := newRig(t, dbname(t))
	first, err := q("SELECT 1").Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := q("SELECT 2").Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.conn.Write(append(first, second[:3]...)); err != nil {
		t.Fatal(err)
	}
	wantLines(t, r.client.until(1), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	if _, err := r.client.conn.Write(second[3:]); err != nil {
		t.Fatal(err)
	}
	wantLines(t, r.client.until(1), "RowDescription 1", "DataRow 2", "CommandComplete SELECT 1", "ReadyForQuery I")
}

func TestLargeResult(t *testing.T) {
	r := newRig(t, dbname(t))
	got := r.client.run(q("SELECT repeat('x', 3000000) FROM generate_series(1, 5)"))
	if len(got) != 8 || len(got[1]) != len("DataRow ")+3000000 {
		t.Errorf("%d messages", len(got))
	}
}

// TestSec_T19_PreparedStatements: names and their texts have a limit together, whether
// messages or SQL make them.
func TestSec_T19_PreparedStatements(t *testing.T) {
	r := newRig(t, dbname(t))
	var got []string
	for i := range 101 {
		got = r.client.run(prep(fmt.Sprintf("s%d", i), "SELECT 1"), syn)
	}
	wantLines(t, got, "ErrorResponse ERROR 53000 *", "ReadyForQuery I")
	r.client.run(closeS("s5"), syn)
	wantLines(t, r.client.run(prep("again", "SELECT 1"), syn), "ParseComplete", "ReadyForQuery I")
	// What SQL makes counts as well, and makes room when it goes.
	named, _ := newNamer(t)
	for i := range 100 {
		named.client.run(q(fmt.Sprintf("PREPARE s%d AS SELECT 'tag 1'", i)))
	}
	wantLines(t, named.client.run(q("PREPARE more AS SELECT 'tag 1'")), "ErrorResponse ERROR 53000 *", "ReadyForQuery I")
	wantLines(t, named.client.run(prep("more", "SELECT 1"), syn), "ErrorResponse ERROR 53000 *", "ReadyForQuery I")
	named.client.run(q("DEALLOCATE s1"))
	wantLines(t, named.client.run(prep("more", "SELECT 1"), syn), "ParseComplete", "ReadyForQuery I")
	wantLines(t, r.client.run(closeS("s6"), prep("long", "SELECT 1 -- "+strings.Repeat("x", 1<<20-100)), syn), "CloseComplete", "ErrorResponse ERROR 53000 *", "ReadyForQuery I")
}

// TestSec_T19_LongNames: of a name no more is kept than the server keeps, and one as long
// as its message can be denied as any other.
func TestSec_T19_LongNames(t *testing.T) {
	database := dbname(t)
	r := newRig(t, database, unrecorded(t, database))
	long := strings.Repeat("n", 8<<20)
	r.client.run(prep("first", "SELECT 1"), syn)
	before := heap()
	for i := range 20 {
		wantLines(t, r.client.run(prep(fmt.Sprintf("%d %s", i, long), "SELECT 1"), syn), "ParseComplete", "ReadyForQuery I")
	}
	if grown := int64(heap()) - int64(before); grown > 4<<20 { //nolint:gosec // G115: sizes of a heap.
		t.Errorf("%d bytes are held for 20 names", grown)
	}
	huge := strings.Repeat("n", 16<<20-40)
	wantLines(t, r.client.run(prep(huge, "SELECT denied"), syn), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	wantLines(t, r.client.run(prep("p", "SELECT 1"), bind("", "p"), exec(""), syn), "ParseComplete", "BindComplete", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
}

func TestLongAndInvalidText(t *testing.T) {
	r := newRig(t, dbname(t))
	wantLines(t, r.client.run(q("SELECT '"+strings.Repeat("x", 1<<20)+"'")), "ErrorResponse ERROR 54000 *", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT '\xff'")), "ErrorResponse ERROR 22021 *", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT refused")), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
	if n := r.judge.count(); n != 1 {
		t.Errorf("%d texts were judged", n)
	}
}

var _ decide.Authorizer = (*judge)(nil)
