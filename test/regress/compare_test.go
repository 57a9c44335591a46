package regress

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHunks: references of denials are the same, and every other difference is a hunk.
func TestHunks(t *testing.T) {
	const reference = "Reference: 01a20872-beae-7c25-9f5f-ced968a69c86"
	for _, tt := range []struct {
		name, direct, proxied string
		want                  []hunk
	}{
		{"nothing", "a\nb\n", "a\nb\n", nil},
		{"references", "DETAIL:  Reference: UUID\n", "DETAIL:  " + reference + "\n", nil},
		{"a line", "a\nb\nc\n", "a\nx\nc\n", []hunk{{line: "2", direct: []string{"b"}, proxied: []string{"x"}}}},
		{"more lines", "a\nc\n", "a\nx\n" + reference + "\nc\n", []hunk{{line: "1a2,3", proxied: []string{"x", "Reference: UUID"}}}},
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

// TestUnexplained: an explanation is for whole hunks, as often as it says.
func TestUnexplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "explained.yaml")
	text := "s:\n  - {direct: 'ERROR:  a.*', proxied: 'ERROR:  b', times: 1, why: a reason}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reasons, err := loadExplanations(file)
	if err != nil {
		t.Fatal(err)
	}
	is := hunk{direct: []string{"ERROR:  a", "HINT:  c"}, proxied: []string{"ERROR:  b"}}
	more := hunk{direct: []string{"ERROR:  a"}, proxied: []string{"ERROR:  b", "c"}}
	for _, tt := range []struct {
		name      string
		hunks     []hunk
		rest, off int
	}{
		{"as it says", []hunk{is}, 0, 0},
		{"never", nil, 0, 1},
		{"twice", []hunk{is, is}, 0, 1},
		{"beside another", []hunk{more, is}, 1, 0},
	} {
		rest, off := unexplained(tt.hunks, reasons["s"])
		if len(rest) != tt.rest || len(off) != tt.off {
			t.Errorf("%s: %v, %v", tt.name, rest, off)
		}
	}
	for _, bad := range []string{"s:\n  - {direct: a, proxied: b, times: 1}\n", "s:\n  - {direct: a, proxied: b, why: c}\n",
		"s:\n  - {direct: '(', proxied: b, times: 1, why: c}\n", "s:\n  - {direct: a, proxy: b, times: 1, why: c}\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadExplanations(file); err == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
}
