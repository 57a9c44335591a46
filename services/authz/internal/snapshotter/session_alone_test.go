package snapshotter

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// removals are statements that take away, each of another kind, and what makes the rest
// of it first.
const removals = "testdata/removals.sql"

// TestSessionSeesEachChangeAlone runs removals, every night all statements that change a
// catalog, each as the only one of its transaction: no lock of an earlier statement shows what it has deleted.
// NO INHERIT deleted a row of pg_inherits and locked the child only, so that the parent
// had it still.
func TestSessionSeesEachChangeAlone(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, schema(t))
		lines := sqlLines(t, removals, f.name)
		if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
			lines = append(sqlLines(t, "testdata/ddl.sql", f.name), lines...)
		}
		other, err := pgx.Connect(t.Context(), srv.ConnString(f.name))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close(context.Background()) }()
		base := wholeOf(t, other)
		ran := 0
		for _, sql := range lines {
			tx, err := f.admin.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err = tx.Exec(t.Context(), sql); err != nil {
				if err := tx.Rollback(t.Context()); err != nil {
					t.Fatal(err)
				}
				continue
			}
			ran++
			_, over, refused := seen(t, f.admin, base)
			now := whole(t, tx)
			switch {
			case refused == nil:
				agree(t, base, over, now, "after "+sql)
			case !errors.Is(refused, catalog.ErrHidden) || !unfollowed.MatchString(sql):
				t.Errorf("after %s: %s", sql, refused)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			base = now
		}
		if ran < len(lines)-20 {
			t.Errorf("%d of %d statements ran", ran, len(lines))
		}
	})
}

// wholeOf reads the catalog as it is committed.
func wholeOf(t *testing.T, conn *pgx.Conn) *catalog.Snapshot {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := whole(t, tx)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
