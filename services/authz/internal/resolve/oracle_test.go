package resolve

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// oneVersion gives every snapshot the same number.
type oneVersion struct{}

func (oneVersion) NextCatalog(string, [sha256.Size]byte) (uint64, error) { return 1, nil }

// readSnapshot reads the snapshot of a database as the service does.
func readSnapshot(t testing.TB, dsn string) *catalog.Snapshot {
	t.Helper()
	server, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := snapshotter.Database{Name: server.Database, Host: server.Host, Port: server.Port, User: server.User}
	db.Password.File = filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(db.Password.File, []byte(server.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(server.Host, "/") {
		db.TLS.Mode = "disable"
	}
	reader, err := snapshotter.New(snapshotter.Config{Databases: []snapshotter.Database{db}},
		snapshotter.Deps{Sys: sys.OS(), Versions: oneVersion{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- reader.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := reader.Refresh(ctx, server.Database); err != nil {
		t.Fatal(err)
	}
	snap, _, ok := reader.Current(server.Database)
	if !ok {
		t.Fatal("no snapshot was read")
	}
	return snap
}

// oracle is a real PostgreSQL with testdata/schema.sql that tells how it has
// understood a statement: it prints the query tree into a notice.
type oracle struct {
	conn *pgconn.PgConn
	snap *catalog.Snapshot
	tree string
	// called is what the procedure that ran has to say, procedures tells which says
	// what.
	called     string
	procedures map[string]catalog.OID
	path       []string
}

func newOracle(t testing.TB) *oracle {
	t.Helper()
	schema, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{}
	dsn := pgtest.NewDatabase(t, string(schema))
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Message == "parse tree:" {
			o.tree = n.Detail
		} else if strings.HasPrefix(n.Message, "called ") {
			o.called = n.Message
		}
	}
	if o.conn, err = pgconn.ConnectConfig(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	o.snap = readSnapshot(t, dsn)
	o.readProcedures(t)
	o.run(t, `SET log_min_messages = panic; SET client_min_messages = log; SET debug_pretty_print = off;
		SET debug_print_parse = on`)
	o.setPath(t, "public")
	return o
}

func (o *oracle) readProcedures(t testing.TB) {
	t.Helper()
	o.procedures = make(map[string]catalog.OID)
	result := o.conn.ExecParams(context.Background(), `SELECT substring(prosrc FROM 'called [0-9]+'), oid FROM pg_proc
		WHERE prokind = 'p' AND oid >= 16384`, nil, nil, nil, nil).Read()
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	for _, row := range result.Rows {
		oid, err := strconv.ParseUint(string(row[1]), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		o.procedures[string(row[0])] = catalog.OID(oid)
	}
}

// call runs the CALL that was understood last, all parameters null, and returns
// the procedure that ran.
func (o *oracle) call(parameters int) (catalog.OID, error) {
	o.called = ""
	result := o.conn.ExecPrepared(context.Background(), "", make([][]byte, parameters), nil, nil).Read()
	return o.procedures[o.called], result.Err
}

func (o *oracle) run(t testing.TB, sql string) {
	t.Helper()
	if _, err := o.conn.Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// setPath sets the search path of the session; pg_catalog comes first unless it
// is named.
func (o *oracle) setPath(t testing.TB, schemas ...string) {
	t.Helper()
	o.run(t, "SET search_path = "+strings.Join(schemas, ", "))
	o.path = schemas
	for _, s := range schemas {
		if s == "pg_catalog" {
			return
		}
	}
	o.path = append([]string{"pg_catalog"}, schemas...)
}

func (o *oracle) resolver() *Resolver { return New(o.snap, o.path, o.snap.ServerVersionNum) }

// understand has the server analyse a statement and returns its query tree, or
// its error.
func (o *oracle) understand(t testing.TB, sql string, parameters []catalog.OID) (*node, *pgconn.PgError) {
	t.Helper()
	oids := make([]uint32, len(parameters))
	for i, p := range parameters {
		oids[i] = uint32(p)
	}
	o.tree = ""
	_, err := o.conn.Prepare(context.Background(), "", sql, oids)
	if err != nil {
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) {
			t.Fatalf("%s: %v", sql, err)
		}
		// A result of a pseudo-type is refused only after it has been understood.
		if o.tree == "" {
			return nil, pgErr
		}
	}
	root, err := parseTree(o.tree)
	if err != nil {
		t.Fatalf("%s: %v\n%s", sql, err, o.tree)
	}
	return root, nil
}
