package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// look follows what has changed, and takes a whole read that has come to its end.
func (d *database) look(ctx context.Context) error {
	if d.unread {
		d.latest = nil
	}
	if err := d.follow(ctx, d.latest); err != nil {
		return err
	}
	d.unread = false
	if err := d.rebase(ctx); err != nil {
		return err
	}
	return d.checkWhole(ctx)
}

// follow brings a reading up to date, or reads the whole without one, and publishes it.
func (d *database) follow(ctx context.Context, from *reading) error {
	settled, err := d.settle(ctx, from)
	if err != nil {
		return fmt.Errorf("read the catalog of %s: %w", d.cfg.Name, err)
	}
	return d.publish(settled)
}

// settleAttempts is how often what others change is followed until it is certain that
// texts and tables belong together. A session that commits changes faster than they
// are read, on and on, is rare; then the snapshot ages.
const settleAttempts = 8

// errUnsettled says that every read was overtaken by a change.
var errUnsettled = errors.New("the catalog changed during every read")

// settle reads until nothing was committed meanwhile. What was read is kept also when
// it is not settled: the next check goes on from there.
func (d *database) settle(ctx context.Context, from *reading) (*reading, error) {
	err := errUnsettled
	for attempt := range settleAttempts {
		var retry map[object]bool
		// What stays locked is asked for once in a check.
		if from != nil && attempt == 0 {
			if retry, err = d.unlocked(ctx, from); err != nil {
				break
			}
		}
		var next *reading
		now := d.deps.Sys.Clock.Now()
		if from != nil {
			next, err = readChanges(ctx, d.conn, from, retry, now)
		}
		if from == nil || errors.Is(err, errWhole) {
			next, err = readWhole(ctx, d.conn, now)
		}
		if err == nil {
			from, err = next, errUnsettled
			d.latest = from
			if from.settled {
				return from, nil
			}
			continue
		}
		// An error of the server may also come from a change during the read: an
		// object that was dropped, a catalog table that is locked.
		var pgErr *pgconn.PgError
		if d.conn.IsClosed() || !errors.As(err, &pgErr) {
			break
		}
	}
	return nil, err
}

// unlocked lists the objects whose texts could not be printed, and that nobody has
// locked any more.
func (d *database) unlocked(ctx context.Context, from *reading) (map[object]bool, error) {
	if len(from.unread) == 0 {
		return nil, nil //nolint:nilnil // No object, no map.
	}
	locked, err := readLocked(ctx, d.conn)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(from.unread)
	maps.DeleteFunc(out, func(o object, _ bool) bool { return locked[o] })
	return out, nil
}

// publish holds a settled reading. The snapshot stays the same as long as its content
// does.
func (d *database) publish(r *reading) error {
	h := d.held.Load()
	next := &held{reading: r, readAt: r.startedAt}
	if h != nil && h.reading.store == r.store {
		next.snapshot, next.content = h.snapshot, h.content
		d.held.Store(next)
		return nil
	}
	next.snapshot, next.content = r.store.snapshot()
	if h != nil && h.content == next.content {
		next.snapshot = h.snapshot
		d.held.Store(next)
		return nil
	}
	if h != nil && h.reading.wholeAt.Before(r.wholeAt) && h.reading.pulse == r.pulse && !d.unread {
		d.deps.Log.Error("catalog was not followed as it changed", "database", d.cfg.Name, "version", h.snapshot.Version)
	}
	if err := d.number(h, next.snapshot); err != nil {
		return err
	}
	d.held.Store(next)
	if h == nil || h.snapshot.Version != next.snapshot.Version {
		d.deps.Log.Info("catalog has a new version", "database", d.cfg.Name, "version", next.snapshot.Version,
			"sha256", fmt.Sprintf("%x", next.snapshot.Digest[:]), "unreadable", len(r.unread))
		if d.deps.Changed != nil {
			d.deps.Changed(d.cfg.Name)
		}
	}
	return nil
}

// number gives a snapshot its version and index. Snapshots that differ in what could
// be printed alone have the same version.
func (d *database) number(h *held, s *catalog.Snapshot) error {
	if h != nil && h.snapshot.Digest == s.Digest {
		s.Version = h.snapshot.Version
	} else {
		version, err := d.deps.Versions.NextCatalog(d.cfg.Name, s.Digest)
		if err != nil {
			return fmt.Errorf("number the catalog of %s: %w", d.cfg.Name, err)
		}
		s.Version = version
	}
	s.Index()
	return nil
}

// maxRecents is how many recent rows, by object, are compared until the base is moved.
const maxRecents = 4096

// rebase moves the base on when much has been written since, so that following a
// change stays cheap. A transaction that stays open keeps it where it is.
func (d *database) rebase(ctx context.Context) error {
	from := d.latest
	if from.recents.size() <= maxRecents {
		return nil
	}
	pulsed, over, err := readPulse(ctx, d.conn)
	if err != nil || over <= from.base {
		return err
	}
	next := *from
	next.base, next.pulse = over, pulsed
	same := false
	err = inTransaction(ctx, d.conn, func(tx pgx.Tx) error {
		now, err := readMark(ctx, tx, from.base)
		if same = maps.Equal(now, from.mark); err != nil || !same {
			return err // The next check sees to that first.
		}
		if next.mark, err = readMark(ctx, tx, over); err != nil {
			return err
		}
		next.recents, err = readRecents(ctx, tx, over, sources())
		return err
	})
	if err != nil || !same {
		return err
	}
	d.latest = &next
	return nil
}
