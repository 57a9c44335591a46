package decide

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
)

// Reconnects of the watch and of the decision stream wait between these bounds,
// so that a flapping authz is not hammered.
const (
	minReconnect = 100 * time.Millisecond
	maxReconnect = time.Second
)

// Watcher keeps a Fence up to date from authz's Watch. One per authz address.
type Watcher struct {
	client   authzv1.AuthorizationServiceClient
	fence    *Fence
	instance string
	interval time.Duration
	lease    time.Duration
	sessions Sessions
	clock    sys.Clock
	log      *slog.Logger
}

// Sessions are the sessions that revocations end. Safe for concurrent use.
type Sessions interface {
	// Apply returns when nothing more is forwarded for sessions that any of them matches.
	Apply(revocations []*authzv1.Revocation)
	// Applied is the number of the last one applied.
	Applied() uint64
}

// NewWatcher returns a watcher that asks once per interval, which should be at
// most half the staleness bound.
func NewWatcher(client authzv1.AuthorizationServiceClient, fence *Fence, sessions Sessions, instance string,
	interval time.Duration, clock sys.Clock, log *slog.Logger,
) *Watcher {
	return &Watcher{client: client, fence: fence, instance: instance, interval: interval, lease: fence.bound, sessions: sessions,
		clock: clock, log: log}
}

// Run watches until ctx ends, reconnecting as needed. It returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	b := backoff{clock: w.clock}
	for ctx.Err() == nil {
		err := w.once(ctx, &b)
		if ctx.Err() != nil {
			return nil
		}
		w.log.Warn("watch of authz ended", "error", err)
		b.wait(ctx)
	}
	return nil
}

// once runs one watch until it fails.
func (w *Watcher) once(ctx context.Context, b *backoff) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.Watch(ctx)
	if err != nil {
		return fmt.Errorf("open watch: %w", err)
	}
	sent := &sentTimes{at: make(map[uint64]time.Time)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	applied := make(chan struct{}, 1)
	wg.Go(func() {
		defer cancel()
		w.ask(ctx, stream, sent, applied)
	})
	for {
		resp, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		b.reset()
		if at, ok := sent.take(resp.GetAnswers()); ok {
			w.fence.Confirm(resp.GetEpoch(), confirmation(resp, at))
		} else {
			w.fence.Observe(resp.GetEpoch())
		}
		// Behind the fence: what was decided before is of no use to anybody any more.
		if len(resp.GetRevocations()) > 0 {
			w.sessions.Apply(resp.GetRevocations())
			select {
			case applied <- struct{}{}:
			default:
			}
		}
	}
}

// confirmation is what an answer to a request that was sent at a moment says of its
// sources.
func confirmation(resp *authzv1.WatchResponse, sent time.Time) Confirmation {
	asOf := func(age *durationpb.Duration) time.Time {
		if !age.IsValid() || age.AsDuration() < 0 {
			return time.Time{}
		}
		return sent.Add(-age.AsDuration())
	}
	c := Confirmation{Catalogs: make(map[string]time.Time, len(resp.GetEpoch().GetCatalog()))}
	ages := resp.GetAges()
	if ages == nil {
		c.Shared = asOf(resp.GetAge())
	} else {
		c.Shared = asOf(ages.GetPolicy())
	}
	for db := range resp.GetEpoch().GetCatalog() {
		if ages == nil {
			c.Catalogs[db] = c.Shared
		} else {
			c.Catalogs[db] = asOf(ages.GetCatalog()[db])
		}
	}
	return c
}

// ask sends a numbered request per interval, and at once when revocations were applied,
// until ctx ends.
func (w *Watcher) ask(ctx context.Context, stream authzv1.AuthorizationService_WatchClient, sent *sentTimes, applied <-chan struct{}) {
	timer := w.clock.NewTimer(0)
	defer timer.Stop()
	for seq := uint64(1); ; seq++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		case <-applied:
		}
		sent.put(seq, w.clock.Now())
		req := &authzv1.WatchRequest{Instance: w.instance, Sequence: seq, Lease: durationpb.New(w.lease),
			Applied: &authzv1.Epoch{Revocation: w.sessions.Applied()}}
		if err := stream.Send(req); err != nil {
			return
		}
		timer.Reset(w.interval)
	}
}

// sentTimes remembers when unanswered requests were sent.
type sentTimes struct {
	mu sync.Mutex
	at map[uint64]time.Time
}

// maxUnanswered bounds sentTimes: with more requests than that unanswered, the
// oldest ones confirm nothing any more.
const maxUnanswered = 64

func (s *sentTimes) put(seq uint64, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[seq] = t
	delete(s.at, seq-maxUnanswered)
}

func (s *sentTimes) take(seq uint64) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.at[seq]
	delete(s.at, seq)
	return t, ok
}

// backoff doubles the wait between attempts.
type backoff struct {
	clock sys.Clock
	next  time.Duration
}

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) wait(ctx context.Context) {
	b.next = min(max(minReconnect, b.next*2), maxReconnect)
	timer := b.clock.NewTimer(b.next)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}
