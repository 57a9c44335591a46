package snapshotter

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// BenchmarkRead measures each step between a commit and a snapshot, on a server that
// SCOPEWIRE_BENCH_DSN names: as large as one likes. It makes and drops a table, a view
// on it and a column, one each time.
func BenchmarkRead(b *testing.B) {
	dsn := os.Getenv("SCOPEWIRE_BENCH_DSN")
	if dsn == "" {
		b.Skip("SCOPEWIRE_BENCH_DSN names no server")
	}
	dial := func() *pgx.Conn {
		conn, err := pgx.Connect(b.Context(), dsn)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	conn, admin := &session{Conn: dial()}, dial()
	if err := conn.pin(b.Context()); err != nil {
		b.Fatal(err)
	}
	var r *reading
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			var err error
			r, err = readWhole(b.Context(), conn, time.Now())
			must(err)
		}
	})
	b.Run("pulse", func(b *testing.B) {
		for b.Loop() {
			_, _, err := readPulse(b.Context(), conn)
			must(err)
		}
	})
	b.Run("mark", func(b *testing.B) {
		for b.Loop() {
			must(inTransaction(b.Context(), conn, func(tx pgx.Tx) error {
				_, err := readMark(b.Context(), tx, r.base)
				return err
			}))
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		for b.Loop() {
			r.store.snapshot()
		}
	})
	b.Run("index", func(b *testing.B) {
		snap, _ := r.store.snapshot()
		for b.Loop() {
			snap.Index()
		}
	})
	settle := func(b *testing.B) {
		for r.settled = false; !r.settled; {
			var err error
			r, err = readChanges(b.Context(), conn, r, nil, time.Now())
			must(err)
		}
	}
	statements := []string{
		"CREATE TABLE bench_made (id int PRIMARY KEY, a text DEFAULT 'x')", "CREATE VIEW bench_view AS SELECT id FROM bench_made",
		"ALTER TABLE bench_made ADD b int CHECK (b > 0)", "DROP TABLE bench_made CASCADE",
	}
	b.Run("follow", func(b *testing.B) {
		settle(b)
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			_, err := admin.Exec(b.Context(), statements[i%len(statements)])
			must(err)
			b.StartTimer()
			settle(b)
			snap, _ := r.store.snapshot()
			snap.Index()
		}
		_, err := admin.Exec(b.Context(), "DROP TABLE IF EXISTS bench_made CASCADE")
		must(err)
	})
}
