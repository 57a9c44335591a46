package policy

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Rule is a rule of the policy file as people find it.
type Rule struct {
	// Path is where it stands in the file: scopes["orders.read"][0].
	Path string
	// Line is its line, 0 for a preset's default and for what a token carries.
	Line int
}

// Finding says how one access was judged.
type Finding struct {
	Reason access.Reason
	// Object is what the access was judged by; Text is action, object and columns
	// on one line.
	Object access.Object
	Text   string
	// Rules are those that decided: the grants that cover the access, the deny that
	// matches it, or the grant whose condition does not hold.
	Rules []Rule
	// Code is what runs and nobody trusts.
	Code string
	// Needed is the grant that would cover the access, as a line of the policy
	// file; empty when a grant would not help.
	Needed string
}

// Explain says how an access of a request is judged. It is Decide's own
// judgement.
func (g *Grants) Explain(r Request, a access.Access) Finding {
	t := trial{Grants: g, request: r}
	v := t.judge(&a)
	f := Finding{Reason: v.reason(), Object: target(a), Text: displayAccess(a), Code: t.code}
	rules := t.rules
	switch v {
	case covered:
	case denied:
		rules = []*rule{t.deniedBy}
	case unmet:
		rules = []*rule{t.unmet}
	default:
		rules, f.Needed = nil, neededGrant(a, v == opaque)
	}
	for _, r := range rules {
		f.Rules = append(f.Rules, Rule{Path: r.name, Line: r.line})
	}
	return f
}

// ExplainSession is Explain for a statement that the preset session allows.
func (g *Grants) ExplainSession(r Request) Finding {
	t := trial{Grants: g, request: r}
	v := t.judgeSession()
	f := Finding{Reason: v.reason(), Text: "what pools send at connect and reset"}
	rules := t.rules
	switch v {
	case covered:
	case unmet:
		rules = []*rule{t.unmet}
	default:
		f.Needed = "{presets: [" + PresetSession + "]}"
	}
	for _, r := range rules {
		f.Rules = append(f.Rules, Rule{Path: r.name, Line: r.line})
	}
	return f
}

// Display prints an object as the policy file would name it.
func Display(o access.Object) string { return displayObject(o) }

// neededGrant writes the grant that would cover an access.
func neededGrant(a access.Access, trusted bool) string {
	o := target(a)
	if o.Name == "" || inSchema(o.Kind) != (o.Schema != "") || !coverable(a.Action, o.Kind) || trusted && !runsCode(o.Kind) {
		return ""
	}
	s := "{actions: [" + string(a.Action) + "], objects: [" + quoteYAML(displayObject(o)) + "]"
	if len(a.Columns) > 0 && !a.AllColumns && perColumn(a.Action, o.Kind) {
		columns := make([]string, len(a.Columns))
		for i, c := range a.Columns {
			columns[i] = quoteYAML(quoteIdentifier(c))
		}
		s += ", columns: [" + strings.Join(columns, ", ") + "]"
	}
	if trusted {
		s += ", trusted: true"
	}
	return s + "}"
}

// quoteYAML quotes a text where plain YAML would read it as something else.
func quoteYAML(s string) string {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && c != '_' && c != '.' && (i == 0 || c < '0' || c > '9') {
			return "'" + strings.ReplaceAll(s, "'", "''") + "'"
		}
	}
	if slices.Contains([]string{"", "true", "false", "null", "yes", "no", "on", "off", "y", "n"}, s) || s[0] == '.' {
		return "'" + s + "'"
	}
	return s
}
