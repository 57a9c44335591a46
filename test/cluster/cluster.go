// Package cluster starts the whole product for tests: in one process, as
// `scopewire up` runs it, or as three processes that find each other over TCP
// with mutual TLS. PostgreSQL, the issuer, tokens and certificates are real.
package cluster

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

// Start builds a world in this process and closes it after the test. Whatever the world has
// written by then is searched for the tokens of its issuer.
func Start(t testing.TB, cfg demo.Config) *demo.World {
	t.Helper()
	return start(t, cfg, newCanaries())
}

func start(t testing.TB, cfg demo.Config, planted *canaries) *demo.World {
	t.Helper()
	if cfg.Minted == nil {
		cfg.Minted = planted.token
	}
	if cfg.Recorder == nil && os.Getenv("SCOPEWIRE_NIGHTLY") == "" {
		// Spans are kept in memory: those of hours are too many.
		cfg.Recorder = telemetry.NewRecorder()
	}
	if cfg.System.Clock == nil {
		cfg.System = sys.OS()
	}
	cfg.Program, cfg.Version, cfg.Progress = "scopewire", "test", progress{t}
	if cfg.Limits == "" {
		// A test machine that runs other suites beside this one is slow at times;
		// what is tested here is not how slow.
		cfg.Limits = "{decision: 5s, staleness: 3s, denials_per_principal: 1000000}"
	}
	w, err := demo.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if b, err := os.ReadFile(w.LogFile()); err == nil {
				t.Logf("log of the services:\n%s", b)
			}
		}
		planted.search(t, w, cfg.Recorder)
		if err := w.Close(); err != nil {
			t.Errorf("close the world: %v", err)
		}
	})
	return w
}

// progress writes steps to the test's log.
type progress struct{ t testing.TB }

func (p progress) Write(b []byte) (int, error) {
	p.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// Connect opens a session as a user of the world with a fresh token, through the
// proxy and over TLS. It is closed after the test.
func Connect(t testing.TB, w *demo.World, user string) *pgx.Conn {
	t.Helper()
	token, err := w.Token(user)
	if err != nil {
		t.Fatal(err)
	}
	return ConnectWith(t, w.ConnString(user), token)
}

// TryConnect connects as a user, and gives what went wrong back. The caller closes the
// connection.
func TryConnect(ctx context.Context, w *demo.World, user string) (*pgx.Conn, error) {
	token, err := w.Token(user)
	if err != nil {
		return nil, err
	}
	return connect(ctx, w.ConnString(user), token)
}

// TryConnectWith connects with a given token, and gives what went wrong back. The caller
// closes the connection.
func TryConnectWith(ctx context.Context, dsn, token string) (*pgx.Conn, error) {
	return connect(ctx, dsn, token)
}

// ConnectWith connects with a given token, until the end of the test.
func ConnectWith(t testing.TB, dsn, token string) *pgx.Conn {
	t.Helper()
	conn, err := connect(t.Context(), dsn, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func connect(ctx context.Context, dsn, token string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.Password = token
	return pgx.ConnectConfig(ctx, cfg)
}
