package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// TestConfigCheck: what lets somebody past the proxy is told, and what is as it should
// be is not.
func TestConfigCheck(t *testing.T) {
	t.Setenv("WATCHER_PASSWORD", "watcher-1")
	w := cluster.Start(t, demo.Config{
		SQL: `CREATE ROLE watcher LOGIN PASSWORD 'watcher-1' REPLICATION; GRANT pg_read_server_files TO watcher;
			GRANT SELECT ON pg_hba_file_rules TO watcher; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO watcher;
			CREATE ROLE stranger LOGIN; CREATE ROLE expired LOGIN VALID UNTIL '2001-01-01'; CREATE ROLE nologin;`,
		Logins: "        - {name: watcher, password: {env: WATCHER_PASSWORD}}\n",
	})
	binary := filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")
	check := func(t *testing.T, want int, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"config", "check", "-c", w.ConfigFile()}, args...)...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
			t.Fatalf("%v, want %d:\n%s", err, want, out)
		}
		return string(out)
	}
	out := check(t, 0)
	for _, part := range []string{
		"connect without the proxy: stranger. REVOKE", "superusers can log in without the proxy: " + w.Postgres.Superuser,
		"login watcher may replicate", "login watcher is a member of pg_read_server_files", "configuration ok",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("it does not say %q:\n%s", part, out)
		}
	}
	_, catalog := w.Roles()
	for _, part := range []string{"expired", "nologin", catalog, "login app", "is not known"} {
		if strings.Contains(out, part) {
			t.Errorf("it says %q:\n%s", part, out)
		}
	}
	check(t, 1, "--strict")
	if out := check(t, 0, "--strict", "--offline"); out != "configuration ok\n" {
		t.Errorf("offline: %q", out)
	}

	admin, err := pgx.Connect(t.Context(), w.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	hba := one(t, admin, "SHOW hba_file")
	if err := admin.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(hba, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("hostssl shop all 10.0.0.0/8 scram-sha-256\nhost other all 0.0.0.0/0 trust\nhost all all 192.0.2.0/24 reject\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	out = check(t, 0)
	if !strings.Contains(out, "lets all connect from 10.0.0.0 255.0.0.0 by scram-sha-256") || strings.Contains(out, "0.0.0.0 0.0.0.0") || strings.Contains(out, "192.0.2.0") {
		t.Errorf("the rules are not told:\n%s", out)
	}

	t.Setenv("WATCHER_PASSWORD", "wrong")
	if out := check(t, 1); !strings.Contains(out, "error: database shop: login watcher: ") || strings.Contains(out, "wrong") {
		t.Errorf("a login that does not work:\n%s", out)
	}
	if out := check(t, 1); !strings.Contains(out, "what pg_hba.conf lets in is not known") {
		t.Errorf("what cannot be read is not told:\n%s", out)
	}
}
