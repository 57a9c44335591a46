package snapshotter

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// lockedSchema has a text of every kind that reads from base.
const lockedSchema = `
CREATE TABLE base (id int CHECK (id > 0), twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE INDEX ON base ((id + 1)) WHERE id > 5;
CREATE STATISTICS st ON (id + 1), (id + 2) FROM base;
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE UPDATE ON base FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION fire();
CREATE VIEW v AS SELECT id FROM base;
CREATE VIEW over AS SELECT id FROM v;
CREATE TABLE t (id int DEFAULT 1);
CREATE RULE r AS ON DELETE TO t DO ALSO DELETE FROM base;
CREATE TABLE secret (id int);
CREATE POLICY p ON secret USING (id IN (SELECT base.id FROM base));
CREATE FUNCTION body() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM base; END;
CREATE FUNCTION alone() RETURNS int RETURN 1;
CREATE TABLE free (id int CHECK (id > 7));`

// lock begins a transaction that has base to itself.
func (f *fixture) lock(t *testing.T) pgx.Tx {
	t.Helper()
	tx, err := f.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE base IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return tx
}

// unreadable lists the texts of a snapshot that could not be read, by their objects.
func unreadable(s *catalog.Snapshot) map[string]int {
	out := map[string]int{}
	count := func(name string, texts []string) {
		for _, text := range texts {
			if strings.Contains(text, catalog.Unreadable) {
				out[name]++
			}
		}
	}
	for i := range s.Relations {
		count(s.Relations[i].Name, relationTexts(&s.Relations[i]))
	}
	for i := range s.Functions {
		count(s.Functions[i].Name+"()", []string{s.Functions[i].StandardBody})
	}
	return out
}

// TestLockedWhileFollowed: a lock keeps back neither other changes nor what was read
// before it.
func TestLockedWhileFollowed(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, lockedSchema)
		s := f.idle(t)
		before := fresh(t, s, f.name)
		tx := f.lock(t)
		if now := fresh(t, s, f.name); now != before {
			t.Error("a lock alone made another snapshot")
		}
		pgtest.Exec(t, srv.ConnString(f.name), "ALTER TABLE t ADD other int; CREATE VIEW w AS SELECT id FROM free")
		now := fresh(t, s, f.name)
		if len(now.RelationByName("public", "t").Columns) != 2 || !strings.Contains(now.RelationByName("public", "w").Definition, "FROM public.free") {
			t.Error("the change was missed")
		}
		// The rule of t reads from base, and t was read again.
		if got := unreadable(now); len(got) != 1 || got["t"] != 1 {
			t.Errorf("unreadable: %v", got)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := fresh(t, s, f.name)
		if got := unreadable(after); len(got) != 0 {
			t.Errorf("unreadable without a lock: %v", got)
		}
		if after.Digest != now.Digest || after.Version != now.Version || after == now {
			t.Errorf("version %d after %d, and digests that are the same: %t", after.Version, now.Version, after.Digest == now.Digest)
		}
		wholeAgain(t, f, after)
	})
}

// TestLockedWholeRead: what is locked when a catalog is read for the first time is
// unreadable, and all else is there. As soon as the lock is gone it is read.
func TestLockedWholeRead(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, lockedSchema)
		tx := f.lock(t)
		s := f.idle(t)
		start := time.Now()
		now := fresh(t, s, f.name)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		want := map[string]int{"base": 6, "v": 1, "t": 1, "secret": 1, "body()": 1}
		if got := unreadable(now); len(got) != len(want) {
			t.Errorf("unreadable: %v", got)
		}
		for name, n := range want {
			if got := unreadable(now)[name]; got != n {
				t.Errorf("%d texts of %s are unreadable, want %d", got, name, n)
			}
		}
		if got := now.RelationByName("public", "free").Checks; len(got) != 1 || got[0].Text != "(id > 7)" {
			t.Errorf("check of a table that is not locked: %v", got)
		}
		other := fresh(t, f.idle(t), f.name)
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := fresh(t, s, f.name)
		if got := unreadable(after); len(got) != 0 {
			t.Errorf("unreadable without a lock: %v", got)
		}
		if after.Digest != other.Digest || after.Version != other.Version {
			t.Error("replicas that could read more or less have other versions")
		}
		wholeAgain(t, f, after)
	})
}
