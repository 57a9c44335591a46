package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/scopewire/scopewire/cmd/scopewire/stack"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz"
	"github.com/scopewire/scopewire/services/proxy"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const explainPolicy = `version: 1
issuers:
  - issuer: https://idp.example.com
    audiences: [postgres]
scopes:
  orders.read:
    - actions: [select]
      objects: [public.orders]
      when: now < timestamp('2030-01-01T00:00:00Z')
`

// explainFiles writes policy and password, and returns the flags for them.
func explainFiles(t *testing.T) []string {
	t.Helper()
	srv := pgtest.Start(t)
	name := pgtest.NewDatabaseOn(t, srv, "CREATE TABLE orders (id int)")
	dir := t.TempDir()
	for file, text := range map[string]string{"policy.yaml": explainPolicy, "password": string(srv.Password.Expose())} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		"explain", "--policy", filepath.Join(dir, "policy.yaml"), "--password-file", filepath.Join(dir, "password"), "--login", srv.Superuser,
		"--database", fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d", srv.Superuser, name, srv.SocketDir, srv.Port), "--timeout", "1m",
	}
}

// explain parses a command line as main does and runs it.
func explain(t *testing.T, in string, args ...string) (allowed bool, out string, err error) {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, kong.Name("scopewire"), kong.Vars{"version": "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		return false, "", err
	}
	var b strings.Builder
	allowed, err = c.Explain.explain(&global{ctx: t.Context(), system: sys.OS()}, strings.NewReader(in), &b)
	return allowed, b.String(), err
}

func TestExplain(t *testing.T) {
	flags := explainFiles(t)
	at := func(when string, more ...string) []string {
		return append(append([]string{}, flags...), append([]string{"--at", when}, more...)...)
	}
	const before, after = "2029-12-31T23:59:59Z", "2030-01-01T00:00:00Z"
	allowed, out, err := explain(t, "", at(before, "--scope", "orders.read", "SELECT id FROM orders")...)
	if err != nil || !allowed || !strings.HasPrefix(out, "ALLOW: granted\n") || !strings.Contains(out, `policy.yaml:7: scopes["orders.read"][0]`) {
		t.Errorf("%t, %v\n%s", allowed, err, out)
	}
	allowed, out, err = explain(t, "", at(after, "--scope", "orders.read", "SELECT id FROM orders")...)
	if err != nil || allowed || !strings.HasPrefix(out, "DENY: condition") {
		t.Errorf("%t, %v\n%s", allowed, err, out)
	}
	allowed, out, err = explain(t, "SELECT id FROM orders", at(before, "--json", "-")...)
	var e authz.Explanation
	if jsonErr := json.Unmarshal([]byte(out), &e); jsonErr != nil || err != nil || allowed ||
		e.Verdict != authz.VerdictDeny || e.Statements[0].Accesses[0].Needed != "{actions: [select], objects: [public.orders], columns: [id]}" {
		t.Errorf("%t, %v, %v\n%s", allowed, err, jsonErr, out)
	}
}

func TestExplainErrors(t *testing.T) {
	flags := explainFiles(t)
	for name, args := range map[string][]string{
		"no sources":         {"explain", "SELECT 1"},
		"no such policy":     append(append([]string{}, flags...), "--policy", filepath.Join(t.TempDir(), "none"), "SELECT 1"),
		"a token and scopes": append(append([]string{}, flags...), "--token-env", "X", "--scope", "a", "SELECT 1"),
		"two tokens":         append(append([]string{}, flags...), "--token-env", "X", "--token-file", "y", "SELECT 1"),
		"a password twice":   append(append([]string{}, flags...), "--config", "x", "SELECT 1"),
		"no statement":       flags,
	} {
		if allowed, out, err := explain(t, "", args...); err == nil || allowed {
			t.Errorf("%s: %t\n%s", name, allowed, out)
		}
	}
	if _, _, err := explain(t, strings.Repeat(" ", maxExplained+1), append(append([]string{}, flags...), "-")...); err == nil {
		t.Error("a statement without end was read")
	}
}

// TestExplainExit: scripts go by the exit status.
func TestExplainExit(t *testing.T) {
	c := explainCommand{SQL: "SELECT 1", Timeout: time.Second}
	var e *exit
	if err := c.Run(&global{ctx: t.Context(), system: sys.OS()}); !errors.As(err, &e) || e.code != 2 || e.err == nil {
		t.Errorf("without a policy: %v", err)
	}
}

// With the configuration of scopewire up the role behind a login is known.
func TestRolesOfLogins(t *testing.T) {
	var cfg stack.Config
	cfg.Proxy.Databases = []proxy.DatabaseConfig{
		{Name: "shop", Logins: []proxy.LoginConfig{{Name: "app", User: "shop_app"}, {Name: "plain"}}},
		{Name: "other", Logins: []proxy.LoginConfig{{Name: "app", User: "other_app"}}},
	}
	got := rolesOf(cfg, "shop")
	if len(got) != 1 || got["app"] != "shop_app" {
		t.Errorf("%v", got)
	}
}
