package session_test

import (
	"strings"
	"testing"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// The server keeps 63 bytes of a name. Two longer names that agree in them are
// one name there, and must not stand for two texts here: closing the one and
// making it anew once let a statement run under the decision, and in the audit
// record, of another.
func TestLongNamesAreTheServers(t *testing.T) {
	long := strings.Repeat("n", 63)
	r := newRig(t, dbname(t))
	wantLines(t, r.client.run(prep(long+"1", "SELECT 'first'"), syn), "ParseComplete", "ReadyForQuery I")
	wantLines(t, r.client.run(closeS(long+"2"), prep(long+"2", "SELECT 'second'"), syn), "CloseComplete", "ParseComplete", "ReadyForQuery I")
	wantLines(t, r.client.run(bind("", long+"1"), exec(""), syn), "BindComplete", "DataRow second", "CommandComplete SELECT 1", "ReadyForQuery I")
	// From now on the second text is denied: neither name may run it.
	r.judge.set("second")
	r.fence.Observe(&authzv1.Epoch{Policy: 2})
	for _, name := range []string{long, long + "1", long + "2"} {
		wantLines(t, r.client.run(bind("", name), exec(""), syn), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	}
	// Portals are named the same way.
	r2 := newRig(t, dbname(t))
	r2.client.run(q("BEGIN"))
	r2.client.run(prep("a", "SELECT 'first'"), prep("b", "SELECT 'second'"), bind(long+"1", "a"), syn)
	wantLines(t, r2.client.run(closeP(long+"2"), bind(long+"2", "b"), syn), "CloseComplete", "BindComplete", "ReadyForQuery T")
	r2.judge.set("second")
	r2.fence.Observe(&authzv1.Epoch{Policy: 2})
	wantLines(t, r2.client.run(exec(long+"1"), syn), "ErrorResponse ERROR 42501 *", "ReadyForQuery E")
}

// What follows a failed message before the next Sync is skipped by the server,
// also when it is sent after the error has come back.
func TestMessagesBehindAnErrorThatCameBack(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.send(prep("", "SELECT 1/0"), bind("", ""), exec(""), flush)
	var got []string
	for len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "ErrorResponse") {
		line, ok := r.client.receive()
		if !ok {
			t.Fatalf("%v, then %s", got, line)
		}
		got = append(got, line)
	}
	// The planner computes the constant: it is Bind that fails.
	wantLines(t, got, "ParseComplete", "ErrorResponse ERROR 22012 *")
	// A query and a denied statement among what is skipped change nothing.
	r.client.send(prep("x", "SELECT 1"), q("SELECT 2"), bind("", "x"), descS("x"), exec(""), prep("y", "SELECT denied"), syn)
	wantLines(t, r.client.until(1), "ReadyForQuery I")
	wantLines(t, r.client.run(bind("", "x"), syn), "ErrorResponse ERROR 26000 *", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT 3")), "RowDescription 1", "DataRow 3", "CommandComplete SELECT 1", "ReadyForQuery I")
}

// TestNamesOfSkippedStatements: a PREPARE that the server skips, because its pipeline has
// failed already, gives the name no other text.
func TestNamesOfSkippedStatements(t *testing.T) {
	r, judged := newEffects(t)
	c := r.client
	c.run(q("PREPARE x AS SELECT 'first'"))
	// The client has heard of the error before it sends the PREPARE.
	c.send(prep("", "SELECT 1/0"), bind("", ""), exec(""), flush)
	for line, ok := c.receive(); !strings.HasPrefix(line, "ErrorResponse"); line, ok = c.receive() {
		if !ok {
			t.Fatal(line)
		}
	}
	c.run(prep("", "PREPARE x AS SELECT 'second'"), bind("", ""), exec(""), syn)
	c.run(q("SELECT 'names'"))
	if text := string(judged.context("SELECT 'names'").GetPreparedStatements()["x"]); strings.Contains(text, "second") {
		t.Errorf("x stands for %q, at the server for 'first'", text)
	}
}
