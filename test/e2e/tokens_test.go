package e2e_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/test/cluster"
)

// administered is a world with the administration of its authz.
func administered(t *testing.T, cfg demo.Config) (*demo.World, authzv1.AuthorizationAdminServiceClient) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg.AuthzSocket = filepath.Join(dir, "authz.sock")
	w := cluster.Start(t, cfg)
	return w, administrator(t, cfg.AuthzSocket)
}

// administrator is a client of the administration at a socket.
func administrator(t *testing.T, socket string) authzv1.AuthorizationAdminServiceClient {
	t.Helper()
	machine := sys.OS()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: "unix:" + socket, InsecureLoopback: true},
		rpc.ClientDeps{Clock: machine.Clock, Net: machine.Net, FS: machine.FS, Server: rpc.Authz})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return authzv1.NewAuthorizationAdminServiceClient(conn)
}

func mint(t *testing.T, w *demo.World, subject string, scopes ...string) string {
	t.Helper()
	tok, err := w.Issuer.Mint(devissuer.Claims{Subject: subject, Audience: []string{demo.Audience}, Scopes: scopes, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func codeOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// TestFault_F12: while sessions of many subjects work, subjects are revoked one after the
// other. Each of their sessions ends, no statement of theirs is answered that is sent
// after Revoke has returned, and the others notice nothing.
func TestFault_F12_RevocationUnderLoad(t *testing.T) {
	const subjects = 40
	w, admin := administered(t, demo.Config{})
	type worker struct {
		conn    *pgx.Conn
		token   string
		revoked atomic.Bool
		// late counts the statements answered that were sent after Revoke had returned.
		late, done atomic.Int64
		end        atomic.Pointer[error]
	}
	workers := make([]*worker, subjects)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range workers {
		tok := mint(t, w, "worker-"+string(rune('a'+i%26))+string(rune('a'+i/26)), "orders.read")
		c := &worker{token: tok, conn: cluster.ConnectWith(t, w.ConnString("alice"), tok)}
		workers[i] = c
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				over := c.revoked.Load()
				if _, err := c.conn.Exec(context.Background(), "SELECT id FROM orders"); err != nil {
					c.end.Store(&err)
					return
				}
				c.done.Add(1)
				if over {
					c.late.Add(1)
				}
			}
		})
	}
	var took []time.Duration
	for i, c := range workers[:subjects/2] {
		r := &authzv1.Revocation{Subject: "worker-" + string(rune('a'+i%26)) + string(rune('a'+i/26))}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		began := time.Now()
		resp, err := admin.Revoke(ctx, &authzv1.RevokeRequest{Revocation: r, Note: "F12"})
		took = append(took, time.Since(began))
		cancel()
		if err != nil || resp.GetAcknowledged() != 1 {
			t.Fatalf("revocation %d: %v, %v", i, resp, err)
		}
		c.revoked.Store(true)
		if _, err := cluster.TryConnectWith(t.Context(), w.ConnString("alice"), c.token); err == nil {
			t.Error("a revoked token logs in")
		}
	}
	before := make([]int64, subjects)
	for i, c := range workers {
		before[i] = c.done.Load()
	}
	// Each of the others answers once more at least.
	for i, c := range workers[subjects/2:] {
		for c.done.Load() < before[subjects/2+i]+2 && c.end.Load() == nil {
			if t.Context().Err() != nil {
				t.Fatal("the others stand still")
			}
		}
	}
	close(stop)
	wg.Wait()
	for i, c := range workers {
		end := c.end.Load()
		switch {
		case c.late.Load() > 0:
			t.Errorf("worker %d: %d statements answered after it was revoked", i, c.late.Load())
		case i < subjects/2 && (end == nil || codeOf(*end) != "28000" && codeOf(*end) != ""):
			t.Errorf("worker %d ended by %v", i, end)
		case i >= subjects/2 && end != nil:
			t.Errorf("worker %d, whom nobody revoked, ended by %v", i, *end)
		}
	}
	slices.Sort(took)
	t.Logf("Revoke took %s at the median, %s at most", took[len(took)/2], took[len(took)-1])
}

// A session takes a new token by either protocol, and is judged by its scopes from then on:
// what was prepared before is judged again.
func TestRefreshInTheSession(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	conn := cluster.ConnectWith(t, w.ConnString("alice"), mint(t, w, "alice", "orders.read"))
	read := func() string {
		_, err := conn.Exec(t.Context(), "SELECT id FROM orders", pgx.QueryExecModeCacheStatement)
		return codeOf(err)
	}
	renew := func(tok string, mode pgx.QueryExecMode) string {
		_, err := conn.Exec(t.Context(), "SET scopewire.token = '"+tok+"'", mode)
		return codeOf(err)
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec} {
		for _, step := range []struct{ token, renewed, read string }{
			{mint(t, w, "alice"), "", "42501"},
			{mint(t, w, "bob", "orders.read"), "28P01", "42501"},
			{"nonsense", "28P01", "42501"},
			{mint(t, w, "alice", "orders.read"), "", ""},
		} {
			if got := renew(step.token, mode); got != step.renewed {
				t.Fatalf("%s: renewed: %q, want %q", mode, got, step.renewed)
			}
			if got := read(); got != step.read {
				t.Errorf("%s: read: %q, want %q", mode, got, step.read)
			}
		}
	}
	var at time.Time
	var text string
	err := conn.QueryRow(t.Context(), "SHOW scopewire.expires_at").Scan(&text)
	if err == nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if err != nil || time.Until(at) < 50*time.Minute {
		t.Errorf("the session is said to end at %q, %v", text, err)
	}
}
