package session

import (
	"context"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// A message may take the server as long as the configuration says, and no longer than its
// decision does. Its time begins when the server comes to it and ends with its last
// answer. What is over its time is cancelled, and the client hears what PostgreSQL's own
// statement_timeout says:
//
//   - a statement that runs is cancelled at the server, again and again until it has
//     heard;
//   - a COPY FROM STDIN is cut by a CopyFail, since a server that waits for data hears no
//     cancel (ProcessClientReadInterrupt, tcop/postgres.c);
//   - of messages without a Flush or Sync behind them nobody knows whether they run: the
//     server is asked with a Flush first.
//
// A cancel hits what runs when it comes. No ReadyForQuery goes to the client while one is
// under way, so that a client that waits for its answers never has its next statement
// stopped; of what is sent behind in the same pipeline the next message may be.
//
// A server that does not stop within hungAfter is given up, unless it is the client that
// does not take what it is sent: the server hears a cancel only when it can write again.

const (
	// hungAfter is how long a server may go on with what was cancelled.
	hungAfter = 5 * time.Second
	// leastLook is the least time between two looks, however short a limit is.
	leastLook = 10 * time.Millisecond
)

// watched is what is known of messages over their time.
type watched struct {
	// limit is the configuration's, 0 for none. shortest is the least that has been set by
	// it or by a decision, in nanoseconds: how often the keeper has to look. changed holds
	// one token when that has become less.
	limit    time.Duration
	shortest atomic.Int64
	changed  chan struct{}
	// hurried asks the frontend goroutine for what only it can do.
	hurried atomic.Bool
	// cancelling is held while a cancel is under way for what runs.
	cancelling sync.Mutex
	// over is the message that was found over its time last; cancelled since when it is
	// being cancelled. The keeper's alone, but for reading over.
	over      atomic.Pointer[op]
	cancelled time.Time
}

func newWatched(limit time.Duration) *watched {
	w := &watched{limit: limit, changed: make(chan struct{}, 1)}
	w.shortest.Store(int64(limit))
	return w
}

// limited notes that a message has a limit of its own.
func (w *watched) limited(limit time.Duration) {
	if was := w.shortest.Load(); limit == 0 || was != 0 && was <= int64(limit) {
		return
	}
	w.shortest.Store(int64(limit))
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// stopped reports whether a message is one that was cancelled for its time.
func (w *watched) stopped(o *op) bool { return w.over.Load() == o }

// longestOf is what the decision says of how long a message may take, 0 for nothing.
func longestOf(o *op) time.Duration {
	if att, ok := o.Attachment.(*attachment); ok && att.decision != nil {
		return att.decision.Longest
	}
	return 0
}

// watch looks whether the server is over the time of a message, and acts. It returns when
// to look again, and whether the server is given up. The keeper calls it.
func (s *Session) watch(ctx context.Context) (next time.Duration, hung bool) {
	w := s.watched
	shortest := time.Duration(w.shortest.Load())
	if shortest == 0 {
		return math.MaxInt64, false
	}
	shortest = max(shortest, leastLook)
	o, since, asked := s.names.Oldest()
	if o == nil {
		return shortest, false
	}
	limit := w.limit
	if own := longestOf(o); own != 0 && (limit == 0 || own < limit) {
		limit = own
	}
	now := s.System.Clock.Now()
	switch left := since.Add(limit).Sub(now); {
	case limit == 0:
		return shortest, false
	case left > 0:
		return min(left, shortest), false
	case w.over.Load() != o:
		w.over.Store(o)
		w.cancelled = time.Time{}
		w.hurried.Store(true)
		s.wake()
		if !asked {
			// Perhaps it is done, and the server was not asked to say so.
			return min(cancelAgain, shortest), false
		}
	case !w.cancelled.IsZero() && now.Sub(w.cancelled) >= hungAfter && !s.receiver.busy():
		return 0, true
	}
	if w.cancelled.IsZero() {
		w.cancelled = now
		s.recordOverTime(o)
	}
	s.stopMessage(ctx, o)
	return min(cancelAgain, shortest), false
}

// stopMessage cancels a message if it is still the oldest that is not answered.
func (s *Session) stopMessage(ctx context.Context, o *op) {
	s.watched.cancelling.Lock()
	defer s.watched.cancelling.Unlock()
	if now, _, _ := s.names.Oldest(); now == o {
		s.cancelServer(ctx)
	}
}

// settled takes the ReadyForQuery of a message, behind a cancel that is under way for it.
func (s *Session) settled(status byte) (*op, error) {
	s.watched.cancelling.Lock()
	defer s.watched.cancelling.Unlock()
	o, _, err := s.names.Answer(wire.ReadyForQuery, status)
	return o, err
}

// recordOverTime records that a message is cancelled because it is over its time.
func (s *Session) recordOverTime(o *op) {
	ev := s.p.Record.Event(auditv1.EventType_EVENT_TYPE_CANCEL, trace.SpanContext{})
	ev.Reason, ev.ReasonDetail, ev.Sqlstate = authzv1.Reason_REASON_LIMIT, "the statement is over its time", pgerr.QueryCanceled
	if att, ok := o.Attachment.(*attachment); ok && att.intent != nil {
		ev.StatementId, ev.Follows = att.id[:], att.intent
	}
	if err := s.Spool.AppendLast(ev); err != nil {
		s.Logger.Error("cancel not recorded", "error", err)
	}
}

// hurry does what only the frontend goroutine can, between two messages, for one that is
// over its time.
func (s *Session) hurry() error {
	if !s.watched.hurried.Swap(false) {
		return nil
	}
	if reads, err := s.readsData(); err != nil {
		return err
	} else if reads && s.watched.stopped(s.copying) {
		over := pgerr.OverTime()
		return s.cut(s.missing(over.Code, over.Message))
	}
	if !s.piped {
		return nil
	}
	if err := s.askForAnswers(); err != nil {
		return err
	}
	return s.flushServer()
}

// receiver is the client as the goroutine writes to it that reads the server.
type receiver struct {
	conn    net.Conn
	writing atomic.Bool
}

// Write passes bytes on.
func (r *receiver) Write(b []byte) (int, error) {
	r.writing.Store(true)
	defer r.writing.Store(false)
	return r.conn.Write(b)
}

// busy reports whether the client is being written to, which it is for as long as it
// takes nothing.
func (r *receiver) busy() bool { return r.writing.Load() }
