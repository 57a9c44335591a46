package decide

import (
	"sync"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
)

// Fence knows the highest epoch seen and since when it is confirmed. Safe for
// concurrent use.
type Fence struct {
	clock sys.Clock
	bound time.Duration

	mu sync.RWMutex
	// policy, revocation and catalog are the highest seen, component by
	// component; they never go back.
	policy, revocation uint64
	catalog            map[string]uint64
	// confirmed is the latest moment at which a source is known to have stood at
	// exactly the highest epoch seen. It goes back to zero when the epoch rises.
	confirmed time.Time
}

// NewFence returns a fence with the staleness bound.
func NewFence(clock sys.Clock, bound time.Duration) *Fence {
	return &Fence{clock: clock, bound: bound, catalog: make(map[string]uint64)}
}

// Observe raises the highest epoch seen. It reports whether e is at or above it
// in every component: false means that e comes from a source that lags.
func (f *Fence) Observe(e *authzv1.Epoch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.observe(e)
}

func (f *Fence) observe(e *authzv1.Epoch) bool {
	if e == nil {
		return false
	}
	current, rose := true, false
	raise := func(have *uint64, v uint64) {
		switch {
		case v > *have:
			*have, rose = v, true
		case v < *have:
			current = false
		}
	}
	raise(&f.policy, e.GetPolicy())
	raise(&f.revocation, e.GetRevocation())
	for db, v := range e.GetCatalog() {
		have := f.catalog[db]
		raise(&have, v)
		f.catalog[db] = have
	}
	if rose {
		f.confirmed = time.Time{}
	}
	return current
}

// Confirm records that a source stood at e at the moment asOf.
func (f *Fence) Confirm(e *authzv1.Epoch, asOf time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.observe(e) || asOf.Before(f.confirmed) {
		return
	}
	for db := range f.catalog {
		if _, ok := e.GetCatalog()[db]; !ok {
			return
		}
	}
	f.confirmed = asOf
}

// Least is the epoch that an answer for database must be made from.
func (f *Fence) Least(database string) *authzv1.Epoch {
	f.mu.RLock()
	defer f.mu.RUnlock()
	e := &authzv1.Epoch{Policy: f.policy, Revocation: f.revocation}
	if v, ok := f.catalog[database]; ok {
		e.Catalog = map[string]uint64{database: v}
	}
	return e
}

// Holds reports whether a decision made for database may still be used.
func (f *Fence) Holds(d *Decision, database string) bool {
	if d == nil || d.Epoch == nil {
		return false
	}
	now := f.clock.Now()
	if !now.Before(d.Expires) {
		return false
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if d.Epoch.GetPolicy() != f.policy || d.Epoch.GetRevocation() != f.revocation ||
		d.Epoch.GetCatalog()[database] != f.catalog[database] {
		return false
	}
	asOf := d.AsOf
	if f.confirmed.After(asOf) {
		asOf = f.confirmed
	}
	return !now.After(asOf.Add(f.bound))
}

// Fresh reports whether the watch has confirmed the highest epoch within the
// staleness bound.
func (f *Fence) Fresh() bool {
	now := f.clock.Now()
	f.mu.RLock()
	defer f.mu.RUnlock()
	return !f.confirmed.IsZero() && !now.After(f.confirmed.Add(f.bound))
}
