package bypass_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// told sends messages and Terminate in one write, and returns all that comes back to the
// connection's end: the types of the messages, with SQLSTATEs, tags, rows and transaction
// states. What comes unasked (notices, settings) is left out.
func told(t *testing.T, conn *pgconn.HijackedConn, messages []pgproto3.FrontendMessage) []string {
	t.Helper()
	for _, m := range append(messages[:len(messages):len(messages)], &pgproto3.Terminate{}) {
		conn.Frontend.Send(m)
	}
	if err := conn.Frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Conn.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for {
		msg, err := conn.Frontend.Receive()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return append(all, "closed")
		case err != nil:
			return append(all, err.Error())
		}
		switch m := msg.(type) {
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		case *pgproto3.ErrorResponse:
			all = append(all, m.Severity+" "+m.Code)
		case *pgproto3.DataRow:
			all = append(all, string(bytes.Join(m.Values, []byte("|"))))
		case *pgproto3.CommandComplete:
			all = append(all, string(m.CommandTag))
		case *pgproto3.ReadyForQuery:
			all = append(all, "ready "+string(m.TxStatus))
		default:
			all = append(all, strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."))
		}
	}
}

func ask(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }

func describePortal(name string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: 'P', Name: name}
}

func closePortal(name string) *pgproto3.Close { return &pgproto3.Close{ObjectType: 'P', Name: name} }

// some is an Execute of so many rows.
func some(portal string, rows uint32) *pgproto3.Execute {
	return &pgproto3.Execute{Portal: portal, MaxRows: rows}
}

// everyParameter is a Parse and a Bind of as many parameters as the protocol can count.
func everyParameter(text string) []pgproto3.FrontendMessage {
	const most = 65535
	body := append([]byte{0}, text...)
	body = binary.BigEndian.AppendUint16(append(body, 0), most)
	for range most {
		body = binary.BigEndian.AppendUint32(body, 23)
	}
	values := binary.BigEndian.AppendUint16([]byte{0, 0, 0, 0}, most)
	for range most {
		values = binary.BigEndian.AppendUint32(values, 0xffffffff)
	}
	return []pgproto3.FrontendMessage{raw{'P', body}, raw{'B', append(values, 0, 0)}, execute(""), sync}
}

