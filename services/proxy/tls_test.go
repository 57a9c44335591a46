package proxy

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/certfile"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/sys"
)

// hands is a clock that stands until it is moved.
type hands struct {
	sys.Clock
	now time.Time
}

func (h *hands) Now() time.Time { return h.now }

// A certificate is read again ten seconds after the last look, for new
// handshakes; one that does not load leaves the last good one in use.
func TestCertificateIsReloaded(t *testing.T) {
	system := sys.OS()
	clock := &hands{Clock: system.Clock, now: time.Now()}
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	system.Clock = clock
	dir := t.TempDir()
	files := ServerTLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	write := func(name string, part byte) {
		cert, key, err := ca.Issue(devca.Options{Name: name, DNSNames: []string{name}, Server: true})
		if err != nil {
			t.Fatal(err)
		}
		for file, pem := range map[string][]byte{files.CertFile: cert, files.KeyFile: key} {
			if part == 'b' || part == 'c' && file == files.CertFile {
				if err := os.WriteFile(file, pem, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := serverTLS(files, system, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("files that are not there load")
	}
	write("one.test", 'b')
	cfg, err := serverTLS(files, system, slog.New(slog.DiscardHandler))
	if err != nil || cfg.MinVersion != tls.VersionTLS12 {
		t.Fatalf("%+v, %v", cfg, err)
	}
	want := func(name string) {
		t.Helper()
		cert, err := cfg.GetCertificate(nil)
		if err != nil || cert.Leaf.DNSNames[0] != name {
			t.Errorf("%v, %v, want %s", cert.Leaf.DNSNames, err, name)
		}
	}
	want("one.test")
	write("two.test", 'b')
	clock.now = clock.now.Add(certfile.ReloadAfter)
	want("one.test")
	clock.now = clock.now.Add(1)
	want("two.test")
	// A certificate that does not fit its key, then none at all.
	write("three.test", 'c')
	clock.now = clock.now.Add(certfile.ReloadAfter + 1)
	want("two.test")
	if err := os.Remove(files.KeyFile); err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(certfile.ReloadAfter + 1)
	want("two.test")
	write("four.test", 'b')
	want("two.test")
	clock.now = clock.now.Add(certfile.ReloadAfter + 1)
	want("four.test")
}

// Towards a database the certificate is always checked, unless TLS is off.
func TestClientTLS(t *testing.T) {
	system := sys.OS()
	dir := t.TempDir()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	pem, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem")
	for file, content := range map[string][]byte{pem: ca.PEM(), empty: nil} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if cfg, err := clientTLS(DatabaseConfig{TLS: ClientTLS{Mode: tlsModeDisable}}, system); cfg != nil || err != nil {
		t.Errorf("%v, %v", cfg, err)
	}
	cfg, err := clientTLS(DatabaseConfig{Name: "app", Host: "db.test", TLS: ClientTLS{CAFile: pem}}, system)
	if err != nil || cfg.ServerName != "db.test" || cfg.InsecureSkipVerify || cfg.MinVersion < tls.VersionTLS12 || !cfg.RootCAs.Equal(ca.Pool()) {
		t.Errorf("%+v, %v", cfg, err)
	}
	if cfg, err := clientTLS(DatabaseConfig{Host: "db.test", TLS: ClientTLS{ServerName: "other.test"}}, system); err != nil || cfg.ServerName != "other.test" {
		t.Errorf("%+v, %v", cfg, err)
	}
	for _, bad := range []ClientTLS{{CAFile: empty}, {CAFile: filepath.Join(dir, "nothing")}, {CertFile: pem, KeyFile: pem}, {CertFile: filepath.Join(dir, "nothing")}, {CertFile: pem, KeyFile: filepath.Join(dir, "nothing")}} {
		if cfg, err := clientTLS(DatabaseConfig{Host: "db.test", TLS: bad}, system); err == nil {
			t.Errorf("%+v is %+v", bad, cfg)
		}
	}
}

// TestSec_T06_OddNames: a certificate counts for the names that stand in it, letter by
// letter, whatever their case (RFC 9525, 6.3), and for nothing that only looks like one.
func TestSec_T06_OddNames(t *testing.T) {
	system := sys.OS()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, accepted := range map[string]bool{
		"db.test": true, "DB.test": true, "*.test": true,
		"db.test.": false, "db.test\x00.evil.test": false, "db.test\x00": false, "\x00db.test": false, "*": false, "d*.test": false, "*b.test": false,
		"db.*": false, ".test": false, "test": false, "db.test.evil.test": false, "evil.test/db.test": false, " db.test": false, "db.test ": false, "db\u202e.test": false,
		"10.0.0.1": false, "": false,
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := clientTLS(DatabaseConfig{Name: "app", Host: "db.test", TLS: ClientTLS{CAFile: file}}, system)
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := ca.IssueTLS(devca.Options{Name: "db.test", DNSNames: []string{name}, Server: true})
			if err != nil {
				if accepted {
					t.Fatal(err)
				}
				return // No authority of Go's makes such a one.
			}
			l, err := pgboot.Listen(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			served := make(chan struct{})
			go func() {
				defer close(served)
				far, err := l.Accept()
				if err != nil {
					return
				}
				defer func() { _ = far.Close() }()
				conn := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
				_, _ = io.Copy(io.Discard, conn)
			}()
			near, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if err := tls.Client(near, cfg).HandshakeContext(t.Context()); (err == nil) != accepted {
				t.Errorf("%q for db.test: %v", name, err)
			}
			_ = near.Close()
			<-served
		})
	}
}
