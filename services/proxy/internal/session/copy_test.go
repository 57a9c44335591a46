package session_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

func data(s string) pgproto3.FrontendMessage { return &pgproto3.CopyData{Data: []byte(s)} }

var (
	done pgproto3.FrontendMessage = &pgproto3.CopyDone{}
	fail pgproto3.FrontendMessage = &pgproto3.CopyFail{Message: "given up"}
	bye  pgproto3.FrontendMessage = &pgproto3.Terminate{}
)

// talk is a part of a script: what is sent at once, and the beginning of the line up to
// which answers are read then. The end of the connection ends every part.
type talk struct {
	send  []pgproto3.FrontendMessage
	until string
}

func say(until string, msgs ...pgproto3.FrontendMessage) talk { return talk{msgs, until} }

func (c *wireClient) hold(script []talk) []string {
	c.t.Helper()
	var lines []string
	for _, part := range script {
		for _, m := range part.send {
			c.f.Send(m)
		}
		if err := c.f.Flush(); err != nil {
			return append(lines, "END")
		}
		for {
			line, ok := c.receive()
			if !ok {
				return append(lines, "END")
			}
			lines = append(lines, line)
			if strings.HasPrefix(line, part.until) {
				break
			}
		}
	}
	return lines
}

const (
	in     = "CopyInResponse"
	failed = "ErrorResponse"
	ready  = "ReadyForQuery"
	gone   = "nothing more"
)

