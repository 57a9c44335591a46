package e2e_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
)

// TestSec_T08_ExpiredCredentials: a token that has expired, or is not valid yet, opens no
// session at either door, also where a good one of the same subject has just opened one;
// and a login whose role has expired at the server opens none either.
func TestSec_T08_ExpiredCredentials(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	superuser := w.Postgres.ConnString(demo.Database)
	backends := func() (n int) {
		t.Helper()
		admin, err := pgx.Connect(t.Context(), superuser)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = admin.Close(context.Background()) }()
		if err := admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop_app'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	login := func(token, more string) (string, error) {
		cfg, err := pgx.ParseConfig(w.ConnString("alice") + more)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = token
		cfg.OAuthTokenProvider = func(context.Context) (string, error) { return token, nil }
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err == nil {
			return "", conn.Close(context.Background())
		}
		var said *pgconn.PgError
		if errors.As(err, &said) {
			return said.Code, nil
		}
		return err.Error(), nil
	}
	mint := func(c devissuer.Claims) string {
		t.Helper()
		c.Subject, c.Audience, c.Scopes = "alice", []string{demo.Audience}, w.Users()[0].Scopes
		token, err := w.Issuer.Mint(c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	kept := session{t, cluster.Connect(t, w, "alice")}
	open := backends()
	for name, c := range map[string]devissuer.Claims{
		"expired a second ago": {Lifetime: -time.Second},
		"not valid yet":        {Set: map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}},
		"issued tomorrow":      {Set: map[string]any{"iat": time.Now().Add(24 * time.Hour).Unix()}},
	} {
		for door, more := range map[string]string{"password": "", "oauth": " options='-c scopewire.auth=oauth' require_auth=oauth"} {
			if got, err := login(mint(c), more); got == "" || err != nil {
				t.Errorf("%s by %s: a session, %v", name, door, err)
			} else if door == "password" && got != "28P01" {
				t.Errorf("%s by %s: %s", name, door, got)
			}
		}
	}
	if n := backends(); n != open {
		t.Errorf("%d backends, of which %d were there before", n, open)
	}
	if got, err := login(mint(devissuer.Claims{}), ""); got != "" || err != nil {
		t.Errorf("a good token: %q, %v", got, err)
	}

	pgtest.Exec(t, superuser, "ALTER ROLE shop_app VALID UNTIL '2001-01-01'")
	for range 2 {
		if got, err := login(mint(devissuer.Claims{}), ""); got != "57P03" || err != nil {
			t.Errorf("a role that has expired: %q, %v", got, err)
		}
	}
	if got := kept.state("SELECT id FROM orders"); got != "" {
		t.Errorf("a session that was open: %q", got)
	}
	pgtest.Exec(t, superuser, "ALTER ROLE shop_app VALID UNTIL 'infinity'")
	if got, err := login(mint(devissuer.Claims{}), ""); got != "" || err != nil {
		t.Errorf("a role that is valid again: %q, %v", got, err)
	}
}