// oddMessages are sequences that no driver sends, of texts that wanda may run: they are
// PostgreSQL's to answer, and its answer is what comes back.
func oddMessages() map[string][]pgproto3.FrontendMessage {
	const (
		rows   = "SELECT id, status FROM orders ORDER BY id"
		into   = "COPY orders (id, customer_id, total) FROM STDIN"
		out    = "COPY (SELECT id FROM orders ORDER BY id) TO STDOUT"
		line   = "9001\t1\t5\n"
		change = "UPDATE orders SET status = 'odd' WHERE id = 1"
	)
	data, done := &pgproto3.CopyData{Data: []byte(line)}, &pgproto3.CopyDone{}
	failed := &pgproto3.CopyFail{Message: "no more"}
	flush := &pgproto3.Flush{}
	is := func(messages ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return messages }
	return map[string][]pgproto3.FrontendMessage{
		"an empty Query":                            is(ask(""), ask(" ; ;"), ask("-- nothing")),
		"an empty statement":                        is(parse("", ""), bind("", ""), describePortal(""), execute(""), sync),
		"every parameter":                           everyParameter("SELECT id FROM orders WHERE id = coalesce($1, $65535, 1)"),
		"more parameters than there are":            is(parse("", "SELECT $1::int"), raw{'B', append([]byte{0, 0, 0, 0, 0xff, 0xff}, make([]byte, 4*65535+2)...)}, sync, ask(rows)),
		"rows in parts":                             is(parse("", rows), bind("p", ""), some("p", 1), some("p", 2), describePortal("p"), some("p", 0), some("p", 1), sync),
		"more rows than can be":                     is(parse("", rows), bind("p", ""), some("p", 0xffffffff), sync),
		"a portal closed in use":                    is(parse("", rows), bind("p", ""), some("p", 1), closePortal("p"), some("p", 1), sync),
		"a portal closed twice":                     is(parse("", rows), bind("p", ""), closePortal("p"), closePortal("p"), sync),
		"a portal bound anew in use":                is(parse("s", rows), bind("", "s"), some("", 1), bind("", "s"), some("", 1), bind("p", "s"), some("p", 1), bind("p", "s"), sync),
		"the statement parsed anew under a portal":  is(parse("", rows), bind("p", ""), some("p", 1), parse("", "SELECT 1"), some("p", 1), sync),
		"a portal described behind ROLLBACK":        is(ask("BEGIN"), parse("s", rows), bind("p", "s"), sync, ask("ROLLBACK"), describePortal("p"), sync, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync),
		"a portal described behind ROLLBACK TO":     is(ask("BEGIN; SAVEPOINT a"), parse("s", rows), bind("p", "s"), some("p", 1), sync, ask("ROLLBACK TO a"), describePortal("p"), sync, ask("ROLLBACK TO a"), bind("p", "s"), execute("p"), sync),
		"a cursor of before the savepoint":          is(ask("BEGIN"), ask("DECLARE c CURSOR FOR "+rows), ask("SAVEPOINT a"), ask("FETCH 1 FROM c"), ask("ROLLBACK TO a"), ask("FETCH 1 FROM c"), execute("c"), sync),
		"a portal fetched by SQL":                   is(ask("BEGIN"), parse("", rows), bind("p", ""), sync, ask("FETCH 2 FROM p"), some("p", 1), closePortal("p"), sync, ask("FETCH 1 FROM p")),
		"an error midway":                           is(parse("", change), bind("", ""), execute(""), parse("", "SELECT 1/0"), bind("", ""), execute(""), ask(rows), flush, parse("", rows), sync, ask("SELECT status FROM orders WHERE id = 1")),
		"Flush upon Flush":                          is(flush, parse("", rows), flush, flush, bind("", ""), flush, some("", 1), flush, sync, sync),
		"a Query within a pipeline":                 is(parse("", change), bind("", ""), execute(""), ask("SELECT status FROM orders WHERE id = 1"), parse("", "SELECT 1/0"), bind("", ""), execute(""), sync, ask("SELECT status FROM orders WHERE id = 1")),
		"BEGIN within a pipeline":                   is(parse("", "BEGIN"), bind("", ""), execute(""), parse("", change), bind("", ""), execute(""), sync, ask("SELECT 1/0"), ask("COMMIT"), ask("SELECT status FROM orders WHERE id = 1")),
		"PREPARE under a Parse's name":              is(parse("s", rows), sync, ask("PREPARE s AS SELECT 1"), ask("EXECUTE s"), ask("DEALLOCATE s"), bind("", "s"), sync, ask("PREPARE s AS SELECT 2"), bind("", "s"), execute(""), sync, parse("s", "SELECT 3"), sync),
		"DEALLOCATE under a portal":                 is(ask("BEGIN"), parse("s", rows), bind("p", "s"), some("p", 1), sync, ask("DEALLOCATE ALL"), some("p", 1), sync, bind("q", "s"), sync),
		"DISCARD ALL in a pipeline":                 is(parse("s", rows), bind("p", "s"), parse("", "DISCARD ALL"), bind("", ""), execute(""), sync, bind("", "s"), sync),
		"DISCARD ALL in a transaction":              is(ask("BEGIN"), ask("DISCARD ALL"), ask("COMMIT"), ask("DISCARD ALL"), ask(rows)),
		"ABORT in a failed transaction and a chain": is(ask("BEGIN"), ask("SELECT 1/0"), ask("ROLLBACK AND CHAIN"), ask("SELECT 1"), ask("COMMIT AND CHAIN"), ask("COMMIT"), ask("COMMIT")),
		"Sync amid COPY":                            is(ask(into), sync, data, sync, flush, failed, ask("SELECT 1")),
		"COPY in a pipeline":                        is(parse("", into), bind("", ""), execute(""), data, failed, parse("", "SELECT 1"), bind("", ""), execute(""), sync, ask("SELECT 2")),
		"COPY cut off by a Query":                   is(ask(into), data, ask(rows)),
		"COPY cut off by a Parse":                   is(ask(into), data, parse("", rows), sync),
		"COPY cut off by the end":                   is(ask(into), data),
		"COPY of a wrong line":                      is(ask(into), &pgproto3.CopyData{Data: []byte("no number\t1\t5\n")}, data, done, ask("SELECT 1")),
		"two COPYs in a Query":                      is(ask("BEGIN"), ask(into+"; "+into), data, done, &pgproto3.CopyData{Data: []byte("9002\t1\t5\n")}, done, ask("ROLLBACK")),
		"COPY out amid messages":                    is(ask(out), data, done, ask("SELECT 1")),
		"data without a COPY":                       is(data, done, failed, ask("SELECT 1"), data, parse("", "SELECT 2"), done, bind("", ""), execute(""), sync),
		"a call in a failed transaction":            is(ask("BEGIN"), ask("SELECT 1/0"), &pgproto3.FunctionCall{Function: 1397, Arguments: [][]byte{[]byte("-5")}, ArgFormatCodes: []uint16{0}}, ask("ROLLBACK")),
		"a call within a pipeline":                  is(parse("", "SELECT 1"), &pgproto3.FunctionCall{Function: 1397, Arguments: [][]byte{[]byte("-5")}, ArgFormatCodes: []uint16{0}}, bind("", ""), execute(""), sync),
		"a setting that is reported":                is(ask("BEGIN; SET application_name = 'a'"), ask("SAVEPOINT s"), ask("SET LOCAL application_name = 'b'"), ask("ROLLBACK TO s"), ask("SHOW application_name"), ask("ROLLBACK"), ask("SHOW application_name")),
		"names of nothing":                          is(bind("nosuch", "nosuch"), sync, execute("nosuch"), sync, describePortal("nosuch"), sync, closePortal("nosuch"), &pgproto3.Close{ObjectType: 'S', Name: "nosuch"}, sync),
		"a long transaction's parts":                is(ask("BEGIN; SAVEPOINT a; " + change + "; ROLLBACK TO a; RELEASE a; SELECT status FROM orders WHERE id = 1; COMMIT; " + rows)),
	}
}

// TestOddMessages: what is allowed is answered as the server answers it, however odd the
// messages are.
func TestOddMessages(t *testing.T) {
	w := world(t)
	server := directWorld(t)
	for name, messages := range oddMessages() {
		t.Run(name, func(t *testing.T) {
			conn := directAs(t, server, "wanda")
			plain, err := conn.Hijack()
			if err != nil {
				t.Fatal(err)
			}
			want, got := told(t, plain, messages), told(t, hijackAs(t, w, "wanda"), messages)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-server +through Scopewire)\n%s", diff)
			}
		})
	}
}
