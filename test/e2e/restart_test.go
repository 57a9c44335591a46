package e2e_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// bank is what clients believe of the transfers they made.
type bank struct {
	// lines numbers the transfers; acknowledged are those whose COMMIT was answered.
	lines        atomic.Int32
	mu           sync.Mutex
	acknowledged map[int32]bool
	// counted are answered single updates, unsure those that ended in an error.
	counted, unsure atomic.Int32
	// steps has a value after each transfer that was acknowledged.
	steps chan struct{}
}

// transfer moves one from the first order to the second, with a line of its own, and
// counts one on the third.
func (b *bank) transfer(ctx context.Context, conn *pgx.Conn) error {
	line := b.lines.Add(1)
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range []string{"UPDATE orders SET total = total - 1 WHERE id = 1", "UPDATE orders SET total = total + 1 WHERE id = 2"} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO order_items VALUES (1, $1, 'transfer', 1)", 1000+line)
		return err
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.acknowledged[1000+line] = true
	b.mu.Unlock()
	if _, err := conn.Exec(ctx, "UPDATE orders SET total = total + 1 WHERE id = 3"); err != nil {
		b.unsure.Add(1)
		return err
	}
	b.counted.Add(1)
	select {
	case b.steps <- struct{}{}:
	default:
	}
	return nil
}

// TestFault_F25_ServerRestarts: a server that crashes and comes back loses nothing that
// was acknowledged, and nothing is sent to it twice: what was on its way ends in an error,
// and new sessions work. With SCOPEWIRE_NIGHTLY set it crashes a hundred times.
func TestFault_F25_ServerRestarts(t *testing.T) {
	crashes := 4
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		crashes = 100
	}
	w := cluster.Start(t, demo.Config{})
	b := &bank{acknowledged: map[int32]bool{}, steps: make(chan struct{}, 1)}
	var before, third float64
	once := func(sql string, to ...any) error {
		admin, err := pgx.Connect(t.Context(), w.Postgres.ConnString("shop"))
		if err != nil {
			return err
		}
		defer func() { _ = admin.Close(t.Context()) }()
		return admin.QueryRow(t.Context(), sql).Scan(to...)
	}
	read := func(sql string, to ...any) {
		t.Helper()
		err := once(sql, to...)
		for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); { // The server recovers.
			err = once(sql, to...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const sums = "SELECT sum(total) FILTER (WHERE id IN (1, 2))::float8, sum(total) FILTER (WHERE id = 3)::float8 FROM orders"
	read(sums, &before, &third)

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := cluster.TryConnect(ctx, w, "bob")
				if err != nil {
					continue
				}
				// The tests' servers acknowledge before they write.
				_, err = conn.Exec(ctx, "SET synchronous_commit = on")
				for err == nil && ctx.Err() == nil {
					err = b.transfer(ctx, conn)
				}
				var said *pgconn.PgError
				if errors.As(err, &said) && (said.Code == "23505" || said.Code == "42501") {
					t.Errorf("a transfer failed: %v", err)
				}
				_ = conn.Close(context.Background())
			}
		})
	}
	for range crashes {
		<-b.steps
		<-b.steps
		var backend int
		read("SELECT max(pid) FROM pg_stat_activity WHERE datname = 'shop' AND usename = 'shop_app'", &backend)
		// One process that dies so takes all others with it: the server starts anew, as
		// after pg_ctl restart -m immediate.
		if err := syscall.Kill(backend, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	<-b.steps
	stop()
	clients.Wait()

	var after, counted float64
	read(sums, &after, &counted)
	if after != before {
		t.Errorf("the orders had %g together, and have %g", before, after)
	}
	if n := int32(counted - third); n < b.counted.Load() || n > b.counted.Load()+b.unsure.Load() {
		t.Errorf("%d updates were answered and %d were not, %d were made", b.counted.Load(), b.unsure.Load(), n)
	}
	var lines []int32
	read("SELECT coalesce(array_agg(line), '{}') FROM order_items WHERE order_id = 1 AND line > 1000", &lines)
	there := map[int32]bool{}
	for _, line := range lines {
		there[line] = true
	}
	for line := range b.acknowledged {
		if !there[line] {
			t.Errorf("transfer %d was acknowledged, and is lost", line)
		}
	}
	t.Logf("%d transfers acknowledged, %d made, over %d crashes", len(b.acknowledged), len(lines), crashes)
}
