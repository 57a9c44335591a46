package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// bulkSelect gives about 110 MB.
	bulkSelect = "SELECT i, repeat('x', 100) FROM generate_series(1, 1000000) AS g(i)"
	// idleSessions is how many sessions stand open for a figure of memory.
	idleSessions = 1000
	// unknownAlias makes a statement that no decision is kept for.
	unknownAlias = `\set aid random(1, 100000)
\set n random(1, 1000000000)
SELECT abalance AS c:n FROM pgbench_accounts WHERE aid = :aid;
`
)

// cellsOf are the cells of a whole run.
func cellsOf(seconds int, clients []int) []cell {
	var all []cell
	for _, secure := range []bool{false, true} {
		for _, protocol := range []string{"simple", "extended", "prepared"} {
			for _, n := range clients {
				all = append(all, transactions(load{Protocol: protocol, Clients: n, Seconds: seconds, TLS: secure, Latencies: n == 1}))
			}
		}
		all = append(all, connections(load{Clients: 8, Seconds: seconds, TLS: secure, Connects: true}))
	}
	return append(all,
		bulk("select", func(ctx context.Context, c *pgconn.PgConn) error {
			return c.Exec(ctx, bulkSelect).Close()
		}),
		bulk("copy out", func(ctx context.Context, c *pgconn.PgConn) error {
			_, err := c.CopyTo(ctx, io.Discard, "COPY ("+bulkSelect+") TO STDOUT")
			return err
		}),
		bulk("copy in", func(ctx context.Context, c *pgconn.PgConn) error {
			line := append(append([]byte("1\t"), bytes.Repeat([]byte("x"), 100)...), '\n')
			_, err := c.CopyFrom(ctx, io.LimitReader(&again{line: line}, int64(len(line))*1_000_000), "COPY bulk FROM STDIN")
			return err
		}),
		cell{Name: fmt.Sprintf("%d idle sessions", idleSessions), Needs: proxies, Measure: idle},
		misses(load{Clients: 1, Seconds: seconds, Script: unknownAlias, Latencies: true}),
		misses(load{Clients: 32, Seconds: seconds, Script: unknownAlias}),
		cell{Name: "denials, 8 clients", Needs: judges, Measure: denials(time.Duration(seconds) * time.Second)},
	)
}

func proxies(at target) bool { return at.PID != 0 }

// judges says that a program has decisions to miss.
func judges(at target) bool { return at.Others != nil }

func secured(secure bool) string {
	if secure {
		return ", TLS"
	}
	return ""
}

func transactions(l load) cell {
	return cell{
		Name:    fmt.Sprintf("%s, %d clients%s", l.protocol(), l.Clients, secured(l.TLS)),
		Needs:   func(at target) bool { return !l.TLS || at.Secure != "" },
		Measure: l.measure,
	}
}

func connections(l load) cell {
	c := transactions(l)
	c.Name = "connect, 8 clients" + secured(l.TLS)
	return c
}

func misses(l load) cell {
	return cell{Name: fmt.Sprintf("miss, %d clients", l.Clients), Needs: judges, Measure: l.measure}
}

func (l load) measure(ctx context.Context, at target) (figures, error) {
	m, err := newMeter(at)
	if err != nil {
		return figures{}, err
	}
	o, err := l.run(ctx, at)
	if err != nil {
		return figures{}, err
	}
	f := figures{TPS: o.TPS}
	if len(o.Latencies) > 0 {
		f.P50, f.P99 = quantile(o.Latencies, .5), quantile(o.Latencies, .99)
	}
	return f, m.read(&f, o.Transactions)
}

// bulk is one large transfer.
func bulk(name string, transfer func(context.Context, *pgconn.PgConn) error) cell {
	return cell{Name: "bulk " + name, Needs: proxies, Measure: func(ctx context.Context, at target) (figures, error) {
		c, err := at.connect(ctx)
		if err != nil {
			return figures{}, err
		}
		defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
		m, err := newMeter(at)
		if err != nil {
			return figures{}, err
		}
		if err := transfer(ctx, c); err != nil {
			return figures{}, fmt.Errorf("through %s: %w", at.Name, err)
		}
		var f figures
		return f, m.read(&f, 1)
	}}
}

// connect opens a session without TLS.
func (t target) connect(ctx context.Context) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig(t.dsn(false))
	if err != nil {
		return nil, err
	}
	cfg.Password = t.Password
	c, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect through %s: %w", t.Name, err)
	}
	return c, nil
}

// idle opens sessions, each of which has asked once.
func idle(ctx context.Context, at target) (f figures, err error) {
	var open []*pgconn.PgConn
	defer func() {
		for _, c := range open {
			err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
		}
	}()
	for range idleSessions {
		c, err := at.connect(ctx)
		if err != nil {
			return f, err
		}
		open = append(open, c)
		if err := c.Exec(ctx, "SELECT abalance FROM pgbench_accounts WHERE aid = 1").Close(); err != nil {
			return f, err
		}
	}
	f.Bytes, err = memory(at.PID)
	return f, err
}

// denials asks for what is not granted for a while.
func denials(length time.Duration) func(context.Context, target) (figures, error) {
	return func(ctx context.Context, at target) (figures, error) {
		const clients = 8
		m, err := newMeter(at)
		if err != nil {
			return figures{}, err
		}
		var (
			wg     sync.WaitGroup
			mu     sync.Mutex
			count  int
			failed error
		)
		end := time.Now().Add(length)
		for range clients {
			wg.Go(func() {
				n, err := denied(ctx, at, end)
				mu.Lock()
				defer mu.Unlock()
				count, failed = count+n, errors.Join(failed, err)
			})
		}
		wg.Wait()
		if failed != nil {
			return figures{}, failed
		}
		f := figures{TPS: float64(count) / length.Seconds()}
		return f, m.read(&f, count)
	}
}

func denied(ctx context.Context, at target, end time.Time) (n int, err error) {
	c, err := at.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	for ; time.Now().Before(end); n++ {
		err := c.Exec(ctx, fmt.Sprintf("SELECT note FROM secret WHERE id = %d", n)).Close()
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
			return n, fmt.Errorf("through %s, what is not granted is answered by %w", at.Name, err)
		}
	}
	return n, nil
}

// again reads a line over and over.
type again struct {
	line []byte
	at   int
}

func (a *again) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		m := copy(p[n:], a.line[a.at:])
		n, a.at = n+m, (a.at+m)%len(a.line)
	}
	return n, nil
}
