package state

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/filelock"
	"github.com/scopewire/scopewire/internal/revocation"
	"github.com/scopewire/scopewire/internal/sys"
)

func digest(b byte) Digest { return Digest{0: b, 31: ^b} }

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(sys.OS().FS, sys.OS().Clock, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// stores runs a test on every backend.
func stores(t *testing.T, test func(t *testing.T, s Store)) {
	t.Run("file", func(t *testing.T) { test(t, open(t, filepath.Join(t.TempDir(), "state.json"))) })
	t.Run("memory", func(t *testing.T) { test(t, NewMemory(sys.OS().Clock)) })
}

func TestNumbers(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		steps := []struct {
			database string // Empty for the policy.
			digest   byte
			want     uint64
		}{
			{"", 1, 1},
			{"", 1, 1},
			{"", 2, 2},
			{"", 1, 3}, // A content that comes back is a new revision.
			{"", 1, 3},
			{"app", 1, 1},
			{"other", 1, 1},
			{"app", 2, 2},
			{"other", 1, 1},
			{"app", 2, 2},
			{"app", 1, 3},
			{"", 2, 4},
		}
		for i, step := range steps {
			next := s.NextPolicy
			if step.database != "" {
				next = func(d Digest) (uint64, error) { return s.NextCatalog(step.database, d) }
			}
			n, err := next(digest(step.digest))
			if err != nil || n != step.want {
				t.Fatalf("step %d: got %d, %v; want %d", i, n, err, step.want)
			}
		}
		var numbers []uint64
		for _, r := range s.Policies() {
			numbers = append(numbers, r.Number)
		}
		if diff := cmp.Diff([]uint64{4, 3, 2, 1}, numbers); diff != "" {
			t.Error(diff)
		}
		if s.Revocations().Count() != 0 {
			t.Error("something was revoked")
		}
		for _, name := range []string{"", "\xff"} {
			if n, err := s.NextCatalog(name, digest(1)); err == nil || n != 0 {
				t.Errorf("database %q got version %d", name, n)
			}
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	m := NewMemory(sys.OS().Clock)
	for i := range keepRevisions + 10 {
		if n, err := m.NextPolicy(Digest{0: byte(i), 1: byte(i >> 8)}); err != nil || n != uint64(i+1) {
			t.Fatal(n, err)
		}
	}
	got := m.Policies()
	if len(got) != keepRevisions || got[0].Number != keepRevisions+10 || got[len(got)-1].Number != 11 {
		t.Errorf("%d revisions, from %d to %d", len(got), got[len(got)-1].Number, got[0].Number)
	}
}

// TestRestart: numbers go on after every restart, whatever the order of
// assignments and restarts, and no number is given to two contents.
func TestRestart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		path := filepath.Join(dir, "state.json")
		type key struct{ name string }
		given := map[key]map[uint64]Digest{}
		highest := map[key]uint64{}
		var f *File
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if f == nil {
				if f, err = Open(sys.OS().FS, sys.OS().Clock, path); err != nil {
					rt.Fatal(err)
				}
			}
			k := key{rapid.SampledFrom([]string{"", "app", "other"}).Draw(rt, "database")}
			d := digest(rapid.ByteRange(1, 3).Draw(rt, "digest"))
			next := f.NextPolicy
			if k.name != "" {
				next = func(d Digest) (uint64, error) { return f.NextCatalog(k.name, d) }
			}
			n, err := next(d)
			if err != nil {
				rt.Fatal(err)
			}
			if given[k] == nil {
				given[k] = map[uint64]Digest{}
			}
			if old, ok := given[k][n]; ok && old != d {
				rt.Fatalf("%q: number %d stands for two contents", k.name, n)
			}
			if n < highest[k] {
				rt.Fatalf("%q: number %d after %d", k.name, n, highest[k])
			}
			given[k][n], highest[k] = d, max(highest[k], n)
			if rapid.Bool().Draw(rt, "restart") {
				if err := f.Close(); err != nil {
					rt.Fatal(err)
				}
				f = nil
			}
		}
		if f != nil {
			_ = f.Close()
		}
	})
}

func TestHistorySurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	f := open(t, path)
	for b := range byte(3) {
		if _, err := f.NextPolicy(digest(b)); err != nil {
			t.Fatal(err)
		}
	}
	want := f.Policies()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, open(t, path).Policies()); diff != "" {
		t.Error(diff)
	}
	if age := time.Since(want[0].Loaded); age < 0 || age > time.Minute {
		t.Errorf("the newest revision is %s old", age)
	}
}

func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	f := open(t, path)
	if _, err := Open(sys.OS().FS, sys.OS().Clock, path); !errors.Is(err, filelock.ErrInUse) {
		t.Fatalf("a second owner got %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.NextPolicy(digest(1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a closed state answered %v", err)
	}
	open(t, path)
}

