package analyze

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// relationCases are the case files about what relations and functions read, run and
// write by themselves. They speak of testdata/relations.sql.
func relationCases() []string {
	return []string{"view.yaml", "body.yaml", "itself.yaml", "merge.yaml", "updatable.yaml"}
}

// TestRelations holds analysis against the case files, on a snapshot of a real
// server, and the accesses it names against that server: a role that holds exactly
// those rights may run the text, and may not with any one of them withheld.
func TestRelations(t *testing.T) {
	o := newOracleOf(t, "relations.sql")
	for _, file := range relationCases() {
		for i, want := range readCases(t, file) {
			t.Run(fmt.Sprintf("%s/%d", file, i), func(t *testing.T) {
				in := want.input()
				in.Context.Role = "analyze_oracle"
				in.Context.ServerVersionNum = o.snap.ServerVersionNum
				if !want.reads(o.snap.ServerVersionNum) {
					return
				}
				analysis := Analyze(in, o.snap)
				got := want.observed(analysis)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s\n(-want +got)\n%s", want.SQL, diff)
				}
				if analysis.Outcome == access.Hidden && len(analysis.Statements) == 1 && !want.Apart {
					o.checkError(t, in.Context.SearchPath, want.SQL, analysis.Error)
				}
				if analysis.Outcome == access.Judge && !want.Apart {
					o.checkRights(t, in.Context.SearchPath, want.SQL, analysis.Statements, func(int, int) bool { return !want.surplus(o.snap.ServerVersionNum) })
				}
			})
		}
	}
}
