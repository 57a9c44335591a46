package exposure_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/exposure"
)

// snapshot: orders refers to customers and is referred to by items, those by notes;
// events has two partitions, of which one is referred to.
func snapshot() *catalog.Snapshot {
	key := func(from, to catalog.OID) catalog.ForeignKey { return catalog.ForeignKey{From: from, To: to} }
	s := &catalog.Snapshot{Relations: []catalog.Relation{
		{OID: 1, Schema: "public", Name: "customers", Kind: catalog.KindTable, ReferencedBy: []catalog.ForeignKey{key(2, 1)}},
		{OID: 2, Schema: "public", Name: "orders", Kind: catalog.KindTable, ForeignKeys: []catalog.ForeignKey{key(2, 1)}, ReferencedBy: []catalog.ForeignKey{key(3, 2)}},
		{OID: 3, Schema: "public", Name: "items", Kind: catalog.KindTable, ForeignKeys: []catalog.ForeignKey{key(3, 2)}, ReferencedBy: []catalog.ForeignKey{key(4, 3)}},
		{OID: 4, Schema: "hr", Name: "notes", Kind: catalog.KindTable, ForeignKeys: []catalog.ForeignKey{key(4, 3)}},
		{OID: 5, Schema: "public", Name: "events", Kind: catalog.KindPartitionedTable, Children: []catalog.OID{6, 7}},
		{OID: 6, Schema: "public", Name: "events_1", Kind: catalog.KindTable, Parents: []catalog.OID{5}},
		{OID: 7, Schema: "hr", Name: "events_2", Kind: catalog.KindTable, Parents: []catalog.OID{5}, ReferencedBy: []catalog.ForeignKey{key(4, 7)}},
		{OID: 8, Schema: "public", Name: "ids", Kind: catalog.KindSequence},
		{OID: 9, Schema: "pg_catalog", Name: "pg_class", Kind: catalog.KindTable},
		{OID: 10, Schema: "public", Name: "self", Kind: catalog.KindTable, ForeignKeys: []catalog.ForeignKey{key(10, 10)}, ReferencedBy: []catalog.ForeignKey{key(10, 10)}},
		{OID: 11, Schema: "public", Name: "self_pkey", Kind: catalog.KindIndex},
		{OID: 12, Schema: "public", Name: "events_id", Kind: catalog.KindPartitionedIndex},
		{OID: 13, Schema: "pg_catalog", Name: "pg_class_oid_index", Kind: catalog.KindIndex},
	}}
	s.Index()
	return s
}

func TestReach(t *testing.T) {
	on := func(action access.Action, kind access.Kind, schema, name string) access.Access {
		o := access.Object{Kind: kind, Schema: schema, Name: name}
		return access.Access{Action: action, Named: o, Resolved: o}
	}
	table := func(action access.Action, name string) access.Access { return on(action, access.Table, "public", name) }
	for _, tt := range []struct {
		name     string
		accesses []access.Access
		effects  []access.EffectKind
		want     []string // nil when it is not known
	}{
		{"nothing", nil, nil, []string{}},
		{"a table read", []access.Access{table(access.Select, "orders")}, nil, []string{"public.orders"}},
		{"a table written", []access.Access{table(access.Insert, "orders")}, nil, []string{"hr.notes", "public.customers", "public.items", "public.orders"}},
		{"read, then written", []access.Access{table(access.Select, "items"), table(access.Delete, "items")}, nil, []string{"hr.notes", "public.items", "public.orders"}},
		{"partitions", []access.Access{table(access.Select, "events")}, nil, []string{"hr.events_2", "public.events", "public.events_1"}},
		{"a partition written", []access.Access{table(access.Update, "events_1")}, nil, []string{"hr.events_2", "hr.notes", "public.events", "public.events_1", "public.items"}},
		{"a key on itself", []access.Access{table(access.Update, "self")}, nil, []string{"public.self"}},
		{"within a view", []access.Access{{Action: access.Select, Within: true, Resolved: access.Object{Kind: access.Table, Schema: "hr", Name: "notes"}}}, nil, []string{"hr.notes"}},
		{"a sequence", []access.Access{on(access.Usage, access.Sequence, "public", "ids")}, nil, []string{"public.ids"}},
		{"LOCK TABLE", []access.Access{{Action: access.Select, Or: []access.Action{access.Update}, Resolved: access.Object{Kind: access.Table, Schema: "public", Name: "items"}}}, nil,
			[]string{"hr.notes", "public.items", "public.orders"}},
		{"a catalog", []access.Access{on(access.Select, access.Table, "pg_catalog", "pg_class")}, nil, []string{}},
		{"functions and schemas", []access.Access{on(access.Execute, access.Function, "public", "f"), on(access.Usage, access.Schema, "", "public")}, nil, []string{}},
		{"what the statement makes", []access.Access{table(access.Insert, "new")}, nil, []string{}},
		{"a definition", nil, []access.EffectKind{access.EffectDDL}, []string{"hr.events_2", "hr.notes", "public.customers", "public.events", "public.events_1", "public.ids", "public.items", "public.orders", "public.self"}},
		{"trusted code", []access.Access{{Action: access.Execute, Resolved: access.Object{Kind: access.Function, Schema: "public", Name: "f"}, Trust: []access.Trust{{Code: "function f"}}}}, nil, nil},
		{"opaque", nil, []access.EffectKind{access.EffectOpaque}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := access.Statement{Accesses: tt.accesses}
			for _, k := range tt.effects {
				st.Effects = append(st.Effects, access.Effect{Kind: k})
			}
			reach, known := exposure.Reach([]access.Statement{st}, snapshot())
			if known != (tt.want != nil) {
				t.Fatalf("known: %t", known)
			}
			got := names(reach)
			if diff := cmp.Diff(tt.want, got); diff != "" && len(tt.want)+len(got) > 0 {
				t.Error(diff)
			}
		})
	}
}

// TestOwn: what is temporary is the session's own, what hangs together with it is not.
func TestOwn(t *testing.T) {
	snap := catalog.Overlay(snapshot(), catalog.Additions{TempSchema: "pg_temp_3", Relations: []catalog.Relation{
		{OID: 20, Schema: "pg_temp_3", Name: "mine", Kind: catalog.KindTable},
		{OID: 21, Schema: "pg_temp_3", Name: "child", Kind: catalog.KindTable, Parents: []catalog.OID{6}},
	}})
	insert := func(name string) access.Access {
		o := access.Object{Kind: access.Table, Schema: "pg_temp", Name: name}
		return access.Access{Action: access.Insert, Named: o, Resolved: o, Within: true}
	}
	for name, want := range map[string][]string{
		"mine":  {},
		"child": {"hr.events_2", "hr.notes", "public.events", "public.events_1", "public.items"},
	} {
		reach, known := exposure.Reach([]access.Statement{{Accesses: []access.Access{insert(name)}}}, snap)
		if got := names(reach); !known || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %t", name, got, known)
		}
	}
	all, known := exposure.Database(snap)
	if !known || all[0].Name != "pg_class" || slices.ContainsFunc(all, func(o access.Object) bool { return o.Schema == "pg_temp_3" }) {
		t.Errorf("%v, %t", all, known)
	}
	if len(all) != len(snapshot().Relations)-3 {
		t.Errorf("%d relations", len(all))
	}
}

// names are objects as they are written, sorted.
func names(objects []access.Object) []string {
	all := []string{}
	for _, o := range objects {
		all = append(all, o.Schema+"."+o.Name)
	}
	slices.Sort(all)
	return all
}
