package regress

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// suite is PostgreSQL's src/test/regress, in a folder that any user may read and
// the servers may write results to.
type suite struct{ dir string }

// sourceDir is where scripts/oracle-tools puts the suite.
func sourceDir() (string, error) {
	if dir := os.Getenv("SCOPEWIRE_REGRESS"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "scopewire", "regress"), err
}

// prepare copies the suite and builds its library; it skips the test when one is
// not to be had.
func prepare(t *testing.T) suite {
	t.Helper()
	source, err := sourceDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(source, "parallel_schedule")); err != nil {
		t.Skipf("PostgreSQL's regression suite is not in %s; scripts/oracle-tools fetches it", source)
	}
	dir, err := os.MkdirTemp("/tmp", "regress-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := suite{dir: dir}
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.libraries(), 0o755); err != nil {
		t.Fatal(err)
	}
	// The servers run as another user.
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return os.Chmod(path, 0o755) //nolint:gosec // G302: a folder of public text.
		}
		return os.Chmod(path, 0o644) //nolint:gosec // G302: public text.
	})
	if err != nil {
		t.Fatal(err)
	}
	s.build(t)
	return s
}

func (s suite) libraries() string { return filepath.Join(s.dir, "lib") }

// build compiles regress.so and puts the other libraries that scripts load beside it.
func (s suite) build(t *testing.T) {
	t.Helper()
	config := func(what string) string {
		out, err := exec.CommandContext(t.Context(), "pg_config", what).Output()
		if err != nil {
			t.Skipf("pg_config %s: %v (on Debian: apt-get install postgresql-server-dev-15)", what, err)
		}
		return strings.TrimSpace(string(out))
	}
	headers := config("--includedir-server")
	if _, err := os.Stat(filepath.Join(headers, "postgres.h")); err != nil {
		t.Skipf("the server's headers are not in %s (on Debian: apt-get install postgresql-server-dev-15)", headers)
	}
	//nolint:gosec // G204: the compiler, with folders of this machine's PostgreSQL.
	cc := exec.CommandContext(t.Context(), "cc", "-O1", "-fPIC", "-shared", "-w", "-I", headers,
		"-o", filepath.Join(s.libraries(), "regress.so"), filepath.Join(s.dir, "regress.c"))
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("regress.so: %v\n%s", err, out)
	}
	for _, name := range []string{"autoinc.so", "refint.so"} {
		if err := os.Symlink(filepath.Join(config("--pkglibdir"), name), filepath.Join(s.libraries(), name)); err != nil {
			t.Fatal(err)
		}
	}
}

// scripts are the names of the schedule, in its order.
func (s suite) scripts() ([]string, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, "parallel_schedule"))
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		if names, found := strings.CutPrefix(line, "test:"); found {
			all = append(all, strings.Fields(names)...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the schedule in %s names no script", s.dir)
	}
	return all, nil
}

// results makes the folder that scripts have the server write to.
func (s suite) results(side string) (string, error) {
	dir := filepath.Join(s.dir, side)
	if err := os.MkdirAll(filepath.Join(dir, "results"), 0o755); err != nil {
		return "", err
	}
	return dir, os.Chmod(filepath.Join(dir, "results"), 0o777) //nolint:gosec // G302: the server, which is another user, writes here.
}

// clean takes away what pg_regress sets for a run of its own.
func clean(environment []string) []string {
	return slices.DeleteFunc(environment, func(e string) bool {
		return strings.HasPrefix(e, "PG") || strings.HasPrefix(e, "LC_") || strings.HasPrefix(e, "LANG")
	})
}
