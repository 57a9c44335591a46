package snapshotter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

// change waits for the next change of a snapshot.
func (f *fixture) change(t *testing.T) {
	t.Helper()
	select {
	case <-f.changed:
	case <-time.After(30 * time.Second):
		t.Fatal("the snapshot did not change")
	}
}

// TestChangeIsSeenWithinASecond is the promise to the caller, with the default
// intervals.
func TestChangeIsSeenWithinASecond(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), schema(t))
	s := f.start(t)
	f.change(t)
	for i := range 4 {
		f.exec(t, fmt.Sprintf("CREATE TABLE app.new_%d (id int)", i))
		committed := time.Now()
		f.change(t)
		took := time.Since(committed)
		snap, readAt, _ := s.Current(f.name)
		if snap.RelationByName("app", fmt.Sprintf("new_%d", i)) == nil {
			t.Error("the snapshot changed without the table")
		}
		if took > time.Second {
			t.Errorf("the table was seen after %s", took)
		}
		if time.Since(readAt) > time.Second {
			t.Errorf("the read is %s old", time.Since(readAt))
		}
	}
}

// TestRefreshSeesWhatWasCommitted: a check that was running when the change was
// committed does not answer for it.
func TestRefreshSeesWhatWasCommitted(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "CREATE SCHEMA app")
	s := f.idle(t)
	fresh(t, s, f.name)
	ctx, cancel := context.WithCancel(t.Context())
	var noise sync.WaitGroup
	for range 4 { // Others refresh all the time.
		noise.Go(func() {
			for ctx.Err() == nil {
				_ = s.Refresh(ctx, f.name)
			}
		})
	}
	for i := range 10 {
		f.exec(t, fmt.Sprintf("CREATE TABLE app.t_%d (id int)", i))
		if fresh(t, s, f.name).RelationByName("app", fmt.Sprintf("t_%d", i)) == nil {
			t.Errorf("table %d was committed before the refresh and is not there after", i)
		}
	}
	cancel()
	noise.Wait()
}

func TestServerAway(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "CREATE TABLE t (id int)")
	s := f.idle(t)
	if _, _, ok := s.Current("other"); ok || s.Err("other") == nil || s.Refresh(t.Context(), "other") == nil {
		t.Error("a database that is not configured is served")
	}
	f.net.cut(true)
	if err := s.Refresh(t.Context(), f.name); !errors.Is(err, errDown) {
		t.Errorf("without a server: %v", err)
	}
	if _, _, ok := s.Current(f.name); ok {
		t.Error("there is a snapshot of a server that was never reached")
	}
	f.net.cut(false)
	before := fresh(t, s, f.name)
	_, readAt, _ := s.Current(f.name)

	f.net.cut(true)
	if err := s.Refresh(t.Context(), f.name); !errors.Is(err, errDown) {
		t.Errorf("with the server away: %v", err)
	}
	snap, at, ok := s.Current(f.name)
	if !ok || snap != before || !at.Equal(readAt) {
		t.Error("the last good snapshot was not kept as it was")
	}

	f.net.cut(false)
	if now := fresh(t, s, f.name); now != before {
		t.Error("the same catalog came back as another snapshot")
	}
	if _, at, _ = s.Current(f.name); !at.After(readAt) {
		t.Error("the snapshot is not as good as read again")
	}
	// An idle connection that died is not the server's death.
	dials := f.net.count()
	f.net.cut(false)
	f.exec(t, "ALTER TABLE t ADD other int")
	if now := fresh(t, s, f.name); len(now.RelationByName("public", "t").Columns) != 2 {
		t.Error("the change was missed")
	}
	if n := f.net.count() - dials; n != 1 {
		t.Errorf("%d dials", n)
	}
}

func TestErrFollowsTheChecks(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "")
	s := f.idle(t)
	fresh(t, s, f.name)
	if err := s.Err(f.name); err != nil {
		t.Error(err)
	}
	f.net.cut(true)
	if s.Refresh(t.Context(), f.name) == nil {
		t.Error("refreshed without a server")
	}
	if err := s.Err(f.name); !errors.Is(err, errDown) || strings.Contains(err.Error(), f.password) {
		t.Errorf("Err is %v", err)
	}
	f.net.cut(false)
	fresh(t, s, f.name)
	if err := s.Err(f.name); err != nil {
		t.Error(err)
	}
}

