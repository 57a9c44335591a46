package upstream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestSec_T04_Iterations: more work than the bound is refused before any of it is done,
// however the server's bytes are cut.
func TestSec_T04_Iterations(t *testing.T) {
	first := func(iterations string) []byte {
		var b []byte
		for _, m := range []pgproto3.BackendMessage{
			&pgproto3.NoticeResponse{Severity: "NOTICE", Message: "R"},
			&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}},
			&pgproto3.AuthenticationSASLContinue{Data: []byte("r=nonce,s=c2FsdA==,i=" + iterations)},
		} {
			var err error
			if b, err = m.Encode(b); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	for iterations, good := range map[string]bool{
		"4096": true, "1000000": true, "1000001": false, "10000000": false, "99999999999999999999999999": false, "-1": false, "": false, "4096,i=2000000": false,
	} {
		for name, cut := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			got, err := io.ReadAll(&scramGuard{r: cut(bytes.NewReader(first(iterations)))})
			if (err == nil) != good {
				t.Errorf("%s, %s: %v", iterations, name, err)
			}
			if good && !bytes.Equal(got, first(iterations)) {
				t.Errorf("%s, %s: other bytes came", iterations, name)
			}
		}
	}
	// Behind AuthenticationOk nothing is about SCRAM.
	b, err := (&pgproto3.AuthenticationOk{}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, first("2000000")...)
	if _, err := io.ReadAll(&scramGuard{r: bytes.NewReader(b)}); err != nil {
		t.Error(err)
	}
	// Lengths that cannot be.
	for _, head := range []string{"R\x00\x00\x00\x00", "R\x00\x00\x00\x03", "R\x7f\xff\xff\xff", "R\x00\x02\x00\x00", "N\xff\xff\xff\xff", "R\x00\x00\x00\x06\x00\x00"} {
		if _, err := io.ReadAll(&scramGuard{r: strings.NewReader(head)}); err == nil {
			t.Errorf("%q is accepted", head)
		}
	}
}

// FuzzScramGuard: what comes through is what the server sent, whole messages and many of
// them, and how its bytes are cut changes neither that nor whether it is taken. What ends
// a connection lets nothing through that pgconn could work off behind it.
func FuzzScramGuard(f *testing.F) {
	message := func(m pgproto3.BackendMessage) []byte {
		b, err := m.Encode(nil)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	first := message(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=nonce,s=c2FsdA==,i=1000001")})
	f.Add(append(message(&pgproto3.NoticeResponse{Severity: "NOTICE", Message: "R"}), first...), byte(3))
	f.Add(append(message(&pgproto3.AuthenticationOk{}), first...), byte(1))
	f.Add(append(message(&pgproto3.ParseComplete{}), first...), byte(5))
	f.Add([]byte("R\x00\x00\x00\x06\x00\x00"), byte(2))
	f.Fuzz(func(t *testing.T, sent []byte, cut byte) {
		whole, err := io.ReadAll(&scramGuard{r: bytes.NewReader(sent)})
		if !bytes.HasPrefix(sent, whole) || err == nil && len(whole) != len(sent) {
			t.Errorf("%q came of %q, %v", whole, sent, err)
		}
		pieces := &scramGuard{r: bytes.NewReader(sent)}
		var parts []byte
		var again error
		for size := 1 + int(cut)%7; again == nil; {
			buf := make([]byte, size)
			var n int
			n, again = pieces.Read(buf)
			parts = append(parts, buf[:n]...)
		}
		if (err == nil) != errors.Is(again, io.EOF) || err == nil && !bytes.Equal(parts, sent) {
			t.Errorf("whole %v, in parts %v: %q of %q", err, again, parts, sent)
		}
		if at := bytes.Index(sent, first); at >= 0 && at+len(first) <= len(parts) && !pieces.over {
			// Its first byte was the beginning of no message, then.
			if g := (&scramGuard{}); g.look(sent[:at]) == nil && len(g.head) == 0 {
				t.Errorf("more iterations than the bound came through: %q", sent)
			}
		}
	})
}
