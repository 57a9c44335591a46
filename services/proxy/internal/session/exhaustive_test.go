package session_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/pgtest"
)

// alphabet is every message of a sequence, allowed and denied. A denied text is
// one that does not parse on the direct connection.
func alphabet() []pgproto3.FrontendMessage {
	const denied = "SELECT denied"
	return []pgproto3.FrontendMessage{
		q("SELECT 1"), q(denied), prep("", "SELECT 2"), prep("", denied), prep("a", "SELECT 3"), prep("a", denied),
		bind("", ""), bind("", "a"), descS("a"), descP(""), exec(""), closeS("a"), closeP(""), flush, syn,
		q("COPY c FROM STDIN"), q("COPY (SELECT 4) TO STDOUT"), prep("", "COPY c FROM STDIN"),
		data("5\n"), done, fail, function(int4pl, "6", "7"), function(deniedFunction, "1", "x"),
	}
}

// deadly reports whether the server may end the session at a sequence: a message comes
// amid the data of a COPY that may not (CopyGetData). What comes of names is not looked
// at, so that it says so of some sequences that nothing comes of.
func deadly(seq []pgproto3.FrontendMessage) bool {
	reads, parsed := false, false
	for _, m := range seq {
		copies := false
		switch m := m.(type) {
		case *pgproto3.CopyDone, *pgproto3.CopyFail:
			reads = false
		case *pgproto3.CopyData, *pgproto3.Flush, *pgproto3.Sync:
		case *pgproto3.Query:
			copies = strings.HasSuffix(m.String, "FROM STDIN")
		case *pgproto3.Parse:
			parsed = parsed || strings.HasSuffix(m.Query, "FROM STDIN")
		case *pgproto3.Execute:
			copies = parsed
		}
		switch m.(type) {
		case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail, *pgproto3.Flush, *pgproto3.Sync:
		default:
			if reads {
				return true
			}
		}
		reads = reads || copies
	}
	return false
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
// A denied FunctionCall stands against a Query that does not parse. Nothing else has to
// be accounted for: a Query drops the unnamed statement, a Bind of nothing is 26000 and
// an Execute of nothing 34000 on both sides. Where a COPY is under way the sequence is
// ended by a CopyFail, which is ignored elsewhere. Sequences at which the server ends
// the session have a session each; of those only every twentieth is tried, all with
// SCOPEWIRE_NIGHTLY set. With SCOPEWIRE_SHARD=k/n it is every n-th sequence, from the
// k-th on: n runs, of which each takes its time, try all of them.
func TestSec_T14_EverySequence(t *testing.T) {
	length, every := 3, 20
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		length, every = 4, 1
	}
	database := pgtest.NewDatabaseOn(t, pgtest.Start(t), schema+"; CREATE TABLE c (v int)")
	plain := direct(t, database)
	r := newRig(t, database)
	type pending struct {
		sequence []pgproto3.FrontendMessage
		mark     string
	}
	const together = 64
	var batch []pending
	n, tried, lethal := 0, 0, 0
	first, of := shard(t)
	var alone [][]pgproto3.FrontendMessage
	run := func() {
		var atServer, atSession []pgproto3.FrontendMessage
		for _, p := range batch {
			tail := []pgproto3.FrontendMessage{fail, syn, closeS("a"), syn, q("SELECT '" + p.mark + "'")}
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
				want[i] = asDenied(l)
			}
			if diff := cmp.Diff(normalise(want), normalise(got)); diff != "" {
				t.Fatalf("%s\ndirect (-) and through the session (+):\n%s", spell(p.sequence), diff)
			}
		}
		batch = batch[:0]
	}
	sequences(length, func(seq []pgproto3.FrontendMessage) {
		if n++; n%of != first%of {
			return
		}
		tried++
		if deadly(seq) {
			if lethal++; lethal%every == 0 {
				alone = append(alone, seq)
			}
			return
		}
		batch = append(batch, pending{seq, fmt.Sprintf("mark-%d", n)})
		if len(batch) == together {
			run()
		}
	})
	run()
	apartAll(t, database, alone)
	if r.received("denied") {
		t.Error("the server was sent a denied text")
	}
	if len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)) < tried/4 {
		t.Error("too few denials for what was sent")
	}
	t.Logf("%d of %d sequences, %d of %d in sessions of their own", tried, n, len(alone), lethal)
}

// shard is which of how many parts of the sequences are tried.
func shard(t *testing.T) (k, n int) {
	t.Helper()
	text := os.Getenv("SCOPEWIRE_SHARD")
	if text == "" {
		return 1, 1
	}
	if _, err := fmt.Sscanf(text, "%d/%d", &k, &n); err != nil || k < 1 || k > n {
		t.Fatalf("SCOPEWIRE_SHARD is k/n, not %q", text)
	}
	return k, n
}

// apartAll runs sequences at which the server may end the session, some at a time: each
// opens connections, and closes them only at the end of its test.
func apartAll(t *testing.T, database string, alone [][]pgproto3.FrontendMessage) {
	t.Helper()
	t.Run("apart", func(t *testing.T) {
		for some := range slices.Chunk(alone, 50) {
			t.Run(fmt.Sprintf("%T", some[0][0]), func(t *testing.T) {
				t.Parallel()
				for _, seq := range some {
					apart(t, database, seq)
				}
			})
		}
	})
}

// apart runs a sequence at which the server may end the session.
func apart(t *testing.T, database string, seq []pgproto3.FrontendMessage) {
	t.Helper()
	script := []talk{say("DataRow mark", append(seq[:len(seq):len(seq)], fail, syn, q("SELECT 'mark'"))...)}
	plain, r := direct(t, database), newRig(t, database)
	want, got := plain.hold(unparsable(script)), r.client.hold(script)
	for i, l := range want {
		want[i] = asDenied(l)
	}
	if diff := cmp.Diff(normalise(want), normalise(got)); diff != "" {
		t.Fatalf("%s\ndirect (-) and through the session (+):\n%s", spell(seq), diff)
	}
	if r.received("denied") {
		t.Error("the server was sent a denied text")
	}
	_ = plain.conn.Close()
	_ = r.client.conn.Close()
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
