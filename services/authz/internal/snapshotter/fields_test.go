package snapshotter

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// function finds a pg_proc entry by the name of a function that has no overloads.
func function(t *testing.T, s *catalog.Snapshot, schema, name string) catalog.OID {
	t.Helper()
	var found []catalog.OID
	for _, f := range s.FunctionsNamed(name) {
		if f.Schema == schema {
			found = append(found, f.OID)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d functions %s.%s", len(found), schema, name)
	}
	return found[0]
}

// sameFields compares where an expression may be printed in several ways, and
// leaves OIDs of the object itself and digests out.
func sameFields[T any](t *testing.T, what string, want, got T, ignored ...string) {
	t.Helper()
	opts := []cmp.Option{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(catalog.Snapshot{})}
	if len(ignored) > 0 {
		var zero T
		opts = append(opts, cmpopts.IgnoreFields(zero, ignored...))
	}
	if diff := cmp.Diff(want, got, opts...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestReadsEveryField(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, "")
		b, err := os.ReadFile("testdata/fields.sql")
		if err != nil {
			t.Fatal(err)
		}
		f.exec(t, strings.ReplaceAll(string(b), "NAME", f.name))
		defer f.exec(t, strings.ReplaceAll("DROP OWNED BY NAME_a, NAME_b, NAME_c CASCADE; DROP ROLE NAME_a, NAME_b, NAME_c", "NAME", f.name))
		s := fresh(t, f.idle(t), f.name)
		t.Run("types", func(t *testing.T) { checkTypes(t, s) })
		t.Run("functions", func(t *testing.T) { checkFunctions(t, s) })
		t.Run("relations", func(t *testing.T) { checkRelations(t, s, f.name) })
		t.Run("classes", func(t *testing.T) { checkClasses(t, s) })
		t.Run("roles", func(t *testing.T) { checkRoles(t, s, f.name) })
		t.Run("partitions", func(t *testing.T) {
			if rest, whole := s.RelationByName("f", "by_number_rest"), s.RelationByName("f", "by_number"); !rest.DefaultPartition || whole.DefaultPartition {
				t.Errorf("default partition: %v, %v", rest.DefaultPartition, whole.DefaultPartition)
			}
		})
		t.Run("no field is forgotten", func(t *testing.T) { checkEveryFieldIsRead(t, s) })
	})
}

func checkTypes(t *testing.T, s *catalog.Snapshot) {
	pair, word, span, spans := s.TypeByName("f", "pair"), s.TypeByName("f", "word"), s.TypeByName("f", "span"), s.TypeByName("f", "spans")
	refs := catalog.References{Recorded: true}
	in := func(name string) catalog.OID { return function(t, s, "pg_catalog", name) }
	sameFields(t, "composite", catalog.Type{
		Schema: "f", Name: "pair", Kind: 'c', Category: 'C', Relation: s.RelationByName("f", "pair").OID,
		Array: s.TypeByName("f", "_pair").OID, Input: in("record_in"), Output: in("record_out"),
		Support: []catalog.OID{in("record_recv"), in("record_send")}, Owner: "postgres",
	}, *pair, "OID", "Details")
	sameFields(t, "domain", catalog.Type{
		Schema: "f", Name: "word", Kind: 'd', Category: 'S', Base: 1043, Array: s.TypeByName("f", "_word").OID, Extension: "plpgsql",
		Input: in("domain_in"), Output: in("varcharout"), Support: []catalog.OID{in("domain_recv"), in("varcharsend")},
		Owner: "postgres", NotNull: true, Checks: []catalog.Expression{{Text: "((VALUE)::text <> ''::text)", References: refs}},
		Constraints: []string{"word_check"},
		Default:     "'none'::character varying", References: refs,
	}, *word, "OID", "Details")
	sameFields(t, "range", catalog.Type{
		Schema: "f", Name: "span", Kind: 'r', Category: 'R', Array: s.TypeByName("f", "_span").OID, Subtype: 701,
		SubtypeClass: s.DefaultClass("btree", 701).OID, Input: in("range_in"), Output: in("range_out"),
		Support: []catalog.OID{in("range_recv"), in("range_send"), in("range_typanalyze"), in("float8mi")}, Owner: "postgres",
	}, *span, "OID", "Details")
	sameFields(t, "multirange", catalog.Type{
		Schema: "f", Name: "spans", Kind: 'm', Category: 'R', Array: s.TypeByName("f", "_spans").OID, Subtype: span.OID,
		Input: in("multirange_in"), Output: in("multirange_out"),
		Support: []catalog.OID{in("multirange_recv"), in("multirange_send"), in("multirange_typanalyze")}, Owner: "postgres",
	}, *spans, "OID", "Details")
	if c := s.ClassByOID(s.TypeByName("f", "pairs").SubtypeClass); c == nil || c.Name != "pair_ops" {
		t.Errorf("the range's operator class: %+v", c)
	}
	varchar := s.TypeByOID(1043)
	for _, name := range []string{"varcharrecv", "varcharsend", "varchartypmodin", "varchartypmodout"} {
		if !slices.Contains(varchar.Support, in(name)) {
			t.Errorf("varchar without %s", name)
		}
	}
}

