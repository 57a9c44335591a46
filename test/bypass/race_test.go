package bypass_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// raceWorld has a principal who may do everything in a schema of her own, one who may read and
// write what is there, and nothing to the employees in another for both.
func raceWorld(t *testing.T) *demo.World {
	return cluster.Start(t, demo.Config{
		SQL: `CREATE SCHEMA own; GRANT ALL ON SCHEMA own TO shop_app; GRANT ALL ON ALL TABLES IN SCHEMA public TO shop_app;
CREATE FUNCTION top(int) RETURNS bigint LANGUAGE sql AS 'SELECT max(salary)::bigint FROM employees'; GRANT EXECUTE ON FUNCTION top(int) TO shop_app;
CREATE FUNCTION peek(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT max(salary) > $1 FROM employees';
CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = int, FUNCTION = peek); CREATE DOMAIN code AS text CHECK (peek(length(VALUE), 0));`,
		Scopes: `  racer:
    - {actions: [ddl], objects: ["schema:own"]}
  reader:
    - {actions: [select, insert, update, delete, truncate], objects: ["own.*", public.orders]}
    - {actions: [execute], objects: ["function:own.*"]}
`,
		Users: []demo.User{
			{Name: "rita", Scopes: []string{"racer", "reader"}, About: "who may do everything in a schema of her own"},
			{Name: "rob", Scopes: []string{"reader"}, About: "who may read and write there"},
		},
	})
}

func query(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }

// TestOtherSessionsChanges: what one session has changed of the catalog every other is
// judged by at once. A name that was hers and is gone means somebody else's further down
// the path, which the server reads as soon as the change is committed.
func TestOtherSessionsChanges(t *testing.T) {
	w := raceWorld(t)
	const read, call = "SELECT name FROM employees", "SELECT top(1)"
	hers := "CREATE TABLE own.employees (id int, name text, salary int); CREATE FUNCTION own.top(int) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'"
	for _, change := range []string{
		"DROP TABLE own.employees; DROP FUNCTION own.top(int)",
		"ALTER TABLE own.employees RENAME TO former|DROP FUNCTION own.top(int)",
		"BEGIN; DROP TABLE own.employees; DROP FUNCTION own.top(int); COMMIT",
		"BEGIN; DROP TABLE own.employees; DROP FUNCTION own.top(int); COMMIT; SELECT 1",
		"BEGIN|DROP TABLE own.employees|DROP FUNCTION own.top(int)|COMMIT",
		"BEGIN|SAVEPOINT a|DROP TABLE own.employees|RELEASE a|DROP FUNCTION own.top(int)|END",
		"BEGIN|DROP TABLE own.employees|DROP FUNCTION own.top(int)|COMMIT AND CHAIN",
	} {
		t.Run(change, func(t *testing.T) {
			a, b := hijackAs(t, w, "rita"), hijackAs(t, w, "rob")
			if got := talk(t, a, query(hers)); strings.Contains(got, "4") {
				t.Fatalf("her own objects: %s", got)
			}
			talk(t, b, query("SET search_path = own, public"))
			// Hers are empty.
			before := talk(t, b, parse("p", read), bind("", "p"), execute(""), sync, query(read), query("PREPARE sql AS "+read), query("EXECUTE sql"), query("SELECT count(*) FROM ("+read+") x"))
			if strings.Contains(before, "42501") {
				t.Fatalf("before: %s", before)
			}
			talk(t, b, query(call), parse("c", call), sync)
			for part := range strings.SplitSeq(change, "|") {
				if got := talk(t, a, query(part)); strings.Contains(got, "42") {
					t.Fatalf("%s: %s", part, got)
				}
			}
			got := talk(t, b, query(read), query(call), bind("", "p"), execute(""), sync, bind("", "c"), execute(""), sync, query("EXECUTE sql"), query("SELECT * FROM employees"))
			if strings.Contains(got, "row") || strings.Count(got, "42501") != 6 {
				t.Errorf("behind the change: %s", got)
			}
			for _, part := range []string{"ROLLBACK", "DROP TABLE IF EXISTS own.former", "DROP TABLE IF EXISTS own.employees",
				"DROP FUNCTION IF EXISTS own.top(int)"} {
				talk(t, a, query(part))
			}
		})
	}
}

