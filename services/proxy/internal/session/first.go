package session

import (
	"bytes"
	"unicode/utf8"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

// opensSnapshot reports whether a unit takes the transaction's snapshot before anything
// else happens (PlannedStmtRequiresSnapshot, pquery.c; analyze_requires_snapshot,
// analyze.c; HandleFunctionRequest, fastpath.c), so that a question that stands before
// it takes nothing from the client. Its first word says so; of any other word, SET
// TRANSACTION and LOCK TABLE among them, nothing is assumed.
func opensSnapshot(u *unit) bool {
	if u.kind == decide.UnitFunctionCall {
		return true
	}
	switch firstWord(u.text) {
	case "select", "insert", "update", "delete", "merge", "with", "values", "table", "explain", "declare":
		return true
	case "create", "alter", "drop", "truncate", "comment", "grant", "revoke", "copy":
		// These are not analysed before they run.
		return u.message != auditv1.MessageKind_MESSAGE_KIND_PARSE
	default:
		return false
	}
}

// firstWord is the first keyword of a text in lower case, behind blanks, comments and
// parentheses; empty when there is none, or a longer name.
func firstWord(text []byte) string {
	for len(text) > 0 {
		switch {
		case bytes.IndexByte([]byte(" \t\n\r\f\v("), text[0]) >= 0:
			text = text[1:]
		case bytes.HasPrefix(text, []byte("--")):
			end := bytes.IndexAny(text, "\n\r")
			if end < 0 {
				return ""
			}
			text = text[end:]
		case bytes.HasPrefix(text, []byte("/*")):
			text = behindComment(text)
		default:
			end := 0
			for end < len(text) && (text[end]|0x20 >= 'a' && text[end]|0x20 <= 'z') {
				end++
			}
			if end < len(text) && (text[end] == '_' || text[end] == '$' || text[end] >= '0' && text[end] <= '9' || text[end] >= utf8.RuneSelf) {
				return ""
			}
			return string(bytes.ToLower(text[:end]))
		}
	}
	return ""
}

// behindComment is what follows a block comment, which may hold others.
func behindComment(text []byte) []byte {
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch {
		case text[i] == '/' && text[i+1] == '*':
			depth++
			i++
		case text[i] == '*' && text[i+1] == '/':
			depth--
			i++
			if depth == 0 {
				return text[i+1:]
			}
		}
	}
	return nil
}
