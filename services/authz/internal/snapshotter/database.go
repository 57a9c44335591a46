package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// database keeps the snapshot of one database.
type database struct {
	cfg                             Database
	deps                            Deps
	interval, fullInterval, timeout time.Duration

	// held is the last good snapshot; nil before the first.
	held atomic.Pointer[held]
	// failure is why the last check failed; nil when it did not.
	failure atomic.Pointer[failure]

	// wake has room for one: a check was asked for.
	wake chan struct{}
	mu   sync.Mutex
	// waiters are the calls of Refresh that the next check answers. Guarded by mu.
	waiters []chan error

	// The rest belongs to the goroutine of run.
	conn *session
	// unread is set until the catalog has been read as a whole over conn.
	unread bool
}

// held is a snapshot and what is known of it. It is never changed.
type held struct {
	snapshot *catalog.Snapshot
	// mark is over base; pulse was taken with it, or since.
	mark  mark
	base  base
	pulse pulse
	// readAt is when the last check started that found this catalog, wholeAt when
	// the last whole read did.
	readAt, wholeAt time.Time
}

type failure struct{ err error }

// request asks for a check and returns the channel that its outcome comes on.
func (d *database) request() <-chan error {
	done := make(chan error, 1)
	d.mu.Lock()
	d.waiters = append(d.waiters, done)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // A check is due already.
	}
	return done
}

// take returns the waiters of the check that is about to start.
func (d *database) take() []chan error {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.waiters
	d.waiters = nil
	return w
}

// run checks until ctx is done.
func (d *database) run(ctx context.Context) {
	defer d.disconnect()
	timer := d.deps.Sys.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		case <-d.wake:
		}
		start := d.deps.Sys.Clock.Now()
		waiters := d.take()
		err := d.check(ctx)
		if ctx.Err() == nil {
			d.report(err)
		}
		for _, w := range waiters {
			w <- err
		}
		if ctx.Err() != nil {
			return
		}
		// A server that takes long for a check gets some rest all the same.
		timer.Stop()
		timer.Reset(max(d.interval/5, d.interval-d.deps.Sys.Clock.Now().Sub(start)))
	}
}

// report keeps the outcome for Err and logs it where it differs from the last.
func (d *database) report(err error) {
	before := d.failure.Load()
	switch {
	case err == nil && before != nil:
		d.failure.Store(nil)
		d.deps.Log.Info("catalog is read again", "database", d.cfg.Name)
	case err != nil:
		d.failure.Store(&failure{err})
		if before == nil || before.err.Error() != err.Error() {
			d.deps.Log.Error("catalog cannot be read", "database", d.cfg.Name, "error", err)
		}
	}
}

// check makes one check within the timeout. A connection that has been idle may
// have died since, which says nothing about the server: then it is tried again
// on a new one.
func (d *database) check(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := d.deps.Sys.Clock.AfterFunc(d.timeout, func() { cancel(errTimeout) })
	defer timer.Stop()

	used := d.conn != nil
	err := d.checkOnce(ctx)
	if err != nil && used && d.conn == nil && ctx.Err() == nil {
		err = d.checkOnce(ctx)
	}
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		err = fmt.Errorf("%w: %w", errTimeout, err)
	}
	return err
}

var errTimeout = errors.New("the check took longer than its timeout")

// checkOnce makes one check. After an error of the connection there is none.
func (d *database) checkOnce(ctx context.Context) error {
	if d.conn == nil {
		conn, err := connect(ctx, d.cfg, d.deps.Sys, d.timeout)
		if err != nil {
			return err
		}
		d.conn, d.unread = conn, true
	}
	err := d.look(ctx)
	if err != nil && d.conn.IsClosed() {
		d.disconnect()
	}
	return err
}

