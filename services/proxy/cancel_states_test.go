package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/pgtest"
)

// cancelState is a point of a session at which its client asks to cancel. In texts, MARK
// stands for a comment by which the backend is found.
type cancelState struct {
	// before is sent first and answered up to so many ReadyForQuery; then comes sent, and
	// the cancel once the backend of the last text waits for event, if there is one.
	before   []pgproto3.FrontendMessage
	answered int
	sent     []pgproto3.FrontendMessage
	event    string
	// data is sent again and again until an error comes.
	data []pgproto3.FrontendMessage
	// after is what follows the cancel; ready is how many ReadyForQuery end it all.
	after []pgproto3.FrontendMessage
	ready int
}

func cancelStates() map[string]cancelState {
	query := func(text string) pgproto3.FrontendMessage { return &pgproto3.Query{String: text + " /*MARK*/"} }
	unit := func(text string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{&pgproto3.Parse{Query: text + " /*MARK*/"}, &pgproto3.Bind{}, &pgproto3.Execute{}}
	}
	list := func(parts ...[]pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return slices.Concat(parts...) }
	sync := []pgproto3.FrontendMessage{&pgproto3.Sync{}}
	one := func(m pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return []pgproto3.FrontendMessage{m} }
	row := one(&pgproto3.CopyData{Data: []byte("7\tx\n")})
	const sleep = "SELECT pg_sleep(600)"
	return map[string]cancelState{
		"a Query":               {sent: one(query(sleep)), event: "PgSleep", ready: 1},
		"the second of a Query": {sent: one(query("SELECT 1; " + sleep + "; SELECT 2")), event: "PgSleep", ready: 1},
		"an Execute":            {sent: list(unit(sleep), sync), event: "PgSleep", ready: 1},
		"a pipeline, more of it queued": {sent: list(unit("SELECT 1"), unit(sleep), unit("SELECT 2"), sync, unit("SELECT 3"), sync, one(query("SELECT 4"))),
			event: "PgSleep", ready: 3},
		"a pipeline behind its first Sync": {sent: list(unit("SELECT 1"), sync, unit(sleep), sync, unit("SELECT 3"), sync), event: "PgSleep", ready: 3},
		"a pipeline that goes on": {sent: list(unit(sleep), one(&pgproto3.Flush{})), event: "PgSleep",
			after: list(unit("SELECT 2"), sync, unit("SELECT 3"), sync), ready: 2},
		"a transaction": {before: one(query("BEGIN")), answered: 1, sent: one(query(sleep)), event: "PgSleep",
			after: list(one(query("SELECT 1")), one(query("ROLLBACK"))), ready: 4},
		"a failed transaction": {before: list(one(query("BEGIN")), one(query("SELECT 1/0"))), answered: 2,
			after: list(one(query("SELECT pg_sleep(0.01)")), one(query("ROLLBACK")), one(query("SELECT pg_sleep(0.05)"))), ready: 5},
		"an idle session":     {before: one(query("SELECT 1")), answered: 1, after: one(query("SELECT pg_sleep(0.1)")), ready: 2},
		"an idle transaction": {before: one(query("BEGIN")), answered: 1, after: list(one(query("SELECT pg_sleep(0.1)")), one(query("COMMIT"))), ready: 3},
		"COPY FROM STDIN, no data yet": {sent: one(query("COPY t FROM STDIN")), event: "ClientRead", data: row,
			after: one(query("SELECT count(*) FROM t")), ready: 2},
		"COPY FROM STDIN, amid data": {sent: list(one(query("COPY t FROM STDIN")), row, row), event: "ClientRead", data: row,
			after: list(one(&pgproto3.CopyDone{}), one(query("SELECT count(*) FROM t"))), ready: 2},
		"COPY FROM STDIN by Execute": {sent: list(unit("COPY t FROM STDIN"), one(&pgproto3.Flush{})), event: "ClientRead", data: row,
			after: list(sync, one(query("SELECT count(*) FROM t"))), ready: 2},
		"COPY TO STDOUT": {sent: one(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT")), event: "ClientWrite", ready: 1},
		"a result":       {sent: one(query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")), event: "ClientWrite", ready: 1},
		"a portal in parts": {sent: list([]pgproto3.FrontendMessage{&pgproto3.Parse{Query: "SELECT pg_sleep(i * 300) FROM generate_series(0, 9) AS g(i) /*MARK*/"},
			&pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Execute{}}, sync), event: "PgSleep", ready: 1},
		"FETCH": {before: list(one(query("BEGIN")), one(query("DECLARE c CURSOR FOR "+sleep))), answered: 2, sent: one(query("FETCH c")), event: "PgSleep",
			after: one(query("ROLLBACK")), ready: 4},
	}
}

// TestSec_T17_CancelInEachState: wherever in the protocol a session is when its client
// cancels, it hears what PostgreSQL itself would say, and goes on as it would there.
func TestSec_T17_CancelInEachState(t *testing.T) {
	w := newWorld(t)
	w.ready()
	server := pgtest.Start(t).ConnString(w.database)
	watcher, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watcher.Close(context.Background()) })
	n := 0
	for name, state := range cancelStates() {
		t.Run(name, func(t *testing.T) {
			var said [2][]string
			for i, dsn := range []string{server, w.dsn()} {
				n++
				said[i] = state.run(t, dsn, watcher, fmt.Sprintf("mark-%d-", n))
			}
			if diff := cmp.Diff(said[0], said[1]); diff != "" {
				t.Errorf("Scopewire differs (-PostgreSQL +Scopewire):\n%s", diff)
			}
			if last := said[0]; len(last) == 0 || !strings.HasPrefix(last[len(last)-1], "ReadyForQuery") ||
				state.event != "" && !slices.Contains(last, "ErrorResponse 57014") {
				t.Errorf("the state is not what it says: %q", last)
			}
		})
	}
}

// run brings a new session into the state, cancels, and returns what the client hears.
func (c cancelState) run(t *testing.T, dsn string, watcher *pgx.Conn, mark string) []string {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = wire.Conn.Close() }()
	send := func(messages []pgproto3.FrontendMessage) {
		for _, m := range messages {
			switch m := m.(type) {
			case *pgproto3.Query:
				wire.Frontend.Send(&pgproto3.Query{String: strings.ReplaceAll(m.String, "MARK", mark)})
			case *pgproto3.Parse:
				wire.Frontend.Send(&pgproto3.Parse{Name: m.Name, Query: strings.ReplaceAll(m.Query, "MARK", mark)})
			default:
				wire.Frontend.Send(m)
			}
		}
		if err := wire.Frontend.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	h := &heard{t: t, from: wire.Frontend, deadline: wire.Conn}
	send(c.before)
	h.until(c.answered)
	send(c.sent)
	if c.event != "" {
		for waits := false; !waits; {
			const sql = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = $1 AND state = 'active' AND query LIKE '%' || $2 || '%' AND pid <> pg_backend_pid()"
			if err := watcher.QueryRow(t.Context(), sql, c.event, mark).Scan(&waits); err != nil {
				t.Fatal(err)
			}
		}
	}
	sendCancel(t, wire.Conn.RemoteAddr(), wire.PID, wire.SecretKey)
	if c.data != nil {
		h.errorBehind(func() { send(c.data) })
	}
	send(c.after)
	h.until(c.ready)
	return h.lines
}

// sendCancel sends a CancelRequest and waits until its connection is closed.
func sendCancel(t *testing.T, addr net.Addr, pid uint32, secret []byte) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(cancelRequest(pid, secret)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a cancel is answered: %d bytes, %v", n, err)
	}
}

// heard is what a client hears, rows and data in a row once.
type heard struct {
	t        *testing.T
	from     *pgproto3.Frontend
	deadline net.Conn
	lines    []string
	ready    int
	failed   bool
}

func (h *heard) next() {
	h.t.Helper()
	m, err := h.from.Receive()
	if err != nil {
		h.t.Fatalf("%v behind %q", err, h.lines)
	}
	h.take(m)
}

func (h *heard) take(m pgproto3.BackendMessage) {
	line := strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		line, h.failed = line+" "+m.Code, true
	case *pgproto3.ReadyForQuery:
		line += " " + string(m.TxStatus)
		h.ready++
	case *pgproto3.CommandComplete:
		line += " " + string(m.CommandTag)
	default:
		// The type alone is compared.
	}
	if len(h.lines) > 0 && h.lines[len(h.lines)-1] == line && (line == "DataRow" || line == "CopyData") {
		return
	}
	h.lines = append(h.lines, line)
}

