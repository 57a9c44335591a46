// Package stmt follows one session's messages through the server: which message
// an answer belongs to, which statements and portals exist, and what an error
// skips.
//
// The frontend side pushes an Op for every message it forwards, before it
// forwards it; the backend side takes Ops off again as answers arrive. An answer
// that the oldest Op cannot have is a desync, and ends the session.
//
// # Names
//
// Statements and portals exist at the server once ParseComplete and BindComplete
// say so; those are `confirmed`. Ahead of the answers the frontend side looks
// through an overlay of what it has pushed since the last Sync, and may take all
// of it as done: had any of it failed, the server would skip everything up to the
// Sync, and so whatever the look-up is for. What was pushed before that Sync and
// is still unanswered may have failed on its own, so a look-up of such a name
// waits for the answer. A Parse under a name that exists never reaches
// `confirmed`, because it never gets a ParseComplete. (PostgreSQL documentation,
// "Message Flow", Extended Query and Pipelining; tcop/postgres.c,
// ignore_till_sync.)
//
// Portals are dropped when ReadyForQuery says idle. Between transactions' ends
// and that message `confirmed` may hold portals that are gone already; naming
// one of those is an error at the server, never another statement.
package stmt

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// maxInFlight bounds the unanswered messages of a session. Each is answered by
// five bytes at least, of which the server holds back at most its send buffer of
// 8 KiB (libpq/pqcomm.c, PQ_SEND_BUFFER_SIZE), so a session that waits here is
// never waited for in turn.
const maxInFlight = 16384

var (
	// ErrDesync means that the server's answers do not fit what was sent.
	ErrDesync = errors.New("the server's answers do not fit the messages sent")
	// ErrEnded means that the session has ended.
	ErrEnded = errors.New("the session has ended")
)

type entry[P any] struct {
	value  P
	exists bool
	weight int
	// sql says that a statement of SQL has made it, stays that the end of the
	// transaction leaves it.
	sql, stays bool
}

// Tracker follows one session. The methods of the frontend side (Push, Lookup,
// Settle, AwaitCopy, EndCopy and those of names.go) are for one goroutine, those of the
// backend side (Front, Answer) for another.
type Tracker[P any] struct {
	// Skipped, if set before the first Push, is called with each message that the
	// server skips after an error, on the goroutine of either side. It must not
	// call the tracker.
	Skipped func(*Op[P])
	// Now, if set before the first Push, is what Oldest counts by.
	Now func() time.Time

	// overlay is the frontend side's alone.
	overlay map[key]entry[P]

	mu        sync.Mutex
	moved     *sync.Cond
	queue     []*Op[P]
	confirmed map[key]entry[P]
	touched   map[key]int
	// weight is that of the confirmed names and of the messages in the queue.
	weight int
	status byte
	// completed says that a command has completed since the last ReadyForQuery.
	completed bool
	// skipping says that the server skips to a Sync that has not been pushed yet:
	// the messages pushed until then are never answered.
	skipping bool
	// failures counts the errors answered.
	failures uint64
	// pushed and popped count messages that were queued and that left the queue, asked those
	// whose answers the server was asked for. since is when the first of the queue became
	// that.
	pushed, popped, asked uint64
	since                 time.Time
	ended                 bool
}

// NewTracker returns a tracker of a session that is ready for a query.
func NewTracker[P any]() *Tracker[P] {
	t := &Tracker[P]{overlay: make(map[key]entry[P]), confirmed: make(map[key]entry[P]), touched: make(map[key]int),
		status: wire.StatusIdle}
	t.moved = sync.NewCond(&t.mu)
	return t
}

// Push records a message that is about to be forwarded. It waits while too many
// are unanswered.
func (t *Tracker[P]) Push(op *Op[P]) error {
	k, hasName := op.key()
	if err := t.enqueue(op, k, hasName); err != nil {
		return err
	}
	switch {
	case op.Kind == Sync:
		clear(t.overlay)
	case op.Substituted:
		// Nothing of it comes to be, and the rest of the pipeline is skipped.
	case op.Kind == Parse || op.Kind == Bind:
		t.overlay[k] = entry[P]{value: op.Value, exists: true}
	case hasName:
		t.overlay[k] = entry[P]{}
	}
	return nil
}

// enqueue puts a message into the queue, unless the server will skip it.
func (t *Tracker[P]) enqueue(op *Op[P], k key, hasName bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) >= maxInFlight && !t.ended {
		t.moved.Wait()
	}
	switch {
	case t.ended:
		return ErrEnded
	case op.Kind == Sync:
		t.skipping = false
	case t.skipping:
		t.skip(op)
		return nil
	}
	op.queued = true
	if len(t.queue) == 0 {
		t.began()
	}
	t.queue = append(t.queue, op)
	t.pushed++
	if op.Kind == Query || op.Kind == FunctionCall || op.Kind == Sync {
		t.asked = t.pushed
	}
	t.weight += op.Weight
	if hasName {
		t.touched[k]++
	}
	return nil
}

// skip tells that the server skips a message.
func (t *Tracker[P]) skip(op *Op[P]) {
	if t.Skipped != nil {
		t.Skipped(op)
	}
}

