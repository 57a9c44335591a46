package analyze

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// What a client hears when a limit stops its text. Nothing in them depends on the
// text.
const (
	limitLength   = "statement text is longer than the limit"
	limitComments = "comments are nested deeper than the limit"
	limitNesting  = "expressions are nested deeper than the limit"
	limitChain    = "operators, casts, joins or set operations are chained longer than the limit"
	limitTokens   = "statement has more tokens than the limit"
	limitOperator = "a run of operator characters is longer than the limit"
	limitWork     = "statement needs more name look-ups than the limit"
	limitParser   = "statement is too complex to parse"
)

// maxAtomic is how many BEGIN ATOMIC bodies a text may hold. They nest without
// parentheses.
const maxAtomic = 100

// surface is what the pre-check learned about a text.
type surface struct {
	// faulty says that the scanner will reject the text at some point, so that the
	// parser must too. What follows that point was not measured, and the parser does
	// not see it.
	faulty bool
	// parseText is the text with its comments blanked, byte for byte: what the parser
	// is given. The parser's copy of the scanner makes tokens of comments, so that
	// NOT /**/ LIKE, NULLS /**/ FIRST, U&'' /**/ UESCAPE and a string that goes on
	// after a comment read otherwise than in the server.
	parseText string
	// newNumerals says that a number has underscores or a base prefix; numeral is where
	// the first such begins.
	newNumerals bool
	numeral     int
	// junk says that a parameter has a letter after it, parameter where it begins.
	junk      bool
	parameter int
}

// precheck bounds a text before anything recursive sees it, in one linear pass.
func precheck(text []byte, limits Limits) (surface, error) {
	if len(text) > limits.Length {
		return surface{}, refuse(access.Limit, stateProgramLimit, limitLength)
	}
	if err := checkEncoding(text); err != nil {
		return surface{}, err
	}
	gauge := gauge{limits: limits, levels: []level{{mult: 1}}}
	lex := lexer{text: string(text), maxComment: limits.CommentNesting}
	blank := blanker{text: lex.text}
	for {
		tok := lex.next()
		blank.comments(lex.comments, tok)
		lex.comments = lex.comments[:0]
		if tok.kind == tokenEnd {
			break
		}
		numbers := gauge.surface.newNumerals
		if err := gauge.add(lex.text[tok.start:tok.end], tok.kind); err != nil {
			return surface{}, err
		}
		if !numbers && gauge.surface.newNumerals {
			gauge.surface.numeral = tok.start
		}
	}
	switch lex.fault {
	case lexNested:
		return surface{}, refuse(access.Limit, stateTooComplex, limitComments)
	case lexParameter:
		// Nothing after it was measured, and the parser would go on.
		if err := gauge.finish(); err != nil {
			return surface{}, err
		}
		gauge.surface.junk, gauge.surface.parameter, gauge.surface.parseText = true, lex.fallen, blank.result()
		return gauge.surface, deny(access.Construct, "a parameter with a letter after it")
	case lexRun:
		return surface{}, refuse(access.Limit, stateTooComplex, limitOperator)
	}
	if err := gauge.finish(); err != nil {
		return surface{}, err
	}
	gauge.surface.faulty = lex.fault != lexFine
	gauge.surface.parseText = blank.result()
	return gauge.surface, nil
}

// blanker overwrites comments with spaces, so that every offset stays.
type blanker struct {
	text string
	// blanked is a copy of text once something was overwritten.
	blanked  []byte
	previous tokenKind
}

// comments takes the comments before and in a token. A block comment between two
// strings stays: without it they would be one string, and with it they are an
// error.
func (b *blanker) comments(comments []token, next token) {
	for _, c := range comments {
		if b.text[c.start] == '/' && b.previous == tokenString && next.kind == tokenString {
			continue
		}
		if b.blanked == nil {
			b.blanked = []byte(b.text)
		}
		for i := c.start; i < c.end; i++ {
			b.blanked[i] = ' '
		}
	}
	b.previous = next.kind
}

func (b *blanker) result() string {
	if b.blanked == nil {
		return b.text
	}
	return string(b.blanked)
}

// checkEncoding rejects NUL, where a C string would end, and invalid UTF-8, with
// the message of report_invalid_encoding (mbutils.c).
func checkEncoding(text []byte) error {
	for i := 0; i < len(text); {
		if c := text[i]; c != 0 && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r != 0 && (r != utf8.RuneError || size != 1) {
			i += size
			continue
		}
		message := `invalid byte sequence for encoding "UTF8":`
		for _, b := range text[i:min(i+utf8Length(text[i]), len(text))] {
			message += fmt.Sprintf(" 0x%02x", b)
		}
		v := &verdict{outcome: access.Refused, reason: access.Encoding, detail: "text is not valid UTF-8",
			err: access.Error{SQLState: stateBadEncoding, Message: message}}
		return v
	}
	return nil
}

// utf8Length is pg_utf_mblen: the length a first byte announces.
func utf8Length(b byte) int {
	switch {
	case b&0xe0 == 0xc0:
		return 2
	case b&0xf0 == 0xe0:
		return 3
	case b&0xf8 == 0xf0:
		return 4
	}
	return 1
}

