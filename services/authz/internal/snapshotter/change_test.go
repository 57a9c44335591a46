package snapshotter

import (
	"maps"
	"regexp"
	"testing"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// changes are statements after which the digest must be another one, each on
// top of those before it.
var changes = []struct{ name, sql string }{
	{"role that can log in made", "CREATE ROLE digest_guest LOGIN"},
	{"usage of a schema", "GRANT USAGE ON SCHEMA app TO digest_guest"},
	{"usage revoked", "REVOKE USAGE ON SCHEMA app FROM digest_guest"},
	{"usage by membership", "CREATE ROLE digest_group; GRANT USAGE ON SCHEMA app TO digest_group; GRANT digest_group TO digest_guest"},
	{"roles dropped", "DROP OWNED BY digest_guest, digest_group; DROP ROLE digest_guest, digest_group"},
	{"column type", `ALTER TABLE app."Mixed Case" ALTER "A b" TYPE bigint`},
	{"column type modifier", "ALTER TABLE app.child ALTER extra TYPE varchar(10)"},
	{"column type modifier again", "ALTER TABLE app.child ALTER extra TYPE varchar(20)"},
	{"column collation", `ALTER TABLE app.child ALTER extra TYPE varchar(20) COLLATE "C"`},
	{"column default", "ALTER TABLE app.parent ALTER mood SET DEFAULT 'angry'"},
	{"column name", `ALTER TABLE app."Mixed Case" RENAME "A b" TO a`},
	{"column added", `ALTER TABLE app."Mixed Case" ADD b int`},
	{"column not null", `ALTER TABLE app."Mixed Case" ALTER b SET NOT NULL`},
	{"column dropped", `ALTER TABLE app."Mixed Case" DROP b`},
	{"trigger made", "CREATE TRIGGER later AFTER UPDATE ON app.child FOR EACH ROW EXECUTE FUNCTION app.fire()"},
	{"trigger replaced", "DROP TRIGGER later ON app.child; CREATE TRIGGER later AFTER DELETE ON app.child FOR EACH ROW EXECUTE FUNCTION app.fire()"},
	{"trigger disabled", "ALTER TABLE app.child DISABLE TRIGGER later"},
	{"internal triggers disabled", "ALTER TABLE app.part_1 DISABLE TRIGGER ALL"},
	{"rule made", "CREATE RULE twice AS ON INSERT TO app.opclass DO ALSO NOTIFY twice"},
	{"rule replaced", "CREATE OR REPLACE RULE twice AS ON INSERT TO app.opclass DO INSTEAD NOTHING"},
	{"rule disabled", "ALTER TABLE app.opclass DISABLE RULE twice"},
	{"row security on", "ALTER TABLE app.child ENABLE ROW LEVEL SECURITY"},
	{"row security forced", "ALTER TABLE app.child FORCE ROW LEVEL SECURITY"},
	{"policy made", "CREATE POLICY mine ON app.child USING (true)"},
	{"policy changed", "ALTER POLICY mine ON app.child USING (false)"},
	{"function body", "CREATE OR REPLACE FUNCTION app.opt(int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'"},
	{"function parameter's default", "CREATE OR REPLACE FUNCTION app.opt(int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'"},
	{"function security", "ALTER FUNCTION app.opt(int) SECURITY DEFINER"},
	{"function setting", "ALTER FUNCTION app.opt(int) SET search_path = app"},
	{"function volatility", "ALTER FUNCTION app.opt(int) IMMUTABLE"},
	{"function owner", "ALTER FUNCTION app.opt(int) OWNER TO pg_monitor"},
	{"function made", "CREATE FUNCTION app.opt(text) RETURNS int LANGUAGE sql AS 'SELECT 1'"},
	{"function of SQL body", "CREATE FUNCTION app.atomic() RETURNS int BEGIN ATOMIC SELECT 1; END"},
	{"function of SQL body replaced", "CREATE OR REPLACE FUNCTION app.atomic() RETURNS int BEGIN ATOMIC SELECT 2; END"},
	{"function joins an extension", "ALTER EXTENSION plpgsql ADD FUNCTION app.atomic()"},
	{"function leaves an extension", "ALTER EXTENSION plpgsql DROP FUNCTION app.atomic()"},
	{"aggregate", "CREATE OR REPLACE AGGREGATE app.biggest(int) (SFUNC = int4smaller, STYPE = int)"},
	{"operator made", "CREATE OPERATOR app.<~> (LEFTARG = int, RIGHTARG = int, FUNCTION = app.same)"},
	{"operator dropped", "DROP OPERATOR app.<~> (int, int)"},
	{"cast made", "CREATE CAST (int AS app.pair) WITH INOUT"},
	{"cast replaced", "DROP CAST (int AS app.pair); CREATE CAST (int AS app.pair) WITH INOUT AS IMPLICIT"},
	{"domain check made", "ALTER DOMAIN app.code ADD CONSTRAINT short CHECK (VALUE <> 'y')"},
	{"domain check dropped", "ALTER DOMAIN app.code DROP CONSTRAINT short"},
	{"domain default", "ALTER DOMAIN app.code SET DEFAULT 'z'"},
	{"domain not null", "ALTER DOMAIN app.code SET NOT NULL"},
	{"enum label", "ALTER TYPE app.mood ADD VALUE 'sad'"},
	{"enum label's name", "ALTER TYPE app.mood RENAME VALUE 'sad' TO 'blue'"},
	{"composite attribute", "ALTER TYPE app.pair ADD ATTRIBUTE c int"},
	{"index made", "CREATE INDEX extra ON app.child (extra)"},
	{"index expression", "CREATE INDEX lowered ON app.child (lower(extra))"},
	{"index predicate", "CREATE UNIQUE INDEX partial ON app.child (extra) WHERE extra <> ''"},
	{"index dropped", "DROP INDEX app.extra"},
	{"check made", "ALTER TABLE app.opclass ADD CONSTRAINT positive CHECK (id > 0) NOT VALID"},
	{"check validated", "ALTER TABLE app.opclass VALIDATE CONSTRAINT positive"},
	{"check dropped", "ALTER TABLE app.opclass DROP CONSTRAINT positive"},
	{"foreign key's action", "ALTER TABLE app.part DROP CONSTRAINT part_parent_fkey, ADD CONSTRAINT part_parent_fkey FOREIGN KEY (parent) REFERENCES app.parent ON DELETE SET NULL"},
	{"inheritance ended", "ALTER TABLE app.child NO INHERIT app.parent"},
	{"inheritance begun", "ALTER TABLE app.child INHERIT app.parent"},
	{"partition made", "CREATE TABLE app.part_2 PARTITION OF app.part FOR VALUES IN (2)"},
	{"partition detached", "ALTER TABLE app.part DETACH PARTITION app.part_2"},
	{"partition with another bound", "ALTER TABLE app.part ATTACH PARTITION app.part_2 FOR VALUES IN (3)"},
	{"view body", "CREATE OR REPLACE VIEW app.plain AS SELECT id FROM app.parent WHERE id > 1"},
	{"view option", "ALTER VIEW app.plain SET (security_barrier = on)"},
	{"view owner", "ALTER VIEW app.plain OWNER TO pg_monitor"},
	{"name in a view body", "ALTER TABLE app.parent RENAME id TO number"},
	{"name of a function in a check", "ALTER FUNCTION app.good(int) RENAME TO fine"},
	{"name of a text search configuration in a default", "CREATE TEXT SEARCH CONFIGURATION app.words (COPY = pg_catalog.simple); ALTER TABLE app.child ADD v tsvector DEFAULT to_tsvector('app.words'::regconfig, 'x')"},
	{"that name changed", "ALTER TEXT SEARCH CONFIGURATION app.words RENAME TO terms"},
	{"name of a collation in a default", `CREATE COLLATION app.sorting FROM "C"; ALTER TABLE app.child ALTER extra SET DEFAULT ('x' COLLATE app.sorting)`},
	{"that name changed as well", "ALTER COLLATION app.sorting RENAME TO sorted"},
	{"search_path of the database", "DO $$ BEGIN EXECUTE pg_catalog.format('ALTER DATABASE %I SET search_path = app', pg_catalog.current_database()); END $$"},
	{"statistics made", "CREATE STATISTICS app.stat ON (lower(extra)), number FROM app.child"},
	{"statistics dropped", "DROP STATISTICS app.stat"},
	{"sequence given to a table", "ALTER SEQUENCE app.counter OWNED BY app.child.extra"},
	{"sequence taken away", "ALTER SEQUENCE app.counter OWNED BY NONE"},
	{"operator class made", "CREATE OPERATOR CLASS app.other_ops FOR TYPE int USING hash AS OPERATOR 1 app.===, FUNCTION 1 hashint4(int)"},
	{"operator class dropped", "DROP OPERATOR FAMILY app.other_ops USING hash CASCADE"},
	{"collation made", `CREATE COLLATION app.another FROM "C"`},
	{"trigger's condition", "DROP TRIGGER later ON app.child; CREATE TRIGGER later AFTER DELETE ON app.child FOR EACH ROW WHEN (OLD.number > 0) EXECUTE FUNCTION app.fire()"},
	{"policy's roles", "ALTER POLICY mine ON app.child TO pg_monitor"},
	{"function's support", "ALTER FUNCTION app.opt(text) SUPPORT generate_series_int4_support"},
	{"foreign server's name", "ALTER SERVER elsewhere RENAME TO there"},
	{"foreign-data wrapper made", "CREATE FOREIGN DATA WRAPPER nothing"},
	{"foreign server made", "CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing"},
	{"foreign-data wrapper's name", "ALTER FOREIGN DATA WRAPPER nothing RENAME TO naught"},
	{"foreign-data wrapper dropped", "DROP FOREIGN DATA WRAPPER naught CASCADE"},
	{"publication made", "CREATE PUBLICATION told FOR TABLE app.parent"},
	{"publication's name", "ALTER PUBLICATION told RENAME TO heard"},
	{"publication dropped", "DROP PUBLICATION heard"},
	{"language made", "CREATE TRUSTED LANGUAGE dialect HANDLER plpgsql_call_handler"},
	{"language replaced", "CREATE OR REPLACE LANGUAGE dialect HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler"},
	{"language's name", "ALTER LANGUAGE dialect RENAME TO jargon"},
	{"language dropped", "DROP LANGUAGE jargon"},
	{"table owner", "ALTER TABLE app.opclass OWNER TO pg_monitor"},
	{"table name", "ALTER TABLE app.opclass RENAME TO renamed"},
	{"table schema", "ALTER TABLE app.renamed SET SCHEMA public"},
	{"table dropped", "DROP TABLE public.renamed"},
	{"table made again", "CREATE TABLE public.renamed (id bigint)"},
	{"table of another kind", "DROP TABLE public.renamed; CREATE VIEW public.renamed AS SELECT 1::bigint AS id"},
	{"table unlogged", `ALTER TABLE app."Mixed Case" SET UNLOGGED`},
	{"foreign table's options", "ALTER FOREIGN TABLE app.remote OPTIONS (ADD name 'x')"},
	{"sequence", "CREATE SEQUENCE app.other"},
	{"schema made", "CREATE SCHEMA later"},
	{"schema renamed", "ALTER SCHEMA later RENAME TO latest"},
	{"schema dropped", "DROP SCHEMA latest"},
}

// unchanged are statements after which the digest must be the same.
var unchanged = []struct{ name, sql string }{
	{"rows", `INSERT INTO app."Mixed Case" VALUES (1); UPDATE app."Mixed Case" SET a = 2`},
	{"a sequence moves", "SELECT nextval('app.counter')"},
	{"statistics", "ANALYZE app.parent"},
	{"temporary objects", "CREATE TEMP TABLE t (id int PRIMARY KEY CHECK (id > 0), m app.mood DEFAULT 'calm'); CREATE TEMP VIEW v AS SELECT * FROM t; CREATE TYPE pg_temp.c AS (i int); CREATE FUNCTION pg_temp.f(t) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE CAST (t AS int) WITH FUNCTION pg_temp.f(t)"},
	{"a temporary child", "CREATE TEMP TABLE kid () INHERITS (app.parent); CREATE INDEX ON kid (number)"},
	{"temporary objects dropped", "DISCARD TEMP"},
	{"a table comes and goes", "CREATE TABLE app.gone (id int DEFAULT 1); DROP TABLE app.gone"},
	{"a change that is rolled back", "BEGIN; DROP SCHEMA app CASCADE; ROLLBACK"},
	{"a comment", "COMMENT ON TABLE app.parent IS 'x'"},
	{"a whole vacuum", "VACUUM FULL pg_catalog.pg_attribute"},
	{"a frozen catalog", "VACUUM FREEZE pg_catalog.pg_class"},
	{"a rewritten table", "CLUSTER app.parent USING parent_pkey; ALTER TABLE app.parent SET WITHOUT CLUSTER"},
}

func TestDigestFollowsChanges(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, schema(t))
		s := f.idle(t)
		before := fresh(t, s, f.name)
		for _, c := range changes {
			f.exec(t, c.sql)
			now := fresh(t, s, f.name)
			if now.Digest == before.Digest {
				t.Errorf("%s: the digest is the same", c.name)
				continue
			}
			if now.Version != before.Version+1 {
				t.Errorf("%s: version %d after %d", c.name, now.Version, before.Version)
			}
			before = now
		}
		for _, c := range unchanged {
			f.exec(t, c.sql)
			if now := fresh(t, s, f.name); now != before {
				t.Errorf("%s: the snapshot is another, %d after %d", c.name, now.Version, before.Version)
			}
		}
		wholeAgain(t, f, before)
	})
}

