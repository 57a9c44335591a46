package startup_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"

	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/startup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ssl    = 80877103
	gssenc = 80877104
	cancel = 80877102
	v30    = 196608
)

// packet is a packet without a type byte.
func packet(code uint32, body string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return string(binary.BigEndian.AppendUint32(b, code)) + body
}

func password(s string) string {
	return "p" + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(s)))) + s
}

// start is a startup message with the pairs and their end.
func start(pairs ...string) string { return packet(v30, strings.Join(pairs, "\x00")+"\x00\x00") }

// result is what came of a client.
type result struct {
	client *startup.Client
	err    error
	// answered is what the client was sent.
	answered string
}

// negotiate sends bytes and then ends the client's side.
func negotiate(t *testing.T, cfg startup.Config, sent string) result {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan result, 1)
	go func() {
		c, err := startup.Negotiate(context.Background(), server, cfg)
		_ = server.Close()
		done <- result{client: c, err: err}
	}()
	answered := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(client)
		answered <- string(b)
	}()
	_, _ = io.WriteString(client, sent)
	// The far end of a pipe has no half-close: a client that waits for more is
	// cut by a deadline.
	_ = server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	r := <-done
	r.answered = <-answered
	_ = client.Close()
	return r
}

// code is the SQLSTATE of the error at the end of what was answered, and severity
// its severity.
func code(t *testing.T, answered string) (sqlstate, severity string) {
	t.Helper()
	i := strings.LastIndex(answered, "SFATAL")
	if i < 5 || answered[i-5] != 'E' {
		return "", ""
	}
	var e pgproto3.ErrorResponse
	if err := e.Decode([]byte(answered[i:])); err != nil {
		t.Fatal(err)
	}
	return e.Code, e.Severity
}

