package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/test/cluster"
)

// logins is a world with three logins, chosen by policy.
type logins struct{ *demo.World }

// TestLogins: the login is policy's choice by claim and scope; its password is read
// again for each session, from a file and from the environment; the server is told who
// it is in a way that the client cannot change.
func TestLogins(t *testing.T) {
	t.Setenv("ACME_PASSWORD", "acme-1")
	t.Setenv("CHIEF_PASSWORD", "chief-1")
	w := logins{cluster.Start(t, demo.Config{
		SQL: `CREATE ROLE acme LOGIN PASSWORD 'acme-1'; CREATE ROLE chief LOGIN PASSWORD 'chief-1';
			GRANT SELECT ON ALL TABLES IN SCHEMA public TO acme, chief;`,
		Database:     "      application_name: principal\n",
		Logins:       "        - {name: acme, password: {env: ACME_PASSWORD}}\n        - {name: chief, password: {env: CHIEF_PASSWORD}}\n",
		PolicyLogins: "{by_claim: {claim: tenant, logins: {acme: acme, own: app}}, by_scope: {hr.read: chief}}",
		Policy:       "deny: [{objects: ['setting:application_name'], actions: [set]}]\n",
	})}
	t.Run("by claim and scope", w.byClaimAndScope)
	t.Run("who it is", w.whoItIs)
	t.Run("rotation", w.rotation)
}

// mint makes a token of a tenant.
func (w logins) mint(t *testing.T, subject string, tenant any, scopes ...string) string {
	t.Helper()
	token, err := w.Issuer.Mint(devissuer.Claims{Subject: subject, Audience: []string{demo.Audience},
		Scopes: append(scopes, "orders.read"), Set: map[string]any{"tenant": tenant}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func one(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var got string
	if err := conn.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

// refused connects, which has to fail.
func (w logins) refused(t *testing.T, user, token, code string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(w.ConnString(user))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = token
	_, err = pgx.ConnectConfig(t.Context(), cfg)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != code {
		t.Errorf("%v, want %s", err, code)
	}
}

func (w logins) byClaimAndScope(t *testing.T) {
	for _, tt := range []struct {
		user, role, token string
	}{
		{"x", "acme", w.mint(t, "alice", "acme")},
		{"x", "shop_app", w.mint(t, "bob", []string{"other", "own"})},
		{"x", "acme", w.mint(t, "carol", "acme", "hr.read")},
		// What a scope gives has to be asked for.
		{"chief", "chief", w.mint(t, "carol", "acme", "hr.read")},
		{"chief", "acme", w.mint(t, "alice", "acme")},
	} {
		conn := cluster.ConnectWith(t, w.ConnString(tt.user), tt.token)
		if got := one(t, conn, "SELECT current_user::text"); got != tt.role {
			t.Errorf("%s as %s, want %s", tt.user, got, tt.role)
		}
	}
	w.refused(t, "x", w.mint(t, "dan", nil), "28000")
	w.refused(t, "acme", w.mint(t, "eve", []string{"acme", "own"}), "28000")
}

func (w logins) whoItIs(t *testing.T) {
	const who = "alice?LOG: forged"
	conn := cluster.ConnectWith(t, w.ConnString("x")+" application_name=root", w.mint(t, "alice\nLOG: forged", "acme"))
	for setting, want := range map[string]string{"application_name": who, "scopewire.principal": who, "scopewire.scopes": "orders.read"} {
		if got := one(t, conn, "SHOW "+setting); got != want {
			t.Errorf("%s is %q", setting, got)
		}
	}
	if got := one(t, conn, "SHOW scopewire.expires_at"); !strings.HasSuffix(got, "Z") {
		t.Errorf("expires_at is %q", got)
	}
	for _, sql := range []string{
		"SET application_name = 'root'", "SET LOCAL application_name TO root", "SELECT set_config('application_name', 'root', false)",
		"SELECT id FROM orders WHERE set_config('application_name', 'root', false) IS NOT NULL",
		"WITH x AS (SELECT set_config('application_name', 'root', false)) SELECT * FROM x",
		"SELECT 1; SET application_name = 'root'", "PREPARE p AS SELECT set_config('application_name', 'root', false) FROM orders",
		"SET scopewire.principal = 'root'", "RESET scopewire.principal", "SELECT set_config('scopewire.principal', 'root', false)",
		"SELECT set_config('scopewire.' || 'principal', 'root', false)", "SET SESSION scopewire.principal TO root",
	} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{"RESET application_name", "RESET ALL", "DISCARD ALL"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	admin, err := pgx.Connect(t.Context(), w.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(t.Context()) }()
	if got := one(t, admin, "SELECT application_name FROM pg_stat_activity WHERE usename = 'acme' AND application_name LIKE '%LOG%'"); got != who {
		t.Errorf("a DBA sees %q", got)
	}
	if got := one(t, conn, "SHOW scopewire.principal"); got != who {
		t.Errorf("after DISCARD ALL: %q", got)
	}
}

func (w logins) rotation(t *testing.T) {
	admin, err := pgx.Connect(t.Context(), w.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(t.Context()) }()
	if _, err := admin.Exec(t.Context(), "ALTER ROLE acme PASSWORD 'acme-2'; ALTER ROLE shop_app PASSWORD 'app-2'"); err != nil {
		t.Fatal(err)
	}
	acme, own := w.mint(t, "alice", "acme"), w.mint(t, "bob", "own")
	w.refused(t, "x", acme, "57P03")
	w.refused(t, "x", own, "57P03")
	t.Setenv("ACME_PASSWORD", "acme-2")
	file := filepath.Join(w.Dir, "app.password")
	if err := os.WriteFile(file, []byte("app-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{acme, own} {
		one(t, cluster.ConnectWith(t, w.ConnString("x"), token), "SELECT current_user::text")
	}
	// A file that cannot be read leaves the last password in use.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	one(t, cluster.ConnectWith(t, w.ConnString("x"), own), "SELECT current_user::text")
}
