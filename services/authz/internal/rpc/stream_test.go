package rpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// gate holds every analysis of the text "slow" until it is opened.
func (w *world) gate() (entered <-chan struct{}, open func()) {
	in, gate := make(chan struct{}, 64), make(chan struct{})
	f := func(u Unit, snap *catalog.Snapshot) access.Analysis {
		if string(u.Text) == "slow" {
			in <- struct{}{}
			<-gate
		}
		return realAnalyze(u, snap)
	}
	w.analyze.Store(&f)
	return in, sync.OnceFunc(func() { close(gate) })
}

// TestSlowRequestsDoNotBlockOthers: answers overtake a slow one, on its stream
// and on others.
func TestSlowRequestsDoNotBlockOthers(t *testing.T) {
	w := newWorld(t, nil)
	entered, open := w.gate()
	defer open()
	token := w.token(t, "orders.read")
	stream := w.open(t)
	slow := request(token, "slow")
	slow.RequestId = 100
	stream.send(slow)
	<-entered
	for i := range uint64(20) {
		req := request(token, "SELECT id FROM orders")
		req.RequestId = i
		if got := stream.ask(req); got.GetRequestId() != i || got.GetVerdict() != allow {
			t.Fatalf("%v", got)
		}
	}
	if got := w.ask(t, request(token, "SELECT id FROM orders")); got.GetVerdict() != allow {
		t.Fatalf("%v", got)
	}
	open()
	if got := stream.recv(); got.GetRequestId() != 100 {
		t.Fatalf("%v", got)
	}
}

// TestStreamRequestsAreBounded: beyond its bound a stream waits, and loses
// nothing.
func TestStreamRequestsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.StreamRequests, c.Analyses = 3, 16 })
	entered, open := w.gate()
	defer open()
	token := w.token(t, "orders.read")
	stream := w.open(t)
	for i := range uint64(10) {
		req := request(token, "slow")
		req.RequestId = i
		stream.send(req)
	}
	for range 3 {
		<-entered
	}
	// Another stream's requests run all the while; were there no bound, the first
	// stream's would have entered before this answer came back.
	for range 20 {
		if got := w.ask(t, request(token, "SELECT id FROM orders")); got.GetVerdict() != allow {
			t.Fatalf("%v", got)
		}
	}
	if len(entered) != 0 {
		t.Errorf("%d more entered", len(entered))
	}
	open()
	seen := map[uint64]bool{}
	for range 10 {
		seen[stream.recv().GetRequestId()] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d answers", len(seen))
	}
}

func TestAnswersAfterTheClientsEnd(t *testing.T) {
	w := newWorld(t, nil)
	entered, open := w.gate()
	defer open()
	stream := w.open(t)
	stream.send(request(w.token(t, "orders.read"), "slow"))
	<-entered
	if err := stream.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	open()
	if got := stream.recv(); got.GetVerdict() != failure {
		t.Errorf("%v", got)
	}
	if _, err := stream.stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

// TestStopEndsStreams: the service stops at once, with streams open and a
// request under way; leaks are found by TestMain.
func TestStopEndsStreams(t *testing.T) {
	w := newWorld(t, nil)
	entered, open := w.gate()
	stream := w.open(t)
	stream.send(request(w.token(t, "orders.read"), "slow"))
	<-entered
	watch := w.watch(t)
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.stop()
	}()
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("watch: %v", err)
	}
	open()
	for {
		_, err := stream.stream.Recv()
		if err == nil {
			continue
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("authorize: %v", err)
		}
		break
	}
	<-stopped
	if err := w.server.Watch(watchless{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a watch after the stop: %v", err)
	}
	if err := w.server.Authorize(streamless{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a stream after the stop: %v", err)
	}
}

// streamless is a stream of which only the context is asked.
type streamless struct {
	authzv1.AuthorizationService_AuthorizeServer
}

func (streamless) Context() context.Context { return context.Background() }

// watchless is the same for a watch.
type watchless struct {
	authzv1.AuthorizationService_WatchServer
}

func (watchless) Context() context.Context { return context.Background() }

func (w *world) watch(t *testing.T) authzv1.AuthorizationService_WatchClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	stream, err := w.client.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// next receives until a response fits.
func next(t *testing.T, stream authzv1.AuthorizationService_WatchClient, fits func(*authzv1.WatchResponse) bool) *authzv1.WatchResponse {
	t.Helper()
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if fits(resp) {
			return resp
		}
	}
}

