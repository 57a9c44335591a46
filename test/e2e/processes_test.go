package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// session is a connection whose answers are SQLSTATEs.
type session struct {
	t *testing.T
	*pgx.Conn
}

func (s session) state(sql string) string {
	s.t.Helper()
	_, err := s.PgConn().Exec(s.t.Context(), sql).ReadAll()
	return sqlState(err)
}

// await repeats sql until it answers want.
func (s session) await(sql, want string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := s.state(sql)
		if got == want {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s answers %q, want %q", sql, got, want)
		case <-tick.C:
		}
	}
}

func logged(t *testing.T, p *cluster.Processes, text string) int {
	t.Helper()
	b, err := os.ReadFile(p.Postgres.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), text)
}

func TestThreeProcesses(t *testing.T) {
	p := cluster.StartProcesses(t, demo.Config{PostgresSettings: map[string]string{"log_statement": "all"}})
	dsn := p.DSN("alice")
	s := session{t, cluster.ConnectWith(t, dsn, token(t, p.World, "alice"))}
	if _, err := s.Prepare(t.Context(), "kept", "SELECT count(*) FROM orders WHERE id > 0"); err != nil {
		t.Fatal(err)
	}
	if got := s.state("SELECT id FROM orders"); got != "" {
		t.Fatalf("allowed: %s", got)
	}
	_, denied := s.PgConn().Exec(t.Context(), "SELECT * FROM employees").ReadAll()
	ref := reference(t, denied)

	t.Run("metrics", func(t *testing.T) {
		// Audit counts an event once it has it, which show waits for.
		expect(t, cliOf(t, p, "audit", "show", ref), ref)
		for process, want := range map[*cluster.Process][]string{
			p.Proxy: {`scopewire_statements_total{`, `verdict="deny"`, "scopewire_sessions_active 1", "scopewire_spool_bytes"},
			p.Authz: {"scopewire_authz_requests_total{", "scopewire_policy_revision 1", "scopewire_catalog_age_seconds"},
			p.Audit: {"scopewire_audit_events_total{", `result="stored"`},
		} {
			text := process.Metrics()
			for _, part := range want {
				if !strings.Contains(text, part) {
					t.Errorf("%s is not in the metrics:\n%s", part, text)
				}
			}
			if strings.Contains(text, "employees") || strings.Contains(text, "alice") {
				t.Error("the metrics name a table or a user")
			}
		}
	})

	t.Run("authz dies and comes back", func(t *testing.T) {
		s := session{t, s.Conn}
		p.Authz.Kill()
		// In a transaction a refusal aborts, as every error does.
		for i := range 20 {
			if got := s.state(fmt.Sprintf("SELECT id AS while_authz_is_gone_%d FROM orders", i)); got != "57P03" {
				t.Fatalf("without authz: %q", got)
			}
		}
		// What was decided before outlives authz by the staleness bound at most, kept
		// by its text or with a prepared statement.
		s.await("SELECT id FROM orders", "57P03")
		s.awaitPrepared("57P03")
		if n := logged(t, p, "while_authz_is_gone"); n != 0 {
			t.Errorf("%d statements reached the server without a decision", n)
		}
		before := logged(t, p, "WHERE id > 0")
		if got := s.prepared(); got != "57P03" {
			t.Errorf("prepared: %q", got)
		}
		if after := logged(t, p, "WHERE id > 0"); after != before {
			t.Error("a prepared statement ran without a fresh decision")
		}
		if _, err := pgx.Connect(t.Context(), dsn+" password=x connect_timeout=5"); sqlState(err) != "57P03" {
			t.Errorf("login without authz: %v", err)
		}
		p.Authz.Start()
		s.await("SELECT id FROM orders", "")
		s.awaitPrepared("")
		if got := s.state("SELECT * FROM employees"); got != "42501" {
			t.Errorf("denied after the restart: %s", got)
		}
	})

	t.Run("audit dies and comes back", func(t *testing.T) {
		s := session{t, s.Conn}
		p.Audit.Kill()
		for i := range 10 {
			if got := s.state(fmt.Sprintf("SELECT id AS n%d FROM orders", i)); got != "" {
				t.Fatalf("without audit: %q", got)
			}
		}
		// Events that are large, and together more than a batch.
		for i := range 6 {
			if got := s.state(fmt.Sprintf("SELECT %d AS \"%s\"", i, strings.Repeat("x", 400<<10))); got != "" {
				t.Fatalf("a large statement without audit: %q", got)
			}
		}
		_, err := s.PgConn().Exec(t.Context(), "SELECT name FROM employees").ReadAll()
		ref := reference(t, err)
		p.Audit.Start()
		out := cliOf(t, p, "audit", "show", ref)
		expect(t, out, ref, "SELECT name FROM employees", "public.employees", "alice")
		list := cliOf(t, p, "audit", "list", "--limit", "200", "--type", "statement_intent", "--json")
		for i := range 10 {
			if !strings.Contains(list, fmt.Sprintf("AS n%d ", i)) {
				t.Errorf("statement %d made while audit was down is not in the store", i)
			}
		}
		expect(t, cliOf(t, p, "audit", "verify"), "the chain holds")
		expect(t, cliOf(t, p, "audit", "list", "--type", "policy_changed"), "policy file: policy revision 1")
	})

	t.Run("the proxy dies and its events do not", func(t *testing.T) {
		p.Audit.Kill()
		own := session{t, cluster.ConnectWith(t, dsn, token(t, p.World, "alice"))}
		_, err := own.PgConn().Exec(t.Context(), "SELECT salary FROM employees").ReadAll()
		ref := reference(t, err)
		p.Proxy.Kill()
		p.Audit.Start()
		p.Proxy.Start()
		expect(t, cliOf(t, p, "audit", "show", ref), ref, "SELECT salary FROM employees")
	})

	t.Run("everything stops in order", func(t *testing.T) {
		p.Proxy.Stop()
		p.Authz.Stop()
		p.Audit.Stop()
	})
}

// prepared runs the prepared statement and returns its SQLSTATE.
func (s session) prepared() string {
	res := s.PgConn().ExecPrepared(s.t.Context(), "kept", nil, nil, nil).Read()
	return sqlState(res.Err)
}

func (s session) awaitPrepared(want string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.prepared() != want {
		select {
		case <-ctx.Done():
			s.t.Fatalf("the prepared statement does not answer %q", want)
		case <-tick.C:
		}
	}
}

// reference is the reference of a denial.
func reference(t *testing.T, err error) string {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "42501" {
		t.Fatalf("not a denial: %v", err)
	}
	return strings.TrimPrefix(e.Detail, "Reference: ")
}

// cliOf runs the command line against the audit process, as an admin.
func cliOf(t *testing.T, p *cluster.Processes, args ...string) string {
	t.Helper()
	full := append([]string{args[0], "--address", p.AuditAddr, "--cert", p.Admin.Cert, "--key", p.Admin.Key, "--ca", p.Admin.CA}, args[1:]...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.Binaries, "scopewire"), full...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("scopewire %v: %v\n%s", args, err, out)
	}
	return string(out)
}
