package proxy_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy"
)

// unrecorded sends the world's sessions to a server of their own, which nobody records.
func unrecorded(t *testing.T, addr string) option {
	return func(cfg *proxy.Config, _ *sys.System) {
		host, port, err := net.SplitHostPort(addr)
		if err == nil {
			cfg.Databases[0].Host = host
			_, err = fmt.Sscan(port, &cfg.Databases[0].Port)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// enter logs in over a connection of its own, and returns the SQLSTATE of what it hears
// instead of a session.
func (w *world) enter() (*net.TCPConn, string) {
	conn := w.dial()
	return conn, w.enterOver(conn)
}

// enterOver logs in over a connection.
func (w *world) enterOver(conn net.Conn) string {
	f := pgproto3.NewFrontend(conn, conn)
	f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u", "database": w.database}})
	f.Send(&pgproto3.PasswordMessage{Password: "token"})
	// Who is over the limit may have been told and cut off before.
	_ = f.Flush()
	for {
		m, err := f.Receive()
		if err != nil {
			return err.Error()
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			return ""
		case *pgproto3.ErrorResponse:
			return m.Code
		}
	}
}

// TestFault_F32_Storm: of many logins at once those within the limit get their sessions,
// the others hear 53300 at once, and the sessions that are there go on.
func TestFault_F32_Storm(t *testing.T) {
	const limit, logins, together = 40, 600, 60
	w := newWorld(t, func(cfg *proxy.Config, _ *sys.System) { cfg.Limits.Sessions = limit })
	c := w.connect()
	stop := make(chan struct{})
	var worked sync.WaitGroup
	var slowest time.Duration
	worked.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if got := c.query(fmt.Sprintf("SELECT %d", n%7)); got != "" {
				t.Errorf("a session that is there: %q", got)
			}
			slowest = max(slowest, time.Since(began))
		}
	})
	var accepted, refused atomic.Int32
	var mu sync.Mutex
	var told time.Duration
	var open []*net.TCPConn
	began := time.Now()
	var storm sync.WaitGroup
	for range together {
		storm.Go(func() {
			for range logins / together {
				at := time.Now()
				conn, got := w.enter()
				mu.Lock()
				open = append(open, conn)
				mu.Unlock()
				switch got {
				case "":
					accepted.Add(1)
				case "53300":
					refused.Add(1)
					mu.Lock()
					told = max(told, time.Since(at))
					mu.Unlock()
				default:
					t.Errorf("a login hears %q", got)
				}
			}
		})
	}
	storm.Wait()
	took := time.Since(began)
	close(stop)
	worked.Wait()
	if n := accepted.Load(); n != limit-1 || refused.Load() != logins-n {
		t.Errorf("%d logins accepted and %d refused, of %d with a limit of %d", n, refused.Load(), logins, limit)
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	w.until("there is no room again", func() bool {
		conn, got := w.enter()
		_ = conn.Close()
		return got == ""
	})
	t.Logf("%d logins in %v: %d accepted, %d refused within %v at most; a statement beside them took %v at most",
		logins, took, accepted.Load(), refused.Load(), told, slowest)
}

// TestFault_F31_IdleSessions: what an idle session takes of memory in the proxy has a
// bound, in plain text and over TLS. Of the test's own side the sockets are in the figure.
func TestFault_F31_IdleSessions(t *testing.T) {
	const sessions = 150
	for _, tt := range []struct {
		name string
		most uint64
		tls  bool
	}{
		{"plain", 64 << 10, false},
		{"over TLS", 96 << 10, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := pgtest.Start(t, pgtest.Setting("max_connections", "200"))
			encrypt, ca := speaksTLS(t)
			options := []option{unrecorded(t, srv.Addr)}
			if tt.tls {
				options = append(options, encrypt)
			}
			w := newWorldOn(t, srv, pgtest.NewDatabaseOn(t, srv, "CREATE TABLE t (id int PRIMARY KEY, v text)"), options...)
			w.ready()
			memory := func() uint64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc + m.StackInuse
			}
			// What the client knows of TLS is given up with the function: only its socket stays.
			enter := func() {
				var conn net.Conn
				if tt.tls {
					conn, _ = w.encrypted(&tls.Config{RootCAs: ca.Pool(), ServerName: "proxy.test", MinVersion: tls.VersionTLS13})
				} else {
					raw := w.dial()
					t.Cleanup(func() { _ = raw.Close() })
					conn = raw
				}
				if got := w.enterOver(conn); got != "" {
					t.Fatal(got)
				}
				w.step(pgproto3.NewFrontend(conn, conn), &pgproto3.ReadyForQuery{}, &pgproto3.Query{String: "SELECT v FROM t"})
			}
			for range 10 {
				enter()
			}
			before := memory()
			for range sessions {
				enter()
			}
			each := (memory() - before) / sessions
			if each > tt.most {
				t.Errorf("an idle session takes %d bytes, more than %d", each, tt.most)
			}
			t.Logf("an idle session takes %d bytes", each)
		})
	}
}