// look compares the pulse, then the mark and, where that differs, reads.
func (d *database) look(ctx context.Context) error {
	start := d.deps.Sys.Clock.Now()
	h := d.held.Load()
	if h != nil && !d.unread {
		same, now, err := d.unchanged(ctx, h)
		if err != nil {
			return err
		}
		if same {
			// Also before a whole read that is due: it may take a while.
			next := *h
			next.readAt, next.pulse = start, now
			d.held.Store(&next)
			if start.Sub(h.wholeAt) < d.fullInterval {
				return nil
			}
		}
	}
	next, err := d.readSettled(ctx)
	if err != nil {
		return err
	}
	if err := d.number(h, next); err != nil {
		return err
	}
	d.unread = false
	d.held.Store(next)
	if h == nil || h.snapshot.Version != next.snapshot.Version {
		d.deps.Log.Info("catalog has a new version", "database", d.cfg.Name, "version", next.snapshot.Version,
			"sha256", fmt.Sprintf("%x", next.snapshot.Digest[:]))
		if d.deps.Changed != nil {
			d.deps.Changed(d.cfg.Name)
		}
	}
	return nil
}

// unchanged reports whether the catalog is still the one that is held, and the
// pulse at which that was so.
func (d *database) unchanged(ctx context.Context, h *held) (same bool, now pulse, err error) {
	now, oldest, err := readPulse(ctx, d.conn)
	switch {
	case err != nil, now == h.pulse:
		return err == nil, now, err
	case oldest < h.base, oldest-h.base > maxAge:
		return false, now, nil // Another server's transactions, or too many of them.
	}
	err = inTransaction(ctx, d.conn, func(tx pgx.Tx) error {
		m, err := readMark(ctx, tx, h.base)
		same = m == h.mark
		return err
	})
	return same && err == nil, now, err
}

// number gives the snapshot its version, or puts the one that is held in its
// place when the two have the same digest.
func (d *database) number(h, next *held) error {
	s := next.snapshot
	s.Digest = s.ComputeDigest()
	if h != nil && h.snapshot.Digest == s.Digest {
		next.snapshot = h.snapshot
		return nil
	}
	version, err := d.deps.Versions.NextCatalog(d.cfg.Name, s.Digest)
	if err != nil {
		return fmt.Errorf("number the catalog of %s: %w", d.cfg.Name, err)
	}
	s.Version = version
	s.Index()
	return nil
}

// settleAttempts is how often a read is tried while others change the catalog.
// A read takes less than a tenth of a second; a session that commits changes faster than
// that, on and on, is rare, and then the snapshot ages.
const settleAttempts = 4

// errUnsettled says that every read was overtaken by a change.
var errUnsettled = errors.New("the catalog changed during every read")

// readSettled reads the whole catalog until nothing was committed meanwhile.
func (d *database) readSettled(ctx context.Context) (*held, error) {
	err := errUnsettled
	for range settleAttempts {
		var before, after mark
		var pulsed pulse
		var over base
		var snapshot *catalog.Snapshot
		start := d.deps.Sys.Clock.Now()
		// The pulse is taken before the transaction has its snapshot: whatever that
		// one does not see will change the pulse.
		if pulsed, over, err = readPulse(ctx, d.conn); err != nil {
			break
		}
		err = inTransaction(ctx, d.conn, func(tx pgx.Tx) (err error) {
			if before, err = readMark(ctx, tx, over); err != nil {
				return err
			}
			snapshot, err = readCatalog(ctx, tx, d.conn.serverPath)
			return err
		})
		if err == nil {
			err = inTransaction(ctx, d.conn, func(tx pgx.Tx) (err error) {
				after, err = readMark(ctx, tx, over)
				return err
			})
		}
		if err == nil && before == after {
			return &held{snapshot: snapshot, mark: after, base: over, pulse: pulsed, readAt: start, wholeAt: start}, nil
		}
		// An error of the server may also come from a change during the read: an
		// object that was dropped, a relation that is locked.
		var pgErr *pgconn.PgError
		if err != nil && (d.conn.IsClosed() || !errors.As(err, &pgErr)) {
			break
		}
		if err == nil {
			err = errUnsettled
		}
	}
	return nil, fmt.Errorf("read the catalog of %s: %w", d.cfg.Name, err)
}

// inTransaction runs f in a transaction that sees one state and changes nothing.
func inTransaction(ctx context.Context, conn *session, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, conn.Conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, f)
}

// disconnect gives the connection up. The server is told if it can be told at
// once.
func (d *database) disconnect() {
	if d.conn == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	timer := d.deps.Sys.Clock.AfterFunc(time.Second, cancel)
	// What closing says does not matter: the connection is not used again.
	_ = d.conn.Close(ctx)
	<-d.conn.PgConn().CleanupDone()
	timer.Stop()
	cancel()
	d.conn = nil
}
