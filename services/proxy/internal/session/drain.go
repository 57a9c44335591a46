package session

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// A proxy that is asked to stop lets its sessions come to an end by themselves: a
// transaction that is open goes on, and a session that is idle for a moment ends with
// 57P01. A client that works without a pause, one transaction behind the other, is given a
// while, and is then ended between two of them. Nothing that was sent to the server is
// lost: a session ends only where everything is answered.
//
// How long that may take altogether is the proxy's to say, by Run's context.

const (
	// quiet is how long a session has to be idle to be ended: longer than a client needs
	// from its login to its first statement.
	quiet = 500 * time.Millisecond
	// patience is how long a session that works on is not ended.
	patience = 5 * time.Second
)

// drain is a session that is to come to its end.
type drain struct {
	// asked holds one token when the session is to end.
	asked chan struct{}
	// retiring says that it ends as soon as it is idle.
	retiring atomic.Bool
	// since is when it was asked, pushed and seen how many messages there had been when
	// it was looked at last, and when that was. The keeper's alone.
	since  time.Time
	pushed uint64
	seen   time.Time
}

// Drain asks the session to end when it is idle. It does not block, and may be called
// more than once and on any goroutine.
func (s *Session) Drain() {
	select {
	case s.drain.asked <- struct{}{}:
	default:
	}
}

// watchIdle looks whether a session that is to end may. It returns when to look again. The
// keeper calls it.
func (s *Session) watchIdle() time.Duration {
	d := &s.drain
	if d.since.IsZero() || d.retiring.Load() {
		return math.MaxInt64
	}
	now := s.System.Clock.Now()
	pushed, idle := s.names.Idle()
	if !idle || pushed != d.pushed || d.seen.IsZero() {
		d.pushed, d.seen = pushed, now
	}
	if idle && now.Sub(d.seen) >= quiet || now.Sub(d.since) >= patience {
		d.retiring.Store(true)
		s.wake()
		return math.MaxInt64
	}
	return quiet
}

// retires reports whether the session is to end and is idle. The frontend goroutine calls
// it, where it would read.
func (s *Session) retires() bool {
	if !s.drain.retiring.Load() || s.piped || s.skipping || s.reader.Buffered() > 0 {
		return false
	}
	_, idle := s.names.Idle()
	return idle
}

// rested wakes the frontend goroutine of a session that is to end, behind a ReadyForQuery.
func (s *Session) rested(status byte) {
	if status == wire.StatusIdle && s.drain.retiring.Load() {
		s.wake()
	}
}
