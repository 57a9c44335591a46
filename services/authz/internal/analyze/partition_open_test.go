package analyze

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// openedSchema has a partition key whose class compares by a function that nobody can look
// into, and counts its calls.
const openedSchema = `
	CREATE SEQUENCE calls;
	CREATE FUNCTION compare(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM nextval(''public.calls''); RETURN btint4cmp($1, $2); END';
	CREATE OPERATOR CLASS ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compare(int, int);
	CREATE FUNCTION noticed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TABLE p (id int, v int, UNIQUE (v, id)) PARTITION BY RANGE (v);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9) PARTITION BY LIST (id ops);
	CREATE TABLE p11 PARTITION OF p1 FOR VALUES IN (2, 1);
	CREATE TABLE p12 PARTITION OF p1 FOR VALUES IN (4, 3);
	CREATE TRIGGER t AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION noticed();
	CREATE TABLE q (id int) PARTITION BY LIST (id ops);
	CREATE TABLE q1 PARTITION OF q FOR VALUES IN (2, 1);
	CREATE TABLE q2 PARTITION OF q DEFAULT;
	CREATE TABLE plain (id int, v int);
	CREATE TABLE refers (id int, v int)`

// TestOpenedPartitions: what makes the server compare the bounds of partitions asks for trust
// in what compares them, whether or not the statement is a query.
func TestOpenedPartitions(t *testing.T) {
	dsn := pgtest.NewDatabase(t, openedSchema)
	snap := readSnapshot(t, dsn)
	for _, c := range []struct {
		sql string
		// trusted is what carries the trust, empty where nothing is compared. depends says
		// that it depends on more than the text.
		trusted string
		depends bool
		// since is the first major version that compares, before the first that does not any
		// more. The others are asked for the same.
		since, before int
	}{
		{sql: "SELECT v FROM p", trusted: "select public.p"},
		{sql: "CREATE TRIGGER s AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION noticed()", trusted: "trigger public.p1"},
		{sql: "CREATE TRIGGER s AFTER INSERT ON p1 FOR EACH ROW EXECUTE FUNCTION noticed()", trusted: "trigger public.p1"},
		{sql: "CREATE TRIGGER s AFTER INSERT ON p FOR EACH STATEMENT EXECUTE FUNCTION noticed()"},
		{sql: "ALTER TRIGGER t ON p RENAME TO s", trusted: "ddl public", since: 15},
		{sql: "ALTER TABLE p DISABLE TRIGGER t", trusted: "ddl public"},
		{sql: "ALTER TABLE p ENABLE TRIGGER t", trusted: "ddl public"},
		{sql: "CREATE INDEX ON p (id)", trusted: "ddl public"},
		{sql: "ALTER TABLE p1 ADD UNIQUE (id)", trusted: "ddl public"},
		{sql: "ALTER TABLE p ADD FOREIGN KEY (v, id) REFERENCES p (v, id)", trusted: "ddl public"},
		{sql: "ALTER TABLE refers ADD FOREIGN KEY (v, id) REFERENCES p (v, id)", trusted: "references public.p1"},
		{sql: "CREATE TABLE made (v int, id int, FOREIGN KEY (v, id) REFERENCES p (v, id))", trusted: "references public.p1"},
		{sql: "CREATE TABLE made PARTITION OF p1 FOR VALUES IN (7, 6)", trusted: "ddl public"},
		{sql: "ALTER TABLE p1 ATTACH PARTITION plain FOR VALUES IN (7, 6)", trusted: "ddl public"},
		{sql: "ALTER TABLE p1 DETACH PARTITION p11", trusted: "ddl public"},
		{sql: "ALTER TABLE p1 ALTER v DROP NOT NULL", trusted: "ddl public", before: 18},
		{sql: "SELECT pg_get_partition_constraintdef('p11'::regclass)", trusted: "execute pg_catalog.pg_get_partition_constraintdef", depends: true},
		{sql: "SELECT pg_get_partition_constraintdef('q2'::regclass)", trusted: "execute pg_catalog.pg_get_partition_constraintdef"},
		{sql: "DROP TABLE p11"},
		{sql: "COMMENT ON TABLE p1 IS 'x'"},
		{sql: "TRUNCATE p"},
		{sql: "LOCK TABLE p"},
	} {
		if asked := trustedFor(t, c.sql, snap); c.trusted != "" && !slices.Contains(asked, c.trusted) {
			t.Errorf("%s: trust in %q, want %q", c.sql, asked, c.trusted)
		}
		major := snap.ServerVersionNum / 10000
		if got := comparesBounds(t, dsn, c.sql); got != (c.trusted != "" && !c.depends && major >= c.since && (c.before == 0 || major < c.before)) {
			t.Errorf("%s: bounds are compared: %t", c.sql, got)
		}
	}
}

