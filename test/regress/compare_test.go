package regress

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHunks: every difference is a hunk.
func TestHunks(t *testing.T) {
	for _, tt := range []struct {
		name, direct, proxied string
		want                  []hunk
	}{
		{"nothing", "a\nb\n", "a\nb\n", nil},
		{"a line", "a\nb\nc\n", "a\nx\nc\n", []hunk{{line: "2", direct: []string{"b"}, proxied: []string{"x"}}}},
		{"more lines", "a\nc\n", "a\nx\ny\nc\n", []hunk{{line: "1a2,3", proxied: []string{"x", "y"}}}},
		{"fewer lines", "a\nb\n", "a\n", []hunk{{line: "2d1", direct: []string{"b"}}}},
		{"the last line's end", "a\nb", "a\nb\n", []hunk{{line: "2", direct: []string{"b"}, proxied: []string{"b"}}}},
	} {
		got, err := hunks(t.Context(), t.TempDir(), []byte(tt.direct), []byte(tt.proxied))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(hunk{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}
