package oracle

import (
	"fmt"
	"os"
	"regexp"

	"github.com/goccy/go-yaml"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Rule explains why Scopewire denies what a role with the same grants may do. All
// patterns that are given have to match.
type Rule struct {
	Name string `yaml:"name"`
	// Why is the reason, in a sentence.
	Why string `yaml:"why"`
	// Reason is the reason code.
	Reason access.Reason `yaml:"reason"`
	// Detail matches the detail for audit, SQL the statement; regular expressions.
	Detail string `yaml:"detail,omitempty"`
	SQL    string `yaml:"sql,omitempty"`
	// Answer matches the server's SQLSTATE and message, of an error that Scopewire gives in
	// other words. A rule without it explains denials alone.
	Answer string `yaml:"answer,omitempty"`
	// Proof is what the server has to show beside, for a text tells little; see proofs.go.
	Proof Proof `yaml:"proof,omitempty"`

	detail, sql, answer *regexp.Regexp
}

// Rules is the list of explanations.
type Rules []Rule

// LoadRules reads the list.
func LoadRules(file string) (Rules, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rules Rules
	if err := yaml.UnmarshalWithOptions(b, &rules, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, true))
	}
	for i := range rules {
		r := &rules[i]
		if r.Name == "" || r.Why == "" || r.Reason == "" {
			return nil, fmt.Errorf("%s: rule %d lacks name, why or reason", file, i+1)
		}
		if !r.Proof.known() {
			return nil, fmt.Errorf("%s: %s: no proof is called %q", file, r.Name, r.Proof)
		}
		if r.detail, err = regexp.Compile(r.Detail); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, r.Name, err)
		}
		if r.sql, err = regexp.Compile("(?is)" + r.SQL); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, r.Name, err)
		}
		if r.answer, err = regexp.Compile(r.Answer); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, r.Name, err)
		}
	}
	return rules, nil
}

// findError returns the name of the first rule that explains why an error is worded
// in another way than the server's, or "".
func (rules Rules) findError(v Verdict, a Answer, sql string) string {
	for _, r := range rules {
		if r.Answer != "" && r.Reason == v.Reason && r.answer.MatchString(a.State+": "+a.Message) && r.sql.MatchString(sql) {
			return r.Name
		}
	}
	return ""
}

// matching returns the rules whose patterns match a denial, the first one first.
func (rules Rules) matching(v Denial, sql string) []Rule {
	var all []Rule
	for _, r := range rules {
		if r.Answer == "" && r.Reason == v.Reason && r.detail.MatchString(v.Detail) && r.sql.MatchString(sql) {
			all = append(all, r)
		}
	}
	return all
}

// find returns the name of the first rule that explains a denial by its patterns alone,
// or "".
func (rules Rules) find(v Denial, sql string) string {
	for _, r := range rules.matching(v, sql) {
		if r.Proof == "" {
			return r.Name
		}
	}
	return ""
}
