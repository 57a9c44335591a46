package session_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/session"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// nightly says that a test is to go the whole way.
func nightly() bool { return os.Getenv("SCOPEWIRE_NIGHTLY") != "" }

// split is a connection whose first read ends at an offset at the latest, and whose
// others, with each set, bring so many bytes at most.
type split struct {
	net.Conn
	at, each int
}

func (c *split) Read(p []byte) (int, error) {
	if c.at > 0 {
		p = p[:min(len(p), c.at)]
	} else if c.each > 0 {
		p = p[:min(len(p), c.each)]
	}
	n, err := c.Conn.Read(p)
	c.at = max(0, c.at-n)
	return n, err
}

// splitBackend is split for the server's side.
type splitBackend struct {
	session.Backend
	each int
}

func (b *splitBackend) Read(p []byte) (int, error) {
	return b.Backend.Read(p[:min(len(p), b.each)])
}

// TestFault_F38_EverySplit: where the bytes of messages are cut on their way changes
// nothing, whether they come one by one, in two pieces cut anywhere, or all at once.
func TestFault_F38_EverySplit(t *testing.T) {
	script := []pgproto3.FrontendMessage{
		q("SELECT id, v FROM t ORDER BY id"), q("SELECT 1; SELECT 'denied'"), q("SELECT v /* é */ FROM t; SELECT 1/0"),
		prep("p", "SELECT $1::int + 1"), descS("p"),
		&pgproto3.Bind{PreparedStatement: "p", Parameters: [][]byte{[]byte("41")}}, exec(""), &pgproto3.Sync{},
		prep("", "SELECT 'denied'"), bind("", ""), exec(""), &pgproto3.Sync{},
		q("BEGIN"), q("COPY t FROM STDIN"), data("3\tth"), data("ree\n"), done, q("SELECT denied"), q("ROLLBACK"),
		&pgproto3.FunctionCall{Function: 1598}, &pgproto3.Close{ObjectType: 'S', Name: "p"}, &pgproto3.Sync{},
	}
	var text []byte
	for _, m := range script {
		var err error
		if text, err = m.Encode(text); err != nil {
			t.Fatal(err)
		}
	}
	const syncs = 11
	database := dbname(t)
	transcript := func(t *testing.T, o option) []string {
		t.Helper()
		r := newRig(t, database, o)
		if _, err := r.client.conn.Write(text); err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(r.client.until(syncs), random)
	}
	whole := transcript(t, func(*session.Params, *session.Deps) {})
	if len(whole) < 30 || !slices.Contains(whole, "CommandComplete COPY 1") {
		t.Fatalf("the script does not do what it is for:\n%s", strings.Join(whole, "\n"))
	}
	same := func(what string, o option) {
		t.Run(what, func(t *testing.T) {
			if diff := cmp.Diff(whole, transcript(t, o)); diff != "" {
				t.Errorf("(-whole +split):\n%s", diff)
			}
		})
	}
	for _, each := range []int{1, 2, 3, 5, 7} {
		same(fmt.Sprintf("%d bytes from the client at a time", each), func(p *session.Params, _ *session.Deps) {
			p.Client = &split{Conn: p.Client, each: each}
		})
		same(fmt.Sprintf("%d bytes from the server at a time", each), func(p *session.Params, _ *session.Deps) {
			p.Server = &splitBackend{Backend: p.Server, each: each}
		})
	}
	stride := 3
	if nightly() {
		stride = 1
	}
	for at := 1; at < len(text); at += stride {
		same(fmt.Sprintf("cut at byte %d", at), func(p *session.Params, _ *session.Deps) {
			p.Client = &split{Conn: p.Client, at: at}
		})
	}
}

// random says of a line that it is another one each time: the answer of the function
// random().
func random(line string) bool { return strings.HasPrefix(line, "FunctionCallResponse") }

// cut is a server whose connection breaks after it has sent so many bytes, counted from
// when it is armed.
type cut struct {
	session.Backend
	mu    sync.Mutex
	armed bool
	left  int
}

func (c *cut) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.armed = true
	c.mu.Unlock()
	return c.Backend.Write(p)
}

