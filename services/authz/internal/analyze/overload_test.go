package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestOverloads: a user's function of a built-in's name stops the calls that could
// mean it, and no others. own is a base type like citext: nothing converts to it
// unasked.
func TestOverloads(t *testing.T) {
	const own catalog.OID = 17900
	for _, tc := range []struct {
		name     string
		overload catalog.Function
		sql      string
		want     access.Outcome
	}{
		{"another number of arguments", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 23}}, "SELECT lower(note) FROM orders", access.Judge},
		{"the same number", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 23}}, "SELECT lower(note, 1) FROM orders", access.Denied},
		{"by a default", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 23}, Defaults: 1}, "SELECT lower(note) FROM orders", access.Denied},
		{"variadic", catalog.Function{Name: "lower", Arguments: []catalog.OID{25, 1009}, Variadic: 25}, "SELECT lower(note) FROM orders", access.Denied},
		{"variadic call", catalog.Function{Name: "concat", Arguments: []catalog.OID{1009, 23}}, "SELECT concat(VARIADIC tags) FROM orders", access.Denied},
		{"a named argument", catalog.Function{Name: "make_interval", Arguments: []catalog.OID{23, 23}}, "SELECT make_interval(days => 1)", access.Denied},
		{"a type of its own", catalog.Function{Name: "max", Kind: 'a', Arguments: []catalog.OID{own}}, "SELECT max(note), max(total + 1) FROM orders", access.Judge},
		{"a type of its own and a literal", catalog.Function{Name: "max", Kind: 'a', Arguments: []catalog.OID{own}}, "SELECT max('x')", access.Denied},
		{"a type of its own and a parameter", catalog.Function{Name: "max", Kind: 'a', Arguments: []catalog.OID{own}}, "SELECT max($1)", access.Denied},
		{"a type of its own beside another", catalog.Function{Name: "strpos", Arguments: []catalog.OID{own, 25}}, "SELECT strpos(note, 'x') FROM orders", access.Judge},
		{"a row for a column", catalog.Function{Name: "abs", Arguments: []catalog.OID{17100}}, "SELECT abs(id), abs(-3) FROM customers", access.Judge},
		{"a row for a row", catalog.Function{Name: "abs", Arguments: []catalog.OID{17100}}, "SELECT abs(c) FROM customers c", access.Denied},
		{"a row for a literal", catalog.Function{Name: "abs", Arguments: []catalog.OID{17100}}, "SELECT abs('(1,a,b)')", access.Denied},
		{"anything", catalog.Function{Name: "abs", Arguments: []catalog.OID{2283}}, "SELECT abs(id) FROM orders", access.Denied},
		{"no argument", catalog.Function{Name: "count", Kind: 'a'}, "SELECT count(*) FROM orders", access.Denied},
		{"an ordered set", catalog.Function{Name: "mode", Kind: 'a', Arguments: []catalog.OID{25}}, "SELECT mode() WITHIN GROUP (ORDER BY note) FROM orders", access.Denied},
		{"in FROM", catalog.Function{Name: "generate_series", Arguments: []catalog.OID{23, 23}}, "SELECT * FROM generate_series(1, 2)", access.Denied},
		{"qualified", catalog.Function{Name: "lower", Arguments: []catalog.OID{25}}, "SELECT pg_catalog.lower(note) FROM orders", access.Judge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := fixture()
			tc.overload.OID, tc.overload.Schema, tc.overload.Language = 19000, "public", "sql"
			b.snap.Functions = append(b.snap.Functions, tc.overload)
			b.snap.Types = append(b.snap.Types, catalog.Type{OID: own, Schema: "public", Name: "own_text", Kind: 'b'})
			got := Analyze(Input{Text: []byte(tc.sql), Parse: true, Context: publicContext()}, b.index())
			if got.Outcome != tc.want {
				t.Errorf("%s: outcome %v, want %v: %s", tc.sql, got.Outcome, tc.want, got.Detail)
			}
		})
	}
}
