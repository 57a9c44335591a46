package proxy

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLimitsAreDocumented: every key of limits is in docs/reference/limits.md with the
// default that it has, and no other.
func TestLimitsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/reference/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	configured, _, _ := strings.Cut(string(b), "## Fixed")
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (\\S+) \\|").FindAllStringSubmatch(configured, -1) {
		got[row[1]] = row[2]
	}
	defaults := map[string]any{
		"statement_time": time.Duration(0), "login": defaultLogin, "drain": defaultDrain, "decision": defaultDecision, "fresh": defaultFresh, "staleness": defaultStaleness,
		"decisions": defaultDecisions, "statement_bytes": maxStatementBytes, "prepared": defaultPrepared,
		"prepared_bytes": defaultPreparedBytes, "sessions": defaultSessions, "sessions_per_principal": defaultPerPrincipal,
		"misses_per_principal": defaultMisses, "denials_per_principal": defaultDenials,
	}
	want := map[string]string{"spool.max_bytes": fmt.Sprint(defaultSpoolBytes)}
	keys := reflect.TypeFor[LimitsConfig]()
	for i := range keys.NumField() {
		key, _, _ := strings.Cut(keys.Field(i).Tag.Get("yaml"), ",")
		want[key] = fmt.Sprint(defaults[key])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limits of the code and of the document (-code +document):\n%s", diff)
	}
}
