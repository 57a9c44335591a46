package policy

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// checkCharacters refuses a file that does not read as it looks: bytes that are no
// UTF-8, which the YAML parser would replace; control and format characters, which
// editors hide or turn around; and line breaks that YAML and editors do not agree on.
// Names that have such characters are written with an escape inside of double quotes.
func checkCharacters(data []byte) error {
	line, column := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		column++
		switch {
		case r == utf8.RuneError && size == 1:
			return fmt.Errorf("line %d, column %d: the byte 0x%02x is no UTF-8", line, column, data[i])
		case r == '\n':
			line, column = line+1, 0
		case r == '\r' && i+1 < len(data) && data[i+1] == '\n', r == '\t':
		case !unicode.IsGraphic(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return fmt.Errorf(`line %d, column %d: the character %U does not show; write it as an escape like "\u%04x" in double quotes, or leave it out`,
				line, column, r, r)
		}
		i += size
	}
	return nil
}
