package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// How often one issuer is asked, beside the regular refresh.
const (
	// demandInterval is the least time between two fetches that unknown kids cause.
	demandInterval = 30 * time.Second
	// unknownFor is how long a kid that a fetch did not bring causes no other one:
	// short, since a token may be here before the set that has its key.
	unknownFor = 60 * time.Second
	// maxUnknown bounds the kids remembered as unknown.
	maxUnknown = 256
	// retryFirst doubles with every failure up to retryMost.
	retryFirst = time.Second
	retryMost  = 15 * time.Second
)

// keySet is one good reading of a key set. It is immutable.
type keySet struct {
	keys []key
	// readAt is when the reading started.
	readAt time.Time
}

// match is what a search for a key came to.
type match int

const (
	// missing: no key of that name. The zero value.
	missing match = iota
	// found: exactly one key.
	found
	// unfit: there is one of that name, for another algorithm.
	unfit
	// ambiguous: the token names no key, and several would do.
	ambiguous
)

// find is the one key of that name which fits the algorithm. A token without kid
// takes the only key that fits; several are never tried in turn.
func (s *keySet) find(c *compact) (key, match) {
	var hit key
	result := missing
	for _, k := range s.keys {
		if c.hasKid && (!k.hasID || k.id != c.kid) {
			continue
		}
		fits := (k.alg == "" || k.alg == c.alg) && agrees(c.alg, k.public)
		switch {
		case fits && result == found:
			return key{}, ambiguous
		case fits:
			hit, result = k, found
		case c.hasKid && result == missing:
			result = unfit
		}
	}
	return hit, result
}

func (s *keySet) holds(print [sha256.Size]byte) bool {
	for i := range s.keys {
		if s.keys[i].print == print {
			return true
		}
	}
	return false
}

// holdsAll reports whether no key of another set is missing.
func (s *keySet) holdsAll(other *keySet) bool {
	for i := range other.keys {
		if !s.holds(other.keys[i].print) {
			return false
		}
	}
	return true
}

// source is an issuer's key set and where it comes from. Safe for concurrent
// use.
type source struct {
	issuer string
	clock  sys.Clock
	log    *slog.Logger
	cfg    Config
	// withdrawn is told that keys have gone from the set.
	withdrawn func() error
	// load reads the document; fresh asks for discovery to be done again.
	load func(ctx context.Context, fresh bool) ([]byte, error)

	// mu guards what follows, and is never held while loading.
	mu sync.Mutex
	// set is the last good one, nil before the first.
	set *keySet
	// gone says that keys have gone from the set, and nobody has been told yet.
	gone bool
	// running is the load under way, nil when there is none.
	running *flight
	// started is when the last load started, failures how many in a row failed.
	started  time.Time
	failures int
	// demanded is when an unknown kid last caused a load; unknown holds kids that a
	// load did not bring, and since when.
	demanded time.Time
	unknown  map[string]time.Time
}

// flight is one load that several callers wait for. err is set before done is
// closed.
type flight struct {
	done chan struct{}
	err  error
}

// current is the last good set unless it is too old.
func (s *source) current() (*keySet, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.currentLocked()
}

func (s *source) currentLocked() (*keySet, bool) {
	if s.set == nil || s.clock.Now().Sub(s.set.readAt) >= s.cfg.MaxAge {
		return nil, false
	}
	return s.set, true
}

// due is when the background refresh should load next.
func (s *source) due() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.started.IsZero():
		return s.clock.Now()
	case s.gone:
		return s.started.Add(retryFirst)
	case s.failures > 0:
		return s.started.Add(min(retryFirst<<min(s.failures-1, 10), retryMost))
	default:
		return s.started.Add(s.cfg.Refresh)
	}
}

// refresh loads the set, or waits for a load under way. The set in force stays
// what it is when the load fails.
func (s *source) refresh(ctx context.Context, fresh bool) error {
	s.mu.Lock()
	if f := s.running; f != nil {
		s.mu.Unlock()
		return f.wait(ctx)
	}
	f := s.startLocked()
	s.mu.Unlock()
	return s.fly(ctx, f, fresh)
}

