package e2e_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/test/cluster"
)

// What a newcomer does: start the demo, paste the line it prints, look the
// reference up, press Ctrl-C.
func TestDemo(t *testing.T) {
	bin := filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")
	tmp := t.TempDir()
	env := append(os.Environ(), "LC_ALL=C", "SCOPEWIRE_RUNTIME_DIR="+filepath.Join(tmp, "run"), "TMPDIR="+shortTemp(t))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "demo")
	cmd.Env = env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		printed.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		for lines.Scan() {
		}
	}()
	paste := regexp.MustCompile(`(?m)^ *(PGPASSWORD=.* -c .*)$`).FindStringSubmatch(printed.String())
	if paste == nil {
		t.Fatalf("no line to paste:\n%s", &printed)
	}
	shell := func(line string) string {
		c := exec.CommandContext(ctx, "bash", "-c", line)
		c.Env = env
		out, _ := c.CombinedOutput() // psql ends with 1 after a denial.
		return string(out)
	}
	out := shell(paste[1] + ` -c "SELECT 'still works' AS then"`)
	expect(t, out, "99.50")
	for _, part := range []string{"ERROR:  permission denied by the access token's scopes", "still works"} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in:\n%s", part, out)
		}
	}
	ref := regexp.MustCompile(`Reference: (\S+)`).FindStringSubmatch(out)
	if ref == nil {
		t.Fatalf("no reference:\n%s", out)
	}
	expect(t, shell(bin+" audit show "+ref[1]), ref[1], "statement denied", "alice", "SELECT name, salary FROM employees")
	expect(t, shell(bin+" audit list"), "statement denied")
	expect(t, shell(bin+" token nobody"), `the demo has no user "nobody"`)

	dir := regexp.MustCompile(`(\S+)/policy\.yaml`).FindStringSubmatch(printed.String())
	if dir == nil {
		t.Fatalf("no policy file is named:\n%s", &printed)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-rest
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if _, err := os.Stat(dir[1]); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", dir[1], err)
	}
	expect(t, shell(bin+" token alice"), "no demo is running")
}

// shortTemp is a temporary directory with a path short enough for a socket.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestTour(t *testing.T) {
	bin := filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")
	cmd := exec.CommandContext(t.Context(), bin, "demo", "--tour")
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SCOPEWIRE_RUNTIME_DIR="+filepath.Join(t.TempDir(), "run"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expect(t, string(out), "SELECT name, salary FROM employees", "ERROR 42501", "25P02", "ROLLBACK", "statement denied", "chain hash", "cleaning up")
}

// A session ends with its token, also in the middle of a statement, and says so.
func TestTokenExpiryEndsTheSession(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	tok, err := w.Issuer.Mint(devissuer.Claims{Subject: "alice", Audience: []string{demo.Audience}, Scopes: []string{"orders.read"}, Lifetime: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s := session{t, cluster.ConnectWith(t, w.ConnString("alice"), tok)}
	if got := s.state("SELECT id FROM orders"); got != "" {
		t.Fatal(got)
	}
	began := time.Now()
	if got := s.state("SELECT pg_sleep(60)"); got != "28000" {
		t.Errorf("at the token's end: %q", got)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := w.Query().ListEvents(ctx, &auditv1.ListEventsRequest{Types: []auditv1.EventType{auditv1.EventType_EVENT_TYPE_TOKEN_EXPIRED}})
		if err != nil {
			t.Fatalf("the expiry is not recorded: %v", err)
		}
		if len(list.GetEvents()) == 1 && list.GetEvents()[0].GetEvent().GetPrincipal().GetSubject() == "alice" {
			return
		}
		<-tick.C
	}
}
