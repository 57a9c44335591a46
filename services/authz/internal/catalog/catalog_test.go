package catalog

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func sample() *Snapshot {
	key := ForeignKey{
		Name: "fk", From: 20001, To: 20002, OnDelete: 'c', OnUpdate: 'a',
		FromColumns: []int16{1}, ToColumns: []int16{2},
	}
	refs := References{Recorded: true, Relations: []OID{1}, Functions: []OID{2}, Operators: []OID{3}}
	return &Snapshot{
		Database: "app", ServerVersionNum: 150018, ServerEncoding: "UTF8",
		Schemas: []Schema{{OID: 11, Name: "pg_catalog", ClosedTo: []string{"stranger"}}, {OID: 2200, Name: "public"}},
		Relations: []Relation{
			{
				OID: 20001, Schema: "public", Name: "orders", Kind: KindTable, Owner: "app",
				Columns:  []Column{{Number: 1, Name: "id", Type: 23, Default: "1", References: refs, Generated: 's', Identity: 'a'}},
				Triggers: []Trigger{{Name: "t", Function: 20004, Columns: []int16{1}, References: refs}}, Rules: []Rule{{Name: "r", Event: 2, References: refs}},
				Policies:         []Policy{{Name: "p", Command: 'r', Roles: []string{"r"}, References: refs}},
				Checks:           []Expression{{Text: "c", References: refs}},
				CheckNames:       []string{"c"},
				OtherConstraints: []string{"o"},
				IndexExpressions: []Expression{{Text: "e", References: refs}}, ExclusionOperators: []OID{4}, StatisticsExpressions: []Expression{{Text: "s", References: refs}},
				ForeignOperatorClasses: []OID{1}, PartitionOperatorClasses: []OID{1}, PartitionKey: Expression{Text: "k", References: refs}, DefaultPartition: true, Children: []OID{2}, Parents: []OID{3},
				ForeignKeys: []ForeignKey{key}, Keys: []Key{{Name: "k", Columns: []int16{1}}}, ReferencedBy: []ForeignKey{key}, Definition: "d", References: refs,
			},
			{OID: 20002, Schema: "pub", Name: "licorders", Kind: KindView},
		},
		Types: []Type{{OID: 23, Schema: "pg_catalog", Name: "int4", Kind: 'b', Checks: []Expression{{Text: "c", References: refs}}, References: refs, Support: []OID{4}, Constraints: []string{"d"}}, {OID: 20003, Schema: "public", Name: "orders"}},
		Functions: []Function{{OID: 20004, Schema: "public", Name: "f", Arguments: []OID{23}, AllArguments: []OID{23, 25}, ArgumentModes: []byte("io"),
			ArgumentNames: []string{"a", "b"}, DefaultExpressions: []string{"1"}, Settings: []string{"a=b"}, References: refs, Aggregate: Aggregate{Functions: []OID{5}}}, {OID: 20005, Schema: "hr", Name: "f"}},
		Operators: []Operator{{OID: 20006, Schema: "public", Name: "+", Left: 23}, {OID: 551, Schema: "pg_catalog", Name: "+"}},
		Casts:     []Cast{{OID: 10001, Source: 23, Target: 20}, {OID: 20007, Source: 25, Target: 23, Context: 'i'}},
		OperatorClasses: []OperatorClass{{OID: 20008, Name: "c", Functions: []OID{6}, Operators: []OID{7}, Numbers: []int16{1}, Strategies: []int16{3},
			FamilyFunctions: []OID{6}, FamilyOperators: []OID{7}, FamilyStrategies: []int16{3}}},
		Collations:    []Collation{{OID: 20009, Name: "C"}},
		Roles:         []Role{{OID: 20010, Name: "alice", MemberOf: []OID{10}, NotInherited: []OID{10}}},
		Extensions:    []Extension{{OID: 20011, Name: "citext"}},
		EventTriggers: []EventTrigger{{OID: 20012, Name: "e", Tags: []string{"t"}}},
		Settings:      []Setting{{Name: "work_mem", Context: "user"}},
		Globals:       []Global{{Kind: KindLanguage, OID: 20013, Name: "plsql"}},
	}
}

