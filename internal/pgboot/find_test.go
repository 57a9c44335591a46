package pgboot

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for _, test := range []struct {
		out, version string
		major        int
	}{
		{"postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)\n", "15.12", 15},
		{"postgres (PostgreSQL) 18beta1\n", "18beta1", 18},
		{"postgres (PostgreSQL) 17.10", "17.10", 17},
		{"postgres (PostgreSQL) ", "", 0},
		{"postgres (PostgreSQL) devel", "", 0},
		{"mysqld 8", "", 0},
		{"", "", 0},
	} {
		version, major, err := parseVersion(test.out)
		if (err != nil) != (test.major == 0) || major != test.major || err == nil && version != test.version {
			t.Errorf("%q: got %q, %d, %v", test.out, version, major, err)
		}
	}
}

// fakeServer makes a folder whose postgres only tells its version.
func fakeServer(t *testing.T, version string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script(t, filepath.Join(dir, "initdb"), "exit 1")
	script(t, filepath.Join(dir, "postgres"), "echo 'postgres (PostgreSQL) "+version+"'")
	return dir
}

func script(t *testing.T, name, body string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestNewestServerWins(t *testing.T) {
	dirs := []string{
		fakeServer(t, "9.6.1"), fakeServer(t, "16beta2"), fakeServer(t, "16.2"), fakeServer(t, "16.10"),
		fakeServer(t, "15.30"), t.TempDir(), "/no/such/folder",
	}
	for major, want := range map[int]string{0: "16.10", 16: "16.10", 15: "15.30", 9: "", 17: ""} {
		b, ok := newest(t.Context(), dirs, major)
		if b.version != want || ok != (want != "") {
			t.Errorf("major %d: got %q, want %q", major, b.version, want)
		}
	}
}

func TestNamedFolderIsNeverPassedOver(t *testing.T) {
	t.Setenv("PG_BIN", fakeServer(t, "16.1"))
	if b, err := find(t.Context(), Config{}); err != nil || b.version != "16.1" {
		t.Errorf("got %v, %v", b, err)
	}
	if b, err := find(t.Context(), Config{BinDir: fakeServer(t, "17.1")}); err != nil || b.version != "17.1" {
		t.Errorf("got %v, %v", b, err)
	}
	if _, err := find(t.Context(), Config{Major: 15}); err == nil || !strings.Contains(err.Error(), "16.1, not 15") {
		t.Errorf("got %v", err)
	}
	t.Setenv("PG_BIN", fakeServer(t, "13.9"))
	if _, err := find(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "older than 14") {
		t.Errorf("got %v", err)
	}
	t.Setenv("PG_BIN", t.TempDir())
	if _, err := find(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "use PG_BIN") {
		t.Errorf("got %v", err)
	}
}

func TestNoServerSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // neither npm nor apt-get nor postgres
	missing := 0
	for major := oldestMajor; major <= newestMajor; major++ {
		if _, ok := newest(t.Context(), installed(t.Context()), major); !ok {
			missing = major
		}
	}
	if missing == 0 {
		t.Fatal("every supported version is installed: nothing can be missing")
	}
	for _, offline := range []bool{true, false} {
		_, err := find(t.Context(), Config{Major: missing, Offline: offline, CacheDir: t.TempDir(), Progress: io.Discard})
		if err == nil {
			t.Fatal("found one")
		}
		for _, want := range []string{fmt.Sprintf("PostgreSQL %d", missing), "apt-get install", "npm", "PG_BIN"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
	}
}

func TestCachedServerIsFoundWithoutFetching(t *testing.T) {
	cache := t.TempDir()
	if err := os.Mkdir(filepath.Join(cache, cachePrefix+"99.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fakeServer(t, "99.1"), filepath.Join(cache, cachePrefix+"99.1", "bin")); err != nil {
		t.Fatal(err)
	}
	b, err := find(t.Context(), Config{Major: 99, CacheDir: cache, Offline: true})
	if err != nil || b.version != "99.1" {
		t.Errorf("got %v, %v", b, err)
	}
}

func TestProgramsOutOfReachAreCopied(t *testing.T) {
	bin := fakeServer(t, "17.1")
	tree := filepath.Dir(bin)
	if err := os.MkdirAll(filepath.Join(tree, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "lib", "libpq.so.5.17"), []byte("library"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("libpq.so.5.17", filepath.Join(tree, "lib", "libpq.so")); err != nil {
		t.Fatal(err)
	}
	b := binaries{dir: bin, version: "17.1", major: 17}
	for _, id := range []identity{asSelf, inNamespace, asJanitor} {
		if got, err := b.within(t.TempDir(), id); err != nil || got != b {
			t.Errorf("%d: got %v, %v", id, got, err)
		}
	}
	if err := os.Chmod(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	got, err := b.within(dir, asNobody)
	if err != nil || got.dir != filepath.Join(dir, "pg", "bin") {
		t.Fatalf("got %v, %v", got, err)
	}
	if got, err := probe(t.Context(), got.dir); err != nil || got.version != "17.1" {
		t.Errorf("got %v, %v", got, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "pg", "lib", "libpq.so")); err != nil || string(text) != "library" {
		t.Errorf("the link is %q, %v", text, err)
	}
}

func TestNobodyReachesOpenFoldersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[string]bool{"/": true, "/usr/bin": true, dir: false, "/no/such/folder": false} {
		if got := asNobody.reaches(d); got != want {
			t.Errorf("%s: got %v", d, got)
		}
	}
	if !asSelf.reaches(dir) {
		t.Error("a user reaches his own folder")
	}
}
