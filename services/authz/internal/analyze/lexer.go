package analyze

import "strings"

// tokenKind is what a token is to the pre-checks and to normalising.
type tokenKind int

const (
	// tokenEnd is the end of the text.
	tokenEnd tokenKind = iota
	// tokenWord is an identifier or keyword without quotes.
	tokenWord
	// tokenQuoted is an identifier in double quotes, U&"" included.
	tokenQuoted
	// tokenString is a literal in quotes: '', E'', B'', X'', U&'', $$.
	tokenString
	// tokenNumber is a numeric literal.
	tokenNumber
	// tokenParam is $n.
	tokenParam
	// tokenOperator is an operator of one or more characters.
	tokenOperator
	// tokenPunctuation is one of ( ) [ ] , ; . : and the pairs :: .. :=.
	tokenPunctuation
	// tokenOther is a character that PostgreSQL's grammar accepts nowhere.
	tokenOther
)

// token is a half-open byte range of the text.
type token struct {
	kind       tokenKind
	start, end int
}

// lexFault is why a text cannot be cut into tokens.
type lexFault int

const (
	lexFine lexFault = iota
	// lexUnterminated is an open string, identifier or comment.
	lexUnterminated
	// lexMalformed is a number, parameter or identifier the scanner rejects.
	lexMalformed
	// lexNested is a comment deeper than the limit.
	lexNested
	// lexParameter is a parameter with a letter after it. Servers reject it from
	// PostgreSQL 15 on; the parser's copy of the scanner takes it, so that the fault
	// does not end the text.
	lexParameter
	// lexRun is a run of operator characters longer than maxOperatorRun.
	lexRun
)

// maxOperatorRun bounds a run of operator characters. An operator's name has 63 at
// most (NAMEDATALEN); a run of pluses is cut one by one, and each cut looks at the
// whole run again, here and in scan.l.
const maxOperatorRun = 128

// lexer cuts a text as PostgreSQL 17's scan.l does under
// standard_conforming_strings = on, in linear time. It must agree with scan.l on
// where literals and comments end: whatever hides in what one of them takes for
// a literal was not judged. FuzzLexer compares the two.
type lexer struct {
	text string
	pos  int
	// maxComment bounds comment nesting.
	maxComment int
	fault      lexFault
	// fallen is where the token of a lexParameter begins.
	fallen int
	// comments are the comments passed since they were last taken: between tokens,
	// and inside a string that goes on after a line comment.
	comments []token
}

// next returns the next token. At the end, or at a fault, it returns tokenEnd;
// fault says which.
func (l *lexer) next() token {
	if !l.skipBlank() {
		return token{kind: tokenEnd, start: l.pos, end: l.pos}
	}
	if l.pos >= len(l.text) {
		return token{kind: tokenEnd, start: l.pos, end: l.pos}
	}
	start := l.pos
	kind := l.scan()
	if l.fault != lexFine {
		return token{kind: tokenEnd, start: start, end: start}
	}
	return token{kind: kind, start: start, end: l.pos}
}

// skipBlank skips white space and comments; false is a fault.
func (l *lexer) skipBlank() bool {
	for l.pos < len(l.text) {
		switch {
		case isSpace(l.text[l.pos]):
			l.pos++
		case strings.HasPrefix(l.text[l.pos:], "--"):
			start := l.pos
			l.skipLine()
			l.comments = append(l.comments, token{start: start, end: l.pos})
		case strings.HasPrefix(l.text[l.pos:], "/*"):
			start := l.pos
			if !l.skipComment() {
				return false
			}
			l.comments = append(l.comments, token{start: start, end: l.pos})
		default:
			return true
		}
	}
	return true
}

// skipLine skips to the end of line, a carriage return being one too.
func (l *lexer) skipLine() {
	for l.pos < len(l.text) && l.text[l.pos] != '\n' && l.text[l.pos] != '\r' {
		l.pos++
	}
}

func (l *lexer) skipComment() bool {
	depth := 0
	for l.pos < len(l.text) {
		switch rest := l.text[l.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.pos += 2
			if depth > l.maxComment {
				l.fault = lexNested
				return false
			}
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return true
			}
		default:
			l.pos++
		}
	}
	l.fault = lexUnterminated
	return false
}

func (l *lexer) scan() tokenKind {
	c := l.text[l.pos]
	switch {
	case c == '\'':
		return l.quoted(l.pos, doubled)
	case c == '"':
		return l.identifier(l.pos)
	case c == '$':
		return l.dollar()
	case isDigit(c), c == '.' && isDigit(l.at(l.pos+1)):
		return l.number()
	case isIdentStart(c):
		return l.word()
	case c == ':' && (l.at(l.pos+1) == ':' || l.at(l.pos+1) == '='), c == '.' && l.at(l.pos+1) == '.':
		l.pos += 2
		return tokenPunctuation
	case strings.IndexByte("()[],;.:", c) >= 0:
		l.pos++
		return tokenPunctuation
	case isOperatorChar(c):
		return l.operator()
	default:
		l.pos++
		return tokenOther
	}
}

