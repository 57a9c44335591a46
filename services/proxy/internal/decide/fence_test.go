package decide_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/registry"
)

// hands is a clock that stands until it is moved.
type hands struct {
	sys.Clock
	now time.Time
}

func (h *hands) Now() time.Time { return h.now }

// seen is one thing the fence was told: an epoch, and when a source is known to
// have stood at each component of it, as far as it is.
type seen struct {
	epoch *authzv1.Epoch
	known decide.Confirmation
}

const bound = time.Second

// holds is the rule of invariant 8 said over the whole history: the decision's
// components are the highest ever seen, its TTL has not run out, and of policy and
// revocations, and of the catalog of its database, it or a source that stood at
// exactly the highest is known from within the bound.
func holds(history []seen, d *decide.Decision, database string, now time.Time) bool {
	type shared struct{ policy, revocation uint64 }
	highest, catalog := shared{}, uint64(0)
	known, knownCatalog := d.AsOf, d.AsOf
	for _, s := range history {
		own := shared{s.epoch.GetPolicy(), s.epoch.GetRevocation()}
		before, beforeCatalog := highest, catalog
		highest = shared{max(highest.policy, own.policy), max(highest.revocation, own.revocation)}
		catalog = max(catalog, s.epoch.GetCatalog()[database])
		if highest != before {
			// What was confirmed before speaks of an older epoch.
			known = d.AsOf
		}
		if catalog != beforeCatalog {
			knownCatalog = d.AsOf
		}
		if own == highest && s.known.Shared.After(known) {
			known = s.known.Shared
		}
		if v, there := s.epoch.GetCatalog()[database]; there && v == catalog && s.known.Catalogs[database].After(knownCatalog) {
			knownCatalog = s.known.Catalogs[database]
		}
	}
	return d.Epoch != nil && shared{d.Epoch.GetPolicy(), d.Epoch.GetRevocation()} == highest &&
		d.Epoch.GetCatalog()[database] == catalog && now.Before(d.Expires) &&
		now.Sub(known) <= bound && now.Sub(knownCatalog) <= bound
}

// databases are those of the test: the first two have catalogs, the third never has.
var databases = []string{"app", "other", "unknown"}

func epochs(t *rapid.T) *authzv1.Epoch {
	e := &authzv1.Epoch{Policy: uint64(rapid.IntRange(1, 2).Draw(t, "policy")), Revocation: uint64(rapid.IntRange(0, 1).Draw(t, "revocation"))}
	for _, db := range databases[:2] {
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
// confirmation of an epoch that is behind or incomplete counts, when that of one
// database or of policy alone counts for another, when the TTL is not looked at or
// starts anew at each use.
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
			e, known := epochs(t), decide.Confirmation{Catalogs: map[string]time.Time{}}
			if rapid.Bool().Draw(t, "of policy") {
				known.Shared = clock.now.Add(-span.Draw(t, "age"))
			}
			for _, db := range databases {
				// A source may speak of a database that its epoch does not have.
				if rapid.Bool().Draw(t, "of "+db) {
					known.Catalogs[db] = clock.now.Add(-span.Draw(t, "age of "+db))
				}
			}
			f.Confirm(e, known)
			history = append(history, seen{e, known})
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
			for _, db := range databases {
				if got, want := f.Holds(d, db), holds(history, d, db, clock.now); got != want {
					t.Fatalf("decision of %v for %s as of %v holds: %v, want %v", d.Epoch, db, clock.now.Sub(d.AsOf), got, want)
				}
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
	w := decide.NewWatcher((&liar{watch: watch}).connect(t), fence, registry.New(), "proxy-1", bound/2, sys.OS().Clock, discard())
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
	epoch := &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{"app": 1}}
	ages := func(policy, app time.Duration) *authzv1.SourceAges {
		return &authzv1.SourceAges{Policy: durationpb.New(policy), Catalog: map[string]*durationpb.Duration{"app": durationpb.New(app)}}
	}
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
		"each source by itself": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(time.Hour), Ages: ages(0, 0), Answers: r.GetSequence()}
		}, fresh: true},
		"an old policy": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0), Ages: ages(bound, 0), Answers: r.GetSequence()}
		}},
		"an old catalog": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0), Ages: ages(0, bound), Answers: r.GetSequence()}
		}},
		"a negative age of a catalog": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0), Ages: ages(0, -time.Hour), Answers: r.GetSequence()}
		}},
		"no ages of any": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(0), Ages: &authzv1.SourceAges{}, Answers: r.GetSequence()}
		}},
		"no catalog": {reply: func(r *authzv1.WatchRequest) *authzv1.WatchResponse {
			return &authzv1.WatchResponse{Epoch: &authzv1.Epoch{Policy: 1}, Age: durationpb.New(0), Ages: ages(0, 0), Answers: r.GetSequence()}
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
				if err := stream.Send(&authzv1.WatchResponse{Epoch: &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{"app": 1}}, Age: durationpb.New(0), Answers: req.GetSequence()}); err != nil {
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

// A database that authz cannot read makes no decision about another short-lived, and
// its own end with the bound.
func TestOneDatabaseOutOfReachHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := sys.OS().Clock
		fence := decide.NewFence(clock, bound)
		gone := time.Now()
		watching(t, fence, func(stream authzv1.AuthorizationService_WatchServer) error {
			for {
				req, err := stream.Recv()
				if err != nil {
					return err
				}
				age := time.Since(gone)
				resp := &authzv1.WatchResponse{
					Epoch: &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{"app": 1, "gone": 1, "lost": 1}},
					Age:   durationpb.New(age), Answers: req.GetSequence(),
					Ages: &authzv1.SourceAges{Policy: durationpb.New(0), Catalog: map[string]*durationpb.Duration{
						"app": durationpb.New(0), "gone": durationpb.New(age)}},
				}
				if err := stream.Send(resp); err != nil {
					return err
				}
			}
		})
		made := func(db string) *decide.Decision {
			return &decide.Decision{Verdict: authzv1.Verdict_VERDICT_ALLOW, AsOf: gone, Expires: gone.Add(time.Hour),
				Epoch: &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{db: 1}}}
		}
		app, away, lost, never := made("app"), made("gone"), made("lost"), made("never")
		time.Sleep(bound / 2)
		synctest.Wait()
		for db, d := range map[string]*decide.Decision{"app": app, "gone": away, "lost": lost} {
			if !fence.Holds(d, db) {
				t.Errorf("%s: a decision does not hold within the bound", db)
			}
		}
		if fence.Holds(never, "never") {
			t.Error("a decision holds of a catalog that no source has")
		}
		time.Sleep(10 * bound)
		synctest.Wait()
		if !fence.Holds(app, "app") || !fence.Fresh() {
			t.Error("one database holds up another")
		}
		if fence.Holds(away, "gone") || fence.Holds(lost, "lost") {
			t.Error("a decision outlives what is known of its database")
		}
	})
}
