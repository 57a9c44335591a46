package drivers_test

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/test/drivers"
)

// update keeps what PostgreSQL answers now as what is expected.
var update = flag.Bool("update", false, "write testdata")

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestNodePostgresDirect is the oracle of the comparisons: what node-postgres
// sees of PostgreSQL itself, for a role that has the rights as GRANTs.
func TestNodePostgresDirect(t *testing.T) {
	srv := pgtest.Start(t)
	db := pgtest.NewDatabaseOn(t, srv, drivers.Schema(t))
	role := "driver_" + db
	pgtest.Exec(t, srv.ConnString("postgres"), "CREATE ROLE "+role+" LOGIN PASSWORD 'for this test'")
	t.Cleanup(func() {
		pgtest.Exec(t, srv.ConnString(db), "DROP OWNED BY "+role)
		pgtest.Exec(t, srv.ConnString(db), "DROP ROLE "+role)
	})
	pgtest.Exec(t, srv.ConnString(db), "GRANT SELECT, INSERT ON public.orders TO "+role+"; GRANT USAGE ON SCHEMA public TO "+role)

	recorder := pgtest.Record(t, srv.Addr)
	for _, via := range []string{srv.Addr, recorder.Addr} {
		host, port, err := net.SplitHostPort(via)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		got := drivers.Node(t, drivers.Target{
			Host: host, Port: n, Database: db, User: role, Password: secret.FromString("for this test"),
		})
		if *update {
			if err := os.WriteFile(filepath.Join("testdata", "node.jsonl"), got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want := strings.Split(string(drivers.NodeExpected(t)), "\n")
		if diff := cmp.Diff(want, strings.Split(string(got), "\n")); diff != "" {
			t.Errorf("through %s (-want +got):\n%s", via, diff)
		}
	}
	if !recorder.Saw("private.salaries") {
		t.Error("the recorder missed what PostgreSQL denied by itself")
	}
}
