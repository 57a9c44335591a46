package oracle

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The fields of a RangeTblEntry, and from 16 on of a RTEPermissionInfo, as
// debug_print_plan prints them.
func TestFootprint(t *testing.T) {
	snap := &catalog.Snapshot{Operators: []catalog.Operator{{OID: 96, Name: "=", Function: 65}, {OID: 9001, Name: "=", Function: 9002}}}
	snap.Index()
	for name, tree := range map[string]string{
		"15": `({QUERY :rtable ({RTE :eref {ALIAS :aliasname t :colnames ("a" "b")} :rtekind 0 :relid 16384 :relkind r :requiredPerms 6 :checkAsUser 0
 :selectedCols (b 8 9) :insertedCols (b) :updatedCols (b 10)} {RTE :rtekind 1 :requiredPerms 0 :checkAsUser 0 :selectedCols (b) :insertedCols (b) :updatedCols (b)}
 {RTE :relid 16390 :requiredPerms 2 :checkAsUser 10 :selectedCols (b 8) :insertedCols (b) :updatedCols (b)}) :quals {OPEXPR :opno 9001 :opfuncid 0 :args ({FUNCEXPR :funcid 9003})}})`,
		"16": `({QUERY :rtable ({RTE :relid 16384 :relkind r :perminfoindex 1} {RTE :relid 16390 :perminfoindex 2}) :rteperminfos ({RTEPERMISSIONINFO :relid 16384 :inh true :requiredPerms 6
 :checkAsUser 0 :selectedCols (b 8 9) :insertedCols (b) :updatedCols (b 10)} {RTEPERMISSIONINFO :relid 16390 :inh true :requiredPerms 2 :checkAsUser 10 :selectedCols (b 8) :insertedCols (b)
 :updatedCols (b)}) :quals {ROWCOMPAREEXPR :opnos (o 9001) :args ({FUNCEXPR :funcid 9003})}})`,
	} {
		got := newFootprint()
		got.add(tree, snap)
		relations := map[catalog.OID]map[access.Action]map[int16]bool{16384: {access.Select: {1: true, 2: true}, access.Update: {3: true}}}
		if diff := cmp.Diff(relations, got.relations); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if !got.functions[9002] || !got.functions[9003] {
			t.Errorf("%s: functions %v", name, got.functions)
		}
	}
}

func TestInBody(t *testing.T) {
	for _, c := range []struct {
		sql      string
		position int
		want     bool
	}{
		{"CREATE FUNCTION f() RETURNS größe LANGUAGE sql AS 'SELECT g()'", 29, false},
		{"CREATE FUNCTION f() RETURNS größe LANGUAGE sql AS 'SELECT g()'", 59, true},
		{"CREATE FUNCTION f(a int DEFAULT g()) RETURNS int RETURN h()", 33, false},
		{"CREATE FUNCTION f(a int DEFAULT g()) RETURNS int RETURN h()", 57, true},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT g()$$", 0, false},
	} {
		if got := inBody(c.sql, c.position); got != c.want {
			t.Errorf("%d of %s: %v, want %v", c.position, c.sql, got, c.want)
		}
	}
}

// TestKeyQuery: only what a foreign key's trigger asks is passed over, not what code of the
// session's asks.
func TestKeyQuery(t *testing.T) {
	for where, want := range map[string]bool{
		`SQL statement "DELETE FROM ONLY "Hr"."notes" WHERE $1 OPERATOR(pg_catalog.=) "ref""`:                       true,
		`SQL statement "SELECT 1 FROM ONLY "public"."o" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"`: true,
		`SQL statement "UPDATE "p"."t" SET "a" = NULL WHERE $1 OPERATOR(app.=) "a""`:                                true,
		``: false,
		`SQL statement "DELETE FROM notes"` + "\nPL/pgSQL function f() line 1 at SQL statement": false,
		`SQL statement "select 1 from "Hr"."notes" where a OPERATOR(pg_catalog.=) 1"`:           false,
		`SQL function "f" statement 1`: false,
	} {
		if got := keyQuery.MatchString(where); got != want {
			t.Errorf("%s: %v", where, got)
		}
	}
}
