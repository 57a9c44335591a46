package policy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"

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
	// Errors says when the server's errors reach the client untouched.
	Errors *string `yaml:"errors"`
}

// grantItem is one grant as written.
type grantItem struct {
	Actions *[]string `yaml:"actions"`
	Objects *[]string `yaml:"objects"`
	Columns *[]string `yaml:"columns"`
	// Presets are granted beside the rest, or alone.
	Presets *[]string `yaml:"presets"`
	// Trusted lets code that cannot be looked into run with the login's rights.
	Trusted *bool `yaml:"trusted"`
	// When is a condition in CEL.
	When *text `yaml:"when"`
	// Rows is refused until there are row filters: a grant that means to filter
	// must not act as one that does not.
	Rows refused `yaml:"rows"`
}

// denyItem is one deny as written.
type denyItem struct {
	Actions *[]string `yaml:"actions"`
	Objects *[]string `yaml:"objects"`
	Columns *[]string `yaml:"columns"`
	When    *text     `yaml:"when"`
	Rows    refused   `yaml:"rows"`
}

// decode reads the file strictly.
func decode(data []byte) (*file, *report, error) {
	if len(data) > maxFile {
		return nil, nil, fmt.Errorf("the policy is over %d bytes", maxFile)
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return nil, nil, errors.New("the file begins with a byte order mark; save it without")
	}
	if err := checkCharacters(data); err != nil {
		return nil, nil, err
	}
	var f file
	r, err := readTree(data, &f)
	return &f, r, err
}

// compiler turns what the file says into rules, and reports what is wrong.
type compiler struct {
	*report
	presets presets
	// environment is made with the first condition: it is dear, and few policies
	// have one.
	environment *cel.Env
}

// compile checks the file and builds the policy, or reports every problem.
func (f *file) compile(c *compiler) (*Policy, error) {
	pol := &Policy{scopes: make(map[string][]*rule, len(f.Scopes)), presets: c.presets}
	if f.Version != 1 {
		c.Addf("version", "write version: 1, the one there is")
	}
	pol.issuers, pol.ceilings = compileIssuers(c, f.Issuers)
	for _, scope := range slices.Sorted(maps.Keys(f.Scopes)) {
		path := keyPath("scopes", scope)
		if err := checkScope(scope); err != nil {
			c.Addf(path, "%s", err)
		}
		pol.scopes[scope] = c.compileGrants(path, f.Scopes[scope], nil)
	}
	for _, text := range slices.Sorted(maps.Keys(f.ScopeTemplates)) {
		path := keyPath("scope_templates", text)
		t, err := parseTemplate(text)
		if err != nil {
			c.Addf(path, "%s", err)
			continue
		}
		t.rules = c.compileGrants(path, f.ScopeTemplates[text], t.holes())
		for _, h := range t.holes() {
			if !slices.ContainsFunc(t.rules, func(r *rule) bool { return r.uses(h) }) {
				c.Addf(path, "no grant uses the placeholder {%s}", h)
			}
		}
		pol.templates = append(pol.templates, t)
	}
	for i, d := range f.Deny {
		pol.denies = append(pol.denies, c.compileDeny(fmt.Sprintf("deny[%d]", i), d))
	}
	pol.base = c.compileBase(f.Presets)
	pol.logins = compileLogins(c, f.Logins)
	pol.extensions = compileExtensions(c, f.TrustedExtensions)
	pol.errors = compileErrors(c, f.Errors)
	return pol, c.Err()
}

