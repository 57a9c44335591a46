package snapshotter

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// follower follows a database's changes, and compares with whole reads.
type follower struct {
	f     *fixture
	conn  *session
	admin *pgx.Conn
	now   *reading
	// seed is that of random.
	seed   uint64
	random *rand.Rand
	// wholes is how often a change needed a whole read; ran and changed count steps.
	wholes, ran, changed int
}

func newFollower(t *testing.T, f *fixture) *follower {
	t.Helper()
	w := &follower{f: f, admin: f.admin, seed: uint64(time.Now().UnixNano())} //nolint:gosec // G115: any seed will do.
	w.random = rand.New(rand.NewPCG(w.seed, 1))
	var err error
	if w.conn, err = connect(t.Context(), f.cfg.Databases[0], f.deps.Sys, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close(context.Background()) })
	if w.now, err = readWhole(t.Context(), w.conn, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.follow(t)
	return w
}

// follow brings what is followed up to date.
func (w *follower) follow(t *testing.T) {
	t.Helper()
	for range 10 {
		next, err := readChanges(t.Context(), w.conn, w.now, nil, time.Now())
		if errors.Is(err, errWhole) {
			w.wholes++
			next, err = readWhole(t.Context(), w.conn, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		if w.now = next; next.settled {
			return
		}
	}
	t.Fatal("nothing else changes, and it does not settle")
}

// step runs statements, which may fail, and compares what is followed with a whole
// read: snapshot, digests, and what following goes by.
func (w *follower) step(t *testing.T, how string, statements ...string) {
	t.Helper()
	before, _ := w.now.store.snapshot()
	for _, sql := range statements {
		if _, err := w.admin.Exec(t.Context(), sql); err != nil {
			_, _ = w.admin.Exec(t.Context(), "ROLLBACK") // Most are in none.
			continue
		}
		w.ran++
	}
	w.follow(t)
	got, content := w.now.store.snapshot()
	whole, err := readWhole(t.Context(), w.conn, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want, wantContent := whole.store.snapshot()
	if got.Digest != before.Digest {
		w.changed++
	}
	if content == wantContent && got.Digest == want.Digest && got.Digest == got.ComputeDigest() {
		for table, counts := range whole.store.inventory {
			if diff := cmp.Diff(counts, w.now.store.inventory[table]); diff != "" {
				t.Errorf("seed %d, %s: %q: counts of %s (-want +got)\n%s", w.seed, how, statements, table, clip(diff))
			}
		}
		return
	}
	diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(catalog.Snapshot{}), cmpopts.IgnoreFields(catalog.Snapshot{}, "Digest"))
	t.Errorf("seed %d, %s: %q: what was followed is not what a whole read finds (-want +got)\n%s", w.seed, how, statements, clip(diff))
	w.now = whole
	w.follow(t)
}

func clip(s string) string { return s[:min(len(s), 3000)] }

func sqlLines(t *testing.T, file, name string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(b), "{db}", name)), "\n")
}

// TestFollowsEveryStatement: after every statement that changes a catalog, alone and in
// transactions of every kind, and in a random order, what is followed is what a whole
// read finds. A statement that fails because what it needs is not there changes nothing,
// which counts.
func TestFollowsEveryStatement(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		own := pgtest.Start(t, pgtest.Major(srv.Major), pgtest.Setting("max_prepared_transactions", "5"))
		f := newFixture(t, own, schema(t))
		other, err := pgx.Connect(t.Context(), own.ConnString(f.name))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close(context.Background()) }()
		if _, err := other.Exec(t.Context(), "CREATE TEMP TABLE mine (id serial PRIMARY KEY, m app.mood DEFAULT 'calm')"); err != nil {
			t.Fatal(err)
		}
		w := newFollower(t, f)
		names := sqlLines(t, "testdata/names.sql", f.name)
		for _, sql := range names {
			ran := w.ran
			if w.step(t, "names", sql); w.ran == ran {
				t.Errorf("%s: failed", sql)
			}
		}
		all := sqlLines(t, "testdata/ddl.sql", f.name)
		lines, rounds, most := all, 25, 4
		if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
			rounds, most = 2000, 1
		}
		for len(lines) > 0 {
			n := min(len(lines), 1+w.random.IntN(most))
			w.step(t, "in order", lines[:n]...)
			lines = lines[n:]
		}
		at := w.changed
		w.step(t, "prepared", "BEGIN", "CREATE SCHEMA two_phases", "PREPARE TRANSACTION 'p'")
		w.step(t, "while that is prepared", "CREATE SCHEMA others")
		w.step(t, "committed", "COMMIT PREPARED 'p'")
		if w.changed != at+2 {
			t.Errorf("%d changes by one schema made at once and one in two phases", w.changed-at)
		}
		if w.ran < 180 || w.changed < 120 || w.wholes > 12 {
			t.Errorf("%d statements ran, %d changed the catalog, %d needed a whole read", w.ran, w.changed, w.wholes)
		}
		w.randomly(t, rounds, append(all, names...))
	})
}

