package analyze

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/internal/fingerprint"
	"github.com/scopewire/scopewire/internal/fingerprint/printtest"
)

// scanned is what PostgreSQL's scanner makes of a text: each token with its kind and its own
// bytes, but for plain literals, which are their class; comments are none. It reports
// false where the scanner rejects the text.
func scanned(text string) ([]string, bool) {
	scan, err := pg_query.Scan(text)
	if err != nil {
		return nil, false
	}
	var all []string
	for _, tok := range scan.GetTokens() {
		own := text[tok.GetStart():tok.GetEnd()]
		switch tok.GetToken() {
		case pg_query.Token_SQL_COMMENT, pg_query.Token_C_COMMENT:
			continue
		case pg_query.Token_SCONST:
			if own[0] == '\'' {
				own = "string"
			}
		case pg_query.Token_ICONST, pg_query.Token_FCONST:
			own = class(own)
		default:
		}
		all = append(all, fmt.Sprintf("%s %s", tok.GetToken(), own))
	}
	return all, true
}

// class is the type that make_const of parse_node.c gives a number; what is written in another
// way than by digits and a point stays as it is.
func class(number string) string {
	if strings.Trim(number, "0123456789.") != "" {
		return number
	}
	if v, err := strconv.ParseInt(number, 10, 64); err == nil && v <= 1<<31-1 {
		return "int4"
	} else if err == nil {
		return "int8"
	}
	return "numeric"
}

// comparePrint holds a text against another one of its fingerprint: the scanner finds the
// same tokens in both. It reports whether there was anything to compare.
func comparePrint(t *testing.T, choose func(n int) int, text string) bool {
	t.Helper()
	key, ok := fingerprint.Append(nil, []byte(text))
	if !ok {
		return false
	}
	other, ok := printtest.Vary(choose, []byte(text))
	if !ok {
		other = key // It has no literal.
	}
	// Where a point comes first a number is not taken everywhere: then it is no pair.
	if again, ok := fingerprint.Append(nil, other); !ok || string(again) != string(key) {
		return false
	}
	mine, fine := scanned(text)
	theirs, fineToo := scanned(string(other))
	if fine != fineToo || !slices.Equal(mine, theirs) {
		t.Fatalf("%q and %q have one fingerprint, and the scanner finds\n%q %t\n%q %t", text, other, mine, fine, theirs, fineToo)
	}
	return true
}

// FuzzFingerprint holds fingerprints against PostgreSQL's own scanner.
func FuzzFingerprint(f *testing.F) {
	for i, seed := range append(lexerSeeds(), "SELECT a FROM t WHERE b = 'x''y' AND c < 1 -- z\nLIMIT 5", "1 .5 - -2147483648, float(24) '' \"x\"", "a=-1 OR b IN(1,'2',.3)") {
		f.Add(seed, uint64(i)) //nolint:gosec // G115: small.
	}
	f.Fuzz(func(t *testing.T, text string, choice uint64) {
		if len(text) > 4096 {
			return
		}
		comparePrint(t, rand.New(rand.NewPCG(choice, 1)).IntN, text) //nolint:gosec // G404: repeatable, not secret.
	})
}

// TestSec_T22_FingerprintsFollowTheScanner holds fingerprints against PostgreSQL's own scanner
// over random concatenations of what its rules are made of. SCOPEWIRE_PAIRS is how many pairs.
func TestSec_T22_FingerprintsFollowTheScanner(t *testing.T) {
	pieces := append(scannerPieces(), "'a'", "'it''s'", "1", "12", "2147483647", "2147483648", "3000000000", "9223372036854775808", "1.5", ".5", "7.",
		" ", " ", " ", ",", "(", ")", "=", "-- c\n", "/* c */", "LIMIT ", "first ", "float(", "SELECT ", "a", "b.c", "$1", "::", "\"q\"")
	random := rand.New(rand.NewPCG(22, 9)) //nolint:gosec // G404: repeatable, not secret.
	want := 200_000
	if s := os.Getenv("SCOPEWIRE_PAIRS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		want = n
	}
	texts, pairs := 0, 0
	for ; pairs < want; texts++ {
		var text strings.Builder
		for range 1 + random.IntN(10) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		if comparePrint(t, random.IntN, text.String()) {
			pairs++
		}
	}
	t.Logf("%d pairs of %d texts", pairs, texts)
}
