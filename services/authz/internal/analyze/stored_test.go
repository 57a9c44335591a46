package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestStoredExpressions judges what the catalog can hold, as the server prints it.
func TestStoredExpressions(t *testing.T) {
	for _, tc := range []struct {
		change func(*catalog.Relation)
		want   access.Outcome
	}{
		{func(r *catalog.Relation) { r.Checks = []string{"((note)::text <> ''::text)"} }, access.Judge},
		{func(r *catalog.Relation) {
			r.Checks = []string{"(total > (0)::numeric)", "(status = ANY (ARRAY['ok'::public.mood, 'sad'::public.mood]))"}
		}, access.Judge},
		{func(r *catalog.Relation) { r.Checks = []string{"((note ~ '^a'::text) AND (char_length(note) < 10))"} }, access.Judge},
		{func(r *catalog.Relation) { r.Checks = []string{"public.own(id)"} }, access.Denied},
		{func(r *catalog.Relation) { r.Checks = []string{"(id OPERATOR(public.=) 1)"} }, access.Denied},
		{func(r *catalog.Relation) { r.Checks = []string{"(5)::public.ownint > 1"} }, access.Denied},
		{func(r *catalog.Relation) { r.Checks = []string{"(SELECT true)"} }, access.Denied},
		{func(r *catalog.Relation) { r.Checks = []string{"true) FROM hr.salaries WHERE (true"} }, access.Denied},
		{func(r *catalog.Relation) { r.Checks = []string{"orders IS NULL"} }, access.Denied},
		{func(r *catalog.Relation) { r.Checks = []string{"id = $1"} }, access.Denied},
		{func(r *catalog.Relation) { r.Checks = []string{""} }, access.Denied},
		{func(r *catalog.Relation) { r.IndexExpressions = []string{"lower(note), upper(note)", "(id > 1)"} }, access.Judge},
		{func(r *catalog.Relation) {
			r.IndexExpressions = []string{"&&(tsrange,tsrange)", "=(integer,integer)", "&&"}
		}, access.Judge},
		{func(r *catalog.Relation) { r.IndexExpressions = []string{"public.&&(tsrange,tsrange)"} }, access.Denied},
		{func(r *catalog.Relation) { r.IndexExpressions = []string{"<=>(integer,integer)"} }, access.Denied},
		{func(r *catalog.Relation) { r.IndexExpressions = []string{"public.own(id)"} }, access.Denied},
		{func(r *catalog.Relation) {
			r.PartitionKey = "LIST (lower(note), id, tags COLLATE \"C\" text_pattern_ops)"
		}, access.Judge},
		{func(r *catalog.Relation) { r.PartitionKey = "HASH (id public.own_ops)" }, access.Denied},
		{func(r *catalog.Relation) { r.PartitionKey = "RANGE (((public.own(id))::integer))" }, access.Denied},
		{func(r *catalog.Relation) { r.PartitionKey = "RANGE (id); DROP TABLE orders" }, access.Denied},
		{func(r *catalog.Relation) { r.Columns[3].Default = "'x'::text" }, access.Judge},
		{func(r *catalog.Relation) { r.Columns[3].Default = "nextval('public.counter'::regclass)" }, access.Denied},
		{func(r *catalog.Relation) { r.Columns[3].Default = "CURRENT_USER" }, access.Judge},
		{func(r *catalog.Relation) { r.Columns[3].Type = 17999 }, access.Denied},
		{func(r *catalog.Relation) { r.ForeignOperatorClasses = []catalog.OID{19000} }, access.Denied},
		{func(r *catalog.Relation) { r.Children = []catalog.OID{29999} }, access.Denied},
		{func(r *catalog.Relation) {
			r.ReferencedBy = append(r.ReferencedBy, catalog.ForeignKey{From: 29999, To: r.OID, OnDelete: 'a', OnUpdate: 'a'})
		}, access.Judge},
	} {
		b := fixture(t)
		rel := b.find("public", "orders")
		tc.change(rel)
		got := Analyze(Input{Text: []byte("INSERT INTO orders (id) VALUES (1)"), Context: publicContext()}, b.index())
		if got.Outcome != tc.want {
			t.Errorf("%+v: %s %s", *rel, outcomeName(got.Outcome), got.Detail)
		}
	}
}
