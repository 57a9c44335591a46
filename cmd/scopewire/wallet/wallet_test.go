package wallet_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/cmd/scopewire/wallet"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// ring is a keyring in memory.
type ring struct {
	mu      sync.Mutex
	entries map[string]string
	broken  error
}

func (r *ring) Get(name string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.entries[name]; ok {
		return v, r.broken
	}
	return "", errors.Join(wallet.ErrNotFound, r.broken)
}

func (r *ring) Set(name, value string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		r.entries[name] = value
	}
	return r.broken
}

func (r *ring) Delete(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.entries[name]; !ok {
		return wallet.ErrNotFound
	}
	delete(r.entries, name)
	return nil
}

func open(t *testing.T, dir string, k wallet.Keyring) *wallet.Wallet {
	t.Helper()
	w, err := wallet.Open(dir, wallet.Deps{System: sys.OS(), Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tokens(access string, left time.Duration) login.Tokens {
	now := time.Now()
	return login.Tokens{Access: secret.FromString(access), Refresh: secret.FromString("refresh-" + access),
		Obtained: now.Add(left - time.Hour), Expires: now.Add(left)}
}

func save(t *testing.T, w *wallet.Wallet, tk login.Tokens, where wallet.Where) string {
	t.Helper()
	kept, err := w.Save(t.Context(), "p", &wallet.Profile{Issuer: "https://idp", ClientID: "cli"}, tk, where)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func get(t *testing.T, w *wallet.Wallet) (string, string) {
	t.Helper()
	p, err := w.Profile("p")
	if err != nil {
		t.Fatal(err)
	}
	tk, err := w.Tokens("p", p)
	if err != nil {
		t.Fatal(err)
	}
	return string(tk.Access.Expose()), string(tk.Refresh.Expose())
}

// TestKept: tokens are in the keyring and nowhere else; without one they are in a file
// of the user's alone, and that is said. A new login leaves nothing of the old one.
func TestKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "config", "scopewire")
	k := &ring{entries: map[string]string{}}
	w := open(t, dir, k)
	if kept := save(t, w, tokens("canary", time.Hour), wallet.Anywhere); kept != "the keyring" {
		t.Errorf("kept in %s", kept)
	}
	if a, r := get(t, w); a != "canary" || r != "refresh-canary" {
		t.Errorf("%s, %s", a, r)
	}
	if found := grep(t, dir, "canary"); len(found) != 0 {
		t.Errorf("the token is in %q", found)
	}
	save(t, w, tokens("second", time.Hour), wallet.InKeyring)
	if len(k.entries) != 1 {
		t.Errorf("%d entries are in the keyring", len(k.entries))
	}

	k.broken = errors.New("no keyring here")
	if _, err := w.Save(t.Context(), "p", &wallet.Profile{}, tokens("x", time.Hour), wallet.InKeyring); err == nil {
		t.Error("a broken keyring took tokens")
	}
	kept := save(t, w, tokens("third", time.Hour), wallet.Anywhere)
	if !strings.Contains(kept, "p.tokens.json") || !strings.Contains(kept, "no keyring here") {
		t.Errorf("kept in %s", kept)
	}
	info, err := os.Stat(filepath.Join(dir, "p.tokens.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if a, _ := get(t, w); a != "third" {
		t.Error(a)
	}
	k.broken = nil
	save(t, w, tokens("fourth", time.Hour), wallet.Anywhere)
	if found := grep(t, dir, "third"); len(found) != 0 {
		t.Errorf("the old token is in %q", found)
	}
	if err := w.Remove(t.Context(), "p"); err != nil || len(k.entries) != 0 {
		t.Errorf("%v, %d entries", err, len(k.entries))
	}
	if _, err := w.Profile("p"); !errors.Is(err, wallet.ErrNoProfile) {
		t.Error(err)
	}
}

func grep(t *testing.T, dir, word string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), word) {
			found = append(found, e.Name())
		}
	}
	return found
}

