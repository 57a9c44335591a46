package pgtest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgboot"
)

// NewDatabase makes an empty database on the shared server, runs sql in it as
// the superuser (several statements are fine, an empty text too), and returns
// its connection URL. The database is dropped, its sessions cut, after the test.
func NewDatabase(t testing.TB, sql string) (dsn string) {
	t.Helper()
	srv := Start(t)
	return srv.ConnString(NewDatabaseOn(t, srv, sql))
}

// NewDatabaseOn does the same on the given server and returns the database's
// name.
func NewDatabaseOn(t testing.TB, srv *pgboot.Server, sql string) (name string) {
	t.Helper()
	name = "t_" + strings.ToLower(rand.Text()[:16])
	Exec(t, srv.ConnString("postgres"), "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() {
		Exec(t, srv.ConnString("postgres"), "DROP DATABASE "+name+" WITH (FORCE)")
	})
	if sql != "" {
		Exec(t, srv.ConnString(name), sql)
	}
	return name
}

// Exec connects, runs the statements of sql and disconnects. A failure ends the
// test.
func Exec(t testing.TB, dsn, sql string) {
	t.Helper()
	// Not the test's context: it is over when clean-ups run.
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	_, err = conn.Exec(ctx, sql).ReadAll()
	if cerr := conn.Close(ctx); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatalf("run on the test server: %v\n%s", err, sql)
	}
}