func TestLookups(t *testing.T) {
	s := sample()
	if s.SchemaExists("public") || s.RelationByOID(20001) != nil || s.UserCasts() != nil {
		t.Error("a snapshot without index answers")
	}
	s.Index()
	if !s.SchemaExists("public") || s.SchemaExists("Public") || s.SchemaExists("") {
		t.Error("SchemaExists")
	}
	if r := s.RelationByName("public", "orders"); r != &s.Relations[0] || s.RelationByOID(20001) != r {
		t.Error("relation not found")
	}
	for _, name := range [][2]string{{"publico", "rders"}, {"public", "Orders"}, {"", "orders"}, {"hr", "orders"}} {
		if s.RelationByName(name[0], name[1]) != nil {
			t.Errorf("%q found", name)
		}
	}
	if s.RelationByName("pub", "licorders") != &s.Relations[1] {
		t.Error("second relation not found")
	}
	if s.TypeByName("pg_catalog", "int4") != &s.Types[0] || s.TypeByOID(20003) != &s.Types[1] || s.TypeByName("public", "int4") != nil || s.TypeByOID(1) != nil {
		t.Error("types")
	}
	if f := s.FunctionsNamed("f"); len(f) != 2 || f[0] != &s.Functions[0] || f[1] != &s.Functions[1] || s.FunctionsNamed("g") != nil {
		t.Error("functions")
	}
	if o := s.OperatorsNamed("+"); len(o) != 2 || s.OperatorsNamed("-") != nil {
		t.Error("operators")
	}
	if c := s.UserCasts(); len(c) != 1 || c[0] != &s.Casts[1] {
		t.Error("casts")
	}
}

func TestDigestFollowsContent(t *testing.T) {
	want := sample().ComputeDigest()
	s := sample()
	s.Index()
	s.Digest, s.Version = [32]byte{1}, 7
	if s.ComputeDigest() != want {
		t.Error("index, digest or version changes the digest")
	}
	s = sample()
	slices.Reverse(s.Relations)
	slices.Reverse(s.Types)
	slices.Reverse(s.Functions)
	slices.Reverse(s.Operators)
	slices.Reverse(s.Casts)
	slices.Reverse(s.Schemas)
	if s.ComputeDigest() != want {
		t.Error("the order of rows changes the digest")
	}
	if s.Relations[0].OID != 20002 {
		t.Error("computing the digest sorted the snapshot")
	}
	// Text must not run from one field into the next.
	a, b := sample(), sample()
	a.Relations[0].Schema, a.Relations[0].Name = "ab", "c"
	b.Relations[0].Schema, b.Relations[0].Name = "a", "bc"
	if a.ComputeDigest() == b.ComputeDigest() {
		t.Error("fields run together")
	}
	a, b = sample(), sample()
	a.Relations[0].Children, a.Relations[0].Parents = []OID{1, 2}, nil
	b.Relations[0].Children, b.Relations[0].Parents = []OID{1}, []OID{2}
	if a.ComputeDigest() == b.ComputeDigest() {
		t.Error("lists run together")
	}
}

