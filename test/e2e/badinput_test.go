package e2e_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/test/cluster"
)

func TestBadTokens(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	mint := func(c devissuer.Claims) string {
		c.Subject, c.Audience = "alice", append(c.Audience, demo.Audience)
		c.Scopes = []string{"orders.read"}
		tok, err := w.Issuer.Mint(c)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	good := mint(devissuer.Claims{})
	expired := devissuer.Claims{Lifetime: -time.Hour, Set: map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix()}}
	_, rest, _ := strings.Cut(good, ".")
	claims, _, _ := strings.Cut(rest, ".")
	for name, c := range map[string]struct{ token, code, message string }{
		"not a token":       {"hunter2", "28P01", "the password is not an access token"},
		"expired":           {mint(expired), "28P01", "the access token has expired"},
		"unsigned":          {"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + claims + ".", "28P01", "the access token is not signed with an accepted algorithm"},
		"tampered":          {good[:len(good)-6] + "AAAAAA", "28P01", "the access token's signature does not verify"},
		"id token":          {mint(devissuer.Claims{Header: map[string]any{"typ": "JWT"}}), "28P01", "the token is not an access token"},
		"other issuer":      {mint(devissuer.Claims{Set: map[string]any{"iss": "https://elsewhere.example"}}), "28P01", "the access token is from an issuer that is not accepted here"},
		"other audience":    {mint(devissuer.Claims{Set: map[string]any{"aud": "elsewhere"}}), "28P01", "the access token is for another audience"},
		"without an expiry": {mint(devissuer.Claims{Set: map[string]any{"exp": nil}}), "28P01", "the access token was refused"},
		"empty":             {"", "28P01", "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			out := psql(t, w.ConnString("alice"), c.token, "-w", "-c", "SELECT 1")
			if c.token == "" {
				// psql itself asks for a password then.
				expect(t, out, "no password supplied")
				return
			}
			expect(t, out, "FATAL:  "+c.message)
			if n := strings.Count(strings.TrimSpace(out), "\n"); n > 1 {
				t.Errorf("more than a line and a reference:\n%s", out)
			}
			if strings.Contains(out, c.token) {
				t.Errorf("the token is in the answer:\n%s", out)
			}
			_, err := pgx.Connect(t.Context(), w.ConnString("alice")+" password="+c.token)
			if sqlState(err) != c.code {
				t.Errorf("SQLSTATE %s, want %s", sqlState(err), c.code)
			}
		})
	}
	t.Run("every refusal is recorded", func(t *testing.T) {
		_, err := pgx.Connect(t.Context(), w.ConnString("alice")+" password="+mint(expired))
		ref := detailReference(t, err)
		ev, err := w.Event(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if ev.GetEvent().GetUnverifiedPrincipal().GetSubject() != "alice" || ev.GetEvent().GetPrincipal() != nil {
			t.Errorf("event: %v", ev)
		}
	})
	t.Run("another database", func(t *testing.T) {
		dsn := strings.ReplaceAll(w.ConnString("alice"), "dbname=shop", "dbname=postgres")
		_, err := pgx.Connect(t.Context(), dsn+" password="+good)
		if sqlState(err) != "28000" {
			t.Errorf("%v", err)
		}
	})
	t.Run("without TLS", func(t *testing.T) {
		dsn := strings.ReplaceAll(w.ConnString("alice"), "sslmode=verify-full", "sslmode=disable")
		expect(t, psql(t, dsn, good, "-c", "SELECT 1"), "FATAL:  an access token is taken over TLS only", "sslmode=require")
	})
	t.Run("startup parameters", func(t *testing.T) {
		for option, told := range map[string]string{
			"search_path=hr": "the access token's scopes do not allow the startup parameters search_path",
			"role=postgres":  "startup parameter", "session_authorization=postgres": "startup parameter",
			"standard_conforming_strings=off": "", "client_encoding=SJIS": "startup parameter",
		} {
			out := psql(t, w.ConnString("alice")+" options='-c "+option+"'", good, "-c", "SELECT 1")
			expect(t, out, "FATAL:  "+told)
		}
		expect(t, psql(t, w.ConnString("alice")+" options='-c statement_timeout=5s'", good, "-c", "SHOW statement_timeout"), "5s")
	})
}

func TestGarbageFirstBytes(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	for name, first := range map[string]string{
		"http":       "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"zeros":      strings.Repeat("\x00", 64),
		"protocol 2": "\x00\x00\x00\x10\x00\x02\x00\x00user\x00a\x00\x00",
		"a query":    "Q\x00\x00\x00\x0dSELECT 1\x00",
		"all ones":   strings.Repeat("\xff", 64),
	} {
		t.Run(name, func(t *testing.T) {
			var d net.Dialer
			conn, err := d.DialContext(t.Context(), "tcp", w.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte(first)); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			answer, err := io.ReadAll(conn)
			if err != nil && len(answer) == 0 {
				t.Fatal(err)
			}
			if len(answer) < 5 || answer[0] != 'E' {
				t.Fatalf("answer %q", answer)
			}
			var e pgproto3.ErrorResponse
			if err := e.Decode(answer[5:]); err != nil || e.Severity != "FATAL" || (e.Code != "08P01" && e.Code != "0A000") {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
}

func TestMonstrousStatements(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	s := session{t, cluster.Connect(t, w, "alice")}
	for name, c := range map[string]struct{ sql, want string }{
		"10,000 nested parentheses": {"SELECT " + strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000), "54001"},
		"50,000 additions":          {"SELECT 1" + strings.Repeat(" + 1", 50000), "54001"},
		"50,000 casts":              {"SELECT 1" + strings.Repeat("::int", 50000), "54001"},
		"20,000 unions":             {"SELECT 1" + strings.Repeat(" UNION SELECT 1", 20000), "54001"},
		"100,000 nested comments":   {strings.Repeat("/*", 100000) + strings.Repeat("*/", 100000) + "SELECT 1", "54001"},
		"10,000 nested subqueries":  {strings.Repeat("SELECT (", 10000) + "1" + strings.Repeat(")", 10000), "54001"},
		"10,000 NOTs":               {"SELECT " + strings.Repeat("NOT ", 10000) + "true", "54001"},
		"over a mebibyte":           {"SELECT '" + strings.Repeat("x", 1<<20) + "'", "54000"},
		"invalid UTF-8":             {"SELECT '\xc0\xa7; DROP TABLE orders'", "22021"},
		"cut UTF-8":                 {"SELECT '\xe2\x82'", "22021"},
		"unfinished string":         {"SELECT 'a", "42601"},
		"unfinished comment":        {"SELECT 1 /* a", "42601"},
		"no statement":              {"nonsense", "42601"},
	} {
		t.Run(name, func(t *testing.T) {
			s := session{t, s.Conn}
			if got := s.state(c.sql); got != c.want {
				t.Errorf("as a Query: %q, want %q", got, c.want)
			}
			_, err := s.PgConn().ExecParams(t.Context(), c.sql, nil, nil, nil, nil).Close()
			if got := sqlState(err); got != c.want {
				t.Errorf("as a Parse: %q, want %q", got, c.want)
			}
			if got := s.state("SELECT 1"); got != "" {
				t.Errorf("afterwards: %q", got)
			}
		})
	}
	t.Run("a NUL", func(t *testing.T) {
		conn := cluster.Connect(t, w, "alice")
		h, err := conn.PgConn().Hijack()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = h.Conn.Close() }()
		if _, err := h.Conn.Write([]byte("Q\x00\x00\x00\x1dSELECT 1\x00; DROP TABLE a\x00\x00")); err != nil {
			t.Fatal(err)
		}
		msg, err := h.Frontend.Receive()
		e, ok := msg.(*pgproto3.ErrorResponse)
		if err != nil || !ok || e.Severity != "FATAL" || e.Code != "08P01" {
			t.Errorf("%#v, %v", msg, err)
		}
	})
}

// The command line names what is wrong and where, in one line if it can, and its
// exit status is not 0.
func TestBadConfiguration(t *testing.T) {
	bin := filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")
	w := cluster.Start(t, demo.Config{})
	config, err := os.ReadFile(w.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile(w.PolicyFile())
	if err != nil {
		t.Fatal(err)
	}
	free, err := freeAddress(t)
	if err != nil {
		t.Fatal(err)
	}
	base := strings.NewReplacer(w.Addr, free, w.Dir+"/spool", t.TempDir()+"/spool", w.Dir+"/audit", t.TempDir()+"/audit").Replace(string(config))
	for name, c := range map[string]struct {
		config, policy string
		want           []string
	}{
		"unknown key":          {strings.Replace(base, "instance:", "instnace:", 1), "", []string{"instnace"}},
		"unknown policy key":   {base, strings.Replace(string(policy), "actions:", "actoins:", 1), []string{"actoins"}},
		"unknown action":       {base, strings.Replace(string(policy), "[select]", "[selct]", 1), []string{"selct", "orders.read"}},
		"missing certificate":  {strings.Replace(base, "server.crt", "nothing.crt", 1), "", []string{"nothing.crt", "no such file"}},
		"no TLS and no word":   {strings.Replace(base, "tls: {cert_file", "# {cert_file", 1), "", []string{"listeners[0].tls", "a certificate is needed"}},
		"several at once":      {"proxy: {}\nauthz: {}\naudit: {}\n", "", []string{"proxy.instance", "proxy.listeners", "audit.store.directory"}},
		"missing policy":       {strings.Replace(base, "policy.yaml", "no-policy.yaml", 1), "", []string{"no-policy.yaml"}},
		"missing secret":       {strings.Replace(base, "app.password", "no.password", 1), "", []string{"no.password"}},
		"port in use":          {strings.Replace(base, free, w.Addr, 1), "", []string{"address already in use"}},
		"insecure on any host": {strings.Replace(base, free, "0.0.0.0:1\n      insecure_loopback: true", 1), "", []string{"listeners[0].insecure_loopback", "0.0.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := c.config
			if c.policy != "" {
				file := filepath.Join(dir, "policy.yaml")
				if err := os.WriteFile(file, []byte(c.policy), 0o600); err != nil {
					t.Fatal(err)
				}
				text = strings.Replace(text, w.PolicyFile(), file, 1)
			}
			file := filepath.Join(dir, "config.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, bin, "up", "-c", file)
			cmd.Env = append(os.Environ(), "SCOPEWIRE_RUNTIME_DIR="+filepath.Join(dir, "run"))
			out, err := cmd.CombinedOutput()
			if err == nil || ctx.Err() != nil {
				t.Errorf("it started:\n%s", out)
			}
			for _, part := range c.want {
				if !strings.Contains(string(out), part) {
					t.Errorf("%q is not in:\n%s", part, out)
				}
			}
		})
	}
}
