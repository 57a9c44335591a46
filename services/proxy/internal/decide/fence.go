package decide

import (
	"sync"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
)

// Fence knows the highest epoch seen and since when it is confirmed: policy and
// revocations together, each catalog by itself. Safe for concurrent use.
type Fence struct {
	clock sys.Clock
	bound time.Duration

	mu sync.RWMutex
	// policy, revocation and catalog are the highest seen, component by
	// component; they never go back.
	policy, revocation uint64
	catalog            map[string]uint64
	// confirmed is the latest moment at which a source is known to have stood at
	// exactly the highest policy and revocation seen, catalogs the same for each
	// catalog. They go back to zero when what they speak of rises.
	confirmed time.Time
	catalogs  map[string]time.Time
	// moved is when a statement that changes a catalog was last seen to have been
	// committed through this proxy, by database. What is older is not used.
	moved map[string]time.Time
	// read is up to when the catalog is known to have been read, whatever was found.
	read map[string]time.Time
}

// Confirmation says up to which moments a source is known to have stood at an
// epoch. The zero time, and a database that is not there, confirm nothing.
type Confirmation struct {
	// Shared is for policy and revocations.
	Shared time.Time
	// Catalogs are by database.
	Catalogs map[string]time.Time
}

// NewFence returns a fence with the staleness bound.
func NewFence(clock sys.Clock, bound time.Duration) *Fence {
	return &Fence{clock: clock, bound: bound, catalog: make(map[string]uint64), catalogs: make(map[string]time.Time),
		moved: make(map[string]time.Time), read: make(map[string]time.Time)}
}

// Move notes that the catalog of a database has just been changed: what was decided by
// one that was read before is of no use any more, in any session.
func (f *Fence) Move(database string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved[database] = f.clock.Now()
}

// Moved reports whether the catalog of a database was changed, and nobody is known to have
// read it since: a decision from one that is read now is to be asked for.
func (f *Fence) Moved(database string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return later(f.read[database], f.catalogs[database]).Before(f.moved[database])
}

// Read notes when the catalog that a decision was made by is known to have been read.
func (f *Fence) Read(d *Decision, database string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read[database] = later(f.read[database], d.catalogAsOf())
}

// Outrun reports whether the catalog that a decision was made by may have been read
// before the last change.
func (f *Fence) Outrun(d *Decision, database string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	asOf := d.catalogAsOf()
	if d.Epoch.GetCatalog()[database] == f.catalog[database] {
		asOf = later(asOf, f.catalogs[database])
	}
	return asOf.Before(f.moved[database])
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
	current := true
	raise := func(have *uint64, v uint64) (rose bool) {
		if v < *have {
			current = false
		}
		rose = v > *have
		*have = max(*have, v)
		return rose
	}
	policy, revocation := raise(&f.policy, e.GetPolicy()), raise(&f.revocation, e.GetRevocation())
	if policy || revocation {
		f.confirmed = time.Time{}
	}
	for db, v := range e.GetCatalog() {
		have := f.catalog[db]
		if raise(&have, v) {
			delete(f.catalogs, db)
		}
		f.catalog[db] = have
	}
	return current
}

// Confirm records that a source stood at e up to the moments of c. What is behind
// in one component says nothing about that one.
func (f *Fence) Confirm(e *authzv1.Epoch, c Confirmation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observe(e)
	if e.GetPolicy() == f.policy && e.GetRevocation() == f.revocation && c.Shared.After(f.confirmed) {
		f.confirmed = c.Shared
	}
	for db, asOf := range c.Catalogs {
		if v, ok := e.GetCatalog()[db]; ok && v == f.catalog[db] && asOf.After(f.catalogs[db]) {
			f.catalogs[db] = asOf
		}
	}
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

// Catalog is the highest epoch seen of a database's catalog.
func (f *Fence) Catalog(database string) uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.catalog[database]
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
	// Each fact is as young as the younger of what the decision itself and the watch
	// know of it, and the decision as old as the older fact.
	catalog := later(d.catalogAsOf(), f.catalogs[database])
	return f.young(later(d.AsOf, f.confirmed), now) && f.young(catalog, now) && !catalog.Before(f.moved[database])
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// young reports whether what was known at a moment is within the bound. Called with
// mu held.
func (f *Fence) young(asOf, now time.Time) bool {
	return !asOf.IsZero() && !now.After(asOf.Add(f.bound))
}

// Fresh reports whether the watch has confirmed, within the staleness bound, policy
// and revocations and the catalog of one database at least: else nothing can be
// decided anywhere.
func (f *Fence) Fresh() bool {
	now := f.clock.Now()
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.young(f.confirmed, now) {
		return false
	}
	for _, asOf := range f.catalogs {
		if f.young(asOf, now) {
			return true
		}
	}
	return false
}
