package pgerr_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
)

// body is an ErrorResponse's body with every field set to something that must
// not be seen again.
func body(t testing.TB, m pgproto3.ErrorResponse) []byte {
	t.Helper()
	b, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b[5:]
}

// The closed form has severity, SQLSTATE, position, and one message per SQLSTATE.
func TestClosedForm(t *testing.T) {
	full := pgproto3.ErrorResponse{Severity: "FEHLER-secret", SeverityUnlocalized: "ERROR", Code: "23505", Message: "secret", Detail: "secret",
		Hint: "secret", Position: 7, InternalPosition: 8, InternalQuery: "secret", Where: "secret", SchemaName: "secret", TableName: "secret",
		ColumnName: "secret", DataTypeName: "secret", ConstraintName: "secret", File: "secret", Line: 9, Routine: "secret"}
	f, ok := pgerr.Decode(body(t, full))
	if !ok || f.Severity != "ERROR" || f.SQLState != "23505" || f.Position != 7 || f.Message != "secret" {
		t.Fatalf("%+v, %v", f, ok)
	}
	got := *pgerr.Closed(f)
	want := pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "23505", Message: "unique violation", Position: 7}
	if !bytes.Equal(body(t, got), body(t, want)) {
		t.Errorf("%+v", got)
	}
	for severity, closed := range map[string]string{"ERROR": "ERROR", "FATAL": "FATAL", "PANIC": "PANIC", "WARNING": "WARNING", "NOTICE": "NOTICE",
		"DEBUG": "DEBUG", "INFO": "INFO", "LOG": "LOG", "secret": "ERROR", "error": "ERROR", "": "ERROR"} {
		if got := pgerr.Closed(pgerr.Fields{Severity: severity, SQLState: "XX000"}); got.Severity != closed || got.SeverityUnlocalized != closed {
			t.Errorf("%q is %q", severity, got.Severity)
		}
	}
}

// A body of another form, without SQLSTATE or severity, is not an error that is
// passed on in any form (CVE-2026-6666).
func TestDecodeRejects(t *testing.T) {
	good := "SERROR\x00VERROR\x00C42601\x00Mm\x00\x00"
	if _, ok := pgerr.Decode([]byte(good)); !ok {
		t.Fatal("the good one is rejected")
	}
	for i := range len(good) {
		if _, ok := pgerr.Decode([]byte(good[:i])); ok {
			t.Errorf("accepted %q", good[:i])
		}
	}
	for _, b := range []string{"", "\x00", "\x00\x00", good + "x", good + "\x00", "SERROR\x00Mm\x00\x00", "C42601\x00Mm\x00\x00",
		"SERROR\x00C4260\x00\x00", "SERROR\x00C426011\x00\x00", "SERROR\x00C4260a\x00\x00", "SERROR\x00C4260'\x00\x00", "SERROR\x00C\x00\x00", "S\x00C42601\x00\x00"} {
		if f, ok := pgerr.Decode([]byte(b)); ok {
			t.Errorf("%q is %+v", b, f)
		}
	}
}

// Every answer of the proxy's own says the same for the same kind, and nothing
// of what it was about.
func TestOwnAnswers(t *testing.T) {
	d := pgerr.Denied("01234567-89ab-7def-8123-456789abcdef")
	if d.Code != "42501" || d.Message != pgerr.DeniedMessage || d.Detail != "Reference: 01234567-89ab-7def-8123-456789abcdef" || d.Severity != "ERROR" || d.Hint != "" || d.Position != 0 {
		t.Errorf("%+v", d)
	}
	states := map[pgerr.Refusal]string{pgerr.RefusalUnavailable: "57P03", pgerr.RefusalSpoolFull: "53100", pgerr.RefusalTokenExpired: "28000",
		pgerr.RefusalTokenRevoked: "28000", pgerr.RefusalTooLong: "54000", pgerr.RefusalTooComplex: "54001", pgerr.RefusalEncoding: "22021",
		pgerr.RefusalResources: "53000", pgerr.Refusal(99): "57P03", pgerr.Refusal(-1): "57P03"}
	for r, state := range states {
		if e := pgerr.Refused(r); e.Code != state || e.Severity != "ERROR" || e.Detail != "" || e.Message == "" {
			t.Errorf("refusal %d: %+v", r, e)
		}
	}
	if e := pgerr.Statement("42P01", "m", 1<<32-1); e.Position != 1<<30 || e.Code != "42P01" || e.Message != "m" {
		t.Errorf("%+v", e)
	}
	if e := pgerr.Aborted(); e.Code != "25P02" {
		t.Errorf("%+v", e)
	}
	if e := pgerr.Fatal("08P01", "m"); e.Severity != "FATAL" || e.SeverityUnlocalized != "FATAL" {
		t.Errorf("%+v", e)
	}
}

// A message of an SQLSTATE is that of its own or of its class.
func TestMessages(t *testing.T) {
	for state, want := range map[string]string{"23505": "unique violation", "23999": "integrity constraint violation", "ZZZZZ": "error", "": "error",
		"P0001": "raise exception", "25P02": pgerr.Aborted().Message, "00000": "notice", "01000": "warning", "01999": "warning"} {
		if got := pgerr.Message(state); got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
	}
}

// FuzzClosed: of what the server said, nothing but severity, SQLSTATE and
// position is in the closed form: it is one that the proxy makes from these three
// alone.
func FuzzClosed(f *testing.F) {
	f.Add([]byte("SERROR\x00VERROR\x00C23505\x00Mduplicate key\x00Dsecret\x00P7\x00\x00"))
	f.Add([]byte("SFATAL\x00C57P01\x00Mm\x00\x00"))
	f.Add([]byte("SERROR\x00VNOTICE\x00VERROR\x00C00000\x00C42601\x00P99999999999\x00P-1\x00Zx\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, ok := pgerr.Decode(b)
		if !ok {
			return
		}
		var theirs pgproto3.ErrorResponse
		if err := theirs.Decode(b); err != nil || theirs.Code != fields.SQLState || theirs.Message != fields.Message {
			t.Errorf("%+v, and pgproto3 reads %+v, %v", fields, theirs, err)
		}
		closed := pgerr.Closed(fields)
		severities := []string{"ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "DEBUG", "INFO", "LOG"}
		if !slices.Contains(severities, closed.Severity) || closed.SeverityUnlocalized != closed.Severity || len(closed.Code) != 5 ||
			closed.Message != pgerr.Message(closed.Code) || closed.Position < 0 || closed.Position > 1<<30 {
			t.Errorf("%+v", closed)
		}
		if closed.Position != 0 && !strings.Contains(string(b), "P"+strings.TrimLeft(strconv.Itoa(int(closed.Position)), "+")) &&
			closed.Position != 1<<30 && !strings.Contains(string(b), strconv.Itoa(int(closed.Position))) {
			t.Errorf("a position of its own: %d", closed.Position)
		}
		bare := *closed
		bare.Severity, bare.SeverityUnlocalized, bare.Code, bare.Message, bare.Position = "", "", "", "", 0
		if !bytes.Equal(body(t, bare), body(t, pgproto3.ErrorResponse{})) {
			t.Errorf("more than five fields: %+v", closed)
		}
	})
}
