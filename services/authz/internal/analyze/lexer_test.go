package analyze

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// lexerSeeds are texts at the edges of scan.l's rules.
func lexerSeeds() []string {
	return []string{
		"SELECT 'a''b', E'a\\'b', e'\\\\', U&'\\0061' UESCAPE '!', U&\"x\", u&'y', B'01', x'1F', N'n', \"a\"\"b\"",
		"'a'\n'b' 'c'", "'a' -- x\n 'b'", "'a' /* x */\n'b'", "'a'--\n--\n'b'", "E'a'\n'\\''", "'a'\r'b'",
		"$$a$$ $x$ $$ $x$ $x $1 $1+1 $日$ a $日$ $a$b$a$ a$b$c", "a$$b", "$0", "$1a", "$$", "$x$y",
		"1 1.5 .5 1. 1e5 1.e-3 1_000 0x1F 0b10 0o17 1..10 1.5.2 0x 1e 1a 1_ 1__0 0x_1 08 0xg 1._5",
		"a+-b a<-b a@-b --c\n a/*c*/*b a*/*c*/b <= >= <> != => :: := .. : ~~* !~~ @-@ +- -+ =- *- ?- ?-|",
		"/* /* */ */ x /*/ */ /***/ /**/ /*/**/*/ y", "/* */*", "--\r1", "a\vb\fc", "\\", "{", "é日本", "a.b.c[1:2]", "'\\'", "E'\\",
		"SELECT\u00a01", "'", "\"", "/*", "E''''", "''''", "U&'a' 'b'", "b'1'\n'0'", "\"\"", "n'a'", "_e'x'", "ee'x'",
	}
}

// FuzzLexer compares the lexer with PostgreSQL's own scanner: the same tokens at
// the same places, the same texts rejected.
func FuzzLexer(f *testing.F) {
	for _, seed := range lexerSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return
		}
		compareScans(t, text)
	})
}

func compareScans(t *testing.T, text string) {
	t.Helper()
	lex := lexer{text: text, maxComment: 32}
	blank := blanker{text: text}
	var mine []token
	for {
		tok := lex.next()
		blank.comments(lex.comments, tok)
		lex.comments = lex.comments[:0]
		if tok.kind == tokenEnd {
			break
		}
		mine = append(mine, tok)
	}
	if lex.fault == lexNested || lex.fault == lexRun || lex.fault == lexParameter {
		return
	}
	scan, err := pg_query.Scan(blank.result())
	if err != nil {
		// What is wrong inside a token that ends where the lexer says: the parser rejects
		// the text, and nothing depends on the lexer.
		inside := strings.HasPrefix(err.Error(), "invalid Unicode") || strings.HasPrefix(err.Error(), "invalid byte sequence") ||
			strings.HasPrefix(err.Error(), "operator too long")
		if lex.fault == lexFine && !inside {
			t.Fatalf("%q: the scanner says %v, the lexer nothing", text, err)
		}
		return
	}
	if lex.fault != lexFine {
		t.Fatalf("%q: the lexer says %v, the scanner nothing", text, lex.fault)
	}
	i := 0
	for _, theirs := range scan.Tokens {
		if theirs.Token == pg_query.Token_SQL_COMMENT || theirs.Token == pg_query.Token_C_COMMENT {
			continue
		}
		if i >= len(mine) || mine[i].start != int(theirs.Start) || mine[i].end != int(theirs.End) {
			t.Fatalf("%q: token %d: lexer %+v, scanner %d to %d %s", text, i, mine[min(i, len(mine)-1):], theirs.Start, theirs.End, theirs.Token)
		}
		checkKind(t, text, mine[i], theirs.Token)
		i++
	}
	if i != len(mine) {
		t.Fatalf("%q: the lexer has %d tokens, the scanner %d", text, len(mine), i)
	}
}

// checkKind holds the kinds that matter: what is a literal to one is one to both.
func checkKind(t *testing.T, text string, tok token, theirs pg_query.Token) {
	t.Helper()
	want := tok.kind
	switch theirs {
	case pg_query.Token_SCONST, pg_query.Token_USCONST, pg_query.Token_BCONST, pg_query.Token_XCONST:
		want = tokenString
	case pg_query.Token_ICONST, pg_query.Token_FCONST:
		want = tokenNumber
	case pg_query.Token_PARAM:
		want = tokenParam
	case pg_query.Token_UIDENT:
		want = tokenQuoted
	default:
		if tok.kind == tokenString || tok.kind == tokenNumber || tok.kind == tokenParam {
			want = tokenOther
		}
	}
	if tok.kind != want {
		t.Fatalf("%q: %q is kind %d to the lexer, %s to the scanner", text, text[tok.start:tok.end], tok.kind, theirs)
	}
}

// scannerPieces are what the scanner's rules are made of.
func scannerPieces() []string {
	return []string{"'", "''", "\"", "$", "$$", "$a$", "\\", "e", "E", "b", "B'", "x'", "X", "n'", "N", "u&", "U&'", "U&\"", "--", "/*", "*/", "/", "*",
		"\n", "\r", "\t", "\f", "\v", " ", "0", "1", "9", "_", ".", "..", "0x", "0b", "0o", "f", "e5", "e+", "e-1", "a", "z", "é", "日", ";", ",", "(", ")", "[", "]", ":", "::", ":=",
		"+", "-", "<", ">", "=", "~", "!", "@", "#", "%", "^", "&", "|", "`", "?", "{", "}", "UESCAPE '!'", "$1", "$1a"}
}

// TestLexerOnPieces compares the two on random concatenations of them.
func TestLexerOnPieces(t *testing.T) {
	pieces := scannerPieces()
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		var text strings.Builder
		for range 1 + random.IntN(14) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		compareScans(t, text.String())
	}
}
