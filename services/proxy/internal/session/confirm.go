package session

import (
	"context"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// Some issuers are asked about their tokens from time to time. The session asks authz
// for it while it is open, whether it is at work or idle: so it ends when its token is
// not active any more, and no statement waits for the issuer.

// Standing is what authz says of an open session's token.
type Standing struct {
	// Ended says that the session is over.
	Ended bool
	// Next is after how long to ask again, 0 for never.
	Next time.Duration
	// Expires is when the token's life ends, on the machine's clock; zero: as it was known.
	Expires time.Time
}

// confirming is the token as the goroutine that asks for it has it.
type confirming struct {
	// changed holds one token when there is another.
	changed chan struct{}

	mu    sync.Mutex
	token secret.Bytes
	next  time.Duration
}

func newConfirming(token secret.Bytes, next time.Duration) *confirming {
	c := &confirming{changed: make(chan struct{}, 1)}
	c.renew(token, next)
	return c
}

// renew takes another token, which it copies where it will be asked about.
func (c *confirming) renew(token secret.Bytes, next time.Duration) {
	c.mu.Lock()
	c.token.Wipe()
	c.token, c.next = secret.Bytes{}, next
	if next > 0 {
		c.token = token.Clone()
	}
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// current is a copy of the token, which the caller wipes, and when to ask about it.
func (c *confirming) current() (secret.Bytes, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token.Clone(), c.next
}

// confirmer asks about the session's token until the session ends.
func (s *Session) confirmer(ctx context.Context) End {
	defer s.confirming.renew(secret.Bytes{}, 0)
	var timer sys.Timer
	var due <-chan time.Time
	wait := func(next time.Duration) {
		if timer != nil {
			timer.Stop()
		}
		timer, due = nil, nil
		if next > 0 {
			timer = s.System.Clock.NewTimer(next)
			due = timer.C()
		}
	}
	defer wait(0)
	for {
		select {
		case <-ctx.Done():
			return ""
		case <-s.confirming.changed:
			token, next := s.confirming.current()
			token.Wipe()
			wait(next)
			continue
		case <-due:
		}
		if s.life.phase(s.System.Clock.Now()) != phaseLiving {
			continue // Another token brings its own time.
		}
		// A new token comes first and then its life, so that a token read behind a number is
		// that number's or a later one, and what is said of one is not believed of another.
		number := s.life.number()
		token, _ := s.confirming.current()
		standing := s.Confirm(ctx, token)
		token.Wipe()
		if !standing.Ended && !standing.Expires.IsZero() {
			s.life.move(number, standing.Expires)
		}
		if standing.Ended && !s.replaced() {
			s.Revoke()
			return ""
		}
		wait(standing.Next)
	}
}

// replaced reports whether the session has been given another token, and leaves it to be
// found.
func (s *Session) replaced() bool { return len(s.confirming.changed) > 0 }
