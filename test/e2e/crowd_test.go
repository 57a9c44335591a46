package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/test/cluster"
)

// remote is a client of the administration of an authz that is a process of its own.
func remote(t *testing.T, p *cluster.Processes) authzv1.AuthorizationAdminServiceClient {
	t.Helper()
	machine := sys.OS()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: p.AuthzAddr, ServerName: "localhost",
		TLS: rpc.TLSFiles{CertFile: p.Admin.Cert, KeyFile: p.Admin.Key, CAFile: p.CAFile}},
		rpc.ClientDeps{Clock: machine.Clock, Net: machine.Net, FS: machine.FS, Server: rpc.Authz})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return authzv1.NewAuthorizationAdminServiceClient(conn)
}

// member is one session of a crowd.
type member struct {
	subject string
	conn    *pgx.Conn
	// hot says that it works without a pause.
	hot atomic.Bool
	// sent is when its n-th statement was sent. Its own until it has ended.
	sent  []time.Time
	ended chan struct{}
	end   error
}

// work sends statements, each of which leaves a row, until the session ends. What is
// refused for want of a decision has not run, and the next may.
func (m *member) work(ctx context.Context, gap time.Duration) {
	defer close(m.ended)
	for n := 0; ctx.Err() == nil; n++ {
		m.sent = append(m.sent, time.Now())
		_, err := m.conn.Exec(ctx, fmt.Sprintf("INSERT INTO crowd VALUES ('%s', %d)", m.subject, n), pgx.QueryExecModeSimpleProtocol)
		if err != nil && sqlState(err) != "57P03" {
			m.end = err
			return
		}
		for until := time.Now().Add(gap); ctx.Err() == nil && !m.hot.Load() && time.Now().Before(until); {
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// TestFault_F12_Crowd: while a crowd of sessions works, one subject after the other is
// revoked, each tenth while proxy and authz are parted in the midst of it. Whether or not the
// proxy has heard of it, no statement runs that was sent after Revoke has returned; its session
// ends, and no other does. Revoke waits no longer than the staleness bound. With
// SCOPEWIRE_NIGHTLY set it is a thousand sessions, all of which are revoked.
func TestFault_F12_Crowd(t *testing.T) {
	crowd, revocations, gap := 60, 30, 500*time.Millisecond
	if nightly() {
		crowd, revocations, gap = 1010, 1000, 5*time.Second
	}
	// That of the processes' proxy.
	const staleness = 2 * time.Second
	p := cluster.StartProcesses(t, demo.Config{PostgresSettings: map[string]string{"max_connections": "1100"},
		SQL:    "CREATE TABLE crowd (subject text, n int); GRANT INSERT ON crowd TO PUBLIC;",
		Scopes: "  crowd:\n    - actions: [insert]\n      objects: [public.crowd]\n"})
	admin := remote(t, p)
	// What authz waits for after its start is over with this.
	if _, err := admin.Revoke(within(t), &authzv1.RevokeRequest{Revocation: &authzv1.Revocation{Subject: "nobody"}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var working sync.WaitGroup
	defer working.Wait()
	defer stop()
	members := make([]*member, crowd)
	for i := range members {
		m := &member{subject: fmt.Sprintf("member-%d", i), ended: make(chan struct{})}
		m.conn = cluster.ConnectWith(t, p.DSN("x"), mint(t, p.World, m.subject, "crowd"))
		members[i] = m
		working.Go(func() { m.work(ctx, gap) })
	}
	returned := make([]time.Time, revocations)
	var pushed, parted []time.Duration
	for i, m := range members[:revocations] {
		m.hot.Store(true)
		away := i%10 == 9
		var parting sync.WaitGroup
		switch {
		case away && i%20 == 9:
			p.Relay.Part()
		case away:
			// Just before it, amid it, or just after it: as it happens.
			parting.Go(p.Relay.Part)
		}
		began := time.Now()
		resp, err := admin.Revoke(within(t), &authzv1.RevokeRequest{Revocation: &authzv1.Revocation{Subject: m.subject}, Note: "crowd"})
		returned[i] = time.Now()
		took := returned[i].Sub(began)
		switch {
		case err != nil:
			t.Fatalf("revocation %d: %v", i, err)
		case resp.GetAcknowledged() == 1:
			pushed = append(pushed, took)
		default:
			parted = append(parted, took)
			if took < staleness/2 {
				t.Errorf("revocation %d: nobody has applied it, and it took %s", i, took)
			}
		}
		if parting.Wait(); away {
			// The session goes on trying meanwhile, by what was decided before.
			pause(ctx, 20*time.Millisecond)
			p.Relay.Mend()
		}
		select {
		case <-m.ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("session %d goes on", i)
		}
	}
	// The others work on.
	for _, m := range members[revocations:] {
		m.hot.Store(true)
	}
	pause(ctx, time.Second)
	for i, m := range members[revocations:] {
		select {
		case <-m.ended:
			t.Errorf("session %d, which nobody revoked, ended by %v", revocations+i, m.end)
		default:
		}
	}
	stop()
	working.Wait()
	judge(t, p, members, returned)
	report(t, "applied by the proxy", pushed)
	report(t, "parted from it", parted)
	if len(pushed) < revocations/2 || len(parted) == 0 {
		t.Errorf("%d revocations were applied, %d waited out", len(pushed), len(parted))
	}
	if last := slices.Max(append(parted, pushed...)); last > staleness+time.Second {
		t.Errorf("Revoke took %s", last)
	}
}

// judge looks for rows of statements that were sent after Revoke had returned.
func judge(t *testing.T, p *cluster.Processes, members []*member, returned []time.Time) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	ran := map[string]int{}
	rows, err := conn.Query(t.Context(), "SELECT subject, max(n) FROM crowd GROUP BY subject")
	if err != nil {
		t.Fatal(err)
	}
	var subject string
	var last int
	if _, err := pgx.ForEachRow(rows, []any{&subject, &last}, func() error {
		ran[subject] = last
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, at := range returned {
		m := members[i]
		n, ok := ran[m.subject]
		switch {
		case !ok:
			t.Errorf("session %d has done nothing", i)
		case m.sent[n].After(at):
			t.Errorf("session %d: a statement ran that was sent %s after Revoke had returned", i, m.sent[n].Sub(at))
		}
	}
}

// report logs how long calls took.
func report(t *testing.T, what string, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	ms := func(share int) time.Duration { return took[(len(took)-1)*share/100].Round(100 * time.Microsecond) }
	t.Logf("%d revocations, %s: Revoke took %s at the median, %s at p99, %s at most", len(took), what, ms(50), ms(99), ms(100))
}
