package analyze

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/pgtest"
)

// structure is how a text reads: how many statements it has, or that it is no SQL.
type structure string

const (
	structRejected structure = "rejected"
	structEmpty    structure = "empty"
	structOne      structure = "one statement"
	structMany     structure = "several statements"
	// structDenied: not parsed, or not trusted to read as the server does.
	structDenied structure = "denied"
)

// ours reads a text as Analyze does, and says which texts it takes the statements
// to be.
func ours(text string, version int) (structure, []string) {
	seen, err := precheck([]byte(text), Limits{}.withDefaults())
	if err != nil || seen.newNumerals && version < 160000 {
		return structDenied, nil
	}
	tree, err := parse(seen.parseText, text, version/10000)
	switch {
	case err != nil:
		return structRejected, nil
	case seen.faulty:
		return structDenied, nil
	}
	a := &analyzer{text: text}
	var parts []string
	for _, raw := range tree.Stmts {
		if checked := (&analyzer{reference: tables(), version: version}).checkShape(raw.ProtoReflect()); checked != nil {
			// The statement is not judged, so how it reads is of no account.
			return structDenied, nil
		}
		own, ok := a.own(raw)
		if !ok {
			return structDenied, nil
		}
		parts = append(parts, own)
	}
	switch len(tree.Stmts) {
	case 0:
		return structEmpty, nil
	case 1:
		return structOne, parts
	default:
		return structMany, parts
	}
}

// reader asks a server how texts read. Its transaction has failed, so that the
// server parses and does nothing else (exec_parse_message: the grammar comes before
// the check for an aborted transaction).
type reader struct{ conn *pgconn.PgConn }

func newReader(t *testing.T) *reader {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), pgtest.NewDatabase(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT 1/0").ReadAll(); err == nil {
		t.Fatal("the transaction did not fail")
	}
	return &reader{conn: conn}
}

