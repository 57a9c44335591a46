package startup

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
)

// alpn is the protocol's name in TLS ("Protocol Flow", SSL Session Encryption). A
// client that begins with TLS has to ask for it, so that no other protocol's client
// can be led to speak to this one.
const alpn = "postgresql"

// startTLS answers an SSLRequest.
func (c *Client) startTLS(ctx context.Context, cfg *tls.Config) error {
	if cfg == nil {
		if _, err := c.Conn.Write([]byte{'N'}); err != nil {
			return fmt.Errorf("answer SSLRequest: %w", err)
		}
		return nil
	}
	if _, err := c.Conn.Write([]byte{'S'}); err != nil {
		return fmt.Errorf("answer SSLRequest: %w", err)
	}
	_, err := c.handshake(ctx, c.Conn, cfg)
	return err
}

// directTLS takes a connection that began with TLS, of which the first byte was read.
func (c *Client) directTLS(ctx context.Context, cfg *tls.Config) error {
	if cfg == nil {
		return c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "this listener has no TLS"), "TLS on a listener without")
	}
	state, err := c.handshake(ctx, &replayed{Conn: c.Conn, byte: handshakeByte, left: true}, cfg)
	if err != nil {
		return err
	}
	if state.NegotiatedProtocol != alpn {
		return c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "a direct TLS connection needs the ALPN protocol "+alpn), "direct TLS without ALPN")
	}
	return nil
}

func (c *Client) handshake(ctx context.Context, conn net.Conn, cfg *tls.Config) (tls.ConnectionState, error) {
	cfg = cfg.Clone()
	cfg.NextProtos = []string{alpn}
	tc := tls.Server(conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, fmt.Errorf("tls handshake: %w", err)
	}
	state := tc.ConnectionState()
	c.Conn, c.TLS, c.ServerName = tc, true, state.ServerName
	if len(state.PeerCertificates) > 0 {
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		c.CertificateSHA256 = sum[:]
	}
	return state, nil
}

// replayed is a connection whose first byte has been read.
type replayed struct {
	net.Conn
	byte byte
	left bool
}

func (r *replayed) Read(b []byte) (int, error) {
	if r.left && len(b) > 0 {
		r.left, b[0] = false, r.byte
		return 1, nil
	}
	return r.Conn.Read(b)
}
