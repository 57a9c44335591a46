// Package fingerprint names a text of SQL by its tokens, with each plain literal
// replaced by its class, so that one decision serves `WHERE id = 1` and
// `WHERE id = 2`.
//
// A fingerprint is a key that authority hangs on: two texts may share one only if they
// differ in nothing but the values of plain literals, in white space and in comments.
// So it is not a digest of recognised tokens but the text itself. Every byte stays as it
// was written, but for three kinds of place whose bounds are beyond doubt:
//
//   - 'text' in single quotes, without a backslash, becomes the class of strings;
//   - a number of digits, with or without a fraction, becomes its class: an integer
//     that fits 32 bits, one that fits 64, or any other number (scan.l, and
//     make_const of parse_node.c, which gives them their types);
//   - white space and comments become one space, and nothing at the ends of the text.
//
// A number behind LIMIT, FETCH FIRST, FETCH NEXT or the type float stays. PostgreSQL 14 to 18 agree on
// all of this. Whatever may be read in another way by one of them, or under another setting, has no fingerprint:
// escape, Unicode, bit and national strings, Unicode identifiers, dollar quotes,
// strings that go on after a line's end, exponents, other bases, underscores in numbers,
// numbers with letters behind them, nested comments and comments that are hints,
// control characters, invalid UTF-8, open quotes. Such a text is known by itself alone.
//
// Whether a decision holds for all texts of a fingerprint is not said here: the
// literal may be a name (`'public.orders'::regclass`), a path or code. Authz knows
// whether it has looked at one.
package fingerprint

import "unicode/utf8"

// The classes of literals. Each is two bytes, the first of which no text holds.
const (
	classString  = "\x00s"
	classInteger = "\x00i"
	classLong    = "\x00l"
	classNumeric = "\x00n"
)

// MaxText is the longest text that has a fingerprint, in bytes.
const MaxText = 64 << 10

// Append appends the fingerprint of text to key. It reports false, and key is of no
// use, where the text has none. It allocates nothing while key has room.
func Append(key, text []byte) ([]byte, bool) {
	if len(text) > MaxText {
		return key, false
	}
	w := writer{key: key, start: len(key), text: text}
	for w.at < len(text) {
		if !w.token() {
			return key, false
		}
	}
	if w.high && !utf8.Valid(text) {
		return key, false
	}
	return w.key, true
}

// writer writes one fingerprint. One call of token takes what begins at at.
type writer struct {
	key   []byte
	start int
	text  []byte
	at    int
	// blank: white space or a comment came since the last token. afterString: that token
	// was a string. high: the text has bytes above ASCII.
	blank, afterString, high bool
	// counting: the number that comes next stays as it is.
	counting bool
}

// token takes one token, or a run of white space; false ends it all.
func (w *writer) token() bool {
	c := w.text[w.at]
	switch kinds[c] {
	case space:
		w.at++
		w.blank = true
		return true
	case letter:
		w.word()
		return true
	case digit:
		return w.number()
	case quote:
		return w.string()
	case doubleQuote:
		return w.identifier()
	case dollar:
		return w.parameter()
	case never:
		return false
	case other:
	}
	switch next := w.peek(1); {
	case c == '-' && next == '-':
		return w.lineComment()
	case c == '/' && next == '*':
		return w.comment()
	case c == '.' && kinds[next] == digit:
		return (w.at == 0 || introduces[w.text[w.at-1]]) && w.number()
	case c == '.' && next == '.':
		return false
	}
	w.gap()
	w.key = append(w.key, c)
	w.at++
	w.afterString, w.counting = false, w.counting && (c == '(' || c == '+' || c == '-')
	return true
}

// peek is the byte n bytes on, 0 behind the end.
func (w *writer) peek(n int) byte {
	if w.at+n < len(w.text) {
		return w.text[w.at+n]
	}
	return 0
}

// gap writes the space between two tokens.
func (w *writer) gap() {
	if w.blank && len(w.key) > w.start {
		w.key = append(w.key, ' ')
	}
	w.blank = false
}

// word copies an identifier or key word.
func (w *writer) word() {
	end, all := w.at, byte(0)
	for end < len(w.text) && continues[w.text[end]] {
		all |= w.text[end]
		end++
	}
	w.high = w.high || all >= utf8.RuneSelf
	w.gap()
	word := w.text[w.at:end]
	w.key = append(w.key, word...)
	w.at = end
	w.afterString = false
	w.counting = counts(word)
}

// counts reports whether the number behind a word stays: it is how many rows are wanted,
// or makes float one type or another (opt_float of gram.y).
func counts(word []byte) bool {
	switch len(word) {
	case 4:
		return fold(word, "next")
	case 5:
		return fold(word, "limit") || fold(word, "first") || fold(word, "float")
	}
	return false
}

