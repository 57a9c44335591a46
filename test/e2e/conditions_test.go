package e2e_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// TestConditionsAreOfTheSession: two sessions of one token send the same text, and
// each is judged by its own client, whatever the other was told before.
func TestConditionsAreOfTheSession(t *testing.T) {
	w := cluster.Start(t, demo.Config{
		SQL: "CREATE TABLE public.desk (id int); GRANT SELECT ON public.desk TO shop_app;",
		Scopes: `  desk:
    - actions: [select]
      objects: [public.desk]
      when: client.application_name == 'desk' && client.tls && cidr('127.0.0.0/8').containsIP(client.address) && now > timestamp('2020-01-01T00:00:00Z')
`,
		Users: []demo.User{{Name: "clerk", Scopes: []string{"desk"}}},
	})
	tok := token(t, w, "clerk")
	session := func(application string) *pgx.Conn {
		return cluster.ConnectWith(t, w.ConnString("clerk")+" application_name="+application, tok)
	}
	desk, other := session("desk"), session("other")
	read := func(c *pgx.Conn, mode pgx.QueryExecMode) error {
		_, err := c.Exec(t.Context(), "SELECT id FROM public.desk", mode)
		return err
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement} {
		for range 3 {
			if err := read(desk, mode); err != nil {
				t.Errorf("from the desk, %s: %v", mode, err)
			}
			var denial *pgconn.PgError
			if err := read(other, mode); !errors.As(err, &denial) || denial.Code != "42501" {
				t.Errorf("from elsewhere, %s: %v", mode, err)
			}
		}
	}
}
