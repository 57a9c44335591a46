package e2e_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/test/cluster"
	"github.com/scopewire/scopewire/test/drivers"
)

// node-postgres sees through the proxy what it sees of PostgreSQL for a role with
// the same rights as GRANTs.
func TestNodePostgres(t *testing.T) {
	w := driverWorld(t)
	_, port, err := net.SplitHostPort(w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	got := drivers.Node(t, drivers.Target{Host: "localhost", Port: n, Database: "shop", User: "driver",
		Password: secret.FromString(token(t, w, "driver")), RootCert: w.CAFile})
	if diff := cmp.Diff(string(drivers.NodeExpected(t)), string(got)); diff != "" {
		t.Errorf("PostgreSQL (-) and through the proxy (+):\n%s", diff)
	}
}

// psqlScript is what psql runs twice: through the proxy, and against PostgreSQL
// with a syntax error where the denied statement stands. The two outputs may
// differ in the texts of errors only.
const psqlScript = `\set VERBOSITY sqlstate
SELECT id, status FROM orders ORDER BY id;
DENIED;
SELECT count(*) FROM orders;
BEGIN;
INSERT INTO orders VALUES (50, 'lost');
DENIED;
SELECT 1;
COMMIT;
SELECT count(*) FROM orders WHERE id = 50;
BEGIN;
INSERT INTO orders VALUES (51, 'kept');
SAVEPOINT a;
DENIED;
ROLLBACK TO a;
SELECT count(*) FROM orders;
ROLLBACK;
SELECT status FROM orders WHERE id = $1 \bind 2 \g
SELECT $1::int + 1 AS sum \bind 41 \g
INSERT INTO orders VALUES (52, 'x')\; DENIED\; SELECT 2;
SELECT count(*) FROM orders;
\pset format unaligned
SELECT * FROM orders ORDER BY id LIMIT 1;
`

func TestPsqlBehavesAsWithASyntaxError(t *testing.T) {
	w := driverWorld(t)
	script := psqlScript
	if !strings.Contains(psql(t, w.ConnString("driver"), "", "--version"), " 1[6-9]") {
		// \bind came with psql 16.
		script = regexp.MustCompile(`(?m)^.*\\bind.*\n`).ReplaceAllString(script, "")
	}
	run := func(dsn, password, denied string) string {
		file := filepath.Join(t.TempDir(), "script.sql")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(script, "DENIED", denied)), 0o600); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(psql(t, dsn, password, "-f", file), file, "script.sql")
	}
	srv := pgtest.Start(t)
	direct := pgtest.NewDatabaseOn(t, srv, drivers.Schema(t))
	want := run(connString(srv, direct), string(srv.Password.Expose()), "selec amount from private.salaries")
	got := run(w.ConnString("driver"), token(t, w, "driver"), "select amount from private.salaries")
	want = strings.ReplaceAll(want, "42601", "42501")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("PostgreSQL with a syntax error (-) and Scopewire with a denial (+):\n%s", diff)
	}
	expect(t, got, "ERROR:  42501", "ERROR:  42501", "ERROR:  25P02", "ROLLBACK")
}

// connString is a superuser's way to a database of a test server, without the
// password.
func connString(srv *pgboot.Server, database string) string {
	host, port, _ := net.SplitHostPort(srv.Addr)
	return "host=" + host + " port=" + port + " dbname=" + database + " user=" + srv.Superuser
}

