package regress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// hunk is a place where two outputs differ.
type hunk struct {
	// line is where it begins in what PostgreSQL itself gave, from 1.
	line string
	// direct and proxied are the lines of each side, one of them possibly none.
	direct, proxied []string
}

// String shows the hunk as diff does.
func (h hunk) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %s", h.line)
	for _, l := range h.direct {
		b.WriteString("\n< " + l)
	}
	for _, l := range h.proxied {
		b.WriteString("\n> " + l)
	}
	return b.String()
}

// reference matches what differs in every denial.
var reference = regexp.MustCompile(`(Reference: )[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// hunks compares two outputs with diff, as pg_regress does (pg_regress.c:
// results_differ).
func hunks(ctx context.Context, dir string, direct, proxied []byte) ([]hunk, error) {
	proxied = reference.ReplaceAll(proxied, []byte("${1}UUID"))
	if bytes.Equal(direct, proxied) {
		return nil, nil
	}
	files := []string{filepath.Join(dir, "direct.out"), filepath.Join(dir, "proxied.out")}
	for i, b := range [][]byte{direct, proxied} {
		if err := os.WriteFile(files[i], b, 0o600); err != nil {
			return nil, err
		}
	}
	//nolint:gosec // G204: diff with two files of the test's own.
	out, err := exec.CommandContext(ctx, "diff", "-a", files[0], files[1]).Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("diff: %w", err)
	}
	var all []hunk
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "< ") && len(all) > 0:
			all[len(all)-1].direct = append(all[len(all)-1].direct, line[2:])
		case strings.HasPrefix(line, "> ") && len(all) > 0:
			all[len(all)-1].proxied = append(all[len(all)-1].proxied, line[2:])
		case line == "---", strings.HasPrefix(line, `\ `):
		default:
			at, _, _ := strings.Cut(line, "c")
			all = append(all, hunk{line: at})
		}
	}
	return all, nil
}

// explanation is why a script's output cannot be the same in some places.
type explanation struct {
	// Direct and Proxied match the lines of a hunk, all of them together.
	Direct  string `yaml:"direct"`
	Proxied string `yaml:"proxied"`
	// Times is how many hunks they match, each time that the script is run.
	Times int `yaml:"times"`
	// Why names the decision of the design.
	Why string `yaml:"why"`

	direct, proxied *regexp.Regexp
}

// explains reports whether a hunk is one of those.
func (e *explanation) explains(h hunk) bool {
	return e.direct.MatchString(strings.Join(h.direct, "\n")) && e.proxied.MatchString(strings.Join(h.proxied, "\n"))
}

// loadExplanations reads the explanations of each script.
func loadExplanations(file string) (map[string][]*explanation, error) {
	b, err := os.ReadFile(file) //nolint:gosec // G304: a file of the test's own.
	if err != nil {
		return nil, err
	}
	all := make(map[string][]*explanation)
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	for script, list := range all {
		for _, e := range list {
			if e.Why == "" || e.Times < 1 {
				return nil, fmt.Errorf("%s: an explanation without a reason or a number: %q, %q", script, e.Direct, e.Proxied)
			}
			if e.direct, err = regexp.Compile(`\A(?s:` + e.Direct + `)\z`); err != nil {
				return nil, fmt.Errorf("%s: %w", script, err)
			}
			if e.proxied, err = regexp.Compile(`\A(?s:` + e.Proxied + `)\z`); err != nil {
				return nil, fmt.Errorf("%s: %w", script, err)
			}
		}
	}
	return all, nil
}

// unexplained returns the hunks that nothing explains, and the explanations that do not
// match as often as they say.
func unexplained(all []hunk, list []*explanation) (rest []hunk, off []string) {
	times := make([]int, len(list))
	for _, h := range all {
		found := false
		for i, e := range list {
			if found = e.explains(h); found {
				times[i]++
				break
			}
		}
		if !found {
			rest = append(rest, h)
		}
	}
	for i, e := range list {
		if times[i] != e.Times {
			off = append(off, fmt.Sprintf("%q, %q: found %d times", e.Direct, e.Proxied, times[i]))
		}
	}
	return rest, off
}
