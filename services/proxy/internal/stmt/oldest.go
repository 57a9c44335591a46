package stmt

import (
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// What the server has not answered yet it may be working on, may be waiting for somebody
// for, or may have answered into its buffer: of the extended protocol it tells nothing
// before a Flush or Sync.

// Oldest returns the message that the next answer belongs to, nil for none; since when it
// is the oldest that is not answered, which is when the server came to it; and whether
// the server was asked for the answer, or has begun to copy without that.
func (t *Tracker[P]) Oldest() (op *Op[P], since time.Time, asked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil, time.Time{}, false
	}
	op = t.queue[0]
	return op, t.since, t.asked > t.popped || op.copying != copyNone
}

// Idle is how many messages have been pushed, and whether all of them are answered and
// no transaction is open behind them, as far as the server has said.
func (t *Tracker[P]) Idle() (pushed uint64, idle bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pushed, len(t.queue) == 0 && t.status == wire.StatusIdle
}

// Asked notes that the server was sent a Flush. A Query, FunctionCall or Sync asks by
// itself.
func (t *Tracker[P]) Asked() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = t.pushed
}

// began notes that another message is the oldest now. Called with mu held.
func (t *Tracker[P]) began() {
	if t.Now != nil {
		t.since = t.Now()
	}
}

// Unanswered calls visit with every message that was not answered when the session ended.
// Call it once, when neither side runs any more. visit must not call the tracker.
func (t *Tracker[P]) Unanswered(visit func(*Op[P])) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.queue {
		visit(o)
	}
}
