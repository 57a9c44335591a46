package snapshotter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// majors are the servers to test against. Without the variable it is the one
// that the other packages test against; a list like 14,16,18 names others.
const majors = "SCOPEWIRE_TEST_POSTGRES_MAJORS"

// eachServer runs a test on every server asked for.
func eachServer(t *testing.T, test func(t *testing.T, srv *pgboot.Server)) {
	t.Helper()
	list := os.Getenv(majors)
	if list == "" {
		test(t, pgtest.Start(t))
		return
	}
	for m := range strings.SplitSeq(list, ",") {
		t.Run(m, func(t *testing.T) {
			n, err := strconv.Atoi(m)
			if err != nil {
				t.Fatal(err)
			}
			test(t, pgtest.Start(t, pgtest.Major(n)))
		})
	}
}

// fixture is a database, and a login that may do nothing in it.
type fixture struct {
	srv      *pgboot.Server
	admin    *pgx.Conn
	cfg      Config
	deps     Deps
	net      *cutNet
	changed  chan string
	name     string
	password string
}

func newFixture(t *testing.T, srv *pgboot.Server, sql string) *fixture {
	t.Helper()
	f := &fixture{srv: srv, name: pgtest.NewDatabaseOn(t, srv, sql), changed: make(chan string, 1000)}
	admin, err := pgx.Connect(t.Context(), srv.ConnString(f.name))
	if err != nil {
		t.Fatal(err)
	}
	f.admin = admin
	role := "reader_" + f.name
	f.password = "pass of " + role
	f.exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD '"+f.password+"' NOINHERIT")
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "DROP ROLE "+role); err != nil {
			t.Error(err)
		}
		_ = admin.Close(context.Background())
	})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(f.password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.net = &cutNet{Net: sys.OS().Net, conns: map[net.Conn]bool{}}
	machine := sys.OS()
	machine.Net = f.net
	f.cfg = Config{Databases: []Database{{
		Name: f.name, Host: srv.SocketDir, Port: uint16(srv.Port), User: role,
		Password: config.Source{File: file},
	}}}
	f.deps = Deps{
		Sys: machine, Versions: state.NewMemory(machine.Clock), Log: slog.New(slog.DiscardHandler),
		Changed: func(name string) { f.changed <- name },
	}
	return f
}

func (f *fixture) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := f.admin.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s\n%s", err, sql)
	}
}

// start runs a snapshotter until the test ends.
func (f *fixture) start(t *testing.T) *Snapshotter {
	t.Helper()
	s, err := New(f.cfg, f.deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// idle starts a snapshotter that checks when it is asked, and else once an hour.
func (f *fixture) idle(t *testing.T) *Snapshotter {
	t.Helper()
	f.cfg.Interval, f.cfg.FullInterval = config.Duration(time.Hour), config.Duration(time.Hour)
	return f.start(t)
}

// fresh refreshes and returns the snapshot.
func fresh(t *testing.T, s *Snapshotter, database string) *catalog.Snapshot {
	t.Helper()
	if err := s.Refresh(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	snap, _, ok := s.Current(database)
	if !ok {
		t.Fatal("no snapshot after a refresh")
	}
	return snap
}

// cutNet can cut all connections and refuse new ones.
type cutNet struct {
	sys.Net
	mu    sync.Mutex
	down  bool
	dials int
	conns map[net.Conn]bool
}

var errDown = errors.New("the network is down")

func (n *cutNet) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	if n.down {
		return nil, errDown
	}
	c, err := n.Net.DialContext(ctx, network, address)
	if err == nil {
		n.conns[c] = true
	}
	return c, err
}

func (n *cutNet) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// cut closes every connection; with down, no new one can be made.
func (n *cutNet) cut(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
	for c := range n.conns {
		_ = c.Close()
	}
	clear(n.conns)
}

// readCatalog reads a catalog as a session's own open transaction sees it.
func readCatalog(ctx context.Context, tx pgx.Tx, serverPath bool) (*catalog.Snapshot, error) {
	r := newReader(tx, serverPath, nil)
	err := errors.Join(r.server(ctx), r.readLists(ctx, allLists), r.readObjects(ctx))
	if err != nil {
		return nil, err
	}
	st := newStore()
	if err := r.finish(ctx, &session{Conn: tx.Conn()}, st); err != nil {
		return nil, err
	}
	st.whole = *r.s
	snap, _ := st.snapshot()
	return snap, nil
}