// fold reports whether a word is a key word, written in any case.
func fold(word []byte, key string) bool {
	for i := range word {
		if word[i]|0x20 != key[i] {
			return false
		}
	}
	return true
}

// identifier copies an identifier in double quotes. Behind an ampersand it may be one
// with escapes, whose escape character is a string further on.
func (w *writer) identifier() bool {
	if w.at > 0 && w.text[w.at-1] == '&' {
		return false
	}
	end := w.at + 1
	for ; ; end++ {
		if end >= len(w.text) {
			return false
		}
		c := w.text[end]
		if c == 0 {
			return false
		}
		w.high = w.high || c >= utf8.RuneSelf
		if c == '"' {
			if end+1 < len(w.text) && w.text[end+1] == '"' {
				end++
				continue
			}
			break
		}
	}
	w.gap()
	w.key = append(w.key, w.text[w.at:end+1]...)
	w.at = end + 1
	w.afterString, w.counting = false, false
	return true
}

// string takes a plain literal.
func (w *writer) string() bool {
	if w.afterString || w.at > 0 && !introduces[w.text[w.at-1]] {
		return false
	}
	end := w.at + 1
	for ; ; end++ {
		if end >= len(w.text) {
			return false
		}
		c := w.text[end]
		if c == '\\' || c == 0 {
			return false
		}
		w.high = w.high || c >= utf8.RuneSelf
		if c == '\'' {
			if end+1 < len(w.text) && w.text[end+1] == '\'' {
				end++
				continue
			}
			break
		}
	}
	w.gap()
	w.key = append(w.key, classString...)
	w.at = end + 1
	w.afterString, w.counting = true, false
	return true
}

// parameter copies $n.
func (w *writer) parameter() bool {
	end := w.at + 1
	for end < len(w.text) && kinds[w.text[end]] == digit {
		end++
	}
	if end == w.at+1 || !w.ends(end) {
		return false
	}
	w.gap()
	w.key = append(w.key, w.text[w.at:end]...)
	w.at = end
	w.afterString, w.counting = false, false
	return true
}

// ends reports whether a number or parameter may end before a byte of the text: no
// letter, digit, dollar or dot stands there.
func (w *writer) ends(end int) bool {
	if end >= len(w.text) {
		return true
	}
	switch kinds[w.text[end]] {
	case letter, digit, dollar, never, quote, doubleQuote:
		return false
	case space, other:
	}
	return w.text[end] != '.'
}

// number takes a number of digits.
func (w *writer) number() bool {
	end, whole := w.at, true
	for end < len(w.text) && kinds[w.text[end]] == digit {
		end++
	}
	if end < len(w.text) && w.text[end] == '.' {
		whole = false
		for end++; end < len(w.text) && kinds[w.text[end]] == digit; end++ {
		}
	}
	if !w.ends(end) {
		return false
	}
	w.gap()
	digits := w.text[w.at:end]
	switch {
	case w.counting:
		w.key = append(w.key, digits...)
	case whole:
		w.key = appendClass(w.key, digits)
	default:
		w.key = append(w.key, classNumeric...)
	}
	w.at = end
	w.afterString, w.counting = false, false
	return true
}

// The largest integers of 32 and 64 bits, and what is one more. With a minus in front
// those are the smallest ones, and of the smaller type (doNegateFloat of gram.y): they
// are of no class.
const (
	maxInteger, minInteger = "2147483647", "2147483648"
	maxLong, minLong       = "9223372036854775807", "9223372036854775808"
)

// appendClass appends the class of a whole number.
func appendClass(key, digits []byte) []byte {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	switch {
	case string(digits) == minInteger, string(digits) == minLong:
		return append(key, digits...)
	case fits(digits, maxInteger):
		return append(key, classInteger...)
	case fits(digits, maxLong):
		return append(key, classLong...)
	default:
		return append(key, classNumeric...)
	}
}

// fits reports whether digits are no larger a number than most.
func fits(digits []byte, most string) bool {
	return len(digits) < len(most) || len(digits) == len(most) && string(digits) <= most
}

// lineComment skips a comment to the end of the line.
func (w *writer) lineComment() bool {
	for w.at < len(w.text) && w.text[w.at] != '\n' && w.text[w.at] != '\r' {
		if w.text[w.at] == 0 {
			return false
		}
		w.high = w.high || w.text[w.at] >= utf8.RuneSelf
		w.at++
	}
	w.blank = true
	return true
}

// comment skips a comment that holds no other. A hint is for somebody to read.
func (w *writer) comment() bool {
	if w.peek(2) == '+' {
		return false
	}
	for end := w.at + 2; end+1 < len(w.text); end++ {
		switch c := w.text[end]; {
		case c == '*' && w.text[end+1] == '/':
			w.at = end + 2
			w.blank = true
			return true
		case c == '/' && w.text[end+1] == '*', c == 0:
			return false
		case c >= utf8.RuneSelf:
			w.high = true
		}
	}
	return false
}
