package analyze

import "strings"

// Normalise returns a statement's text with every literal replaced by ?, comments
// dropped and white space folded to single spaces. Identifiers, parameters and
// keywords stay as written. It reports false when the text cannot be cut into
// tokens; nothing of such a text may be recorded.
func Normalise(text []byte) (string, bool) {
	limits := Limits{}.withDefaults()
	if len(text) > limits.Length || checkEncoding(text) != nil {
		return "", false
	}
	lex := lexer{text: string(text), maxComment: limits.CommentNesting}
	var out strings.Builder
	out.Grow(len(text))
	end := 0
	for {
		tok := lex.next()
		if tok.kind == tokenEnd {
			break
		}
		if out.Len() > 0 && tok.start > end {
			out.WriteByte(' ')
		}
		end = tok.end
		switch tok.kind {
		case tokenString, tokenNumber:
			out.WriteByte('?')
		case tokenOther:
			// No statement holds one, so that what stands around it cannot be told.
			return "", false
		default:
			out.WriteString(lex.text[tok.start:tok.end])
		}
	}
	if lex.fault != lexFine {
		return "", false
	}
	return out.String(), true
}
