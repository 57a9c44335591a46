package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// TestSec_T28_NoSharedBackends: no backend serves two sessions. Sessions of several
// principals come and go in random order, each leaving a setting, a prepared
// statement and an open transaction behind; every one begins on a backend that
// nobody had before, and its backend ends with it.
func TestSec_T28_NoSharedBackends(t *testing.T) {
	w := cluster.Start(t, demo.Config{})
	admin, err := pgx.Connect(t.Context(), w.Postgres.ConnString("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(t.Context()) }()
	backends := func(application string) (pids []int) {
		t.Helper()
		rows, err := admin.Query(t.Context(), "SELECT pid FROM pg_stat_activity WHERE application_name = $1", application)
		if err != nil {
			t.Fatal(err)
		}
		pids, err = pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			t.Fatal(err)
		}
		return pids
	}
	type open struct {
		conn        *pgx.Conn
		application string
	}
	var sessions []open
	seen := map[int]string{}
	random := rand.New(rand.NewPCG(28, 28))
	end := func(i int) {
		s := sessions[i]
		sessions = append(sessions[:i], sessions[i+1:]...)
		if err := s.conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); len(backends(s.application)) > 0; {
			if time.Now().After(deadline) {
				t.Fatalf("the backend of %s outlives its session", s.application)
			}
		}
	}
	for n := range 40 {
		user := []string{"alice", "bob"}[random.IntN(2)]
		application := fmt.Sprintf("t28 %d", n)
		timeout := fmt.Sprint(10_001 + n)
		token, err := w.Token(user)
		if err != nil {
			t.Fatal(err)
		}
		conn := cluster.ConnectWith(t, w.ConnString(user)+" application_name='"+application+"' statement_timeout="+timeout, token)
		sessions = append(sessions, open{conn, application})
		pids := backends(application)
		if len(pids) != 1 || seen[pids[0]] != "" {
			t.Fatalf("%s has backends %v, one of them was that of %q", application, pids, seen[pids[0]])
		}
		seen[pids[0]] = application
		var got string
		if err := conn.QueryRow(t.Context(), "SHOW statement_timeout").Scan(&got); err != nil || got != timeout+"ms" {
			t.Fatalf("%s begins with statement_timeout %q, %v", application, got, err)
		}
		if status := conn.PgConn().TxStatus(); status != 'I' {
			t.Fatalf("%s begins in transaction state %c", application, status)
		}
		if _, err := conn.Prepare(t.Context(), "left", "SELECT 1"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		if len(sessions) == 8 || random.IntN(2) == 0 {
			end(random.IntN(len(sessions)))
		}
	}
	for len(sessions) > 0 {
		end(0)
	}
}

// TestSessionsPerPrincipal: one principal cannot have all connections; others can still
// connect, and so can it again once it has closed one.
func TestSessionsPerPrincipal(t *testing.T) {
	w := cluster.Start(t, demo.Config{Limits: "{sessions_per_principal: 2}"})
	first := cluster.Connect(t, w, "alice")
	cluster.Connect(t, w, "alice")
	connect := func(user string) error {
		conn, err := cluster.TryConnect(t.Context(), w, user)
		if err == nil {
			err = conn.Close(t.Context())
		}
		return err
	}
	var refused *pgconn.PgError
	if err := connect("alice"); !errors.As(err, &refused) || refused.Code != "53300" || !strings.HasPrefix(refused.Detail, "Reference: ") {
		t.Errorf("a third session of alice: %v", err)
	}
	if err := connect("bob"); err != nil {
		t.Errorf("a session of bob: %v", err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The proxy hears of the end a little later than the client.
	err := connect("alice")
	for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); err = connect("alice") {
		if !errors.As(err, &refused) || refused.Code != "53300" {
			break
		}
	}
	if err != nil {
		t.Errorf("one of two sessions is closed, and alice gets none: %v", err)
	}
}