// TestLongTokens: an access token that a keyring would not take is not kept, and asked
// for again by the refresh token; one that cannot be is an error.
func TestLongTokens(t *testing.T) {
	k := &ring{entries: map[string]string{}}
	w := open(t, filepath.Join(t.TempDir(), "w"), k)
	long := tokens(strings.Repeat("a", 3000), time.Hour)
	long.Refresh = secret.FromString("r")
	save(t, w, long, wallet.InKeyring)
	renewed := 0
	got, err := w.Fresh(t.Context(), "p", func(context.Context, login.Tokens) (login.Tokens, error) {
		renewed++
		return long, nil
	})
	if err != nil || got.Access.Len() != 3000 || renewed != 1 {
		t.Errorf("%v, %d, renewed %d times", err, got.Access.Len(), renewed)
	}
	long.Refresh = secret.Bytes{}
	if _, err := w.Save(t.Context(), "p", &wallet.Profile{}, long, wallet.InKeyring); err == nil {
		t.Error("kept a token that does not fit")
	}
}

// TestOthersCanRead: what others can read is not used.
func TestOthersCanRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	w := open(t, dir, &ring{})
	save(t, w, tokens("a", time.Hour), wallet.InFile)
	name := filepath.Join(dir, "p.tokens.json")
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	p, err := w.Profile("p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Tokens("p", p); err == nil || !strings.Contains(err.Error(), "yours alone") {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := wallet.Open(dir, wallet.Deps{System: sys.OS()}); err == nil {
		t.Error("a directory that others can read is used")
	}
}

// TestFresh: what is good is given as it is; what is not is renewed once, whoever asks;
// what cannot be renewed is given to its end.
func TestFresh(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	none := func(context.Context, login.Tokens) (login.Tokens, error) {
		return login.Tokens{}, &login.Error{Code: "invalid_grant"}
	}
	w := open(t, dir, &ring{})
	if _, err := w.Fresh(t.Context(), "p", none); !errors.Is(err, wallet.ErrNoProfile) {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		left time.Duration
		good bool
	}{"good": {30 * time.Minute, true}, "near its end": {time.Minute, true}, "ended": {-time.Second, false}} {
		save(t, w, tokens("a", tt.left), wallet.InFile)
		if got, err := w.Fresh(t.Context(), "p", none); (err == nil) != tt.good || tt.good && string(got.Access.Expose()) != "a" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	renewed := 0
	for range 8 {
		all.Go(func() {
			// Wallets of their own, as processes have.
			got, err := open(t, dir, &ring{}).Fresh(t.Context(), "p", func(_ context.Context, old login.Tokens) (login.Tokens, error) {
				mu.Lock()
				defer mu.Unlock()
				renewed++
				if string(old.Refresh.Expose()) != "refresh-a" {
					t.Errorf("renewed by %s", old.Refresh.Expose())
				}
				return tokens("b", time.Hour), nil
			})
			if err != nil || string(got.Access.Expose()) != "b" {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if renewed != 1 {
		t.Errorf("renewed %d times", renewed)
	}
}

func TestRenewAt(t *testing.T) {
	at := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{time.Hour: 58 * time.Minute, time.Minute: 45 * time.Second, 4 * time.Second: 3 * time.Second} {
		if got := wallet.RenewAt(login.Tokens{Obtained: at, Expires: at.Add(life)}); !got.Equal(at.Add(want)) {
			t.Errorf("a life of %v: %v", life, got.Sub(at))
		}
	}
	if !wallet.RenewAt(login.Tokens{}).IsZero() {
		t.Error("tokens without an end are renewed at a time")
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{"default": true, "a-B_9": true, "": false, ".": false, "../x": false, "a/b": false, "a.b": false, "ä": false, strings.Repeat("a", 65): false} {
		if err := wallet.CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestNoDesktop: a machine without a keyring says so, and the file is used.
func TestNoDesktop(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "nobody"))
	w := open(t, filepath.Join(t.TempDir(), "w"), wallet.Desktop{})
	if kept := save(t, w, tokens("a", time.Hour), wallet.Anywhere); !strings.Contains(kept, "p.tokens.json") || !strings.Contains(kept, "keyring") {
		t.Errorf("kept in %s", kept)
	}
	if a, _ := get(t, w); a != "a" {
		t.Error(a)
	}
}
