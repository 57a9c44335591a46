package e2e_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/test/cluster"
)

// pgx's CopyFrom and CopyTo, and psql's \copy, work where the table is granted.
func TestCopyByDrivers(t *testing.T) {
	w := driverWorld(t)
	conn := cluster.Connect(t, w, "driver")
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"public", "orders"}, []string{"id", "status"},
		pgx.CopyFromRows([][]any{{int32(60), "copied"}, {int32(61), "copied"}}))
	if err != nil || n != 2 {
		t.Fatalf("%d rows, %v", n, err)
	}
	var out bytes.Buffer
	if _, err := conn.PgConn().CopyTo(t.Context(), &out, "COPY (SELECT id FROM orders WHERE id >= 60 ORDER BY id) TO STDOUT"); err != nil || out.String() != "60\n61\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	var said *pgconn.PgError
	if _, err := conn.PgConn().CopyTo(t.Context(), &out, "COPY private.salaries TO STDOUT"); !errors.As(err, &said) || said.Code != "42501" {
		t.Error(err)
	}
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"private", "salaries"}, []string{"id"}, pgx.CopyFromRows([][]any{{int32(1)}}))
	if !errors.As(err, &said) || said.Code != "42501" {
		t.Error(err)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	expect(t, psql(t, w.ConnString("driver"), token(t, w, "driver"), "-c", `\copy orders to stdout where id < 60`), "ERROR")
	expect(t, psql(t, w.ConnString("driver"), token(t, w, "driver"), "-c", `\copy (SELECT status FROM orders WHERE id < 3 ORDER BY id) to stdout`), "new\n", "paid\n")
}

// A search_path given at startup may name what is granted; of a schema that is not, and of
// one that is not there, the client hears the same.
func TestSec_T05_SettingsAtStartup(t *testing.T) {
	w := driverWorld(t)
	run := func(options string) string {
		return psql(t, w.ConnString("driver")+" options='"+options+"'", token(t, w, "driver"), "-Atc", "SHOW search_path")
	}
	if got := run("-c search_path=public,pg_catalog --statement-timeout=0"); got != "public,pg_catalog\n" {
		t.Errorf("%q", got)
	}
	hidden, missing := run("-c search_path=private"), run("-c search_path=nowhere")
	for _, out := range []string{hidden, missing} {
		expect(t, out, "FATAL", "search_path")
		if strings.Contains(out, "private") || strings.Contains(out, "nowhere") {
			t.Errorf("%q", out)
		}
	}
	for _, options := range []string{"-c role=postgres", "-c session_authorization=postgres", "-c replication=1", "-c scopewire.token=x",
		"-c session_preload_libraries=x", "-c standard_conforming_strings=off", "-c client_encoding=sjis", "-c app.tenant=1", "-c no_such=1"} {
		expect(t, run(options), "FATAL")
	}
}
