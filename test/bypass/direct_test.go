package bypass_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// sameGrants makes roles that hold in PostgreSQL what the tokens of mallory and wanda
// hold in the policy.
const sameGrants = `
CREATE ROLE mallory LOGIN;
GRANT SELECT ON orders, order_items TO mallory;
GRANT SELECT (id, name) ON customers TO mallory;
CREATE ROLE wanda LOGIN;
GRANT SELECT (id, status), UPDATE (status), INSERT (id, customer_id, total) ON orders TO wanda;
GRANT SELECT (order_id), DELETE ON order_items TO wanda;
GRANT SELECT (id, name) ON customers TO wanda;
`

// directWorld is a server with such roles, without Scopewire.
func directWorld(t *testing.T) *demo.World {
	t.Helper()
	return cluster.Start(t, demo.Config{SQL: traps + sameGrants, WithoutServices: true})
}

// direct opens a session at a server of its own as such a role.
func direct(t *testing.T, role string) *pgconn.PgConn {
	t.Helper()
	return directAs(t, directWorld(t), role)
}

// directAs opens a session at a server as such a role.
func directAs(t *testing.T, w *demo.World, role string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), w.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "SET SESSION AUTHORIZATION "+role).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestPostgresRefusesTheSameReads: an attack on rows or columns that the token does
// not cover is refused by PostgreSQL as well, to a role with the same grants; or the
// case says why it is not.
func TestPostgresRefusesTheSameReads(t *testing.T) {
	conn := direct(t, "mallory")
	for _, c := range load(t, "read.yaml") {
		t.Run(c.Name, func(t *testing.T) {
			query, parse := run(t, conn, c.SQL)
			refused := query == "42501" && (parse == "42501" || parse == "42601")
			if refused == (c.Why != "") {
				t.Errorf("%s\nas a Query %q, as a Parse %q; why: %q", c.SQL, query, parse, c.Why)
			}
			run(t, conn, "ROLLBACK")
		})
	}
}

// TestPostgresAllowsTheSameStatements: what this suite calls legitimate is what such
// a role may run.
func TestPostgresAllowsTheSameStatements(t *testing.T) {
	conn := direct(t, "mallory")
	for _, c := range append(load(t, "allow.yaml"), load(t, "allow_types.yaml")...) {
		if !c.servedBy(t, conn) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if query, parse := run(t, conn, c.SQL); query != "" || parse != "" && parse != "42601" {
				t.Errorf("%s\nas a Query %q, as a Parse %q", c.SQL, query, parse)
			}
			run(t, conn, "ROLLBACK")
		})
	}
}

// twin is a pair of texts of which one names what exists and is not granted, the
// other what does not exist.
type twin struct {
	Name    string `yaml:"name"`
	SQL     string `yaml:"sql"`
	Missing string `yaml:"missing"`
}

// answer is what a client sees of a text, without the reference.
func answer(t *testing.T, conn *pgconn.PgConn, sql string, parse bool) string {
	t.Helper()
	var err error
	if parse {
		_, err = conn.ExecParams(t.Context(), sql, nil, nil, nil, nil).Close()
	} else {
		_, err = conn.Exec(t.Context(), sql).ReadAll()
	}
	if err == nil {
		return "no error"
	}
	e := asPgError(t, err, sql)
	detail := e.Detail
	if strings.HasPrefix(detail, "Reference: ") {
		detail = "a reference"
	}
	return strings.Join([]string{e.Severity, e.Code, e.Message, detail, e.Hint, e.Where, e.SchemaName, e.TableName, e.ColumnName,
		e.DataTypeName, e.ConstraintName, fmt.Sprint(e.Position), fmt.Sprint(e.InternalPosition)}, "|")
}

// TestSec_T48_HiddenLooksMissing: what is not granted cannot be told from what does not exist.
func TestSec_T48_HiddenLooksMissing(t *testing.T) {
	conn := cluster.Connect(t, world(t), "mallory").PgConn()
	// More names than the limit allows: a refusal, if binding came that far.
	tooMany := ", (SELECT " + strings.Repeat("1 AS x, ", 1600) + "1 AS y ORDER BY " + strings.Repeat("1 + 1, ", 20_000) + "1) q"
	twins := append(loadTwins(t, "twins.yaml"),
		twin{Name: "a table before a limit", SQL: "SELECT 1 FROM employees e" + tooMany, Missing: "SELECT 1 FROM employeez e" + tooMany},
		twin{Name: "a table after a limit", SQL: "SELECT 1 FROM orders o" + tooMany + ", employees", Missing: "SELECT 1 FROM orders o" + tooMany + ", employeez"})
	for _, c := range twins {
		t.Run(c.Name, func(t *testing.T) {
			for _, parse := range []bool{false, true} {
				hidden, missing := answer(t, conn, c.SQL, parse), answer(t, conn, c.Missing, parse)
				if hidden != missing {
					t.Errorf("%s\n%s\n%s\n%s", c.SQL, hidden, c.Missing, missing)
				}
				if hidden == "no error" {
					t.Errorf("%s is no attack", c.SQL)
				}
			}
		})
	}
}

// TestNothingThatPostgresRefuses puts many expressions into many places. What
// PostgreSQL refuses to a role with the same grants must not come through, and what
// comes through must run.
func TestNothingThatPostgresRefuses(t *testing.T) {
	w := world(t)
	for _, tc := range []struct{ user, file string }{{"mallory", "cross.yaml"}, {"wanda", "cross_write.yaml"}} {
		t.Run(tc.user, func(t *testing.T) {
			crossed(t, direct(t, tc.user), cluster.Connect(t, w, tc.user).PgConn(), tc.file)
		})
	}
}

func crossed(t *testing.T, server, proxy *pgconn.PgConn, file string) {
	cross := read[struct {
		Frames    []string `yaml:"frames"`
		Fragments []string `yaml:"fragments"`
	}](t, file)
	allowed, refused := 0, 0
	for _, frame := range cross.Frames {
		for _, fragment := range cross.Fragments {
			sql := strings.ReplaceAll(frame, "%s", fragment)
			theirs, ours := code(t, server, sql), code(t, proxy, sql)
			if theirs == "42501" && ours != "42501" || theirs != "" && ours == "" {
				t.Errorf("%s\nPostgreSQL %q, Scopewire %q", sql, theirs, ours)
			}
			if ours == "" {
				allowed++
			}
			if theirs == "42501" {
				refused++
			}
		}
	}
	if allowed < 200 || refused < 200 {
		t.Errorf("%d came through, %d were refused: that shows nothing", allowed, refused)
	}
}

// code is the SQLSTATE of a Query, empty for none.
func code(t *testing.T, conn *pgconn.PgConn, sql string) string {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql).ReadAll()
	if err == nil {
		return ""
	}
	return asPgError(t, err, sql).Code
}
