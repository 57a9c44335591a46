package bypass_test

import (
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// Definitions by a token that may define in the schema lab, and by them read, run or
// weaken what it has no right to. Everything is the login's, as its owner may do all of
// it in PostgreSQL.

const labSchemas = `
CREATE SCHEMA lab;
CREATE SCHEMA vault;
GRANT USAGE, CREATE ON SCHEMA lab, vault TO shop_app;
SET SESSION AUTHORIZATION shop_app;
CREATE DOMAIN lab.amount AS text;
CREATE TABLE vault.pay (canary lab.amount);
INSERT INTO vault.pay VALUES ('canary'), (NULL);
CREATE TABLE lab.loot (v text);
CREATE FUNCTION vault.peek(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN max(canary) FROM vault.pay; END';
CREATE FUNCTION vault.step(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN vault.peek($1); END';
CREATE FUNCTION vault.same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE OPERATOR vault.=== (leftarg = text, rightarg = text, function = vault.same);
CREATE FUNCTION lab.differ(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> $2';
CREATE OPERATOR lab.=== (leftarg = text, rightarg = text, function = lab.differ);
CREATE TABLE lab.base (v text);
CREATE VIEW lab.narrow AS SELECT v FROM lab.base WHERE v < 'b' WITH CASCADED CHECK OPTION;
CREATE TABLE lab.made (v text);
CREATE TABLE lab.altered (v text);
CREATE TABLE lab.dropped (v text);
INSERT INTO lab.made VALUES ('canary');
INSERT INTO lab.altered VALUES ('canary');
INSERT INTO lab.dropped VALUES ('canary');
ALTER TABLE lab.made ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE lab.altered ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE lab.dropped ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY none ON lab.altered USING (false);
CREATE POLICY every ON lab.dropped USING (true);
CREATE POLICY none ON lab.dropped AS RESTRICTIVE USING (v < 'b');
RESET SESSION AUTHORIZATION;
`

const labScopes = `  definer:
    - {actions: [ddl], objects: ["schema:lab"]}
    - {actions: [execute], objects: ["function:lab.*"], trusted: true}
    - {actions: [execute], objects: ["function:vault.*"]}
    - {actions: [usage], objects: ["type:lab.*"]}
    - {actions: [select, insert], objects: [lab.loot]}
  reader:
    - {actions: [select], objects: [lab.made, lab.altered, lab.dropped]}
    - {actions: [insert], objects: [lab.narrow]}
  owner:
    - {actions: [ddl], objects: ["schema:lab", "schema:vault"]}
    - {actions: [select], objects: ["lab.*", "vault.*"]}
    - {actions: [execute], objects: ["function:lab.*", "function:vault.*"]}
    - {actions: [usage], objects: ["type:lab.*"]}
`

func labWorld(t *testing.T) *demo.World {
	return cluster.Start(t, demo.Config{SQL: labSchemas, Scopes: labScopes, Users: []demo.User{
		{Name: "dora", Scopes: []string{"definer"}, About: "defines in lab"},
		{Name: "rita", Scopes: []string{"reader"}, About: "reads what row security leaves"},
		{Name: "olga", Scopes: []string{"owner"}, About: "defines and reads"},
	}})
}

// definitionAttack is what dora sends, what is then sent in the name of rita, and a
// query of the administrator that shows the canary where a change has been made.
type definitionAttack struct {
	dora, rita []any
	shows      string
	// tells is what is heard instead of the canary.
	tells string
}

func definitionAttacks() map[string]definitionAttack {
	return map[string]definitionAttack{
		"a check of a domain is held against what is stored": {dora: []any{
			"CREATE FUNCTION lab.tee(text) RETURNS boolean LANGUAGE sql AS 'INSERT INTO lab.loot VALUES ($1) RETURNING true'",
			"ALTER DOMAIN lab.amount ADD CONSTRAINT tee CHECK (lab.tee(VALUE))", "SELECT v FROM lab.loot"}},
		"a domain without nulls names who has them": {dora: []any{"ALTER DOMAIN lab.amount SET NOT NULL"}, tells: "23502"},
		"a policy shows rows":                       {dora: []any{"CREATE POLICY every ON lab.made USING (true)"}, rita: []any{"SELECT v FROM lab.made"}},
		"a policy is widened":                       {dora: []any{"ALTER POLICY none ON lab.altered USING (true)"}, rita: []any{"SELECT v FROM lab.altered"}},
		"a restrictive policy is dropped":           {dora: []any{"DROP POLICY none ON lab.dropped"}, rita: []any{"SELECT v FROM lab.dropped"}},
		"a view is left unchecked": {dora: []any{"ALTER VIEW lab.narrow RESET (check_option)"}, rita: []any{"INSERT INTO lab.narrow VALUES ('canary')"},
			shows: "SELECT v FROM lab.base WHERE v = 'canary'"},
		"an operator becomes the negator of another schema's": {
			dora:  []any{"CREATE OPERATOR lab.!== (leftarg = text, rightarg = text, function = lab.differ, negator = OPERATOR(vault.===))"},
			shows: "SELECT 'canary' FROM pg_operator WHERE oprnamespace = 'vault'::regnamespace AND oprnegate <> 0"},
		"a shell is made in another schema": {
			dora:  []any{"CREATE OPERATOR lab.<== (leftarg = text, rightarg = text, function = lab.differ, commutator = OPERATOR(vault.==>))"},
			shows: "SELECT 'canary' FROM pg_operator WHERE oprnamespace = 'vault'::regnamespace AND oprname = '==>'"},
		"an aggregate gives code a name that is trusted": {dora: []any{
			"CREATE AGGREGATE lab.total (text) (sfunc = vault.step, stype = text, initcond = '')", "SELECT lab.total('x')"}},
	}
}

// TestDefinitionsGiveNoRights: each attack shows the canary when the login itself sends
// it, and nothing through Scopewire.
func TestDefinitionsGiveNoRights(t *testing.T) {
	w := labWorld(t)
	through := func(user string, messages []any) string {
		token, err := w.Token(user)
		if err != nil {
			t.Fatal(err)
		}
		return walk(t, w.ConnString(user)+" password="+token)(messages...)
	}
	administrator := w.Postgres.ConnString(demo.Database)
	for name, attack := range definitionAttacks() {
		t.Run(name, func(t *testing.T) {
			secret := canary
			if attack.tells != "" {
				secret = attack.tells
			}
			shown := func(heard string) string {
				if attack.shows != "" {
					heard = walk(t, administrator)(attack.shows)
				}
				return heard
			}
			said := through("dora", attack.dora)
			if len(attack.rita) > 0 {
				said += through("rita", attack.rita)
			}
			if got := shown(said); strings.Contains(got, secret) {
				t.Errorf("through Scopewire: %s", got)
			}
			login := append([]any{"SET SESSION AUTHORIZATION shop_app"}, append(attack.dora, attack.rita...)...)
			if got := shown(walk(t, administrator)(login...)); !strings.Contains(got, secret) {
				t.Errorf("without Scopewire: %s", got)
			}
		})
	}
}

// TestDefinitionsOfOwners: whoever may read as well may define all of that.
func TestDefinitionsOfOwners(t *testing.T) {
	w := labWorld(t)
	conn := cluster.Connect(t, w, "olga").PgConn()
	for _, sql := range []string{
		"CREATE POLICY every ON lab.made USING (true)",
		"ALTER POLICY every ON lab.made USING (v < 'b')",
		"DROP POLICY every ON lab.made",
		"CREATE POLICY few ON lab.made AS RESTRICTIVE USING (v < 'b')",
		"ALTER DOMAIN lab.amount ADD CONSTRAINT short CHECK (length(VALUE) < 100)",
		"ALTER DOMAIN lab.amount ADD CONSTRAINT later CHECK (length(VALUE) < 50) NOT VALID",
		"ALTER DOMAIN lab.amount VALIDATE CONSTRAINT later",
		"CREATE OPERATOR lab.!== (leftarg = text, rightarg = text, function = lab.differ, negator = OPERATOR(vault.===))",
		"CREATE OPERATOR lab.<== (leftarg = text, rightarg = text, function = lab.differ, commutator = OPERATOR(vault.==>))",
		"CREATE OPERATOR lab.~== (leftarg = text, rightarg = text, function = vault.same, commutator = OPERATOR(lab.~==))",
		"CREATE AGGREGATE lab.most (text) (sfunc = text_larger, stype = text, sortop = OPERATOR(pg_catalog.>))",
		"CREATE TYPE lab.span AS RANGE (subtype = text, subtype_opclass = 'text_pattern_ops', collation = \"C\")",
		"CREATE TABLE lab.single (v text, EXCLUDE USING hash (v WITH =))",
		"CREATE TEXT SEARCH CONFIGURATION lab.plain (copy = pg_catalog.simple)",
		"ALTER TEXT SEARCH CONFIGURATION lab.plain ALTER MAPPING FOR word WITH simple",
		"CREATE COLLATION lab.bytes FROM \"C\"",
		"ALTER VIEW lab.narrow SET (security_barrier = true)",
	} {
		if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