// Lookup returns what a name will stand for when the next message reaches the
// server. It may wait for answers to messages before the last Sync.
func (t *Tracker[P]) Lookup(space Space, name string) (P, bool, error) {
	k := named(space, name)
	if e, ok := t.overlay[k]; ok {
		return e.value, e.exists, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.touched[k] > 0 && !t.ended {
		t.moved.Wait()
	}
	e := t.confirmed[k]
	if t.ended {
		return e.value, false, ErrEnded
	}
	return e.value, e.exists, nil
}

// MustWait reports whether Lookup of a name would wait for the server, so that
// the caller can first send what it holds back.
func (t *Tracker[P]) MustWait(space Space, name string) bool {
	k := named(space, name)
	if _, ok := t.overlay[k]; ok {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.touched[k] > 0
}

// Held is how many names exist or are about to, and their weight. A name that is
// being replaced counts twice.
func (t *Tracker[P]) Held() (names, weight int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.confirmed) + len(t.touched), t.weight
}

// InFlight is how many messages are unanswered.
func (t *Tracker[P]) InFlight() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue)
}

// Pushed is how many messages were ever forwarded.
func (t *Tracker[P]) Pushed() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pushed
}

// Popped is how many messages were forwarded and are answered or skipped.
func (t *Tracker[P]) Popped() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.popped
}

// Settle waits until everything that was pushed is answered, which takes a Flush,
// Sync or Query behind it. skipping says that the server skips to the next Sync.
func (t *Tracker[P]) Settle() (skipping bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 && !t.ended {
		t.moved.Wait()
	}
	if t.ended {
		return false, ErrEnded
	}
	return t.skipping, nil
}

// Failures is how many errors the server has answered. skipping says that after the
// last of them it skips what is pushed now, up to the next Sync.
func (t *Tracker[P]) Failures() (errors uint64, skipping bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures, t.skipping
}

// Front is the message that the next answer belongs to, nil for none.
func (t *Tracker[P]) Front() *Op[P] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil
	}
	return t.queue[0]
}

// Status is the transaction state of the last ReadyForQuery.
func (t *Tracker[P]) Status() byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// Failed reports whether the transaction is in the failed state, as seen by the
// message whose answer is being handled: it was at the last ReadyForQuery, and
// nothing has completed since. In that state only the end of the transaction, or
// of the failed part of it, completes.
func (t *Tracker[P]) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status == wire.StatusFailed && !t.completed
}

// Answer takes a backend message (but for notices and statuses, which answer
// nothing) and returns the message it answers. status is ReadyForQuery's byte.
// done says that this was the last of its answers.
func (t *Tracker[P]) Answer(typ, status byte) (op *Op[P], done bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil, false, fmt.Errorf("%w: message %q answers nothing", ErrDesync, typ)
	}
	op = t.queue[0]
	done, ok := fits(op.Kind, op.Space, typ)
	if !ok || !op.fitsCopy(typ) || op.Substituted && typ != wire.ErrorResponse && typ != wire.ReadyForQuery {
		return op, false, fmt.Errorf("%w: message %q answers kind %d", ErrDesync, typ, op.Kind)
	}
	op.moveCopy(typ)
	switch typ {
	case wire.ErrorResponse:
		t.failures++
		t.fail(op)
	case wire.ReadyForQuery:
		if status != wire.StatusIdle && status != wire.StatusActive && status != wire.StatusFailed {
			return op, false, fmt.Errorf("%w: transaction state %q", ErrDesync, status)
		}
		t.ready(op, status)
	case wire.CommandComplete:
		t.completed = true
		op.completed++
		fallthrough
	default:
		if done {
			t.succeed(op)
		}
	}
	t.moved.Broadcast()
	return op, done, nil
}

// pop takes the oldest message off.
func (t *Tracker[P]) pop() {
	op := t.queue[0]
	op.queued = false
	t.queue[0] = nil
	t.queue = t.queue[1:]
	t.popped++
	if len(t.queue) > 0 {
		t.began()
	}
	t.weight -= op.Weight
	if k, ok := op.key(); ok {
		if t.touched[k]--; t.touched[k] == 0 {
			delete(t.touched, k)
		}
	}
}

// succeed applies what a message has done.
func (t *Tracker[P]) succeed(op *Op[P]) {
	k, _ := op.key()
	switch op.Kind {
	case Parse, Bind:
		t.drop(k)
		t.confirmed[k] = entry[P]{value: op.Value, exists: true, weight: op.Weight}
		t.weight += op.Weight
	case Close:
		t.drop(k)
	default:
		// Describe and Execute change no name.
	}
	t.pop()
}

// drop forgets a name.
func (t *Tracker[P]) drop(k key) {
	t.weight -= t.confirmed[k].weight
	delete(t.confirmed, k)
}

// fail applies an error: after one in the extended protocol everything up to the
// next Sync is skipped, simple queries included.
func (t *Tracker[P]) fail(op *Op[P]) {
	if op.Kind == Query || op.Kind == FunctionCall || op.Kind == Sync {
		return
	}
	if op.Kind == Parse && op.Name == "" {
		// The server drops the unnamed statement before it parses the new one
		// (exec_parse_message).
		t.drop(named(Statements, ""))
	}
	t.pop()
	for len(t.queue) > 0 && t.queue[0].Kind != Sync {
		t.skip(t.queue[0])
		t.pop()
	}
	t.skipping = len(t.queue) == 0
}

// ready applies ReadyForQuery.
func (t *Tracker[P]) ready(op *Op[P], status byte) {
	t.status, t.completed = status, false
	if op.Kind == Query {
		t.drop(named(Statements, ""))
	}
	t.pop()
	if status == wire.StatusIdle {
		for k, e := range t.confirmed {
			if k.space == Portals && !e.stays {
				t.drop(k)
			}
		}
	}
}

// End wakes whoever waits; nothing can be pushed any more.
func (t *Tracker[P]) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.moved.Broadcast()
}
