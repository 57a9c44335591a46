package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
	"github.com/scopewire/scopewire/test/interop"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a demo that takes the tokens of an oidc-provider besides its own.
type world struct {
	*demo.World
	// resource is where the proxy says who issues its tokens.
	issuer, resource, binary, dir string
}

func start(t *testing.T, life time.Duration, by clientAuth) *world {
	t.Helper()
	s := &world{}
	s.World = cluster.Start(t, demo.Config{Issuers: func(ctx context.Context, w *demo.World) (string, error) {
		keys, asks, err := by(w)
		if err != nil {
			return "", err
		}
		s.issuer, err = interop.Provider(ctx, t, w, life, keys)
		if err != nil {
			return "", err
		}
		w.DoorIssuer = s.issuer
		if s.resource, w.ProxyConfig, err = metadata(ctx, w, s.issuer); err != nil {
			return "", err
		}
		return fmt.Sprintf("  - issuer: %s\n    audiences: [%s]\n    trust_authorization_details: {actions: [select], objects: [public.customers]}\n%s",
			s.issuer, demo.Audience, asks), nil
	}})
	s.binary = filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")
	s.dir = t.TempDir()
	return s
}

// command is the command line, with a wallet, a home and a runtime directory of this
// test, no keyring and no display.
func (s *world) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.binary, args...)
	run := filepath.Join(s.dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "SCOPEWIRE_CONFIG_DIR=" + filepath.Join(s.dir, "wallet"),
		"SCOPEWIRE_RUNTIME_DIR=" + run, "LC_ALL=C", "PSQLRC=/dev/null", "SERVICE_SECRET=" + interop.ServiceSecret}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs the command line to its end and returns what it printed, and how it ended.
func (s *world) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := s.command(t, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must runs the command line, which has to succeed.
func (s *world) must(t *testing.T, args ...string) string {
	t.Helper()
	out, code := s.run(t, args...)
	if code != 0 {
		t.Fatalf("scopewire %q ends with %d:\n%s", args, code, out)
	}
	return out
}

// loginArgs are what a person types once.
func (s *world) loginArgs(more ...string) []string {
	return append([]string{"login", "--issuer", s.issuer, "--client-id", interop.PublicClient, "--ca-file", s.CAFile, "--sslrootcert", s.CAFile,
		"--address", strings.Replace(s.Addr, "127.0.0.1", "localhost", 1), "--database", demo.Database, "--store", "file",
		"--scope", "openid", "--scope", "orders.read", "--resource", interop.Resource}, more...)
}

var (
	address = regexp.MustCompile(`https://localhost:\S+`)
	code    = regexp.MustCompile(`enter the code (\S+)`)
)

// logIn runs scopewire login with a person at the browser, and returns what it printed
// and how it ended.
func (s *world) logIn(t *testing.T, p *interop.Person, args ...string) (string, int) {
	t.Helper()
	return s.drive(t, p, s.command(t, args...))
}

// drive is logIn for a command that has been made.
func (s *world) drive(t *testing.T, p *interop.Person, cmd *exec.Cmd) (string, int) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var visiting sync.WaitGroup
	r := bufio.NewReader(io.TeeReader(stderr, &out))
	var where string
	for {
		line, err := r.ReadString('\n')
		if m := address.FindString(line); m != "" && where == "" {
			where = m
			if !strings.Contains(m, "/device") {
				visiting.Go(func() { visit(t, p, m, "") })
			}
		}
		if m := code.FindStringSubmatch(line); m != nil {
			visiting.Go(func() { visit(t, p, where, m[1]) })
		}
		if err != nil {
			break
		}
	}
	visiting.Wait()
	_ = cmd.Wait() // The exit code is what matters.
	return out.String(), cmd.ProcessState.ExitCode()
}

func visit(t *testing.T, p *interop.Person, where, code string) {
	if _, err := p.Visit(t.Context(), where, code); err != nil {
		t.Errorf("at the browser: %v", err)
	}
}

