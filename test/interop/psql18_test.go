package interop_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/scopewire/scopewire/test/interop"
)

// psql18 is a psql that speaks OAUTHBEARER, from SCOPEWIRE_PSQL18 or the path. Debian's
// is made by `make psql18`.
func psql18(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("SCOPEWIRE_PSQL18"), "psql"} {
		out, err := exec.CommandContext(t.Context(), name, "--version").Output()
		if m := regexp.MustCompile(`^psql \(PostgreSQL\) (\d+)`).FindSubmatch(out); err == nil && m != nil {
			if major, err := strconv.Atoi(string(m[1])); err == nil && major >= 18 {
				return name
			}
		}
	}
	t.Skip("no psql 18 with libpq-oauth here: make psql18, and set SCOPEWIRE_PSQL18 to what it prints")
	return ""
}

// psql completes the device flow by itself: it is told by the proxy where to go, prompts
// the person, and connects anew with the token.
func (s *world) psql(t *testing.T) {
	program := psql18(t)
	dsn := func(issuer string) string {
		return strings.Replace(s.ConnString("paula"), "host=127.0.0.1", "host=localhost", 1) + " oauth_issuer=" + issuer + " oauth_client_id=" + interop.PublicClient +
			" oauth_scope='openid orders.read' options='-c scopewire.auth=oauth' require_auth=oauth"
	}
	command := func(issuer, sql string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, "-X", "-At", "-d", dsn(issuer), "-c", sql)
		// The issuer's authority is the demo's, which libpq takes in this mode alone.
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C", "PGOAUTHDEBUG=UNSAFE", "PGOAUTHCAFILE=" + s.CAFile}
		return cmd
	}
	for sql, want := range map[string]string{"SELECT count(*) FROM orders": "4\n", "SELECT count(*) FROM employees": "permission denied"} {
		cmd := command(s.issuer, sql)
		var out bytes.Buffer
		cmd.Stdout = &out
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		var visiting sync.WaitGroup
		r := bufio.NewReader(io.TeeReader(stderr, &said))
		for {
			line, err := r.ReadString('\n')
			// "Visit https://… and enter the code: …" (libpq-oauth, prompt_user).
			if m := regexp.MustCompile(`^Visit (\S+) and enter the code: (\S+)`).FindStringSubmatch(line); m != nil {
				visiting.Go(func() { visit(t, s.person(t, "paula"), m[1], m[2]) })
			}
			if err != nil {
				break
			}
		}
		visiting.Wait()
		_ = cmd.Wait() // What it printed is what matters.
		if got := out.String() + said.String(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", sql, got)
		}
	}
	// An issuer that the person did not name gets nothing: libpq compares it with what the
	// proxy says.
	out, err := command("https://other.example.com", "SELECT 1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "incompatible with oauth_issuer") {
		t.Errorf("%v: %s", err, out)
	}
}
