package analyze

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestNamesOutOfViewCost: a long join hides the names within it, but each reference
// passes over them all the same.
func TestNamesOutOfViewCost(t *testing.T) {
	joins := strings.Repeat(" CROSS JOIN (SELECT) q", 100)
	text := "SELECT 1 FROM (SELECT 1 AS z) y" + joins + " WHERE 1 IN (z" + strings.Repeat(", z", 999) + ")"
	for _, tc := range []struct {
		work int
		want access.Outcome
	}{{200_000, access.Judge}, {50_000, access.Refused}} {
		got := Analyze(Input{Text: []byte(text), Context: publicContext(), Limits: Limits{Work: tc.work}}, fixture(t).index())
		if got.Outcome != tc.want {
			t.Errorf("with %d: outcome %v, %s", tc.work, got.Outcome, got.Detail)
		}
	}
}

// TestWorkLimitHidesWhatWasFound: the refusal comes after the names that were found,
// so that it may be told only to whom they are granted.
func TestWorkLimitHidesWhatWasFound(t *testing.T) {
	text := "SELECT 1 FROM hr.salaries, (SELECT 1 AS z) y WHERE 1 IN (z" + strings.Repeat(", z", 999) + ")"
	got := Analyze(Input{Text: []byte(text), Context: publicContext(), Limits: Limits{Work: 1000}}, fixture(t).index())
	want := []access.Access{{Action: access.Select, AllColumns: true,
		Named:    access.Object{Kind: access.Table, Schema: "hr", Name: "salaries"},
		Resolved: access.Object{Kind: access.Table, Schema: "hr", Name: "salaries"}}}
	if diff := cmp.Diff(want, got.Requires); diff != "" || got.Outcome != access.Refused {
		t.Errorf("outcome %v, (-want +got)\n%s", got.Outcome, diff)
	}
}
