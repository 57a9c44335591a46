package session_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

const tooLong = "ErrorResponse ERROR 54000 the statement is longer than the limit"

// TestOverlongStatements: a statement over the limit is refused, and recorded with the
// digest of its text, however much longer it is, and the session goes on.
func TestOverlongStatements(t *testing.T) {
	for name, length := range map[string]int{"just over": 1<<20 + 1, "held still": 1<<20 + 400<<10, "not held": 3 << 20, "as long as can be": 16<<20 - 100} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) { deps.Limits.PreparedText = 32 << 20 })
			text := "SELECT '" + strings.Repeat("x", length-9) + "'"
			sum := sha256.Sum256([]byte(text))
			wantLines(t, r.client.run(q(text)), tooLong, "ReadyForQuery I")
			wantLines(t, r.client.run(q("SELECT 1"), prep("named", text), bind("", "named"), exec(""), syn)[4:], tooLong, "ReadyForQuery I")
			wantLines(t, r.client.run(bind("", "named"), syn), "ErrorResponse ERROR 26000 *", "ReadyForQuery I")
			r.client.run(q("BEGIN"))
			wantLines(t, r.client.run(q(text)), tooLong, "ReadyForQuery E")
			refused := r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_REFUSED)
			if len(refused) != 3 {
				t.Fatalf("%d refusals recorded", len(refused))
			}
			for _, ev := range refused {
				if !bytes.Equal(ev.GetUnitSha256(), sum[:]) {
					t.Errorf("%v: the digest is of another text", ev.GetMessage())
				}
			}
			if r.received("xxx") {
				t.Error("the server was sent a part of it")
			}
		})
	}
}

// TestFault_F33_OverlongIsNotHeld: of messages that can only be refused nothing is held,
// whether their ends come or not: sessions with 15 MiB each on their way take no more
// memory than a buffer.
func TestFault_F33_OverlongIsNotHeld(t *testing.T) {
	const sessions, length, most = 8, 15 << 20, 256 << 10
	database := dbname(t)
	piece := bytes.Repeat([]byte("x"), 1<<20)
	var rigs []*rig
	for range sessions {
		r := newRig(t, database, unrecorded(t, database))
		r.client.run(q("SELECT 1"))
		rigs = append(rigs, r)
	}
	before := heap()
	for i, r := range rigs {
		typ := byte('Q')
		begin := 0
		if i%2 == 1 {
			typ, begin = 'P', 1
		}
		head := append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(length+4+begin)), make([]byte, begin)...) //nolint:gosec // G115: 15 MiB.
		for sent := 0; sent < length-len(piece); sent += len(piece) {
			if _, err := r.client.conn.Write(append(head, piece...)); err != nil {
				t.Fatal(err)
			}
			head = nil
		}
	}
	grown := (int64(heap()) - int64(before)) / sessions //nolint:gosec // G115: sizes of a heap.
	if grown > most {
		t.Errorf("%d bytes are held for each", grown)
	}
	t.Logf("%d bytes are held for each of %d sessions", grown, sessions)
	for i, r := range rigs {
		end := bytes.Clone(piece)
		if i%2 == 1 {
			copy(end[len(end)-3:], "\x00\x00\x00")
		} else {
			end[len(end)-1] = 0
		}
		if _, err := r.client.conn.Write(end); err != nil {
			t.Fatal(err)
		}
		var more []pgproto3.FrontendMessage
		if i%2 == 1 {
			more = append(more, syn)
		}
		r.client.send(more...)
		wantLines(t, r.client.until(1), tooLong, "ReadyForQuery I")
		wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	}
}