func (c *cut) Read(p []byte) (int, error) {
	c.mu.Lock()
	over := c.armed && c.left == 0
	c.mu.Unlock()
	if over {
		return 0, syscall.ECONNRESET
	}
	n, err := c.Backend.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed {
		n = min(n, c.left)
		c.left -= n
		if n == 0 && err == nil {
			err = syscall.ECONNRESET
		}
	}
	return n, err
}

// TestFault_F26_BackendCutMidResult: wherever a server's connection breaks within a
// result, the client gets whole messages that the server has sent, then an error and the
// end, or a message that breaks off: never the end of a result that is not whole.
func TestFault_F26_BackendCutMidResult(t *testing.T) {
	database := dbname(t)
	for name, c := range map[string]struct {
		sql    string
		stride int
	}{
		"rows":        {"SELECT repeat('x', i) FROM generate_series(1, 12) i", 1},
		"a large row": {"SELECT repeat('y', 100000) /* open */", 9973},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, database)
			r.client.send(q(c.sql))
			whole, bounds := raw(t, r.client.conn, true)
			for n := 0; n < len(whole); n += c.stride {
				r := newRig(t, database, func(p *session.Params, _ *session.Deps) { p.Server = &cut{Backend: p.Server, left: n} })
				r.client.send(q(c.sql))
				got, _ := raw(t, r.client.conn, false)
				if end := <-r.done; end != session.EndBackendGone {
					t.Fatalf("cut after %d bytes, the session ended %q", n, end)
				}
				common := 0
				for common < min(len(got), len(whole)) && got[common] == whole[common] {
					common++
				}
				rest := got[common:]
				switch {
				case len(rest) == 0 && !slices.Contains(bounds, common):
				case slices.Contains(bounds, common) && bytes.HasPrefix(rest, []byte("E")) && bytes.Contains(rest, []byte("C08006\x00")):
				default:
					t.Fatalf("cut after %d bytes, the client got %q", n, got)
				}
				if common > n {
					t.Fatalf("cut after %d bytes, the client got %d", n, common)
				}
			}
		})
	}
}

// raw reads bytes up to and with a ReadyForQuery, or to the connection's end, and says
// where messages end.
func raw(t *testing.T, conn net.Conn, ready bool) (all []byte, bounds []int) {
	t.Helper()
	bounds = []int{0}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, 5)
	for {
		n, err := io.ReadFull(conn, head)
		all = append(all, head[:n]...)
		if err != nil {
			return all, bounds
		}
		length := int(head[1])<<24 | int(head[2])<<16 | int(head[3])<<8 | int(head[4])
		body := make([]byte, length-4)
		n, err = io.ReadFull(conn, body)
		all = append(all, body[:n]...)
		if err != nil {
			return all, bounds
		}
		bounds = append(bounds, len(all))
		if ready && head[0] == wire.ReadyForQuery {
			return all, bounds
		}
	}
}

// hung is a server that takes everything and says nothing any more, not to a cancel
// either.
type hung struct {
	session.Backend
	sent, cancelled chan struct{}
}

