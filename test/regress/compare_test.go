package regress

import (
	"os"
	"path/filepath"
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

// TestUnexplained: an explanation is for whole hunks, as often as it says.
func TestUnexplained(t *testing.T) {
	const denied = "ERROR:  permission denied by the access token's scopes"
	file := filepath.Join(t.TempDir(), "explained.yaml")
	load := func(text string) (map[string][]*explanation, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return loadExplanations(file)
	}
	all, err := load(`
rules:
  two kinds: {reason: 'kind: (a|b)', why: a reason}
scripts:
  s: [{direct: 'ERROR:  a.*', proxied: 'ERROR:  b', times: 1, why: a reason}]
  r: [{rule: two kinds, times: 1}]
`)
	if err != nil {
		t.Fatal(err)
	}
	is := hunk{direct: []string{"ERROR:  a", "HINT:  c"}, proxied: []string{"ERROR:  b"}}
	more := hunk{direct: []string{"ERROR:  a"}, proxied: []string{"ERROR:  b", "c"}}
	deniedTwice := hunk{direct: []string{"x"}, proxied: []string{denied, "DETAIL:  Reference: kind: a", denied, "DETAIL:  Reference: kind: b"}}
	otherwise := hunk{proxied: []string{denied, "DETAIL:  Reference: kind: a", denied, "DETAIL:  Reference: kind: c"}}
	beside := hunk{proxied: []string{denied, "DETAIL:  Reference: kind: a", "x"}}
	for _, tt := range []struct {
		name, script string
		hunks        []hunk
		rest, off    int
	}{
		{"as it says", "s", []hunk{is}, 0, 0},
		{"never", "s", nil, 0, 1},
		{"twice", "s", []hunk{is, is}, 0, 1},
		{"beside another", "s", []hunk{more, is}, 1, 0},
		{"a rule", "r", []hunk{deniedTwice}, 0, 0},
		{"a rule for another reason", "r", []hunk{otherwise}, 1, 1},
		{"a rule with something else", "r", []hunk{beside}, 1, 1},
	} {
		rest, off := unexplained(tt.hunks, all[tt.script])
		if len(rest) != tt.rest || len(off) != tt.off {
			t.Errorf("%s: %v, %v", tt.name, rest, off)
		}
	}
	for _, bad := range []string{
		"scripts: {s: [{direct: a, proxied: b, times: 1}]}",
		"scripts: {s: [{direct: a, proxied: b, why: c}]}",
		"scripts: {s: [{direct: '(', proxied: b, times: 1, why: c}]}",
		"scripts: {s: [{direct: a, proxy: b, times: 1, why: c}]}",
		"scripts: {s: [{proxied: a, reason: b, times: 1, why: c}]}",
		"scripts: {s: [{rule: none, times: 1}]}",
		"rules: {r: {reason: a, why: b}}",
		"{rules: {r: {reason: a}}, scripts: {s: [{rule: r, times: 1}]}}",
		"{rules: {r: {reason: a, why: b}}, scripts: {s: [{rule: r, times: 1, direct: c}]}}",
	} {
		if _, err := load(bad); err == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
}
