package rules

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// update rewrites the tables that are derived from the tree.
var update = flag.Bool("update", false, "write the derived columns of docs/threats.md")

const module = "github.com/scopewire/scopewire"

// pkg is what go list tells of a package of this repository.
type pkg struct {
	ImportPath, Name, Dir             string
	Imports, Deps                     []string
	GoFiles, CgoFiles, IgnoredGoFiles []string
	TestGoFiles, XTestGoFiles         []string
}

// path is the import path relative to the repository; "" is its root.
func (p pkg) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// within reports whether the package is dir or below it.
func (p pkg) within(dir string) bool {
	return p.path() == dir || strings.HasPrefix(p.path(), dir+"/")
}

// root is the folder of the repository.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.work above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
})

func repository(t *testing.T) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// load lists every package of the workspace, but generated ones, once for all
// rules.
var load = sync.OnceValues(func() ([]pkg, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Imports,Deps,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "work")
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("go list: " + err.Error() + ": " + stderr.String())
	}
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if !p.within("gen") {
			all = append(all, p)
		}
	}
})

func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found: the rules would hold of nothing", len(all))
	}
	return all
}

// files lists the repository's files as git would commit them now, relative to
// its root, with slashes.
func files(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = repository(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list files: %v", err)
	}
	var found []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(cmd.Dir, name)); err == nil {
			found = append(found, name)
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d files found: the rules would hold of nothing", len(found))
	}
	slices.Sort(found)
	found = slices.Compact(found)
	// go test repeats a cached result unless a file or folder that the test has
	// opened changed, and it does not see what git opened.
	seen := map[string]bool{}
	for _, name := range found {
		if dir := filepath.Dir(name); !seen[dir] {
			seen[dir] = true
			if _, err := os.ReadDir(filepath.Join(cmd.Dir, dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