// level is an open parenthesis, bracket or CASE, or the text itself.
type level struct {
	// opener is '(' '[' or 'c'; 0 for the text itself.
	opener byte
	// chain counts links since the last comma or semicolon, sets the set
	// operations since the last semicolon.
	chain, sets int
	// inner is the deepest closed child since the last comma, deepest the deepest
	// part before it, worst the deepest statement before the last semicolon.
	inner, deepest, worst int
	// commas counts commas; afterSeparator says that SET or a comma came before.
	commas         int
	afterSeparator bool
	// weight counts tokens as often as the parser will copy them; mult is how
	// often it copies what comes next.
	weight, mult int
}

// gauge measures how deep and how large the parse tree of a token stream can
// become. It overestimates: it knows no grammar.
type gauge struct {
	limits  Limits
	levels  []level
	tokens  int
	atomics int
	surface surface
	// previous is the last token; group the last closed parenthesis, if it was the
	// last token.
	previous string
	group    *level
}

func (g *gauge) add(text string, kind tokenKind) error {
	if g.tokens++; g.tokens > g.limits.Tokens {
		return refuse(access.Limit, stateTooComplex, limitTokens)
	}
	group := g.group
	g.group = nil
	top := &g.levels[len(g.levels)-1]
	top.weight = saturate(top.weight + top.mult)
	var err error
	switch kind {
	case tokenPunctuation:
		err = g.punctuation(text, top)
	case tokenOperator:
		top.chain++
		// (a, b, …) = source: the grammar makes one MultiAssignRef a column, each with
		// the source in it, and the output of the parser repeats the source.
		if text == "=" && group != nil && group.afterSeparator {
			top.mult = group.commas + 1
		}
	case tokenNumber:
		g.surface.newNumerals = g.surface.newNumerals || strings.ContainsAny(text, "_xXoO") || len(text) > 1 && (text[1] == 'b' || text[1] == 'B')
	case tokenWord:
		err = g.word(strings.ToLower(text), top)
	}
	g.previous = text
	return err
}

func (g *gauge) punctuation(text string, top *level) error {
	switch text {
	case "(", "[":
		return g.open(text[0])
	case ")":
		g.close('(')
	case "]":
		g.close('[')
	case ",":
		top.commas++
		top.mult = 1
		top.fold()
	case ";":
		top.mult = 1
		top.worst = top.depth()
		top.chain, top.inner, top.deepest, top.sets = 0, 0, 0, 0
	case "::":
		top.chain++
	}
	return nil
}

// word counts the keywords that form chains. Some are names elsewhere; counting
// them then costs nothing but a little of the limit.
func (g *gauge) word(word string, top *level) error {
	// After AS or a dot any keyword is a name.
	if g.previous == "." || strings.EqualFold(g.previous, "as") {
		return nil
	}
	switch word {
	case "case":
		return g.open('c')
	case "end":
		if top.opener == 'c' {
			g.close('c')
		}
	case "union", "intersect", "except":
		top.sets++
	case "join", "is", "isnull", "notnull", "collate", "at", "operator", "not", "like", "ilike", "similar",
		"between", "in", "escape", "overlaps":
		// AND and OR are not among them: the grammar flattens a chain of either, and
		// precedence keeps their alternation to one level without parentheses.
		top.chain++
	case "atomic":
		if g.atomics++; g.atomics > maxAtomic {
			return refuse(access.Limit, stateTooComplex, limitNesting)
		}
	}
	return nil
}

func (g *gauge) open(opener byte) error {
	if len(g.levels) > g.limits.Nesting {
		return refuse(access.Limit, stateTooComplex, limitNesting)
	}
	separated := g.previous == "," || strings.EqualFold(g.previous, "set")
	g.levels = append(g.levels, level{opener: opener, afterSeparator: separated, mult: 1})
	return nil
}

// close ends the innermost level of that opener and all within it; a CASE may be
// open that was a name. Without one the grammar will complain.
func (g *gauge) close(opener byte) {
	at := len(g.levels) - 1
	for at > 0 && g.levels[at].opener != opener {
		at--
	}
	if at == 0 {
		return
	}
	for len(g.levels) > at {
		closed := g.pop()
		if len(g.levels) == at && opener == '(' {
			g.group = &closed
		}
	}
}

func (g *gauge) pop() level {
	closed := g.levels[len(g.levels)-1]
	g.levels = g.levels[:len(g.levels)-1]
	parent := &g.levels[len(g.levels)-1]
	parent.inner = max(parent.inner, closed.depth()+1)
	parent.weight = saturate(parent.weight + parent.mult*closed.weight)
	return closed
}

func (g *gauge) finish() error {
	for len(g.levels) > 1 {
		g.pop()
	}
	root := &g.levels[0]
	if root.depth() > g.limits.Chain {
		return refuse(access.Limit, stateTooComplex, limitChain)
	}
	if root.weight > g.limits.Tokens {
		return refuse(access.Limit, stateTooComplex, limitTokens)
	}
	return nil
}

// fold ends a segment: what a comma separates is a list, not a chain.
func (l *level) fold() {
	l.deepest = max(l.deepest, l.chain+l.inner)
	l.chain, l.inner = 0, 0
}

func (l *level) depth() int { return max(l.worst, max(l.deepest, l.chain+l.inner)+l.sets) }

// saturate keeps products of weights from overflowing: factors stay below 2^31.
func saturate(n int) int { return min(n, 1<<31) }
