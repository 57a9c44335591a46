package devca_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/sys"
)

func newCA(t *testing.T) *devca.CA {
	t.Helper()
	ca, err := devca.New(sys.OS().Clock, sys.OS().Rand)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func parse(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(certPEM)
	if block == nil || len(rest) != 0 {
		t.Fatal("not exactly one PEM block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestIssueVerifiesForItsUseAlone(t *testing.T) {
	ca := newCA(t)
	server := devca.Options{
		Name: "proxy", Server: true, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	client := devca.Options{Name: "proxy", Client: true, URIs: []string{"spiffe://scopewire/proxy"}}
	tests := []struct {
		name   string
		opts   devca.Options
		verify x509.VerifyOptions
		want   bool
	}{
		{"server by name", server, x509.VerifyOptions{DNSName: "localhost"}, true},
		{"server by address", server, x509.VerifyOptions{DNSName: "127.0.0.1"}, true},
		{"server under another name", server, x509.VerifyOptions{DNSName: "example.com"}, false},
		{"server as client", server, x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, false},
		{"client", client, x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true},
		{"client as server", client, x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, false},
		{"another CA", client, x509.VerifyOptions{
			Roots: newCA(t).Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, false},
		{"expired", client, x509.VerifyOptions{
			CurrentTime: time.Now().Add(devca.DefaultLeafLifetime), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			certPEM, _, err := ca.Issue(tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if tt.verify.Roots == nil {
				tt.verify.Roots = ca.Pool()
			}
			_, err = parse(t, certPEM).Verify(tt.verify)
			if (err == nil) != tt.want {
				t.Errorf("verify: %v, want success %t", err, tt.want)
			}
		})
	}
}

func TestIssueCarriesTheIdentity(t *testing.T) {
	certPEM, _, err := newCA(t).Issue(devca.Options{Client: true, URIs: []string{"spiffe://scopewire/proxy"}})
	if err != nil {
		t.Fatal(err)
	}
	uris := parse(t, certPEM).URIs
	if len(uris) != 1 || uris[0].String() != "spiffe://scopewire/proxy" {
		t.Errorf("URIs are %v", uris)
	}
}

func TestIssueLifetime(t *testing.T) {
	start := time.Date(2031, 5, 4, 3, 2, 1, 0, time.UTC)
	ca, err := devca.New(fixedClock{start}, sys.OS().Rand)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, _, err := ca.Issue(devca.Options{Client: true, NotBefore: start, Lifetime: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, certPEM)
	if !cert.NotBefore.Equal(start) || !cert.NotAfter.Equal(start.Add(20*time.Second)) {
		t.Errorf("valid from %s to %s", cert.NotBefore, cert.NotAfter)
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := newCA(t)
	for name, opts := range map[string]devca.Options{
		"no use":              {Name: "x"},
		"server without name": {Server: true},
		"relative identity":   {Client: true, URIs: []string{"proxy"}},
		"negative lifetime":   {Client: true, Lifetime: -time.Second},
		"outlives the CA":     {Client: true, Lifetime: devca.Lifetime + time.Hour},
	} {
		if _, _, err := ca.Issue(opts); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
}

func TestWriteFilesServeAHandshake(t *testing.T) {
	ca := newCA(t)
	dir := filepath.Join(t.TempDir(), "tls")
	files, err := ca.WriteFiles(sys.OS().FS, dir, "server", devca.Options{Server: true, DNSNames: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %o", info.Mode().Perm())
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	caPEM, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		t.Fatal("ca.crt holds no certificate")
	}
	clientSide, serverSide := net.Pipe()
	defer clientSide.Close()
	done := make(chan error, 1)
	go func() {
		defer serverSide.Close()
		conn := tls.Server(serverSide, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
		_, err := conn.Write([]byte("hello"))
		done <- err
	}()
	conn := tls.Client(clientSide, &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13})
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("read %q: %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWriteFilesRefusesPaths(t *testing.T) {
	ca := newCA(t)
	for _, name := range []string{"", ".", "..", "../x", "a/b"} {
		if _, err := ca.WriteFiles(sys.OS().FS, t.TempDir(), name, devca.Options{Client: true}); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}

type fixedClock struct{ now time.Time }

func (c fixedClock) Now() time.Time                            { return c.now }
func (c fixedClock) NewTimer(time.Duration) sys.Timer          { panic("the CA never waits") }
func (c fixedClock) AfterFunc(time.Duration, func()) sys.Timer { panic("the CA never waits") }
