package upstream_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/upstream"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// dialer hands out one end of a pipe, once, and runs a server of the test's own
// at the other. Whoever gives up on a server dials it again to cancel; that is
// not answered.
type dialer struct {
	serve func(net.Conn)

	mu   sync.Mutex
	done chan struct{}
}

func (d *dialer) DialContext(context.Context, string, string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done != nil {
		return nil, errors.New("one connection is served")
	}
	client, server := net.Pipe()
	done := make(chan struct{})
	d.done = done
	go func() {
		defer close(done)
		defer server.Close()
		d.serve(server)
	}()
	return client, nil
}

const password = "the-backend-password"

// attempt connects to serve and returns the error.
func attempt(t *testing.T, config *tls.Config, serve func(net.Conn)) error {
	t.Helper()
	d := &dialer{serve: serve}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	began := time.Now()
	c, err := upstream.Connect(ctx, d, upstream.Target{Host: "db.test", Port: 5432, Database: "app", User: "u",
		Password: secret.FromString(password), TLS: config, Login: "login"}, map[string]string{"client_encoding": "UTF8"})
	if err == nil {
		_ = c.Close()
	} else if strings.Contains(err.Error(), password) {
		t.Errorf("the error quotes the password: %v", err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	d.mu.Lock()
	done := d.done
	d.mu.Unlock()
	<-done
	return err
}

// backend answers the startup message with messages and keeps what comes back.
func backend(heard *strings.Builder, answers ...pgproto3.BackendMessage) func(net.Conn) {
	return func(conn net.Conn) {
		b := pgproto3.NewBackend(io.TeeReader(conn, heard), conn)
		if _, err := b.ReceiveStartupMessage(); err != nil {
			return
		}
		for _, m := range answers {
			b.Send(m)
		}
		if b.Flush() != nil {
			return
		}
		_, _ = io.Copy(heard, conn)
	}
}

// TestSec_T03_ServersThatDoNotAskForSCRAM: a server that does not ask for SCRAM is
// refused, whatever else it offers, and is not sent the password.
func TestSec_T03_ServersThatDoNotAskForSCRAM(t *testing.T) {
	for name, answers := range map[string][]pgproto3.BackendMessage{
		"trust":              {&pgproto3.AuthenticationOk{}, &pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}}, &pgproto3.ReadyForQuery{TxStatus: 'I'}},
		"cleartext":          {&pgproto3.AuthenticationCleartextPassword{}},
		"md5":                {&pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}},
		"GSS":                {&pgproto3.AuthenticationGSS{}},
		"unknown mechanisms": {&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"OAUTHBEARER", "PLAIN"}}},
		"no mechanism":       {&pgproto3.AuthenticationSASL{}},
		"ready at once":      {&pgproto3.ReadyForQuery{TxStatus: 'I'}},
		"final out of order": {&pgproto3.AuthenticationSASLFinal{Data: []byte("v=x")}},
	} {
		t.Run(name, func(t *testing.T) {
			var heard strings.Builder
			if err := attempt(t, nil, backend(&heard, answers...)); err == nil {
				t.Error("connected")
			}
			if strings.Contains(heard.String(), password) {
				t.Error("the password was sent")
			}
		})
	}
}

