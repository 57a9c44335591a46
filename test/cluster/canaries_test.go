package cluster

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// The search finds what it is there for, in each form, whole and in pieces, and nothing else.
func TestSec_T45_SearchFinds(t *testing.T) {
	claims, signature := strings.Repeat("eyJpc3MiOiJodHRw", 6)+"c29tZXRoaW5nIG9mIGl0cyBvd24gaW4gaXQgYXQgdGhlIGVuZA", strings.Repeat("Ab3-_xY9", 11)
	c := newCanaries()
	c.token("eyJhbGciOiJFUzI1NiJ9." + claims + "." + signature)
	token := "eyJhbGciOiJFUzI1NiJ9." + claims + "." + signature
	for name, text := range map[string]string{
		"as it is": "x " + token + " y", "its signature": signature, "its claims": claims, "in a JSON": `{"token":"` + token + `"}`,
		"the end of it": token[len(token)-45:], "without its end": token[:len(token)-45], "in hexadecimal": hex.EncodeToString([]byte(token)),
		"in capitals": strings.ToUpper(hex.EncodeToString([]byte(token))), "in base64": base64.StdEncoding.EncodeToString([]byte(token)),
		"another issuer's": "token=eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2EifQ.c2ln", "a bare opaque one": "x ory_at_0123456789abcdefghij.0123",
		"in base64url": base64.RawURLEncoding.EncodeToString([]byte("\x00user\xfftoken\xfe=" + token)), "at the very end": "\n" + signature,
	} {
		if len(c.in([]byte(text))) == 0 {
			t.Errorf("%s: it is not found", name)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "its header": "eyJhbGciOiJFUzI1NiJ9", "a word of it": "ory_at_ and eyJ", "another": strings.Repeat("Zb3-_xY9", 11), "too little of it": signature[:window-1],
	} {
		if found := c.in([]byte(text)); len(found) > 0 {
			t.Errorf("%s: %q", name, found)
		}
	}
}

// quiet keeps what a test would have been told.
type quiet struct {
	testing.TB
	errors []string
}

func (q *quiet) Helper() {}
func (q *quiet) Errorf(format string, args ...any) {
	q.errors = append(q.errors, format)
	_ = args
}

// TestSec_T45_WorldsAreSearched: a token of a world is a canary by having been signed, and a
// file of the world that has one fails its test.
func TestSec_T45_WorldsAreSearched(t *testing.T) {
	c := newCanaries()
	w := start(t, demo.Config{}, c)
	token, err := w.Issuer.Mint(devissuer.Claims{Subject: "alice", Audience: []string{demo.Audience}})
	if err != nil {
		t.Fatal(err)
	}
	conn := ConnectWith(t, w.ConnString("x"), token)
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	q := &quiet{TB: t}
	if c.search(q, w, nil); len(q.errors) > 0 || c.count == 0 {
		t.Fatalf("%d canaries, %q", c.count, q.errors)
	}
	leak := filepath.Join(w.Dir, "leak")
	if err := os.WriteFile(leak, []byte("a line with "+token), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.search(q, w, nil); len(q.errors) == 0 {
		t.Error("a file with a token is not found")
	}
	if err := os.Remove(leak); err != nil {
		t.Fatal(err)
	}
}
