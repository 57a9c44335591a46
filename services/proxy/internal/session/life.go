package session

import (
	"sync"
	"time"
)

// Expiry says what becomes of a session at the end of its token's life.
type Expiry struct {
	// Grace is how long the session stays for a new token.
	Grace time.Duration
	// Notice is how long before the end the client is told of it; 0 is never.
	Notice time.Duration
	// Finish lets the statement that runs at the end come to its own. Its transaction is
	// aborted behind it.
	Finish bool
}

// phase is where a token's life stands.
type phase int

// The phases.
const (
	// phaseLiving: the token is good.
	phaseLiving phase = iota
	// phaseGrace: it has expired. A new one is taken, and a transaction may be rolled back.
	phaseGrace
	// phaseOver: the session ends.
	phaseOver
)

// life is the token's, on the monotonic clock. A step of the wall clock moves nothing.
type life struct {
	rules Expiry
	// changed holds one token when the end has moved.
	changed chan struct{}

	mu sync.Mutex
	// expires is guarded by mu, as all that follows.
	expires time.Time
	// acted is the last phase that was acted upon; told that the client was told of the
	// coming end.
	acted phase
	told  bool
	// tokens counts those whose life this was.
	tokens uint64
}

func newLife(expires time.Time, rules Expiry) *life {
	return &life{rules: rules, changed: make(chan struct{}, 1), expires: expires}
}

// phase is that of a moment.
func (l *life) phase(now time.Time) phase {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phaseLocked(now)
}

func (l *life) phaseLocked(now time.Time) phase {
	switch {
	case now.Before(l.expires):
		return phaseLiving
	case now.Before(l.expires.Add(l.rules.Grace)):
		return phaseGrace
	default:
		return phaseOver
	}
}

// enter returns the phase of a moment if it was not acted upon yet, phaseLiving
// otherwise, and the last one that was.
func (l *life) enter(now time.Time) (entered, before phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, before := l.phaseLocked(now), l.acted
	if p <= before {
		return phaseLiving, before
	}
	l.acted = p
	return p, before
}

// lapse reports whether grace has come and was not acted upon yet. Whoever asks acts.
func (l *life) lapse(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acted != phaseLiving || l.phaseLocked(now) != phaseGrace {
		return false
	}
	l.acted = phaseGrace
	return true
}

// next is how long it is to the next phase.
func (l *life) next(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.expires
	if l.acted >= phaseGrace {
		end = end.Add(l.rules.Grace)
	}
	return max(0, end.Sub(now))
}

// renew begins the life of another token.
func (l *life) renew(expires time.Time) {
	l.mu.Lock()
	l.expires, l.acted, l.told = expires, phaseLiving, false
	l.tokens++
	l.mu.Unlock()
	l.wake()
}

// number is that of the token.
func (l *life) number() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens
}

// move moves the end of the life of the token of a number, where its issuer says so. What
// was done at an end that has come stays done.
func (l *life) move(number uint64, expires time.Time) {
	l.mu.Lock()
	moved := l.tokens == number && l.acted == phaseLiving && !l.expires.Equal(expires)
	if moved {
		l.expires = expires
	}
	l.mu.Unlock()
	if moved {
		l.wake()
	}
}

// wake tells who waits for the end.
func (l *life) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// notice is how long the token is still good, if the client is to be told now: once for
// each token.
func (l *life) notice(now time.Time) (left time.Duration, tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left = l.expires.Sub(now)
	if l.told || left <= 0 || left > l.rules.Notice {
		return 0, false
	}
	l.told = true
	return left, true
}
