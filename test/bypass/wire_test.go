package bypass_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

const (
	granted = "SELECT id FROM orders WHERE id = 1"
	hidden  = "SELECT salary FROM employees"
)

// raw is a message of any type and body.
type raw struct {
	kind byte
	body []byte
}

func (raw) Frontend()           {}
func (raw) Decode([]byte) error { return nil }
func (m raw) Encode(dst []byte) ([]byte, error) {
	dst = append(dst, m.kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.body)+4))
	return append(dst, m.body...), nil
}

func parse(name, sql string, oids ...uint32) *pgproto3.Parse {
	return &pgproto3.Parse{Name: name, Query: sql, ParameterOIDs: oids}
}

func bind(portal, name string) *pgproto3.Bind {
	return &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name}
}

func execute(portal string) *pgproto3.Execute { return &pgproto3.Execute{Portal: portal} }

var sync = &pgproto3.Sync{}

// talk sends messages in one write and returns what comes back, in short: the
// SQLSTATEs of errors, "row" for a row, "ready" and a transaction state, "closed".
// It reads up to as many "ready" as the messages ask for.
func talk(t *testing.T, conn *pgconn.HijackedConn, messages ...pgproto3.FrontendMessage) string {
	t.Helper()
	ready := 0
	for _, m := range messages {
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.Query, *pgproto3.FunctionCall:
			ready++
		}
		conn.Frontend.Send(m)
	}
	if err := conn.Frontend.Flush(); err != nil {
		return "closed"
	}
	if err := conn.Conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var said []string
	for ready > 0 {
		msg, err := conn.Frontend.Receive()
		if err != nil {
			return strings.Join(append(said, "closed"), " ")
		}
		switch m := msg.(type) {
		case *pgproto3.ErrorResponse:
			said = append(said, m.Code)
		case *pgproto3.DataRow:
			said = append(said, rowOf(m))
		case *pgproto3.ReadyForQuery:
			said = append(said, "ready "+string(m.TxStatus))
			ready--
		}
	}
	return strings.Join(said, " ")
}

func hijack(t *testing.T, w *demo.World) *pgconn.HijackedConn {
	t.Helper()
	return hijackAs(t, w, "mallory")
}

