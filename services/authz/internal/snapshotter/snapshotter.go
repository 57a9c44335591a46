package snapshotter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Versions numbers a database's catalogs by their digest. It may block while it
// makes a new number durable; an error means that there is no number.
type Versions interface {
	NextCatalog(database string, digest [sha256.Size]byte) (version uint64, err error)
}

// Deps is what a Snapshotter works with.
type Deps struct {
	Sys      sys.System
	Versions Versions
	Log      *slog.Logger
	// Changed is called after a database's snapshot was replaced by one of
	// another version, by the goroutine that read it. It must not block. May be
	// nil.
	Changed func(database string)
}

// Snapshotter keeps the snapshots. Its methods are safe for concurrent use.
type Snapshotter struct {
	databases []*database
	// stopped is closed when Run returns.
	stopped chan struct{}
}

// New checks the configuration. Nothing is dialled before Run.
func New(cfg Config, deps Deps) (*Snapshotter, error) {
	var p config.Problems
	cfg.Validate(&p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	if deps.Sys.Clock == nil || deps.Sys.Net == nil || deps.Sys.FS == nil || deps.Versions == nil || deps.Log == nil {
		return nil, errors.New("a snapshotter needs clock, network, files, versions and log")
	}
	s := &Snapshotter{stopped: make(chan struct{})}
	for _, d := range cfg.Databases {
		s.databases = append(s.databases, &database{
			cfg:          d,
			deps:         deps,
			interval:     cfg.Interval.Or(defaultInterval),
			fullInterval: cfg.FullInterval.Or(defaultFullInterval),
			timeout:      cfg.Timeout.Or(defaultTimeout),
			wake:         make(chan struct{}, 1),
		})
	}
	return s, nil
}

// Run keeps the snapshots until ctx is done. It is called once. A server that
// cannot be reached does not end it. It returns nil.
func (s *Snapshotter) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, d := range s.databases {
		wg.Go(func() { d.run(ctx) })
	}
	wg.Wait()
	close(s.stopped)
	return nil
}

// Current returns the last good snapshot of a database and the moment at which
// the read that it stands for started; the snapshot is what the server had at
// some moment after. ok is false while there is none, and for a database that
// is not served.
func (s *Snapshotter) Current(database string) (snapshot *catalog.Snapshot, readAt time.Time, ok bool) {
	d := s.find(database)
	if d == nil {
		return nil, time.Time{}, false
	}
	h := d.held.Load()
	if h == nil {
		return nil, time.Time{}, false
	}
	return h.snapshot, h.readAt, true
}

// Err says why the last check of a database failed, or returns nil when it did
// not fail.
func (s *Snapshotter) Err(database string) error {
	d := s.find(database)
	if d == nil {
		return errUnknownDatabase
	}
	if f := d.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// errUnknownDatabase is returned for databases that are not configured.
var errUnknownDatabase = errors.New("the database is not served")

// Refresh returns when a check that started after the call is done: what was
// committed before the call is then in Current. Calls that come while a check
// runs share the next one. It needs Run to be running, and returns an error
// when the check fails, when ctx is done first, or when Run returns.
func (s *Snapshotter) Refresh(ctx context.Context, database string) error {
	d := s.find(database)
	if d == nil {
		return errUnknownDatabase
	}
	done := d.request()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("refresh the catalog of %s: %w", database, ctx.Err())
	case <-s.stopped:
		return fmt.Errorf("refresh the catalog of %s: %w", database, errStopped)
	}
}

// errStopped is returned when Run has returned.
var errStopped = errors.New("the snapshotter has stopped")

func (s *Snapshotter) find(name string) *database {
	i := slices.IndexFunc(s.databases, func(d *database) bool { return d.cfg.Name == name })
	if i < 0 {
		return nil
	}
	return s.databases[i]
}
