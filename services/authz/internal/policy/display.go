package policy

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// quoteIdentifier prints a name as SQL would have it. Names that would not
// stay on one line, or would not look like themselves there, are escaped: they
// come from clients and end in logs.
func quoteIdentifier(s string) string {
	plain := s != ""
	for i := range len(s) {
		if !identifierByte(s[i], i == 0) || 'A' <= s[i] && s[i] <= 'Z' {
			plain = false
			break
		}
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.QuoteToASCII(s)
		}
	}
	if plain {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// displayText prints a description on one line.
func displayText(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// displayObject prints an object as the policy file would name it.
func displayObject(o access.Object) string {
	var b strings.Builder
	if o.Kind != access.Table {
		b.WriteString(string(o.Kind) + ":")
	}
	if o.Schema != "" {
		b.WriteString(quoteIdentifier(o.Schema) + ".")
	}
	if o.Kind == access.Setting {
		for i, p := range strings.Split(o.Name, ".") {
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(quoteIdentifier(p))
		}
		return b.String()
	}
	b.WriteString(quoteIdentifier(o.Name))
	if (o.Kind == access.Function || o.Kind == access.Procedure) && !o.Overloads {
		b.WriteString("(" + strings.Join(o.Arguments, ", ") + ")")
	}
	return b.String()
}

// maxDisplayedColumns bounds a line of the audit log.
const maxDisplayedColumns = 8

// displayAccess prints an access on one line, for audit.
func displayAccess(a access.Access) string {
	s := string(a.Action) + " on " + displayObject(target(a))
	switch {
	case a.AllColumns || len(a.Columns) == 0:
		return s
	case len(a.Columns) == 1:
		return s + ", column " + quoteIdentifier(a.Columns[0])
	}
	names := make([]string, 0, maxDisplayedColumns+1)
	for i, c := range a.Columns {
		if i == maxDisplayedColumns {
			names = append(names, "…")
			break
		}
		names = append(names, quoteIdentifier(c))
	}
	return s + ", columns " + strings.Join(names, ", ")
}