// copyScripts are COPY in all its courses.
func copyScripts() map[string][]talk {
	const from, to = "COPY t FROM STDIN", "COPY (SELECT v FROM t WHERE id < 3 ORDER BY id) TO STDOUT"
	count := say(ready, q("SELECT count(*) FROM t"))
	start := func(sql string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{prep("", sql), bind("", ""), exec("")}
	}
	extended := func(sql string, more ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage {
		return append(start(sql), more...)
	}
	return map[string][]talk{
		"out":                             {say(ready, q(to)), count},
		"out, csv":                        {say(ready, q("COPY t TO STDOUT CSV HEADER"))},
		"out, binary":                     {say(ready, q("COPY (SELECT 1) TO STDOUT (FORMAT binary)"))},
		"out, extended":                   {say(ready, extended(to, syn)...), count},
		"out, described":                  {say(ready, prep("", to), descS(""), bind("", ""), descP(""), exec(""), syn)},
		"out, nothing":                    {say(ready, q("COPY (SELECT 1 WHERE false) TO STDOUT"))},
		"out, failing amid":               {say(ready, q("COPY (SELECT 1/(2-g) FROM generate_series(1, 3) AS g) TO STDOUT")), count},
		"out, failing amid, extended":     {say(ready, extended("COPY (SELECT 1/(2-g) FROM generate_series(1, 3) AS g) TO STDOUT", syn)...), count},
		"out, several":                    {say(ready, q(to+"; "+to+"; SELECT 1"))},
		"out in a pipeline":               {say(ready, append(extended(to), extended("SELECT 7", syn)...)...)},
		"out behind a failure":            {say(ready, append(extended("SELECT 1/0"), extended(to, syn)...)...), count},
		"in":                              {say(in, q(from)), say(ready, data("10\tx\n"), data("11\ty\n"), done), count},
		"in, at once":                     {say(ready, q(from), data("10\tx\n"), done), count},
		"in, csv":                         {say(in, q("COPY t FROM STDIN CSV HEADER")), say(ready, data("id,v\n10,\"a,b\"\n"), done), count},
		"in, split lines":                 {say(in, q(from)), say(ready, data("1"), data(""), data("0\t"), data("x\n11\t"), data("y"), done), count},
		"in, end marker":                  {say(in, q(from)), say(ready, data("10\tx\n\\.\n"), done), count},
		"in, end marker, binary":          {say(in, q("COPY t FROM STDIN (FORMAT binary)")), say(ready, data("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"), done), count},
		"in, binary that is none":         {say(in, q("COPY t FROM STDIN (FORMAT binary)")), say(ready, data("PGCOPY, not really at all"), done), count},
		"in, given up":                    {say(in, q(from)), say(ready, data("10\tx\n"), fail), count},
		"in, nothing":                     {say(in, q(from)), say(ready, done), count},
		"in, bad data":                    {say(in, q(from)), say(ready, data("x\tx\n")), say(ready, data("y\n"), done, q("SELECT 1")), count},
		"in, bad at the end":              {say(in, q(from)), say(ready, data("10\tx\n1\ty\n"), done), count},
		"in, flush and sync":              {say(in, q(from)), say(ready, flush, syn, data("10\tx\n"), syn, flush, done), count},
		"in, several":                     {say(in, q(from+"; SELECT 1; "+from)), say(in, data("10\tx\n"), done), say(ready, data("11\tx\n"), done), count},
		"in, several, at once":            {say(ready, q(from+"; SELECT 1; "+from), data("10\tx\n"), done, data("11\tx\n"), done), count},
		"in, several, the first given up": {say(in, q(from+"; "+from)), say(ready, data("10\tx\n"), fail), count},
		"in and out":                      {say(in, q(from+"; "+to)), say(ready, data("10\tx\n"), done), count},
		"out and in":                      {say(in, q(to+"; "+from)), say(ready, data("10\tx\n"), done), count},
		"out and in, at once":             {say(ready, q(to+"; "+from), data("10\tx\n"), done), count},
		"in, behind it a statement fails": {say(in, q(from+"; SELECT 1/0")), say(ready, data("10\tx\n"), done), count},
		"in, extended":                    {say(in, extended(from)...), say(ready, data("10\tx\n"), done, syn), count},
		"in, extended, early sync":        {say(in, extended(from, syn)...), say(ready, data("10\tx\n"), done, syn), count},
		"in, extended, at once":           {say(ready, extended(from, data("10\tx\n"), done, syn)...), count},
		"in, extended, bad data":          {say(in, extended(from)...), say(failed, data("x\tx\n")), say(ready, data("y"), done, q("SELECT 1"), syn), count},
		"in, extended, early sync, bad":   {say(in, extended(from, syn)...), say(failed, data("x\tx\n")), say(ready, data("y"), done, syn), count},
		"in, extended, given up":          {say(in, extended(from)...), say(ready, data("10\tx\n"), fail, syn), count},
		"in, extended, bad at the end":    {say(in, extended(from)...), say(ready, data("1\tx\n"), done, syn), count},
		"in, the pipeline goes on":        {say(in, append(extended("INSERT INTO t VALUES (12, 'x')"), extended(from)...)...), say(ready, append([]pgproto3.FrontendMessage{data("10\tx\n"), done}, extended("SELECT count(*) FROM t", syn)...)...), count},
		"in, the pipeline fails behind":   {say(in, extended(from)...), say(ready, append([]pgproto3.FrontendMessage{data("10\tx\n"), done}, extended("SELECT 1/0", syn)...)...), count},
		"in, the pipeline failed before":  {say(ready, append(extended("SELECT 1/0"), extended(from, data("10\tx\n"), done, syn)...)...), count},
		"in a transaction":                {say(ready, q("BEGIN")), say(in, q(from)), say(ready, data("10\tx\n"), done), count, say(ready, q("ROLLBACK")), count},
		"in, given up in a transaction":   {say(ready, q("BEGIN")), say(in, q(from)), say(ready, fail), count, say(ready, q(from)), say(ready, q("COMMIT")), count},
		"in, behind a savepoint":          {say(ready, q("BEGIN; SAVEPOINT s")), say(in, q(from)), say(ready, data("x\n"), done), say(ready, q("ROLLBACK TO s")), say(in, q(from)), say(ready, data("10\tx\n"), done), say(ready, q("COMMIT")), count},
		"in, never begun":                 {say(ready, q("COPY nowhere FROM STDIN")), say(ready, q("SELECT 1")), count},
		"in, never begun, extended":       {say(ready, prep("", "COPY nowhere FROM STDIN"), bind("", ""), exec(""), syn, data("1"), done), count},
		"outside of COPY":                 {say(ready, data("x"), done, fail, q("SELECT 1")), count},
		"a query amid data":               {say(in, q(from)), say(gone, data("10\tx\n"), q("SELECT 1"))},
		"a parse amid data":               {say(in, extended(from)...), say(gone, prep("", "SELECT 1"))},
		"a bind amid data":                {say(in, q(from)), say(gone, bind("", ""))},
		"a describe amid data":            {say(in, q(from)), say(gone, descS(""))},
		"an execute amid data":            {say(in, q(from)), say(gone, exec(""))},
		"a close amid data":               {say(in, q(from)), say(gone, closeS(""))},
		"a function call amid data":       {say(in, q(from)), say(gone, &pgproto3.FunctionCall{Function: 1299})},
		"goodbye amid data":               {say(in, q(from)), say(gone, data("10\tx\n"), bye)},
		"a denied query amid data":        {say(in, q(from)), say(gone, q("SELECT denied"))},
		"a query behind bad data":         {say(in, q(from)), say(ready, data("x\tx\n"), q("SELECT 1")), say(ready), count},
		"denied":                          {say(ready, q("COPY denied FROM STDIN")), say(ready, data("x"), done, q("SELECT 1"))},
		"denied, at once":                 {say(ready, q("COPY denied FROM STDIN"), data("x"), done), count},
		"denied, extended":                {say(ready, extended("COPY denied FROM STDIN", syn, data("x"), done)...), count},
		"denied behind another":           {say(ready, q(from+"; COPY denied FROM STDIN")), count},
		"denied before another":           {say(ready, q("COPY denied TO STDOUT; "+from)), count},
		"denied in a transaction":         {say(ready, q("BEGIN")), say(ready, q("COPY denied FROM STDIN"), data("x"), done), count, say(ready, q("COMMIT")), count},
		"denied in a pipeline":            {say(ready, append(extended("INSERT INTO t VALUES (10, 'x')"), extended("COPY denied TO STDOUT", syn)...)...), count},
	}
}

// unparsable puts what does not parse in the place of what is denied.
func unparsable(script []talk) []talk {
	out := make([]talk, 0, len(script))
	for _, part := range script {
		out = append(out, talk{broken(part.send), part.until})
	}
	return out
}

// COPY through the session is COPY at the server, in all its courses, and a denial
// behaves as a syntax error in the same message does.
func TestCopyIsTheServers(t *testing.T) {
	for name, script := range copyScripts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := direct(t, dbname(t)).hold(unparsable(script))
			for i, l := range want {
				want[i] = asDenied(l)
			}
			r := newRig(t, dbname(t))
			got := r.client.hold(script)
			if diff := cmp.Diff(normalise(want), normalise(got)); diff != "" {
				t.Errorf("direct (-) and through the session (+):\n%s", diff)
			}
			if r.received("denied") {
				t.Error("the server was sent a denied text")
			}
		})
	}
}