// wholeAgain reads with a second snapshotter: what was kept by marks must be
// what a whole read finds.
func wholeAgain(t *testing.T, f *fixture, want *catalog.Snapshot) {
	t.Helper()
	other := fresh(t, f.idle(t), f.name)
	if other == want || other.Digest != want.Digest || other.Version != want.Version {
		t.Errorf("two reads differ: versions %d and %d", want.Version, other.Version)
	}
}

// TestMarkIgnoresTheRest: what applications do all the time starts no whole read.
// The test above would not notice a mark that is another one every time.
func TestMarkIgnoresTheRest(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, schema(t))
		s := f.idle(t)
		fresh(t, s, f.name)
		before := s.databases[0].held.Load().reading.mark
		for _, sql := range []string{
			`INSERT INTO app."Mixed Case" VALUES (1)`,
			"SELECT nextval('app.counter')",
			"ANALYZE app.parent",
			"CREATE TEMP TABLE t (id int PRIMARY KEY CHECK (id > 0), m app.mood DEFAULT 'calm')",
			"CREATE TEMP VIEW v AS SELECT * FROM t",
			"CREATE INDEX ON t (m)",
			"CREATE TEMP TABLE kid () INHERITS (app.parent)",
			"DISCARD TEMP",
			"VACUUM FREEZE pg_catalog.pg_proc",
		} {
			f.exec(t, sql)
			fresh(t, s, f.name)
			if now := s.databases[0].held.Load().reading.mark; !maps.Equal(now, before) {
				t.Errorf("%s: another mark", sql)
				before = now
			}
		}
	})
}

