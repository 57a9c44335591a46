package pgboot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// binaries is a folder of server programs.
type binaries struct {
	dir     string
	version string // as the server prints it, such as 15.12 or 18beta1
	major   int
}

// installGlobs are the folders where packages put server programs.
var installGlobs = [...]string{
	"/usr/lib/postgresql/*/bin", // Debian and its kin
	"/usr/pgsql-*/bin",          // the project's own RPMs
	"/usr/libexec/postgresql*",  // Alpine
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// find returns server programs in the order that the package comment gives.
func find(ctx context.Context, c Config) (binaries, error) {
	for _, named := range []struct{ what, dir string }{{"Config.BinDir", c.BinDir}, {"PG_BIN", os.Getenv("PG_BIN")}} {
		if named.dir == "" {
			continue
		}
		// What was named and does not serve is an error: quietly taking another
		// version would let a test of one version pass on another.
		b, err := probe(ctx, named.dir)
		if err != nil {
			return binaries{}, fmt.Errorf("use %s: %w", named.what, err)
		}
		if c.Major != 0 && b.major != c.Major {
			return binaries{}, fmt.Errorf("use %s: %s holds PostgreSQL %s, not %d", named.what, b.dir, b.version, c.Major)
		}
		return b, nil
	}
	if b, ok := newest(ctx, installed(ctx), c.Major); ok {
		return b, nil
	}
	if dir, err := cacheDir(c); err == nil {
		dirs, _ := filepath.Glob(filepath.Join(dir, cachePrefix+"*", "bin"))
		if b, ok := newest(ctx, dirs, c.Major); ok {
			return b, nil
		}
	}
	if c.Offline {
		return binaries{}, fmt.Errorf("find postgres: %w", errNoServer(c.Major, nil))
	}
	return fetch(ctx, c)
}

// errNoServer tells a person what to do; tried holds what went wrong on the way.
func errNoServer(major int, tried error) error {
	which := "a PostgreSQL server"
	if major != 0 {
		which = fmt.Sprintf("a PostgreSQL %d server", major)
	}
	msg := which + " is needed and none was found: install one (on Debian: apt-get install postgresql), " +
		"or npm, with which one is fetched, or set PG_BIN to the folder that holds initdb and postgres"
	if tried != nil {
		return fmt.Errorf("%s; tried: %w", msg, tried)
	}
	return errors.New(msg)
}

// installed lists folders that may hold server programs.
func installed(ctx context.Context) []string {
	var dirs []string
	for _, pattern := range installGlobs {
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

// newest picks the highest version that serves; major 0 accepts any.
func newest(ctx context.Context, dirs []string, major int) (binaries, bool) {
	var best binaries
	for _, dir := range dirs {
		b, err := probe(ctx, dir)
		if err != nil || major != 0 && b.major != major {
			continue
		}
		if b.major > best.major || b.major == best.major && minor(b.version) > minor(best.version) {
			best = b
		}
	}
	return best, best.dir != ""
}

// probe checks that dir holds initdb and a server of a supported version.
func probe(ctx context.Context, dir string) (binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, err
	}
	for _, program := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, program))
		if err != nil {
			return binaries{}, err
		}
		if info.IsDir() || info.Mode()&0o111 == 0 {
			return binaries{}, fmt.Errorf("%s in %s is no program", program, dir)
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output() //nolint:gosec // G204: running the server found is the purpose
	if err != nil {
		return binaries{}, fmt.Errorf("ask postgres in %s for its version: %w", dir, err)
	}
	version, major, err := parseVersion(string(out))
	if err != nil {
		return binaries{}, fmt.Errorf("postgres in %s: %w", dir, err)
	}
	if major < oldestMajor {
		return binaries{}, fmt.Errorf("postgres in %s is version %s, older than %d", dir, version, oldestMajor)
	}
	return binaries{dir: dir, version: version, major: major}, nil
}

// parseVersion reads "postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)".
func parseVersion(s string) (version string, major int, err error) {
	_, rest, ok := strings.Cut(s, "(PostgreSQL) ")
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return "", 0, fmt.Errorf("unreadable version %q", strings.TrimSpace(s))
	}
	version = fields[0]
	digits := len(version) - len(strings.TrimLeft(version, "0123456789"))
	major, err = strconv.Atoi(version[:digits])
	if err != nil {
		return "", 0, fmt.Errorf("unreadable version %q", version)
	}
	return version, major, nil
}

// minor is the second number of a released version; pre-releases rank below.
func minor(version string) int {
	_, m, ok := strings.Cut(version, ".")
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(m)
	if err != nil {
		return -1
	}
	return n
}
