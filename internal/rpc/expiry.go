package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"math"
	"net"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// Expiry knows the certificates that a process shows to others. The zero value
// knows none. Safe for concurrent use.
type Expiry struct {
	mu     sync.Mutex
	stores []*store // guarded by mu
}

// Left is how many seconds the certificate that ends first is still valid, after
// a look at the files where one is due; infinite without certificates.
func (e *Expiry) Left() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := math.Inf(1)
	for _, s := range e.stores {
		left = min(left, s.get().certificate.Leaf.NotAfter.Sub(s.clock.Now()).Seconds())
	}
	return left
}

func (e *Expiry) add(s *store) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stores = append(e.stores, s)
}

// mortal is a connection that ends with the certificate of its other side.
type mortal struct {
	net.Conn
	timer sys.Timer
}

// endWith closes conn when what the other side showed is not valid any more.
func endWith(conn net.Conn, state tls.ConnectionState, clock sys.Clock) net.Conn {
	var end time.Time
	for _, chain := range state.VerifiedChains {
		if e := chainEnd(chain); e.After(end) {
			end = e
		}
	}
	return &mortal{conn, clock.AfterFunc(end.Sub(clock.Now()), func() { _ = conn.Close() })}
}

// chainEnd is when the first certificate of a chain ends.
func chainEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// Close implements net.Conn.
func (m *mortal) Close() error {
	m.timer.Stop()
	return m.Conn.Close()
}
