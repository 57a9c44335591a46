package snapshotter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/sys"
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
	// latest is the newest reading over conn, which may not be settled yet.
	latest *reading
	// beside is the whole read that is under way next to the checks; nil without one.
	// besideAt is when the last one was started.
	beside   *beside
	besideAt time.Time
}

// held is a snapshot and what is known of it. It is never changed.
type held struct {
	snapshot *catalog.Snapshot
	// reading is what the snapshot was made from, or one with the same content.
	reading *reading
	// content is the digest of the snapshot with its texts.
	content [sha256.Size]byte
	// readAt is when the last check started that found this catalog.
	readAt time.Time
}

type failure struct{ err error }

// request asks for a check and returns the channel that its outcome comes on.
func (d *database) request() <-chan error {
	done := make(chan error, 1)
	d.mu.Lock()
	d.waiters = append(d.waiters, done)
	d.mu.Unlock()
	d.due()
	return done
}

// due has a check made soon.
func (d *database) due() {
	select {
	case d.wake <- struct{}{}:
	default: // One is due already.
	}
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
	defer func() { d.beside.stop() }()
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

var (
	errTimeout = errors.New("the check took longer than its timeout")
	errPanic   = errors.New("the catalog could not be understood; the log says where")
)

// checkOnce makes one check. After an error of the connection there is none. A catalog
// that the reader stumbles over is one that cannot be read, and no end of the service.
func (d *database) checkOnce(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			d.deps.Log.Error("reading the catalog failed", "database", d.cfg.Name, "panic", v, "stack", string(debug.Stack()))
			d.disconnect()
			err = errPanic
		}
	}()
	if d.conn == nil {
		conn, err := connect(ctx, d.cfg, d.deps.Sys, d.timeout)
		if err != nil {
			return err
		}
		d.conn, d.unread = conn, true
	}
	err = d.look(ctx)
	if err != nil && d.conn.IsClosed() {
		d.disconnect()
	}
	return err
}

// inTransaction runs f in a transaction that sees one state and changes nothing.
func inTransaction(ctx context.Context, conn *session, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, conn.Conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, f)
}

// disconnect gives the connection up.
func (d *database) disconnect() {
	if d.conn != nil {
		closeSession(d.conn.Conn, d.deps.Sys)
		d.conn = nil
	}
}

// closeSession closes a connection, and returns once all that belongs to it is closed.
// The server is told if it can be told at once. After a second the socket is closed
// under it: what pgconn leaves to a goroutine of its own (asyncClose) reads until the
// server hangs up, and a statement given up at the same moment takes away its deadline.
func closeSession(conn *pgx.Conn, machine sys.System) {
	ctx, cancel := context.WithCancel(context.Background())
	timer := machine.Clock.AfterFunc(time.Second, func() {
		cancel()
		_ = conn.PgConn().Conn().Close() // It is closed either way.
	})
	// What closing says does not matter: the connection is not used again.
	_ = conn.Close(ctx)
	<-conn.PgConn().CleanupDone()
	timer.Stop()
	cancel()
}
