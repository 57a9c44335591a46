package snapshotter

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func schema(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadsEverything compares what was read of every kind of object with what
// the schema file says.
func TestReadsEverything(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, schema(t))
		f.exec(t, "CREATE TEMP TABLE hidden (id int PRIMARY KEY)")
		f.exec(t, "CREATE TEMP TABLE hidden_child () INHERITS (app.parent)")
		s := fresh(t, f.idle(t), f.name)

		if s.Database != f.name || s.ServerVersionNum/10000 != srv.Major || s.ServerEncoding != "UTF8" || s.Version != 1 {
			t.Errorf("read %q %d %q version %d", s.Database, s.ServerVersionNum, s.ServerEncoding, s.Version)
		}
		for _, name := range []string{"app", "public", "pg_catalog", "information_schema"} {
			if !s.SchemaExists(name) {
				t.Errorf("no schema %s", name)
			}
		}
		for _, v := range s.Schemas {
			if strings.HasPrefix(v.Name, "pg_temp") || strings.HasPrefix(v.Name, "pg_toast_temp") {
				t.Errorf("schema %s is there", v.Name)
			}
		}
		kinds := map[string]catalog.RelationKind{
			"parent": 'r', "child": 'r', "part": 'p', "part_1": 'r', "plain": 'v', "invoker": 'v', "stored": 'm',
			"remote": 'f', "counter": 'S', "pair": 'c', "parent_pkey": 'i', "part_pkey": 'I',
			"Mixed Case": 'r', "mixed case": 0, "hidden": 0,
		}
		for name, kind := range kinds {
			var got catalog.RelationKind
			if r := s.RelationByName("app", name); r != nil {
				got = r.Kind
			}
			if got != kind {
				t.Errorf("relation %s has kind %q, want %q", name, got, kind)
			}
		}
		for _, r := range s.Relations {
			if r.Name == "hidden" || r.Name == "hidden_child" || r.Kind == 't' {
				t.Errorf("relation %s.%s is there", r.Schema, r.Name)
			}
		}
		if s.RelationByName("pg_catalog", "pg_class") == nil || s.RelationByName("information_schema", "tables") == nil {
			t.Error("system relations are missing")
		}
		checkParent(t, s)
		checkViews(t, s)
		checkCode(t, s, srv.Major)
	})
}

