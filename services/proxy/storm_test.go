package proxy_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy"
)

// nightly says that a test is to go the whole way.
func nightly() bool { return os.Getenv("SCOPEWIRE_NIGHTLY") != "" }

// descriptors is how many the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("descriptors cannot be counted: %v", err)
	}
	return len(entries)
}

func (w *world) dial() *net.TCPConn {
	w.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		w.t.Fatal("not a TCP connection")
	}
	_ = tcp.SetReadDeadline(time.Now().Add(time.Minute))
	return tcp
}

// reset closes a connection as a program does that dies with data unread.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// step sends messages and waits for a message of a type.
func (w *world) step(f *pgproto3.Frontend, until pgproto3.BackendMessage, msgs ...pgproto3.FrontendMessage) {
	w.t.Helper()
	for _, m := range msgs {
		f.Send(m)
	}
	if err := f.Flush(); err != nil {
		w.t.Fatal(err)
	}
	for until != nil {
		m, err := f.Receive()
		if err != nil {
			w.t.Fatal(err)
		}
		if fmt.Sprintf("%T", m) == fmt.Sprintf("%T", until) {
			return
		}
	}
}

// TestSec_T18_Resets: wherever in the protocol a client's connection is reset, its
// backend ends, its transaction with it, and no descriptor is left; the same after a storm
// of connections that are reset at once.
func TestSec_T18_Resets(t *testing.T) {
	w := newWorld(t)
	survivor := w.connect()
	admin, err := pgx.Connect(t.Context(), pgtest.Start(t).ConnString(w.database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	backends := func() (n int) {
		if err := admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	fds, sessions := descriptors(t), backends()
	settled := func(what string) {
		t.Helper()
		w.until(what+": backends or descriptors are left", func() bool { return backends() == sessions && descriptors(t) <= fds })
		if got := survivor.query("SELECT v FROM t"); got != "" {
			t.Errorf("%s: a neighbour gets %q", what, got)
		}
	}
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u", "database": w.database}}
	login := func(f *pgproto3.Frontend) {
		w.step(f, &pgproto3.AuthenticationCleartextPassword{}, startup)
		w.step(f, &pgproto3.ReadyForQuery{}, &pgproto3.PasswordMessage{Password: "token"})
	}
	query := func(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }
	for name, state := range map[string]func(c *net.TCPConn, f *pgproto3.Frontend){
		"connected":         func(*net.TCPConn, *pgproto3.Frontend) {},
		"in its first byte": func(c *net.TCPConn, _ *pgproto3.Frontend) { _, _ = c.Write([]byte{0}) },
		"asked for a token": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			w.step(f, &pgproto3.AuthenticationCleartextPassword{}, startup)
		},
		"logging in": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			w.step(f, nil, startup, &pgproto3.PasswordMessage{Password: "token"})
		},
		"idle": func(_ *net.TCPConn, f *pgproto3.Frontend) { login(f) },
		"amid a message": func(c *net.TCPConn, f *pgproto3.Frontend) {
			login(f)
			_, _ = c.Write([]byte("Q\x00\x00\x00\x40SELECT"))
		},
		"behind a Parse": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			login(f)
			w.step(f, &pgproto3.ParseComplete{}, &pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Flush{})
		},
		"while it runs": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			login(f)
			w.step(f, &pgproto3.NoticeResponse{}, query("DO 'BEGIN RAISE NOTICE ''at work''; PERFORM pg_sleep(600); END'"))
		},
		"amid a result": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			login(f)
			w.step(f, &pgproto3.DataRow{}, query("SELECT repeat('x', 10000) FROM generate_series(1, 100000)"))
		},
		"in a transaction": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			login(f)
			w.step(f, &pgproto3.ReadyForQuery{}, query("BEGIN"))
			w.step(f, &pgproto3.ReadyForQuery{}, query("LOCK TABLE t"))
		},
		"amid data": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			login(f)
			w.step(f, &pgproto3.CopyInResponse{}, query("COPY t FROM STDIN"))
			w.step(f, nil, &pgproto3.CopyData{Data: []byte("7\tx\n")})
		},
		"in a failed one": func(_ *net.TCPConn, f *pgproto3.Frontend) {
			login(f)
			w.step(f, &pgproto3.ReadyForQuery{}, query("BEGIN"))
			w.step(f, &pgproto3.ReadyForQuery{}, query("SELECT denied"))
		},
		"with a cancel sent": func(c *net.TCPConn, _ *pgproto3.Frontend) { _, _ = c.Write(cancelRequest(1, make([]byte, 4))) },
	} {
		c := w.dial()
		state(c, pgproto3.NewFrontend(c, c))
		reset(c)
		settled(name)
	}
	storm := 2000
	if nightly() {
		storm = 100_000
	}
	for range storm {
		reset(w.dial())
	}
	settled("the storm")
	var rows int
	if err := admin.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func cancelRequest(pid uint32, secret []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(12+len(secret))) //nolint:gosec // G115: short.
	b = binary.BigEndian.AppendUint32(b, 80877102)
	return append(binary.BigEndian.AppendUint32(b, pid), secret...)
}

