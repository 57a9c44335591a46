package catalog

import (
	"slices"
	"testing"
)

func TestOverlay(t *testing.T) {
	base := sample()
	base.Index()
	digest := base.ComputeDigest()
	add := Additions{
		TempSchema: "pg_temp_7",
		Schemas:    []Schema{{OID: 30000, Name: "fresh"}},
		Relations: []Relation{
			{OID: 30001, Schema: "pg_temp_7", Name: "orders", Kind: KindTable},
			{OID: 30002, Schema: "fresh", Name: "made", Kind: KindTable},
			{OID: 20002, Schema: "public", Name: "renamed", Kind: KindView},
		},
		Types:     []Type{{OID: 30003, Schema: "pg_temp_7", Name: "orders", Relation: 30001}, {OID: 30005, Schema: "fresh", Name: "m", Kind: 'm', Subtype: 30006}},
		Functions: []Function{{OID: 20004, Schema: "public", Name: "f", Volatility: 'i'}, {OID: 30004, Schema: "fresh", Name: "f"}, {OID: 30007, Schema: "fresh", Name: "g"}},
		Dropped:   Dropped{Relations: []OID{20001}, Types: []OID{20003}, Functions: []OID{20005}},
	}
	s := Overlay(base, add)

	if s.RelationByName("pg_temp", "orders") != &add.Relations[0] || s.RelationByName("pg_temp_7", "orders") != &add.Relations[0] ||
		s.RelationByOID(30001) != &add.Relations[0] || s.TempSchema() != "pg_temp_7" || !s.SchemaExists("pg_temp") || !s.SchemaExists("pg_temp_7") {
		t.Error("a temporary table")
	}
	if s.RelationByName("fresh", "made") == nil || !s.SchemaExists("fresh") || !s.SchemaOpenTo("fresh", "stranger") || s.SchemaOpenTo("pg_catalog", "stranger") {
		t.Error("what the transaction has made")
	}
	if s.RelationByName("pub", "licorders") != nil || s.RelationByName("public", "renamed") != s.RelationByOID(20002) || s.RelationByOID(20002) != &add.Relations[2] {
		t.Error("what the transaction has renamed")
	}
	if s.RelationByName("public", "orders") != nil || s.RelationByOID(20001) != nil || s.TypeByOID(20003) != nil || s.TypeByName("public", "orders") != nil || s.FunctionByOID(20005) != nil {
		t.Error("what the transaction has dropped")
	}
	if s.TypeByName("pg_temp", "orders") != &add.Types[0] || s.TypeByOID(30003) != &add.Types[0] || s.TypeByName("pg_catalog", "int4") != base.TypeByOID(23) || s.TypeByOID(23) == nil {
		t.Error("types")
	}
	if s.MultirangeOf(30006) != 30005 || s.MultirangeOf(23) != 0 {
		t.Error("multiranges")
	}
	f := s.FunctionsNamed("f")
	if len(f) != 2 || !slices.Contains(f, &add.Functions[0]) || !slices.Contains(f, &add.Functions[1]) || s.FunctionByOID(20004).Volatility != 'i' || len(s.FunctionsNamed("g")) != 1 {
		t.Errorf("functions: %v", f)
	}
	if len(s.OperatorsNamed("+")) != 2 || len(s.UserCasts()) != 1 || s.SettingByName("WORK_MEM") == nil || s.RoleByName("alice") == nil ||
		s.ExtensionByName("citext") == nil || s.OperatorByOID(551) == nil || s.CollationByName("", "C") == nil || s.CastBetween(25, 23) == nil || s.ClassByOID(20008) == nil {
		t.Error("what additions do not have")
	}
	if s.Digest != ([32]byte{}) || s.Version != base.Version {
		t.Error("digest and version")
	}

	// The shared snapshot is as it was.
	if base.ComputeDigest() != digest || base.RelationByName("pg_temp", "orders") != nil || base.RelationByName("public", "orders") == nil ||
		base.SchemaExists("pg_temp") || len(base.FunctionsNamed("f")) != 2 || base.FunctionByOID(20004).Volatility != 0 || base.TempSchema() != "" {
		t.Error("the base changed")
	}

	// On top of an overlay, what it hides stays hidden.
	again := Overlay(s, Additions{Dropped: Dropped{Relations: []OID{30002}}, Relations: []Relation{{OID: 30009, Schema: "pg_temp_7", Name: "more"}}})
	if again.RelationByName("pg_temp", "orders") == nil || again.RelationByName("pg_temp", "more") == nil || again.RelationByName("fresh", "made") != nil ||
		again.RelationByName("public", "orders") != nil || again.RelationByOID(20001) != nil || len(again.FunctionsNamed("f")) != 2 {
		t.Error("an overlay on an overlay")
	}
}

func BenchmarkOverlay(b *testing.B) {
	base := sample()
	for i := range 3000 {
		base.Functions = append(base.Functions, Function{OID: OID(40000 + i), Schema: "public", Name: "g"})
	}
	base.Index()
	add := Additions{TempSchema: "pg_temp_7", Relations: []Relation{{OID: 30001, Schema: "pg_temp_7", Name: "orders", Kind: KindTable}}}
	b.ReportAllocs()
	for b.Loop() {
		Overlay(base, add)
	}
}