// What PostgreSQL says of a row stays there: the line and the value are in the CONTEXT
// of its errors (copyfromparse.c, CopyFromErrorCallback).
func TestCopyErrorsAreClosed(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.send(q("COPY t FROM STDIN"), data("10\tx\nsecret\tx\n"), done)
	for {
		m, err := r.client.f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		e, ok := m.(*pgproto3.ErrorResponse)
		if !ok {
			continue
		}
		if e.Code != "22P02" || e.Where != "" || e.Detail != "" || strings.Contains(fmt.Sprint(e), "secret") {
			t.Errorf("%+v", e)
		}
		return
	}
}

// A client that vanishes amid data leaves nothing behind, whether or not a message is
// whole.
func TestFault_F28_ClientVanishesAmidCopy(t *testing.T) {
	for name, last := range map[string]string{"between messages": "", "within a message": "d\x00\x01\x00\x0020\ty\n", "within a header": "d\x00"} {
		t.Run(name, func(t *testing.T) {
			database := dbname(t)
			r := newRig(t, database)
			r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))})
			r.client.send(data("10\tx\n"))
			if _, err := io.WriteString(r.client.conn, last); err != nil {
				t.Fatal(err)
			}
			if err := r.client.conn.Close(); err != nil {
				t.Fatal(err)
			}
			if end := <-r.done; end != session.EndClientGone {
				t.Errorf("ended %q", end)
			}
			// The lock that the COPY took goes with it.
			wantLines(t, direct(t, database).hold([]talk{say(ready, q("BEGIN; LOCK TABLE t; SELECT count(*) FROM t"))}),
				"CommandComplete BEGIN", "CommandComplete LOCK TABLE", "RowDescription 1", "DataRow 2", "CommandComplete SELECT 1", "ReadyForQuery T")
		})
	}
}

// Data of any size goes through at constant memory, in one message as in many: 48 MiB
// here, PostgreSQL's longest message with SCOPEWIRE_NIGHTLY set.
func TestLargeCopy(t *testing.T) {
	const piece = 1 << 20
	rows := 48
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		rows = (wire.MaxCopyData - 4) / piece
	}
	database := dbname(t)
	r := newRig(t, database, unrecorded(t, database))
	row := append(bytes.Repeat([]byte("x"), piece-1), '\n')
	r.client.run(q("CREATE TABLE large (v text)"))
	before, most := heap(), uint64(0)
	for _, each := range []int{rows, 1} {
		r.client.hold([]talk{say(in, q("COPY large FROM STDIN"))})
		for i := range rows {
			head := binary.BigEndian.AppendUint32([]byte{wire.CopyData}, uint32(each*piece+4)) //nolint:gosec // G115: below 1 GiB.
			if i%each != 0 {
				head = nil
			}
			if _, err := r.client.conn.Write(append(head, row...)); err != nil {
				t.Fatal(err)
			}
			if i%32 == 0 {
				most = max(most, heap())
			}
		}
		wantLines(t, r.client.hold([]talk{say(ready, done)}), fmt.Sprintf("CommandComplete COPY %d", rows), "ReadyForQuery I")
	}
	r.client.send(q("COPY large TO STDOUT"))
	for got := 0; ; {
		m, err := r.client.f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := m.(*pgproto3.CopyData); ok {
			got += len(d.Data)
		}
		if got%(32*piece) == 0 {
			most = max(most, heap())
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			if got != 2*rows*piece {
				t.Errorf("%d bytes came back", got)
			}
			break
		}
	}
	// The test's own row and buffers are in it.
	grown := int64(most) - int64(before) //nolint:gosec // G115: sizes of a heap.
	if grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	t.Logf("%d MiB each way, the heap grew by %d KiB", 2*rows, grown>>10)
}

// unrecorded puts a server behind the session of which nobody keeps what it is sent.
func unrecorded(t *testing.T, database string) option {
	t.Helper()
	server := pgtest.Start(t)
	conn, err := connect(t, server, server.Addr, database)
	if err != nil {
		t.Fatal(err)
	}
	return func(p *session.Params, _ *session.Deps) {
		_ = p.Server.Close()
		p.Server, p.Context = conn, conn.Context
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The decision's intent is in the spool before the first byte of data comes.
func TestCopyIsRecorded(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))})
	if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT)); n != 1 {
		t.Errorf("%d intents", n)
	}
}
