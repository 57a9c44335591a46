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

// reference matches what differs in every denial, and leads to its reason.
var reference = regexp.MustCompile(`Reference: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// hunks compares two outputs with diff, as pg_regress does (pg_regress.c:
// results_differ).
func hunks(ctx context.Context, dir string, direct, proxied []byte) ([]hunk, error) {
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
	// Rule names one of the rules for all scripts, which says all but how often.
	Rule string `yaml:"rule"`
	// Direct and Proxied match the lines of a hunk, all of them together. Reason stands for
	// Proxied where all that Scopewire gives there are denials, and matches why: Direct may
	// then be left out, and is anything.
	Direct  string `yaml:"direct"`
	Proxied string `yaml:"proxied"`
	Reason  string `yaml:"reason"`
	// Times is how many hunks they match, each time that the script is run.
	Times int `yaml:"times"`
	// Why names the decision of the design.
	Why string `yaml:"why"`

	direct, proxied *regexp.Regexp
}

// compile prepares the patterns.
func (e *explanation) compile() (err error) {
	direct, proxied := e.Direct, `(?s:`+e.Proxied+`)`
	if e.Reason != "" {
		if e.Proxied != "" {
			return errors.New("both what is given and a reason of denials")
		}
		proxied = `(ERROR:  permission denied by the access token's scopes\nDETAIL:  Reference: (` + e.Reason + `)(\n|\z))+`
		if direct == "" {
			direct = ".*"
		}
	}
	if e.direct, err = regexp.Compile(`\A(?s:` + direct + `)\z`); err != nil {
		return err
	}
	e.proxied, err = regexp.Compile(`\A(?:` + proxied + `)\z`)
	return err
}

// explains reports whether a hunk is one of those.
func (e *explanation) explains(h hunk) bool {
	return e.direct.MatchString(strings.Join(h.direct, "\n")) && e.proxied.MatchString(strings.Join(h.proxied, "\n"))
}

// explanations is the file of them: rules by name, and what is known of each script.
type explanations struct {
	Rules   map[string]*explanation   `yaml:"rules"`
	Scripts map[string][]*explanation `yaml:"scripts"`
}

// loadExplanations reads the explanations of each script.
func loadExplanations(file string) (map[string][]*explanation, error) {
	b, err := os.ReadFile(file) //nolint:gosec // G304: a file of the test's own.
	if err != nil {
		return nil, err
	}
	var all explanations
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for script, list := range all.Scripts {
		for i, e := range list {
			if e.Times < 1 {
				return nil, fmt.Errorf("%s: an explanation without a number: %q, %q", script, e.Direct, e.Proxied)
			}
			if e.Rule != "" {
				rule := all.Rules[e.Rule]
				if rule == nil || *e != (explanation{Rule: e.Rule, Times: e.Times}) {
					return nil, fmt.Errorf("%s: rule %q is not there, or more is said than how often", script, e.Rule)
				}
				used[e.Rule] = true
				whole := *rule
				whole.Rule, whole.Times = e.Rule, e.Times
				e, list[i] = &whole, &whole
			}
			if e.Why == "" {
				return nil, fmt.Errorf("%s: an explanation without a reason: %q, %q", script, e.Direct, e.Proxied)
			}
			if err := e.compile(); err != nil {
				return nil, fmt.Errorf("%s: %w", script, err)
			}
		}
	}
	for name := range all.Rules {
		if !used[name] {
			return nil, fmt.Errorf("rule %q explains nothing", name)
		}
	}
	return all.Scripts, nil
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
			off = append(off, fmt.Sprintf("%q: %q, %q: found %d times, not %d", e.Rule, e.Direct, e.Proxied+e.Reason, times[i], e.Times))
		}
	}
	return rest, off
}