func (h *hung) Write(p []byte) (int, error) {
	select {
	case h.sent <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (h *hung) Cancel(ctx context.Context) error {
	h.cancelled <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// TestFault_F27_HungBackend: a server that hangs keeps no session alive that has ended,
// whatever ended it, nor a cancel that it does not answer.
func TestFault_F27_HungBackend(t *testing.T) {
	database := dbname(t)
	for name, c := range map[string]struct {
		leave func(t *testing.T, r *rig, clock *manual)
		end   session.End
	}{
		"the client vanishes": {func(t *testing.T, r *rig, _ *manual) {
			if err := r.client.conn.Close(); err != nil {
				t.Error(err)
			}
		}, session.EndClientGone},
		"the token expires": {func(_ *testing.T, _ *rig, clock *manual) { clock.Advance(time.Hour) }, session.EndTokenExpired},
		"a message is over its limit": {func(t *testing.T, r *rig, _ *manual) {
			if _, err := r.client.conn.Write([]byte{'Q', 0x7f, 0xff, 0xff, 0xff}); err != nil {
				t.Error(err)
			}
		}, session.EndLimit},
	} {
		t.Run(name, func(t *testing.T) {
			server := &hung{sent: make(chan struct{}, 1), cancelled: make(chan struct{}, 8)}
			clock := newManual()
			r := newRig(t, database, func(p *session.Params, deps *session.Deps) {
				server.Backend = p.Server
				p.Server = server
				deps.System.Clock = clock
				p.Expires = clock.Now().Add(time.Hour)
			})
			r.client.send(q("SELECT 1"))
			<-server.sent
			c.leave(t, r, clock)
			if end := <-r.done; end != c.end {
				t.Errorf("ended %q", end)
			}
			select {
			case <-server.cancelled:
			default:
				t.Error("nothing was said to the server")
			}
		})
	}
}

// TestFault_F28_ClientVanishesAmidQuery: what a client ran that is gone is stopped, and
// its locks go with it.
func TestFault_F28_ClientVanishesAmidQuery(t *testing.T) {
	database := dbname(t)
	r := newRig(t, database)
	r.client.send(q("BEGIN; LOCK TABLE t; DO $$BEGIN RAISE NOTICE 'at work'; PERFORM pg_sleep(600); END$$"))
	for line := ""; !strings.HasPrefix(line, "NoticeResponse"); {
		var ok bool
		if line, ok = r.client.receive(); !ok {
			t.Fatal(line)
		}
	}
	if err := r.client.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if end := <-r.done; end != session.EndClientGone {
		t.Errorf("ended %q", end)
	}
	wantLines(t, direct(t, database).run(q("BEGIN; LOCK TABLE t")), "CommandComplete BEGIN", "CommandComplete LOCK TABLE", "ReadyForQuery T")
}

// gated is a client that takes so many bytes and then no more until the gate opens.
type gated struct {
	net.Conn
	left    int
	reached chan struct{}
	gate    chan struct{}
}

func (g *gated) Write(p []byte) (int, error) {
	if g.left -= len(p); g.left < 0 {
		select {
		case g.reached <- struct{}{}:
		default:
		}
		<-g.gate
	}
	return g.Conn.Write(p)
}

// TestFault_F37_SlowReader: a client that does not read makes the server wait, not the
// proxy grow: 64 MiB are on their way, and 256 KiB are held. Other sessions go on.
func TestFault_F37_SlowReader(t *testing.T) {
	const rows, width = 64 << 10, 1 << 10
	database := dbname(t)
	slow := &gated{left: 1 << 20, reached: make(chan struct{}, 1), gate: make(chan struct{})}
	unheard := unrecorded(t, database)
	r := newRig(t, database, unheard, func(p *session.Params, _ *session.Deps) {
		slow.Conn = p.Client
		p.Client = slow
	})
	other := newRig(t, database)
	other.client.run(q("SELECT 1"))
	before := heap()
	r.client.send(q(fmt.Sprintf("SELECT repeat('x', %d) FROM generate_series(1, %d)", width, rows)))
	read := make(chan int)
	go func() {
		n := 0
		for {
			m, err := r.client.f.Receive()
			if err != nil {
				break
			}
			if row, ok := m.(*pgproto3.DataRow); ok {
				n += len(row.Values[0])
			}
			if _, ok := m.(*pgproto3.ReadyForQuery); ok {
				break
			}
		}
		read <- n
	}()
	<-slow.reached
	for range 100 {
		wantLines(t, other.client.run(q("SELECT v FROM t WHERE id = 1")), "RowDescription 1", "DataRow one", "CommandComplete SELECT 1", "ReadyForQuery I")
	}
	if grown := int64(heap()) - int64(before); grown > 1<<20 { // Of 64 MiB; the other session's statements are in it, too. //nolint:gosec // G115: sizes of a heap.
		t.Errorf("%d bytes are held for a client that does not read", grown)
	}
	close(slow.gate)
	if n := <-read; n != rows*width {
		t.Errorf("%d bytes of values came, of %d", n, rows*width)
	}
}