func (s *source) startLocked() *flight {
	s.running = &flight{done: make(chan struct{})}
	s.started = s.clock.Now()
	return s.running
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the key set: %w", context.Cause(ctx))
	}
}

// fly does the load of a flight that startLocked began, and says when keys have gone.
func (s *source) fly(ctx context.Context, f *flight, fresh bool) error {
	err := s.fetch(ctx, f, fresh)
	s.mu.Lock()
	gone := s.gone
	s.gone = false
	s.mu.Unlock()
	if !gone {
		return err
	}
	s.log.Info("keys are gone from a key set, what was decided by them is decided again", "issuer", s.issuer)
	// Behind the change of the set: who looks at the keys now finds them gone.
	if failed := s.withdrawn(); failed != nil {
		s.log.Error("decisions by keys that are gone could not be ended", "issuer", s.issuer, "error", failed)
		s.mu.Lock()
		s.gone = true
		s.mu.Unlock()
	}
	return err
}

// fetch does the load itself.
func (s *source) fetch(ctx context.Context, f *flight, fresh bool) error {
	// Whatever happens, those who wait are let go.
	f.err = fmt.Errorf("load key set of %s: it did not finish", s.issuer)
	defer func() {
		s.mu.Lock()
		s.running = nil
		s.mu.Unlock()
		close(f.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.FetchTimeout)
	defer cancel()
	doc, err := s.load(ctx, fresh)
	var keys []key
	var d dropped
	if err == nil {
		keys, d, err = readKeys(doc)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failures++
		f.err = fmt.Errorf("load key set of %s: %w", s.issuer, err)
		s.log.Warn("key set could not be loaded", "issuer", s.issuer, "failures", s.failures, "error", err)
		return f.err
	}
	if d.any() {
		s.log.Warn("key set holds keys that are not used", "issuer", s.issuer, "private", d.private,
			"foreign", d.foreign, "broken", d.broken, "duplicate", d.duplicate)
	}
	s.failures = 0
	next := &keySet{keys: keys, readAt: s.started}
	s.gone = s.gone || s.set != nil && !next.holdsAll(s.set)
	s.set = next
	f.err = nil
	return nil
}

// demand loads the set because a token needs a key that is not in it, unless that
// has been tried lately.
func (s *source) demand(ctx context.Context, c *compact) {
	s.mu.Lock()
	for s.running != nil {
		f := s.running
		s.mu.Unlock()
		if f.wait(ctx) != nil {
			return
		}
		s.mu.Lock()
		if _, m := s.set.find(c); m != missing {
			s.mu.Unlock()
			return
		}
		// That load may have begun before the issuer had the key.
	}
	now := s.clock.Now()
	fresh := false
	if _, ok := s.currentLocked(); ok {
		since, tried := s.unknown[c.kid]
		if tried && now.Sub(since) < unknownFor || !s.demanded.IsZero() && now.Sub(s.demanded) < demandInterval {
			s.mu.Unlock()
			return
		}
		s.demanded = now
	} else {
		if !s.started.IsZero() && now.Sub(s.started) < retryFirst {
			s.mu.Unlock()
			return
		}
		fresh = true
	}
	f := s.startLocked()
	s.mu.Unlock()
	// Others wait for this load: it does not end with the client that began it, but
	// with its timeout.
	if s.fly(context.WithoutCancel(ctx), f, fresh) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, m := s.set.find(c); m == missing {
		s.rememberLocked(c.kid, now)
	}
}

func (s *source) rememberLocked(kid string, now time.Time) {
	if len(s.unknown) >= maxUnknown {
		for k, since := range s.unknown {
			if now.Sub(since) >= unknownFor {
				delete(s.unknown, k)
			}
		}
	}
	if len(s.unknown) >= maxUnknown {
		// Forgetting costs one fetch in demandInterval at most.
		clear(s.unknown)
	}
	s.unknown[kid] = now
}
