package regress

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

//go:generate go test . -count=1 -run TestPageIsFresh -update

var update = flag.Bool("update", false, "write the page about the suite")

const (
	explainedFile = "testdata/explained.yaml"
	pageFile      = "../../docs/reference/regression.md"
)

// TestPageIsFresh holds the page about the suite against the explanations.
func TestPageIsFresh(t *testing.T) {
	all, err := loadExplanations(explainedFile)
	if err != nil {
		t.Fatal(err)
	}
	want := all.page()
	if *update {
		if err := os.WriteFile(pageFile, []byte(want), 0o644); err != nil { //nolint:gosec // G306: a page.
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/reference/regression.md is not what testdata/explained.yaml says; run make generate")
	}
}

// TestUnexplained: an explanation is for whole hunks, as often as it says.
func TestUnexplained(t *testing.T) {
	const denied = "ERROR:  permission denied by the access token's scopes"
	file := filepath.Join(t.TempDir(), "explained.yaml")
	load := func(text string) (*explanations, error) {
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
  f: [{follows: true, times: 1, why: what was denied before}]
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
		{"what follows", "f", []hunk{more}, 0, 0},
		{"a denial follows nothing", "f", []hunk{beside}, 1, 1},
	} {
		rest, off := unexplained(tt.hunks, all.Scripts[tt.script])
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
		"scripts: {s: [{follows: true, proxied: a, times: 1, why: c}]}",
		"scripts: {s: [{follows: true, reason: a, times: 1, why: c}]}",
		"rules: {r: {reason: a, why: b}}",
		"{rules: {r: {reason: a}}, scripts: {s: [{rule: r, times: 1}]}}",
		"{rules: {r: {reason: a, why: b}}, scripts: {s: [{rule: r, times: 1, direct: c}]}}",
	} {
		if _, err := load(bad); err == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
}