func checkParent(t *testing.T, s *catalog.Snapshot) {
	t.Helper()
	parent, child, part, part1 := s.RelationByName("app", "parent"), s.RelationByName("app", "child"),
		s.RelationByName("app", "part"), s.RelationByName("app", "part_1")
	good := s.FunctionsNamed("good")[0].OID
	depends := func(relation, function catalog.OID) catalog.References {
		refs := catalog.References{Recorded: true}
		if relation != 0 {
			refs.Relations = []catalog.OID{relation}
		}
		if function != 0 {
			refs.Functions = []catalog.OID{function}
		}
		return refs
	}
	got := *parent
	got.OID, got.Details, got.Owner, got.RowType = 0, [32]byte{}, "", 0
	fk := catalog.ForeignKey{
		Name: "part_parent_fkey", From: part.OID, To: parent.OID, OnDelete: 'c', OnUpdate: 'a',
		FromColumns: []int16{2}, ToColumns: []int16{1},
	}
	want := catalog.Relation{
		Schema: "app", Name: "parent", Kind: 'r', RowSecurity: true, ForceRowSecurity: true,
		Columns: []catalog.Column{
			{Number: 1, Name: "id", Type: 23, Modifier: -1, NotNull: true, Identity: 'a'},
			{Number: 3, Name: "mood", Type: s.TypeByName("app", "mood").OID, Modifier: -1, Default: "'calm'::app.mood", References: depends(parent.OID, 0)},
			{Number: 4, Name: "code", Type: s.TypeByName("app", "code").OID, Modifier: -1},
			{Number: 5, Name: "twice", Type: 23, Modifier: -1, Default: "(id * 2)", References: depends(parent.OID, 0), Generated: 's'},
			{Number: 6, Name: "during", Type: 3904, Modifier: -1},
		},
		Triggers:               []catalog.Trigger{{Name: "watch", Function: s.FunctionsNamed("fire")[0].OID, Type: 1 | 1<<1 | 1<<2, Enabled: 'O'}},
		Rules:                  []catalog.Rule{{Name: "quiet", Event: 4, Enabled: 'O', Definition: parent.Rules[0].Definition, References: depends(parent.OID, 0)}},
		Policies:               []catalog.Policy{{Name: "own", Command: '*', Permissive: true, Using: "(id > 0)", References: depends(parent.OID, 0)}},
		Checks:                 []catalog.Expression{{Text: "app.good(id)", References: depends(parent.OID, good)}},
		CheckNames:             []string{"parent_id_check"},
		IndexExpressions:       []catalog.Expression{{Text: "app.good(id)", References: depends(parent.OID, good)}, {Text: "(id > 0)", References: depends(parent.OID, good)}},
		ExclusionOperators:     []catalog.OID{s.OperatorsNamed("===")[0].OID},
		ForeignOperatorClasses: s.RelationByName("app", "opclass").ForeignOperatorClasses,
		Children:               []catalog.OID{child.OID},
		ReferencedBy:           []catalog.ForeignKey{fk},
		Keys: []catalog.Key{
			{Name: "parent_pkey", Columns: []int16{1}, Primary: true}, {Name: "parent_id_excl", Columns: []int16{1}},
		},
	}
	// Partitions repeat their parent's key.
	got.ReferencedBy = slices.DeleteFunc(slices.Clone(got.ReferencedBy), func(k catalog.ForeignKey) bool { return k.From == part1.OID })
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if parent.Owner != "postgres" || parent.Details == ([32]byte{}) {
		t.Errorf("owner %q, details %x", parent.Owner, parent.Details)
	}
	if !slices.Equal(child.Parents, []catalog.OID{parent.OID}) || len(child.Columns) != 6 {
		t.Errorf("child: %+v", child)
	}
	if part.PartitionKey.Text != "LIST (id)" || !slices.Equal(part.Children, []catalog.OID{part1.OID}) || len(part.ForeignKeys) != 1 {
		t.Errorf("part: %+v", part)
	}
	if cmp.Diff(fk, part.ForeignKeys[0]) != "" {
		t.Errorf("foreign key: %+v", part.ForeignKeys[0])
	}
	if len(s.RelationByName("app", "opclass").ForeignOperatorClasses) != 1 {
		t.Error("the operator class is not listed")
	}
}

func checkViews(t *testing.T, s *catalog.Snapshot) {
	t.Helper()
	plain, invoker, stored := s.RelationByName("app", "plain"), s.RelationByName("app", "invoker"), s.RelationByName("app", "stored")
	if want := " SELECT parent.id\n   FROM app.parent;"; plain.Definition != want || plain.SecurityInvoker || len(plain.Rules) != 0 {
		// Since PostgreSQL 16 columns are printed without their table where they can be.
		if want = " SELECT id\n   FROM app.parent;"; plain.Definition != want {
			t.Errorf("plain: %+v", plain)
		}
	}
	if s.ServerVersionNum >= 150000 && !invoker.SecurityInvoker {
		t.Error("security_invoker was not read")
	}
	if stored.Definition == "" || s.RelationByName("app", "parent").Definition != "" {
		t.Error("definitions")
	}
}

