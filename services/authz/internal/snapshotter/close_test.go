package snapshotter

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
)

// deafNet makes connections whose server never hears a Terminate, and that have no
// deadlines from then on: nothing ends a read but Close.
type deafNet struct{ sys.Net }

func (n deafNet) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := n.Net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &deafConn{Conn: c}, nil
}

type deafConn struct {
	net.Conn
	deaf atomic.Bool
}

func (c *deafConn) Write(b []byte) (int, error) {
	const terminate = 'X'
	if len(b) > 0 && b[0] == terminate {
		c.deaf.Store(true)
		return len(b), c.Conn.SetDeadline(time.Time{})
	}
	return c.Conn.Write(b)
}

func (c *deafConn) SetDeadline(t time.Time) error {
	if c.deaf.Load() {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// hurried is a clock whose AfterFunc comes at once.
type hurried struct{ sys.Clock }

func (h hurried) AfterFunc(_ time.Duration, f func()) sys.Timer { return h.Clock.AfterFunc(0, f) }

// TestCloseDoesNotWaitForTheServer: a connection whose statement was given up does not
// keep the snapshotter waiting for a server that does not hang up.
func TestCloseDoesNotWaitForTheServer(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "CREATE SCHEMA app")
	machine := sys.OS()
	machine.Net, machine.Clock = deafNet{machine.Net}, hurried{machine.Clock}
	conn, err := connect(t.Context(), f.cfg.Databases[0], machine, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	// The login's statement outlasts its context; pgconn closes in a goroutine of its own.
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.pg_sleep(60)"); err == nil {
		t.Fatal("a statement of a minute was over in no time")
	}
	closeSession(conn.Conn, machine)
	select {
	case <-conn.PgConn().CleanupDone():
	default:
		t.Error("the connection is still being closed")
	}
}