func checkFunctions(t *testing.T, s *catalog.Snapshot) {
	get := func(name string) catalog.Function { return *s.FunctionByOID(function(t, s, "f", name)) }
	sameFields(t, "plain", catalog.Function{
		Schema: "f", Name: "plain", Kind: 'f', Arguments: []catalog.OID{23, 25, 23}, Defaults: 2, Result: 2249,
		Language: "sql", Volatility: 's', Owner: "postgres", AllArguments: []catalog.OID{23, 25, 23, 23},
		ArgumentModes: []byte("ibio"), ArgumentNames: []string{"a", "b", "c", "d"},
		DefaultExpressions: []string{"'x, y'::text", "(1 + 1)"}, Strict: true, Body: "SELECT $2, $1",
		References: catalog.References{Recorded: true},
		Settings:   []string{"work_mem=2MB", "search_path=f, pg_temp"},
	}, get("plain"), "OID", "Details")
	sameFields(t, "standard", catalog.Function{
		Schema: "f", Name: "standard", Kind: 'f', Arguments: []catalog.OID{23}, Result: 23, Language: "sql", Volatility: 'v',
		Owner: "postgres", ArgumentNames: []string{"a"}, StandardBody: "RETURN f.plus(a)",
		References: catalog.References{Recorded: true, Functions: []catalog.OID{function(t, s, "f", "plus")}},
	}, get("standard"), "OID", "Details")
	sameFields(t, "rows", catalog.Function{
		Schema: "f", Name: "rows", Kind: 'f', Arguments: []catalog.OID{1007}, Variadic: 23, Result: 23, ReturnSet: true,
		SecurityDefiner: true, Language: "plpgsql", Volatility: 'v', Owner: "postgres", AllArguments: []catalog.OID{1007, 23},
		ArgumentModes: []byte("vt"), ArgumentNames: []string{"r", "n"},
	}, get("rows"), "OID", "Details")
	sameFields(t, "native", catalog.Function{
		Schema: "f", Name: "native", Kind: 'f', Arguments: []catalog.OID{23}, Result: 23, Language: "internal", Volatility: 'v',
		Owner: "postgres", Symbol: "int4abs", SupportFunction: function(t, s, "pg_catalog", "generate_series_int4_support"),
	}, get("native"), "OID", "Details")
	sameFields(t, "gist", catalog.Function{
		Schema: "f", Name: "gist", Kind: 'f', Arguments: []catalog.OID{2281}, Result: 2281, Language: "c", Volatility: 'v',
		Owner: "postgres", Library: "$libdir/plpgsql", Symbol: "plpgsql_call_handler",
	}, get("gist"), "OID", "Details")
	larger := function(t, s, "pg_catalog", "int4larger")
	sameFields(t, "last", catalog.Aggregate{
		Kind: 'o', Functions: []catalog.OID{larger, function(t, s, "f", "native")},
	}, get("last").Aggregate)
	most := get("most").Aggregate
	if op := s.OperatorByOID(most.SortOperator); op == nil || op.Name != ">" || op.Left != 23 {
		t.Errorf("sort operator: %+v", op)
	}
	sum := s.FunctionByOID(2108).Aggregate // sum(int4)
	for _, name := range []string{"int4_sum", "int8pl", "int4_avg_accum", "int4_avg_accum_inv", "int2int4_sum"} {
		if !slices.Contains(sum.Functions, function(t, s, "pg_catalog", name)) {
			t.Errorf("sum without %s", name)
		}
	}
	for _, f := range s.Functions {
		if len(f.DefaultExpressions) != f.Defaults {
			t.Errorf("%s.%s has %d defaults and expressions %q", f.Schema, f.Name, f.Defaults, f.DefaultExpressions)
		}
		if f.OID < catalog.FirstNormalOID && f.Body+f.StandardBody != "" {
			t.Errorf("%s.%s came with the server and has a body", f.Schema, f.Name)
		}
		if (f.Language == "c" || f.Language == "internal") != (f.Symbol != "") || (f.Language == "c") != (f.Library != "") {
			t.Errorf("%s.%s in %s: library %q, symbol %q", f.Schema, f.Name, f.Language, f.Library, f.Symbol)
		}
		if (f.Kind == 'a') != (f.Aggregate.Kind != 0) {
			t.Errorf("%s.%s has kind %c and is an aggregate of kind %q", f.Schema, f.Name, f.Kind, f.Aggregate.Kind)
		}
	}
}