func checkCode(t *testing.T, s *catalog.Snapshot, major int) {
	t.Helper()
	code, pair, mood := s.TypeByName("app", "code"), s.TypeByName("app", "pair"), s.TypeByName("app", "mood")
	if code.Kind != 'd' || code.Base != 25 || code.Default != "'x'::text" || len(code.Checks) != 1 || code.Checks[0].Text != "(length(VALUE) < 9)" {
		t.Errorf("domain: %+v", code)
	}
	if pair.Kind != 'c' || pair.Relation != s.RelationByName("app", "pair").OID || mood.Kind != 'e' {
		t.Errorf("types: %+v %+v", pair, mood)
	}
	array := s.TypeByName("app", "_mood")
	if array == nil || array.Element != mood.OID || array.Category != 'A' {
		t.Errorf("array: %+v", array)
	}
	if name := s.TypeByName("pg_catalog", "name"); name.Element != 0 {
		t.Error("name passes for an array")
	}
	if text := s.TypeByName("pg_catalog", "text"); text.OID != 25 || !text.Preferred || text.Category != 'S' {
		t.Errorf("text: %+v", text)
	}
	if s.TypeByName("app", "span").Kind != 'r' || s.TypeByName("app", "spans").Kind != 'm' {
		t.Error("ranges")
	}
	var total *catalog.Function
	for _, fn := range s.FunctionsNamed("total") {
		if fn.Schema == "app" {
			total = fn
		}
	}
	want := &catalog.Function{
		OID: total.OID, Schema: "app", Name: "total", Kind: 'f', Arguments: []catalog.OID{23, 1007}, Variadic: 23, Defaults: 0,
		Result: 23, ReturnSet: true, SecurityDefiner: true, Language: "sql", Volatility: 's', Leakproof: true, Owner: "postgres",
		ArgumentModes: []byte("iv"), AllArguments: []catalog.OID{23, 1007}, Body: "SELECT 1", Details: total.Details,
	}
	if diff := cmp.Diff(want, total, cmpopts.EquateEmpty()); diff != "" || total.Details == ([32]byte{}) {
		t.Error(diff)
	}
	for name, kind := range map[string]byte{"work": 'p', "biggest": 'a', "row_number": 'w', "good": 'f'} {
		if l := s.FunctionsNamed(name); len(l) != 1 || l[0].Kind != kind {
			t.Errorf("%s: %+v", name, l)
		}
	}
	if l := s.FunctionsNamed("opt"); len(l) != 1 || l[0].Defaults != 1 {
		t.Errorf("opt: %+v", l)
	}
	if l := s.FunctionsNamed("plpgsql_call_handler"); len(l) != 1 || l[0].Extension != "plpgsql" {
		t.Errorf("extension: %+v", l)
	}
	ops := s.OperatorsNamed("===")
	if len(ops) != 1 || ops[0].Schema != "app" || ops[0].Left != 23 || ops[0].Right != 23 || ops[0].Result != 16 ||
		ops[0].Function != s.FunctionsNamed("same")[0].OID {
		t.Errorf("operator: %+v", ops)
	}
	// The other cast came with the multirange.
	casts := s.UserCasts()
	i := slices.IndexFunc(casts, func(c *catalog.Cast) bool { return c.Source == 25 })
	if len(casts) != 2 || i < 0 || casts[i].Target != pair.OID || casts[i].Context != 'a' || casts[i].Method != 'f' {
		t.Errorf("%d casts, ours is %d", len(casts), i)
	}
	if len(s.Casts) < 200 || len(s.Functions) < 3000 || len(s.Operators) < 700 || len(s.Types) < 500 || len(s.Settings) < 300 {
		t.Errorf("%d casts, %d functions, %d operators, %d types, %d settings on PostgreSQL %d",
			len(s.Casts), len(s.Functions), len(s.Operators), len(s.Types), len(s.Settings), major)
	}
	if i = slices.IndexFunc(s.Settings, func(v catalog.Setting) bool { return v.Name == "work_mem" }); i < 0 || s.Settings[i].Context != "user" {
		t.Error("settings")
	}
}

// TestStatisticsOfSeveralTables: expressions of extended statistics are those of their own
// table, whatever other tables have.
func TestStatisticsOfSeveralTables(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, `CREATE SCHEMA app;
CREATE TABLE app.a (x int, y int);
CREATE TABLE app.b (x int, y int);
CREATE TABLE app.c (x int, y int);
CREATE STATISTICS app.a1 ON (x + 1), y FROM app.a;
CREATE STATISTICS app.b1 ON (x + 2), y FROM app.b;
CREATE STATISTICS app.a2 ON (y + 3), (x + 4) FROM app.a;
CREATE STATISTICS app.c1 ON x, y FROM app.c`)
		snap := fresh(t, f.idle(t), f.name)
		for table, want := range map[string][]string{"a": {"(x + 1)", "(y + 3)", "(x + 4)"}, "b": {"(x + 2)"}, "c": nil} {
			var got []string
			for _, e := range snap.RelationByName("app", table).StatisticsExpressions {
				got = append(got, e.Text)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("statistics of %s are on %q, want %q", table, got, want)
			}
		}
	})
}
