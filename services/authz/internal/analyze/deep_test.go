package analyze

import (
	"fmt"
	"runtime/debug"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestViewsOverViews: views are followed as deep as they lie over one another, within a
// small stack and the work that a statement may cost, and no deeper than maxTexts.
func TestViewsOverViews(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(16 << 20))
	b := fixture(t)
	below := "public.orders"
	for i := range maxTexts + 1 {
		name := fmt.Sprintf("deep%d", i+1)
		b.table("public", name, catalog.KindView, "id", 23, "note", 25).Definition = "SELECT q.id, q.note FROM " + below + " q WHERE q.id > " + fmt.Sprint(i)
		below = "public." + name
	}
	snap := b.index()
	for _, verb := range []string{"SELECT note FROM ", "DELETE FROM ", "UPDATE public.base SET a = 1 FROM "} {
		text := verb + "public.deep" + fmt.Sprint(maxTexts)
		if got := Analyze(Input{Text: []byte(text), Context: publicContext()}, snap); got.Outcome != access.Judge || len(got.Statements[0].Accesses) < maxTexts {
			t.Errorf("%s: %v, %s", text, got.Outcome, got.Detail)
		}
		text = verb + "public.deep" + fmt.Sprint(maxTexts+1)
		if got := Analyze(Input{Text: []byte(text), Context: publicContext()}, snap); got.Outcome != access.Denied {
			t.Errorf("%s: %v", text, got.Outcome)
		}
	}
}
