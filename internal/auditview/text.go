package auditview

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// Limits of what is shown of one value, in bytes of the value.
const (
	nameLimit      = 256
	statementLimit = 4096
	jsonLimit      = 64 << 10
)

// plain makes a value one line of printable ASCII: anything else is escaped as
// in Go source, and a backslash is doubled so that an escape cannot be forged.
// What is beyond limit bytes is left out and counted.
func plain(s string, limit int) string {
	rest := 0
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		rest, s = len(s)-cut, s[:cut]
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r == utf8.RuneError && s[i] != "\uFFFD"[0]:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	if rest > 0 {
		fmt.Fprintf(&b, "...(%d bytes more)", rest)
	}
	return b.String()
}

// enumWord turns VERDICT_ALLOW into "allow" and an unknown number into
// "unknown(7)".
func enumWord(name, prefix string) string {
	rest, ok := strings.CutPrefix(name, prefix)
	switch {
	case !ok:
		return "unknown(" + plain(name, nameLimit) + ")"
	case rest == "UNSPECIFIED":
		return "unknown"
	default:
		return strings.ReplaceAll(strings.ToLower(rest), "_", " ")
	}
}

// objectName writes a name as SQL would need it, with its kind unless that is
// the default, a table.
func objectName(o *authzv1.ObjectName) string {
	var b strings.Builder
	if k := o.GetKind(); k != authzv1.ObjectKind_OBJECT_KIND_TABLE {
		b.WriteString(enumWord(k.String(), "OBJECT_KIND_") + ":")
	}
	if o.GetSchema() != "" {
		b.WriteString(identifier(o.GetSchema()) + ".")
	}
	b.WriteString(identifier(o.GetName()))
	if n := len(o.GetArgumentTypes()); n > 0 {
		types := make([]string, 0, min(n, maxListed))
		for _, a := range o.GetArgumentTypes()[:min(n, maxListed)] {
			types = append(types, plain(a, nameLimit))
		}
		b.WriteString("(" + strings.Join(types, ", ") + more(n) + ")")
	}
	return b.String()
}

// maxListed bounds lists inside a line.
const maxListed = 100

func more(n int) string {
	if n <= maxListed {
		return ""
	}
	return fmt.Sprintf(", and %d more", n-maxListed)
}

// identifier quotes a name where SQL does (PostgreSQL documentation 4.1.1):
// keywords are not quoted, because the name is shown, not run.
func identifier(s string) string {
	simple := s != ""
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', c == '_', i > 0 && ('0' <= c && c <= '9' || c == '$'):
		default:
			simple = false
		}
	}
	if simple {
		return plain(s, nameLimit)
	}
	return `"` + plain(strings.ReplaceAll(s, `"`, `""`), nameLimit) + `"`
}

// access is one line: what is done to which object, as named and as resolved.
func access(a *authzv1.Access) string {
	line := enumWord(a.GetAction().String(), "ACTION_") + " " + objectName(a.GetNamed())
	switch {
	case a.GetResolved() == nil:
		line += " -> (not found)"
	case objectName(a.GetResolved()) != objectName(a.GetNamed()):
		line += " -> " + objectName(a.GetResolved())
	}
	if n := len(a.GetColumns()); n > 0 {
		columns := make([]string, 0, min(n, maxListed))
		for _, c := range a.GetColumns()[:min(n, maxListed)] {
			columns = append(columns, identifier(c))
		}
		line += " (" + strings.Join(columns, ", ") + more(n) + ")"
	} else if !a.GetAllColumns() && byColumn(a) {
		// As for count(*).
		line += " (any one column)"
	}
	for i, other := range a.GetAlternatives()[:min(len(a.GetAlternatives()), maxListed)] {
		line += map[bool]string{true: ", or ", false: " or "}[i == 0] + enumWord(other.String(), "ACTION_")
	}
	if n := len(a.GetThrough()); n > 0 {
		line += ", through " + strings.Join(objectNames(a.GetThrough()), ", ") + more(n)
	}
	if a.GetWithin() {
		line += ", with its owner's rights"
	}
	if n := len(a.GetTrust()); n > 0 {
		line += ", runs " + strings.Join(codeNames(a.GetTrust()), ", ") + more(n)
	}
	return line
}

func objectNames(objects []*authzv1.ObjectName) (names []string) {
	for _, o := range objects[:min(len(objects), maxListed)] {
		names = append(names, objectName(o))
	}
	return names
}

// codeNames names code that the login's rights run, with its extension if it has one.
func codeNames(list []*authzv1.Code) (names []string) {
	for _, c := range list[:min(len(list), maxListed)] {
		name := plain(c.GetName(), nameLimit)
		if c.GetExtension() != "" {
			name += " of extension " + plain(c.GetExtension(), nameLimit)
		}
		names = append(names, name)
	}
	return names
}

// byColumn reports whether PostgreSQL grants the action on single columns
// (documentation of GRANT).
func byColumn(a *authzv1.Access) bool {
	switch a.GetAction() {
	case authzv1.Action_ACTION_SELECT, authzv1.Action_ACTION_INSERT, authzv1.Action_ACTION_UPDATE, authzv1.Action_ACTION_REFERENCES:
		return a.GetNamed().GetKind() == authzv1.ObjectKind_OBJECT_KIND_TABLE
	default:
		return false
	}
}
