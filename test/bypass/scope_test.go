package bypass_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/test/cluster"
)

// templates are scope templates and denies, after the scopes of the policy file.
const templates = `  all.read:
    - actions: [select]
      objects: ["public.*"]
scope_templates:
  "pg:{object}:{action}":
    - actions: ["{action}"]
      objects: ["{object}"]
  "read:{schema}:{table}":
    - actions: [select]
      objects: ["{schema}.{table}"]
  "column:{name}":
    - actions: [select]
      objects: [public.customers]
      columns: ["{name}"]
deny:
  - objects: [public.board]
  - objects: [public.customers]
    columns: [email]
  - objects: [public.parts_secret, public.gone]
  - objects: ["hr.*"]
`

const denied = `
CREATE TABLE board (id int, minutes text);
CREATE TABLE parts (id int) PARTITION BY LIST (id);
CREATE TABLE parts_open PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_secret PARTITION OF parts FOR VALUES IN (2);
CREATE SCHEMA hr;
CREATE TABLE hr.salaries (id int);
GRANT USAGE ON SCHEMA hr TO shop_app;
GRANT SELECT ON ALL TABLES IN SCHEMA hr TO shop_app;
GRANT SELECT ON board, parts, parts_open, parts_secret TO shop_app;
`

// TestOddScopes: a scope's text never becomes a wildcard, a kind, a second name or
// another scope.
func TestOddScopes(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: denied, Scopes: templates})
	read := func(t *testing.T, sql string, scopes ...string) string {
		t.Helper()
		token, err := w.Issuer.Mint(devissuer.Claims{Subject: "mallory", Audience: []string{demo.Audience}, Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := pgconn.Connect(t.Context(), w.ConnString("mallory")+" password='"+token+"'")
		if err != nil {
			// A scope holds no quotes, no control characters and nothing but ASCII (RFC 6749,
			// section 3.3); a token with such a one is none.
			return asPgError(t, err, "connect").Code
		}
		defer func() { _ = conn.Close(context.Background()) }()
		query, parse := run(t, conn, sql)
		if query != parse {
			t.Errorf("as a Query %q, as a Parse %q", query, parse)
		}
		return query
	}
	const salary, email = "SELECT salary FROM employees", "SELECT email FROM customers"
	for _, scope := range []string{
		"pg:*:select", "pg:*.*:select", "pg:public.*:select", "pg:\"public\".*:select", "pg:public.\"*\":select",
		"pg:{object}:select", "pg:public.{action}:select", "pg:public.orders,public.employees:select",
		"pg:public.orders\npublic.employees:select", "pg:public.employees:*", "pg:public.employees:admin", "pg:public.employees:SELECT",
		"pg:public.employees:select:select", "pg:public.employees:", "pg::select", "pg:employees:select", "pg:shop.public.employees:select",
		"pg:table:public.employees:select", "pg:public.employees;:select", "pg:public.employees(:select", "pg:public.employees*:select",
		"pg:public.employees--:select", "pg:\"public.employees\":select", "pg:\"public\".\"employees:select", "pg:public..employees:select",
		"pg:.employees:select", "pg:public.EMPLOYEES\u200b:select", "pg:public.\"EMPLOYEES\":select", "pg:public.ｅmployees:select",
		"pg:pg_catalog.*:select", "pg:public.employees:insert", "read:*:employees", "read:public:*", "read:*:*", "read:public.employees:x",
		"read:public:employees:", "read::employees", "HR.READ", "Hr.read", "hr.read\t", "hr.read/", "hr.rea", "hr.read*", "*", "hr.*", "hr_read",
		"hr\u2024read", "{scope}", "\"hr.read\"", "'hr.read'", "[hr.read]", "orders.read,hr.read", "orders.read;hr.read", "orders.read+hr.read",
	} {
		t.Run("salary/"+scope, func(t *testing.T) {
			if got := read(t, salary, scope); got != "42501" && got != "28P01" {
				t.Errorf("got %q", got)
			}
		})
	}
	for _, scope := range []string{"column:email", "column:*", "column:name", "column:id,email", "column:\"*\"", "pg:public.customers:select", "read:public:customers", "all.read", "column:{name}"} {
		t.Run("email/"+scope, func(t *testing.T) {
			if got := read(t, email, scope); got != "42501" && got != "28P01" {
				t.Errorf("got %q", got)
			}
		})
	}
	for _, scope := range []string{"pg:public.employees:select", "pg:PUBLIC.Employees:select", "read:public:employees", "hr.read", "all.read"} {
		t.Run("granted/"+scope, func(t *testing.T) {
			if got := read(t, salary, scope); got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestDenies: a deny wins over a wildcard, and what is denied looks missing where the
// name is denied, whether or not it exists.
func TestDenies(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: denied, Scopes: templates, Users: []demo.User{{Name: "dana", Scopes: []string{"all.read"}}}})
	conn := cluster.Connect(t, w, "dana").PgConn()
	for _, tc := range []struct{ sql, want string }{
		{"SELECT * FROM board", "42501"},
		{"SELECT count(*) FROM board", "42501"},
		{"SELECT * FROM public.board", "42501"},
		{"SELECT * FROM gone", "42501"},
		{"SELECT * FROM orders, board", "42501"},
		{"SELECT * FROM missing", "42P01"},
		{"SELECT * FROM public.missing", "42P01"},
		{"SELECT * FROM hr.salaries", "42501"},
		{"SELECT * FROM hr.missing", "42501"},
		{"SELECT * FROM nowhere.missing", "42501"},
		{"SELECT email FROM customers", "42501"},
		{"SELECT emayl FROM customers", "42501"},
		{"SELECT * FROM customers", "42501"},
		{"SELECT c FROM customers c", "42501"},
		{"SELECT count(c.*) FROM customers c", "42501"},
		{"SELECT id FROM customers ORDER BY email", "42501"},
		{"SELECT 1 FROM customers a JOIN customers b USING (email)", "42501"},
		{"EXPLAIN VERBOSE SELECT count(*) FROM customers", "42501"},
		{"SELECT id, name FROM customers", ""},
		{"SELECT count(*) FROM customers", ""},
		{"SELECT nothing FROM orders", "42703"},
		{"SELECT o.nothing FROM orders o", "42703"},
		{"SELECT * FROM employees", ""},
		// As PostgreSQL checks it, a parent's rows are read by the parent's right.
		{"SELECT * FROM parts_secret", "42501"},
		{"SELECT * FROM parts_open", ""},
		{"SELECT * FROM parts", ""},
		// The wildcard reads; it does nothing else.
		{"DELETE FROM orders", "42501"},
		{"SELECT id FROM orders FOR UPDATE", "42501"},
		{"SELECT relname FROM pg_class", "42501"},
		{"SELECT * FROM information_schema.tables", "42501"},
		{"SELECT * FROM pg_missing", "42501"},
		{"SELECT * FROM pg_catalog.pg_missing", "42501"},
	} {
		if query, parse := run(t, conn, tc.sql); query != tc.want || parse != tc.want {
			t.Errorf("%s\nas a Query %q, as a Parse %q, want %q", tc.sql, query, parse, tc.want)
		}
	}
}
