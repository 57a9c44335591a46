package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Role is what a process is to the others.
type Role string

// The roles.
const (
	// Proxy asks for decisions and delivers audit events.
	Proxy Role = "proxy"
	// Authz decides.
	Authz Role = "authz"
	// Audit stores events.
	Audit Role = "audit"
	// Admin is a person's tool: the CLI, the console.
	Admin Role = "admin"
	// Local is a peer without certificate on the Pipe or an insecure loopback
	// socket. No certificate can carry it.
	Local Role = "local"
)

// certifiable are the roles a certificate may name.
func certifiable(r Role) bool {
	switch r {
	case Proxy, Authz, Audit, Admin:
		return true
	default:
		return false
	}
}

const identityPrefix = "spiffe://scopewire/"

// Identity is the holder of a certificate. The zero value is nobody.
type Identity struct {
	// Role is what the holder is.
	Role Role
	// Instance tells holders of one role apart; empty where the certificate is
	// shared by all of them.
	Instance string
}

// String prints the URI without its scheme and trust domain.
func (i Identity) String() string {
	switch {
	case i.Role == "":
		return "nobody"
	case i.Instance == "":
		return string(i.Role)
	default:
		return string(i.Role) + "/" + i.Instance
	}
}

// ParseIdentity reads spiffe://scopewire/<role>[/<instance>]. The form is
// exact: no query, port, user, escape, empty or dotted segment (SPIFFE-ID
// section 2), so that one name has one spelling.
func ParseIdentity(uri string) (Identity, error) {
	rest, found := strings.CutPrefix(uri, identityPrefix)
	if !found || len(uri) > 2048 {
		return Identity{}, errors.New("the name is not of the form spiffe://scopewire/role")
	}
	role, instance, hasInstance := strings.Cut(rest, "/")
	if !certifiable(Role(role)) {
		return Identity{}, errors.New("the name carries no known role")
	}
	if hasInstance && !IsInstance(instance) {
		return Identity{}, errors.New("the name's instance has letters, digits, dots, hyphens and underscores only")
	}
	return Identity{Role: Role(role), Instance: instance}, nil
}

// IsInstance reports whether s can name an instance in a certificate: it has the
// characters SPIFFE allows in a path segment.
func IsInstance(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// identityOf reads the verified leaf's one URI SAN. A certificate with several
// is nobody's: which of its names counts would be for the reader to choose.
func identityOf(state tls.ConnectionState) (Identity, error) {
	if len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return Identity{}, errors.New("the peer showed no verified certificate")
	}
	return certificateIdentity(state.PeerCertificates[0])
}

func certificateIdentity(leaf *x509.Certificate) (Identity, error) {
	if len(leaf.URIs) != 1 {
		return Identity{}, errors.New("the peer's certificate does not have exactly one URI name")
	}
	return ParseIdentity(leaf.URIs[0].String())
}

// authInfo is what a handshake leaves for the calls of its connection.
type authInfo struct {
	credentials.CommonAuthInfo
	identity Identity
}

// AuthType names the mechanism.
func (authInfo) AuthType() string { return "scopewire" }

// Caller is the identity of the caller whose request carries ctx; the zero
// value when there is none.
func Caller(ctx context.Context) Identity {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Identity{}
	}
	info, ok := p.AuthInfo.(authInfo)
	if !ok {
		return Identity{}
	}
	return info.identity
}
