package snapshotter

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/probe"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// seen is the base as a session says it sees it, asked as a proxy asks.
func seen(t *testing.T, conn *pgx.Conn, base *catalog.Snapshot) (*catalog.Session, *catalog.Snapshot, error) {
	t.Helper()
	var answer string
	if err := conn.QueryRow(t.Context(), probe.Query(probe.Session, "", ""), pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	v, err := catalog.DescribeSession([]byte(answer))
	if err != nil {
		t.Fatalf("%s\n%s", err, answer)
	}
	over, err := v.Over(base, true)
	return v, over, err
}

// whole reads the catalog in a session's own transaction.
func whole(t *testing.T, tx pgx.Tx) *catalog.Snapshot {
	t.Helper()
	var path string
	if err := tx.QueryRow(t.Context(), "SELECT pg_catalog.current_setting('search_path')").Scan(&path); err != nil {
		t.Fatal(err)
	}
	set := "SELECT pg_catalog.set_config('search_path', $1, true)"
	if _, err := tx.Exec(t.Context(), set, ""); err != nil {
		t.Fatal(err)
	}
	s, err := readCatalog(t.Context(), tx, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), set, path); err != nil {
		t.Fatal(err)
	}
	s.Index()
	return s
}

// agree compares everything that a look-up finds. What it finds over base, it finds
// alike in want, and nothing that is gone from there. Temporary objects are left out
// of a whole read.
func agree(t *testing.T, base, over, want *catalog.Snapshot, after string) {
	t.Helper()
	agreeOn(t, "relation "+after, base.Relations, want.Relations, func(v *catalog.Relation) (catalog.OID, *catalog.Relation, *catalog.Relation) {
		// A parent shows the session's own temporary children, too.
		found := over.RelationByOID(v.OID)
		if found != nil {
			less := *found
			less.Children = nil
			for _, c := range found.Children {
				if child := over.RelationByOID(c); child == nil || child.Schema != over.TempSchema() {
					less.Children = append(less.Children, c)
				}
			}
			found = &less
		}
		return v.OID, found, over.RelationByName(v.Schema, v.Name)
	})
	agreeOn(t, "type "+after, base.Types, want.Types, func(v *catalog.Type) (catalog.OID, *catalog.Type, *catalog.Type) {
		return v.OID, over.TypeByOID(v.OID), over.TypeByName(v.Schema, v.Name)
	})
	agreeOn(t, "function "+after, base.Functions, want.Functions, func(v *catalog.Function) (catalog.OID, *catalog.Function, *catalog.Function) {
		found := over.FunctionByOID(v.OID)
		for _, f := range over.FunctionsNamed(v.Name) {
			if f.OID == v.OID {
				return v.OID, found, f
			}
		}
		return v.OID, found, nil
	})
	agreeOn(t, "operator "+after, base.Operators, want.Operators, func(v *catalog.Operator) (catalog.OID, *catalog.Operator, *catalog.Operator) {
		found := over.OperatorByOID(v.OID)
		for _, o := range over.OperatorsNamed(v.Name) {
			if o.OID == v.OID {
				return v.OID, found, o
			}
		}
		return v.OID, found, nil
	})
	agreeOn(t, "operator class "+after, base.OperatorClasses, want.OperatorClasses, func(v *catalog.OperatorClass) (catalog.OID, *catalog.OperatorClass, *catalog.OperatorClass) {
		found := over.ClassByOID(v.OID)
		if v.Default {
			return v.OID, found, over.DefaultClass(v.Method, v.Input)
		}
		return v.OID, found, found
	})
	agreeOn(t, "cast "+after, base.Casts, want.Casts, func(v *catalog.Cast) (catalog.OID, *catalog.Cast, *catalog.Cast) {
		found := over.CastBetween(v.Source, v.Target)
		if found != nil && found.OID != v.OID {
			found = nil
		}
		return v.OID, found, found
	})
	agreeOn(t, "collation "+after, base.Collations, want.Collations, func(v *catalog.Collation) (catalog.OID, *catalog.Collation, *catalog.Collation) {
		found := over.CollationByName(v.Schema, v.Name)
		if found != nil && found.OID != v.OID {
			found = nil
		}
		return v.OID, found, found
	})
	agreeOn(t, "extension "+after, base.Extensions, want.Extensions, func(v *catalog.Extension) (catalog.OID, *catalog.Extension, *catalog.Extension) {
		found := over.ExtensionByName(v.Name)
		return v.OID, found, found
	})
	agreeOn(t, "global "+after, base.Globals, want.Globals, func(v *catalog.Global) (catalog.OID, *catalog.Global, *catalog.Global) {
		named := over.Global(v.Kind, v.Name)
		if named != nil && named.OID != v.OID {
			named = nil
		}
		for g := range over.EachGlobal() {
			if g.Kind == v.Kind && g.OID == v.OID {
				return v.OID, g, named
			}
		}
		return v.OID, nil, named
	})
	for _, name := range append(base.Schemas, want.Schemas...) {
		if name.Name == "pg_toast" {
			continue // Nothing in it is in a snapshot.
		}
		if over.SchemaExists(name.Name) != want.SchemaExists(name.Name) {
			t.Errorf("%s: schema %s", after, name.Name)
		}
		for _, role := range want.Roles {
			if over.SchemaOpenTo(name.Name, role.Name) != want.SchemaOpenTo(name.Name, role.Name) {
				t.Errorf("%s: schema %s for %s", after, name.Name, role.Name)
			}
		}
	}
	if diff := cmp.Diff(want.UserCasts(), over.UserCasts(), cmpopts.EquateEmpty(), cmpopts.SortSlices(func(a, b *catalog.Cast) bool { return a.OID < b.OID })); diff != "" {
		t.Errorf("%s: casts\n%s", after, diff)
	}
}

