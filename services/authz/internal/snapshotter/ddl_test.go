package snapshotter

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
)

// sight is what one look at a database finds.
type sight struct {
	pulse  pulse
	mark   mark
	digest [32]byte
}

// see reads a whole catalog, and the mark over a base that stays the same.
func see(t *testing.T, conn *session, over base) (s sight) {
	t.Helper()
	var err error
	if s.pulse, _, err = readPulse(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	err = inTransaction(t.Context(), conn, func(tx pgx.Tx) error {
		if s.mark, err = readMark(t.Context(), tx, over); err != nil {
			return err
		}
		snap, err := readCatalog(t.Context(), tx, conn.serverPath)
		if err == nil {
			s.digest = snap.ComputeDigest()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMarkFollowsEveryStatement runs statements of every kind that changes a
// catalog, in a random order, in transactions of every kind: where a whole read
// finds another catalog, the mark and the pulse are others, too. A statement that
// fails because what it needs is not there changes nothing, which counts.
func TestMarkFollowsEveryStatement(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		own := pgtest.Start(t, pgtest.Major(srv.Major), pgtest.Setting("max_prepared_transactions", "5"))
		f := newFixture(t, own, schema(t))
		b, err := os.ReadFile("testdata/ddl.sql")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(b), "NAME", f.name)), "\n")
		conn, err := connect(t.Context(), f.cfg.Databases[0], f.deps.Sys, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		_, over, err := readPulse(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		seed := uint64(time.Now().UnixNano()) //nolint:gosec // G115: any seed will do.
		random := rand.New(rand.NewPCG(seed, 1))
		before, changed, ran := see(t, conn, over), 0, 0
		step := func(sql, how string, run func() error) {
			err := run()
			after := see(t, conn, over)
			switch {
			case after.digest != before.digest && after.mark == before.mark:
				t.Errorf("seed %d: %s, %s: the catalog is another, and the mark the same", seed, sql, how)
			case after.digest != before.digest && after.pulse == before.pulse:
				t.Errorf("seed %d: %s, %s: the catalog is another, and the pulse the same", seed, sql, how)
			}
			if err == nil {
				ran++
			}
			if after.digest != before.digest {
				changed++
			}
			before = after
		}
		exec := func(sql ...string) func() error {
			return func() error {
				for _, s := range sql {
					if _, err := f.admin.Exec(t.Context(), s); err != nil {
						_, _ = f.admin.Exec(t.Context(), "ROLLBACK") // Most are in none.
						return err
					}
				}
				return nil
			}
		}
		// In the order of the file most of them work; after it, none goes by what
		// the one before it left.
		for _, sql := range lines {
			step(sql, "alone", exec(sql))
		}
		if ran < 150 || changed < 100 {
			t.Errorf("%d of %d statements ran, %d changed the catalog", ran, len(lines), changed)
		}
		at := changed
		step("CREATE SCHEMA two_phases", "prepared", exec("BEGIN", "CREATE SCHEMA two_phases", "PREPARE TRANSACTION 'p'"))
		step("CREATE SCHEMA others", "while that is prepared", exec("CREATE SCHEMA others"))
		step("CREATE SCHEMA two_phases", "committed", exec("COMMIT PREPARED 'p'"))
		if changed != at+2 {
			t.Errorf("%d changes by one schema made at once and one in two phases", changed-at)
		}
		for range 40 {
			sql := lines[random.IntN(len(lines))]
			switch random.IntN(4) {
			case 0:
				step(sql, "in a savepoint", exec("BEGIN", "SAVEPOINT a", sql, "RELEASE a", "COMMIT"))
			case 1:
				step(sql, "after a savepoint rolled back", exec("BEGIN", "SAVEPOINT a", sql, "ROLLBACK TO a", sql, "COMMIT"))
			case 2:
				step(sql, "prepared", exec("BEGIN", sql, "PREPARE TRANSACTION 'p'", "COMMIT PREPARED 'p'"))
			case 3:
				step(sql, "rolled back", exec("BEGIN", sql, "ROLLBACK"))
			}
		}
	})
}
