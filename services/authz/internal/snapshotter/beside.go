package snapshotter

import (
	"context"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// beside is a whole read over a connection of its own.
type beside struct {
	cancel context.CancelFunc
	// done is closed when reading and err are there.
	done    chan struct{}
	reading *reading
	err     error
}

// stop ends a read, if there is one, and waits for its end.
func (b *beside) stop() {
	if b != nil {
		b.cancel()
		<-b.done
	}
}

// checkWhole has the whole read now and then, next to the checks, which go on
// meanwhile. What it has found is brought up to date and takes the place of what was
// followed. When it fails, the next one is tried at its time: what is followed is as
// good without it.
func (d *database) checkWhole(ctx context.Context) error {
	now := d.deps.Sys.Clock.Now()
	if d.beside == nil {
		if now.Sub(d.latest.wholeAt) >= d.fullInterval && now.Sub(d.besideAt) >= d.fullInterval {
			d.besideAt = now
			d.startBeside()
		}
		return nil
	}
	select {
	case <-d.beside.done:
	default:
		return nil
	}
	b := d.beside
	d.beside = nil
	b.cancel()
	if b.err != nil {
		d.deps.Log.Warn("catalog could not be read as a whole", "database", d.cfg.Name, "error", b.err)
		return nil //nolint:nilerr // It is told, and what is followed is as good.
	}
	return d.follow(ctx, b.reading)
}

// startBeside starts a whole read, which has as long as there is until the next.
func (d *database) startBeside() {
	ctx, cancel := context.WithCancel(context.Background())
	b := &beside{cancel: cancel, done: make(chan struct{})}
	d.beside = b
	timer := d.deps.Sys.Clock.AfterFunc(max(d.fullInterval, d.timeout), cancel)
	go func() {
		defer d.due()
		defer close(b.done)
		defer timer.Stop()
		b.reading, b.err = readBeside(ctx, d.cfg, d.deps.Sys, d.timeout)
	}()
}

// readBeside reads the whole catalog over a connection that it makes and closes.
func readBeside(ctx context.Context, cfg Database, machine sys.System, timeout time.Duration) (*reading, error) {
	conn, err := connect(ctx, cfg, machine, timeout)
	if err != nil {
		return nil, err
	}
	defer closeSession(conn.Conn, machine)
	return readWhole(ctx, conn, machine.Clock.Now())
}
