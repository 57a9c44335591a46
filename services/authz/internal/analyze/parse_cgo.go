package analyze

import (
	"errors"
	"strings"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// parserMajor is the PostgreSQL version whose grammar pg_query_go carries.
const parserMajor = 17

// parse runs PostgreSQL's grammar over a pre-checked text with its comments blanked.
// What it rejects is PostgreSQL's own syntax error, positioned in the original.
func parse(text, original string, serverMajor int) (*pg_query.ParseResult, error) {
	tree, err := pg_query.Parse(text)
	if err == nil {
		return tree, nil
	}
	var rejected *parser.Error
	if !errors.As(err, &rejected) || strings.HasPrefix(rejected.Message, "memory exhausted") {
		// The protobuf decoder's recursion limit, or bison's stack.
		return nil, refuse(access.Limit, stateTooComplex, limitParser)
	}
	reason := access.Syntax
	if serverMajor > parserMajor {
		reason = access.GrammarUnknown
	}
	position := originalPosition(text, original, rejected.Cursorpos)
	return nil, &verdict{outcome: access.Failed, reason: reason, detail: "the parser rejects the text",
		err: access.Error{SQLState: stateSyntax, Message: rejected.Message, Hint: syntaxHint(rejected), Position: position}}
}

// syntaxHint is the hint that PostgreSQL's scanner and grammar give with an error, which
// the parser does not pass on (scan.l, parser.c, gram.y).
func syntaxHint(e *parser.Error) string {
	switch {
	case e.Message == "invalid Unicode escape" && e.Funcname == "str_udeescape":
		return `Unicode escapes must be \XXXX or \+XXXXXX.`
	case e.Message == "invalid Unicode escape":
		return `Unicode escapes must be \uXXXX or \UXXXXXXXX.`
	case e.Message == "missing argument":
		return "Use NONE to denote the missing argument of a unary operator."
	case e.Message == "LIMIT #,# syntax is not supported":
		return "Use separate LIMIT and OFFSET clauses."
	case strings.HasPrefix(e.Message, "unrecognized row security option "):
		return "Only PERMISSIVE or RESTRICTIVE policies are supported currently."
	case e.Message == "UNENCRYPTED PASSWORD is no longer supported":
		return "Remove UNENCRYPTED to store the password in encrypted form instead."
	default:
		return ""
	}
}

// originalPosition turns a position in characters of the blanked text, where a
// comment has as many as it has bytes, into one of the original.
func originalPosition(text, original string, position int) int {
	if position <= 0 {
		return 0
	}
	characters := 0
	for offset := range text {
		if characters++; characters == position {
			return utf8.RuneCountInString(original[:offset]) + 1
		}
	}
	return utf8.RuneCountInString(original) + 1
}
