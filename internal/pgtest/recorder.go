package pgtest

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/scopewire/scopewire/internal/pgboot"
)

// Recorder forwards connections to a server and keeps every byte of both
// directions. A byte is kept before it is passed on: whoever has an answer from
// the server finds all that caused it in the recording. Safe for concurrent use.
type Recorder struct {
	// Addr is host:port to connect to.
	Addr string

	network, target string
	listener        net.Listener
	wg              sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  []*recordedConn
	closed bool
}

// recordedConn is one forwarded connection; Recorder.mu guards the bytes.
type recordedConn struct {
	client, server net.Conn
	sent, answered []byte
}

// Record starts a recorder in front of target, which is host:port or the path of
// a unix socket. It stops with the test.
func Record(t testing.TB, target string) *Recorder {
	t.Helper()
	l, err := pgboot.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{Addr: l.Addr().String(), network: "tcp", target: target, listener: l}
	if strings.HasPrefix(target, "/") {
		r.network = "unix"
	}
	r.wg.Go(r.accept)
	t.Cleanup(r.Close)
	return r
}

func (r *Recorder) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return // Close has closed the listener
		}
		var d net.Dialer
		server, err := d.DialContext(context.Background(), r.network, r.target)
		if err != nil {
			_ = client.Close() // as a server that is not there would
			continue
		}
		c := &recordedConn{client: client, server: server}
		r.mu.Lock()
		if r.closed {
			_ = client.Close()
			_ = server.Close()
		}
		r.conns = append(r.conns, c)
		r.mu.Unlock()
		r.wg.Go(func() { r.pump(server, client, &c.sent) })
		r.wg.Go(func() { r.pump(client, server, &c.answered) })
	}
}

// pump copies until either side ends, then ends both: the protocol has no use
// for a half-open connection.
func (r *Recorder) pump(dst, src net.Conn, record *[]byte) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		r.mu.Lock()
		*record = append(*record, buf[:n]...)
		r.mu.Unlock()
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Close cuts every connection and waits for the end of the recording. What was
// recorded stays.
func (r *Recorder) Close() {
	r.mu.Lock()
	r.closed = true
	_ = r.listener.Close()
	for _, c := range r.conns {
		_ = c.client.Close()
		_ = c.server.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// Cut cuts every open connection, as a server that crashes does, and goes on
// accepting.
func (r *Recorder) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.client.Close()
		_ = c.server.Close()
	}
}

// Connections is the number of connections so far.
func (r *Recorder) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// Sent returns a copy of the bytes that the server was sent on each connection,
// in the order of the connections.
func (r *Recorder) Sent() [][]byte {
	return r.copies(func(c *recordedConn) []byte { return c.sent })
}

// Answered returns a copy of the bytes that the server answered on each
// connection.
func (r *Recorder) Answered() [][]byte {
	return r.copies(func(c *recordedConn) []byte { return c.answered })
}

func (r *Recorder) copies(of func(*recordedConn) []byte) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([][]byte, len(r.conns))
	for i, c := range r.conns {
		all[i] = bytes.Clone(of(c))
	}
	return all
}

// Saw reports whether the server was sent text on any connection. Under TLS the
// recording is ciphertext and Saw proves nothing: record plain connections.
func (r *Recorder) Saw(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		if bytes.Contains(c.sent, []byte(text)) {
			return true
		}
	}
	return false
}
