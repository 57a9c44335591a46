package verify

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits on a document beside its length: the nesting of arrays and objects, and
// the members of one object. Both keep what a hostile token costs near what an
// honest one does; an access token has a dozen claims.
const (
	maxDepth   = 16
	maxMembers = 128
)

// The errors of parse. They say nothing of the input, which may be a token.
var (
	errSyntax    = errors.New("not valid JSON")
	errDepth     = errors.New("nested too deeply")
	errMembers   = errors.New("an object has too many members")
	errDuplicate = errors.New("an object has a member twice")
	errString    = errors.New("a string is not valid Unicode")
)

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// value is a JSON value (RFC 8259).
type value struct {
	kind kind
	// text is a string's content, a number's literal, or "true" and "false".
	text    string
	items   []value
	members []member
}

type member struct {
	name  string
	value value
}

// get is the member of that exact name.
func (v value) get(name string) (value, bool) {
	for i := range v.members {
		if v.members[i].name == name {
			return v.members[i].value, true
		}
	}
	return value{}, false
}

func (v value) has(name string) bool {
	_, ok := v.get(name)
	return ok
}

// parse reads one JSON document, strictly: no duplicate member names, no
// unpaired surrogates, no invalid UTF-8, nothing after the value. Libraries
// differ in which duplicate they take and in what they make of a broken string;
// two readers of one token must not see two tokens.
func parse(data []byte) (value, error) {
	p := parser{data: data}
	v, err := p.value(0)
	if err != nil {
		return value{}, err
	}
	p.space()
	if p.pos != len(data) {
		return value{}, errSyntax
	}
	return v, nil
}

// parseObject is parse for a document that must be an object.
func parseObject(data []byte) (value, error) {
	v, err := parse(data)
	if err == nil && v.kind != kindObject {
		return value{}, errSyntax
	}
	return v, err
}

type parser struct {
	data []byte
	pos  int
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// next skips white space and returns the byte there without taking it, 0 at the
// end. A NUL in the text is no token of JSON, so the two need no telling apart.
func (p *parser) next() byte {
	p.space()
	if p.pos == len(p.data) {
		return 0
	}
	return p.data[p.pos]
}

func (p *parser) value(depth int) (value, error) {
	switch c := p.next(); {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return value{}, errDepth
		}
		p.pos++
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		s, err := p.str()
		return value{kind: kindString, text: s}, err
	case c == '-' || c >= '0' && c <= '9':
		s, err := p.number()
		return value{kind: kindNumber, text: s}, err
	case p.word("true"):
		return value{kind: kindBool, text: "true"}, nil
	case p.word("false"):
		return value{kind: kindBool, text: "false"}, nil
	case p.word("null"):
		return value{}, nil
	default:
		return value{}, errSyntax
	}
}

func (p *parser) word(w string) bool {
	if len(p.data)-p.pos < len(w) || string(p.data[p.pos:p.pos+len(w)]) != w {
		return false
	}
	p.pos += len(w)
	return true
}

func (p *parser) array(depth int) (value, error) {
	v := value{kind: kindArray}
	if p.next() == ']' {
		p.pos++
		return v, nil
	}
	for {
		item, err := p.value(depth)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
		switch p.next() {
		case ',':
			p.pos++
		case ']':
			p.pos++
			return v, nil
		default:
			return value{}, errSyntax
		}
	}
}

func (p *parser) object(depth int) (value, error) {
	v := value{kind: kindObject}
	if p.next() == '}' {
		p.pos++
		return v, nil
	}
	var names map[string]struct{}
	for {
		if p.next() != '"' {
			return value{}, errSyntax
		}
		if len(v.members) == maxMembers {
			return value{}, errMembers
		}
		name, err := p.str()
		if err != nil {
			return value{}, err
		}
		if names == nil && len(v.members) == 16 {
			// From here on, looking through the list would be quadratic.
			names = make(map[string]struct{})
			for _, m := range v.members {
				names[m.name] = struct{}{}
			}
		}
		_, twice := names[name]
		if twice || names == nil && v.has(name) {
			return value{}, errDuplicate
		}
		if names != nil {
			names[name] = struct{}{}
		}
		if p.next() != ':' {
			return value{}, errSyntax
		}
		p.pos++
		val, err := p.value(depth)
		if err != nil {
			return value{}, err
		}
		v.members = append(v.members, member{name, val})
		switch p.next() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			return v, nil
		default:
			return value{}, errSyntax
		}
	}
}

// number takes -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?.
func (p *parser) number() (string, error) {
	start := p.pos
	p.take('-')
	if !p.take('0') && !p.digits() {
		return "", errSyntax
	}
	if p.take('.') && !p.digits() {
		return "", errSyntax
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return "", errSyntax
		}
	}
	return string(p.data[start:p.pos]), nil
}

func (p *parser) take(c byte) bool {
	if p.pos < len(p.data) && p.data[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.data) && p.data[p.pos] >= '0' && p.data[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

// str takes a string; the caller has seen its opening quote.
func (p *parser) str() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			s := p.data[start:p.pos]
			if !utf8.Valid(s) {
				return "", errString
			}
			p.pos++
			return string(s), nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", errSyntax
		default:
			p.pos++
		}
	}
	return "", errSyntax
}

// escaped takes the rest of a string that has an escape at the position.
func (p *parser) escaped(start int) (string, error) {
	buf := append([]byte(nil), p.data[start:p.pos]...)
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		p.pos++
		switch {
		case c == '"':
			if !utf8.Valid(buf) {
				return "", errString
			}
			return string(buf), nil
		case c < 0x20:
			return "", errSyntax
		case c != '\\':
			buf = append(buf, c)
			continue
		case p.pos == len(p.data):
			return "", errSyntax
		}
		c = p.data[p.pos]
		p.pos++
		switch c {
		case '"', '\\', '/':
			buf = append(buf, c)
		case 'b':
			buf = append(buf, '\b')
		case 'f':
			buf = append(buf, '\f')
		case 'n':
			buf = append(buf, '\n')
		case 'r':
			buf = append(buf, '\r')
		case 't':
			buf = append(buf, '\t')
		case 'u':
			r, err := p.unicode()
			if err != nil {
				return "", err
			}
			buf = utf8.AppendRune(buf, r)
		default:
			return "", errSyntax
		}
	}
	return "", errSyntax
}

// unicode takes what follows \u, and the second half of a surrogate pair.
func (p *parser) unicode() (rune, error) {
	r, ok := p.hex4()
	if !ok {
		return 0, errSyntax
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if !p.word(`\u`) {
		return 0, errString
	}
	low, ok := p.hex4()
	if !ok {
		return 0, errSyntax
	}
	r = utf16.DecodeRune(r, low)
	if r == utf8.RuneError {
		return 0, errString
	}
	return r, nil
}

func (p *parser) hex4() (rune, bool) {
	if len(p.data)-p.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range p.data[p.pos : p.pos+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.pos += 4
	return r, true
}

// float is a number's value; what does not fit is infinite.
func (v value) float() (float64, bool) {
	if v.kind != kindNumber {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	return f, err == nil
}
