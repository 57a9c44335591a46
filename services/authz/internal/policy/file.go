package policy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// maxFile bounds the policy file. A thousand scopes with ten grants each are
// about 1 MiB.
const maxFile = 8 << 20

// file is the policy file as written.
type file struct {
	Version        int                    `yaml:"version"`
	Issuers        []issuerEntry          `yaml:"issuers"`
	Scopes         map[string][]grantItem `yaml:"scopes"`
	ScopeTemplates map[string][]grantItem `yaml:"scope_templates"`
	Deny           []denyItem             `yaml:"deny"`
	Presets        *[]string              `yaml:"presets"`
	Logins         map[string]loginEntry  `yaml:"logins"`
	// TrustedExtensions are extensions whose code may run with the login's rights
	// wherever a grant lets a statement reach it.
	TrustedExtensions *[]string `yaml:"trusted_extensions"`
}

// grantItem is one grant as written.
type grantItem struct {
	Actions []string  `yaml:"actions"`
	Objects []string  `yaml:"objects"`
	Columns *[]string `yaml:"columns"`
	// Trusted lets code that cannot be looked into run with the login's rights.
	Trusted bool `yaml:"trusted"`
	// What a later version understands is decoded, so that it is refused by its
	// own sentence.
	Rows any `yaml:"rows"`
	When any `yaml:"when"`
}

// denyItem is one deny as written.
type denyItem struct {
	Actions *[]string `yaml:"actions"`
	Objects []string  `yaml:"objects"`
	Columns *[]string `yaml:"columns"`
	Rows    any       `yaml:"rows"`
	When    any       `yaml:"when"`
}

