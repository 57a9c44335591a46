package fingerprint

// kind is what a byte may begin.
type kind uint8

const (
	// never: nothing that has a fingerprint: control characters, a backslash, and what no
	// token holds.
	never kind = iota
	space
	letter
	digit
	quote
	doubleQuote
	dollar
	// other: an operator, or punctuation.
	other
)

// kinds gives each byte its kind: ident_start, space, self and op_chars of scan.l. The
// vertical tab is white space from PostgreSQL 16 on, and so is never.
var kinds = func() (all [256]kind) {
	for c := range all {
		switch b := byte(c); { //nolint:gosec // G115: 256 of them.
		case b == ' ' || b == '\t' || b == '\n' || b == '\r' || b == '\f':
			all[c] = space
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b >= 0x80:
			all[c] = letter
		case b >= '0' && b <= '9':
			all[c] = digit
		}
	}
	all['\''], all['"'], all['$'] = quote, doubleQuote, dollar
	for _, c := range []byte(",()[].;:+-*/%^<>=~!@#&|`?") {
		all[c] = other
	}
	return all
}()

// continues tells which bytes an identifier goes on with: ident_cont of scan.l.
var continues = func() (all [256]bool) {
	for c, k := range kinds {
		all[c] = k == letter || k == digit || k == dollar
	}
	return all
}()

// introduces tells before which a quote begins a plain literal: white space and the ends
// of comments, brackets, commas and the characters of operators, but for the ampersand
// of U&.
var introduces = func() (all [256]bool) {
	for _, c := range []byte(" \t\n\r\f,([;:+-*/%^<>=~!@#|`?") {
		all[c] = true
	}
	return all
}()