// TestNamesThatMayGo: a name without a schema is looked up when the server comes to it,
// and who may change the schema that it is found in can let it mean what is behind that by
// then. Such a name takes the rights on both.
func TestNamesThatMayGo(t *testing.T) {
	w := raceWorld(t)
	rita, rob := hijackAs(t, w, "rita"), hijackAs(t, w, "rob")
	for _, sql := range []string{
		"CREATE TABLE own.employees (id int, name text, salary int)", "CREATE TABLE own.orders (id int, note text)",
		"CREATE TABLE own.alone (id int)", "CREATE FUNCTION own.top(int) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'",
		"CREATE FUNCTION own.alone(int) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'",
		"CREATE FUNCTION own.less(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 < $2'",
		"CREATE OPERATOR own.<<< (LEFTARG = int, RIGHTARG = int, FUNCTION = own.less)", "CREATE DOMAIN own.code AS text",
		"CREATE DOMAIN own.plain AS text",
	} {
		if got := talk(t, rita, query(sql)); strings.Contains(got, "4") {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	for _, b := range []*pgconn.HijackedConn{rita, rob} {
		talk(t, b, query("SET search_path = own, public"))
	}
	for sql, may := range map[string]bool{
		"SELECT name FROM employees":                               false,
		"SELECT 1 FROM orders, employees e":                        false,
		"WITH x AS (SELECT FROM employees) SELECT count(*) FROM x": false,
		"INSERT INTO employees VALUES (1, 'eve', 2)":               false,
		"UPDATE employees SET salary = 0":                          false,
		"DELETE FROM employees":                                    false,
		"TRUNCATE employees":                                       false,
		"COPY employees TO STDOUT":                                 false,
		"LOCK TABLE employees":                                     false,
		"PREPARE p AS SELECT name FROM employees":                  false,
		"EXPLAIN SELECT * FROM employees":                          false,
		"SELECT 'employees'::regclass":                             false,
		"SELECT top(1)":                                            false,
		"SELECT id FROM own.alone WHERE top(id) = 1":               false,
		"SELECT 1 <<< 2":                                           false, "SELECT 1 <<< ANY ('{2}'::int[])": false,
		"SELECT 'x'::code": false, "DROP DOMAIN code": false,
		"SELECT 1 OPERATOR(own.<<<) 2": true, "SELECT 'x'::own.code": true, "SELECT 'x'::plain": true,
		"DROP TABLE employees":                                             false,
		"ALTER TABLE employees ADD COLUMN extra int":                       false,
		"CREATE INDEX ON employees (id)":                                   false,
		"SELECT name FROM own.employees":                                   true,
		"SELECT own.top(1)":                                                true,
		"INSERT INTO own.employees VALUES (1, 'eve', 2)":                   true,
		"SELECT note FROM orders":                                          true,
		"SELECT id, alone(id) FROM alone":                                  true,
		"ALTER TABLE own.employees ADD COLUMN other int":                   true,
		"WITH employees AS (SELECT 1) SELECT * FROM employees":             true,
		"SELECT employees.name FROM own.employees WHERE lower(name) = 'x'": true,
	} {
		got := talk(t, rita, query("BEGIN"), query(sql), query("ROLLBACK"))
		if denied := strings.Contains(got, "42501"); denied == may || may && strings.Contains(got, "error") {
			t.Errorf("%s: %s", sql, got)
		}
		// Who may change nothing there is not asked for more.
		if got := talk(t, rob, query("BEGIN"), query(sql), query("ROLLBACK")); may && strings.Contains(sql, "SELECT") && strings.Contains(got, "42501") {
			t.Errorf("rob: %s: %s", sql, got)
		}
	}
	if got := talk(t, rob, query("SELECT name FROM employees"), query("SELECT top(1)")); strings.Contains(got, "42501") {
		t.Errorf("rob: %s", got)
	}
}

// TestColumnsThatMayGo: what TestNamesThatMayGo is for relations. Of public.staff the
// principal has the columns id and name; salary is what she is after.
func TestColumnsThatMayGo(t *testing.T) {
	w := cluster.Start(t, demo.Config{
		SQL: `CREATE SCHEMA own; GRANT ALL ON SCHEMA own TO shop_app; CREATE TABLE staff (id int, name text, salary int); INSERT INTO staff VALUES (1, 'eve', 777);
CREATE TABLE own.t (id int, name text, salary int, staff int, peek int); GRANT ALL ON ALL TABLES IN SCHEMA public, own TO shop_app;
CREATE FUNCTION peek(anyelement) RETURNS int LANGUAGE sql AS 'SELECT salary FROM staff';`,
		Scopes: `  racer:
    - {actions: [ddl], objects: ["schema:own"]}
    - {actions: [select, insert, update, delete], objects: ["own.*"]}
    - {actions: [select], objects: [public.staff], columns: [id, name]}
  reader:
    - {actions: [select], objects: ["own.*"]}
    - {actions: [select], objects: [public.staff], columns: [id, name]}
`,
		Users: []demo.User{
			{Name: "rita", Scopes: []string{"racer"}, About: "who may change a schema of her own"},
			{Name: "rob", Scopes: []string{"reader"}, About: "who may read there"},
		},
	})
	rita, rob := hijackAs(t, w, "rita"), hijackAs(t, w, "rob")
	for sql, may := range map[string]bool{
		"SELECT (SELECT max(salary) FROM own.t) FROM public.staff":                             false,
		"SELECT id FROM public.staff WHERE EXISTS (SELECT FROM own.t WHERE salary > 5)":        false,
		"SELECT id FROM public.staff WHERE id IN (SELECT salary FROM (SELECT * FROM own.t) x)": false,
		"SELECT staff FROM own.t, (SELECT id FROM public.staff) x":                             true,
		"SELECT t.id, staff FROM own.t, public.staff s":                                        true,
		"SELECT t.id, staff FROM own.t, public.staff":                                          false,
		"SELECT j.d FROM (own.t CROSS JOIN public.staff) j(a, b, c, x, y, d)":                  false,
		"SELECT x.a FROM own.t x(a)":                                                           true,
		"SELECT count(*) FROM (SELECT id, salary FROM own.t) a NATURAL JOIN public.staff":      false,
		"SELECT count(*) FROM (SELECT id FROM own.t) a JOIN public.staff USING (id)":           true,
		"SELECT t.peek FROM own.t":                                                             false,
		"SELECT t.salary FROM own.t":                                                           true,
		"SELECT (SELECT max(t.salary) FROM own.t) FROM public.staff":                           true,
		"SELECT (SELECT max(salary) FROM own.t), 1 AS staff":                                   true,
		"SELECT name FROM public.staff WHERE id IN (SELECT t.salary FROM own.t)":               true,
		"SELECT (SELECT max(name) FROM own.t) FROM public.staff":                               true,
	} {
		got := talk(t, rita, query(sql))
		if denied := strings.Contains(got, "42501"); denied == may || may && strings.Contains(got, "error") {
			t.Errorf("%s: %s", sql, got)
		}
		if got := talk(t, rob, query(sql)); strings.Contains(got, "42501") && !strings.Contains(sql, "NATURAL") {
			t.Errorf("rob: %s: %s", sql, got)
		}
	}
}
