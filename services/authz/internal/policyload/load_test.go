package policyload

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const header = "version: 1\nissuers: [{issuer: 'https://idp.example.com', audiences: [postgres]}]\n"

func grant(table string) string {
	return header + "scopes: {s: [{actions: [select], objects: [public." + table + "]}]}\n"
}

// memFS is a file system with one file.
type memFS struct {
	sys.FS
	mu   sync.Mutex
	data string
	err  error
}

func (m *memFS) ReadFile(string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return []byte(m.data), m.err
}

func (m *memFS) set(data string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data, m.err = data, err
}

// brokenState has no number while broken is set.
type brokenState struct {
	*state.Memory
	broken bool
}

func (b *brokenState) NextPolicy(d state.Digest) (uint64, error) {
	if b.broken {
		return 0, errors.New("the state is away")
	}
	return b.Memory.NextPolicy(d)
}

// hands is a clock that stands until it is moved.
type hands struct {
	sys.Clock
	ahead time.Duration
}

func (h *hands) Now() time.Time { return h.Clock.Now().Add(h.ahead) }

type fixture struct {
	*Loader
	clock   *hands
	fs      *memFS
	state   *brokenState
	log     bytes.Buffer
	changes int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{fs: &memFS{}, clock: &hands{Clock: sys.OS().Clock}, state: &brokenState{Memory: state.NewMemory(sys.OS().Clock)}}
	l, err := New(Config{File: "policy.yaml"}, Deps{
		FS: f.fs, Clock: f.clock, Revisions: f.state,
		Log:     slog.New(slog.NewTextHandler(&f.log, nil)),
		Changed: func() { f.changes++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Loader = l
	return f
}

// allowed lists the tables of t and u that the policy in force grants.
func (f *fixture) allowed() string {
	p, _ := f.Current()
	if p == nil {
		return "no policy"
	}
	var out []string
	for _, name := range []string{"t", "u"} {
		a := access.Access{Action: access.Select, AllColumns: true, Resolved: access.Object{Kind: access.Table, Schema: "public", Name: name}}
		if ok, _ := p.Principal([]string{"s"}).Covers(a); ok {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

func TestLoad(t *testing.T) {
	f := newFixture(t)
	if p, n := f.Current(); p != nil || n != 0 || f.Err() == nil {
		t.Fatal("there is a policy before the first load")
	}
	steps := []struct {
		name     string
		data     string
		fsErr    error
		broken   bool
		err      string
		revision uint64
		allowed  string
		changes  int
	}{
		{name: "no file", fsErr: fs.ErrNotExist, err: "read policy: file does not exist", allowed: "no policy", changes: 1},
		{name: "still none", fsErr: fs.ErrNotExist, err: "read policy: file does not exist", allowed: "no policy", changes: 1},
		{name: "an empty file", data: "", err: "policy policy.yaml", allowed: "no policy", changes: 2},
		{name: "a good one", data: grant("t"), revision: 1, allowed: "t", changes: 3},
		{name: "unchanged", data: grant("t"), revision: 1, allowed: "t", changes: 3},
		{name: "half written", data: grant("u")[:100], err: "policy policy.yaml", revision: 1, allowed: "t", changes: 4},
		{name: "still half written", data: grant("u")[:100], err: "policy policy.yaml", revision: 1, allowed: "t", changes: 4},
		{name: "gone", fsErr: fs.ErrNotExist, err: "read policy", revision: 1, allowed: "t", changes: 5},
		{name: "not to be read", fsErr: fs.ErrPermission, err: "read policy: permission denied", revision: 1, allowed: "t", changes: 6},
		{name: "back", data: grant("t"), revision: 1, allowed: "t", changes: 7},
		{name: "the next, without a number", data: grant("u"), broken: true, err: "number policy: the state is away", revision: 1, allowed: "t", changes: 8},
		{name: "still without", data: grant("u"), broken: true, err: "number policy: the state is away", revision: 1, allowed: "t", changes: 8},
		{name: "with one", data: grant("u"), revision: 2, allowed: "u", changes: 9},
		{name: "empty again", data: "", err: "policy policy.yaml", revision: 2, allowed: "u", changes: 10},
		{name: "the first again", data: grant("t"), revision: 3, allowed: "t", changes: 11},
	}
	for _, s := range steps {
		before := f.allowed()
		f.fs.set(s.data, s.fsErr)
		f.state.broken = s.broken
		err := f.Load()
		if errors.Is(err, ErrUnsettled) {
			if f.allowed() != before {
				t.Errorf("%s: in force before it settled", s.name)
			}
			f.clock.ahead += settle
			err = f.Load()
		}
		if (err == nil) != (s.err == "") || err != nil && !strings.Contains(err.Error(), s.err) {
			t.Errorf("%s: error %v, want %q", s.name, err, s.err)
		}
		if !errors.Is(f.Err(), err) {
			t.Errorf("%s: Err is %v", s.name, f.Err())
		}
		if _, n := f.Current(); n != s.revision || f.allowed() != s.allowed || f.changes != s.changes {
			t.Errorf("%s: revision %d, %q allowed, %d changes; want %+v", s.name, n, f.allowed(), f.changes, s)
		}
	}
	if n := strings.Count(f.log.String(), "\n"); n != f.changes {
		t.Errorf("%d lines of log for %d changes:\n%s", n, f.changes, &f.log)
	}
}

// TestHalfOfAFileIsNoPolicy: a file that is written in pieces is never in force in
// part, though its beginning is a policy, too: one without the denies.
func TestHalfOfAFileIsNoPolicy(t *testing.T) {
	f := newFixture(t)
	f.fs.set(grant("t"), nil)
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	text := header + "scopes: {s: [{actions: [select], objects: ['public.*']}]}\n"
	denies := []string{"deny:\n", "  - objects: [public.t]\n", "  - objects: [public.u]\n"}
	for _, piece := range append([]string{""}, denies...) {
		text += piece
		f.fs.set(text, nil)
		if err := f.Load(); !errors.Is(err, ErrUnsettled) || f.allowed() != "t" {
			t.Fatalf("%q: %v, %q allowed", piece, err, f.allowed())
		}
		// The writer goes on just before the file counts.
		f.clock.ahead += settle - 10*time.Millisecond
	}
	f.clock.ahead += settle
	if err := f.Load(); err != nil || f.allowed() != "" {
		t.Errorf("%v, %q allowed", err, f.allowed())
	}
}

// TestLinksAreSwapped: as Kubernetes does with a ConfigMap, a link is replaced that
// the file's path goes through.
func TestLinksAreSwapped(t *testing.T) {
	dir := t.TempDir()
	volume := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "policy.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(dir, "..next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	volume("..1", grant("t"))
	if err := os.Symlink(filepath.Join("..data", "policy.yaml"), filepath.Join(dir, "policy.yaml")); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.cfg.File, f.deps.FS = filepath.Join(dir, "policy.yaml"), sys.OS().FS
	if err := f.Load(); err != nil || f.allowed() != "t" {
		t.Fatalf("%v, %q allowed", err, f.allowed())
	}
	volume("..2", grant("u"))
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(); !errors.Is(err, ErrUnsettled) || f.allowed() != "t" {
		t.Errorf("%v, %q allowed", err, f.allowed())
	}
	f.clock.ahead += settle
	if err := f.Load(); err != nil || f.allowed() != "u" {
		t.Errorf("%v, %q allowed", err, f.allowed())
	}
	// Between two volumes there may be none.
	if err := os.Remove(filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(); !errors.Is(err, fs.ErrNotExist) || f.allowed() != "u" {
		t.Errorf("%v, %q allowed", err, f.allowed())
	}
}

func TestRunPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.fs.set(grant("t"), nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		synctest.Wait()
		if f.allowed() != "t" {
			t.Error("the file was not read at once:", f.Err())
		}
		f.fs.set(grant("u"), nil)
		<-sys.OS().Clock.NewTimer(1999 * time.Millisecond).C()
		synctest.Wait()
		if f.allowed() != "t" {
			t.Error("the file was read before its time")
		}
		// The second look finds it unchanged.
		<-sys.OS().Clock.NewTimer(time.Millisecond).C()
		synctest.Wait()
		if f.allowed() != "u" {
			t.Error("the file was not read in time")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestNewChecks(t *testing.T) {
	if _, err := New(Config{Interval: -1}, Deps{}); err == nil || !strings.Contains(err.Error(), "2 problems") {
		t.Errorf("got %v", err)
	}
	if _, err := New(Config{File: "x"}, Deps{}); err == nil {
		t.Error("nothing to work with was accepted")
	}
}
