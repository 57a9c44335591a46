package bypass_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type testCase struct {
	Name string `yaml:"name"`
	SQL  string `yaml:"sql"`
	// Answer is the SQLSTATE of an attack; empty is 42501.
	Answer string `yaml:"answer,omitempty"`
	// Sent says that an attack comes to nothing in the server, whose error Answer is:
	// its names mean nothing that is hidden.
	Sent bool `yaml:"sent,omitempty"`
	// Why says, of an attack in read.yaml, why PostgreSQL itself does not refuse it
	// to a role with the same grants.
	Why string `yaml:"why,omitempty"`
	// Since is the first major version that has what a legitimate statement uses, Until
	// the last that does not have what an attack uses.
	Since int `yaml:"since,omitempty"`
	Until int `yaml:"until,omitempty"`
}

// servedBy reports whether the server of a connection has what the case uses.
func (c testCase) servedBy(t *testing.T, conn *pgconn.PgConn) bool {
	t.Helper()
	major := majorOf(t, conn.ParameterStatus("server_version"))
	return major >= c.Since && (c.Until == 0 || major <= c.Until)
}

// majorOf is the major version in what a server says of itself.
func majorOf(t *testing.T, version string) (major int) {
	t.Helper()
	if _, err := fmt.Sscan(version, &major); err != nil {
		t.Fatalf("the server's version is %q: %v", version, err)
	}
	return major
}

// attacks are the files of what must be denied.
func attacks() []string {
	return []string{"read.yaml", "code.yaml", "write.yaml", "session.yaml", "lookup.yaml", "spelling.yaml", "ddl.yaml", "encoding.yaml"}
}

// traps are objects of the database that wait for an analysis that takes names
// for what they seem.
const traps = `
CREATE FUNCTION total_of(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(salary) FROM employees); END';
CREATE FUNCTION secret_of(orders) RETURNS text LANGUAGE sql AS 'SELECT string_agg(name, '','') FROM employees';
CREATE FUNCTION abs(orders) RETURNS int LANGUAGE sql AS 'SELECT max(salary)::int FROM employees';
CREATE FUNCTION lower(text, int) RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM employees';
CREATE OPERATOR @@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
CREATE FUNCTION top_of(int, int) RETURNS int LANGUAGE sql AS 'SELECT max(salary)::int FROM employees';
CREATE OPERATOR #### (LEFTARG = int, RIGHTARG = int, FUNCTION = top_of);
CREATE TYPE pair AS (a int);
CREATE DOMAIN checked_int AS int CHECK (total_of(VALUE) > 0);
CREATE TYPE mood_text AS (x text);
CREATE VIEW all_employees AS SELECT * FROM employees;
CREATE VIEW order_totals AS SELECT id, total FROM orders;
CREATE MATERIALIZED VIEW salary_report AS SELECT avg(salary) FROM employees;
CREATE TABLE guarded (id int, v text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE SEQUENCE s;
CREATE COLLATION mine (provider = libc, locale = 'C');
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
CREATE TYPE mood AS ENUM ('ok', 'sad');
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE SCHEMA hr;
CREATE TABLE hr.salaries (id int, email text, amount numeric);
CREATE TYPE hr.reason AS ENUM ('quit', 'fired');
CREATE DOMAIN hr.code AS text CHECK (VALUE LIKE 'HR-%');
CREATE FUNCTION hr.raise(int) RETURNS int LANGUAGE sql AS 'SELECT max(amount)::int FROM hr.salaries';
GRANT USAGE ON SCHEMA hr TO shop_app;
GRANT ALL ON ALL TABLES IN SCHEMA hr TO shop_app;
GRANT ALL ON ALL TABLES IN SCHEMA public TO shop_app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO shop_app;
`

