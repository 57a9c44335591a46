package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestMissingGlobals: what is of no schema is bound like all that is; nobody but an
// administrator hears that it is not there.
func TestMissingGlobals(t *testing.T) {
	o := newOracleOf(t, "grammar.sql")
	context := publicContext()
	context.ServerVersionNum = o.snap.ServerVersionNum
	for _, sql := range readYAML[string](t, "globals.yaml") {
		t.Run(sql, func(t *testing.T) {
			theirs := o.as(t, "public", nil, sql)
			got := Analyze(Input{Text: []byte(sql), Context: context}, o.snap)
			if theirs == nil || got.Outcome != access.Hidden || got.Error.SQLState != theirs.Code || got.Error.Message != theirs.Message {
				t.Errorf("the server: %v; analysis: outcome %d, %s %s %+v", theirs, got.Outcome, got.Reason, got.Detail, got.Error)
			}
			asksAdmin := false
			for _, a := range got.Requires {
				asksAdmin = asksAdmin || a.Action == access.Admin
			}
			if !asksAdmin && sql != "DO LANGUAGE sql 'SELECT 1'" {
				t.Errorf("it is told to whom is granted %v", got.Requires)
			}
		})
	}
	for _, sql := range []string{"DROP SERVER IF EXISTS nosuch", "DROP FOREIGN DATA WRAPPER IF EXISTS nosuch", "DROP PUBLICATION IF EXISTS nosuch", "DROP LANGUAGE IF EXISTS nosuch",
		"DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER nosuch", "DROP EVENT TRIGGER IF EXISTS nosuch", "DROP EXTENSION IF EXISTS nosuch"} {
		if got := Analyze(Input{Text: []byte(sql), Context: context}, o.snap); got.Outcome != access.Judge {
			t.Errorf("%s: outcome %d, %s", sql, got.Outcome, got.Detail)
		}
		if err := o.as(t, "public", nil, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
