package catalogtest

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

var update = flag.Bool("update", false, "write the catalogs of the servers that the test runs on into the folder empty")

func TestMain(m *testing.M) {
	flag.Parse()
	pgtest.Main(m)
}

// read reads the catalog of an empty database as authz does.
func read(t *testing.T, srv *pgboot.Server) *catalog.Snapshot {
	t.Helper()
	machine := sys.OS()
	name := pgtest.NewDatabaseOn(t, srv, "")
	dsn, err := pgconn.ParseConfig(srv.ConnString(name))
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(dsn.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := snapshotter.New(snapshotter.Config{
		Databases: []snapshotter.Database{{
			Name: name, Host: srv.SocketDir, Port: uint16(srv.Port), User: dsn.User, Password: config.Source{File: password},
		}},
		Interval: config.Duration(time.Hour),
	}, snapshotter.Deps{Sys: machine, Versions: state.NewMemory(machine.Clock), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := s.Refresh(ctx, name); err != nil {
		t.Fatal(err)
	}
	snap, _, _ := s.Current(name)
	out := *snap
	portable(&out)
	return &out
}

// TestEmptyIsWhatAServerHas runs on the server that the other packages test
// against, or on those that the variable names.
func TestEmptyIsWhatAServerHas(t *testing.T) {
	test := func(t *testing.T, srv *pgboot.Server) {
		got := read(t, srv)
		if *update {
			b, err := encode(got)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path(srv.Major), b, 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want := Empty(t, srv.Major)
		// Minor versions leave the catalogs as they are, but for a function now and then.
		want.ServerVersionNum = got.ServerVersionNum
		for here, other := range map[*catalog.Snapshot]*catalog.Snapshot{got: want, want: got} {
			if !slices.ContainsFunc(other.Functions, isAttributeVersions) {
				here.Functions = slices.DeleteFunc(here.Functions, isAttributeVersions)
			}
		}
		got.Settings, want.Settings = nil, nil // Which settings there are is a matter of how the server was built.
		byName(got)
		byName(want)
		if got.ComputeDigest() == want.ComputeDigest() {
			return
		}
		diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(catalog.Snapshot{}))
		if len(diff) > 4000 {
			diff = diff[:4000] + "…"
		}
		t.Errorf("the catalog of PostgreSQL %d is another one; rewrite it with go test -run Empty -update (-want +got):\n%s", srv.Major, diff)
	}
	list := os.Getenv("SCOPEWIRE_TEST_POSTGRES_MAJORS")
	if list == "" {
		test(t, pgtest.Start(t))
		return
	}
	for m := range strings.SplitSeq(list, ",") {
		t.Run(m, func(t *testing.T) {
			n, err := strconv.Atoi(m)
			if err != nil {
				t.Fatal(err)
			}
			test(t, pgtest.Start(t, pgtest.Major(n)))
		})
	}
}

// isAttributeVersions recognises binary_upgrade_set_next_attribute_versions, which 15.20
// brought: the recorded catalog may be newer than the server at hand, or older.
func isAttributeVersions(f catalog.Function) bool { return f.OID == 4551 }

// byName leaves the objects whose OIDs initdb gives out, which may be others in
// every cluster, out of a snapshot, all but the names and columns of relations.
func byName(s *catalog.Snapshot) {
	var relations []catalog.Relation
	for _, r := range s.Relations {
		if r.OID >= firstUnpinned {
			r.OID, r.RowType = 0, 0
			for i := range r.Columns {
				if r.Columns[i].Type >= firstUnpinned {
					r.Columns[i].Type = 0
				}
			}
			for i := range r.Rules {
				r.Rules[i].Definition = ""
			}
			r.Children, r.Parents, r.ReferencedBy, r.ForeignKeys = nil, nil, nil, nil
		}
		relations = append(relations, r)
	}
	s.Relations = relations
	s.Types = pinned(s.Types, func(v catalog.Type) catalog.OID { return v.OID })
	s.Functions = pinned(s.Functions, func(v catalog.Function) catalog.OID { return v.OID })
	s.Operators = pinned(s.Operators, func(v catalog.Operator) catalog.OID { return v.OID })
	s.Casts = pinned(s.Casts, func(v catalog.Cast) catalog.OID { return v.OID })
	s.OperatorClasses = pinned(s.OperatorClasses, func(v catalog.OperatorClass) catalog.OID { return v.OID })
	for i := range s.Globals {
		if s.Globals[i].OID >= firstUnpinned {
			s.Globals[i].OID, s.Globals[i].Inline = 0, 0
		}
	}
	s.Extensions, s.Schemas = nil, pinned(s.Schemas, func(v catalog.Schema) catalog.OID { return v.OID })
}

func pinned[T any](rows []T, oid func(T) catalog.OID) []T {
	var out []T
	for _, r := range rows {
		if oid(r) < firstUnpinned {
			out = append(out, r)
		}
	}
	return out
}

func TestEmpty(t *testing.T) {
	for major := Oldest; major <= Newest; major++ {
		s := Empty(t, major)
		if s.ServerVersionNum/10000 != major || s.ServerEncoding != "UTF8" || s.RelationByOID(1259) != nil {
			t.Errorf("%d: version %d, encoding %s", major, s.ServerVersionNum, s.ServerEncoding)
		}
		s.Index()
		length := 0
		for _, f := range s.FunctionsNamed("length") {
			if f.Schema == "pg_catalog" {
				length++
			}
		}
		if s.RelationByName("pg_catalog", "pg_class") == nil || s.RelationByName("information_schema", "tables") == nil || length < 6 ||
			s.TypeByName("pg_catalog", "int4").Input == 0 || s.DefaultClass("btree", 23) == nil || s.ExtensionByName("plpgsql") == nil ||
			s.SettingByName("work_mem") == nil || s.RoleByName("pg_monitor") == nil || s.CollationByName("pg_catalog", "C") == nil || s.Global(catalog.KindLanguage, "plpgsql") == nil || !s.SchemaExists("public") {
			t.Errorf("%d is incomplete: %d relations, %d functions length", major, len(s.Relations), length)
		}
		// A caller may change its copy.
		s.Relations[0].Name = "changed"
		s.Functions[0].Arguments = append(s.Functions[0].Arguments[:0], 1)
		again := Empty(t, major)
		if again.Relations[0].Name == "changed" {
			t.Errorf("%d: two callers share a copy", major)
		}
		b, err := encode(again)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(b)
		if err != nil || back.ComputeDigest() != again.ComputeDigest() {
			t.Errorf("%d: decoding an encoded catalog gives another one: %v", major, err)
		}
		if len(b) > 300_000 {
			t.Errorf("%d takes %d bytes", major, len(b))
		}
	}
}

func BenchmarkEmpty(b *testing.B) {
	for b.Loop() {
		Empty(b, 15)
	}
}
