package pgtest_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func count(t *testing.T, c *pgx.Conn, sql string) (n int) {
	t.Helper()
	if err := c.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDatabasesAreApartAndDropped(t *testing.T) {
	srv := pgtest.Start(t)
	var name string
	t.Run("inner", func(t *testing.T) {
		if other := pgtest.Start(t); other != srv {
			t.Error("a second server")
		}
		a := pgtest.NewDatabase(t, "create table x (i int); insert into x values (1), (2)")
		b := pgtest.NewDatabase(t, "")
		if n := count(t, connect(t, a), "select count(*) from x"); n != 2 {
			t.Errorf("%d rows", n)
		}
		// The connection is left open: dropping must cut it.
		c, err := pgx.Connect(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, c, "select count(*) from pg_class where relname = 'x'"); n != 0 {
			t.Error("the table of one database is in the other")
		}
		name = c.Config().Database
	})
	all := connect(t, srv.ConnString("postgres"))
	if n := count(t, all, "select count(*) from pg_database where datname = '"+name+"'"); n != 0 {
		t.Error("the database is still there")
	}
}

func TestOptionsGiveAServerOfItsOwn(t *testing.T) {
	srv := pgtest.Start(t, pgtest.Setting("work_mem", "7MB"), pgtest.HBA("local all all trust"))
	if srv == pgtest.Start(t) {
		t.Fatal("the shared server was changed")
	}
	dsn := fmt.Sprintf("host=%s port=%d user=postgres dbname=%s", srv.SocketDir, srv.Port, pgtest.NewDatabaseOn(t, srv, ""))
	var v string
	if err := connect(t, dsn).QueryRow(t.Context(), "show work_mem").Scan(&v); err != nil || v != "7MB" {
		t.Errorf("got %q, %v", v, err)
	}
}

func TestRecorderKeepsEveryByte(t *testing.T) {
	srv := pgtest.Start(t)
	for _, target := range []string{srv.Addr, srv.SocketPath()} {
		r := pgtest.Record(t, target)
		dsn := fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable", srv.Superuser, srv.Password.Expose(), r.Addr)
		c := connect(t, dsn)
		var answer string
		if err := c.QueryRow(t.Context(), "select upper('answer') /* a mark */").Scan(&answer); err != nil || answer != "ANSWER" {
			t.Errorf("got %q, %v", answer, err)
		}
		if !r.Saw("a mark") || r.Saw("another mark") {
			t.Error("the recording is not what was sent")
		}
		if n := r.Connections(); n != 1 {
			t.Errorf("%d connections", n)
		}
		if got := r.Answered()[0]; !bytes.Contains(got, []byte("ANSWER")) {
			t.Error("the answer is not in the recording")
		}
		r.Cut()
		if err := c.Ping(t.Context()); err == nil {
			t.Error("a cut connection answers")
		}
		again := connect(t, dsn)
		if n := count(t, again, "select 1"); n != 1 || r.Connections() < 2 {
			t.Error("no connection after a cut")
		}
		r.Close()
		if sent := r.Sent(); len(sent) < 2 || !strings.Contains(string(sent[0]), "a mark") {
			t.Error("the recording is lost after Close")
		}
	}
}
