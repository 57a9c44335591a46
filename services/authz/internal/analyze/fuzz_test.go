package analyze

import (
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// FuzzPrecheck: no panic, and what passes is within the limits of the parser.
func FuzzPrecheck(f *testing.F) {
	for _, seed := range lexerSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		seen, err := precheck(text, Limits{}.withDefaults())
		if err == nil && len(seen.parseText) != len(text) {
			t.Fatalf("%q: the parser would get %q", text, seen.parseText)
		}
	})
}

// FuzzAnalyze: no panic, bounded time, and only Judge comes without a reason.
func FuzzAnalyze(f *testing.F) {
	for _, file := range []string{"statements.yaml", "typed.yaml", "legitimate.yaml", "bypass.yaml", "errors.yaml",
		"session.yaml", "tables.yaml", "objects.yaml", "code.yaml"} {
		for _, c := range readCases(f, file) {
			f.Add(c.SQL, c.Parse)
		}
	}
	snap := fixture(f).index()
	f.Fuzz(func(t *testing.T, text string, parse bool) {
		start := time.Now()
		got := Analyze(Input{Text: []byte(text), Parse: parse, Context: publicContext()}, snap)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
		if got.Outcome == access.Judge != (got.Reason == access.Granted) {
			t.Fatalf("%+v", got)
		}
		if (got.Outcome == access.Failed || got.Outcome == access.Hidden || got.Outcome == access.Refused) && (got.Error.SQLState == "" || got.Error.Message == "") {
			t.Fatalf("%+v", got)
		}
	})
}
