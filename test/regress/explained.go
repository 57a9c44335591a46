package regress

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// explanation is why a script's output cannot be the same in some places.
type explanation struct {
	// Rule names one of the rules for all scripts, which says all but how often.
	Rule string `yaml:"rule"`
	// Direct and Proxied match the lines of a hunk, all of them together. Reason stands for
	// Proxied where all that Scopewire gives there are denials, and matches why; Refusal
	// where it refuses, and matches the message. Direct may then be left out, and is
	// anything. Nothing else explains a denial or a refusal.
	Direct  string `yaml:"direct"`
	Proxied string `yaml:"proxied"`
	Reason  string `yaml:"reason"`
	Refusal string `yaml:"refusal"`
	// Follows stands for Proxied where anything but a denial or a refusal is there: what
	// differs since an earlier statement of the script did not run.
	Follows bool `yaml:"follows"`
	// Times is how many hunks they match, each time that the script is run.
	Times int `yaml:"times"`
	// Why names the decision of the design.
	Why string `yaml:"why"`

	direct, proxied *regexp.Regexp
}

// compile prepares the patterns.
func (e *explanation) compile() (err error) {
	direct, proxied := e.Direct, `(?s:`+e.Proxied+`)`
	ways := 0
	if e.Follows {
		ways, proxied = ways+1, "(?s:.*)"
	}
	if e.Reason != "" {
		ways, proxied = ways+1, `(ERROR:  permission denied by the access token's scopes\nDETAIL:  Reference: (`+e.Reason+`)(\n|\z))+`
	}
	if e.Refusal != "" {
		ways, proxied = ways+1, `(ERROR:  (`+e.Refusal+`)(\n|\z))+`
	}
	if ways > 1 || ways > 0 && e.Proxied != "" {
		return errors.New("what is given is said in two ways")
	}
	if ways > 0 && direct == "" {
		direct = ".*"
	}
	if e.direct, err = regexp.Compile(`\A(?s:` + direct + `)\z`); err != nil {
		return err
	}
	e.proxied, err = regexp.Compile(`\A(?:` + proxied + `)\z`)
	return err
}

// ours matches what Scopewire itself says, and no server.
var ours = regexp.MustCompile(`(?m)^ERROR:  (permission denied by the access token's scopes|the transaction has changed the catalog in a way)`)

// explains reports whether a hunk is one of those.
func (e *explanation) explains(h hunk) bool {
	if e.Reason == "" && e.Refusal == "" && ours.MatchString(strings.Join(h.proxied, "\n")) {
		return false
	}
	return e.direct.MatchString(strings.Join(h.direct, "\n")) && e.proxied.MatchString(strings.Join(h.proxied, "\n"))
}

// explanations is the file of them: rules by name, what is known of each script, and how
// many scripts the suite has.
type explanations struct {
	Schedule int                       `yaml:"schedule"`
	Rules    map[string]*explanation   `yaml:"rules"`
	Scripts  map[string][]*explanation `yaml:"scripts"`
}

// loadExplanations reads the explanations.
func loadExplanations(file string) (*explanations, error) {
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
	return &all, nil
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