// trustedFor lists the rights with which a statement needs trust in an operator class.
func trustedFor(t *testing.T, sql string, snap *catalog.Snapshot) []string {
	t.Helper()
	got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
	if got.Outcome != access.Judge {
		t.Errorf("%s: %s", sql, got.Detail)
	}
	var all []string
	for _, s := range got.Statements {
		for _, a := range s.Accesses {
			if slices.ContainsFunc(a.Trust, func(code access.Trust) bool { return strings.HasPrefix(code.Code, "an operator class of ") }) {
				all = append(all, strings.TrimSpace(string(a.Action)+" "+strings.TrimPrefix(a.Resolved.Schema+"."+a.Resolved.Name, ".")))
			}
		}
	}
	return all
}

// comparesBounds reports whether a session that knows nothing yet of the relations calls the
// comparison function for a statement.
func comparesBounds(t *testing.T, dsn, sql string) bool {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	results, err := conn.Exec(t.Context(), "BEGIN; SELECT setval('calls', 1, false); "+sql+"; SELECT is_called FROM calls").ReadAll()
	if err != nil {
		t.Fatalf("%s: %s", sql, err)
	}
	return string(results[len(results)-1].Rows[0][0]) == "t"
}

// TestPartitionsBesideDefault: a new partition has the rows of a default one held against its
// bound by functions that the session's role must be able to execute; without one, nothing runs.
func TestPartitionsBesideDefault(t *testing.T) {
	dsn := pgtest.NewDatabase(t, `CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
		REVOKE EXECUTE ON FUNCTION twice(int) FROM PUBLIC;
		CREATE TABLE p (id int) PARTITION BY LIST (twice(id));
		CREATE TABLE p1 PARTITION OF p FOR VALUES IN (2, 4);
		CREATE TABLE d (id int) PARTITION BY LIST (twice(id));
		CREATE TABLE d1 PARTITION OF d FOR VALUES IN (2, 4);
		CREATE TABLE d2 PARTITION OF d DEFAULT;
		CREATE TABLE plain (id int)`)
	snap := readSnapshot(t, dsn)
	for sql, runs := range map[string]bool{
		"CREATE TABLE made PARTITION OF p FOR VALUES IN (6)":                                               false,
		"CREATE TABLE made PARTITION OF p DEFAULT":                                                         false,
		"CREATE TABLE made PARTITION OF d FOR VALUES IN (6)":                                               true,
		"CREATE TABLE made PARTITION OF d FOR VALUES IN (6) PARTITION BY HASH (id)":                        true,
		"CREATE TABLE made PARTITION OF p DEFAULT; CREATE TABLE more PARTITION OF p FOR VALUES IN (6)":     true,
		"ALTER TABLE d DETACH PARTITION d2; CREATE TABLE made PARTITION OF d FOR VALUES IN (6)":            false,
		"DROP TABLE d2; CREATE TABLE made PARTITION OF d FOR VALUES IN (6)":                                false,
		"ALTER TABLE p ATTACH PARTITION plain DEFAULT; CREATE TABLE made PARTITION OF p FOR VALUES IN (6)": true,
		"ALTER TABLE p ATTACH PARTITION plain FOR VALUES IN (6)":                                           true,
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s", sql, got.Detail)
		}
		asked := false
		for _, s := range got.Statements {
			asked = asked || slices.ContainsFunc(s.Accesses, func(a access.Access) bool {
				return strings.HasPrefix(accessText(a), "execute function public.twice(integer)")
			})
		}
		if err := asOwner(t, dsn, sql); asked != runs || (err != nil) != runs {
			t.Errorf("%s: asked for %t, PostgreSQL says %v, want %t", sql, asked, err, runs)
		}
	}
}

// asOwner runs statements as a role that owns the tables of public and has no other right.
func asOwner(t *testing.T, dsn, sql string) error {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	// The role lives as long as the transaction.
	if _, err := conn.Exec(t.Context(), `BEGIN; CREATE ROLE partition_owner; GRANT USAGE, CREATE ON SCHEMA public TO partition_owner;
		DO $$ DECLARE r regclass; BEGIN FOR r IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace LOOP EXECUTE format('ALTER TABLE %s OWNER TO partition_owner', r); END LOOP; END $$;
		SET LOCAL ROLE partition_owner`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), sql).ReadAll()
	return err
}
