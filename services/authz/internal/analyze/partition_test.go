package analyze

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgtest"
)

// Whoever writes to a partition by its own name runs the expressions of the keys above
// it, and has to have execute on their functions: PostgreSQL refuses a role without,
// and analysis names it.
func TestPartitionConstraintsRunCode(t *testing.T) {
	dsn := pgtest.NewDatabase(t, `CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 2; END';
		REVOKE EXECUTE ON FUNCTION twice(int) FROM PUBLIC;
		CREATE TABLE p (id int, v int) PARTITION BY LIST (twice(id));
		CREATE TABLE p1 PARTITION OF p FOR VALUES IN (2, 4) PARTITION BY RANGE (v);
		CREATE TABLE p11 PARTITION OF p1 FOR VALUES FROM (0) TO (100);
		CREATE TABLE p2 PARTITION OF p DEFAULT;
		CREATE VIEW through AS SELECT * FROM p11;
		INSERT INTO p VALUES (1, 1), (9, 9)`)
	snap := readSnapshot(t, dsn)
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, c := range []struct {
		sql  string
		runs bool
	}{
		{"INSERT INTO p VALUES (1, 1)", true}, {"INSERT INTO p1 VALUES (1, 1)", true}, {"INSERT INTO p11 VALUES (1, 1)", true},
		{"INSERT INTO p2 VALUES (9, 9)", true}, {"UPDATE p11 SET v = v", true}, {"UPDATE p2 SET v = v", true},
		{"UPDATE through SET v = v", true}, {"INSERT INTO through VALUES (1, 1)", true}, {"DELETE FROM p11", false}, {"SELECT * FROM p11", false},
	} {
		asked := false
		for _, st := range Analyze(Input{Text: []byte(c.sql), Context: publicContext()}, snap).Statements {
			for _, a := range st.Accesses {
				asked = asked || strings.HasPrefix(accessText(a), "execute function public.twice(integer)")
			}
		}
		// The role lives as long as the transaction.
		_, err := conn.Exec(t.Context(), `BEGIN; CREATE ROLE partition_writer; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO partition_writer;
			SET LOCAL ROLE partition_writer; `+c.sql).ReadAll()
		refused := err != nil && strings.Contains(err.Error(), "permission denied for function twice")
		if _, err := conn.Exec(t.Context(), "ROLLBACK").ReadAll(); err != nil {
			t.Fatal(err)
		}
		if asked != c.runs || refused != c.runs {
			t.Errorf("%s: asked for %v, refused by PostgreSQL %v (%v), want %v", c.sql, asked, refused, err, c.runs)
		}
	}
}