// decode reads the file strictly.
func decode(data []byte) (*file, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("the policy is over %d bytes", maxFile)
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return nil, errors.New("the file begins with a byte order mark; save it without")
	}
	if err := checkTree(data); err != nil {
		return nil, err
	}
	var f file
	if err := config.Decode(data, &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// compile checks the file and builds the policy, or reports every problem.
func (f *file) compile() (*Policy, error) {
	var p config.Problems
	pol := &Policy{scopes: make(map[string][]*rule, len(f.Scopes))}
	if f.Version != 1 {
		p.Addf("version", "write version: 1, the one there is")
	}
	pol.issuers = compileIssuers(&p, f.Issuers)
	for _, scope := range slices.Sorted(maps.Keys(f.Scopes)) {
		path := keyPath("scopes", scope)
		if err := checkScope(scope); err != nil {
			p.Addf(path, "%s", err)
		}
		pol.scopes[scope] = compileGrants(&p, path, f.Scopes[scope], nil)
	}
	for _, text := range slices.Sorted(maps.Keys(f.ScopeTemplates)) {
		path := keyPath("scope_templates", text)
		t, err := parseTemplate(text)
		if err != nil {
			p.Addf(path, "%s", err)
			continue
		}
		t.rules = compileGrants(&p, path, f.ScopeTemplates[text], t.holes())
		for _, h := range t.holes() {
			if !slices.ContainsFunc(t.rules, func(r *rule) bool { return r.uses(h) }) {
				p.Addf(path, "no grant uses the placeholder {%s}", h)
			}
		}
		pol.templates = append(pol.templates, t)
	}
	for i, d := range f.Deny {
		pol.denies = append(pol.denies, compileDeny(&p, fmt.Sprintf("deny[%d]", i), d))
	}
	pol.presets = compilePresets(&p, f.Presets)
	pol.logins = compileLogins(&p, f.Logins)
	pol.extensions = compileExtensions(&p, f.TrustedExtensions)
	if err := p.Err(); err != nil {
		return nil, err
	}
	for _, name := range pol.presets {
		pol.base = append(pol.base, presetRules(name)...)
	}
	return pol, nil
}

// compileExtensions checks the list of trusted extensions: names of pg_extension
// as they stand there, without wildcard.
func compileExtensions(p *config.Problems, list *[]string) map[string]bool {
	if list == nil {
		return nil
	}
	if len(*list) == 0 {
		p.Addf("trusted_extensions", "name at least one extension, or leave the key out")
	}
	out := make(map[string]bool, len(*list))
	for i, s := range *list {
		name, err := extensionName(s)
		at := fmt.Sprintf("trusted_extensions[%d]", i)
		switch {
		case err != nil:
			p.Addf(at, "%q: %s", s, err)
		case out[name]:
			p.Addf(at, "%q stands twice", s)
		}
		out[name] = true
	}
	return out
}

// extensionName parses an extension's name. The names of extensions hold hyphens
// (uuid-ossp), so that those need no quotes here.
func extensionName(s string) (string, error) {
	if s == "*" {
		return "", errors.New("an extension is trusted by its name")
	}
	if s != "" && s[0] == '"' {
		return parseIdentifier(s)
	}
	return parseIdentifier(`"` + foldASCII(strings.ReplaceAll(s, `"`, `""`)) + `"`)
}

// compileGrants checks the grants of a scope or template.
func compileGrants(p *config.Problems, path string, items []grantItem, holes []string) []*rule {
	if len(items) == 0 {
		p.Addf(path, "a scope without a grant grants nothing; remove it")
	}
	var rules []*rule
	for i, item := range items {
		rules = append(rules, compileGrant(p, fmt.Sprintf("%s[%d]", path, i), item, holes))
	}
	return rules
}

func compileGrant(p *config.Problems, path string, item grantItem, holes []string) *rule {
	unsupported(p, path+".rows", item.Rows, "row filters are")
	unsupported(p, path+".when", item.When, "conditions are")
	r := &rule{name: path, trusted: item.Trusted}
	r.actions = compileActions(p, path+".actions", item.Actions, holes)
	r.objects = compileObjects(p, path+".objects", item.Objects, holes)
	r.columns = compileColumns(p, path+".columns", item.Columns, holes)
	for _, finding := range r.problems() {
		p.Addf(path, "%s", finding)
	}
	if r.trusted && slices.ContainsFunc(r.objects, pattern.open) {
		p.Addf(path+".trusted", "what is trusted is named by the policy, not by the value of a placeholder")
	}
	return r
}

func compileDeny(p *config.Problems, path string, item denyItem) *rule {
	unsupported(p, path+".rows", item.Rows, "row filters are")
	unsupported(p, path+".when", item.When, "conditions are")
	r := &rule{name: path, actions: []actionItem{{action: anyAction}}}
	if item.Actions != nil {
		r.actions = compileActions(p, path+".actions", *item.Actions, nil)
	}
	r.objects = compileObjects(p, path+".objects", item.Objects, nil)
	r.columns = compileColumns(p, path+".columns", item.Columns, nil)
	for _, finding := range r.meaningless() {
		p.Addf(path, "%s", finding)
	}
	return r
}

// unsupported refuses a key that a later version of Scopewire understands. To
// ignore it would grant more than the policy says.
func unsupported(p *config.Problems, path string, v any, what string) {
	if v != nil {
		p.Addf(path, "%s not supported by this version", what)
	}
}

// anyAction stands for every action; in a grant, for every one but admin.
const anyAction access.Action = "*"

func compileActions(p *config.Problems, path string, list, holes []string) []actionItem {
	if len(list) == 0 {
		p.Addf(path, "name at least one action")
	}
	var out []actionItem
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if h, ok := hole(s); ok && slices.Contains(holes, h) {
			out = append(out, actionItem{hole: h})
			continue
		}
		a := access.Action(s)
		if a != anyAction && !slices.Contains(access.Actions(), a) {
			p.Addf(at, "there is no action %q; the actions are %s", s, join(access.Actions()))
			continue
		}
		out = append(out, actionItem{action: a})
	}
	return out
}

func compileObjects(p *config.Problems, path string, list, holes []string) []pattern {
	if len(list) == 0 {
		p.Addf(path, "name at least one object")
	}
	var out []pattern
	for i, s := range list {
		pat, err := parsePattern(s, holes)
		if err != nil {
			p.Addf(fmt.Sprintf("%s[%d]", path, i), "%q: %s", s, err)
			continue
		}
		out = append(out, pat)
	}
	return out
}

func compileColumns(p *config.Problems, path string, list *[]string, holes []string) []part {
	if list == nil {
		return nil
	}
	if len(*list) == 0 {
		p.Addf(path, "name at least one column, or leave the key out for all of them")
	}
	out := []part{}
	for i, s := range *list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if h, ok := hole(s); ok && slices.Contains(holes, h) {
			out = append(out, part{hole: h})
			continue
		}
		if s == "*" {
			p.Addf(at, "leave the key columns out for all of them")
			continue
		}
		id, err := parseIdentifier(s)
		if err != nil {
			p.Addf(at, "%q: %s", s, err)
			continue
		}
		out = append(out, part{ident: id})
	}
	return out
}

// checkScope refuses names that no token can carry: scopes are separated by
// spaces (RFC 6749 section 3.3).
func checkScope(s string) error {
	if s == "" {
		return errors.New("a scope has a name")
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f {
			return errors.New("a scope holds no space and no control character")
		}
	}
	return nil
}
