package passfile_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/passfile"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// password is what a client finds in the file for a server.
func password(t *testing.T, file, host, port string) string {
	t.Helper()
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%s user=u dbname=d sslmode=disable passfile=%s", host, port, file))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Password
}

// TestOneServerGetsTheToken: the proxy does, whatever is in the token; another server
// gets what the person's own file says.
func TestOneServerGetsTheToken(t *testing.T) {
	t.Setenv("PGPASSWORD", "")
	dir := t.TempDir()
	own := filepath.Join(dir, "own")
	write(t, own, "db.example.com:*:*:*:mine\nother:*:*:*:other's\n", 0o600)
	f, err := passfile.New(sys.OS().FS, dir, "db.example.com:6432", own)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"eyJ.eyJ.sig", `with:colon\and:backslash\`, "next"} {
		if err := f.Write(secret.FromString(token)); err != nil {
			t.Fatal(err)
		}
		if got := password(t, f.Name(), "db.example.com", "6432"); got != token {
			t.Errorf("%q, want %q", got, token)
		}
	}
	for host, want := range map[string][2]string{"db.example.com": {"5432", "mine"}, "other": {"6432", "other's"}, "third": {"6432", ""}} {
		if got := password(t, f.Name(), host, want[0]); got != want[1] {
			t.Errorf("%s:%s gets %q, want %q", host, want[0], got, want[1])
		}
	}
	info, err := os.Stat(f.Name())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := f.Write(secret.FromString("two\nlines:*")); err == nil {
		t.Error("a token of two lines was written")
	}
	for range 2 {
		if err := f.Remove(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(f.Name()); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// TestOwnFile: what libpq would not read is not read here.
func TestOwnFile(t *testing.T) {
	t.Setenv("PGPASSWORD", "")
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	write(t, open, "*:*:*:*:anybody's\n", 0o644)
	for _, own := range []string{open, filepath.Join(dir, "missing"), dir, ""} {
		f, err := passfile.New(sys.OS().FS, t.TempDir(), "[::1]:6432", own)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write(secret.FromString("t")); err != nil {
			t.Fatal(err)
		}
		if got := password(t, f.Name(), "other", "6432"); got != "" {
			t.Errorf("%s: %q", own, got)
		}
		if got := password(t, f.Name(), "::1", "6432"); got != "t" {
			t.Errorf("%s: %q", own, got)
		}
	}
	for _, address := range []string{"", "db", ":6432", "db:"} {
		if _, err := passfile.New(sys.OS().FS, dir, address, ""); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}

// TestDeadProcesses: what a process that was killed left is cleared away, and that of
// one that runs is not.
func TestDeadProcesses(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	dead := strconv.Itoa(cmd.ProcessState.Pid())
	for _, name := range []string{"pgpass-" + dead, "pgpass-" + dead + ".tmp", "pgpass-1", "pgpass-x", "audit.sock"} {
		write(t, filepath.Join(dir, name), "x", 0o600)
	}
	if _, err := passfile.New(sys.OS().FS, dir, "db:6432", ""); err != nil {
		t.Fatal(err)
	}
	for name, kept := range map[string]bool{"pgpass-" + dead: false, "pgpass-" + dead + ".tmp": false, "pgpass-1": true, "pgpass-x": true, "audit.sock": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != kept {
			t.Errorf("%s: %v", name, err)
		}
	}
}
