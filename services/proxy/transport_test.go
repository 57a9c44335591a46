package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy"
)

// speaksTLS has a world's listener speak TLS, with a certificate of the authority returned.
func speaksTLS(t *testing.T) (option, *devca.CA) {
	t.Helper()
	system := sys.OS()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.WriteFiles(system.FS, t.TempDir(), "proxy", devca.Options{Name: "proxy.test", DNSNames: []string{"proxy.test"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *proxy.Config, _ *sys.System) {
		cfg.Listeners[0].TLS = proxy.ServerTLS{CertFile: files.Cert, KeyFile: files.Key}
	}, ca
}

// newTLSWorld is a world whose listener speaks TLS, with the authority of its certificate.
func newTLSWorld(t *testing.T, options ...option) (*world, *devca.CA) {
	t.Helper()
	tls, ca := speaksTLS(t)
	return newWorld(t, append(options, tls)...), ca
}

// encrypted is a client's connection after the handshake, and what it is made on.
func (w *world) encrypted(cfg *tls.Config) (*tls.Conn, *net.TCPConn) {
	w.t.Helper()
	raw := w.dial()
	w.t.Cleanup(func() { _ = raw.Close() })
	if _, err := raw.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		w.t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(raw, answer); err != nil || answer[0] != 'S' {
		w.t.Fatalf("SSLRequest is answered %q, %v", answer, err)
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return conn, raw
}

// TestSec_T06_NoResumption: no TLS session is resumed, so that every client's handshake
// is made under the certificates and authorities of now.
func TestSec_T06_NoResumption(t *testing.T) {
	w, ca := newTLSWorld(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := &tls.Config{RootCAs: ca.Pool(), ServerName: "proxy.test", MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		for range 3 {
			conn, _ := w.encrypted(cfg)
			if conn.ConnectionState().DidResume {
				t.Errorf("version %#x: a session is resumed", version)
			}
			// A ticket would come with the first data.
			f := pgproto3.NewFrontend(conn, conn)
			w.step(f, &pgproto3.AuthenticationCleartextPassword{}, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
			_ = conn.Close()
		}
	}
}

// TestSec_T06_KeyUpdateFlood: a client that does nothing but change its keys is cut off
// long before its login's deadline, and others are served meanwhile.
func TestSec_T06_KeyUpdateFlood(t *testing.T) {
	w, ca := newTLSWorld(t, func(cfg *proxy.Config, _ *sys.System) { cfg.Limits.Login = config.Duration(10 * time.Minute) })
	var secrets bytes.Buffer
	conn, raw := w.encrypted(&tls.Config{RootCAs: ca.Pool(), ServerName: "proxy.test", MinVersion: tls.VersionTLS13, KeyLogWriter: &secrets})
	if suite := conn.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("the test knows another cipher suite than %s", tls.CipherSuiteName(suite))
	}
	secret := clientSecret(t, &secrets)
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for range 100_000 {
			var record []byte
			if record, secret = keyUpdate(t, secret); record == nil {
				return
			}
			if _, err := raw.Write(record); err != nil {
				return // cut off
			}
		}
	}()
	_ = raw.SetReadDeadline(time.Now().Add(time.Minute))
	_, err := io.Copy(io.Discard, raw)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the flood goes on")
	}
	_ = raw.Close()
	<-flood
	other, _ := w.encrypted(&tls.Config{RootCAs: ca.Pool(), ServerName: "proxy.test", MinVersion: tls.VersionTLS13})
	w.step(pgproto3.NewFrontend(other, other), &pgproto3.AuthenticationCleartextPassword{},
		&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u"}})
}

// clientSecret finds the client's first traffic secret in a key log.
func clientSecret(t *testing.T, log io.Reader) []byte {
	t.Helper()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(fields[2])
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
	}
	t.Fatal("the key log has no secret of the client's")
	return nil
}

// keyUpdate is the first record under a traffic secret, a KeyUpdate, and the secret that
// follows it (RFC 8446, 4.6.3, 5.2 and 7.2).
func keyUpdate(t *testing.T, secret []byte) (record, next []byte) {
	expand := func(label string, n int) []byte {
		label = "tls13 " + label
		info := binary.BigEndian.AppendUint16(nil, uint16(n)) //nolint:gosec // G115: short.
		info = append(append(append(info, byte(len(label))), label...), 0)
		out, err := hkdf.Expand(sha256.New, secret, string(info), n)
		if err != nil {
			t.Error(err)
		}
		return out
	}
	block, err := aes.NewCipher(expand("key", 16))
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	const handshake, applicationData = 22, 23
	inner := []byte{24, 0, 0, 1, 0, handshake}
	header := []byte{applicationData, 3, 3, 0, byte(len(inner) + aead.Overhead())}
	return aead.Seal(header, expand("iv", 12), inner, header), expand("traffic upd", sha256.Size)
}

// TestSec_T07_TextsOfUnprovenServers: what a server says before it has proved who it is
// reaches no client, whenever it says it: the client hears one sentence of the proxy's.
func TestSec_T07_TextsOfUnprovenServers(t *testing.T) {
	const planted = "call 555-0100 to unlock your account"
	fatal, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "28000", Message: planted, Detail: planted, Hint: planted}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	notice, err := (&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000", Message: planted}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	status, err := (&pgproto3.ParameterStatus{Name: "server_version", Value: planted}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	messages := map[string]bool{}
	for name, tt := range map[string]struct {
		tls     bool
		answers []byte
	}{
		"an error for SSLRequest":      {true, fatal},
		"an old server's error":        {true, []byte("EFATAL:  " + planted + "\n\x00")},
		"an error before logging in":   {false, fatal},
		"a notice, then nothing":       {false, notice},
		"a notice, then an error":      {false, append(bytes.Clone(notice), fatal...)},
		"a status, then an error":      {false, append(bytes.Clone(status), fatal...)},
		"bytes of no protocol at all":  {false, []byte("HTTP/1.1 400 " + planted + "\r\n\r\n")},
		"an error as long as can be":   {false, append([]byte{'E', 0x7f, 0xff, 0xff, 0xff}, planted...)},
		"an error without a condition": {false, []byte("E\x00\x00\x00\x30M" + planted + "\x00\x00\x00\x00\x00\x00\x00")},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := pgboot.Listen(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				for {
					conn, err := server.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Read(make([]byte, 4096))
					_, _ = conn.Write(tt.answers)
					_ = conn.Close()
				}
			}()
			t.Cleanup(func() { _ = server.Close(); <-served })
			w := newWorld(t, func(cfg *proxy.Config, _ *sys.System) {
				db := &cfg.Databases[0]
				_, port, _ := strings.Cut(server.Addr().String(), ":")
				if _, err := fmt.Sscan(port, &db.Port); err != nil {
					t.Fatal(err)
				}
				if tt.tls {
					db.TLS = proxy.ClientTLS{ServerName: "db.test"}
				}
			})
			w.ready()
			_, err = pgx.Connect(t.Context(), w.dsn())
			var said *pgconn.PgError
			if !errors.As(err, &said) || said.Code != "57P03" || strings.Contains(fmt.Sprintf("%+v", said), "555") {
				t.Fatalf("the client hears %v", err)
			}
			messages[said.Message+said.Hint] = true
		})
	}
	if len(messages) != 1 {
		t.Errorf("clients hear different sentences: %v", messages)
	}
}
