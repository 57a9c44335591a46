package session_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/session"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// translated is a server whose messages are those of another lc_messages: their severity
// and text are in another language, and what they quote stands between other marks.
type translated struct {
	session.Backend
	held, out []byte
}

func (b *translated) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		buf := make([]byte, 32<<10)
		n, err := b.Backend.Read(buf)
		b.held = append(b.held, buf[:n]...)
		for len(b.held) >= wire.HeaderLen {
			length := int(binary.BigEndian.Uint32(b.held[1:])) + 1
			if length > len(b.held) {
				break
			}
			b.out = append(b.out, translate(b.held[:length])...)
			b.held = b.held[length:]
		}
		if err != nil && len(b.out) == 0 {
			return 0, err
		}
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// severities in the words of libpq's German catalogue; V stays as it is (elog.c,
// send_message_to_frontend).
var severities = map[string]string{"ERROR": "FEHLER", "NOTICE": "HINWEIS", "WARNING": "WARNUNG"}

func translate(msg []byte) []byte {
	if msg[0] != wire.ErrorResponse && msg[0] != wire.NoticeResponse {
		return msg
	}
	out := []byte{msg[0], 0, 0, 0, 0}
	for field := range bytes.SplitSeq(bytes.TrimRight(msg[wire.HeaderLen:], "\x00"), []byte{0}) {
		kind, text := field[0], string(field[1:])
		switch kind {
		case 'S':
			text = severities[text]
		case 'M', 'D', 'H', 'W':
			text = strings.NewReplacer("syntax error at or near", "Syntaxfehler bei", "COPY from stdin failed", "COPY aus der Standardeingabe fehlgeschlagen",
				"division by zero", "Division durch Null", "current transaction is aborted", "aktuelle Transaktion wurde abgebrochen").Replace(text)
			for open := true; strings.Contains(text, `"`); open = !open {
				text = strings.Replace(text, `"`, map[bool]string{true: "»", false: "«"}[open], 1)
			}
		}
		out = append(append(append(out, kind), text...), 0)
	}
	out = append(out, 0)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1)) //nolint:gosec // G115: short.
	return out
}

// TestMessagesOfAnotherLanguage: what language the server speaks changes nothing of what
// is denied, refused or told in closed form; what is open comes in the server's words.
func TestMessagesOfAnotherLanguage(t *testing.T) {
	database := dbname(t)
	script := []pgproto3.FrontendMessage{
		q("SELECT 'denied'"), q("SELECT refused"), q("SELEC 1"), q("SELECT missing()"),
		q("SELECT 1/0"), q("INSERT INTO t VALUES (1, 'again')"), q("DO 'BEGIN RAISE NOTICE ''canary''; END'"),
		q("DO $$BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = '42601', HINT = 'canary'; END$$"), q("DROP TABLE IF EXISTS canary"),
		prep("", "SELECT 'denied'"), bind("", ""), exec(""), syn, prep("p", "SELECT $1::int"), bind("", "none"), syn,
		q("BEGIN"), q("SELECT 'denied'"), q("SELECT 1"), q("SELECT 'denied'"), q("ROLLBACK"),
		q("COPY t FROM STDIN"), data("no number\n"), done, q("COPY t FROM STDIN"), &pgproto3.CopyFail{Message: "canary"},
		&pgproto3.FunctionCall{Function: deniedFunction}, q("SELECT v FROM t WHERE id = 1"),
	}
	const answers = 20
	run := func(options ...option) []string {
		r := newRig(t, database, options...)
		r.client.send(script...)
		return slices.DeleteFunc(r.client.until(answers), random)
	}
	want := run()
	if text := strings.Join(want, "\n"); strings.Contains(text, "canary") || !strings.Contains(text, "42501") || !strings.Contains(text, "22P02") {
		t.Fatalf("the script does not do what it is for:\n%s", text)
	}
	german := func(p *session.Params, _ *session.Deps) { p.Server = &translated{Backend: p.Server} }
	if diff := cmp.Diff(want, run(german)); diff != "" {
		t.Errorf("in English (-) and in German (+):\n%s", diff)
	}
	r := newRig(t, database, german)
	wantLines(t, r.client.run(q("SELECT 1/0 /* open */")), "ErrorResponse FEHLER 22012 Division durch Null", "ReadyForQuery I")
}