// word scans an identifier, or the literal that its first letter opens.
func (l *lexer) word() tokenKind {
	switch l.text[l.pos] {
	case 'e', 'E':
		if l.at(l.pos+1) == '\'' {
			return l.quoted(l.pos+1, escaped)
		}
	case 'b', 'B', 'x', 'X':
		if l.at(l.pos+1) == '\'' {
			return l.quoted(l.pos+1, bare)
		}
	case 'n', 'N':
		// N'' is the keyword NCHAR and a string.
		if l.at(l.pos+1) == '\'' {
			l.pos++
			return tokenWord
		}
	case 'u', 'U':
		if l.at(l.pos+1) == '&' && l.at(l.pos+2) == '\'' {
			return l.quoted(l.pos+2, doubled)
		}
		if l.at(l.pos+1) == '&' && l.at(l.pos+2) == '"' {
			return l.identifier(l.pos + 2)
		}
	}
	for l.pos < len(l.text) && isIdentCont(l.text[l.pos]) {
		l.pos++
	}
	return tokenWord
}

// quoting says how a string holds a quote.
type quoting int

const (
	// doubled: two quotes are one.
	doubled quoting = iota
	// escaped: that, and a backslash takes what follows.
	escaped
	// bare: not at all, as in B'' and X''.
	bare
)

// quoted scans a string whose opening quote is at open. A string goes on after white
// space with a newline in it and another quote.
func (l *lexer) quoted(open int, how quoting) tokenKind {
	l.pos = open + 1
	for {
		switch c := l.at(l.pos); {
		case l.pos >= len(l.text):
			l.fault = lexUnterminated
			return tokenEnd
		case how == escaped && c == '\\':
			if l.pos+1 >= len(l.text) {
				l.fault = lexUnterminated
				return tokenEnd
			}
			l.pos += 2
		case c != '\'':
			l.pos++
		case how != bare && l.at(l.pos+1) == '\'':
			l.pos += 2
		default:
			l.pos++
			resume, found := l.continuation(l.pos)
			if !found {
				return tokenString
			}
			l.pos = resume
		}
	}
}

// continuation looks for {quotecontinue} at from: white space and comments to a
// newline, more of them, and a quote. It returns the place after that quote.
func (l *lexer) continuation(from int) (int, bool) {
	newline, before := false, len(l.comments)
	for pos := from; pos < len(l.text); {
		switch c := l.text[pos]; {
		case c == '\n' || c == '\r':
			newline = true
			pos++
		case isSpace(c):
			pos++
		case c == '-' && l.at(pos+1) == '-':
			start := pos
			for pos < len(l.text) && l.text[pos] != '\n' && l.text[pos] != '\r' {
				pos++
			}
			l.comments = append(l.comments, token{start: start, end: pos})
		case c == '\'' && newline:
			return pos + 1, true
		default:
			l.comments = l.comments[:before]
			return 0, false
		}
	}
	l.comments = l.comments[:before]
	return 0, false
}

// identifier scans a quoted identifier whose quote is at open.
func (l *lexer) identifier(open int) tokenKind {
	l.pos = open + 1
	for l.pos < len(l.text) {
		switch {
		case l.text[l.pos] != '"':
			l.pos++
		case l.at(l.pos+1) == '"':
			l.pos += 2
		default:
			l.pos++
			if l.pos-open == 2 {
				l.fault = lexMalformed
				return tokenEnd
			}
			return tokenQuoted
		}
	}
	l.fault = lexUnterminated
	return tokenEnd
}

// dollar scans a parameter or a dollar-quoted string.
func (l *lexer) dollar() tokenKind {
	if isDigit(l.at(l.pos + 1)) {
		start := l.pos
		l.pos++
		for isDigit(l.at(l.pos)) {
			l.pos++
		}
		if l.pos < len(l.text) && isIdentStart(l.text[l.pos]) {
			l.fault, l.fallen = lexParameter, start
			return tokenEnd
		}
		return tokenParam
	}
	end := l.pos + 1
	if end < len(l.text) && isIdentStart(l.text[end]) {
		for end < len(l.text) && isIdentCont(l.text[end]) && l.text[end] != '$' {
			end++
		}
	}
	if l.at(end) != '$' {
		l.pos++
		return tokenOther
	}
	tag := l.text[l.pos : end+1]
	closing := strings.Index(l.text[end+1:], tag)
	if closing < 0 {
		l.fault = lexUnterminated
		return tokenEnd
	}
	l.pos = end + 1 + closing + len(tag)
	return tokenString
}

// operator scans {operator}: it ends where a comment starts, and a multi-character
// operator may end in + or - only if it holds a character SQL does not use.
func (l *lexer) operator() tokenKind {
	end := l.pos
	for end < len(l.text) && isOperatorChar(l.text[end]) {
		if end-l.pos > maxOperatorRun {
			l.fault = lexRun
			return tokenEnd
		}
		if pair := l.text[end:min(end+2, len(l.text))]; pair == "--" || pair == "/*" {
			break
		}
		end++
	}
	op := l.text[l.pos:end]
	if len(op) > 1 && (op[len(op)-1] == '+' || op[len(op)-1] == '-') && !strings.ContainsAny(op[:len(op)-1], "~!@#^&|`?%") {
		for len(op) > 1 && (op[len(op)-1] == '+' || op[len(op)-1] == '-') {
			op = op[:len(op)-1]
		}
	}
	l.pos += len(op)
	return tokenOperator
}

func (l *lexer) at(pos int) byte {
	if pos < len(l.text) {
		return l.text[pos]
	}
	return 0
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isIdentStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 || c == '_'
}
func isIdentCont(c byte) bool    { return isIdentStart(c) || isDigit(c) || c == '$' }
func isOperatorChar(c byte) bool { return c != 0 && strings.IndexByte("~!@#^&|`?+-*/%<>=", c) >= 0 }