func TestWatch(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Heartbeat = time.Hour })
	stream := w.watch(t)
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if e := first.GetEpoch(); first.GetAnswers() != 0 || e.GetPolicy() != 7 || e.GetCatalog()["app"] != 3 || first.GetAge().AsDuration() > time.Second {
		t.Errorf("%v", first)
	}
	for seq := uint64(1); seq < 5; seq++ {
		if err := stream.Send(&authzv1.WatchRequest{Instance: "p", Sequence: seq}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, stream, func(*authzv1.WatchResponse) bool { return true }); got.GetAnswers() != seq {
			t.Errorf("%v answers %d", got, seq)
		}
	}
	w.setPolicy(t, testPolicy, 8)
	w.server.Changed()
	if got := next(t, stream, func(r *authzv1.WatchResponse) bool { return r.GetEpoch().GetPolicy() == 8 }); got.GetAnswers() != 0 {
		t.Errorf("%v", got)
	}
	w.setCatalog(t, 4, "orders")
	w.server.Changed()
	next(t, stream, func(r *authzv1.WatchResponse) bool { return r.GetEpoch().GetCatalog()["app"] == 4 })

	// What is missing confirms nothing: its age is beyond every bound.
	w.mu.Lock()
	w.snap = nil
	w.mu.Unlock()
	w.server.Changed()
	got := next(t, stream, func(r *authzv1.WatchResponse) bool { return len(r.GetEpoch().GetCatalog()) == 0 })
	if got.GetAge().AsDuration() < 24*365*time.Hour || !got.GetAge().IsValid() {
		t.Errorf("%v", got)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

// TestWatchAgesApart: the age of each source is its own; a database without a
// catalog is not named, and makes nobody else older.
func TestWatchAgesApart(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Databases = []string{"app", "gone"} })
	w.mu.Lock()
	now := w.clock.Now()
	w.policyAt, w.snapAt = now.Add(-time.Second), now.Add(-time.Minute)
	w.mu.Unlock()
	got := w.server.heartbeat(1)
	// The clock goes on: ages are a little more.
	about := func(d *durationpb.Duration, want time.Duration) bool {
		return d.AsDuration() >= want && d.AsDuration() < want+time.Second/2
	}
	if ages := got.GetAges(); !about(ages.GetPolicy(), time.Second) || len(ages.GetCatalog()) != 1 ||
		!about(ages.GetCatalog()["app"], time.Minute) || len(got.GetEpoch().GetCatalog()) != 1 {
		t.Errorf("%v", got)
	}
	if got.GetAge().AsDuration() != math.MaxInt64 {
		t.Errorf("a proxy that knows one age alone takes what is missing for %s old", got.GetAge().AsDuration())
	}
	w.mu.Lock()
	w.policy = nil
	w.mu.Unlock()
	if got := w.server.heartbeat(1).GetAges(); got.GetPolicy().AsDuration() != math.MaxInt64 || !about(got.GetCatalog()["app"], time.Minute) {
		t.Errorf("without a policy: %v", got)
	}
}

func TestWatchHeartbeat(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Heartbeat = time.Millisecond })
	stream := w.watch(t)
	for range 5 {
		if got, err := stream.Recv(); err != nil || got.GetEpoch().GetPolicy() != 7 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	w.clock.advance(time.Minute)
	next(t, stream, func(r *authzv1.WatchResponse) bool { return r.GetAge().AsDuration() >= time.Minute })
}

// TestConcurrentStreams mixes tokens and streams; each answer is for its own
// question.
func TestConcurrentStreams(t *testing.T) {
	w := newWorld(t, nil)
	tokens := []string{w.token(t, "orders.read"), w.token(t)}
	verdicts := []authzv1.Verdict{allow, deny}
	var clients sync.WaitGroup
	for c := range 4 {
		stream := w.open(t)
		clients.Go(func() {
			for i := range uint64(200) {
				which := (uint64(c) + i) % 2
				req := request(tokens[which], "SELECT id FROM orders")
				req.RequestId = i
				if err := stream.stream.Send(req); err != nil {
					t.Error(err)
					return
				}
				got, err := stream.stream.Recv()
				if err != nil {
					t.Error(err)
					return
				}
				sum := sha256.Sum256([]byte("SELECT id FROM orders"))
				if got.GetRequestId() != i || got.GetVerdict() != verdicts[which] || string(got.GetUnitSha256()) != string(sum[:]) {
					t.Errorf("%v", got)
					return
				}
			}
		})
	}
	clients.Wait()
}

func TestNewRefusesBounds(t *testing.T) {
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("a server without bounds was made")
	}
}
