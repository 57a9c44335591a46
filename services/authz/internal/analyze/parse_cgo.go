package analyze

import (
	"errors"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// parserMajor is the PostgreSQL version whose grammar pg_query_go carries.
const parserMajor = 17

// parse runs PostgreSQL's grammar over a pre-checked text. What it rejects is
// PostgreSQL's own syntax error, position in characters.
func parse(text string, serverMajor int) (*pg_query.ParseResult, error) {
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
	v := &verdict{outcome: access.Failed, reason: reason, detail: "the parser rejects the text",
		err: access.Error{SQLState: stateSyntax, Message: rejected.Message, Position: rejected.Cursorpos}}
	return nil, v
}