// What a person is told of a denial, and that nothing of the statement is in it.
func TestPsqlMessages(t *testing.T) {
	w := driverWorld(t)
	out := psql(t, w.ConnString("driver"), token(t, w, "driver"), "-c", "select amount from private.salaries", "-c", "select no_such_column from orders", "-c", "selec 1", "-c", "select 1 as works")
	expect(t, out, "ERROR:  permission denied by the access token's scopes", "DETAIL:  Reference: ",
		`column "no_such_column" does not exist`, `syntax error at or near "selec"`, "LINE 1: selec 1", "works")
	if strings.Contains(out, "salaries") {
		t.Errorf("the denial names the table:\n%s", out)
	}
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// The script of the other drivers, by pgx: simple and extended protocol,
// prepared statements by name, a batch as one pipeline, a transaction.
func TestPgx(t *testing.T) {
	w := driverWorld(t)
	ctx := t.Context()
	conn := cluster.Connect(t, w, "driver")
	var status string
	if err := conn.QueryRow(ctx, "SELECT status FROM orders WHERE id = $1", 2).Scan(&status); err != nil || status != "paid" {
		t.Fatalf("%q, %v", status, err)
	}
	_, err := conn.Exec(ctx, "SELECT amount FROM private.salaries WHERE id = $1", 1)
	if sqlState(err) != "42501" {
		t.Errorf("denied: %v", err)
	}
	if _, err := conn.Exec(ctx, "SELECT amount FROM private.salaries", pgx.QueryExecModeSimpleProtocol); sqlState(err) != "42501" {
		t.Errorf("denied, simple: %v", err)
	}

	// A transaction with a denied statement rolls back.
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO orders VALUES ($1, $2)", 60, "lost"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM orders"); sqlState(err) != "42501" {
			t.Errorf("denied in the transaction: %v", err)
		}
		if _, err := tx.Exec(ctx, "SELECT 1"); sqlState(err) != "25P02" {
			t.Errorf("after it: %v", err)
		}
		return nil
	})
	if !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Errorf("commit: %v", err)
	}
	count(t, conn, "SELECT count(*) FROM orders WHERE id = 60", 0)

	// Prepared once, used often; a denied one is denied at Parse.
	if _, err := conn.Prepare(ctx, "by id", "SELECT status FROM orders WHERE id = $1"); err != nil {
		t.Fatal(err)
	}
	for id := 1; id <= 3; id++ {
		if err := conn.QueryRow(ctx, "by id", id).Scan(&status); err != nil {
			t.Errorf("prepared, %d: %v", id, err)
		}
	}
	if _, err := conn.Prepare(ctx, "hidden", "SELECT amount FROM private.salaries"); sqlState(err) != "42501" {
		t.Errorf("prepare denied: %v", err)
	}

	// A batch is one pipeline and one implicit transaction: a denial in it undoes
	// what came before, and skips the rest.
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO orders VALUES (61, 'lost')")
	batch.Queue("SELECT amount FROM private.salaries")
	batch.Queue("SELECT 1")
	if err := conn.SendBatch(ctx, batch).Close(); sqlState(err) != "42501" {
		t.Errorf("batch: %v", err)
	}
	count(t, conn, "SELECT count(*) FROM orders WHERE id = 61", 0)

	// A pipeline with several Syncs goes on behind the denied part.
	pipe := conn.PgConn().StartPipeline(ctx)
	for _, sql := range []string{"SELECT 1", "SELECT amount FROM private.salaries", "SELECT 3"} {
		pipe.SendQueryParams(sql, nil, nil, nil, nil)
		if err := pipe.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	var states []string
	for {
		res, err := pipe.GetResults()
		if res == nil && err == nil {
			break
		}
		switch r := res.(type) {
		case *pgconn.ResultReader:
			states = append(states, sqlState(r.Read().Err))
		case *pgconn.PipelineSync:
			states = append(states, "sync")
		default:
			states = append(states, sqlState(err))
		}
		if len(states) > 10 {
			break
		}
	}
	if err := pipe.Close(); err != nil && sqlState(err) != "42501" {
		t.Errorf("pipeline: %v", err)
	}
	if diff := cmp.Diff([]string{"", "sync", "42501", "sync", "", "sync"}, states); diff != "" {
		t.Errorf("pipeline (-want +got):\n%s", diff)
	}
	count(t, conn, "SELECT count(*) FROM orders", 3)
}

func count(t *testing.T, conn *pgx.Conn, sql string, want int) {
	t.Helper()
	var got int
	if err := conn.QueryRow(context.Background(), sql).Scan(&got); err != nil || got != want {
		t.Errorf("%s: %d, %v; want %d", sql, got, err, want)
	}
}