// Every first packet that is not a login is refused with one FATAL, or ends the
// connection; none shows a token, a user or a parameter.
func TestFirstPackets(t *testing.T) {
	plain := startup.Config{AllowPlaintext: true}
	long := "user\x00a\x00application_name\x00" + strings.Repeat("x", 10000-8-26) + "\x00\x00"
	for name, tc := range map[string]struct {
		cfg  startup.Config
		sent string
		// code is the SQLSTATE told, empty for none.
		code string
	}{
		"HTTP":                          {plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "08P01"},
		"TLS where there is none":       {plain, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "08P01"},
		"zeroes":                        {plain, strings.Repeat("\x00", 16), "08P01"},
		"ones":                          {plain, strings.Repeat("\xff", 16), "08P01"},
		"length 7":                      {plain, "\x00\x00\x00\x07\x00\x03\x00\x00", "08P01"},
		"length 8":                      {plain, packet(v30, ""), "08P01"},
		"10,000 bytes":                  {plain, packet(v30, long), ""},
		"10,001 bytes":                  {plain, packet(v30, "x"+long), "08P01"},
		"half a packet":                 {plain, packet(v30, "user\x00a\x00\x00")[:10], ""},
		"protocol 2.0":                  {plain, packet(2<<16, "user\x00a\x00\x00"), "0A000"},
		"protocol 4.0":                  {plain, packet(4<<16, "user\x00a\x00\x00"), "0A000"},
		"protocol 0":                    {plain, packet(0, "user\x00a\x00\x00"), "0A000"},
		"SSLRequest twice":              {plain, packet(ssl, "") + packet(ssl, ""), "0A000"},
		"GSSENCRequest twice":           {plain, packet(gssenc, "") + packet(gssenc, ""), "0A000"},
		"SSLRequest with a body":        {plain, packet(ssl, "x"), "0A000"},
		"GSSENCRequest with a body":     {plain, packet(gssenc, "x"), "0A000"},
		"no end":                        {plain, packet(v30, "user\x00a\x00"), "08P01"},
		"no value":                      {plain, packet(v30, "user\x00"), "08P01"},
		"value without an end":          {plain, packet(v30, "user\x00a"), "08P01"},
		"bytes behind the end":          {plain, packet(v30, "user\x00a\x00\x00x"), "08P01"},
		"user twice":                    {plain, start("user", "a", "user", "b"), "08P01"},
		"parameter twice":               {plain, start("user", "a", "x", "1", "x", "1"), "08P01"},
		"parameter in two cases":        {plain, start("user", "a", "scopewire.auth", "oauth", "Scopewire.Auth", "password"), "08P01"},
		"not UTF-8":                     {plain, start("user", "\xff"), "08P01"},
		"name that is not UTF-8":        {plain, start("user", "a", "\xff", "b"), "08P01"},
		"no user":                       {plain, start("database", "a"), "28000"},
		"empty user":                    {plain, start("user", "", "database", "a"), "28000"},
		"replication":                   {plain, start("user", "a", "replication", "true"), "0A000"},
		"replication database":          {plain, start("user", "a", "replication", "database"), "0A000"},
		"replication 1":                 {plain, start("user", "a", "replication", "1"), "0A000"},
		"replication, no value":         {plain, start("user", "a", "replication", ""), "0A000"},
		"plaintext where TLS is needed": {startup.Config{}, start("user", "a") + password("token\x00"), "28000"},
		"empty password":                {plain, start("user", "a") + password("\x00"), "28P01"},
		"no password":                   {plain, start("user", "a") + password(""), "08P01"},
		"password without an end":       {plain, start("user", "a") + password("token"), "08P01"},
		"NUL in the password":           {plain, start("user", "a") + password("to\x00ken\x00"), "08P01"},
		"long password":                 {plain, start("user", "a") + password(strings.Repeat("x", 65535)+"\x00"), "08P01"},
		"password of 2^31":              {plain, start("user", "a") + "p\x80\x00\x00\x00", "08P01"},
		"password of length 3":          {plain, start("user", "a") + "p\x00\x00\x00\x03", "08P01"},
		"a query instead":               {plain, start("user", "a") + "Q\x00\x00\x00\x0dSELECT 1\x00", "08P01"},
		"cancel without a key":          {plain, packet(cancel, "1234"), ""},
		"cancel with too long a key":    {plain, packet(cancel, strings.Repeat("x", 4+257)), ""},
		"nothing":                       {plain, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := negotiate(t, tc.cfg, tc.sent)
			if r.err == nil {
				t.Fatalf("accepted: %+v", r.client)
			}
			var refused *startup.RefusedError
			if got, severity := code(t, r.answered); got != tc.code || errors.As(r.err, &refused) != (tc.code != "") || tc.code != "" && severity != "FATAL" {
				t.Errorf("told %q (%v), answered %q", got, r.err, r.answered)
			}
			if n := strings.Count(r.answered, "SFATAL"); n > 1 {
				t.Errorf("%d errors", n)
			}
			if strings.Contains(r.err.Error(), "token") {
				t.Errorf("the error quotes the password: %v", r.err)
			}
		})
	}
}