// TestDamage: a file that is not exactly what was written is an error, and
// stays as it is.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	f := open(t, path)
	for b := range byte(2) {
		if _, err := f.NextPolicy(digest(b)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.NextCatalog("app", digest(9)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(sys.OS().FS, sys.OS().Clock, path); err == nil {
			_ = f.Close()
			t.Errorf("%s: accepted", name)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(data) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	for n := range len(good) - 1 { // Without its last byte, a newline, it is whole.
		refuse("cut", good[:n])
	}
	for i := range len(good) - 1 {
		bad := []byte(string(good))
		bad[i] ^= 1
		refuse("flipped "+string(bad[i]), bad)
	}
	refuse("doubled", append(append([]byte{}, good...), good...))
	refuse("an older form", []byte(strings.Replace(string(good), `"format":1`, `"format":2`, 1)))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(sys.OS().FS, sys.OS().Clock, path); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a state that has gone gave %v", err)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := open(t, path).NextCatalog("app", digest(9)); err != nil || n != 1 {
		t.Errorf("the good file gave %d, %v", n, err)
	}
}

// faultFS fails the n-th call that changes something.
type faultFS struct {
	sys.FS
	left int
}

var errFault = errors.New("no space left on device")

func (f *faultFS) fault() error {
	f.left--
	if f.left == 0 {
		return errFault
	}
	return nil
}

func (f *faultFS) OpenFile(name string, flag int, perm fs.FileMode) (sys.File, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenFile(name, flag, perm)
	return faultFile{file, f}, err
}

func (f *faultFS) Rename(a, b string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.FS.Rename(a, b)
}

func (f *faultFS) SyncDir(name string) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.FS.SyncDir(name)
}

type faultFile struct {
	sys.File
	fs *faultFS
}

func (f faultFile) Write(p []byte) (int, error) {
	if err := f.fs.fault(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f faultFile) Sync() error {
	if err := f.fs.fault(); err != nil {
		return err
	}
	return f.File.Sync()
}

// TestFaults fails every single step of every write: no number is given that a
// restart would not know, and after the fault the store goes on.
func TestFaults(t *testing.T) {
	for n := 1; ; n++ {
		path := filepath.Join(t.TempDir(), "state.json")
		fsys := &faultFS{FS: sys.OS().FS, left: n}
		given := map[uint64]byte{}
		failed := 0
		f, err := Open(fsys, sys.OS().Clock, path)
		if err != nil {
			failed++
			if f, err = Open(fsys, sys.OS().Clock, path); err != nil {
				t.Fatalf("fault %d: not opened after the fault: %v", n, err)
			}
		}
		for b := byte(1); b < 5; b++ {
			number, err := f.NextPolicy(digest(b))
			if err != nil {
				failed++
				continue
			}
			if old, ok := given[number]; ok {
				t.Fatalf("fault %d: %d given to %d and %d", n, number, old, b)
			}
			given[number] = b
		}
		want := f.Policies()
		_ = f.Close()
		again := open(t, path)
		// The file may hold one revision more: one that nobody has heard of.
		got := again.Policies()
		if diff := cmp.Diff(want, got[max(0, len(got)-len(want)):]); diff != "" || len(got) > len(want)+1 {
			t.Fatalf("fault %d: %s", n, diff)
		}
		if failed == 0 {
			if n < 20 {
				t.Fatalf("only %d steps were failed", n)
			}
			return
		}
	}
}

func TestConcurrent(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		var mu sync.Mutex
		given := map[uint64]Digest{}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 20 {
					d := digest(byte(g*7 + i%5))
					n, err := s.NextCatalog("app", d)
					mu.Lock()
					if old, ok := given[n]; err != nil || ok && old != d {
						t.Errorf("number %d: %v", n, err)
					}
					given[n] = d
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	})
}

// Revocations and leases outlive the process; what is damaged is not read as something
// else.
func TestRevocationsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	machine := sys.OS()
	again := func() *File {
		t.Helper()
		f, err := Open(machine.FS, machine.Clock, path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := again()
	sum := sha256.Sum256([]byte("token"))
	for _, r := range []*authzv1.Revocation{
		{TokenSha256: sum[:], ExpiresAt: 1 << 40}, {Issuer: "i", Subject: "s\"é", ClientId: "c", IssuedBefore: 77}, {TokenId: "j"},
	} {
		if _, err := f.Revoke(r, Actor{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.Revoke(&authzv1.Revocation{TokenId: "j"}, Actor{}); n != 3 || err != nil {
		t.Errorf("the same again: %d, %v", n, err)
	}
	for _, lease := range []time.Duration{time.Second, 3 * time.Second, time.Second} {
		if err := f.KeepLease(lease); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.EndDecisions(); err != nil {
		t.Fatal(err)
	}
	want := f.Revocations().Entries()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Revoke(&authzv1.Revocation{TokenId: "k"}, Actor{}); err == nil {
		t.Error("a closed state takes a revocation")
	}
	if f.EndDecisions() == nil {
		t.Error("a closed state ends decisions")
	}
	f = again()
	defer func() { _ = f.Close() }()
	if diff := cmp.Diff(want, f.Revocations().Entries(), protocmp.Transform()); diff != "" || f.Revocations().Count() != 4 || f.Lease() != 3*time.Second {
		t.Errorf("count %d, lease %s, entries (-before +after):\n%s", f.Revocations().Count(), f.Lease(), diff)
	}
	if !f.Revocations().Ended(revocation.Token{SHA256: sum}) {
		t.Error("a revoked token stands after a restart")
	}
}
