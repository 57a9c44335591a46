package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// template is a scope template: literal texts with placeholders between them.
type template struct {
	// literals has one more element than names: the text before the first
	// placeholder, between each two, and after the last.
	literals []string
	names    []string
	rules    []*rule
}

// parseTemplate parses the key of a scope template.
func parseTemplate(s string) (*template, error) {
	if err := checkScope(s); err != nil {
		return nil, err
	}
	t := &template{}
	rest := s
	for {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			break
		}
		end := open + strings.IndexByte(rest[open:], '}') + 1
		name, ok := hole(rest[open:max(open, end)])
		switch {
		case !ok:
			return nil, errors.New("a placeholder is a word of lower-case letters in braces")
		case slices.Contains(t.names, name):
			return nil, fmt.Errorf("the placeholder {%s} stands twice", name)
		case open == 0 && len(t.names) > 0:
			return nil, errors.New("there is text between two placeholders, or where one ends would be a guess")
		}
		t.literals, t.names = append(t.literals, rest[:open]), append(t.names, name)
		rest = rest[end:]
	}
	t.literals = append(t.literals, rest)
	if len(t.names) == 0 {
		return nil, errors.New("a template has a placeholder; a fixed scope belongs under scopes")
	}
	if slices.ContainsFunc(t.literals, func(l string) bool { return strings.ContainsRune(l, '}') }) {
		return nil, errors.New("a closing brace follows an opening one")
	}
	return t, nil
}

func (t *template) holes() []string { return t.names }

// match reads the placeholders' values from a scope. A value is at least one
// byte long and never holds the byte that begins the text after it: there is
// one way to read a scope, or none.
func (t *template) match(scope string) (map[string]string, bool) {
	rest, ok := strings.CutPrefix(scope, t.literals[0])
	if !ok {
		return nil, false
	}
	values := make(map[string]string, len(t.names))
	for i, name := range t.names {
		next := t.literals[i+1]
		end := len(rest)
		if next != "" {
			end = strings.IndexByte(rest, next[0])
		}
		if end <= 0 {
			return nil, false
		}
		values[name] = rest[:end]
		if rest, ok = strings.CutPrefix(rest[end:], next); !ok {
			return nil, false
		}
	}
	return values, rest == ""
}

// expand returns the rules of a scope that the template matches. A value that
// is not a name where a name is wanted makes the whole scope grant nothing.
func (t *template) expand(scope string) []*rule {
	values, ok := t.match(scope)
	if !ok {
		return nil
	}
	out := make([]*rule, 0, len(t.rules))
	for _, r := range t.rules {
		bound, err := r.bind(values)
		if err != nil || len(bound.problems()) > 0 {
			return nil
		}
		out = append(out, bound)
	}
	return out
}

// bind replaces placeholders by parsed names, never by text: a value cannot
// become a wildcard, a kind, or more parts than the template leaves open.
func (r *rule) bind(values map[string]string) (*rule, error) {
	out := &rule{name: r.name, line: r.line, trusted: r.trusted, presets: r.presets, when: r.when}
	for _, a := range r.actions {
		if a.hole != "" {
			a = actionItem{action: access.Action(values[a.hole])}
			// Admin is granted where the policy says so in so many letters.
			if a.action == access.Admin || !slices.Contains(access.Actions(), a.action) {
				return nil, errors.New("the placeholder's value is no action")
			}
		}
		out.actions = append(out.actions, a)
	}
	for _, o := range r.objects {
		bound, err := o.bind(values)
		if err != nil {
			return nil, err
		}
		out.objects = append(out.objects, bound)
	}
	for _, c := range r.columns {
		bound, err := c.bind(values)
		if err != nil {
			return nil, err
		}
		out.columns = append(out.columns, bound)
	}
	return out, nil
}

// bind takes no name of the server itself, a catalog say, from a placeholder: neither
// do wildcards stand for one, and whoever asks for a token often picks its scopes.
func (p pattern) bind(values map[string]string) (pattern, error) {
	given := p.whole != "" || p.parts[0].hole != ""
	p, err := p.fill(values)
	if err == nil && given && p.ofServer() {
		err = errors.New("the placeholder's value is a name of the server's own")
	}
	return p, err
}

func (p pattern) fill(values map[string]string) (pattern, error) {
	if p.whole == "" {
		parts := make([]part, len(p.parts))
		for i, q := range p.parts {
			var err error
			if parts[i], err = q.bind(values); err != nil {
				return p, err
			}
		}
		p.parts = parts
		return p, p.check()
	}
	rest := values[p.whole]
	p.whole = ""
	for {
		id, tail, err := nextIdentifier(rest)
		if err != nil {
			return p, err
		}
		p.parts = append(slices.Clip(p.parts), part{ident: id})
		if tail == "" {
			return p, p.check()
		}
		if tail[0] != '.' {
			return p, errors.New("the placeholder's value is no name")
		}
		rest = tail[1:]
	}
}

func (q part) bind(values map[string]string) (part, error) {
	if q.hole == "" {
		return q, nil
	}
	id, err := parseIdentifier(values[q.hole])
	return part{ident: id}, err
}
