package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
)

// TestUnlockBehindReset: behind RESET ALL the path may begin with any schema, so that one
// function of the name in any of them makes the call uncertain.
func TestUnlockBehindReset(t *testing.T) {
	const text = "RESET ALL; SELECT pg_advisory_unlock_all()"
	for _, c := range []struct {
		name   string
		other  *catalog.Function
		denied bool
	}{
		{"no other", nil, false},
		{"of another name", &catalog.Function{OID: 90001, Schema: "public", Name: "pg_advisory_unlock", Kind: 'f', Language: "sql"}, false},
		{"of the name", &catalog.Function{OID: 90001, Schema: "public", Name: unlockAll, Kind: 'f', Language: "sql"}, true},
		{"of the name, with a default", &catalog.Function{OID: 90001, Schema: "hr", Name: unlockAll, Kind: 'f', Arguments: []catalog.OID{23}, Defaults: 1, Language: "sql"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			snap := catalogtest.Empty(t, 15)
			if c.other != nil {
				snap.Functions = append(snap.Functions, *c.other)
			}
			snap.Index()
			got := Analyze(Input{Text: []byte(text), Context: Context{SearchPath: "pg_catalog"}}, snap)
			if (got.Outcome == access.Denied) != c.denied {
				t.Errorf("%s %s %s", outcomeName(got.Outcome), got.Reason, got.Detail)
			}
		})
	}
}
