package bypass_test

import (
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// Partition keys whose class or expression is code that nobody has granted: whoever makes the
// server look at the partitions, or hold rows against them, runs it as the login.

const keyedSchemas = `
CREATE SCHEMA lab;
CREATE SCHEMA vault;
GRANT USAGE, CREATE ON SCHEMA lab, vault TO shop_app;
SET SESSION AUTHORIZATION shop_app;
CREATE TABLE vault.pay (canary text);
INSERT INTO vault.pay VALUES ('canary');
CREATE TABLE lab.loot (v text);
CREATE FUNCTION vault.tell() RETURNS void LANGUAGE sql AS 'INSERT INTO lab.loot SELECT canary FROM vault.pay';
CREATE FUNCTION vault.noticed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION vault.compare(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM vault.tell(); RETURN btint4cmp($1, $2); END';
CREATE FUNCTION vault.reveal(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM vault.tell(); RETURN $1; END';
RESET SESSION AUTHORIZATION;
CREATE OPERATOR CLASS vault.ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 vault.compare(int, int);
GRANT USAGE ON SCHEMA vault TO shop_app;
SET SESSION AUTHORIZATION shop_app;
CREATE TABLE lab.parts (id int) PARTITION BY LIST (id vault.ops);
CREATE TABLE lab.parts_1 PARTITION OF lab.parts FOR VALUES IN (2, 1);
CREATE TABLE lab.parts_x PARTITION OF lab.parts DEFAULT;
CREATE TABLE lab.shown (id int) PARTITION BY LIST ((vault.reveal(id)));
CREATE TABLE lab.shown_x PARTITION OF lab.shown DEFAULT;
INSERT INTO lab.shown VALUES (1);
TRUNCATE lab.loot;
RESET SESSION AUTHORIZATION;
`

const keyedScopes = `  partitioner:
    - {actions: [ddl], objects: ["schema:lab"]}
    - {actions: [trigger, references], objects: [lab.parts, lab.parts_1, lab.parts_x]}
    - {actions: [execute], objects: ["function:vault.noticed"], trusted: true}
    - {actions: [select], objects: [lab.loot]}
    - {presets: [introspection]}
  trusted:
    - {actions: [ddl], objects: ["schema:lab"], trusted: true}
    - {actions: [trigger, select], objects: ["lab.*"], trusted: true}
    - {actions: [execute], objects: ["function:vault.*", "function:pg_catalog.pg_get_partition_constraintdef"], trusted: true}
    - {presets: [introspection]}
`

// withoutNotNull looks at the bounds of the table's partitions until 17.
const withoutNotNull = "ALTER TABLE lab.parts ALTER id DROP NOT NULL"

// TestPartitionKeysRunNothing: each attack leaves the canary when the login itself sends it,
// or who is trusted with the code, and nothing through Scopewire else.
func TestPartitionKeysRunNothing(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: keyedSchemas, Scopes: keyedScopes, Users: []demo.User{
		{Name: "paula", Scopes: []string{"partitioner"}, About: "makes partitions and triggers in lab"},
		{Name: "tara", Scopes: []string{"trusted"}, About: "is trusted with the code as well"},
	}})
	administrator := w.Postgres.ConnString(demo.Database)
	for name, sql := range map[string]string{
		"a trigger for each row":        "CREATE TRIGGER t AFTER INSERT ON lab.parts FOR EACH ROW EXECUTE FUNCTION vault.noticed()",
		"an index":                      "CREATE INDEX ON lab.parts (id)",
		"a constraint":                  "ALTER TABLE lab.parts ADD UNIQUE (id)",
		"a column that may be null":     withoutNotNull,
		"a partition":                   "CREATE TABLE lab.parts_2 PARTITION OF lab.parts FOR VALUES IN (4, 3)",
		"a partition that is taken":     "ALTER TABLE lab.parts DETACH PARTITION lab.parts_1",
		"a constraint that is printed":  "SELECT pg_catalog.pg_get_partition_constraintdef(oid) FROM pg_catalog.pg_class WHERE relname = 'parts_x'",
		"a partition beside a default":  "CREATE TABLE lab.shown_1 PARTITION OF lab.shown FOR VALUES IN (7)",
		"a default that holds its rows": "CREATE TABLE lab.shown_2 (id int); ALTER TABLE lab.shown ATTACH PARTITION lab.shown_2 FOR VALUES IN (8)",
	} {
		t.Run(name, func(t *testing.T) {
			if sql == withoutNotNull && majorOf(t, w.Postgres.Version) >= 18 {
				// Its NOT NULL is a constraint of its own, and no bound is looked at.
				return
			}
			through := func(user string, messages ...any) string {
				token, err := w.Token(user)
				if err != nil {
					t.Fatal(err)
				}
				return walk(t, w.ConnString(user)+" password="+token)(messages...)
			}
			if got := through("paula", sql, "SELECT v FROM lab.loot"); strings.Contains(got, canary) {
				t.Errorf("through Scopewire: %s", got)
			}
			if got := through("tara", "BEGIN", sql, "SELECT v FROM lab.loot", "ROLLBACK"); !strings.Contains(got, canary) {
				t.Errorf("with trust: %s", got)
			}
			if got := walk(t, administrator)("BEGIN", "SET LOCAL SESSION AUTHORIZATION shop_app", sql, "SELECT v FROM lab.loot", "ROLLBACK"); !strings.Contains(got, canary) {
				t.Errorf("without Scopewire: %s", got)
			}
		})
	}
}