// agreeOn looks every object of two lists up: by its number, and by name as far as the
// kind has look-ups for that.
func agreeOn[T any](t *testing.T, what string, base, want []T, find func(*T) (oid catalog.OID, byOID, byName *T)) {
	t.Helper()
	there := map[catalog.OID]bool{}
	for i := range want {
		oid, byOID, byName := find(&want[i])
		there[oid] = true
		if byOID != nil && oid < catalog.FirstNormalOID {
			continue // A description cannot stand in its place.
		}
		for _, got := range []*T{byOID, byName} {
			if got == nil {
				t.Errorf("%s: %+v is not found", what, want[i])
				continue
			}
			if reflect.DeepEqual(want[i], *got) {
				continue // What follows takes a hundred times as long.
			}
			// Digests of details are not described.
			if diff := cmp.Diff(want[i], *got, cmpopts.EquateEmpty(), cmpopts.IgnoreTypes([32]byte{})); diff != "" {
				t.Errorf("%s (-read +probe):\n%s", what, diff)
			}
		}
	}
	for i := range base {
		if oid, byOID, _ := find(&base[i]); !there[oid] && byOID != nil {
			t.Errorf("%s: %+v is found and was dropped", what, *byOID)
		}
	}
}

// unfollowed are the statements after which a session is refused: the names of schemas
// and of roles are those of all that is in them or theirs; and what opens schemas to roles
// or closes them.
var unfollowed = regexp.MustCompile(`^ALTER (SCHEMA|ROLE) \w+ RENAME TO |^REVOKE \w+_group FROM |^GRANT \w+_group TO \w+ WITH INHERIT |^ALTER ROLE \w+ SUPERUSER`)

// TestSessionSeesItsOwnChanges runs statements of every kind that changes a catalog
// in one open transaction, some of them taken back by savepoints: what its session
// answers, laid over what others see, is what a whole read in that transaction finds.
func TestSessionSeesItsOwnChanges(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, schema(t))
		lines := sqlLines(t, "testdata/ddl.sql", f.name)
		other, err := pgx.Connect(t.Context(), srv.ConnString(f.name))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close(context.Background()) }()
		tx, err := other.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		base := whole(t, tx)
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		seed := uint64(time.Now().UnixNano()) //nolint:gosec // G115: any seed will do.
		if text := os.Getenv("SESSION_SEED"); text != "" {
			if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		random := rand.New(rand.NewPCG(seed, 1))
		if tx, err = f.admin.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(context.Background()) }()
		ran, hidden := 0, 0
		step := func(sql string, keep bool) {
			inner, err := tx.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err = inner.Exec(t.Context(), sql); err == nil {
				ran++
				_, over, refused := seen(t, f.admin, base)
				switch {
				case refused == nil:
					agree(t, base, over, whole(t, inner), "after "+sql)
				case errors.Is(refused, catalog.ErrHidden) && unfollowed.MatchString(sql):
					hidden++
					keep = false
				default:
					t.Errorf("after %s: %s", sql, refused)
				}
			}
			if keep && err == nil {
				err = inner.Commit(t.Context())
			} else {
				err = inner.Rollback(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, sql := range lines {
			step(sql, random.IntN(8) > 0)
			if t.Failed() {
				t.Fatalf("SESSION_SEED=%d", seed)
			}
		}
		// A role that is made where a schema is closed to others has opened none to them.
		for _, sql := range []string{
			"REVOKE ALL ON SCHEMA public FROM PUBLIC", "CREATE ROLE " + f.name + "_late LOGIN", "GRANT pg_monitor TO " + f.name + "_late",
			"GRANT ALL ON SCHEMA public TO PUBLIC", "DROP ROLE " + f.name + "_late",
		} {
			step(sql, true)
		}
		for range 40 {
			step(lines[random.IntN(len(lines))], random.IntN(2) > 0)
		}
		if ran < 120 || hidden > 12 {
			t.Errorf("SESSION_SEED=%d: %d of %d statements ran, %d were not followed", seed, ran, len(lines), hidden)
		}
		t.Logf("%d ran, %d not followed", ran, hidden)
	})
}
