package decide_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

// standing is a clock that is moved by hand.
type standing struct {
	sys.Clock
	now time.Time
}

func (c *standing) Now() time.Time { return c.now }

// TestMove: once a catalog was changed, only what was read since is used of it, be it the
// decision itself or what the watch knows of its epoch; of another database's, nothing
// changes.
func TestMove(t *testing.T) {
	clock := &standing{now: time.Unix(1000, 0)}
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	fence := decide.NewFence(clock, time.Hour)
	epoch := func(app uint64) *authzv1.Epoch {
		return &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{"app": app, "other": 1}}
	}
	made := func(app uint64, s int) *decide.Decision {
		return &decide.Decision{Verdict: authzv1.Verdict_VERDICT_ALLOW, Epoch: epoch(app), AsOf: at(s), Expires: at(3600)}
	}
	fence.Confirm(epoch(1), decide.Confirmation{Shared: at(0), Catalogs: map[string]time.Time{"app": at(0), "other": at(0)}})
	want := func(what string, d *decide.Decision, database string, holds, outrun, moved bool) {
		t.Helper()
		if h, o, m := fence.Holds(d, database), fence.Outrun(d, database), fence.Moved(database); h != holds || o != outrun || m != moved {
			t.Errorf("%s: holds %t, outrun %t, moved %t", what, h, o, m)
		}
	}
	old := made(1, 0)
	want("before", old, "app", true, false, false)
	clock.now = at(10)
	fence.Move("app")
	want("changed", old, "app", false, true, true)
	want("another database", old, "other", true, false, false)
	want("made since", made(1, 10), "app", true, false, true)
	fence.Confirm(epoch(1), decide.Confirmation{Catalogs: map[string]time.Time{"app": at(9)}})
	want("read before the change", old, "app", false, true, true)
	fence.Confirm(epoch(1), decide.Confirmation{Catalogs: map[string]time.Time{"app": at(10)}})
	want("read since, and the same", old, "app", true, false, false)
	clock.now = at(20)
	fence.Move("app")
	fence.Confirm(epoch(2), decide.Confirmation{Catalogs: map[string]time.Time{"app": at(21)}})
	want("read since, and another", old, "app", false, true, false)
	want("made of the other", made(2, 15), "app", true, false, false)
	clock.now = at(30)
	fence.Move("app")
	fence.Read(made(2, 29), "app")
	want("read too early", made(2, 30), "app", true, false, true)
	fence.Read(made(2, 30), "app")
	want("read", made(2, 30), "app", true, false, false)
	want("read, and made before", made(2, 29), "app", false, true, false)
	younger := made(2, 29)
	younger.CatalogAsOf = at(30)
	want("read, and made by a policy of before", younger, "app", true, false, false)
}

// TestFreshAnswersSettle: an answer from a catalog that was read since the change is good
// for the other sessions as well.
func TestFreshAnswersSettle(t *testing.T) {
	l := &liar{}
	l.answer = func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		resp := allow(req)
		resp.Epoch = &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{req.GetContext().GetDatabase(): 1}}
		return []*authzv1.AuthorizeResponse{resp}
	}
	fence := decide.NewFence(sys.OS().Clock, time.Hour)
	r := remote(t, l, fence)
	for _, fresh := range []bool{false, true} {
		req := request("SELECT 1")
		fence.Move(req.Context.GetDatabase())
		req.Fresh = fresh
		if _, err := r.Authorize(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if moved := fence.Moved(req.Context.GetDatabase()); moved == fresh {
			t.Errorf("asked for a fresh one %t: still unsettled %t", fresh, moved)
		}
	}
}

// TestFreshAnswersAreNotOutrun: the answer to a request for a catalog that is read anew is
// none of before the request, however old the policy is that it was made by too.
func TestFreshAnswersAreNotOutrun(t *testing.T) {
	l := &liar{}
	l.answer = func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		resp := allow(req)
		resp.Age = durationpb.New(time.Minute)
		resp.Epoch = &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{req.GetContext().GetDatabase(): 1}}
		return []*authzv1.AuthorizeResponse{resp}
	}
	fence := decide.NewFence(sys.OS().Clock, 30*time.Second)
	r := remote(t, l, fence)
	for _, fresh := range []bool{false, true} {
		req := request("SELECT 1")
		fence.Move(req.Context.GetDatabase())
		req.Fresh = fresh
		d, err := r.Authorize(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if outrun := fence.Outrun(d, req.Context.GetDatabase()); outrun == fresh {
			t.Errorf("asked for a fresh one %t: outrun %t", fresh, outrun)
		}
		if fence.Holds(d, req.Context.GetDatabase()) {
			t.Errorf("asked for a fresh one %t: it holds with a policy of a minute ago", fresh)
		}
	}
}
