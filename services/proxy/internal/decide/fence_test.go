package decide_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

// hands is a clock that stands until it is moved.
type hands struct {
	sys.Clock
	now time.Time
}

func (h *hands) Now() time.Time { return h.now }

// seen is one thing the fence was told: an epoch, and when a source is known to
// have stood at it, if it is.
type seen struct {
	epoch *authzv1.Epoch
	asOf  time.Time
}

const bound = time.Second

// holds is the rule of invariant 8 said over the whole history: the decision's
// components are the highest ever seen, its TTL has not run out, and it, or a
// source that stood at exactly the highest epoch, is known from within the bound.
func holds(history []seen, d *decide.Decision, database string, now time.Time) bool {
	var high authzv1.Epoch
	high.Catalog = map[string]uint64{}
	known := d.AsOf
	for _, s := range history {
		before := &authzv1.Epoch{Policy: high.GetPolicy(), Revocation: high.GetRevocation(), Catalog: maps.Clone(high.GetCatalog())}
		high.Policy = max(high.GetPolicy(), s.epoch.GetPolicy())
		high.Revocation = max(high.GetRevocation(), s.epoch.GetRevocation())
		for db, v := range s.epoch.GetCatalog() {
			high.Catalog[db] = max(high.GetCatalog()[db], v)
		}
		same := func(a, b *authzv1.Epoch) bool {
			for db := range high.GetCatalog() {
				if a.GetCatalog()[db] != b.GetCatalog()[db] {
					return false
				}
			}
			return a.GetPolicy() == b.GetPolicy() && a.GetRevocation() == b.GetRevocation()
		}
		if !same(before, &high) {
			// What was confirmed before speaks of an older epoch.
			known = d.AsOf
		}
		complete := true
		for db := range high.GetCatalog() {
			_, there := s.epoch.GetCatalog()[db]
			complete = complete && there
		}
		if !s.asOf.IsZero() && same(s.epoch, &high) && complete && s.asOf.After(known) {
			known = s.asOf
		}
	}
	return d.Epoch != nil && d.Epoch.GetPolicy() == high.GetPolicy() && d.Epoch.GetRevocation() == high.GetRevocation() &&
		d.Epoch.GetCatalog()[database] == high.GetCatalog()[database] && now.Before(d.Expires) && now.Sub(known) <= bound
}

func epochs(t *rapid.T) *authzv1.Epoch {
	e := &authzv1.Epoch{Policy: uint64(rapid.IntRange(1, 2).Draw(t, "policy")), Revocation: uint64(rapid.IntRange(0, 1).Draw(t, "revocation"))}
	for _, db := range []string{"app", "other"} {
		if v := rapid.IntRange(0, 3).Draw(t, db); v > 0 {
			if e.Catalog == nil {
				e.Catalog = map[string]uint64{}
			}
			e.Catalog[db] = uint64(v/3 + 1)
		}
	}
	return e
}

// The fence answers as the rule says, after any history of observations,
// confirmations and time.
//
// Checked by changing the code: it fails when a component is not compared, when
// a lower epoch replaces a higher one, when a rise keeps the confirmation, when a
// confirmation of an epoch that is behind or incomplete counts, when the TTL is
// not looked at or starts anew at each use.
func TestFenceFollowsTheRule(t *testing.T) {
	for range 20 {
		rapid.Check(t, followsTheRule)
	}
}

func followsTheRule(t *rapid.T) {
	clock := &hands{now: time.Unix(1_000_000, 0)}
	f := decide.NewFence(clock, bound)
	var history []seen
	var decisions []*decide.Decision
	span := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 12).Draw(t, "tenths")) * 100 * time.Millisecond
	})
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		switch rapid.IntRange(0, 4).Draw(t, "what") {
		case 0:
			e := epochs(t)
			f.Observe(e)
			history = append(history, seen{epoch: e})
		case 1:
			e, asOf := epochs(t), clock.now.Add(-span.Draw(t, "age"))
			f.Confirm(e, asOf)
			history = append(history, seen{e, asOf})
		case 2:
			d := &decide.Decision{Verdict: authzv1.Verdict_VERDICT_ALLOW, Epoch: epochs(t), AsOf: clock.now.Add(-span.Draw(t, "age")),
				Expires: clock.now.Add(3 * span.Draw(t, "ttl"))}
			f.Observe(d.Epoch)
			history = append(history, seen{epoch: d.Epoch})
			decisions = append(decisions, d)
		default:
			clock.now = clock.now.Add(span.Draw(t, "time"))
		}
		for _, d := range decisions {
			if got, want := f.Holds(d, "app"), holds(history, d, "app", clock.now); got != want {
				t.Fatalf("decision of %v as of %v holds: %v, want %v", d.Epoch, clock.now.Sub(d.AsOf), got, want)
			}
		}
	}
	if f.Holds(nil, "app") || f.Holds(&decide.Decision{Expires: clock.now.Add(time.Hour), AsOf: clock.now}, "app") {
		t.Fatal("nothing holds")
	}
}

