package analyze

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scopewire/scopewire/internal/fingerprint"
	"github.com/scopewire/scopewire/internal/fingerprint/printtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// ofText leaves out what is of the exact text by definition.
var ofText = cmpopts.IgnoreFields(access.Statement{}, "TextSHA256", "Normalised")

// rows reports whether all that a unit does is read and write rows, so that what was
// decided of it may be kept.
func rows(a access.Analysis) bool {
	for _, st := range a.Statements {
		switch st.Kind {
		case "select", "insert", "update", "delete":
		default:
			return false
		}
	}
	return a.Outcome == access.Judge && len(a.Statements) > 0
}

// varied compares the analyses of a text and of others with its fingerprint. It returns
// how many were compared.
func varied(t *testing.T, random *rand.Rand, snap *catalog.Snapshot, in Input, times int) int {
	t.Helper()
	base := Analyze(in, snap)
	if base.Literal || !rows(base) {
		return 0
	}
	compared := 0
	for range times {
		other := in
		var ok bool
		if other.Text, ok = printtest.Vary(random.IntN, in.Text); !ok {
			break
		}
		got := Analyze(other, snap)
		compared++
		if diff := cmp.Diff(base, got, ofText); diff != "" {
			t.Errorf("%s\n%s\nhave one fingerprint and two analyses:\n%s", in.Text, other.Text, diff)
			break
		}
	}
	return compared
}

// TestSec_T22_EqualFingerprintsEqualDecisions: what is decided of a text from whose
// literals nothing but classes were taken is decided of every text with its fingerprint.
// SCOPEWIRE_PAIRS is how many pairs of random statements are compared.
func TestSec_T22_EqualFingerprintsEqualDecisions(t *testing.T) {
	snap := fixture(t).index()
	random := rand.New(rand.NewPCG(22, 8)) //nolint:gosec // G404: repeatable, not secret.
	fromCases := 0
	for _, file := range []string{"statements.yaml", "bypass.yaml", "legitimate.yaml", "session.yaml", "body.yaml", "itself.yaml", "typed.yaml", "updatable.yaml", "view.yaml", "errors.yaml", "merge.yaml", "code.yaml"} {
		for _, c := range readCases(t, file) {
			fromCases += varied(t, random, snap, c.input(), 8)
		}
	}
	if fromCases < 500 {
		t.Errorf("%d pairs of cases", fromCases)
	}
	want := 8000
	if s := os.Getenv("SCOPEWIRE_PAIRS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		want = n
	}
	w := &writer{random: random}
	statements, pairs := 0, 0
	for ; pairs < want && !t.Failed(); statements++ {
		pairs += varied(t, random, snap, Input{Text: []byte(w.statement()), Context: publicContext()}, 4)
	}
	t.Logf("%d pairs of cases, %d pairs of %d random statements", fromCases, pairs, statements)
}

// TestSec_T22_LiteralsThatAreLookedAt: no decision is kept for a fingerprint where a
// literal is a name, a path, a setting or code, or places or shapes something.
func TestSec_T22_LiteralsThatAreLookedAt(t *testing.T) {
	snap := fixture(t).index()
	for _, sql := range []string{
		"SELECT 'public.orders'::regclass", "SELECT id FROM orders WHERE tableoid = 'orders'::regclass", "SELECT CAST('orders' AS regclass)", "SELECT regclass 'orders'",
		"SELECT '{orders}'::regclass[]", "SELECT to_regclass('public.orders')", "SELECT nextval('public.order_ids')", "SELECT pg_table_size('orders')",
		"SELECT has_table_privilege('orders', 'select')", "SELECT current_setting('work_mem')", "SELECT set_config('work_mem', '1', false)",
		"SELECT pg_notify('jobs', 'x')", "SELECT query_to_xml('SELECT 1', true, true, '')", "SELECT pg_read_file('/a')", "SELECT table_to_xml('orders', true, true, '')",
		"SELECT id FROM orders ORDER BY 1", "SELECT id FROM orders GROUP BY 1", "SELECT DISTINCT ON (1) id FROM orders", "SELECT id FROM orders GROUP BY ROLLUP (1)",
		"SELECT note::varchar(10) FROM orders", "SELECT total::numeric(10, 2) FROM orders", "SELECT setting FROM pg_settings WHERE name = 'work_mem'",
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		if got.Outcome == access.Judge && !got.Literal {
			t.Errorf("%s: its literals count, and analysis says that they do not", sql)
		}
	}
	for _, sql := range []string{
		"SELECT id, 'x', 1.5 FROM orders WHERE id = 1 AND note LIKE 'a%' LIMIT 5", "INSERT INTO orders (id, note) VALUES (1, 'x'), (2, 'y')",
		"UPDATE orders SET note = 'x', total = total + 1 WHERE id IN (1, 2)", "DELETE FROM orders WHERE created_at < now() - interval '1 day'",
		"SELECT count(*) FROM orders WHERE created_at >= date '2020-01-01' AND tags @> '{a}'",
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		if got.Outcome != access.Judge || got.Literal {
			t.Errorf("%s: %v (%s), literally %v", sql, got.Outcome, got.Detail, got.Literal)
		}
	}
}

// The fingerprint keeps the tokens of the server's scanner apart: texts that have one have
// the same tokens, but for the values of literals.
func TestFingerprintsKeepTokens(t *testing.T) {
	tokens := func(text string) (all []string) {
		lex := lexer{text: text, maxComment: len(text)}
		for tok := lex.next(); tok.kind != tokenEnd; tok = lex.next() {
			switch one := text[tok.start:tok.end]; tok.kind {
			case tokenString:
				all = append(all, "'")
			case tokenNumber:
				all = append(all, strconv.Itoa(int(numberType(one))))
			default:
				all = append(all, one)
			}
		}
		if lex.fault != lexFine {
			return append(all, "fault")
		}
		return all
	}
	random := rand.New(rand.NewPCG(22, 9)) //nolint:gosec // G404: repeatable, not secret.
	pieces := []string{"'", "''", "'a'", "\"", "\"b\"", "--", "\n", " ", "/*", "*/", "$", "$1", "$$", "1", "2147483647", "2147483648", ".", "5.", ".5", "e", "E", "U&", "x", "-", "+", "*", "/", "<", "=",
		"@", "&", "|", "::", "(", ")", "[", "]", ",", ";", "\\", "_", "é", "select", "limit", "float", "\t", "\r", "0"}
	prints, compared := map[string]string{}, 0
	for range 400000 {
		var text bytes.Buffer
		for range 1 + random.IntN(7) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		key, ok := fingerprint.Append(nil, text.Bytes())
		if !ok {
			continue
		}
		first, met := prints[string(key)]
		if !met {
			prints[string(key)] = text.String()
			continue
		}
		compared++
		if diff := cmp.Diff(tokens(first), tokens(text.String())); diff != "" {
			t.Fatalf("%q and %q have one fingerprint, %q, and other tokens:\n%s", first, text.String(), key, diff)
		}
	}
	if compared < 10000 {
		t.Errorf("%d pairs were compared", compared)
	}
}
