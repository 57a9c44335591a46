package regress

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// side is one of the two ways to a server.
type side struct {
	name string
	// dsn is the address without a password, which password gives: a token lives
	// shorter than the suite runs.
	dsn      string
	password func() (string, error)
	// build is the folder for what the server writes.
	build string
}

// database are the settings that pg_regress gives its database, and those that it
// gives its sessions (pg_regress.c: create_database, initialize_environment).
const database = `
	ALTER DATABASE demo SET lc_messages TO 'C'; ALTER DATABASE demo SET lc_monetary TO 'C'; ALTER DATABASE demo SET lc_numeric TO 'C';
	ALTER DATABASE demo SET lc_time TO 'C'; ALTER DATABASE demo SET bytea_output TO 'hex'; ALTER DATABASE demo SET timezone_abbreviations TO 'Default';
	ALTER DATABASE demo SET timezone TO 'PST8PDT'; ALTER DATABASE demo SET datestyle TO 'Postgres, MDY'; ALTER DATABASE demo SET intervalstyle TO postgres_verbose;
	ALTER ROLE %s SUPERUSER;
`

// world makes a server whose only login is a superuser.
func world(t *testing.T, services bool, scope string) *demo.World {
	t.Helper()
	const app = "shop_app"
	return cluster.Start(t, demo.Config{
		Schema:           "SELECT 1;",
		SQL:              strings.ReplaceAll(fmt.Sprintf(database, app), "demo", demo.Database),
		Scopes:           scope,
		Users:            []demo.User{{Name: "regress", Scopes: []string{"everything"}}},
		PostgresSettings: map[string]string{"max_prepared_transactions": "2", "log_statement": "none", "wal_level": "replica"},
		WithoutServices:  !services,
		Limits:           "{decision: 20s, fresh: 60s, staleness: 10s}",
	})
}

// direct is the way straight to a server.
func direct(t *testing.T, w *demo.World, s suite) side {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(w.Dir, "app.password"))
	if err != nil {
		t.Fatal(err)
	}
	app, _ := w.Roles()
	build, err := s.results("direct")
	if err != nil {
		t.Fatal(err)
	}
	return side{name: "direct", build: build, password: func() (string, error) { return strings.TrimSpace(string(password)), nil },
		dsn: fmt.Sprintf("host=%s user=%s dbname=%s sslmode=verify-full sslrootcert=%s", address(w.Postgres.Addr), app, demo.Database, w.CAFile)}
}

// proxied is the way through Scopewire.
func proxied(t *testing.T, w *demo.World, s suite) side {
	t.Helper()
	app, _ := w.Roles()
	build, err := s.results("proxied")
	if err != nil {
		t.Fatal(err)
	}
	return side{name: "proxied", build: build, password: func() (string, error) { return w.Token("regress") },
		dsn: fmt.Sprintf("host=%s user=%s dbname=%s sslmode=verify-full sslrootcert=%s", address(w.Addr), app, demo.Database, w.CAFile)}
}

// address is host:port as libpq takes them.
func address(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return host + " port=" + port
}

// run gives psql a script, as pg_regress does (pg_regress_main.c:
// psql_start_test), and returns what it printed.
func (d side) run(ctx context.Context, s suite, script string) ([]byte, error) {
	in, err := os.Open(filepath.Join(s.dir, "sql", script+".sql"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	password, err := d.password()
	if err != nil {
		return nil, err
	}
	//nolint:gosec // G204: psql with the script's own arguments.
	cmd := exec.CommandContext(ctx, "psql", "-X", "-a", "-q", "-d", d.dsn, "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on")
	cmd.Stdin, cmd.Dir = in, d.build
	cmd.Env = append(clean(os.Environ()), "LC_ALL=C", "PGPASSWORD="+password, "PGAPPNAME=pg_regress/"+script, "PGTZ=PST8PDT", "PGDATESTYLE=Postgres, MDY",
		"PG_ABS_SRCDIR="+s.dir, "PG_ABS_BUILDDIR="+d.build, "PG_LIBDIR="+s.libraries(), "PG_DLSUFFIX=.so")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if cmd.ProcessState == nil || ctx.Err() != nil {
		return nil, fmt.Errorf("psql %s: %w", script, err)
	}
	// How psql ends is part of what is compared; that an error ends it is not.
	fmt.Fprintf(&out, "exit status %d\n", cmd.ProcessState.ExitCode())
	// Where the server wrote differs by intent.
	return bytes.ReplaceAll(out.Bytes(), []byte(d.build), []byte("BUILDDIR")), nil
}

// everything is a scope that grants all there is. Wildcards do not cover the
// system's schemas and what is named admin, so these are listed.
func everything(ctx context.Context, dsn string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	objects := func(sql string) (string, error) {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return "", err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return "", err
		}
		var b strings.Builder
		for _, n := range names {
			fmt.Fprintf(&b, "        - '%s'\n", strings.ReplaceAll(n, "'", "''"))
		}
		return b.String(), nil
	}
	relations, err := objects(`SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'v', 'm', 'p') AND n.nspname IN ('pg_catalog', 'information_schema') ORDER BY 1`)
	if err != nil {
		return "", err
	}
	functions, err := objects(`SELECT DISTINCT format('function:%I.%I', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace ORDER BY 1`)
	if err != nil {
		return "", err
	}
	// What a language brings is a setting once the language is loaded.
	if _, err := conn.Exec(ctx, "LOAD 'plpgsql'"); err != nil {
		return "", err
	}
	settings, err := objects(`SELECT 'setting:' || name FROM pg_settings
		WHERE name NOT IN ('backslash_quote', 'client_encoding', 'standard_conforming_strings') ORDER BY 1`)
	if err != nil {
		return "", err
	}
	return strings.Join([]string{`  everything:
    - actions: [select, insert, update, delete, truncate, references, trigger, maintain]
      objects: ["*.*", "pg_temp.*"]
      trusted: true
    - actions: [execute]
      objects: ["function:*.*", "procedure:*.*"]
      trusted: true
    - {actions: [usage, select, update], objects: ["sequence:*.*"]}
    - {actions: [usage], objects: ["type:*.*"], trusted: true}
    - {actions: [usage, ddl], objects: ["schema:*", "schema:pg_catalog"], trusted: true}
    - {actions: [connect, temporary], objects: ["database:*"]}
    - {actions: [admin], objects: ["database:` + demo.Database + `", "database:postgres", "database:template1", "database:regression_tbd", "database:regression_utf8"]}
    - {actions: [listen, notify], objects: ["channel:*"]}
    - {actions: [set], objects: ["setting:*", "setting:role", "setting:session_authorization", "setting:custom.*", "setting:nosuch.*", "setting:plpgsql.*"]}
    - {presets: [session, introspection, advisory_locks, migrations]}
    - actions: [select, insert, update, delete]
      trusted: true
      objects:
`, relations, `    - actions: [execute, admin]
      trusted: true
      objects:
`, functions, `    - actions: [set, admin]
      objects:
`, settings}, ""), nil
}