func (s *world) person(t *testing.T, name string) *interop.Person {
	t.Helper()
	p, err := interop.NewPerson(name, s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOIDCProvider: tokens of an oidc-provider go through the proxy to PostgreSQL, by
// every flow that it and we have.
func TestOIDCProvider(t *testing.T) {
	s := start(t, 600*time.Second, bySecret)
	t.Run("device flow", func(t *testing.T) { s.peopleLogIn(t, "device", "--device") })
	t.Run("code and PKCE", func(t *testing.T) { s.peopleLogIn(t, "browser", "--browser", "--prompt", "consent") })
	t.Run("refusal", s.peopleRefuse)
	t.Run("authorization details", s.authorizationDetails)
	t.Run("client credentials", s.clientCredentials)
	t.Run("opaque tokens", s.opaqueTokens)
	t.Run("one process refreshes", s.oneRefreshes)
	t.Run("withdrawn login", s.withdrawn)
	t.Run("psql 18", s.psql)
	t.Run("guide", s.guide)
}

// peopleLogIn: a person's token is good for what its scopes allow, and is shown and
// withdrawn.
func (s *world) peopleLogIn(t *testing.T, name string, flow ...string) {
	out, code := s.logIn(t, s.person(t, "paula"), s.loginArgs(append(flow, "--profile", name)...)...)
	if code != 0 || !strings.Contains(out, "logged in at "+s.issuer) || strings.Contains(out, "no refresh token") {
		t.Fatalf("%d:\n%s", code, out)
	}
	out = s.must(t, "psql", "--profile", name, "-X", "-At", "-c", "SELECT count(*) FROM orders")
	if out != "4\n" {
		t.Errorf("psql: %q", out)
	}
	out, code = s.run(t, "psql", "--profile", name, "-X", "-c", "DELETE FROM orders")
	if code != 1 || !strings.Contains(out, "permission denied") {
		t.Errorf("what the scopes do not allow: %d %q", code, out)
	}
	out = s.must(t, "whoami", "--profile", name)
	for _, part := range []string{"paula", s.issuer, "orders.read", "renewed by itself", "kept in", "file"} {
		if !strings.Contains(out, part) {
			t.Errorf("whoami does not say %q:\n%s", part, out)
		}
	}
	if out := s.must(t, "logout", "--profile", name); !strings.Contains(out, "logged out, here and at") {
		t.Errorf("logout: %q", out)
	}
	if out, code := s.run(t, "token", "--profile", name); code == 0 || !strings.Contains(out, "nobody is logged in") {
		t.Errorf("a token after the logout: %d %q", code, out)
	}
}

// peopleRefuse: who says no to the login gets none.
func (s *world) peopleRefuse(t *testing.T) {
	for _, flow := range []string{"--device", "--browser"} {
		p := s.person(t, "rita")
		p.Refuses = true
		out, code := s.logIn(t, p, s.loginArgs(flow, "--profile", "refused")...)
		if code != 1 || !strings.Contains(out, "access_denied") {
			t.Errorf("%s: %d %q", flow, code, out)
		}
	}
	if out, code := s.run(t, "whoami", "--profile", "refused"); code == 0 {
		t.Errorf("somebody is logged in: %q", out)
	}
}

// authorizationDetails: what a token carries by RFC 9396 is granted as far as policy
// trusts the issuer with it.
func (s *world) authorizationDetails(t *testing.T) {
	const details = `[{"type":"postgresql","actions":["select"],"objects":["public.customers","public.employees"]}]`
	out, code := s.logIn(t, s.person(t, "dora"), s.loginArgs("--device", "--profile", "details", "--authorization-details", details)...)
	if code != 0 {
		t.Fatalf("%d:\n%s", code, out)
	}
	for table, want := range map[string]int{"orders": 0, "customers": 0, "employees": 1} {
		if out, code := s.run(t, "psql", "--profile", "details", "-X", "-At", "-c", "SELECT count(*) FROM "+table); code != want {
			t.Errorf("%s: %d, want %d: %q", table, code, want, out)
		}
	}
}

// clientCredentials: a program's token, by its own secret.
func (s *world) clientCredentials(t *testing.T) {
	token := s.must(t, "token", "--token-url", s.issuer+"/token", "--client-id", interop.Service, "--secret-env", "SERVICE_SECRET",
		"--scope", "orders.read", "--resource", interop.Resource, "--ca-file", s.CAFile)
	conn := cluster.ConnectWith(t, s.ConnString("service"), strings.TrimSpace(token))
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT * FROM customers"); err == nil {
		t.Error("customers were read")
	}
	out, code := s.run(t, "token", "--token-url", s.issuer+"/token", "--client-id", interop.Service, "--secret-env", "HOME", "--ca-file", s.CAFile)
	if code != 1 || !strings.Contains(out, "invalid_client") {
		t.Errorf("a wrong secret: %d %q", code, out)
	}
}

// age makes a profile's access token one that has to be renewed.
func (s *world) age(t *testing.T, profile string) {
	t.Helper()
	name := filepath.Join(s.dir, "wallet", profile+".tokens.json")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var tokens map[string]any
	if err := json.Unmarshal(b, &tokens); err != nil {
		t.Fatal(err)
	}
	tokens["expires"] = "2001-01-01T00:00:00Z"
	if b, err = json.Marshal(tokens); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// oneRefreshes: of processes that all find the token too old, one refreshes it. The
// issuer takes a refresh token once, and ends the login at its second use.
func (s *world) oneRefreshes(t *testing.T) {
	if out, code := s.logIn(t, s.person(t, "fred"), s.loginArgs("--device", "--profile", "many")...); code != 0 {
		t.Fatalf("%d:\n%s", code, out)
	}
	first := s.must(t, "token", "--profile", "many")
	for range 2 {
		s.age(t, "many")
		tokens := make([]string, 6)
		var all sync.WaitGroup
		for i := range tokens {
			cmd := s.command(t, "token", "--profile", "many")
			all.Go(func() {
				out, err := cmd.Output()
				if err != nil {
					t.Errorf("process %d: %v", i, err)
				}
				tokens[i] = string(out)
			})
		}
		all.Wait()
		for _, token := range tokens {
			if token != tokens[0] || token == first || token == "" {
				t.Fatal("a process got a token of its own, or the old one")
			}
		}
		first = tokens[0]
	}
	if out := s.must(t, "psql", "--profile", "many", "-X", "-At", "-c", "SELECT count(*) FROM orders"); out != "4\n" {
		t.Errorf("psql: %q", out)
	}
}

// withdrawn: a login whose refresh token is not taken any more has ended, and says how
// to begin anew.
func (s *world) withdrawn(t *testing.T) {
	if out, code := s.logIn(t, s.person(t, "walt"), s.loginArgs("--device", "--profile", "gone")...); code != 0 {
		t.Fatalf("%d:\n%s", code, out)
	}
	// A copy of the wallet uses the refresh token first.
	other := *s
	other.dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(other.dir, "wallet"), os.DirFS(filepath.Join(s.dir, "wallet"))); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"wallet", "wallet/gone.json", "wallet/gone.tokens.json"} {
		mode := os.FileMode(0o600)
		if path == "wallet" {
			mode = 0o700
		}
		if err := os.Chmod(filepath.Join(other.dir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	other.age(t, "gone")
	other.must(t, "token", "--profile", "gone")
	s.age(t, "gone")
	out, code := s.run(t, "token", "--profile", "gone")
	if code != 1 || !strings.Contains(out, "the login of profile gone has ended") || !strings.Contains(out, "login --profile gone") {
		t.Errorf("%d %q", code, out)
	}
}

// TestTokensAreRenewedWhileClientsRun: a client that runs for longer than its token
// connects anew with another.
func TestTokensAreRenewedWhileClientsRun(t *testing.T) {
	s := start(t, 4*time.Second, byKey)
	t.Run("opaque tokens, asked about by a key", s.opaqueTokens)
	if out, code := s.logIn(t, s.person(t, "rene"), s.loginArgs("--device")...); code != 0 {
		t.Fatalf("%d:\n%s", code, out)
	}
	// The shell looks for what happens within a second or three; a test that hangs is ended.
	const script = `set -eu
psql -X -At -c 'SELECT 1'
cp "$PGPASSFILE" before
while cmp -s "$PGPASSFILE" before; do sleep 0.1; done
stat -c %a "$PGPASSFILE"
psql -X -At -c 'SELECT 2'
echo "$PGPASSFILE"
exit 7`
	out, code := s.run(t, "exec", "--", "sh", "-c", "cd "+s.dir+"; "+script)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 7 || len(lines) != 4 || lines[0] != "1" || lines[1] != "600" || lines[2] != "2" {
		t.Fatalf("%d:\n%s", code, out)
	}
	if _, err := os.Stat(lines[3]); !os.IsNotExist(err) {
		t.Errorf("the password file is still there: %v", err)
	}
}
