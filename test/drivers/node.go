package drivers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/scopewire/scopewire/internal/secret"
)

// Target is a server and how to log in.
type Target struct {
	// Host and Port are its TCP address.
	Host string
	Port int
	// Database, User and Password log in. The password may be a token.
	Database, User string
	Password       secret.Bytes
	// RootCert is a PEM file with the authority of the server's certificate.
	// Empty: no TLS.
	RootCert string
}

// Node runs node/script.mjs, which speaks through node-postgres, and returns the
// lines it printed. It needs node and npm, and installs the pinned driver beside
// the script at first use. The test fails when either cannot be had or the script
// does not come to its end.
func Node(t testing.TB, to Target) []byte {
	t.Helper()
	dir := filepath.Join(folder(t), "node")
	install(t, dir)
	cmd := exec.CommandContext(t.Context(), "node", "script.mjs")
	cmd.Dir = dir
	// Nothing of our own environment but what programs need: PG* variables of a
	// developer would lead the driver elsewhere.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"PGHOST=" + to.Host, fmt.Sprintf("PGPORT=%d", to.Port),
		"PGDATABASE=" + to.Database, "PGUSER=" + to.User,
		"PGPASSWORD=" + string(to.Password.Expose()),
		"PGSSLROOTCERT=" + to.RootCert,
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("node-postgres: %v\n%s%s", err, out.Bytes(), stderr.Bytes())
	}
	return out.Bytes()
}

// NodeExpected are the lines that Node returns for a server that enforces what
// the scripts' user may do.
func NodeExpected(t testing.TB) []byte {
	t.Helper()
	return load(t, filepath.Join("testdata", "node.jsonl"))
}

// Schema is the SQL that makes what the scripts expect in a database.
func Schema(t testing.TB) string {
	t.Helper()
	return string(load(t, "schema.sql"))
}

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// folder is this package's folder, from wherever a test runs.
func folder(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if ok && filepath.IsAbs(file) {
		return filepath.Dir(file)
	}
	// Built with -trimpath: the package's own tests run in its folder, others
	// within the repository.
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/scopewire/scopewire/test/drivers").Output()
	if err != nil {
		t.Fatalf("find the drivers' folder: %v", err)
	}
	return string(bytes.TrimSpace(out))
}

// install brings node_modules to what package-lock.json says. Test processes
// that do so at the same time wait for one another.
func install(t testing.TB, dir string) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the driver tests need node with npm (on Debian: apt-get install nodejs npm): %v", err)
		}
	}
	unlock, err := lock(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	pinned, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(pinned)
	want := []byte(hex.EncodeToString(sum[:]))
	stamp := filepath.Join(dir, "node_modules", ".installed")
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, want) {
		return
	}
	t.Logf("npm ci in %s: the drivers pinned in package-lock.json", dir)
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci in %s: %v\n%s", dir, err, out)
	}
	if err := os.WriteFile(stamp, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// lock holds a file against other processes; the kernel frees it with ours.
func lock(name string) (unlock func(), err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
