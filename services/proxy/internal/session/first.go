package session

import (
	"bytes"
	"unicode/utf8"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
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

// mayAskFirst answers a unit before which a question would be the first of its
// transaction, unless it may be. LOCK TABLE alone takes no snapshot and names something:
// where each statement has a snapshot of its own, one before it takes nothing from the
// client but that it sets another isolation level behind it.
func (s *Session) mayAskFirst(u *unit) *answer {
	if firstWord(u.text) == "lock" {
		q := &question{piped: s.piped}
		if err := s.ask(q, "SHOW transaction_isolation"); err != nil {
			return &answer{err: err}
		}
		switch skipping, err := s.asked(); {
		case err != nil:
			return &answer{err: err}
		case skipping:
			return &answer{dropped: true}
		}
		if level, err := q.result(); err == nil && len(level) == 1 && (level[0] == "read committed" || level[0] == "read uncommitted") {
			return nil
		}
	}
	return s.refuse(u, nil, pgerr.RefusalRetry, "context", authzv1.Reason_REASON_CONTEXT, "a question would be the transaction's first")
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
