package session_test

import (
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// manual is a clock that the test moves; it stands still otherwise. Deadlines of
// connections and contexts are the machine's.
type manual struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*manualTimer]struct{}
}

func newManual() *manual {
	return &manual{now: sys.OS().Clock.Now(), timers: make(map[*manualTimer]struct{})}
}

// manualTimer is guarded by its clock.
type manualTimer struct {
	clock *manual
	at    time.Time
	c     chan time.Time
	f     func()
}

func (m *manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *manual) NewTimer(d time.Duration) sys.Timer {
	t := &manualTimer{clock: m, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

func (m *manual) AfterFunc(d time.Duration, f func()) sys.Timer {
	t := &manualTimer{clock: m, f: f}
	t.Reset(d)
	return t
}

// Advance moves the clock and fires what is due.
func (m *manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	for t := range m.timers {
		t.fireLocked()
	}
}

func (t *manualTimer) fireLocked() {
	if t.at.After(t.clock.now) {
		return
	}
	delete(t.clock.timers, t)
	if t.f != nil {
		go t.f()
		return
	}
	t.c <- t.clock.now
}

func (t *manualTimer) C() <-chan time.Time { return t.c }

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stopLocked()
}

func (t *manualTimer) stopLocked() bool {
	_, running := t.clock.timers[t]
	delete(t.clock.timers, t)
	select {
	case <-t.c:
	default:
	}
	return running
}

func (t *manualTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	running := t.stopLocked()
	t.at = t.clock.now.Add(d)
	t.clock.timers[t] = struct{}{}
	t.fireLocked()
	return running
}
