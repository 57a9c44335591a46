package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestOverloads: a user's function of a built-in's name is asked for where PostgreSQL
// chooses it (func_select_candidate), and nowhere else. own is a base type like citext:
// nothing converts to it unasked.
func TestOverloads(t *testing.T) {
	const own catalog.OID = 17900
	for _, tc := range []struct {
		name     string
		overload catalog.Function
		sql      string
		chosen   bool
	}{
		{"another number of arguments", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 23}}, "SELECT lower(note) FROM orders", false},
		{"the same number", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 23}}, "SELECT lower(note, 1) FROM orders", true},
		{"by a default", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 23}, Defaults: 1, DefaultExpressions: []string{"1"}}, "SELECT lower(note) FROM orders", false},
		{"the same types", catalog.Function{Name: "lower", Arguments: []catalog.OID{25}}, "SELECT lower(note) FROM orders", false},
		{"the same types of a schema", catalog.Function{Name: "lower", Arguments: []catalog.OID{25}}, "SELECT public.lower(note) FROM orders", true},
		{"a better type", catalog.Function{Name: "lower", Arguments: []catalog.OID{1043}}, "SELECT lower(note::varchar) FROM orders", true},
		{"variadic", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 1009}, Variadic: 25}, "SELECT lower(note) FROM orders", false},
		{"variadic call", catalog.Function{Name: "lower", Arguments: []catalog.OID{1009}, Variadic: 25}, "SELECT lower(VARIADIC tags) FROM orders", true},
		{"a named argument", catalog.Function{Name: "make_interval", Arguments: []catalog.OID{23}, ArgumentNames: []string{"eons"}}, "SELECT make_interval(eons => 1)", true},
		{"a built-in's named argument", catalog.Function{Name: "make_interval", Arguments: []catalog.OID{23}, ArgumentNames: []string{"eons"}}, "SELECT make_interval(days => 1)", false},
		{"a type of its own", catalog.Function{Name: "max", Kind: 'a', Arguments: []catalog.OID{own}}, "SELECT max(note), max(total + 1) FROM orders", false},
		{"a type of its own and a literal", catalog.Function{Name: "max", Kind: 'a', Arguments: []catalog.OID{own}}, "SELECT max('x')", false},
		{"a value of a type of its own", catalog.Function{Name: "max", Kind: 'a', Arguments: []catalog.OID{own}}, "SELECT max('x'::own_text)", true},
		{"a type of its own beside another", catalog.Function{Name: "strpos", Arguments: []catalog.OID{own, 25}}, "SELECT strpos(note, 'x') FROM orders", false},
		{"a row for a column", catalog.Function{Name: "abs", Arguments: []catalog.OID{rowOfCustomers}}, "SELECT abs(id), abs(-3) FROM customers", false},
		{"a row for a row", catalog.Function{Name: "abs", Arguments: []catalog.OID{rowOfCustomers}}, "SELECT abs(c) FROM customers c", true},
		{"a row in attribute notation", catalog.Function{Name: "abs", Arguments: []catalog.OID{rowOfCustomers}}, "SELECT c.abs FROM customers c", true},
		{"a row in attribute notation, its columns renamed", catalog.Function{Name: "abs", Arguments: []catalog.OID{rowOfCustomers}}, "SELECT c.abs FROM customers c (first)", true},
		{"anything", catalog.Function{Name: "abs", Arguments: []catalog.OID{2283}}, "SELECT abs(id) FROM orders", false},
		{"anything that nothing else takes", catalog.Function{Name: "abs", Arguments: []catalog.OID{2283}}, "SELECT abs(note) FROM orders", true},
		{"no argument", catalog.Function{Name: "count", Kind: 'a'}, "SELECT count(*) FROM orders", false},
		{"in FROM", catalog.Function{Name: "generate_series", Arguments: []catalog.OID{25, 25}}, "SELECT * FROM generate_series('a'::text, 'b')", true},
		{"qualified", catalog.Function{Name: "lower", Arguments: []catalog.OID{25}}, "SELECT pg_catalog.lower(note) FROM orders", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := fixture(t)
			tc.overload.OID, tc.overload.Schema, tc.overload.Language, tc.overload.Result = 19000, "public", "plpgsql", 25
			if tc.overload.Kind == 'a' {
				tc.overload.Aggregate = catalog.Aggregate{Kind: 'n'}
			} else {
				tc.overload.Kind = 'f'
			}
			b.snap.Functions = append(b.snap.Functions, tc.overload)
			b.snap.Types = append(b.snap.Types, catalog.Type{OID: own, Schema: "public", Name: "own_text", Kind: 'b', Input: 46, Output: 47})
			got := Analyze(Input{Text: []byte(tc.sql), Parse: true, Context: publicContext()}, b.index())
			if chosen := len(functionsOf(got)) > 0; got.Outcome != access.Judge || chosen != tc.chosen {
				t.Errorf("%s: outcome %v, %v, want %v: %s %s", tc.sql, got.Outcome, functionsOf(got), tc.chosen, got.Detail, got.Error.Message)
			}
		})
	}
}