func checkRelations(t *testing.T, s *catalog.Snapshot, name string) {
	tab := s.RelationByName("f", "t")
	fire, plus, seq := function(t, s, "f", "fire"), function(t, s, "f", "plus"), s.RelationByName("f", "t_id_seq")
	calls := func(relations ...catalog.OID) catalog.References {
		return catalog.References{Recorded: true, Relations: relations, Functions: []catalog.OID{plus}}
	}
	reads := func(relations ...catalog.OID) catalog.References {
		return catalog.References{Recorded: true, Relations: relations}
	}
	qualified := "(v)::text"
	sameFields(t, "t", catalog.Relation{
		Schema: "f", Name: "t", Kind: 'r', Owner: "postgres",
		Columns: []catalog.Column{
			{Number: 1, Name: "id", Type: 23, Modifier: -1, NotNull: true, Default: "nextval('f.t_id_seq'::regclass)", References: reads(slices.Min([]catalog.OID{seq.OID, tab.OID}), slices.Max([]catalog.OID{seq.OID, tab.OID}))},
			{Number: 2, Name: "v", Type: 1043, Modifier: 11},
			{Number: 3, Name: "w", Type: s.TypeByName("f", "word").OID, Modifier: -1},
			{Number: 4, Name: "n", Type: 1700, Modifier: 8<<16 | 2 + 4, Default: "1.5", References: reads(tab.OID), Generated: 's'},
		},
		Triggers: []catalog.Trigger{
			{Name: "a", Function: fire, Type: 1<<1 | 1<<2 | 1<<3, Enabled: 'A'},
			{Name: "b", Function: fire, Type: 1 | 1<<4, Enabled: 'O', Columns: []int16{2}, Condition: true, References: catalog.References{Recorded: true, Relations: []catalog.OID{tab.OID}, Functions: []catalog.OID{fire}}, Definition: "CREATE TRIGGER b AFTER UPDATE OF v ON f.t " +
				"FOR EACH ROW WHEN (((old.v)::text IS DISTINCT FROM (new.v)::text)) EXECUTE FUNCTION f.fire()"},
		},
		Rules: []catalog.Rule{{Name: "r", Event: 2, Instead: true, Enabled: 'R', Definition: tab.Rules[0].Definition, References: calls(tab.OID)}},
		Policies: []catalog.Policy{
			{Name: "p", Command: 'w', Roles: []string{name + "_a", name + "_b"}, Using: "(f.plus(id) > 0)", Check: tab.Policies[0].Check, References: calls(tab.OID)},
			{Name: "q", Command: '*', Permissive: true, Using: "true", References: reads(tab.OID)},
		},
		Checks:                []catalog.Expression{{Text: "(f.plus(id) > 0)", References: calls(tab.OID)}},
		CheckNames:            []string{"t_id_check"},
		StatisticsExpressions: []catalog.Expression{{Text: "f.plus(id)", References: calls(tab.OID)}, {Text: "(" + qualified + " || 'x'::text)", References: calls(tab.OID)}},
		RowType:               s.TypeByName("f", "t").OID,
		Keys:                  []catalog.Key{{Name: "t_pkey", Columns: []int16{1}, Primary: true}},
	}, *tab, "OID", "Details")
	for _, want := range []string{"CREATE RULE r AS\n    ON UPDATE TO f.t", "new.id = f.plus(1)", "DO INSTEAD  DELETE FROM f.t"} {
		if got := tab.Rules[0].Definition; !strings.Contains(got, want) {
			t.Errorf("rule %q is without %q", got, want)
		}
	}
	if got := s.RelationByName("f", "late").OtherConstraints; !slices.Equal(got, []string{"late_id_key"}) {
		t.Errorf("constraints %q", got)
	}
	if got := tab.Policies[0].Check; !strings.Contains(got, "FROM f.t u") {
		t.Errorf("check %q", got)
	}
	if got := s.RelationByName("f", "typed"); got.OfType != s.TypeByName("f", "pair").OID || tab.OfType != 0 {
		t.Errorf("a typed table is of type %d", got.OfType)
	}
	far, v := s.RelationByName("f", "far"), s.RelationByName("f", "v")
	if far.Server != "Far away" || seq.OwnedBy != tab.OID || s.RelationByName("f", "pair").RowType != s.TypeByName("f", "pair").OID {
		t.Errorf("server %q, sequence of %d", far.Server, seq.OwnedBy)
	}
	if !strings.Contains(v.Definition, "FROM (f.t") || !strings.Contains(v.Definition, "JOIN public.t") || !strings.Contains(v.Definition, "f.plus(") {
		t.Errorf("view %q", v.Definition)
	}
	if checked := s.RelationByName("f", "checked"); checked.CheckOption != 'l' || v.CheckOption != 0 || s.RelationByName("f", "t_pkey").IndexOf != tab.OID {
		t.Errorf("check option %q, index of %d", checked.CheckOption, s.RelationByName("f", "t_pkey").IndexOf)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values([]catalog.OID{tab.OID, s.RelationByName("public", "t").OID, v.OID})), v.References.Relations); diff != "" ||
		!slices.Equal(v.References.Functions, []catalog.OID{plus}) || !slices.Equal(v.References.Operators, []catalog.OID{s.OperatorsNamed("<<<")[0].OID}) {
		t.Errorf("a view's references: %+v %s", v.References, diff)
	}
	if v.RowType == 0 || s.TypeByOID(v.RowType).Relation != v.OID {
		t.Error("row type of a view")
	}
	for _, r := range s.Relations {
		if r.OID < catalog.FirstNormalOID && r.Definition != "" {
			t.Errorf("%s.%s came with the server and has a definition", r.Schema, r.Name)
		}
		if c := s.TypeByOID(r.RowType); r.RowType != 0 && (c == nil || c.Relation != r.OID) {
			t.Errorf("%s.%s has the row type %+v", r.Schema, r.Name, c)
		}
	}
}

