package proxy

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// paces is how fast each principal may be: over its rate, whoever does something waits
// before the next thing. So nobody's statements take authz, and nobody's denials the
// spool, from the others; whoever guesses what there is, guesses slowly. Safe for
// concurrent use.
//
// A principal is known while it has sessions, and after them until it has its whole burst
// again: who logs in anew starts no faster.
type paces struct {
	perSecond, burst int
	mu               sync.Mutex
	known            map[string]*pace
}

// pace is a principal's.
type pace struct {
	limiter  *rate.Limiter
	sessions int
}

func newPaces(perSecond int) *paces {
	return &paces{perSecond: perSecond, burst: burstSeconds * perSecond, known: make(map[string]*pace)}
}

// burstSeconds is how many seconds' worth may be done at once.
const burstSeconds = 10

// enter begins a session of a principal, at a time by the clock that the session goes by.
// It returns how the session counts, and leave ends it.
func (p *paces) enter(principal string, now time.Time) (count func(time.Time) time.Duration, leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of, ok := p.known[principal]
	if !ok {
		p.sweep(now)
		of = &pace{limiter: rate.NewLimiter(rate.Limit(p.perSecond), p.burst)}
		p.known[principal] = of
	}
	of.sessions++
	count = func(now time.Time) time.Duration { return of.limiter.ReserveN(now, 1).DelayFrom(now) }
	leave = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		of.sessions--
	}
	return count, leave
}

// sweep forgets who has no session and its whole burst.
func (p *paces) sweep(now time.Time) {
	for principal, of := range p.known {
		if of.sessions == 0 && of.limiter.TokensAt(now) >= float64(p.burst) {
			delete(p.known, principal)
		}
	}
}