// What is accepted is what was sent.
func TestLogins(t *testing.T) {
	plain := startup.Config{AllowPlaintext: true}
	end := password("token\x00")
	for name, tc := range map[string]struct {
		sent           string
		user, database string
		parameters     int
		version        bool
		token          string
	}{
		"user alone":                  {start("user", "a") + end, "a", "a", 0, false, "token"},
		"database":                    {start("user", "a", "database", "d", "application_name", "x") + end, "a", "d", 1, false, "token"},
		"N to TLS, then plaintext":    {packet(ssl, "") + start("user", "a") + end, "a", "a", 0, false, "token"},
		"GSS, TLS, then plaintext":    {packet(gssenc, "") + packet(ssl, "") + start("user", "a") + end, "a", "a", 0, false, "token"},
		"TLS, GSS, then plaintext":    {packet(ssl, "") + packet(gssenc, "") + start("user", "a") + end, "a", "a", 0, false, "token"},
		"protocol 3.1":                {packet(v30+1, "user\x00a\x00\x00") + end, "a", "a", 0, false, "token"},
		"protocol 3.2":                {packet(v30+2, "user\x00a\x00\x00") + end, "a", "a", 0, false, "token"},
		"protocol 3.3":                {packet(v30+3, "user\x00a\x00\x00") + end, "a", "a", 0, true, "token"},
		"protocol 3.9999":             {packet(v30+9999, "user\x00a\x00\x00") + end, "a", "a", 0, true, "token"},
		"protocol options":            {start("user", "a", "_pq_.x", "1", "_pq_.y", "2") + end, "a", "a", 0, true, "token"},
		"replication off":             {start("user", "a", "replication", "OFF") + end, "a", "a", 0, false, "token"},
		"longest password":            {start("user", "a") + password(strings.Repeat("x", 65530)+"\x00"), "a", "a", 0, false, strings.Repeat("x", 65530)},
		"a password that is not text": {start("user", "a") + password("\xff\xfe\x00"), "a", "a", 0, false, "\xff\xfe"},
	} {
		t.Run(name, func(t *testing.T) {
			r := negotiate(t, plain, tc.sent)
			if r.err != nil {
				t.Fatal(r.err)
			}
			c := r.client
			if c.User != tc.user || c.Database != tc.database || len(c.Parameters) != tc.parameters || string(c.Token.Expose()) != tc.token || c.TLS {
				t.Errorf("%+v", c)
			}
			if strings.Contains(r.answered, "v\x00") != tc.version || !strings.HasSuffix(r.answered, "R\x00\x00\x00\x08\x00\x00\x00\x03") {
				t.Errorf("answered %q", r.answered)
			}
		})
	}
	r := negotiate(t, plain, packet(cancel, "\x00\x00\x00\x07\x00\x00\x00\x09"))
	var c *startup.CancelError
	if !errors.As(r.err, &c) || c.ProcessID != 7 || string(c.Secret) != "\x00\x00\x00\x09" || r.answered != "" {
		t.Errorf("%v, answered %q", r.err, r.answered)
	}
}

func serverTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	system := sys.OS()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueTLS(devca.Options{Name: "proxy", DNSNames: []string{"proxy.test"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}},
		&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.Pool(), ServerName: "proxy.test"}
}

// A login over TLS; what was said before it does not count.
func TestLoginOverTLS(t *testing.T) {
	serverConfig, clientConfig := serverTLS(t)
	for _, before := range []string{"", packet(gssenc, "")} {
		client, server := net.Pipe()
		done := make(chan result, 1)
		go func() {
			c, err := startup.Negotiate(context.Background(), server, startup.Config{TLS: serverConfig})
			done <- result{client: c, err: err}
		}()
		one := make([]byte, 1)
		ask := func(p, want string) {
			_, _ = io.WriteString(client, p)
			if _, err := io.ReadFull(client, one); err != nil || string(one) != want {
				t.Fatalf("answered %q, %v", one, err)
			}
		}
		if before != "" {
			ask(before, "N")
		}
		ask(packet(ssl, ""), "S")
		tc := tls.Client(client, clientConfig)
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = io.WriteString(tc, start("user", "a", "database", "d")+password("token\x00"))
			_, _ = io.Copy(io.Discard, tc)
		}()
		r := <-done
		_ = server.Close()
		<-over
		if r.err != nil || !r.client.TLS || r.client.ServerName != "proxy.test" || r.client.Database != "d" {
			t.Errorf("%+v, %v", r.client, r.err)
		}
		_ = client.Close()
	}
	// Inside of TLS there is no second SSLRequest.
	client, server := net.Pipe()
	done := make(chan result, 1)
	go func() {
		c, err := startup.Negotiate(context.Background(), server, startup.Config{TLS: serverConfig})
		done <- result{client: c, err: err}
	}()
	_, _ = io.WriteString(client, packet(ssl, ""))
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	tc := tls.Client(client, clientConfig)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.WriteString(tc, packet(ssl, ""))
		_, _ = io.Copy(io.Discard, tc)
	}()
	r := <-done
	var refused *startup.RefusedError
	if !errors.As(r.err, &refused) || refused.Response.Code != "0A000" {
		t.Errorf("%v", r.err)
	}
	_, _ = server.Close(), client.Close()
	<-drained
}

