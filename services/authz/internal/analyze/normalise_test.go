package analyze

import (
	"strings"
	"testing"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

func TestNormalise(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT  id,\n\ttotal FROM \"My Orders\" WHERE a = 'x''y' -- secret\n AND b=-1.5e3":   `SELECT id, total FROM "My Orders" WHERE a = ? AND b=-?`,
		"/* secret */ SELECT E'a\\'b', B'1', X'1F', U&'\\0061', $x$secret$x$, $1 /*/* n */*/": "SELECT ?, ?, ?, ?, ?, $1",
		"SELECT 'a' -- c\n 'b'":     "SELECT ?",
		"SELECT N'a', n'b'":         "SELECT N?, n?",
		"SELECT 'a'::text, U&\"x\"": "SELECT ?::text, U&\"x\"",
		"":                          "",
		" ; ":                       ";",
		"--x":                       "",
	} {
		if got, ok := Normalise([]byte(text)); !ok || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"SELECT 'a", "SELECT \"a", "SELECT /*", "SELECT $$a", "SELECT 1a", "SELECT '\xff'", "SELECT 1\x00", "SELECT \\", "SELECT {"} {
		if got, ok := Normalise([]byte(text)); ok {
			t.Errorf("%q: %q, want nothing", text, got)
		}
	}
}

// FuzzNormalise: no literal's content survives. Each literal that PostgreSQL's
// scanner sees in the text is gone from the token stream of the result.
func FuzzNormalise(f *testing.F) {
	for _, seed := range lexerSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkNormalised(t, text)
	})
}

func checkNormalised(t *testing.T, text string) {
	t.Helper()
	got, ok := Normalise([]byte(text))
	if !ok || len(text) > 4096 {
		return
	}
	if !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\t") && !strings.ContainsRune(got, '"') {
		t.Fatalf("%q: %q is not folded", text, got)
	}
	scan, err := pg_query.Scan(got)
	if err != nil {
		// Putting ? for a literal can make an operator of what was none.
		return
	}
	for _, tok := range scan.Tokens {
		switch tok.Token {
		case pg_query.Token_SCONST, pg_query.Token_USCONST, pg_query.Token_BCONST, pg_query.Token_XCONST, pg_query.Token_ICONST,
			pg_query.Token_FCONST, pg_query.Token_SQL_COMMENT, pg_query.Token_C_COMMENT:
			t.Fatalf("%q: %q still holds %q", text, got, got[tok.Start:tok.End])
		}
	}
}