// randomly runs statements in a random order, in transactions of every kind, some of
// them several together.
func (w *follower) randomly(t *testing.T, rounds int, lines []string) {
	t.Helper()
	pick := func() string { return lines[w.random.IntN(len(lines))] }
	for range rounds {
		sql := pick()
		switch w.random.IntN(6) {
		case 0:
			w.step(t, "in a savepoint", "BEGIN", "SAVEPOINT a", sql, "RELEASE a", "COMMIT")
		case 1:
			w.step(t, "after a savepoint rolled back", "BEGIN", "SAVEPOINT a", sql, "ROLLBACK TO a", sql, "COMMIT")
		case 2:
			w.step(t, "prepared", "BEGIN", sql, "PREPARE TRANSACTION 'p'", "COMMIT PREPARED 'p'")
		case 3:
			w.step(t, "rolled back", "BEGIN", sql, "ROLLBACK")
		case 4:
			w.step(t, "several at once", "BEGIN", sql, pick(), pick(), "COMMIT")
		default:
			w.step(t, "alone", sql)
		}
	}
}

// TestFollowsWhileOthersChange: what others commit between two rounds of one check ends
// in the same.
func TestFollowsWhileOthersChange(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, schema(t))
		w := newFollower(t, f)
		lines := append(sqlLines(t, "testdata/names.sql", f.name), sqlLines(t, "testdata/ddl.sql", f.name)...)
		const together = 12
		for i := 0; i < len(lines); i += together {
			for _, sql := range lines[i:min(i+together, len(lines))] {
				_, _ = w.admin.Exec(t.Context(), sql) // What fails changes nothing.
				if w.random.IntN(2) == 0 {
					continue
				}
				// One round alone: the next statement comes before it is settled.
				next, err := readChanges(t.Context(), w.conn, w.now, nil, time.Now())
				if err == nil {
					w.now = next
				}
			}
			w.step(t, "between rounds")
		}
	})
}

// TestNameThereAndBack: a name that is another one while texts are printed, and the old
// one again afterwards, leaves no trace.
func TestNameThereAndBack(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "CREATE TABLE a (x int); CREATE VIEW v AS SELECT x FROM a")
	w := newFollower(t, f)
	w.now.settled = false
	// The view is read under one name and printed under the other.
	w.now.store.relations[w.oid(t, "v")].value.Definition = " SELECT b.x\n   FROM public.b;"
	f.exec(t, "ALTER TABLE a RENAME TO b")
	f.exec(t, "ALTER TABLE b RENAME TO a")
	w.step(t, "there and back")
}

func (w *follower) oid(t *testing.T, name string) catalog.OID {
	t.Helper()
	for oid, u := range w.now.store.relations {
		if u.value.Schema == "public" && u.value.Name == name {
			return oid
		}
	}
	t.Fatalf("no relation %s", name)
	return 0
}

// TestRebase: the base moves on when much is recent, and nothing is missed over it.
func TestRebase(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "CREATE TABLE t (id int)")
	s := f.idle(t)
	first := fresh(t, s, f.name)
	over := s.databases[0].held.Load().reading.base
	f.exec(t, "DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('CREATE TYPE e%s AS ENUM (''a'')', i); END LOOP; END $$")
	fresh(t, s, f.name)
	f.exec(t, "ALTER TABLE t ADD a int")
	fresh(t, s, f.name)
	now := s.databases[0].held.Load().reading
	if now.base <= over || now.recents.size() > maxRecents {
		t.Errorf("%d are recent over %d, after %d", now.recents.size(), now.base, over)
	}
	f.exec(t, "ALTER TABLE t ADD b int")
	last := fresh(t, s, f.name)
	if len(last.RelationByName("public", "t").Columns) != 3 || last.Version <= first.Version {
		t.Errorf("version %d after %d", last.Version, first.Version)
	}
	wholeAgain(t, f, last)
}
