package resolve

import "testing"

// TestInternal: from the minor versions on that a security release came with, an
// untyped literal is no value of the type internal.
func TestInternal(t *testing.T) {
	o := newOracle(t)
	call := Call{Schema: "pg_catalog", Name: "date_recv", Arguments: []Argument{{Type: Unknown}}}
	const refused = "function pg_catalog.date_recv(unknown) does not exist"
	for version, want := range map[int]string{
		140023: "", 140024: refused, 150018: "", 150019: refused, 160014: "", 160015: refused,
		170010: "", 170011: refused, 180004: "", 180005: refused, 190000: refused,
	} {
		_, err := New(o.snap, []string{"pg_catalog"}, version).Call(call)
		switch {
		case err == nil && want != "":
			t.Errorf("%d takes a literal for internal", version)
		case err != nil && (err.SQLState != undefinedFunction || err.Message != want):
			t.Errorf("%d says %v, not %q", version, err, want)
		}
	}
}