func hijackAs(t *testing.T, w *demo.World, user string) *pgconn.HijackedConn {
	t.Helper()
	token, err := w.Token(user)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Connect(t.Context(), w.ConnString(user)+" password="+token)
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

// TestWire sends what no driver sends: pipelines, names used again, messages out of
// place.
func TestWire(t *testing.T) {
	w := world(t)
	long := "SELECT '" + strings.Repeat("x", 1<<20) + "'"
	for _, tc := range []struct {
		name     string
		messages []pgproto3.FrontendMessage
		want     string
	}{
		{"a denied Parse ends its pipeline", []pgproto3.FrontendMessage{parse("", hidden), bind("", ""), execute(""), sync}, "42501 ready I"},
		{"what follows a denial is skipped", []pgproto3.FrontendMessage{parse("", hidden), parse("", granted), bind("", ""), execute(""), sync}, "42501 ready I"},
		{"what came before a denial has run", []pgproto3.FrontendMessage{parse("", granted), bind("", ""), execute(""), parse("", hidden), bind("", ""), execute(""), sync}, "row 42501 ready I"},
		{"a denied text under a name in use", []pgproto3.FrontendMessage{parse("s", granted), sync, parse("s", hidden), sync, bind("", "s"), execute(""), sync}, "ready I 42501 ready I row ready I"},
		{"a name closed and denied is gone", []pgproto3.FrontendMessage{parse("s", granted), &pgproto3.Close{ObjectType: 'S', Name: "s"}, parse("s", hidden), sync, bind("", "s"), execute(""), sync}, "42501 ready I 26000 ready I"},
		{"a portal of a statement closed", []pgproto3.FrontendMessage{parse("s", granted), bind("p", "s"), &pgproto3.Close{ObjectType: 'S', Name: "s"}, execute("p"), sync}, "row ready I"},
		{"a portal after a denial in its transaction", []pgproto3.FrontendMessage{&pgproto3.Query{String: "BEGIN"}, parse("s", granted), bind("p", "s"), sync, &pgproto3.Query{String: hidden}, execute("p"), sync}, "ready T ready T 42501 ready E 25P02 ready E"},
		{"a portal after its transaction", []pgproto3.FrontendMessage{parse("s", granted), bind("p", "s"), sync, execute("p"), sync}, "ready I 34000 ready I"},
		{"a name of the proxy's own", []pgproto3.FrontendMessage{bind("", "_scopewire"), execute(""), sync}, "26000 ready I"},
		{"a name of the proxy's own after a denial", []pgproto3.FrontendMessage{parse("", hidden), sync, bind("", "_scopewire"), execute(""), sync}, "42501 ready I 26000 ready I"},
		{"a Query amid a pipeline", []pgproto3.FrontendMessage{parse("", granted), &pgproto3.Query{String: hidden}, bind("", ""), execute(""), sync}, "42501 ready I 26000 ready I"},
		{"a skipped Query is not run", []pgproto3.FrontendMessage{parse("", hidden), raw{'Q', []byte(hidden + "\x00")}, sync}, "42501 ready I"},
		{"describe of what was denied", []pgproto3.FrontendMessage{parse("s", hidden), sync, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync}, "42501 ready I 26000 ready I"},
		{"a function call", []pgproto3.FrontendMessage{&pgproto3.FunctionCall{Function: 1215, Arguments: [][]byte{[]byte("/etc/passwd")}}}, "42501 ready I"},
		{"a function call of a missing function", []pgproto3.FrontendMessage{&pgproto3.FunctionCall{Function: 4_000_000_000}}, "42501 ready I"},
		{"a parameter of type regclass", []pgproto3.FrontendMessage{parse("", "SELECT $1", 2205), sync}, "42501 ready I"},
		{"a parameter of type regproc in an array", []pgproto3.FrontendMessage{parse("", "SELECT $1", 1008), sync}, "42501 ready I"},
		{"a parameter of a row type", []pgproto3.FrontendMessage{parse("", "SELECT $1", 2249), sync}, "42501 ready I"},
		{"a parameter of a missing type", []pgproto3.FrontendMessage{parse("", "SELECT $1", 4_000_000_000), sync}, "42501 ready I"},
		{"a parameter beside pg_typeof", []pgproto3.FrontendMessage{parse("", "SELECT coalesce(pg_typeof(1), $1)"), sync}, "42501 ready I"},
		{"a parameter for a name", []pgproto3.FrontendMessage{parse("", "SELECT * FROM $1"), sync}, "42601 ready I"},
		{"two statements in a Parse", []pgproto3.FrontendMessage{parse("", granted+"; "+hidden), sync}, "42601 ready I"},
		{"a NUL in the text", []pgproto3.FrontendMessage{raw{'Q', []byte("SELECT 1\x00" + hidden + "\x00")}, sync}, "08P01 closed"},
		{"a text without its NUL", []pgproto3.FrontendMessage{raw{'Q', []byte("SELECT 1")}, sync}, "08P01 closed"},
		{"bytes after a Parse", []pgproto3.FrontendMessage{raw{'P', []byte("\x00SELECT 1\x00\x00\x00junk")}, sync}, "08P01 closed"},
		{"bytes that are no UTF-8", []pgproto3.FrontendMessage{&pgproto3.Query{String: "SELECT '\xc0\xa7'; " + hidden}}, "22021 ready I"},
		{"an unknown message", []pgproto3.FrontendMessage{raw{'z', []byte(hidden)}, sync}, "08P01 closed"},
		{"a server's message", []pgproto3.FrontendMessage{raw{'T', nil}, sync}, "08P01 closed"},
		{"a password amid the session", []pgproto3.FrontendMessage{raw{'p', []byte("x\x00")}, sync}, "08P01 closed"},
		{"copy data without a copy", []pgproto3.FrontendMessage{raw{'d', []byte(hidden)}, raw{'c', nil}, raw{'f', []byte("x\x00")}, sync}, "ready I"},
		{"a text over the limit", []pgproto3.FrontendMessage{&pgproto3.Query{String: long}}, "54000 ready I"},
		{"a Parse over the limit", []pgproto3.FrontendMessage{parse("", long), sync}, "54000 ready I"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := hijack(t, w)
			got := talk(t, conn, tc.messages...)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if !strings.HasSuffix(got, "closed") && !strings.HasSuffix(got, "ready E") {
				if after := talk(t, conn, &pgproto3.Query{String: granted}); after != "row ready I" && !strings.HasSuffix(got, "ready T") {
					t.Errorf("afterwards %q", after)
				}
			}
		})
	}
	// Only what the server refused for its own reasons could be in its log.
	log, err := os.ReadFile(w.Postgres.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	_, sessions, found := bytes.Cut(log, []byte(granted))
	if !found || bytes.Contains(sessions, []byte("employees")) {
		t.Error("the server was sent what was denied, or its log does not show what it was sent")
	}
}

// TestStartup: what a client may not choose when it connects.
func TestStartup(t *testing.T) {
	w := world(t)
	token, err := w.Token("mallory")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct{ name, value string }{
		{"search_path", "hr"}, {"role", "postgres"}, {"session_authorization", "postgres"},
		{"standard_conforming_strings", "off"}, {"backslash_quote", "on"}, {"client_encoding", "SJIS"},
		{"session_preload_libraries", "x"}, {"local_preload_libraries", "x"}, {"session_replication_role", "replica"},
		{"log_statement", "none"}, {"search_path", "nowhere"}, {"options", "-c user=postgres"}, {"options", "-c replication=1"}, {"scopewire.scopes", "all"}, {"app.tenant", "1"},
		{"replication", "true"}, {"replication", "database"}, {"Search_Path", "hr"},
		{"options", "-c search_path=hr"}, {"options", "--search-path=hr"}, {"options", "-csearch_path=hr"},
		{"options", "-c standard_conforming_strings=off"}, {"options", "-c role=postgres"}, {"options", "-r x"},
		{"options", "-c statement_timeout=1s -c search_path=hr"}, {"options", "-c\u00a0search_path=hr"},
		{"options", `-c search\_path=hr`}, {"options", "-d 5"}, {"options", "-f s"}, {"options", "-O"}, {"options", "-P"},
	} {
		t.Run(fmt.Sprintf("%s=%s", p.name, p.value), func(t *testing.T) {
			cfg, err := pgx.ParseConfig(w.ConnString("mallory"))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Password = token
			cfg.RuntimeParams[p.name] = p.value
			conn, err := pgx.ConnectConfig(t.Context(), cfg)
			if err == nil {
				_ = conn.Close(context.Background())
				t.Error("the session was opened")
			}
		})
	}
	for _, p := range []struct{ name, value string }{
		{"application_name", "psql; SET ROLE postgres"}, {"options", "-c statement_timeout=5s -cDateStyle=ISO"},
		{"client_encoding", "utf-8"}, {"standard_conforming_strings", "on"}, {"TimeZone", "UTC"}, {"options", ""}, {"_pq_.x", "1"},
		// What SET may set, a session may start with.
		{"row_security", "off"}, {"default_transaction_read_only", "off"}, {"search_path", "public, pg_catalog"}, {"options", `-c search_path=public,\ pg_temp`},
	} {
		t.Run("accepted "+p.name, func(t *testing.T) {
			cfg, err := pgx.ParseConfig(w.ConnString("mallory"))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Password = token
			cfg.RuntimeParams[p.name] = p.value
			conn, err := pgx.ConnectConfig(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(context.Background()) }()
			if query, _ := run(t, conn.PgConn(), hidden); query != "42501" {
				t.Errorf("got %q", query)
			}
		})
	}
}

// TestTwoUsersNeverShare: a text that one token may run is judged anew for another.
func TestTwoUsersNeverShare(t *testing.T) {
	w := world(t)
	carol, mallory := cluster.Connect(t, w, "carol").PgConn(), cluster.Connect(t, w, "mallory").PgConn()
	for range 3 {
		if query, parse := run(t, carol, hidden); query != "" || parse != "" {
			t.Errorf("carol: %q, %q", query, parse)
		}
		if query, parse := run(t, mallory, hidden); query != "42501" || parse != "42501" {
			t.Errorf("mallory: %q, %q", query, parse)
		}
	}
}