// TestNameOfAnOwner: roles belong to the whole server, and their rows cannot be
// looked at by everyone.
func TestNameOfAnOwner(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, "CREATE TABLE t (id int)")
		role := "owner_" + f.name
		f.exec(t, "CREATE ROLE "+role+"; ALTER TABLE t OWNER TO "+role)
		s := f.idle(t)
		before := fresh(t, s, f.name)
		f.exec(t, "ALTER ROLE "+role+" RENAME TO "+role+"_2")
		now := fresh(t, s, f.name)
		f.exec(t, "DROP OWNED BY "+role+"_2; DROP ROLE "+role+"_2")
		if now.Digest == before.Digest || now.RelationByName("public", "t").Owner != role+"_2" {
			t.Error("the owner's new name was missed")
		}
	})
}

// TestEveryTableIsMarked: what a query reads and the mark does not cover could
// change without being noticed.
func TestEveryTableIsMarked(t *testing.T) {
	// Settings do not change in a session, but for the one that the mark has; of the
	// databases only the OID of the session's own is read.
	have := map[string]bool{"pg_roles": true, "pg_settings": true, "pg_database": true}
	for _, s := range sources() {
		have[s.table] = true
	}
	found := 0
	queries := []string{
		querySchemas, queryRelations, queryColumns, queryConstraints, queryIndexes, queryTriggers, queryRules,
		queryPolicies, queryStatistics, queryInheritance, queryTypes, queryFunctions, queryOperators, queryCasts,
		queryOperatorClasses, queryCollations, queryRoles, querySearchPath, queryExtensions, querySettings, queryTextSearch,
		queryLabels, queryDependents,
	}
	for kind := range textKinds {
		queries = append(queries, queryText(kind))
	}
	for _, q := range queries {
		for _, m := range regexp.MustCompile(`(?:FROM|JOIN) pg_catalog\.(pg_\w+)`).FindAllStringSubmatch(q, -1) {
			found++
			if !have[m[1]] {
				t.Errorf("%s is read, but not in the mark", m[1])
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d tables found in the queries", found)
	}
}
