package startup_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/scopewire/scopewire/services/proxy/internal/startup"
)

// overTLS begins with TLS, sends bytes inside, and returns what came of it.
func overTLS(t *testing.T, cfg startup.Config, client *tls.Config, sent string) result {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan result, 1)
	go func() {
		c, err := startup.Negotiate(context.Background(), far, cfg)
		if c != nil {
			_ = c.Conn.Close()
		}
		_ = far.Close()
		done <- result{client: c, err: err}
	}()
	tc := tls.Client(near, client)
	// Both at once: neither side of a pipe has a buffer.
	answered := make(chan string, 1)
	if tc.HandshakeContext(t.Context()) == nil {
		go func() {
			b, _ := io.ReadAll(tc)
			answered <- string(b)
		}()
		_, _ = io.WriteString(tc, sent)
	} else {
		answered <- ""
	}
	r := <-done
	r.answered = <-answered
	_ = near.Close()
	return r
}

// TestSec_T01_DirectTLS: a connection may begin with TLS if it asks for the protocol
// postgresql in it, and no packet before or behind the handshake counts as one that
// asks for TLS.
func TestSec_T01_DirectTLS(t *testing.T) {
	server, client := serverTLS(t)
	client.NextProtos = []string{"postgresql"}
	cfg := startup.Config{TLS: server}
	login := start("user", "a", "database", "d") + password("token\x00")
	r := overTLS(t, cfg, client, login)
	if r.err != nil || !r.client.TLS || r.client.ServerName != "proxy.test" || string(r.client.Token.Expose()) != "token" {
		t.Fatalf("%+v, %v", r.client, r.err)
	}

	for name, protocols := range map[string][]string{"no ALPN": nil, "another ALPN": {"h2"}} {
		other := client.Clone()
		other.NextProtos = protocols
		r := overTLS(t, cfg, other, login)
		if r.err == nil || r.client != nil {
			t.Errorf("%s: %+v", name, r.client)
		}
	}

	for name, sent := range map[string]string{"SSLRequest": packet(ssl, "") + login, "TLS again": "\x16\x03\x01\x00\x05hello"} {
		r := overTLS(t, cfg, client, sent)
		var refused *startup.RefusedError
		if !errors.As(r.err, &refused) {
			t.Errorf("%s inside: %v", name, r.err)
		}
	}

	// Behind another packet it is not the first byte any more.
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := startup.Negotiate(context.Background(), far, cfg)
		_ = far.Close()
		done <- err
	}()
	_, _ = io.WriteString(near, packet(gssenc, ""))
	if _, err := io.ReadFull(near, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, near) }()
	_, _ = io.WriteString(near, "\x16\x03\x01\x02\x00\x01\x00\x01")
	var refused *startup.RefusedError
	if err := <-done; !errors.As(err, &refused) || refused.Response.Code != "08P01" {
		t.Errorf("behind GSSENCRequest: %v", err)
	}
	_ = near.Close()
}

// ALPN is optional behind an SSLRequest, and one that asks for something else fails.
func TestALPNBehindSSLRequest(t *testing.T) {
	server, client := serverTLS(t)
	for want, protocols := range map[bool][]string{true: {"postgresql"}, false: {"http/1.1"}} {
		near, far := net.Pipe()
		done := make(chan result, 1)
		go func() {
			c, err := startup.Negotiate(context.Background(), far, startup.Config{TLS: server})
			_ = far.Close()
			done <- result{client: c, err: err}
		}()
		_, _ = io.WriteString(near, packet(ssl, ""))
		if _, err := io.ReadFull(near, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		mine := client.Clone()
		mine.NextProtos = protocols
		tc := tls.Client(near, mine)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			if _, err := io.WriteString(tc, start("user", "a")+password("token\x00")); err == nil {
				_, _ = io.Copy(io.Discard, tc)
			}
		}()
		r := <-done
		_ = near.Close()
		<-drained
		if (r.err == nil) != want {
			t.Errorf("%v: %v", protocols, r.err)
		}
	}
}
