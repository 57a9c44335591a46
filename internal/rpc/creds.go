package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/scopewire/scopewire/internal/sys"
)

// transport secures connections: TLS with the newest certificates, or none on
// the Pipe and, where allowed, on loopback. It is what gRPC calls for each new
// connection on either side. The zero value refuses every socket.
type transport struct {
	clock    sys.Clock // nil on the Pipe alone
	certs    *store    // nil: no TLS
	loopback bool      // plaintext on loopback is allowed
	server   Role      // for a client: whom it means to reach
	name     string    // for a client: overrides the name to verify
}

var _ credentials.TransportCredentials = (*transport)(nil)

func local() authInfo {
	return authInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}, Identity{Role: Local}}
}

// ServerHandshake implements credentials.TransportCredentials.
func (t *transport) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if t.isPlain(conn, conn.LocalAddr()) {
		return conn, local(), nil
	}
	if t.certs == nil {
		return nil, nil, errors.New("plaintext is not served on this address")
	}
	b := t.certs.get()
	cfg := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{b.certificate},
		ClientCAs:              b.authorities,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true,
		Time:                   t.clock.Now,
	}
	secured, info, err := credentials.NewTLS(cfg).ServerHandshake(conn)
	if err != nil {
		return nil, nil, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, nil, errors.New("the TLS handshake left no state")
	}
	// A certificate of our authority without a Scopewire name gets a connection
	// and is refused by the matrix, so that its owner reads why.
	who, err := identityOf(tlsInfo.State)
	if err != nil {
		who = Identity{}
	}
	return endWith(secured, tlsInfo.State, t.clock), authInfo{tlsInfo.CommonAuthInfo, who}, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (t *transport) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if t.isPlain(conn, conn.RemoteAddr()) {
		return conn, local(), nil
	}
	if t.certs == nil {
		return nil, nil, errors.New("plaintext is not spoken to this address")
	}
	b := t.certs.get()
	name := t.name
	if name == "" {
		name = hostOf(authority)
	}
	cfg := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{b.certificate},
		RootCAs:      b.authorities,
		ServerName:   name,
		Time:         t.clock.Now,
		VerifyConnection: func(state tls.ConnectionState) error {
			who, err := identityOf(state)
			if err != nil {
				return err
			}
			if who.Role != t.server {
				return fmt.Errorf("the server is %s where %s is expected", who.Role, t.server)
			}
			return nil
		},
	}
	secured, info, err := credentials.NewTLS(cfg).ClientHandshake(ctx, name, conn)
	if err != nil {
		return nil, nil, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, nil, errors.New("the TLS handshake left no state")
	}
	return endWith(secured, tlsInfo.State, t.clock), authInfo{tlsInfo.CommonAuthInfo, Identity{Role: t.server}}, nil
}

func (t *transport) isPlain(conn net.Conn, addr net.Addr) bool {
	if _, ok := conn.(pipeConn); ok {
		return true
	}
	return t.loopback && t.certs == nil && isLoopback(addr)
}

// Info implements credentials.TransportCredentials.
func (t *transport) Info() credentials.ProtocolInfo {
	protocol := "tls"
	if t.certs == nil {
		protocol = "insecure"
	}
	return credentials.ProtocolInfo{SecurityProtocol: protocol}
}

// Clone implements credentials.TransportCredentials. The certificates are
// shared on purpose: a clone sees every reload.
func (t *transport) Clone() credentials.TransportCredentials {
	c := *t
	return &c
}

// OverrideServerName implements credentials.TransportCredentials; gRPC does
// not call it any more.
func (t *transport) OverrideServerName(name string) error {
	t.name = name
	return nil
}

func hostOf(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return authority
	}
	return host
}
