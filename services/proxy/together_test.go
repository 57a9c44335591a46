package proxy_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy"
)

// TestFault_F36_AllAtOnce: sessions that work, are cancelled, reset, refused, begin and
// end, while the policy changes and authz comes and goes, get in each other's way nowhere:
// every answer is one of those that it may be, nothing that is denied reaches the server,
// and when all have finished the proxy is as good as new. It is the race detector's (make
// test-race) as much as its own: a deadlock ends it as a data race does.
func TestFault_F36_AllAtOnce(t *testing.T) {
	const sessions, rounds, cuts = 10, 12, 5
	w := newWorld(t, func(cfg *proxy.Config, _ *sys.System) { cfg.Limits.Sessions = sessions + 4 })
	w.ready()
	// What a statement may be answered with: done, denied, cancelled, refused while authz
	// is away or slow, and in a transaction that one of those has failed, its ROLLBACK
	// included.
	may := func(what string, err error, states ...string) {
		t.Helper()
		if got := stateOf(err); !slices.Contains(append(states, "", "57014", "57P03", "25P02"), got) {
			t.Errorf("%s hears %q", what, got)
		}
	}
	work := func(c *pgconn.PgConn, n int) {
		ctx := t.Context()
		run := func(sql string, states ...string) {
			_, err := c.Exec(ctx, sql).ReadAll()
			may(sql, err, states...)
		}
		run(fmt.Sprintf("SELECT %d", n%3))
		run("SELECT 'denied'", "42501")
		run("BEGIN")
		run("SELECT v FROM t")
		run("SELECT 'denied', 1", "42501")
		run("ROLLBACK")
		batch := &pgconn.Batch{}
		batch.ExecParams("SELECT $1::int", [][]byte{[]byte("1")}, nil, nil, nil)
		batch.ExecParams("SELECT 'denied', $1::int", [][]byte{[]byte("1")}, nil, nil, nil)
		_, err := c.ExecBatch(ctx, batch).ReadAll()
		may("a pipeline", err, "42501")
		// A cancel that comes late must hit no statement but this session's, where any may
		// be cancelled.
		cancelled := make(chan error, 1)
		go func() { cancelled <- c.CancelRequest(ctx) }()
		run("SELECT pg_sleep(0.002)")
		if err := <-cancelled; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("a cancel: %v", err)
		}
	}
	var all sync.WaitGroup
	done := make(chan struct{})
	for i := range sessions {
		all.Go(func() {
			var c *pgconn.PgConn
			for n := range rounds {
				if c == nil || c.IsClosed() {
					var err error
					if c, err = pgconn.Connect(t.Context(), w.dsn()); err != nil {
						may("a login", err, "53300")
						c = nil
						continue
					}
				}
				work(c, n+i)
				switch (n + i) % 5 {
				case 0:
					if err := c.Close(t.Context()); err != nil {
						t.Errorf("a session's end: %v", err)
					}
				case 1:
					if tcp, ok := c.Conn().(*net.TCPConn); ok {
						reset(tcp)
					}
					c = nil
				}
			}
			if c != nil {
				_ = c.Close(t.Context())
			}
		})
	}
	var beside sync.WaitGroup
	again := func(f func()) {
		beside.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					f()
				}
			}
		})
	}
	again(func() { w.authz.changes.Add(1); _ = w.proxy.Ready(t.Context()) })
	beside.Go(func() {
		for range cuts {
			w.link.cut()
			w.link.mend()
			w.until("authz does not come back", func() bool { return w.proxy.Ready(t.Context()) == nil })
		}
	})
	again(func() {
		conn, _ := w.enter()
		_ = conn.Close()
	})
	all.Wait()
	close(done)
	beside.Wait()
	if n := w.reached("'denied'"); n > 0 {
		t.Errorf("the server was sent %d times what is denied", n)
	}
	w.until("no session is to be had any more", func() bool {
		conn, got := w.enter()
		_ = conn.Close()
		return got == ""
	})
	c := w.connect()
	if got := c.query("SELECT v FROM t"); got != "" {
		t.Errorf("a session after it all hears %q", got)
	}
}
