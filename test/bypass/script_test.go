package bypass_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
)

var (
	scriptSeed = flag.Uint64("script.seed", 1, "the seed of the random scripts")
	scripts    = flag.Int("script.count", 20, "how many random scripts are run")
)

// most statements of a script, before both sides are taken back to where they began.
const scriptLength = 14

// scriptFile is what scripts are made of.
type scriptFile struct {
	Groups map[string][]string `yaml:"groups"`
}

// step is what a client sends in one write.
type step struct {
	shown    string
	messages []pgproto3.FrontendMessage
	// several says that it holds more than one statement.
	several bool
}

// queries is a step of one Query, answered with lines of COPY where that is asked for.
func queries(sql string) step {
	return step{shown: sql, messages: append([]pgproto3.FrontendMessage{&pgproto3.Query{String: sql}}, copied(sql)...)}
}

// copied are the lines that a COPY FROM STDIN is sent; the server ignores them when it
// has not begun one.
func copied(sql string) []pgproto3.FrontendMessage {
	if !strings.Contains(sql, "FROM STDIN") {
		return nil
	}
	return []pgproto3.FrontendMessage{&pgproto3.CopyData{Data: []byte("2\tcopied\n")}, &pgproto3.CopyDone{}}
}

// random is a step of one or two statements, by either protocol.
func (f *scriptFile) random(r *rand.Rand, groups []string) step {
	pick := func() string {
		list := f.Groups[groups[r.IntN(len(groups))]]
		return list[r.IntN(len(list))]
	}
	sql := pick()
	if strings.Contains(sql, "FROM STDIN") {
		return queries(sql)
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		return step{shown: "extended: " + sql, messages: []pgproto3.FrontendMessage{parse("", sql), bind("", ""), execute(""), sync}}
	case 3:
		return step{shown: "named: " + sql, messages: []pgproto3.FrontendMessage{&pgproto3.Close{ObjectType: 'S', Name: "n"}, parse("n", sql), bind("", "n"), execute(""), sync}}
	case 4, 5:
		return step{shown: "named again", messages: []pgproto3.FrontendMessage{bind("", "n"), execute(""), sync}}
	case 6:
		second := pick()
		if strings.Contains(second, "FROM STDIN") {
			return queries(sql)
		}
		return step{shown: "pipeline: " + sql + "; " + second, several: true, messages: []pgproto3.FrontendMessage{
			parse("", sql), bind("", ""), execute(""), parse("", second), bind("", ""), execute(""), sync}}
	case 7:
		second := pick()
		s := queries(sql + "; " + second)
		s.several = true
		return s
	default:
		return queries(sql)
	}
}

// heard is what a client hears of a step.
type heard struct {
	// Lines are rows, lines of COPY and ends of statements, rows sorted between ends.
	Lines []string
	// Code is the SQLSTATE of the first error, empty for none.
	Code string
	// Status is the transaction's, by the last ReadyForQuery.
	Status byte
	// all is everything, errors and notices included.
	all strings.Builder
}

// hear sends a step and reads what it is answered.
func hear(t *testing.T, conn *pgconn.HijackedConn, s step) *heard {
	t.Helper()
	for _, m := range s.messages {
		conn.Frontend.Send(m)
	}
	if err := conn.Frontend.Flush(); err != nil {
		t.Fatalf("%s: %v", s.shown, err)
	}
	if err := conn.Conn.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	h, from := &heard{}, 0
	line := func(text string) {
		h.Lines = append(h.Lines, text)
		fmt.Fprintln(&h.all, text)
	}
	for {
		msg, err := conn.Frontend.Receive()
		if err != nil {
			t.Fatalf("%s: the session did not survive: %v", s.shown, err)
		}
		switch m := msg.(type) {
		case *pgproto3.DataRow:
			line(fmt.Sprintf("row %q", m.Values))
		case *pgproto3.CopyData:
			line(fmt.Sprintf("copy %q", m.Data))
		case *pgproto3.CommandComplete:
			slices.Sort(h.Lines[from:])
			line(string(m.CommandTag))
			from = len(h.Lines)
		case *pgproto3.ErrorResponse:
			if h.Code == "" {
				h.Code = m.Code
			}
			fmt.Fprintf(&h.all, "%+v\n", *m)
		case *pgproto3.NoticeResponse:
			fmt.Fprintf(&h.all, "%+v\n", *m)
		case *pgproto3.ReadyForQuery:
			h.Status = m.TxStatus
			return h
		}
	}
}

// refusals are the answers of Scopewire in the place of the server's.
func refusals() []string { return []string{"42501", "0A000", retry, "54000"} }

// missing are the answers to a text or a name that Scopewire knows to be in vain: nothing
// unbound is sent on.
func missing() []string { return []string{"26000", "34000", "42P01", "42703", "25P02"} }

// retry is the answer while a decision cannot be had yet.
const retry = "57P03"

