package cluster

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/telemetry"
)

// canaries are the tokens of a world: each that its issuer signs, whatever a test then does
// with it. None of them may be found in what the product writes. Safe for concurrent use.
type canaries struct {
	mu sync.Mutex
	// known are the beginnings of what is looked for.
	known map[[window]byte]string
	count int
}

const (
	// window is how much of a secret is looked for: what is shorter is found by chance.
	window = 24
	// step is how far apart the pieces of a secret are that are looked for, so that a piece of
	// a token is found as well as the whole.
	step = 16
)

func newCanaries() *canaries { return &canaries{known: make(map[[window]byte]string)} }

// token plants the claims and the signature of a token. Its header is the same for all
// tokens of a key, and no secret.
func (c *canaries) token(token string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return
	}
	c.plant("the claims of a token", parts[1])
	c.plant("the signature of a token", parts[2])
}

// plant makes a secret looked for.
func (c *canaries) plant(what, word string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	for i := 0; i+window <= len(word); i += step {
		c.known[[window]byte([]byte(word[i:i+window]))] = what
	}
}

// in says what of it stands in a text: as it is, or in hexadecimal or base64.
func (c *canaries) in(text []byte) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]bool{}
	for _, what := range strangers(text) {
		found[what] = true
	}
	for run := range runs(text) {
		c.lookLocked(run, "", found)
		if b, err := hex.DecodeString(string(run)); err == nil {
			c.lookLocked(b, " in hexadecimal", found)
		}
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			// Other letters may stand before it.
			for i := range 4 {
				if b, err := enc.DecodeString(string(run[i : i+(len(run)-i)/4*4])); err == nil {
					c.lookLocked(b, " in base64", found)
				}
			}
		}
	}
	var list []string
	for what := range found {
		list = append(list, what)
	}
	slices.Sort(list)
	return list
}

func (c *canaries) lookLocked(b []byte, form string, found map[string]bool) {
	for i := 0; i+window <= len(b); i++ {
		if what, ok := c.known[[window]byte(b[i:i+window])]; ok {
			found[what+form] = true
		}
	}
}

// strangers are tokens that another issuer has made, by their form: a header and claims of a
// JWT, and what Ory Hydra calls its opaque ones.
func strangers(text []byte) (found []string) {
	const header, opaque = `eyJ`, "ory_at_"
	for run := range runs(text) {
		// It is a part of text.
		at := cap(text) - cap(run)
		rest := text[at+len(run):]
		switch {
		case bytes.HasPrefix(run, []byte(header)) && bytes.HasPrefix(rest, []byte("."+header)):
			found = append(found, "a JWT")
		case bytes.Contains(run, []byte(opaque)):
			found = append(found, "an opaque token")
		}
	}
	return found
}

// runs are the longest parts of a text that are written in the letters of base64, those of
// base64url included, and long enough.
func runs(text []byte) func(func([]byte) bool) {
	letter := func(b byte) bool {
		return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_' || b == '+' || b == '/'
	}
	return func(yield func([]byte) bool) {
		for i := 0; i < len(text); i++ {
			begin := i
			for i < len(text) && letter(text[i]) {
				i++
			}
			if i-begin >= window && !yield(text[begin:i]) {
				return
			}
		}
	}
}

// search looks through all that a world has written: logs, spools, the audit store, the
// state, the server's log, metrics and spans. It runs before the world is closed.
func (c *canaries) search(t testing.TB, w *demo.World, spans *telemetry.Recorder) {
	t.Helper()
	report := func(where string, text []byte) {
		for _, what := range c.in(text) {
			t.Errorf("%s has %s", where, what)
		}
	}
	err := filepath.WalkDir(w.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		report(path, text)
		return err
	})
	if err != nil {
		t.Errorf("look for tokens: %v", err)
	}
	if text, err := os.ReadFile(w.Postgres.LogFile); err == nil {
		report("the server's log", text)
	}
	if h := w.Metrics(); h != nil {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		report("metrics", rec.Body.Bytes())
	}
	if spans == nil {
		return
	}
	for _, s := range spans.Spans() {
		report("span "+s.Name, fmt.Appendf(nil, "%s %q", s.Name, s.Attributes))
	}
}