func checkClasses(t *testing.T, s *catalog.Snapshot) {
	pair := s.TypeByName("f", "pair").OID
	class := s.DefaultClass("btree", pair)
	sameFields(t, "pair_ops", catalog.OperatorClass{
		Schema: "f", Name: "pair_ops", Method: "btree", Input: pair, Default: true,
		Functions: []catalog.OID{function(t, s, "f", "cmp")}, Operators: []catalog.OID{s.OperatorsNamed("<<<")[0].OID},
		Numbers: []int16{1}, Strategies: []int16{1},
		FamilyFunctions: []catalog.OID{function(t, s, "f", "cmp")}, FamilyOperators: []catalog.OID{s.OperatorsNamed("<<<")[0].OID}, FamilyStrategies: []int16{1},
	}, *class, "OID", "Family")
	ints := s.DefaultClass("btree", 23)
	if ints == nil || ints.Name != "int4_ops" || ints.Family != 1976 || ints.Functions[0] != function(t, s, "pg_catalog", "btint4cmp") {
		t.Fatalf("int4_ops: %+v", ints)
	}
	if !slices.Contains(ints.Functions, function(t, s, "pg_catalog", "btint48cmp")) || slices.Contains(ints.Functions, function(t, s, "pg_catalog", "btint82cmp")) {
		t.Error("cross-type support functions")
	}
	if op := s.OperatorByOID(ints.Operators[0]); op.Name != "<" || op.Left != 23 || op.Right != 23 {
		t.Errorf("first operator: %+v", op)
	}
	keyed := false
	for _, c := range s.OperatorClasses {
		keyed = keyed || c.Key != 0
	}
	if !keyed || len(s.OperatorClasses) < 170 {
		t.Errorf("%d classes, with a key type: %t", len(s.OperatorClasses), keyed)
	}
	if s.CollationByName("pg_catalog", "C") == nil || s.CollationByName("f", "sorting") == nil || s.CollationByName("f", "C") != nil {
		t.Error("collations")
	}
	sameFields(t, "event triggers", []catalog.EventTrigger{{Name: "watched", Event: "ddl_command_end", Function: function(t, s, "f", "watch"), Enabled: 'D',
		Tags: []string{"CREATE TABLE", "ALTER TABLE"}}}, []catalog.EventTrigger{{Name: s.EventTriggers[0].Name, Event: s.EventTriggers[0].Event,
		Function: s.EventTriggers[0].Function, Enabled: s.EventTriggers[0].Enabled, Tags: s.EventTriggers[0].Tags}})
	x := s.ExtensionByName("plpgsql")
	sameFields(t, "extension", catalog.Extension{Name: "plpgsql", Schema: "pg_catalog", Version: "1.0"}, *x, "OID")
}