// TestDigestHoldsEveryField changes every field of the model, one at a time.
func TestDigestHoldsEveryField(t *testing.T) {
	want := sample().ComputeDigest()
	changed := 0
	var visit func(path string, at func(*Snapshot) reflect.Value)
	visit = func(path string, at func(*Snapshot) reflect.Value) {
		v := at(sample())
		change := func(name string, f func(reflect.Value)) {
			s := sample()
			f(at(s))
			changed++
			if s.ComputeDigest() == want {
				t.Errorf("%s%s does not change the digest", path, name)
			}
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Type().Field(i)
				if !f.IsExported() || path == "" && (f.Name == "Digest" || f.Name == "Version") {
					continue
				}
				if f.Tag.Get("digest") == "-" {
					continue // TestSums has it.
				}
				visit(path+"."+f.Name, func(s *Snapshot) reflect.Value { return at(s).Field(i) })
			}
		case reflect.Slice:
			if v.Len() == 0 {
				t.Errorf("%s: the sample is empty there", path)
				return
			}
			change(" shortened", func(v reflect.Value) { v.Set(v.Slice(0, v.Len()-1)) })
			visit(path+"[0]", func(s *Snapshot) reflect.Value { return at(s).Index(0) })
		case reflect.Array:
			last := v.Len() - 1
			visit(fmt.Sprintf("%s[%d]", path, last), func(s *Snapshot) reflect.Value { return at(s).Index(last) })
		case reflect.String:
			change("", func(v reflect.Value) { v.SetString(v.String() + "x") })
		case reflect.Bool:
			change("", func(v reflect.Value) { v.SetBool(!v.Bool()) })
		case reflect.Int, reflect.Int16, reflect.Int32:
			change("", func(v reflect.Value) { v.SetInt(v.Int() + 1) })
		case reflect.Uint8, reflect.Uint32:
			change("", func(v reflect.Value) { v.SetUint(v.Uint() + 1) })
		default:
			t.Errorf("%s: kind %s is not tested", path, v.Kind())
		}
	}
	visit("", func(s *Snapshot) reflect.Value { return reflect.ValueOf(s).Elem() })
	if changed < 80 {
		t.Errorf("only %d fields changed", changed)
	}
}

// TestSums: a digest from those of the objects is that of the snapshot, and texts
// count for the content alone.
func TestSums(t *testing.T) {
	sums := func(s *Snapshot) Sums {
		var relations, types, functions []Sums
		for _, v := range sorted(s.Relations, func(v Relation) OID { return v.OID }) {
			relations = append(relations, Sum(&v))
		}
		for _, v := range sorted(s.Types, func(v Type) OID { return v.OID }) {
			types = append(types, Sum(&v))
		}
		for _, v := range sorted(s.Functions, func(v Function) OID { return v.OID }) {
			functions = append(functions, Sum(&v))
		}
		return s.DigestWith(relations, types, functions)
	}
	want := sums(sample())
	if want.Identity != sample().ComputeDigest() || want.Identity == want.Content {
		t.Error("the digest of the digests is another")
	}
	for name, change := range map[string]func(*Snapshot){
		"Checks":                func(s *Snapshot) { s.Relations[0].Checks[0].Text = Unreadable },
		"IndexExpressions":      func(s *Snapshot) { s.Relations[0].IndexExpressions[0].Text = Unreadable },
		"StatisticsExpressions": func(s *Snapshot) { s.Relations[0].StatisticsExpressions[0].Text = Unreadable },
		"PartitionKey":          func(s *Snapshot) { s.Relations[0].PartitionKey.Text = Unreadable },
		"Definition":            func(s *Snapshot) { s.Relations[0].Definition = Unreadable },
		"Default":               func(s *Snapshot) { s.Relations[0].Columns[0].Default = Unreadable },
		"Trigger.Definition":    func(s *Snapshot) { s.Relations[0].Triggers[0].Definition = Unreadable },
		"Rule.Definition":       func(s *Snapshot) { s.Relations[0].Rules[0].Definition = Unreadable },
		"Using":                 func(s *Snapshot) { s.Relations[0].Policies[0].Using = Unreadable },
		"Check":                 func(s *Snapshot) { s.Relations[0].Policies[0].Check = Unreadable },
		"StandardBody":          func(s *Snapshot) { s.Functions[0].StandardBody = Unreadable },
	} {
		s := sample()
		change(s)
		if got := sums(s); got.Identity != want.Identity || got.Content == want.Content {
			t.Errorf("%s: identity changed: %t, content changed: %t", name, got.Identity != want.Identity, got.Content != want.Content)
		}
	}
}

func BenchmarkComputeDigest(b *testing.B) {
	s := sample()
	for i := range 3000 {
		f := s.Functions[0]
		f.OID = OID(30000 + i)
		s.Functions = append(s.Functions, f)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.ComputeDigest()
	}
}
