package session

import (
	"slices"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

// The server keeps what the names of a prepared statement mean until something it uses
// changes, or search_path does (RevalidateCachedQuery, plancache.c). An object that has
// come to be since and would be found first is none of that: the statement goes on
// reading the old one, while it is judged by the new. So do functions that keep plans,
// from PostgreSQL 18 on those in SQL as well. DISCARD PLANS makes the server read all of
// them anew when they are next used, with all the rules of its own for what that finds.

// basis is what names are looked up in.
type basis struct {
	catalog uint64
	digest  string
}

// keepsPlans is the first version whose functions in SQL keep plans.
const keepsPlans = 180000

// basisOf is what the decision on a unit was made by.
func (s *Session) basisOf(u *unit, d *decide.Decision) basis {
	return basis{d.Epoch.GetCatalog()[s.p.Context.GetDatabase()], u.view.digest}
}

// replan makes the server look up the names of what it keeps plans of at least as late
// as the decision did that a unit is about to be forwarded by.
func (s *Session) replan(u *unit, d *decide.Decision) *answer {
	w := &s.around
	now := s.basisOf(u, d)
	if w.own.plans == now {
		return nil
	}
	held, _ := s.names.Held()
	first := w.own.plans == basis{} || w.context.GetServerVersionNum() < keepsPlans
	if first && held == 0 {
		w.own.plans = now
		return nil
	}
	if !slices.ContainsFunc(d.Statements, func(st *authzv1.Statement) bool { return !planless(st.GetKind()) }) {
		return nil
	}
	skipping, err := s.await()
	switch {
	case err != nil:
		return &answer{err: err}
	case skipping:
		s.skipping = true
		return &answer{dropped: true}
	case s.names.Failed():
		// The server uses no plan now.
		return nil
	}
	q := &question{piped: s.piped}
	if err := s.ask(q, "DISCARD PLANS"); err != nil {
		return &answer{err: err}
	}
	skipping, err = s.asked()
	switch {
	case err != nil:
		return &answer{err: err}
	case skipping:
		return &answer{dropped: true}
	}
	if _, err := q.result(); err != nil {
		return s.unasked(u, "the server's plans could not be dropped")
	}
	w.own.plans = now
	return nil
}

// planless reports whether statements of a kind use no plan that was made before. Some
// of them must come before the first snapshot of their transaction, which DISCARD PLANS
// would take; whatever else uses one at once.
func planless(kind string) bool {
	switch kind {
	case "begin", "commit", "rollback", "savepoint", "release", "rollback to", "set", "reset", "show", "set constraints", "lock",
		"listen", "unlisten", "notify", "deallocate", "close", "discard all", "discard plans", "discard temp", "discard sequences":
		return true
	default:
		return false
	}
}
