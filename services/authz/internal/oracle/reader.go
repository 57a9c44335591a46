package oracle

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
)

// oneVersion gives every snapshot the same number.
type oneVersion struct{}

func (oneVersion) NextCatalog(string, [sha256.Size]byte) (uint64, error) { return 1, nil }

// reader reads the snapshots of one database as the service does. It is for one
// goroutine.
type reader struct {
	database string
	dir      string
	of       *snapshotter.Snapshotter
	stop     context.CancelFunc
	done     chan error
}

// newReader prepares a reader, which the caller closes.
func newReader(ctx context.Context, dsn string) (*reader, error) {
	server, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		return nil, err
	}
	entry := snapshotter.Database{Name: server.Database, Host: server.Host, Port: server.Port, User: server.User}
	entry.Password.File = filepath.Join(dir, "password")
	if !strings.HasPrefix(server.Host, "/") {
		entry.TLS.Mode = "disable"
	}
	r := &reader{database: server.Database, dir: dir, done: make(chan error, 1)}
	if err = os.WriteFile(entry.Password.File, []byte(server.Password), 0o600); err == nil {
		r.of, err = snapshotter.New(snapshotter.Config{Databases: []snapshotter.Database{entry}},
			snapshotter.Deps{Sys: sys.OS(), Versions: oneVersion{}, Log: slog.New(slog.DiscardHandler)})
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	running, stop := context.WithCancel(ctx)
	r.stop = stop
	go func() { r.done <- r.of.Run(running) }()
	return r, nil
}

// read returns a snapshot of what is committed.
func (r *reader) read(ctx context.Context) (*catalog.Snapshot, error) {
	if err := r.of.Refresh(ctx, r.database); err != nil {
		return nil, err
	}
	snap, _, ok := r.of.Current(r.database)
	if !ok {
		return nil, errors.New("no snapshot was read")
	}
	return snap, nil
}

func (r *reader) close() error {
	r.stop()
	return errors.Join(<-r.done, os.RemoveAll(r.dir))
}

// readSnapshot reads the snapshot of a database once.
func readSnapshot(ctx context.Context, dsn string) (*catalog.Snapshot, error) {
	r, err := newReader(ctx, dsn)
	if err != nil {
		return nil, err
	}
	snap, err := r.read(ctx)
	return snap, errors.Join(err, r.close())
}
