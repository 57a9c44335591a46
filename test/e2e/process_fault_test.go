package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// nightly says that a test is to go the whole way.
func nightly() bool { return os.Getenv("SCOPEWIRE_NIGHTLY") != "" }

// until waits for something that comes about by itself, and says how long it took.
func until(t *testing.T, what string, done func() bool) time.Duration {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		if done() {
			return time.Since(began)
		}
		if time.Since(began) > 30*time.Second {
			t.Fatal(what)
		}
	}
}

// serves reports whether a user gets a session, and rows in it.
func serves(t *testing.T, p *cluster.Processes, user string) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := cluster.TryConnectWith(ctx, p.DSN(user), token(t, p.World, user))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, "SELECT id FROM orders")
	return err == nil
}

// TestFault_F30_ProxyIsKilled: a proxy that is killed takes its sessions with it, and
// nothing else: none of its sessions at the server outlives it, what the server was sent
// is in the audit log, and it is back at once. With SCOPEWIRE_NIGHTLY set it is killed two
// hundred times.
func TestFault_F30_ProxyIsKilled(t *testing.T) {
	p := cluster.StartProcesses(t, demo.Config{PostgresSettings: map[string]string{"log_statement": "all"}})
	kills := 4
	if nightly() {
		kills = 200
	}
	app, _ := p.Roles()
	admin, err := pgx.Connect(t.Context(), p.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	backends := func() (n int) {
		if err := admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", app).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var orphans, back time.Duration
	for kill := range kills {
		var wg sync.WaitGroup
		var begun sync.WaitGroup
		for client := range 4 {
			conn := cluster.ConnectWith(t, p.DSN("alice"), token(t, p.World, "alice"))
			begun.Add(1)
			wg.Go(func() {
				for n := 0; ; n++ {
					_, err := conn.Exec(t.Context(), fmt.Sprintf("SELECT id AS sent_%d_%d_%d FROM orders", kill, client, n))
					if n == 10 {
						begun.Done()
					}
					if err != nil {
						return
					}
				}
			})
		}
		begun.Wait()
		p.Proxy.Kill()
		wg.Wait()
		orphans = max(orphans, until(t, "sessions of a proxy that was killed are left at the server", func() bool { return backends() == 0 }))
		began := time.Now()
		p.Proxy.Start()
		back = max(back, time.Since(began))
	}
	b, err := os.ReadFile(p.Postgres.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	for _, name := range regexp.MustCompile(`sent_\d+_\d+_\d+`).FindAllString(string(b), -1) {
		sent[name] = true
	}
	if len(sent) < kills*40 {
		t.Fatalf("the server was sent %d statements", len(sent))
	}
	var missing []string
	until(t, "what the server was sent is not in the audit log", func() bool {
		list := cliOf(t, p, "audit", "list", "--limit", "1000000", "--type", "statement_intent", "--json")
		missing = nil
		for name := range sent {
			switch n := strings.Count(list, name+" "); {
			case n == 0:
				missing = append(missing, name)
			case n > 1:
				t.Fatalf("%s is in the audit log %d times", name, n)
			}
		}
		return len(missing) == 0
	})
	expect(t, cliOf(t, p, "audit", "verify"), "the chain holds")
	t.Logf("%d kills, %d statements at the server, each in the audit log; its sessions were gone within %v, it was back within %v", kills, len(sent), orphans, back)
}

// TestFault_F34_DescriptorsRunOut: a proxy without descriptors serves the sessions it has,
// does not spin, and takes clients again once there are some.
func TestFault_F34_DescriptorsRunOut(t *testing.T) {
	p := cluster.StartProcesses(t, demo.Config{})
	p.Proxy.Kill()
	p.Proxy.LaunchWithin(48)
	p.Proxy.AwaitReady()
	until(t, "the proxy does not serve", func() bool { return serves(t, p, "alice") })
	s := session{t, cluster.ConnectWith(t, p.DSN("alice"), token(t, p.World, "alice"))}
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			_ = c.Close()
		}
	}()
	for range 100 {
		conn, err := net.DialTimeout("tcp", p.ProxyAddr, time.Second)
		if err != nil {
			break // Its queue is full.
		}
		idle = append(idle, conn)
	}
	complaints := func() int { return strings.Count(p.Proxy.Output(), "connection not accepted") }
	until(t, "the descriptors do not run out", func() bool { return complaints() > 0 })
	before, began := complaints(), time.Now()
	for n := range 20 {
		if got := s.state(fmt.Sprintf("SELECT id AS n%d FROM orders", n)); got != "" {
			t.Errorf("a session, without descriptors: %q", got)
		}
		if got := s.state("SELECT * FROM employees"); got != "42501" {
			t.Errorf("denied, without descriptors: %q", got)
		}
	}
	// It pauses for 50 ms.
	if more, took := complaints()-before, time.Since(began); more > int(took/(40*time.Millisecond))+2 {
		t.Errorf("%d attempts in %v", more, took)
	}
	for _, c := range idle {
		_ = c.Close()
	}
	idle = nil
	until(t, "the proxy does not recover", func() bool { return serves(t, p, "alice") })
}

// permutations of the first n numbers.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for _, rest := range permutations(n - 1) {
		for at := range n {
			out = append(out, append(append(append([]int(nil), rest[:at]...), n-1), rest[at:]...))
		}
	}
	return out
}

// TestFault_F40_AnyOrder: in whatever order the server, authz, audit and the proxy come up,
// they find each other. The server stands still before its turn, as one that is not there
// yet to whoever waits. With SCOPEWIRE_NIGHTLY set all 24 orders are tried.
func TestFault_F40_AnyOrder(t *testing.T) {
	p := cluster.StartProcesses(t, demo.Config{})
	server := p.Postgres.PID()
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(server, s); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = syscall.Kill(server, syscall.SIGCONT) }()
	names := []string{"server", "authz", "audit", "proxy"}
	starts := []func(){func() { signal(syscall.SIGCONT) }, p.Authz.Launch, p.Audit.Launch, p.Proxy.Launch}
	longest := time.Duration(0)
	for i, order := range permutations(len(starts)) {
		if i%5 != 0 && !nightly() {
			continue
		}
		for _, process := range []*cluster.Process{p.Proxy, p.Authz, p.Audit} {
			process.Kill()
		}
		signal(syscall.SIGSTOP)
		said := ""
		for _, n := range order {
			starts[n]()
			said += names[n] + " "
		}
		took := until(t, said+"do not find each other", func() bool { return serves(t, p, "alice") })
		for _, process := range []*cluster.Process{p.Proxy, p.Authz, p.Audit} {
			process.AwaitReady()
		}
		t.Logf("%s%v", said, took)
		longest = max(longest, took)
	}
	t.Logf("%v at the longest", longest)
}
