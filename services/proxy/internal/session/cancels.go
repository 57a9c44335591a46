package session

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// cancels are what the client asks to be stopped. A cancel is for what has been asked by
// the time it comes, and takes a while to reach the server, over a connection of its own:
// it must not meet a statement that is sent after it. So it goes only while a message that
// was forwarded before is unanswered, and messages that are read while it is under way wait
// for it. One that comes while the only message is still under judgement goes behind
// that message.
type cancels struct {
	// asked holds one token for a cancel that is wanted.
	asked chan struct{}
	// delivering is held while a cancel is on its way.
	delivering sync.Mutex

	mu sync.Mutex
	// upTo is the number of the last message that had been pushed when a cancel was asked
	// for. Guarded by mu, as all that follows.
	upTo uint64
	// working says that a message has been read, and is not forwarded yet; later that a
	// cancel is for it.
	working, later bool
}

// Cancel asks for what the session runs to be stopped. It does not block. Safe for
// concurrent use.
func (s *Session) Cancel() {
	c := &s.cancels
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working && s.names.InFlight() == 0 {
		c.later = true
		return
	}
	s.askToCancel()
}

// askToCancel wakes the keeper for all that has been forwarded. Called with mu of the
// cancels held.
func (s *Session) askToCancel() {
	s.cancels.upTo = s.names.Pushed()
	select {
	case s.cancels.asked <- struct{}{}:
	default:
	}
}

// take handles a message that has been read, between what cancels need to know of it.
func (s *Session) take(ctx context.Context, msg wire.Message) error {
	s.taken()
	if err := s.lapse(); err != nil {
		return err
	}
	if err := s.message(ctx, msg); err != nil {
		return err
	}
	return s.passedOn()
}

// taken notes that a message has been read, and lets a cancel that is under way arrive
// before it. The frontend goroutine's.
func (s *Session) taken() {
	c := &s.cancels
	c.delivering.Lock()
	c.delivering.Unlock() //nolint:staticcheck // SA2001: whoever delivers is waited for.
	c.mu.Lock()
	c.working = true
	c.mu.Unlock()
}

// passedOn notes that the message has been dealt with, and sends the cancel that came
// meanwhile behind it. The frontend goroutine's.
func (s *Session) passedOn() error {
	c := &s.cancels
	c.mu.Lock()
	later := c.later
	c.working, c.later = false, false
	c.mu.Unlock()
	if !later {
		return nil
	}
	if err := s.flushServer(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.askToCancel()
	return nil
}

// cancel records and delivers a cancel that was asked for. The keeper's.
func (s *Session) cancel(ctx context.Context) {
	if err := s.Spool.AppendLast(s.p.Record.Event(auditv1.EventType_EVENT_TYPE_CANCEL, trace.SpanContext{})); err != nil {
		s.Logger.Error("cancel not recorded", "error", err)
	}
	c := &s.cancels
	c.delivering.Lock()
	defer c.delivering.Unlock()
	c.mu.Lock()
	upTo := c.upTo
	c.mu.Unlock()
	if s.names.Popped() < upTo {
		s.cancelServer(ctx)
	}
}