// TestWholeReadNowAndThen: equal marks put a whole read off, not away. It is made next
// to the checks, and changes neither snapshot nor version.
func TestWholeReadNowAndThen(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), schema(t))
	for _, tt := range []struct {
		interval time.Duration
		again    bool
	}{{time.Hour, false}, {time.Nanosecond, true}} {
		f.cfg.Interval, f.cfg.FullInterval = config.Duration(time.Hour), config.Duration(tt.interval)
		s := f.start(t)
		before := fresh(t, s, f.name)
		_, readAt, _ := s.Current(f.name)
		first := s.databases[0].held.Load().reading.wholeAt
		again := false
		for { // If it never comes, the test's own time ends it.
			if now := fresh(t, s, f.name); now != before {
				t.Fatal("the same catalog is another snapshot")
			}
			if again = s.databases[0].held.Load().reading.wholeAt.After(first); again || !tt.again {
				break
			}
			// Some work for the server, in the place of a wait: the read needs its time.
			f.exec(t, "SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a, pg_catalog.pg_am")
		}
		if _, at, _ := s.Current(f.name); !at.After(readAt) {
			t.Error("the check did not count")
		}
		if again != tt.again {
			t.Errorf("with %s: read as a whole again: %t", tt.interval, again)
		}
	}
}

// noNumbers has no version while broken is set.
type noNumbers struct {
	*state.Memory
	broken atomic.Bool
}

var errNoNumber = errors.New("the state is away")

func (n *noNumbers) NextCatalog(database string, digest [sha256.Size]byte) (uint64, error) {
	if n.broken.Load() {
		return 0, errNoNumber
	}
	return n.Memory.NextCatalog(database, digest)
}

// TestNoSnapshotWithoutAVersion: what has no version cannot be in an epoch, so
// nothing may be decided by it.
func TestNoSnapshotWithoutAVersion(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "CREATE TABLE t (id int)")
	versions := &noNumbers{Memory: state.NewMemory(f.deps.Sys.Clock)}
	f.deps.Versions = versions
	s := f.idle(t)
	before := fresh(t, s, f.name)
	f.exec(t, "ALTER TABLE t ADD other int")
	versions.broken.Store(true)
	for range 2 {
		if err := s.Refresh(t.Context(), f.name); !errors.Is(err, errNoNumber) {
			t.Errorf("got %v", err)
		}
		if snap, _, _ := s.Current(f.name); snap != before {
			t.Error("a snapshot without version is current")
		}
	}
	versions.broken.Store(false)
	if now := fresh(t, s, f.name); now.Version != 2 || len(now.RelationByName("public", "t").Columns) != 2 {
		t.Errorf("version %d", now.Version)
	}
}

// TestReadsAreWhole changes two tables and a view together, all the time: every
// snapshot that is published shows one state of them.
func TestReadsAreWhole(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), `
		CREATE TABLE a (x int DEFAULT 1); CREATE TABLE b (x int DEFAULT 2);
		CREATE VIEW v AS SELECT x AS one FROM a; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`)
	s := f.idle(t)
	first := fresh(t, s, f.name)
	oids := [2]catalog.OID{first.RelationByName("public", "a").OID, first.RelationByName("public", "b").OID}
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	// The writer rests between two bursts until the reader has had a turn.
	rests, turns := make(chan struct{}), make(chan struct{})
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			// The names change places. The view keeps reading the first table,
			// which goes by the other name.
			if _, err := f.admin.Exec(context.Background(), "BEGIN; ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b; COMMIT"); err != nil {
				t.Error(err)
				return
			}
			if i%11 != 10 { // an odd length, so that the names do change places
				continue
			}
			select {
			case rests <- struct{}{}:
				<-turns
			case <-ctx.Done():
			}
		}
	})
	good := 0
	for i := range 30 {
		resting := i%5 == 4
		if resting {
			<-rests
		}
		if err := s.Refresh(t.Context(), f.name); err != nil && (resting || !errors.Is(err, errUnsettled)) {
			t.Logf("a read failed: %s", err)
		}
		if resting {
			turns <- struct{}{}
		}
		snap, _, _ := s.Current(f.name)
		a, b, v := snap.RelationByName("public", "a"), snap.RelationByName("public", "b"), snap.RelationByName("public", "v")
		name := "a"
		if a.OID != oids[0] {
			name = "b"
		}
		if a.OID == b.OID || !strings.Contains(v.Definition, "FROM public."+name+";") {
			t.Fatalf("table %d is a, table %d is b, and the view reads %q", a.OID, b.OID, v.Definition)
		}
		if snap != first {
			good++
		}
	}
	cancel()
	writer.Wait()
	fresh(t, s, f.name)
	if good == 0 {
		t.Error("no read got through")
	}
}

func TestRunEnds(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "")
	s, err := New(f.cfg, f.deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	fresh(t, s, f.name)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Refresh(t.Context(), f.name); !errors.Is(err, errStopped) {
		t.Errorf("after the end: %v", err)
	}
	if _, _, ok := s.Current(f.name); !ok {
		t.Error("the last snapshot has gone")
	}
	if err := s.Refresh(ctx, f.name); err == nil {
		t.Error("a refresh that was cancelled succeeded")
	}
	var n int
	err = f.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", "reader_"+f.name).Scan(&n)
	if err != nil || n > 1 { // The server may take a moment to see the end of a session.
		t.Errorf("%d sessions are left, %v", n, err)
	}
}

