package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// maxIdentifier is the longest identifier in bytes: NAMEDATALEN - 1
// (pg_config_manual.h). PostgreSQL cuts longer ones; a policy that names one
// would mean another object than its author, so it is an error here.
const maxIdentifier = 63

// part is one part of a dotted name: an identifier, a wildcard or a template's
// placeholder. Just one of the fields is set.
type part struct {
	ident string
	any   bool
	hole  string
}

// pattern is a parsed object of the policy file.
type pattern struct {
	kind access.Kind
	// parts are schema and name, the name alone, or a setting's parts. A single
	// hole with whole set stands for all of them.
	parts []part
	whole string
	// arguments are a routine's argument types; nil covers every overload.
	arguments []string
	overload  bool
	// index is its place in the list as written.
	index int
}

// parsePattern parses `[kind:]name`. Holes are placeholders of a template:
// `{x}` for a whole part, or for the whole name.
func parsePattern(s string, holes []string) (pattern, error) {
	p := pattern{kind: access.Table}
	rest := s
	if i := strings.IndexAny(s, `:".*{(`); i >= 0 && s[i] == ':' {
		p.kind, rest = access.Kind(s[:i]), s[i+1:]
		if !slices.Contains(access.Kinds(), p.kind) {
			return p, fmt.Errorf("there is no kind %q; the kinds are %s", s[:i], join(access.Kinds()))
		}
	}
	if h, ok := hole(rest); ok {
		if !slices.Contains(holes, h) {
			return p, fmt.Errorf("the template has no placeholder {%s}", h)
		}
		p.whole = h
		return p, nil
	}
	if p.kind == access.Function || p.kind == access.Procedure {
		if i := openParenthesis(rest); i >= 0 {
			if !strings.HasSuffix(rest, ")") {
				return p, errors.New("the argument types end with a closing parenthesis")
			}
			args, err := parseArguments(rest[i+1 : len(rest)-1])
			if err != nil {
				return p, err
			}
			p.arguments, p.overload, rest = args, true, rest[:i]
		}
	}
	for {
		q, tail, err := nextPart(rest, holes)
		if err != nil {
			return p, err
		}
		p.parts = append(p.parts, q)
		if tail == "" {
			break
		}
		if tail[0] != '.' {
			return p, fmt.Errorf("%q does not follow a name; quote names as in SQL, and let * stand for a whole part", tail)
		}
		rest = tail[1:]
	}
	return p, p.check()
}

// check verifies the number of parts and what may never be named.
func (p pattern) check() error {
	switch {
	case p.kind == access.Setting:
		// The names of custom settings have more than one part.
		if foldASCII(p.parts[0].ident) == "scopewire" {
			return errors.New("no policy decides on the settings of scopewire")
		}
		if slices.ContainsFunc(p.parts, func(q part) bool { return strings.Contains(q.ident, ".") }) {
			return errors.New("a part of a setting's name holds no dot")
		}
	case inSchema(p.kind):
		if len(p.parts) != 2 {
			return fmt.Errorf("a %s is named with its schema, as schema.name", p.kind)
		}
		if p.overload && p.parts[1].any {
			return errors.New("argument types need a name before them, not *")
		}
	case len(p.parts) != 1:
		return fmt.Errorf("the name of a %s has one part", p.kind)
	}
	return nil
}

// inSchema reports whether objects of the kind live in a schema.
func inSchema(k access.Kind) bool {
	switch k {
	case access.Table, access.Sequence, access.Function, access.Procedure, access.Type:
		return true
	default:
		return false
	}
}

// nextPart reads one part from the start of s.
func nextPart(s string, holes []string) (part, string, error) {
	switch {
	case s == "":
		return part{}, "", errors.New("a name is missing")
	case s[0] == '*':
		return part{any: true}, s[1:], nil
	case s[0] == '{':
		end := strings.IndexByte(s, '}') // -1 leaves an empty string, no placeholder.
		h, ok := hole(s[:end+1])
		if !ok || !slices.Contains(holes, h) {
			return part{}, "", fmt.Errorf("no placeholder of the template begins %q", s)
		}
		return part{hole: h}, s[end+1:], nil
	}
	id, rest, err := nextIdentifier(s)
	return part{ident: id}, rest, err
}

// nextIdentifier reads an identifier from the start of s as scan.l of
// PostgreSQL does: unquoted, its ASCII letters are folded to lower case and
// nothing else is (downcase_identifier in a UTF-8 database); quoted, it is
// taken as it stands, with "" for a quote. It returns what follows.
func nextIdentifier(s string) (id, rest string, err error) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", "", errors.New("a name is UTF-8 text without NUL")
	}
	if s != "" && s[0] == '"' {
		id, rest, err = nextQuoted(s)
	} else {
		end := 0
		for end < len(s) && identifierByte(s[end], end == 0) {
			end++
		}
		if end == 0 {
			return "", "", fmt.Errorf("%q does not begin a name; quote names as in SQL where they need it", s)
		}
		id, rest = foldASCII(s[:end]), s[end:]
	}
	if err == nil && len(id) > maxIdentifier {
		err = fmt.Errorf("the name %q is over %d bytes, more than PostgreSQL keeps", id, maxIdentifier)
	}
	return id, rest, err
}

// nextQuoted reads a quoted identifier.
func nextQuoted(s string) (id, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '"':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		case b.Len() == 0:
			return "", "", errors.New(`a quoted name is not empty`)
		default:
			return b.String(), s[i+1:], nil
		}
	}
	return "", "", errors.New("a quoted name ends with a quote")
}

// identifierByte reports whether c may stand in an unquoted identifier
// (ident_start and ident_cont of scan.l).
func identifierByte(c byte, first bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c >= 0x80:
		return true
	case '0' <= c && c <= '9', c == '$':
		return !first
	default:
		return false
	}
}

// parseIdentifier parses a whole string as one identifier.
func parseIdentifier(s string) (string, error) {
	id, rest, err := nextIdentifier(s)
	if err == nil && rest != "" {
		err = fmt.Errorf("%q does not follow a name; quote names as in SQL where they need it", rest)
	}
	return id, err
}

// foldASCII lowers the ASCII letters and leaves the rest, as PostgreSQL does
// with unquoted identifiers and the names of settings.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// hole reports whether s is a placeholder and nothing else.
func hole(s string) (string, bool) {
	if len(s) < 3 || s[0] != '{' || s[len(s)-1] != '}' {
		return "", false
	}
	name := s[1 : len(s)-1]
	return name, plainWord(name)
}

// plainWord reports whether s is made of lower-case letters and underscores, as
// the keys of the file and the names of placeholders are.
func plainWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != ""
}

// openParenthesis finds the first parenthesis outside quotes, or returns -1.
func openParenthesis(s string) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '(' && !quoted:
			return i
		}
	}
	return -1
}

func join[S ~string](list []S) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
