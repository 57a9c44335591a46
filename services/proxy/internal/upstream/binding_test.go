package upstream_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/upstream"
)

// TestSec_T03_ChannelBinding: over TLS, SCRAM is bound to the connection. A server that
// does not offer to is refused, and so is one in between that holds an accepted
// certificate of its own and passes the real server's SCRAM on, whatever it changes.
func TestSec_T03_ChannelBinding(t *testing.T) {
	system := sys.OS()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, err := ca.WriteFiles(system.FS, dir, "server", devca.Options{Name: "db.test", DNSNames: []string{"db.test"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := pgboot.Start(t.Context(), pgboot.Config{TCP: true, TLS: &pgboot.TLS{CertFile: files.Cert, KeyFile: files.Key}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Stop(t.Context()) })
	between, err := ca.IssueTLS(devca.Options{Name: "db.test", DNSNames: []string{"db.test"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{RootCAs: ca.Pool(), ServerName: "db.test", MinVersion: tls.VersionTLS12}
	target := upstream.Target{Host: "db.test", Port: 5432, Database: "postgres", User: srv.Superuser, Password: srv.Password, TLS: client, Login: "login"}

	straight := dialTo(func() (net.Conn, error) { return net.Dial("tcp", srv.Addr) })
	c, err := upstream.Connect(t.Context(), straight, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()

	for name, change := range map[string]func(string) string{
		"passed on as it is": func(s string) string { return s },
		"PLUS taken out":     func(s string) string { return strings.Replace(s, "SCRAM-SHA-256-PLUS\x00", "", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			relay := dialTo(func() (net.Conn, error) { return relayed(srv.Addr, between, client, change) })
			c, err := upstream.Connect(t.Context(), relay, target, nil)
			if err == nil {
				_ = c.Close()
				t.Error("connected through somebody in between")
			}
		})
	}
}

// relayed is a connection to somebody in between, who ends TLS with a certificate of
// its own and speaks TLS to the server.
func relayed(addr string, certificate tls.Certificate, toServer *tls.Config, change func(string) string) (net.Conn, error) {
	near, far := net.Pipe()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	go func() {
		defer func() { _, _ = far.Close(), server.Close() }()
		request := make([]byte, 8)
		if _, err := io.ReadFull(far, request); err != nil {
			return
		}
		if _, err := far.Write([]byte("S")); err != nil {
			return
		}
		client := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		if _, err := server.Write(request); err != nil {
			return
		}
		if _, err := io.ReadFull(server, request[:1]); err != nil {
			return
		}
		backend := tls.Client(server, toServer)
		go func() { _, _ = io.Copy(backend, client) }()
		f := pgproto3.NewFrontend(backend, io.Discard)
		for {
			m, err := f.Receive()
			if err != nil {
				return
			}
			if offer, ok := m.(*pgproto3.AuthenticationSASL); ok {
				left := change(strings.Join(offer.AuthMechanisms, "\x00") + "\x00")
				m = &pgproto3.AuthenticationSASL{AuthMechanisms: strings.Split(strings.TrimSuffix(left, "\x00"), "\x00")}
			}
			b, err := m.Encode(nil)
			if err != nil {
				return
			}
			if _, err := client.Write(b); err != nil {
				return
			}
		}
	}()
	return near, nil
}

// dialTo dials whatever the function makes.
type dialTo func() (net.Conn, error)

func (d dialTo) DialContext(context.Context, string, string) (net.Conn, error) { return d() }
