package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestWhatTheSessionPresetIsFor: what takes all of the session back belongs to the
// preset, what names one thing of the client's own does not.
func TestWhatTheSessionPresetIsFor(t *testing.T) {
	for sql, want := range map[string]bool{
		"DISCARD ALL": true, "discard /* x */ all": true, "DEALLOCATE ALL": true, "DEALLOCATE PREPARE ALL": true, "CLOSE ALL": true, "UNLISTEN *": true,
		"RESET ALL": true, "RESET ROLE": true, `RESET "role"`: true, "SET ROLE TO DEFAULT": true, "RESET SESSION AUTHORIZATION": true,
		"SET SESSION AUTHORIZATION DEFAULT": true, "SET LOCAL ROLE TO DEFAULT": true,

		"DISCARD PLANS": false, "DISCARD SEQUENCES": false, "DEALLOCATE p": false, "CLOSE c": false, "UNLISTEN c": false,
		"RESET search_path": false, "SET work_mem TO DEFAULT": false, "SET work_mem = '4MB'": false, "SELECT 1": false, "COMMIT": false,
		`DEALLOCATE "all"`: false,
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, fixture(t).index())
		if got.Outcome != access.Judge || len(got.Statements) != 1 {
			t.Errorf("%s: %s", sql, got.Detail)
			continue
		}
		if s := got.Statements[0]; s.Session != want || s.Session && len(s.Accesses) > 0 {
			t.Errorf("%s: %t, %v", sql, s.Session, s.Accesses)
		}
	}
}