// TestSessionIsHarmless: the login has no rights, the session cannot write, and
// nothing that others put on the path is used.
func TestSessionIsHarmless(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), `
		CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC;
		CREATE TABLE evil.pg_class (oid int);
		CREATE FUNCTION evil.count() RETURNS bigint LANGUAGE sql AS 'SELECT 1/0::bigint';
		CREATE FUNCTION evil.ne(name, name) RETURNS bool LANGUAGE sql AS 'SELECT 1/0 = 1';
		CREATE OPERATOR evil.<> (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.ne);
		CREATE TABLE evil.t (id int CHECK (id > 0));`)
	role := f.cfg.Databases[0].User
	f.exec(t, "ALTER ROLE "+role+" SET search_path = evil, pg_catalog; ALTER ROLE "+role+" SET quote_all_identifiers = on; ALTER ROLE "+role+" SET default_transaction_read_only = off")
	snap := fresh(t, f.idle(t), f.name)
	if got := snap.RelationByName("evil", "t").Checks; len(got) != 1 || got[0].Text != "(id > 0)" {
		t.Errorf("check: %+v", got)
	}
	conn, err := connect(t.Context(), f.cfg.Databases[0], f.deps.Sys, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "CREATE TABLE evil.mine (id int)"); err == nil {
		t.Error("the session can write")
	}
	for name, want := range map[string]string{"search_path": "", "statement_timeout": "1s", "lock_timeout": "300ms", "client_encoding": "UTF8"} {
		var got string
		if err := conn.QueryRow(t.Context(), "SELECT pg_catalog.current_setting($1)", pgx.QueryExecModeSimpleProtocol, name).Scan(&got); err != nil || strings.Trim(got, `"`) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Database{Name: "app", Host: "db", User: "reader"}
	with := func(f func(*Database)) Database { d := good; f(&d); return d }
	tests := []struct {
		name string
		cfg  Config
		want string // Empty for a good one.
	}{
		{"good", Config{Databases: []Database{good}}, ""},
		{"none", Config{}, "databases: name at least one database"},
		{"twice", Config{Databases: []Database{good, good}}, `databases[1].name: "app" stands twice`},
		{"no host", Config{Databases: []Database{with(func(d *Database) { d.Host = "" })}}, "databases[0].host: is missing"},
		{"NUL", Config{Databases: []Database{with(func(d *Database) { d.User = "a\x00b" })}}, "databases[0].user: holds a NUL"},
		{"mode", Config{Databases: []Database{with(func(d *Database) { d.TLS.Mode = "prefer" })}}, `"prefer" is none of`},
		{"no TLS with an authority", Config{Databases: []Database{with(func(d *Database) { d.TLS = TLS{Mode: "disable", CAFile: "x"} })}}, "goes with no other key"},
		{"half a key pair", Config{Databases: []Database{with(func(d *Database) { d.TLS.CertFile = "x" })}}, "go together"},
		{"two passwords", Config{Databases: []Database{with(func(d *Database) { d.Password = config.Source{File: "a", Env: "B"} })}}, "databases[0].password"},
		{"negative", Config{Databases: []Database{good}, Interval: -1}, "interval: a time span is not negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p config.Problems
			tt.cfg.Validate(&p)
			err := p.Err()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := New(Config{Databases: []Database{good}}, Deps{}); err == nil {
		t.Error("nothing to work with was accepted")
	}
}

// TestPanicEndsNoService: what the reader stumbles over fails its check, and the next one
// reads the catalog on a new connection.
func TestPanicEndsNoService(t *testing.T) {
	f := newFixture(t, pgtest.Start(t), "CREATE SCHEMA app")
	var stumbled atomic.Bool
	f.deps.Changed = func(string) {
		if !stumbled.Swap(true) {
			panic("a stone")
		}
	}
	s := f.idle(t)
	// It is the first check that fails: this one, or one that began before.
	if err := s.Refresh(t.Context(), f.name); err != nil && !errors.Is(err, errPanic) || !stumbled.Load() {
		t.Fatalf("the check ended with %v", err)
	}
	f.exec(t, "CREATE TABLE app.after (id int)")
	if fresh(t, s, f.name).RelationByName("app", "after") == nil {
		t.Error("the next check did not read the catalog")
	}
	if dials := f.net.count(); dials < 2 {
		t.Errorf("the connection of the failed check was used again: %d dials", dials)
	}
}