// compileExtensions checks the list of trusted extensions: names of pg_extension
// as they stand there, without wildcard.
func compileExtensions(c *compiler, list *[]string) map[string]bool {
	if list == nil {
		return nil
	}
	if len(*list) == 0 {
		c.Addf("trusted_extensions", "name at least one extension, or leave the key out")
	}
	out := make(map[string]bool, len(*list))
	for i, s := range *list {
		name, err := extensionName(s)
		at := fmt.Sprintf("trusted_extensions[%d]", i)
		switch {
		case err != nil:
			c.Addf(at, "%q: %s", s, err)
		case out[name]:
			c.Addf(at, "%q stands twice", s)
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
func (c *compiler) compileGrants(path string, items []grantItem, holes []string) []*rule {
	if len(items) == 0 {
		c.Addf(path, "a scope without a grant grants nothing; remove it")
	}
	var rules []*rule
	for i, item := range items {
		rules = append(rules, c.compileGrant(fmt.Sprintf("%s[%d]", path, i), item, holes))
	}
	return rules
}

func (c *compiler) compileGrant(path string, item grantItem, holes []string) *rule {
	c.refuseRows(path, item.Rows)
	r := &rule{name: path, line: c.placeOf(path).line, trusted: item.Trusted != nil && *item.Trusted}
	r.when = c.compileCondition(path+".when", item.When)
	r.presets = c.compilePresets(path+".presets", item.Presets)
	if item.Presets != nil && item.Actions == nil && item.Objects == nil {
		if item.Columns != nil || item.Trusted != nil {
			c.Addf(path, "columns and trusted go with actions and objects")
		}
		return r
	}
	r.actions = compileActions(c, path+".actions", list(item.Actions), holes)
	r.objects = compileObjects(c, path+".objects", list(item.Objects), holes)
	r.columns = compileColumns(c, path+".columns", item.Columns, holes)
	c.addProblems(path, r.problems())
	if r.trusted && slices.ContainsFunc(r.objects, pattern.open) {
		c.Addf(path+".trusted", "what is trusted is named by the policy, not by the value of a placeholder")
	}
	return r
}

// addProblems adds what is wrong with a rule at its path.
func (c *compiler) addProblems(path string, problems []problem) {
	for _, p := range problems {
		c.Addf(path+p.key, "%s", p.text)
	}
}

func (c *compiler) compileDeny(path string, item denyItem) *rule {
	c.refuseRows(path, item.Rows)
	r := &rule{name: path, line: c.placeOf(path).line, actions: []actionItem{{action: anyAction}}}
	r.when = c.compileCondition(path+".when", item.When)
	if item.Actions != nil {
		r.actions = compileActions(c, path+".actions", *item.Actions, nil)
	}
	r.objects = compileObjects(c, path+".objects", list(item.Objects), nil)
	r.columns = compileColumns(c, path+".columns", item.Columns, nil)
	c.addProblems(path, r.meaningless(applies))
	return r
}

// refuseRows refuses a row filter. To ignore it would grant more than the policy
// says.
func (c *compiler) refuseRows(path string, there refused) {
	if there {
		c.Addf(path+".rows", "row filters are not supported by this version")
	}
}

// list is what a key holds, nothing when it is not there.
func list(l *[]string) []string {
	if l == nil {
		return nil
	}
	return *l
}

// anyAction stands for every action; in a grant, for every one but admin.
const anyAction access.Action = "*"

func compileActions(c *compiler, path string, list, holes []string) []actionItem {
	if len(list) == 0 {
		c.Addf(path, "name at least one action")
	}
	var out []actionItem
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if h, ok := hole(s); ok && slices.Contains(holes, h) {
			out = append(out, actionItem{hole: h, index: i})
			continue
		}
		a := access.Action(s)
		if a != anyAction && !slices.Contains(access.Actions(), a) {
			c.Addf(at, "there is no action %q; the actions are %s", s, join(access.Actions()))
			continue
		}
		out = append(out, actionItem{action: a, index: i})
	}
	return out
}

func compileObjects(c *compiler, path string, list, holes []string) []pattern {
	if len(list) == 0 {
		c.Addf(path, "name at least one object")
	}
	var out []pattern
	for i, s := range list {
		pat, err := parsePattern(s, holes)
		if err != nil {
			c.Addf(fmt.Sprintf("%s[%d]", path, i), "%q: %s", s, err)
			continue
		}
		pat.index = i
		out = append(out, pat)
	}
	return out
}

func compileColumns(c *compiler, path string, list *[]string, holes []string) []part {
	if list == nil {
		return nil
	}
	if len(*list) == 0 {
		c.Addf(path, "name at least one column, or leave the key out for all of them")
	}
	out := []part{}
	for i, s := range *list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if h, ok := hole(s); ok && slices.Contains(holes, h) {
			out = append(out, part{hole: h})
			continue
		}
		if s == "*" {
			c.Addf(at, "leave the key columns out for all of them")
			continue
		}
		id, err := parseIdentifier(s)
		if err != nil {
			c.Addf(at, "%q: %s", s, err)
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
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return errors.New("a scope holds no space and no control character")
		}
	}
	return nil
}
