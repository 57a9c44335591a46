package session_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

// alphabet is every message of a sequence, allowed and denied. A denied text is
// one that does not parse on the direct connection.
func alphabet() []pgproto3.FrontendMessage {
	const denied = "SELECT denied"
	return []pgproto3.FrontendMessage{
		q("SELECT 1"), q(denied), prep("", "SELECT 2"), prep("", denied), prep("a", "SELECT 3"), prep("a", denied),
		bind("", ""), bind("", "a"), descS("a"), descP(""), exec(""), closeS("a"), closeP(""), flush, syn,
		&pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, &pgproto3.CopyFail{}, &pgproto3.FunctionCall{Function: 1299},
	}
}

// sequences calls f with every sequence of at most n messages.
func sequences(n int, f func([]pgproto3.FrontendMessage)) {
	letters := alphabet()
	var walk func([]pgproto3.FrontendMessage)
	walk = func(prefix []pgproto3.FrontendMessage) {
		if len(prefix) > 0 {
			f(prefix)
		}
		if len(prefix) == n {
			return
		}
		for _, m := range letters {
			walk(append(prefix[:len(prefix):len(prefix)], m))
		}
	}
	walk(nil)
}

// Every sequence of up to three messages (four with SCOPEWIRE_NIGHTLY set), each
// ended by Sync, answers through the session as the same sequence with a syntax
// error in place of the denied text answers at the server, but for the SQLSTATE;
// and the server is never sent a denied text. Between two sequences a query with
// a text of its own says where one ends, and the named statement is closed.
//
// COPY's messages outside of COPY are ignored on both sides; a FunctionCall, which
// is always denied, stands against a Query that does not parse.
// Nothing else has to be accounted for: a Query drops the unnamed statement, a
// Bind of nothing is 26000 and an Execute of nothing 34000 on both sides.
func TestSec_T14_EverySequence(t *testing.T) {
	length := 3
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		length = 4
	}
	database := dbname(t)
	plain := direct(t, database)
	r := newRig(t, database)
	type pending struct {
		sequence []pgproto3.FrontendMessage
		mark     string
	}
	const together = 64
	var batch []pending
	n := 0
	run := func() {
		var atServer, atSession []pgproto3.FrontendMessage
		for _, p := range batch {
			tail := []pgproto3.FrontendMessage{syn, closeS("a"), syn, q("SELECT '" + p.mark + "'")}
			atServer = append(append(atServer, broken(p.sequence)...), tail...)
			atSession = append(append(atSession, p.sequence...), tail...)
		}
		var sent sync.WaitGroup
		defer sent.Wait()
		sent.Go(func() { plain.send(atServer...) })
		sent.Go(func() { r.client.send(atSession...) })
		for _, p := range batch {
			want, got := plain.through(p.mark), r.client.through(p.mark)
			for i, l := range want {
				want[i] = strings.ReplaceAll(l, "ErrorResponse ERROR 42601", "ErrorResponse ERROR 42501")
			}
			if diff := cmp.Diff(normalise(want), normalise(got)); diff != "" {
				t.Fatalf("%s\ndirect (-) and through the session (+):\n%s", spell(p.sequence), diff)
			}
		}
		batch = batch[:0]
	}
	sequences(length, func(seq []pgproto3.FrontendMessage) {
		n++
		batch = append(batch, pending{seq, fmt.Sprintf("mark-%d", n)})
		if len(batch) == together {
			run()
		}
	})
	run()
	if r.received("denied") {
		t.Error("the server was sent a denied text")
	}
	if len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)) < n/4 {
		t.Error("too few denials for what was sent")
	}
	t.Logf("%d sequences", n)
}

// through reads up to the ReadyForQuery behind the row with the mark.
func (c *wireClient) through(mark string) []string {
	c.t.Helper()
	var lines []string
	seen := false
	for {
		line, ok := c.receive()
		if !ok {
			c.t.Fatalf("before %s: %v, then %s", mark, lines, line)
		}
		lines = append(lines, line)
		seen = seen || line == "DataRow "+mark
		if seen && strings.HasPrefix(line, "ReadyForQuery") {
			return lines
		}
	}
}

func spell(seq []pgproto3.FrontendMessage) string {
	var b strings.Builder
	for _, m := range seq {
		fmt.Fprintf(&b, "%T %+v; ", m, m)
	}
	return b.String()
}
