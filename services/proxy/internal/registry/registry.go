// Package registry knows the open sessions by their tokens, ends those whose tokens
// are revoked, and asks all of them to end when the proxy stops.
//
// A session enters with the number of revocations that its token was judged by, and is
// held against those that have come since: a revocation ends it whether it comes before or
// after it entered. Applied is the number up to which that is done, and nothing more is
// forwarded for any session that it ends. Safe for concurrent use.
package registry

import (
	"sync"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/revocation"
)

// Session is an open session.
type Session interface {
	// Revoke ends the session. When it returns nothing more is forwarded for it. It may be
	// called more than once, and on any goroutine.
	Revoke()
	// Drain asks the session to end when it is idle. It does not block, and may be called
	// more than once, and on any goroutine.
	Drain()
}

// keptRecent is how many revocations are kept for sessions that are about to enter. A
// login that takes longer than so many revocations is refused.
const keptRecent = 4096

// Registry is all open sessions of a proxy.
type Registry struct {
	mu   sync.Mutex
	open map[*Entry]struct{}
	// recent are the last revocations, by ascending number; those up to forgotten are not
	// among them any more. applied is the last one that no session is left of.
	recent    []*authzv1.Revocation
	forgotten uint64
	applied   uint64
	// draining says that sessions are to end.
	draining bool
}

// Entry is one session's.
type Entry struct {
	registry *Registry
	session  Session
	// token is guarded by the registry's mu.
	token revocation.Token
}

// New returns an empty registry.
func New() *Registry { return &Registry{open: make(map[*Entry]struct{})} }

// Enter takes a session whose token was judged by all revocations up to asOf. It reports
// false when the token has been revoked since, or nobody knows. The caller leaves.
func (r *Registry) Enter(s Session, t revocation.Token, asOf uint64) (*Entry, bool) {
	e := &Entry{registry: r, session: s}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[e] = struct{}{}
	if r.draining {
		s.Drain()
	}
	return e, r.standsLocked(e, t, asOf)
}

// Renew gives the session another token; as Enter.
func (e *Entry) Renew(t revocation.Token, asOf uint64) bool {
	e.registry.mu.Lock()
	defer e.registry.mu.Unlock()
	return e.registry.standsLocked(e, t, asOf)
}

// Drain asks all sessions to end when they are idle, and those that enter from now on.
func (r *Registry) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
	for e := range r.open {
		e.session.Drain()
	}
}

// Leave ends the entry.
func (e *Entry) Leave() {
	e.registry.mu.Lock()
	defer e.registry.mu.Unlock()
	delete(e.registry.open, e)
}

func (r *Registry) standsLocked(e *Entry, t revocation.Token, asOf uint64) bool {
	e.token = t
	if asOf < r.forgotten {
		return false
	}
	for _, rev := range r.recent {
		if rev.GetNumber() > asOf && revocation.Matches(rev, t) {
			return false
		}
	}
	return true
}

// Apply ends the sessions that revocations match, and returns when nothing more is
// forwarded for them. Revocations that come again change nothing.
func (r *Registry) Apply(revocations []*authzv1.Revocation) {
	if len(revocations) == 0 {
		return
	}
	var ended []Session
	last := uint64(0)
	r.mu.Lock()
	for _, rev := range revocations {
		last = max(last, rev.GetNumber())
		if n := len(r.recent); n == 0 || r.recent[n-1].GetNumber() < rev.GetNumber() {
			r.recent = append(r.recent, rev)
		}
		for e := range r.open {
			if revocation.Matches(rev, e.token) {
				ended = append(ended, e.session)
			}
		}
	}
	if extra := len(r.recent) - keptRecent; extra > 0 {
		r.forgotten = r.recent[extra-1].GetNumber()
		r.recent = append([]*authzv1.Revocation(nil), r.recent[extra:]...)
	}
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range ended {
		wg.Go(s.Revoke)
	}
	wg.Wait()
	r.mu.Lock()
	r.applied = max(r.applied, last)
	r.mu.Unlock()
}

// Applied is the number of the last revocation of which no session is left.
func (r *Registry) Applied() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied
}
