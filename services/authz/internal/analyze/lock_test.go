package analyze

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestLockRights holds the rights of each lock mode against a real server: each right
// alone suffices exactly where analysis says so.
func TestLockRights(t *testing.T) {
	o := newOracle(t)
	actions := []access.Action{access.Select, access.Insert, access.Update, access.Delete, access.Truncate, access.References, access.Trigger}
	if o.snap.ServerVersionNum >= 170000 {
		actions = append(actions, access.Maintain)
	}
	for _, mode := range []string{"ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"} {
		sql := "LOCK TABLE orders IN " + mode + " MODE"
		got := Analyze(Input{Text: []byte(sql), Context: Context{SearchPath: "public", Role: "analyze_oracle"}}, o.snap)
		if got.Outcome != access.Judge || len(got.Statements[0].Accesses) != 1 {
			t.Fatalf("%s: %s %v", sql, got.Detail, got.Statements)
		}
		a := got.Statements[0].Accesses[0]
		for _, action := range actions {
			err := o.as(t, "public", []string{fmt.Sprintf("GRANT %s ON public.orders TO analyze_oracle", action)}, sql)
			says := action == a.Action || slices.Contains(a.Or, action)
			if (err == nil) != says {
				t.Errorf("%s with %s: analysis says %t, the server %v", sql, action, says, err)
			}
		}
	}
}