// until reads up to so many ReadyForQuery in all.
func (h *heard) until(ready int) {
	h.t.Helper()
	for h.ready < ready {
		h.next()
	}
}

// errorBehind goes on, with what it does in between, until an error comes.
func (h *heard) errorBehind(goOn func()) {
	h.t.Helper()
	for !h.failed {
		if err := h.deadline.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			h.t.Fatal(err)
		}
		if m, err := h.from.Receive(); err == nil {
			h.take(m)
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			h.t.Fatal(err)
		} else {
			goOn()
		}
	}
	if err := h.deadline.SetReadDeadline(time.Time{}); err != nil {
		h.t.Fatal(err)
	}
}

// TestSec_T17_KeysEndWithTheirSession: the key of a session that has ended stops nothing,
// in whatever way it ended; the session that came after it goes on.
func TestSec_T17_KeysEndWithTheirSession(t *testing.T) {
	w := newWorld(t)
	w.ready()
	for name, end := range map[string]func(c *pgconn.HijackedConn) error{
		"Terminate": func(c *pgconn.HijackedConn) error {
			c.Frontend.Send(&pgproto3.Terminate{})
			return c.Frontend.Flush()
		},
		"a reset": func(c *pgconn.HijackedConn) error {
			tcp, ok := c.Conn.(*net.TCPConn)
			if !ok {
				return errors.New("no TCP")
			}
			return errors.Join(tcp.SetLinger(0), tcp.Close())
		},
	} {
		conn, err := pgconn.Connect(t.Context(), w.dsn())
		if err != nil {
			t.Fatal(err)
		}
		ended, err := conn.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		addr := ended.Conn.RemoteAddr()
		if err := end(ended); err != nil {
			t.Fatal(err)
		}
		next := w.connect()
		for range 5 {
			sendCancel(t, addr, ended.PID, ended.SecretKey)
			if got := next.query("SELECT pg_sleep(0.01)"); got != "" {
				t.Errorf("behind %s the key of another session gives %q", name, got)
			}
			sendCancel(t, addr, next.PID(), ended.SecretKey)
		}
		_ = ended.Conn.Close()
	}
}