// TestSec_T01_BytesBehindSSLRequest: bytes that stand behind an SSLRequest are never
// taken for the client's: they fail the handshake, whether they come in one segment
// or later, and nothing of them is parsed.
func TestSec_T01_BytesBehindSSLRequest(t *testing.T) {
	serverConfig, _ := serverTLS(t)
	injected := start("user", "attacker") + password("stolen\x00")
	for cut := range len(injected) + 1 {
		client, server := net.Pipe()
		answered := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(client)
			answered <- string(b)
		}()
		go func() {
			_, _ = io.WriteString(client, packet(ssl, "")+injected[:cut])
			_, _ = io.WriteString(client, injected[cut:])
		}()
		_ = server.SetDeadline(time.Now().Add(5 * time.Second))
		c, err := startup.Negotiate(context.Background(), server, startup.Config{TLS: serverConfig})
		_ = server.Close()
		got := <-answered
		_ = client.Close()
		if err == nil || c != nil || !strings.HasPrefix(got, "S") || strings.Contains(got, "R\x00\x00\x00\x08") {
			t.Fatalf("cut at %d: %+v, %v, answered %q", cut, c, err, got)
		}
	}
}

// TestSec_T02_SlowClients: a client that is slow anywhere ends at one absolute
// deadline: that of the connection.
func TestSec_T02_SlowClients(t *testing.T) {
	const deadline = 10 * time.Second
	whole := packet(gssenc, "") + packet(ssl, "") + start("user", "a", "database", "d") + password("token\x00")
	for stop := range len(whole) {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			_ = server.SetDeadline(time.Now().Add(deadline))
			began := time.Now()
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() { _, _ = io.Copy(io.Discard, client) })
			wg.Go(func() {
				// One byte a second up to there, and nothing after it.
				for i := range stop {
					if _, err := client.Write([]byte{whole[i]}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
			_, err := startup.Negotiate(t.Context(), server, startup.Config{AllowPlaintext: true})
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("stops at %d: %v", stop, err)
			}
			if took := time.Since(began); took != deadline {
				t.Errorf("stops at %d: ended after %v", stop, took)
			}
			_, _ = server.Close(), client.Close()
		})
	}
}

// FuzzNegotiate: whatever comes, there is an answer or an error, and what is
// accepted has a user, a database and a token without a NUL.
func FuzzNegotiate(f *testing.F) {
	f.Add([]byte(start("user", "a") + password("token\x00")))
	f.Add([]byte(packet(ssl, "") + packet(gssenc, "") + start("user", "a", "_pq_.x", "1") + password("t\x00")))
	f.Add([]byte(packet(cancel, "12345678")))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn := &script{in: strings.NewReader(string(sent))}
		c, err := startup.Negotiate(context.Background(), conn, startup.Config{AllowPlaintext: true})
		if err != nil {
			if c != nil && c.Token.Len() > 0 {
				t.Error("a refused client has a token")
			}
			return
		}
		token := string(c.Token.Expose())
		if c.User == "" || c.Database == "" || token == "" || strings.Contains(token, "\x00") || strings.Contains(string(sent), "replication\x00true") {
			t.Errorf("accepted %+v", c)
		}
		for name := range c.Parameters {
			if strings.HasPrefix(name, "_pq_.") || name == "user" || name == "database" || name == "replication" || name == "" {
				t.Errorf("parameter %q", name)
			}
		}
	})
}

// script is a connection that reads a text and drops what is written.
type script struct {
	net.Conn
	in io.Reader
}

func (s *script) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error) { return len(p), nil }
