package oracle

import "strings"

// Tokens cuts a text into tokens of SQL, without white space and comments. It is
// rough where that does no harm: joined by spaces, tokens of a valid text mean what
// it means.
func Tokens(sql string) []string {
	var all []string
	for i := 0; i < len(sql); {
		end, blank := next(sql, i)
		if !blank {
			all = append(all, sql[i:end])
		}
		i = end
	}
	return all
}

// next returns the end of what begins at i, and whether it is white space or a
// comment.
func next(sql string, i int) (end int, blank bool) {
	rest := sql[i:]
	switch c := rest[0]; {
	case strings.IndexByte(" \t\n\r\f\v", c) >= 0:
		return i + 1, true
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexAny(rest, "\n\r"); n >= 0 {
			return i + n, true
		}
		return len(sql), true
	case strings.HasPrefix(rest, "/*"):
		return i + comment(rest), true
	case c == '\'':
		return i + quoted(rest, '\'', false), false
	case c == '"':
		return i + quoted(rest, '"', false), false
	case c == '$':
		return i + dollar(rest), false
	case c == 'e' || c == 'E':
		if strings.HasPrefix(rest[1:], "'") {
			return i + 1 + quoted(rest[1:], '\'', true), false
		}
	case strings.IndexByte("bBxXnN", c) >= 0:
		if strings.HasPrefix(rest[1:], "'") {
			return i + 1 + quoted(rest[1:], '\'', false), false
		}
	case c == 'u' || c == 'U':
		if strings.HasPrefix(rest[1:], "&'") || strings.HasPrefix(rest[1:], `&"`) {
			return i + 2 + quoted(rest[2:], rest[2], false), false
		}
	}
	n := 0
	switch c := rest[0]; {
	case wordByte(c) && (c < '0' || c > '9'):
		for n < len(rest) && wordByte(rest[n]) {
			n++
		}
	case digit(c), c == '.' && len(rest) > 1 && digit(rest[1]):
		for n < len(rest) && (wordByte(rest[n]) || rest[n] == '.' || (rest[n] == '+' || rest[n] == '-') && n > 0 && (rest[n-1] == 'e' || rest[n-1] == 'E')) {
			n++
		}
	case strings.IndexByte(operatorBytes, c) >= 0:
		for n < len(rest) && strings.IndexByte(operatorBytes, rest[n]) >= 0 && !strings.HasPrefix(rest[n:], "--") && !strings.HasPrefix(rest[n:], "/*") {
			n++
		}
	case strings.HasPrefix(rest, "::"), strings.HasPrefix(rest, ":="), strings.HasPrefix(rest, ".."):
		n = 2
	default:
		n = 1
	}
	return i + max(n, 1), false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

const operatorBytes = "~!@#^&|`?+-*/%<>="

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// isWord reports whether a token is a key word or an unquoted name.
func isWord(token string) bool {
	return token != "" && wordByte(token[0]) && (token[0] < '0' || token[0] > '9') && token[0] < 0x80 && strings.IndexByte(token, '\'') < 0 &&
		strings.IndexByte(token, '"') < 0 && token[0] != '$'
}

// comment is the length of the comment at the start of s, which nests.
func comment(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// quoted is the length of the quoted text at the start of s.
func quoted(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// dollar is the length of a dollar-quoted text or a parameter at the start of s.
func dollar(s string) int {
	n := 1
	for n < len(s) && wordByte(s[n]) && s[n] != '$' {
		n++
	}
	if n < len(s) && s[n] == '$' && (n == 1 || s[1] < '0' || s[1] > '9') {
		tag := s[:n+1]
		if end := strings.Index(s[n+1:], tag); end >= 0 {
			return n + 1 + end + len(tag)
		}
		return len(s)
	}
	return n
}
