package analyze

import (
	"errors"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// junkSince is the first server_version_num that rejects letters behind a number or a
// parameter; earlier servers begin a new token there (scan.l: integer_junk, param_junk).
const junkSince = 150000

// numeralsSince is the first one that reads 1_000 and 0x1F as the parser does.
const numeralsSince = 160000

// junkError is the error of a server that rejects a token which the parser takes, at
// offset start. What stands before it may be in error first.
func (a *analyzer) junkError(seen surface, start int, what string) error {
	end := start + 1
	for end < len(a.text) && isIdentCont(a.text[end]) {
		end++
	}
	if a.text[start] == '.' || end < len(a.text) && a.text[end] == '.' {
		return deny(access.Construct, "a number that the server reads otherwise")
	}
	_, err := parse(seen.parseText[:start], a.text[:start], a.version/10000)
	if v := (*verdict)(nil); errors.As(err, &v) && v.err.Message != "syntax error at end of input" {
		return err
	}
	return fail(access.Syntax, stateSyntax, "trailing junk after "+what+" at or near \""+a.text[start:end]+"\"", errorPosition(a.text, int32(start))) //nolint:gosec // G115: texts are bounded.
}
