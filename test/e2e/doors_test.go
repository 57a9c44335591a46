package e2e_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// TestDoors: one listener takes tokens as passwords and by OAUTHBEARER, over TLS that
// was asked for and TLS from the first byte; what is wrong is told at each.
func TestDoors(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	good := token(t, w, "alice")
	connect := func(t *testing.T, more, token string) (*pgx.Conn, error) {
		cfg, err := pgx.ParseConfig(w.ConnString("alice") + more)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = token
		cfg.OAuthTokenProvider = func(context.Context) (string, error) { return token, nil }
		return pgx.ConnectConfig(t.Context(), cfg)
	}
	const oauth, direct = " options='-c scopewire.auth=oauth' require_auth=oauth", " sslnegotiation=direct"
	for name, tt := range map[string]struct{ more, token, code string }{
		"password":                     {"", good, ""},
		"OAUTHBEARER":                  {oauth, good, ""},
		"OAUTHBEARER over direct TLS":  {oauth + direct, good, ""},
		"protocol 3.2":                 {" max_protocol_version=3.2", good, ""},
		"OAUTHBEARER, protocol 3.2":    {oauth + " max_protocol_version=3.2", good, ""},
		"a wrong token by OAUTHBEARER": {oauth, good[:len(good)-4] + "AAAA", "OAuth authentication failed: invalid_token"},
		"a wrong password":             {"", "guess", "28P01"},
		"an unknown door":              {" options='-c scopewire.auth=gss'", good, "28000"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := connect(t, tt.more, tt.token)
			if err == nil {
				t.Cleanup(func() { _ = conn.Close(context.Background()) })
			}
			var pgErr *pgconn.PgError
			switch {
			case tt.code == "" && err != nil:
				t.Fatal(err)
			case tt.code == "":
				var n int
				if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil || n == 0 {
					t.Errorf("%d, %v", n, err)
				}
			case err == nil:
				t.Error("logged in")
			case errors.As(err, &pgErr) && pgErr.Code != tt.code, pgErr == nil && !strings.Contains(err.Error(), tt.code):
				t.Errorf("%v", err)
			}
		})
	}
}
