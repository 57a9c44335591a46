package bypass_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// raceWorld has a principal who may do everything in a schema of her own, and nothing to
// the employees in another.
func raceWorld(t *testing.T) *demo.World {
	return cluster.Start(t, demo.Config{
		SQL: `CREATE SCHEMA own; GRANT ALL ON SCHEMA own TO shop_app; GRANT ALL ON ALL TABLES IN SCHEMA public TO shop_app;
CREATE FUNCTION top(int) RETURNS bigint LANGUAGE sql AS 'SELECT max(salary)::bigint FROM employees'; GRANT EXECUTE ON FUNCTION top(int) TO shop_app;`,
		Scopes: `  racer:
    - {actions: [ddl], objects: ["schema:own"]}
    - {actions: [select, insert, update, delete], objects: ["own.*", public.orders]}
    - {actions: [execute], objects: ["function:own.*"]}
`,
		Users: []demo.User{{Name: "rita", Scopes: []string{"racer"}, About: "who may do everything in a schema of her own"}},
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
			a, b := hijackAs(t, w, "rita"), hijackAs(t, w, "rita")
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
