package proxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy"
	"github.com/scopewire/scopewire/services/proxy/internal/cancel"
)

// encryptedWorld speaks TLS on both sides; recorder stands in front of its server.
type encryptedWorld struct {
	*world
	ca       *devca.CA
	recorder *pgtest.Recorder
}

func newEncryptedWorld(t *testing.T) *encryptedWorld {
	t.Helper()
	system := sys.OS()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	issue := func(name string) devca.Files {
		files, err := ca.WriteFiles(system.FS, dir, name, devca.Options{Name: name + ".test", DNSNames: []string{name + ".test"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	front, back := issue("proxy"), issue("db")
	srv := pgtest.Start(t, pgtest.TLS(back.Cert, back.Key, ""))
	recorder := pgtest.Record(t, srv.Addr)
	host, port, err := net.SplitHostPort(recorder.Addr)
	if err != nil {
		t.Fatal(err)
	}
	name := pgtest.NewDatabaseOn(t, srv, "CREATE TABLE t (id int)")
	w := newWorldOn(t, srv, name, func(cfg *proxy.Config, _ *sys.System) {
		cfg.Listeners[0].TLS = proxy.ServerTLS{CertFile: front.Cert, KeyFile: front.Key}
		cfg.Listeners[0].InsecureLoopback = false
		db := &cfg.Databases[0]
		db.Host, db.TLS = host, proxy.ClientTLS{CAFile: back.CA, ServerName: "db.test"}
		if _, err := fmt.Sscan(port, &db.Port); err != nil {
			t.Fatal(err)
		}
	})
	return &encryptedWorld{world: w, ca: ca, recorder: recorder}
}

func (w *encryptedWorld) client() *tls.Config {
	return &tls.Config{RootCAs: w.ca.Pool(), ServerName: "proxy.test", MinVersion: tls.VersionTLS13}
}

func (w *encryptedWorld) connect() *client {
	w.t.Helper()
	w.ready()
	cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://u:token@%s/%s?sslmode=require&max_protocol_version=3.2", w.addr, w.database))
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.TLSConfig, cfg.Fallbacks = w.client(), nil
	conn, err := pgx.ConnectConfig(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &client{w.t, conn.PgConn()}
}

// cancel sends a CancelRequest over TLS, as libpq does from version 17 on, and wants
// nothing but the end for an answer.
func (w *encryptedWorld) cancel(pid uint32, secret []byte) {
	conn, raw := w.encrypted(w.client())
	defer func() { _ = raw.Close() }()
	if _, err := conn.Write(cancelRequest(pid, secret)); err != nil {
		w.t.Error(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		w.t.Errorf("a cancel is answered: %d bytes, %v", n, err)
	}
}

// TestSec_T17_CancelsOverTLS: where clients and server are reached over TLS, keys are long,
// a cancel stops its own session's statement and no other, hit and miss look alike, and
// nothing of it goes to the server in plain text: not one connection says more than
// SSLRequest before its handshake.
func TestSec_T17_CancelsOverTLS(t *testing.T) {
	w := newEncryptedWorld(t)
	mine, other := w.connect(), w.connect()
	if n := len(mine.SecretKey()); n != cancel.LongSecret {
		t.Errorf("a secret of %d bytes under protocol 3.2", n)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			wrong := make([]byte, cancel.LongSecret)
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = rand.Read(wrong)
				w.cancel(mine.PID(), mine.SecretKey())
				w.cancel(other.PID(), wrong)
				w.cancel(other.PID(), mine.SecretKey())
				w.cancel(mine.PID(), mine.SecretKey()[:cancel.ShortSecret])
			}
		})
	}
	rounds := 100
	if nightly() {
		rounds = 1000
	}
	for range rounds {
		if got := other.query("SELECT pg_sleep(0.001)"); got != "" {
			t.Errorf("another session's statement is answered %q", got)
		}
	}
	close(stop)
	wg.Wait()
	cancelled := make(chan string, 1)
	go func() { cancelled <- mine.query("SELECT pg_sleep(600)") }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for got := ""; got == ""; {
		select {
		case got = <-cancelled:
			if got != "57014" {
				t.Errorf("a cancelled statement is answered %q", got)
			}
		case <-tick.C:
			w.cancel(mine.PID(), mine.SecretKey())
		}
	}
	sent := w.recorder.Sent()
	if len(sent) < 3 {
		t.Fatalf("%d connections to the server, of which none is a cancel's", len(sent))
	}
	const handshake = 22 // RFC 8446, 5.1
	request := []byte{0, 0, 0, 8, 4, 210, 22, 47}
	for i, b := range sent {
		if !bytes.HasPrefix(b, request) || len(b) > len(request) && b[len(request)] != handshake {
			t.Errorf("connection %d begins %x", i, b[:min(len(b), 16)])
		}
	}
}