// read classifies texts, in a pipeline.
func (r *reader) read(t *testing.T, texts []string) []structure {
	t.Helper()
	front := r.conn.Frontend()
	for _, text := range texts {
		front.SendParse(&pgproto3.Parse{Query: text})
		front.SendSync(&pgproto3.Sync{})
	}
	// The server's answers may fill its buffer before all of this is sent.
	sent := make(chan error, 1)
	go func() { sent <- front.Flush() }()
	found := make([]structure, len(texts))
	for i := range texts {
		found[i] = structRejected
		for done := false; !done; {
			msg, err := front.Receive()
			if err != nil {
				t.Fatalf("%q: %v", texts[i], err)
			}
			switch m := msg.(type) {
			case *pgproto3.ParseComplete:
				// The end of the transaction, or nothing at all.
				found[i] = structOne
			case *pgproto3.ErrorResponse:
				switch {
				case m.Code == "25P02":
					found[i] = structOne
				case strings.HasPrefix(m.Message, "cannot insert multiple commands"):
					found[i] = structMany
				}
			case *pgproto3.ReadyForQuery:
				if m.TxStatus != 'E' {
					t.Fatalf("%q ended the transaction", texts[i])
				}
				done = true
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return found
}

// seeds are the statements of this package's case files and of the bypass suite.
func seeds(t *testing.T) []string {
	t.Helper()
	var all []string
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../../../test/bypass/testdata/*.yaml")
	if err != nil || len(more) == 0 {
		t.Fatal("the bypass suite's cases are not there", err)
	}
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []map[string]any
		if err := yaml.Unmarshal(data, &cases); err != nil {
			continue // Other files have another form.
		}
		for _, c := range cases {
			for _, key := range []string{"sql"} {
				if text, ok := c[key].(string); ok && len(text) < 2000 {
					all = append(all, text)
				}
			}
		}
	}
	if len(all) < 500 {
		t.Fatalf("only %d statements to start from", len(all))
	}
	return all
}

// oddities are what mutations put in: where scanners have differed.
var oddities = []string{
	"'", "''", "\"", "\"\"", "$$", "$a$", "$1", "E'", "e'\\'", "U&'", "U&\"", "u&'\\0041'", " UESCAPE '!'", "B'01'", "X'1f'", "N'x'", "\\", "\\'",
	"/*", "*/", "/**/", "/* /* */", "--", "--\n", "--\r", "\n", "\r", "\t", "\v", "\f", "\u00a0", "é", ";", ";;", " ; ", "(", ")", "[", "]", ",", ".", "..", ":", "::", ":=", "=>",
	"+", "-", "- -", "+-", "*", "/", "<", ">", "<>", "!=", "@", "@-", "#", "%", "^", "&", "|", "`", "~", "?", "||", "->>", "OPERATOR(pg_catalog.+)",
	"1e", "1e5", "1.", ".5", "1..2", "0x1F", "1_000", "123abc", "$1a", "9999999999999999999999",
	" NOT ", " NOT /**/ LIKE ", " NULLS FIRST ", " WITH ORDINALITY ", " WITH TIME ZONE ", " AND ", " OR ", " UNION ", " SELECT ", " FROM ", " WHERE ", " AS ", " LIMIT 1 ", " RETURNING * ",
	"BEGIN ATOMIC SELECT 1; END", "'a' 'b'", "'a'\n'b'", "'a' -- x\n'b'", "'a' /* x */ 'b'", "'a'\n--x\n'b'", "E'a'\n'\\''", "ſelect", "K", "İ",
	" json_object('a', 1) ", " json_scalar(1) ", " system_user ", " merge_action() ", " xmlparse(document '<a/>') ", " current_catalog ", " interval '1' day ",
}

// mutate changes a text in one to four places.
func mutate(random *rand.Rand, all []string) string {
	text := all[random.IntN(len(all))]
	for range 1 + random.IntN(2) {
		at := random.IntN(len(text) + 1)
		// Most changes go between tokens: the others hardly ever leave SQL.
		if space := strings.IndexByte(text[at:], ' '); space >= 0 && random.IntN(5) > 0 {
			at += space
		}
		switch random.IntN(10) {
		case 0:
			end := min(len(text), at+1+random.IntN(6))
			text = text[:at] + text[end:]
		case 1:
			other := all[random.IntN(len(all))]
			cut := random.IntN(len(other) + 1)
			text = text[:at] + other[cut:]
		case 2:
			text += oddities[random.IntN(len(oddities))] + all[random.IntN(len(all))]
		default:
			text = text[:at] + oddities[random.IntN(len(oddities))] + text[at:]
		}
		if len(text) > 4000 {
			text = text[:4000]
		}
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}

// TestSec_T21_ParserDifferential: what is taken apart here, the server takes apart in
// the same way. For every text that could be judged the server sees as many
// statements, and each part that is taken for a statement is one.
// What is rejected here and read by the server are words that PostgreSQL 16 and 17
// made key words. SCOPEWIRE_NIGHTLY=1 tries a million texts.
func TestSec_T21_ParserDifferential(t *testing.T) {
	n := 30_000
	if testing.Short() {
		n = 5_000
	}
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		n = 1_000_000
	}
	server, all := newReader(t), seeds(t)
	version, err := strconv.Atoi(serverVersionNum(t, server))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(21, uint64(n)))
	counts := map[string]int{}
	for done := 0; done < n; {
		var texts []string
		var want []structure
		for range 500 {
			text := mutate(random, all)
			class, parts := ours(text, version)
			texts, want = append(texts, text), append(want, class)
			if class == structMany {
				for _, part := range parts {
					texts, want = append(texts, part), append(want, structOne)
				}
			}
		}
		for i, got := range server.read(t, texts) {
			// What the server rejects it does not run: its grammar may be older. What is
			// denied or rejected here is not forwarded.
			ok := got == want[i] || got == structRejected
			switch want[i] {
			case structDenied, structRejected:
				ok = true
			case structEmpty:
				ok = got == structOne || got == structRejected
			default:
			}
			if !ok {
				quoted, _ := json.Marshal(texts[i])
				t.Errorf("%s: read as %s, the server says %s", quoted, want[i], got)
			}
			counts[fmt.Sprintf("%s, server: %s", want[i], got)]++
		}
		done += 500
	}
	for what, count := range counts {
		t.Logf("%7d  %s", count, what)
	}
	if counts["one statement, server: one statement"] < n/20 {
		t.Error("hardly any text can be read")
	}
}

func serverVersionNum(t *testing.T, r *reader) string {
	t.Helper()
	major, _, _ := strings.Cut(r.conn.ParameterStatus("server_version"), ".")
	return major + "0000"
}
