package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// Relay passes connections on, and can hold all that they carry, as a network does that is
// parted: nobody is told. Safe for concurrent use.
type Relay struct {
	listener net.Listener
	to       string
	wg       sync.WaitGroup
	ctx      context.Context

	mu sync.Mutex
	// open is closed while something comes through.
	open  chan struct{}
	conns map[net.Conn]struct{}
}

// newRelay listens on a host, and ends with the test.
func newRelay(t testing.TB, host net.IP, to string) *Relay {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(host.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Relay{listener: l, to: to, ctx: ctx, open: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	close(r.open)
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		r.mu.Lock()
		for c := range r.conns {
			_ = c.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	r.wg.Go(r.accept)
	return r
}

// Addr is where it listens.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Part holds everything from now on.
func (r *Relay) Part() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

// Mend lets everything through again, what was held first.
func (r *Relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.open:
	default:
		close(r.open)
	}
}

func (r *Relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { r.serve(c) })
	}
}

// keep notes a connection that ends with the relay; false when that has ended.
func (r *Relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
	return r.ctx.Err() == nil
}

func (r *Relay) drop(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

func (r *Relay) serve(c net.Conn) {
	defer r.drop(c)
	if !r.keep(c) || !r.pass() {
		return
	}
	to, err := (&net.Dialer{}).DialContext(r.ctx, "tcp", r.to)
	if err != nil {
		return
	}
	defer r.drop(to)
	if !r.keep(to) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, to}, {to, c}} {
		both.Go(func() {
			defer func() { _ = way[0].Close() }()
			defer func() { _ = way[1].Close() }()
			r.copy(way[1], way[0])
		})
	}
	both.Wait()
}

// copy carries one way until it ends.
func (r *Relay) copy(to io.Writer, from io.Reader) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if !r.pass() {
			return
		}
		if _, werr := to.Write(b[:n]); errors.Join(err, werr) != nil {
			return
		}
	}
}

// pass waits while it is parted; false when the relay has ended.
func (r *Relay) pass() bool {
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	select {
	case <-open:
		return true
	case <-r.ctx.Done():
		return false
	}
}