// TestSec_T04_HostileSCRAM: a hostile SCRAM server costs a bounded amount of work, and
// is refused.
func TestSec_T04_HostileSCRAM(t *testing.T) {
	for name, first := range map[string]func(nonce string) string{
		"no iterations":       func(n string) string { return "r=" + n + "x,s=c2FsdA==" },
		"iterations 0":        func(n string) string { return "r=" + n + "x,s=c2FsdA==,i=0" },
		"iterations -1":       func(n string) string { return "r=" + n + "x,s=c2FsdA==,i=-1" },
		"iterations 2^31":     func(n string) string { return "r=" + n + "x,s=c2FsdA==,i=2147483648" },
		"iterations 2^63":     func(n string) string { return "r=" + n + "x,s=c2FsdA==,i=9223372036854775808" },
		"iterations 10^6+1":   func(n string) string { return "r=" + n + "x,s=c2FsdA==,i=1000001" },
		"iterations 2^31-1":   func(n string) string { return "r=" + n + "x,s=c2FsdA==,i=2147483647" },
		"no salt":             func(n string) string { return "r=" + n + "x,i=4096" },
		"no nonce":            func(string) string { return "s=c2FsdA==,i=4096" },
		"nonce of its own":    func(string) string { return "r=abc,s=c2FsdA==,i=4096" },
		"the client's nonce":  func(n string) string { return "r=" + n + ",s=c2FsdA==,i=4096" },
		"empty":               func(string) string { return "" },
		"a nonce of 2 MiB":    func(n string) string { return "r=" + n + strings.Repeat("x", 2<<20) + ",s=c2FsdA==,i=4096" },
		"wrong end signature": func(n string) string { return "r=" + n + "x,s=c2FsdA==,i=4096" },
	} {
		t.Run(name, func(t *testing.T) {
			err := attempt(t, nil, func(conn net.Conn) {
				b := pgproto3.NewBackend(conn, conn)
				if _, err := b.ReceiveStartupMessage(); err != nil {
					return
				}
				b.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
				if b.Flush() != nil || b.SetAuthType(pgproto3.AuthTypeSASL) != nil {
					return
				}
				m, err := b.Receive()
				initial, ok := m.(*pgproto3.SASLInitialResponse)
				if err != nil || !ok {
					return
				}
				_, nonce, _ := strings.Cut(string(initial.Data), "r=")
				b.Send(&pgproto3.AuthenticationSASLContinue{Data: []byte(first(nonce))})
				if b.Flush() != nil || b.SetAuthType(pgproto3.AuthTypeSASLContinue) != nil {
					return
				}
				if _, err := b.Receive(); err != nil {
					return
				}
				b.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte("v=" + strings.Repeat("A", 43) + "=")})
				b.Send(&pgproto3.AuthenticationOk{})
				_ = b.Flush()
				_, _ = io.Copy(io.Discard, conn)
			})
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestSec_T01_ServersWithoutTheRightTLS: where TLS is needed, a server without it,
// with another's certificate, or with bytes ahead of its handshake is refused
// before it is told anything.
func TestSec_T01_ServersWithoutTheRightTLS(t *testing.T) {
	system := sys.OS()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	other, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(ca *devca.CA, name string, from time.Time) tls.Certificate {
		c, err := ca.IssueTLS(devca.Options{Name: name, DNSNames: []string{name}, Server: true, NotBefore: from, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	handshake := func(c tls.Certificate) func(net.Conn, *strings.Builder) {
		return func(conn net.Conn, heard *strings.Builder) {
			tc := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12})
			if _, err := conn.Write([]byte("S")); err != nil {
				return
			}
			if tc.Handshake() == nil {
				_, _ = io.Copy(heard, tc)
			}
		}
	}
	write := func(s string) func(net.Conn, *strings.Builder) {
		return func(conn net.Conn, heard *strings.Builder) {
			if _, err := io.WriteString(conn, s); err == nil {
				_, _ = io.Copy(io.Discard, conn)
			}
		}
	}
	notice := "E\x00\x00\x00\x18SFATAL\x00C28000\x00Msent\x00\x00"
	for name, serve := range map[string]func(net.Conn, *strings.Builder){
		"no TLS":                write("N"),
		"an error instead":      write(notice),
		"another authority":     handshake(issue(other, "db.test", time.Time{})),
		"another name":          handshake(issue(ca, "db2.test", time.Time{})),
		"expired":               handshake(issue(ca, "db.test", time.Now().Add(-2*time.Hour))),
		"bytes behind the S":    write("S" + notice),
		"neither answer":        write("X"),
		"closes":                func(net.Conn, *strings.Builder) {},
		"right, for comparison": handshake(issue(ca, "db.test", time.Time{})),
	} {
		t.Run(name, func(t *testing.T) {
			var heard strings.Builder
			config := &tls.Config{RootCAs: ca.Pool(), ServerName: "db.test", MinVersion: tls.VersionTLS12}
			err := attempt(t, config, func(conn net.Conn) {
				if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
					return
				}
				_ = conn.SetDeadline(time.Now().Add(time.Second))
				serve(conn, &heard)
			})
			if err == nil {
				t.Error("connected")
			}
			if told := strings.Contains(heard.String(), "user\x00u"); told != strings.HasPrefix(name, "right") {
				t.Errorf("told %q", heard.String())
			}
		})
	}
}

// A real server is opened, its context learned and its work cancelled; one that
// reads SQL otherwise, or that a pooler stands in front of, is refused.
func TestRealServer(t *testing.T) {
	srv := pgtest.Start(t)
	database := pgtest.NewDatabaseOn(t, srv, "")
	host, port, err := net.SplitHostPort(srv.Addr)
	if err != nil {
		t.Fatal(err)
	}
	target := upstream.Target{Host: host, Database: database, User: srv.Superuser, Password: srv.Password, Login: "login"}
	if _, err := fmt.Sscan(port, &target.Port); err != nil {
		t.Fatal(err)
	}
	c, err := upstream.Connect(t.Context(), sys.OS().Net, target, map[string]string{"client_encoding": "UTF8"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if c.Context.GetDatabase() != database || c.Context.GetRole() != srv.Superuser || c.Context.GetLogin() != "login" ||
		c.Context.GetSearchPath() != `"$user", public` || c.Context.GetServerVersionNum() < 140000 || c.Context.GetGeneration() != 1 {
		t.Errorf("%v", c.Context)
	}
	f := pgproto3.NewFrontend(c, c)
	f.Send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for m, err := f.Receive(); err == nil; m, err = f.Receive() {
			if e, ok := m.(*pgproto3.ErrorResponse); ok {
				if e.Code != "57014" {
					t.Errorf("%+v", e)
				}
				return
			}
		}
		t.Error("the statement was not cancelled")
	}()
	for running := true; running; {
		if err := c.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-stop:
			running = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	for name, params := range map[string]map[string]string{
		"standard_conforming_strings is off": {"standard_conforming_strings": "off"},
		"transform_null_equals is on":        {"transform_null_equals": "on"},
	} {
		if _, err := upstream.Connect(t.Context(), sys.OS().Net, target, params); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	latin := pgtest.NewDatabaseOn(t, srv, "")
	pgtest.Exec(t, srv.ConnString("postgres"), "CREATE DATABASE "+latin+"l TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
	defer pgtest.Exec(t, srv.ConnString("postgres"), "DROP DATABASE "+latin+"l WITH (FORCE)")
	target.Database = latin + "l"
	if _, err := upstream.Connect(t.Context(), sys.OS().Net, target, nil); err == nil || !strings.Contains(err.Error(), "server_encoding is LATIN1") {
		t.Errorf("%v", err)
	}
	// Who answers with another process id than it announced shares its sessions.
	target.Database = database
	if _, err := upstream.Connect(t.Context(), bent{sys.OS().Net}, target, nil); err == nil || !strings.Contains(err.Error(), "pooler") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(srv.SocketDir); err != nil {
		t.Error(err)
	}
}

// bent dials the server and changes the process id that it announces.
type bent struct{ sys.Dialer }

func (b bent) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := b.Dialer.DialContext(ctx, network, address)
	return &bentConn{Conn: c}, err
}

type bentConn struct{ net.Conn }

func (c *bentConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if i := strings.Index(string(p[:n]), "K\x00\x00\x00\x0c"); i >= 0 && i+9 <= n {
		p[i+8] ^= 1
	}
	return n, err
}