func hijacked(t *testing.T, dsn string) *pgconn.HijackedConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Conn.Close() })
	return raw
}

// TestSec_T23_RandomScripts runs random scripts of transactions, temporary objects,
// definitions, prepared statements, cursors and COPY through Scopewire and, in step, at
// PostgreSQL as a role with the same grants. What comes through gives what the role is
// given; nothing that is hidden is ever heard of. Where only Scopewire refuses, the
// script ends, since the two no longer stand alike.
func TestSec_T23_RandomScripts(t *testing.T) {
	script := read[scriptFile](t, "script.yaml")
	schema, login, rights := file(t, "script.sql"), file(t, "script_login.sql"), file(t, "script_rights.sql")
	w := cluster.Start(t, demo.Config{SQL: schema + login, Scopes: file(t, "script_scopes.yaml"),
		Users: []demo.User{{Name: "sam", Scopes: []string{"sam"}, About: "swaps what names mean"}}})
	bare := cluster.Start(t, demo.Config{SQL: "CREATE ROLE sam LOGIN;" + schema + rights, WithoutServices: true})
	token, err := w.Token("sam")
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := hijacked(t, w.ConnString("sam")+" password="+token), hijacked(t, bare.Postgres.ConnString(demo.Database))
	var said []string
	prepare := func(conn *pgconn.HijackedConn, texts ...string) {
		t.Helper()
		for _, sql := range texts {
			h := hear(t, conn, queries(sql))
			// Reading the catalog may take longer than a decision waits.
			for range 100 {
				if h.Code != retry {
					break
				}
				h = hear(t, conn, queries(sql))
			}
			if h.Code != "" {
				t.Fatalf("%s: %s\nafter\n%s", sql, h.all.String(), strings.Join(said, "\n"))
			}
		}
	}
	// restore takes both sides back to where they began. A name that is missing, and
	// covered, makes authz read the catalog again.
	restore := func(n int) {
		t.Helper()
		prepare(ours, "ROLLBACK", "DISCARD ALL")
		prepare(theirs, "ROLLBACK", "DISCARD ALL")
		marker := fmt.Sprintf("CREATE TABLE near.marker_%d ();", n)
		pgtest.Exec(t, w.Postgres.ConnString(demo.Database), schema+marker+login)
		pgtest.Exec(t, bare.Postgres.ConnString(demo.Database), schema+rights)
		prepare(theirs, "SET SESSION AUTHORIZATION sam", "SET search_path = near")
		prepare(ours, fmt.Sprintf("SELECT FROM near.marker_%d", n), "SET search_path = near")
	}
	groups := make([]string, 0, len(script.Groups))
	for name := range script.Groups {
		groups = append(groups, name)
	}
	slices.Sort(groups)
	agreed, denied, stricter := 0, 0, map[string]int{}
	for n := range *scripts {
		r := rand.New(rand.NewPCG(*scriptSeed, uint64(n)))
		restore(n)
		said = nil
		for range scriptLength {
			s := script.random(r, groups)
			got, want := hear(t, ours, s), hear(t, theirs, s)
			said = append(said, fmt.Sprintf("%s   -- %s/%s", s.shown, got.Code, want.Code))
			told := func() string { return fmt.Sprintf("script %d:\n%s", n, strings.Join(said, "\n")) }
			if strings.Contains(got.all.String(), canary) {
				t.Errorf("%s\nreveals %s", told(), got.all.String())
			}
			if slices.Contains(refusals(), got.Code) || s.several && slices.Contains(missing(), got.Code) ||
				want.Code != "" && got.Code != want.Code && slices.Contains(missing(), got.Code) {
				// Such an answer stands for the whole message: no more may have been done than
				// at PostgreSQL, which looks at some of it only when it runs what has been named.
				if len(got.Lines) > len(want.Lines) || !slices.Equal(got.Lines, want.Lines[:len(got.Lines)]) {
					t.Errorf("%s\nbefore its denial: %s", told(), cmp.Diff(want.Lines, got.Lines))
				}
				if want.Code == "" {
					stricter[got.Code+" "+s.shown]++
				}
				// What is denied at Parse has no name from then on.
				if got.Code == want.Code && got.Status == want.Status && !s.several {
					continue
				}
				denied++
				break
			}
			if got.Code != want.Code || got.Status != want.Status || !slices.Equal(got.Lines, want.Lines) {
				t.Errorf("%s\nPostgreSQL %q %c, Scopewire %q %c:\n%s", told(), want.Code, want.Status, got.Code, got.Status, cmp.Diff(want.Lines, got.Lines))
				break
			}
			agreed++
		}
	}
	for text, times := range stricter {
		t.Logf("only Scopewire refuses, %d times: %s", times, text)
	}
	if agreed < 3**scripts {
		t.Errorf("%d answers alike, %d scripts ended by a denial: that shows little", agreed, denied)
	}
	t.Logf("%d answers alike, %d scripts ended by a denial", agreed, denied)
}
