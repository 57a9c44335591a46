package bypass_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestNamesOfSQLAndProtocol: PREPARE and Parse share their names, DECLARE and Bind as well.
// What is granted works whoever gave the name and whoever uses it, and a name is a way to
// nothing else.
func TestNamesOfSQLAndProtocol(t *testing.T) {
	w := world(t)
	type messages = []pgproto3.FrontendMessage
	q := func(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }
	describe := func(kind byte, name string) pgproto3.FrontendMessage {
		return &pgproto3.Describe{ObjectType: kind, Name: name}
	}
	const two = "SELECT id FROM orders WHERE id IN (1, 2)"
	one := func(portal string) pgproto3.FrontendMessage { return &pgproto3.Execute{Portal: portal, MaxRows: 1} }
	for _, tc := range []struct {
		name     string
		messages messages
		want     string
	}{
		{"PREPARE, Bind", messages{q("PREPARE x AS " + granted), bind("", "x"), execute(""), sync}, "ready I row ready I"},
		{"PREPARE, Describe", messages{q("PREPARE x AS " + granted), describe('S', "x"), sync}, "ready I ready I"},
		{"PREPARE under a name of other case", messages{q("PREPARE X AS " + granted), bind("", "X"), sync, bind("", "x"), execute(""), sync}, "ready I 26000 ready I row ready I"},
		{"PREPARE of a long name", messages{q("PREPARE " + strings.Repeat("n", 70) + " AS " + granted), bind("", strings.Repeat("n", 64)), execute(""), sync}, "ready I row ready I"},
		{"PREPARE with a parameter", messages{
			q("PREPARE x (int) AS SELECT id FROM orders WHERE id = $1"),
			&pgproto3.Bind{PreparedStatement: "x", Parameters: [][]byte{[]byte("1")}}, execute(""), sync,
		}, "ready I row ready I"},
		{"PREPARE in a message that fails later", messages{q("PREPARE x AS " + granted + "; SELECT 1/0"), bind("", "x"), execute(""), sync}, "22012 ready I row ready I"},
		{"a Parse of the same name", messages{q("PREPARE x AS " + granted), parse("x", "SELECT 1"), sync, bind("", "x"), execute(""), sync}, "ready I 42P05 ready I row ready I"},
		{"closed by a message", messages{q("PREPARE x AS " + granted), &pgproto3.Close{ObjectType: 'S', Name: "x"}, sync, q("EXECUTE x")}, "ready I ready I 26000 ready I"},
		{"Parse, EXECUTE", messages{parse("x", granted), sync, q("EXECUTE x")}, "ready I row ready I"},
		{"Parse, EXPLAIN EXECUTE", messages{parse("x", "SELECT 1"), sync, q("EXPLAIN (COSTS off) EXECUTE x")}, "ready I row ready I"},
		{"Parse, EXECUTE with a parameter", messages{parse("x", "SELECT id FROM orders WHERE id = $1"), sync, q("EXECUTE x (1)")}, "ready I row ready I"},
		{"Parse, DEALLOCATE", messages{parse("x", granted), sync, q("DEALLOCATE x"), bind("", "x"), sync}, "ready I ready I 26000 ready I"},
		{"Parse and EXECUTE in a pipeline", messages{parse("x", granted), parse("", "EXECUTE x"), bind("", ""), execute(""), sync}, "row ready I"},
		{"DECLARE, Describe, Execute", messages{q("BEGIN"), q("DECLARE c CURSOR FOR " + two), describe('P', "c"), one("c"), sync, q("FETCH 1 FROM c")}, "ready T ready T row ready T row ready T"},
		{"DECLARE WITH HOLD, Execute", messages{q("DECLARE c CURSOR WITH HOLD FOR " + two), one("c"), sync, one("c"), sync}, "ready I row ready I row ready I"},
		{"Bind, FETCH, MOVE, CLOSE", messages{q("BEGIN"), parse("", two), bind("c", ""), sync, q("MOVE 1 IN c"), q("FETCH ALL FROM c"), q("CLOSE c"), one("c"), sync},
			"ready T ready T ready T row ready T ready T 34000 ready E"},
		{"denied by PREPARE", messages{q("PREPARE x AS " + hidden), bind("", "x"), execute(""), sync}, "42501 ready I 26000 ready I"},
		{"denied by DECLARE", messages{q("DECLARE c CURSOR WITH HOLD FOR " + hidden), execute("c"), sync, describe('P', "c"), sync}, "42501 ready I 34000 ready I 34000 ready I"},
		{"a missing name beside what is denied", messages{q(hidden + "; EXECUTE x"), q("SELECT salary FROM employeez; EXECUTE x")}, "42501 ready I 42501 ready I"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := talk(t, hijack(t, w), tc.messages...); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
