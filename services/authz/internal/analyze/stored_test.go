package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestStoredExpressions judges what the catalog can hold, as the server prints it:
// built-in code asks for nothing, functions for execute, and what cannot be bound is
// denied: trust would stand in for execute and for explicit denies.
func TestStoredExpressions(t *testing.T) {
	for _, tc := range []struct {
		change func(*catalog.Relation)
		want   string
	}{
		{func(r *catalog.Relation) { r.Checks = texts("((note)::text <> ''::text)") }, ""},
		{func(r *catalog.Relation) {
			r.Checks = texts("(total > (0)::numeric)", "(status = ANY (ARRAY['ok'::public.mood, 'sad'::public.mood]))")
		}, ""},
		{func(r *catalog.Relation) { r.Checks = texts("((note ~ '^a'::text) AND (char_length(note) < 10))") }, ""},
		{func(r *catalog.Relation) { r.Checks = texts("public.own(id)") }, "execute function public.own(integer); "},
		{func(r *catalog.Relation) { r.Checks = texts("(id OPERATOR(public.=) 1)") }, "a check of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.Checks = texts("(5)::public.ownint > 1") }, "execute function public.own(integer); "},
		{func(r *catalog.Relation) { r.Checks = texts("(SELECT true)") }, "a check of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.Checks = texts("true) FROM hr.salaries WHERE (true") }, "a check of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.Checks = texts("orders IS NULL") }, "a check of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.Checks = texts("id = $1") }, "a check of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.Checks = texts("") }, "a check of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.IndexExpressions = texts("lower(note), upper(note)", "(id > 1)") }, ""},
		{func(r *catalog.Relation) {
			r.ExclusionOperators = []catalog.OID{3888, 96} // &&(anyrange,anyrange), =(int4,int4)
		}, ""},
		{func(r *catalog.Relation) { r.ExclusionOperators = []catalog.OID{19500} }, "trust an exclusion constraint of public.orders; "},
		{func(r *catalog.Relation) { r.IndexExpressions = texts("(id <=> 1)") }, "an index of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.IndexExpressions = texts("public.own(id)") }, "execute function public.own(integer); "},
		{func(r *catalog.Relation) {
			r.PartitionKey = catalog.Expression{Text: "LIST (lower(note), id, tags COLLATE \"C\" text_pattern_ops)"}
		}, ""},
		{func(r *catalog.Relation) {
			r.PartitionKey, r.ForeignOperatorClasses = catalog.Expression{Text: "HASH (id public.own_ops)"}, []catalog.OID{19000}
		}, "trust an operator class of public.orders; "},
		{func(r *catalog.Relation) {
			r.PartitionKey = catalog.Expression{Text: "RANGE (((public.own(id))::integer))"}
		}, "execute function public.own(integer); "},
		{func(r *catalog.Relation) { r.PartitionKey = catalog.Expression{Text: "RANGE (id); DROP TABLE orders"} }, "the partition key of public.orders, which cannot be bound"},
		{func(r *catalog.Relation) { r.Columns[3].Default = "'x'::text" }, ""},
		{func(r *catalog.Relation) { r.Columns[3].Default = "nextval('public.counter'::regclass)" }, "usage sequence public.counter or update; "},
		{func(r *catalog.Relation) { r.Columns[3].Default = "CURRENT_USER" }, ""},
		{func(r *catalog.Relation) { r.Columns[3].Type = 17999 }, "a type that is not in the catalog"},
		{func(r *catalog.Relation) { r.ForeignOperatorClasses = []catalog.OID{19000} }, "trust an operator class of public.orders; "},
		{func(r *catalog.Relation) { r.Children = []catalog.OID{29999} }, "a child of relation public.orders that is not known"},
		{func(r *catalog.Relation) {
			r.ReferencedBy = append(r.ReferencedBy, catalog.ForeignKey{From: 29999, To: r.OID, OnDelete: 'a', OnUpdate: 'a'})
		}, ""},
	} {
		b := fixture(t)
		rel := b.find("public", "orders")
		tc.change(rel)
		got := Analyze(Input{Text: []byte("INSERT INTO orders (id) VALUES (1)"), Context: publicContext()}, b.index())
		result := got.Detail
		if got.Outcome == access.Judge {
			result = ""
			for _, needed := range got.Statements[0].Accesses {
				switch {
				case len(needed.Trust) > 0:
					result += "trust " + needed.Trust[0].Code + "; "
				case needed.Action != access.Insert:
					result += accessText(needed) + "; "
				}
			}
		}
		if result != tc.want {
			t.Errorf("checks %v, indexes %v, key %s: %q, want %q", rel.Checks, rel.IndexExpressions, rel.PartitionKey.Text, result, tc.want)
		}
	}
}

// TestRulesThatCannotBeBound: what a rule calls or reads is not known where its text
// cannot be bound, as after DROP CAST: no grant stands in for that.
func TestRulesThatCannotBeBound(t *testing.T) {
	for definition, bound := range map[string]bool{
		"CREATE RULE r AS ON INSERT TO public.ruled DO SELECT 1":                                                    true,
		"CREATE RULE r AS ON INSERT TO public.ruled DO SELECT (new.a OPERATOR(public.=) 2)":                         false,
		"CREATE RULE r AS ON INSERT TO public.ruled WHERE public.nosuch(new.a) DO INSTEAD NOTHING":                  false,
		"CREATE RULE r AS ON INSERT TO public.ruled DO ( SELECT 1; INSERT INTO public.nosuch (a) VALUES (new.a); )": false,
	} {
		b := fixture(t)
		b.find("public", "ruled").Rules[0].Definition = definition
		got := Analyze(Input{Text: []byte("INSERT INTO ruled VALUES (1)"), Context: publicContext()}, b.index())
		if (got.Outcome == access.Judge) != bound || !bound && (got.Outcome != access.Denied || got.Reason != access.OpaqueCode) {
			t.Errorf("%s: outcome %v, %s %s", definition, got.Outcome, got.Reason, got.Detail)
		}
	}
}
