package analyze

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
)

// oneVersion gives every snapshot the same number.
type oneVersion struct{}

func (oneVersion) NextCatalog(string, [sha256.Size]byte) (uint64, error) { return 1, nil }

// readSnapshot reads the snapshot of a database as the service does.
func readSnapshot(t *testing.T, dsn string) *catalog.Snapshot {
	t.Helper()
	server, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg := snapshotter.Config{Databases: []snapshotter.Database{{Name: server.Database, Host: server.Host, Port: server.Port, User: server.User}}}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(server.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Databases[0].Password.File = password
	if !strings.HasPrefix(server.Host, "/") {
		cfg.Databases[0].TLS.Mode = "disable"
	}
	reader, err := snapshotter.New(cfg, snapshotter.Deps{Sys: sys.OS(), Versions: oneVersion{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- reader.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := reader.Refresh(t.Context(), server.Database); err != nil {
		t.Fatal(err)
	}
	snap, _, ok := reader.Current(server.Database)
	if !ok {
		t.Fatal("no snapshot was read")
	}
	return snap
}

// TestCasesOnRealSnapshot: the case files hold on a snapshot read from a real
// server, so that the hand-built one is like it where it matters.
func TestCasesOnRealSnapshot(t *testing.T) {
	schema, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	snap := readSnapshot(t, pgtest.NewDatabase(t, string(schema)))
	snap.Database = "app"
	for _, file := range []string{"statements.yaml", "typed.yaml", "legitimate.yaml", "bypass.yaml", "errors.yaml"} {
		for i, want := range readCases(t, file) {
			// The database has another name, its types other OIDs, and it holds the
			// system's views.
			if !want.reads(publicContext().ServerVersionNum) || strings.Contains(want.SQL, "app.public") || len(want.Types) > 0 || want.Path != nil && strings.Contains(*want.Path, "information_schema") {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", file, i), func(t *testing.T) {
				got := want.observed(Analyze(want.input(), snap))
				// What exactly stands in the way may differ: there is more in a real catalog.
				want.Detail, got.Detail, want.Reason, got.Reason = "", "", "", ""
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s\n(-want +got)\n%s", want.SQL, diff)
				}
			})
		}
	}
}