func checkRoles(t *testing.T, s *catalog.Snapshot, name string) {
	a, b, c := s.RoleByName(name+"_a"), s.RoleByName(name+"_b"), s.RoleByName(name+"_c")
	monitor := s.RoleByName("pg_monitor").OID
	in := []catalog.OID{monitor, a.OID}
	sameFields(t, "a", catalog.Role{Name: name + "_a", Inherit: true, SearchPath: `f, "Mixed"`}, *a, "OID")
	var alone []catalog.OID
	if s.ServerVersionNum >= 160000 {
		alone = in // What GRANT says by itself to a role with NOINHERIT.
	}
	sameFields(t, "b", catalog.Role{Name: name + "_b", Login: true, SearchPath: `""`, MemberOf: in, NotInherited: alone}, *b, "OID")
	sameFields(t, "c", catalog.Role{Name: name + "_c", Login: true, Inherit: true, SearchPath: `"$user", public`}, *c, "OID")
	if !s.RoleByName("postgres").Superuser {
		t.Error("postgres")
	}
}

// checkEveryFieldIsRead: a field that is empty in every row of a catalog which
// has everything was never read.
func checkEveryFieldIsRead(t *testing.T, s *catalog.Snapshot) {
	// What texts depend on is read alike everywhere.
	var references []reflect.Value
	var visit func(path string, rows []reflect.Value)
	visit = func(path string, rows []reflect.Value) {
		typ := rows[0].Type()
		for i := range typ.NumField() {
			field := typ.Field(i)
			if !field.IsExported() {
				continue
			}
			var inner []reflect.Value
			set := false
			for _, row := range rows {
				v := row.Field(i)
				switch {
				case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
					for k := range v.Len() {
						inner = append(inner, v.Index(k))
					}
				case v.Type() == reflect.TypeFor[catalog.References]():
					references = append(references, v)
					set = set || v.Field(0).Bool()
				case v.Kind() == reflect.Struct:
					inner = append(inner, v)
				case v.Kind() == reflect.Slice:
					set = set || v.Len() > 0
				default:
					set = set || !v.IsZero()
				}
			}
			where := path + "." + field.Name
			switch {
			case len(inner) > 0:
				visit(where, inner)
			case !set && !elsewhere[where]:
				t.Errorf("%s is empty in every row", where)
			}
		}
	}
	visit("", []reflect.Value{reflect.ValueOf(s).Elem()})
	visit("References", references)
}

// elsewhere are the fields that the other schema of these tests fills.
var elsewhere = map[string]bool{
	".Relations.RowSecurity": true, ".Relations.Keys": true, ".Relations.ForceRowSecurity": true, ".Relations.PartitionKey.Text": true, ".Relations.PartitionKey.References": true, ".Relations.Children": true, ".Relations.Parents": true,
	".Relations.SecurityInvoker": true, ".Relations.ForeignKeys": true, ".Relations.ReferencedBy": true,
	".Relations.IndexExpressions": true, ".Relations.ExclusionOperators": true, ".Relations.ForeignOperatorClasses": true, ".Relations.Columns.Identity": true,
	".Schemas.ClosedTo":   true,
	".Roles.NotInherited": true, // PostgreSQL 16 and later; see checkRoles.
}