func world(t *testing.T) *demo.World {
	return cluster.Start(t, demo.Config{
		SQL: traps,
		Scopes: `  attacker:
    - actions: [select]
      objects: [public.orders, public.order_items]
    - actions: [select]
      objects: [public.customers]
      columns: [id, name]
  writer:
    - {actions: [select], objects: [public.orders], columns: [id, status]}
    - {actions: [update], objects: [public.orders], columns: [status]}
    - {actions: [insert], objects: [public.orders], columns: [id, customer_id, total]}
    - {actions: [select], objects: [public.order_items], columns: [order_id]}
    - {actions: [delete], objects: [public.order_items]}
    - {actions: [select], objects: [public.customers], columns: [id, name]}
`,
		Users: []demo.User{
			{Name: "mallory", Scopes: []string{"attacker"}, About: "the attacker"},
			{Name: "wanda", Scopes: []string{"writer"}, About: "an attacker who may write some columns"},
		},
		// Everything that reaches the server is in its log.
		PostgresSettings: map[string]string{"log_statement": "all", "log_min_error_statement": "error"},
	})
}

func load(t *testing.T, name string) []testCase { return read[[]testCase](t, name) }

func loadTwins(t *testing.T, name string) []twin { return read[[]twin](t, name) }

// read reads a file of cases.
func read[T any](t *testing.T, name string) T {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var cases T
	if err := yaml.UnmarshalWithOptions(b, &cases, yaml.Strict()); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	return cases
}

// run sends one text as a Query and as a Parse, and returns the SQLSTATEs, empty
// for none.
func run(t *testing.T, conn *pgconn.PgConn, sql string) (query, parse string) {
	t.Helper()
	state := func(err error) string {
		if err == nil {
			return ""
		}
		return asPgError(t, err, sql).Code
	}
	_, err := conn.Exec(t.Context(), sql).ReadAll()
	query = state(err)
	_, err = conn.ExecParams(t.Context(), sql, nil, nil, nil, nil).Close()
	return query, state(err)
}

// asPgError takes the server's error out of a session's, which must have survived.
func asPgError(t *testing.T, err error, sql string) *pgconn.PgError {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		t.Fatalf("the session did not survive %q: %v", sql, err)
	}
	return e
}

func TestAttacksAreDenied(t *testing.T) {
	w := world(t)
	conn := cluster.Connect(t, w, "mallory").PgConn()
	for _, file := range attacks() {
		for _, c := range load(t, file) {
			t.Run(strings.TrimSuffix(file, ".yaml")+"/"+c.Name, func(t *testing.T) {
				if !c.servedBy(t, conn) {
					return
				}
				want := c.Answer
				if want == "" {
					want = "42501"
				}
				query, parse := run(t, conn, c.SQL)
				// A text of several statements is a syntax error as a Parse.
				if query != want || parse != want && parse != "42601" {
					t.Errorf("%s\nas a Query %q, as a Parse %q, want %q", c.SQL, query, parse, want)
				}
			})
		}
	}
	// The session is sane, and the server has seen none of it.
	if query, parse := run(t, conn, "SELECT 1"); query != "" || parse != "" {
		t.Errorf("after the attacks: %q, %q", query, parse)
	}
	log, err := os.ReadFile(w.Postgres.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	_, sessions, found := bytes.Cut(log, []byte("SELECT 1"))
	if !found || len(sessions) == 0 {
		t.Fatal("the server's log does not show what it was sent")
	}
	for _, file := range attacks() {
		for _, c := range load(t, file) {
			if !c.Sent && bytes.Contains(log, []byte("statement: "+c.SQL)) || !c.Sent && bytes.Contains(log, []byte("execute <unnamed>: "+c.SQL)) {
				t.Errorf("the server was sent %q", c.SQL)
			}
		}
	}
}

func TestLegitimateStatementsAreAllowed(t *testing.T) {
	w := world(t)
	conn := cluster.Connect(t, w, "mallory").PgConn()
	for _, file := range []string{"allow.yaml", "allow_types.yaml", "utility.yaml"} {
		for _, c := range load(t, file) {
			if !c.servedBy(t, conn) {
				continue
			}
			t.Run(strings.TrimSuffix(file, ".yaml")+"/"+c.Name, func(t *testing.T) {
				query, parse := run(t, conn, c.SQL)
				if query != c.Answer || parse != c.Answer && parse != "42601" {
					t.Errorf("%s\nas a Query %q, as a Parse %q, want %q", c.SQL, query, parse, c.Answer)
				}
			})
		}
	}
}
