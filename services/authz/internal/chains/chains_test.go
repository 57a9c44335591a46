package chains

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestStatement: whatever is in braces is known, and replaced.
func TestStatement(t *testing.T) {
	for _, text := range statements {
		for rest := text; ; {
			_, after, found := strings.Cut(rest, "{")
			if !found {
				break
			}
			of, _, _ := strings.Cut(after, "}")
			if len(words[of]) == 0 {
				t.Errorf("%s: nothing stands for {%s}", text, of)
			}
			rest = after
		}
	}
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // G404: repeatable, not secret.
	for range 2000 {
		if text := Statement(r); strings.ContainsAny(text, "{}") {
			t.Errorf("%s is not whole", text)
		}
	}
}