// Age and TTL of a decision count from when it was asked for, on this side's
// clock: an answer that was long under way is old when it comes, and no use of it
// makes it last. Checked by counting either from receipt.
func TestDecisionAgesFromItsRequest(t *testing.T) {
	const transit = 400 * time.Millisecond
	for _, tc := range []struct {
		name     string
		age, ttl time.Duration
		holdsFor time.Duration
	}{
		{"by the staleness bound", 0, time.Hour, bound - transit},
		{"with an age of its own", 500 * time.Millisecond, time.Hour, bound - transit - 500*time.Millisecond},
		{"by its TTL", 0, 700 * time.Millisecond, 300*time.Millisecond - 1},
		{"too old on arrival", bound, time.Hour, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := sys.OS().Clock
				fence := decide.NewFence(clock, bound)
				l := &liar{answer: func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
					time.Sleep(transit)
					resp := allow(req)
					resp.Age, resp.Ttl = durationpb.New(tc.age), durationpb.New(tc.ttl)
					return []*authzv1.AuthorizeResponse{resp}
				}}
				r := remote(t, l, fence)
				d, err := r.Authorize(t.Context(), request("SELECT 1"))
				if err != nil {
					t.Fatal(err)
				}
				if tc.holdsFor >= 0 {
					time.Sleep(tc.holdsFor / 2)
					if !fence.Holds(d, "app") {
						t.Error("does not hold from the start")
					}
					time.Sleep(tc.holdsFor - tc.holdsFor/2)
					if !fence.Holds(d, "app") {
						t.Error("does not hold to the end")
					}
					time.Sleep(time.Nanosecond)
				}
				if fence.Holds(d, "app") {
					t.Error("holds for too long")
				}
			})
		})
	}
}

// watching runs a Watcher on a Watch of the test's own.
func watching(t *testing.T, fence *decide.Fence, watch func(authzv1.AuthorizationService_WatchServer) error) {
	t.Helper()
	w := decide.NewWatcher((&liar{watch: watch}).connect(t), fence, "proxy-1", bound/2, sys.OS().Clock, discard())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// A watch confirms by round trips alone, counted from their request: pushes,
// answers to what was not asked, and answers with no or negative age do not.
// Checked by counting from receipt, and by not looking at the age.
func TestWatchConfirmsByRoundTrips(t *testing.T) {
	epoch := &authzv1.Epoch{Policy: 1}
	type reply = func(*authzv1.WatchRequest) *authzv1.WatchResponse
	for name, tc := range map[string]struct {
		reply reply
		fresh bool
		// transit is how long a reply takes; 0 is a tenth of the bound.
		transit time.Duration
	}{
		"round trip": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0), Answers: r.GetSequence()}
		}, fresh: true},
		"counted from the request": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0), Answers: r.GetSequence()}
		}, transit: bound + 100*time.Millisecond},
		"old": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(bound), Answers: r.GetSequence()}
		}},
		"push": {reply: func(*authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0)}
		}},
		"ahead of the question": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0), Answers: r.GetSequence() + 1000}
		}},
		"no age": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Answers: r.GetSequence()}
		}},
		"negative age": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(-time.Hour), Answers: r.GetSequence()}
		}},
		"no epoch": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Age: durationpb.New(0), Answers: r.GetSequence()}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fence := decide.NewFence(sys.OS().Clock, bound)
				watching(t, fence, func(stream authzv1.AuthorizationService_WatchServer) error {
					for {
						req, err := stream.Recv()
						if err != nil {
							return err
						}
						time.Sleep(max(tc.transit, bound/10))
						if err := stream.Send(tc.reply(req)); err != nil {
							return err
						}
					}
				})
				for range 5 {
					time.Sleep(bound / 2)
					synctest.Wait()
					if got := fence.Fresh(); got != tc.fresh {
						t.Fatalf("fresh: %v", got)
					}
				}
			})
		})
	}
}

// A watch that stops answering leaves the fence fresh for the bound, counted from
// the last request that was answered, and a stream that breaks is opened again.
func TestWatchGoesStaleAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fence := decide.NewFence(sys.OS().Clock, bound)
		silentFrom, streams := time.Now().Add(3*time.Second), 0
		watching(t, fence, func(stream authzv1.AuthorizationService_WatchServer) error {
			streams++
			for {
				req, err := stream.Recv()
				if err != nil {
					return err
				}
				if gone := time.Since(silentFrom); gone >= 0 && gone < 5*time.Second {
					return context.Canceled
				}
				if err := stream.Send(&authzv1.WatchResponse{Epoch: &authzv1.Epoch{Policy: 1}, Age: durationpb.New(0), Answers: req.GetSequence()}); err != nil {
					return err
				}
			}
		})
		at := func(since time.Duration) bool {
			time.Sleep(time.Until(silentFrom.Add(since)))
			synctest.Wait()
			return fence.Fresh()
		}
		if !at(-time.Millisecond) || !at(bound/2-2*time.Millisecond) {
			t.Error("not fresh while the last round trip is young")
		}
		if at(bound+time.Millisecond) || at(4*time.Second) {
			t.Error("fresh without a watch")
		}
		if !at(7 * time.Second) {
			t.Error("not fresh again")
		}
		if streams < 3 || streams > 60 {
			t.Errorf("%d streams: reconnecting is bounded", streams)
		}
	})
}