// TestSec_T17_CancelsStayWithTheirSession: cancels with the key of one session, and with
// keys that are nearly another's, never stop that other's statements, and tell nobody
// whether they hit.
func TestSec_T17_CancelsStayWithTheirSession(t *testing.T) {
	w := newWorld(t)
	mine, other := w.connect(), w.connect()
	if string(mine.SecretKey()) == string(other.SecretKey()) || mine.PID() == other.PID() {
		t.Fatal("two sessions have one key")
	}
	rounds := 100
	if nightly() {
		rounds = 1000
	}
	send := func(pid uint32, secret []byte) {
		c := w.dial()
		defer func() { _ = c.Close() }()
		if _, err := c.Write(cancelRequest(pid, secret)); err != nil {
			t.Error(err)
		}
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("a cancel is answered: %d bytes, %v", n, err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			wrong := make([]byte, 4)
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = rand.Read(wrong)
				send(mine.PID(), mine.SecretKey())
				send(other.PID(), wrong)
				send(other.PID(), mine.SecretKey())
			}
		})
	}
	for range rounds {
		if got := other.query("SELECT pg_sleep(0.001)"); got != "" {
			t.Errorf("another session's statement is answered %q", got)
		}
	}
	// One's own are heard all the time, although wrong keys came from the same address.
	close(stop)
	wg.Wait()
	cancelled := make(chan string, 1)
	go func() { cancelled <- mine.query("SELECT pg_sleep(600)") }()
	got := ""
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for got == "" {
		select {
		case got = <-cancelled:
		case <-tick.C:
			send(mine.PID(), mine.SecretKey())
		}
	}
	if got != "57014" {
		t.Errorf("a cancelled statement is answered %q", got)
	}
}

// silent is a network on which, once it is hushed, connections open and nothing answers.
type silent struct {
	sys.Net
	mu     sync.Mutex
	hushed bool
	open   int
	opened chan struct{}
}

func (s *silent) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hushed {
		return s.Net.DialContext(ctx, network, address)
	}
	conn, err := s.Net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.open++
	s.opened <- struct{}{}
	return &silentConn{Conn: conn, of: s}, nil
}

type silentConn struct {
	net.Conn
	of   *silent
	once sync.Once
}

func (c *silentConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *silentConn) Close() error {
	c.once.Do(func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.of.open--
	})
	return c.Conn.Close()
}

// TestSec_T17_HungCancels: cancels that the server does not answer are given up, and
// nothing of them is left: no goroutine, which TestMain looks for, and no connection.
func TestSec_T17_HungCancels(t *testing.T) {
	const sessions = 20
	quiet := &silent{opened: make(chan struct{}, 10*sessions)}
	w := newWorld(t, func(_ *proxy.Config, system *sys.System) {
		quiet.Net = system.Net
		system.Net = quiet
	})
	var clients []*client
	for range sessions {
		clients = append(clients, w.connect())
	}
	admin, err := pgx.Connect(t.Context(), pgtest.Start(t).ConnString(w.database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	held, err := admin.Begin(t.Context())
	if err == nil {
		_, err = held.Exec(t.Context(), "LOCK TABLE t")
	}
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, sessions)
	for _, c := range clients {
		go func() { answers <- c.query("SELECT v FROM t") }()
	}
	w.until("nobody waits", func() bool {
		waiting := 0
		err := held.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted").Scan(&waiting)
		return err == nil && waiting == sessions
	})
	quiet.mu.Lock()
	quiet.hushed = true
	quiet.mu.Unlock()
	for _, c := range clients {
		conn := w.dial()
		if _, err := conn.Write(cancelRequest(c.PID(), c.SecretKey())); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		<-quiet.opened
	}
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range clients {
		if got := <-answers; got != "" {
			t.Errorf("a statement whose cancel hangs is answered %q", got)
		}
	}
	for _, c := range clients {
		if got := c.query("SELECT 1"); got != "" {
			t.Errorf("behind a cancel that hangs: %q", got)
		}
	}
	w.until("connections of cancels are left", func() bool {
		quiet.mu.Lock()
		defer quiet.mu.Unlock()
		return quiet.open == 0
	})
}
