// Package startup takes a client from its first byte to a token in hand.
//
// Packets before TLS are read with exact lengths, never ahead: bytes that
// somebody placed behind an SSLRequest stay in the socket and reach the TLS
// handshake, which they fail, instead of a buffer that survives it
// (CVE-2021-23214 and its kin). The whole of it runs under one absolute
// deadline, set by the caller on the connection before it calls Negotiate.
package startup

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
)

// Codes of the first packet ("Message Formats": SSLRequest, GSSENCRequest,
// CancelRequest, StartupMessage).
const (
	codeSSL    = 80877103
	codeGSSENC = 80877104
	codeCancel = 80877102
	// protocol30 is the version that is spoken; a newer minor version is answered
	// by NegotiateProtocolVersion.
	protocol30 = 3 << 16
)

const (
	// maxStartupPacket is PostgreSQL's MAX_STARTUP_PACKET_LENGTH.
	maxStartupPacket = 10000
	// maxPassword is PostgreSQL's limit for an authentication message
	// (PG_MAX_AUTH_TOKEN_LENGTH).
	maxPassword = 65535
)

// Config says how clients are received.
type Config struct {
	// TLS is the server side's configuration; nil answers N to SSLRequest.
	TLS *tls.Config
	// AllowPlaintext accepts a token without TLS. Only for loopback listeners.
	AllowPlaintext bool
}

// Client is a client that has shown its token.
type Client struct {
	// Conn carries everything from here on: the TLS connection where there is one.
	Conn net.Conn
	// Parameters are the startup packet's, without user and database.
	Parameters map[string]string
	// User and Database are the startup packet's; Database defaults to User, as
	// PostgreSQL has it.
	User, Database string
	// Token is what the client sent as its password.
	Token secret.Bytes
	// TLS is set on an encrypted connection, with the name asked for by SNI and
	// the SHA-256 of the client's certificate, if it showed one.
	TLS               bool
	ServerName        string
	CertificateSHA256 []byte
}

// CancelError is returned by Negotiate for a CancelRequest: there is no session,
// and nothing to answer.
type CancelError struct {
	ProcessID uint32
	Secret    uint32
}

func (*CancelError) Error() string { return "the connection carried a cancel request" }

// RefusedError is a client that was turned away. The answer has been sent, if
// the client could be answered.
type RefusedError struct {
	// Response is what the client was told.
	Response *pgproto3.ErrorResponse
	// Detail is for the log.
	Detail string
	// User, Database and ApplicationName are claims of the client, as far as
	// they were read.
	User, Database, ApplicationName string
}

func (e *RefusedError) Error() string { return e.Detail }

// Negotiate reads packets until the client has sent its password. It returns
// CancelError, RefusedError, or an error of the connection. The caller closes
// conn in every case.
func Negotiate(ctx context.Context, conn net.Conn, cfg Config) (*Client, error) {
	c := &Client{Conn: conn}
	var askedSSL, askedGSS bool
	for {
		code, body, err := readPacket(c.Conn)
		if err != nil {
			var bad *packetError
			if errors.As(err, &bad) {
				return nil, c.refuse(pgerr.Fatal(pgerr.ProtocolViolation,
					"this is a PostgreSQL port: the first packet is not of the PostgreSQL protocol"), bad.Error())
			}
			return nil, fmt.Errorf("read startup packet: %w", err)
		}
		switch {
		case code == codeSSL && !askedSSL && !c.TLS && len(body) == 0:
			askedSSL = true
			if err := c.startTLS(ctx, cfg.TLS); err != nil {
				return nil, err
			}
		case code == codeGSSENC && !askedGSS && !c.TLS && len(body) == 0:
			askedGSS = true
			if _, err := c.Conn.Write([]byte{'N'}); err != nil {
				return nil, fmt.Errorf("answer GSSENCRequest: %w", err)
			}
		case code == codeCancel:
			if len(body) != 8 {
				return nil, errors.New("cancel request without a 4-byte key")
			}
			return nil, &CancelError{ProcessID: binary.BigEndian.Uint32(body), Secret: binary.BigEndian.Uint32(body[4:])}
		case code>>16 == 3:
			return c, c.start(code, body, cfg)
		default:
			return nil, c.refuse(pgerr.Fatal(pgerr.FeatureNotSupported,
				"unsupported frontend protocol: version 3.0 is spoken here"),
				fmt.Sprintf("first packet has code %d", code))
		}
	}
}

type packetError struct{ msg string }

func (e *packetError) Error() string { return e.msg }

// readPacket reads one packet without a type byte.
func readPacket(r io.Reader) (code uint32, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > maxStartupPacket {
		return 0, nil, &packetError{fmt.Sprintf("startup packet announces %d bytes", n)}
	}
	body = make([]byte, n-8)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, err
	}
	return binary.BigEndian.Uint32(head[4:]), body, nil
}

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
	tc := tls.Server(c.Conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("tls handshake: %w", err)
	}
	state := tc.ConnectionState()
	c.Conn, c.TLS, c.ServerName = tc, true, state.ServerName
	if len(state.PeerCertificates) > 0 {
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		c.CertificateSHA256 = sum[:]
	}
	return nil
}

// start reads the startup message's parameters and asks for the password.
func (c *Client) start(code uint32, body []byte, cfg Config) error {
	params, err := parameters(body)
	if err != nil {
		return c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "invalid startup packet layout"), err.Error())
	}
	c.User, c.Database = params["user"], params["database"]
	delete(params, "user")
	delete(params, "database")
	c.Parameters = params
	if c.User == "" {
		return c.refuse(pgerr.Fatal(pgerr.InvalidAuthorization, "no user name is given in the startup packet"), "startup packet without a user")
	}
	if c.Database == "" {
		c.Database = c.User
	}
	if v, ok := params["replication"]; ok && !falseWord(v) {
		return c.refuse(pgerr.Fatal(pgerr.FeatureNotSupported, "replication connections are not served"), "replication connection")
	}
	delete(params, "replication")
	if !c.TLS && !cfg.AllowPlaintext {
		hint := pgerr.Fatal(pgerr.InvalidAuthorization, "an access token is taken over TLS only")
		hint.Hint = "Connect with sslmode=require or stricter."
		return c.refuse(hint, "connection without TLS")
	}
	out := c.negotiateVersion(code)
	auth := pgproto3.AuthenticationCleartextPassword{}
	if out, err = auth.Encode(out); err != nil {
		return fmt.Errorf("encode password request: %w", err)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return fmt.Errorf("ask for the password: %w", err)
	}
	return c.readPassword()
}

// falseWord reports whether v is one of the words that PostgreSQL reads as false
// (utils/adt/bool.c), for the replication parameter.
func falseWord(v string) bool {
	switch strings.ToLower(v) {
	case "false", "off", "no", "0", "f", "n", "fa", "fal", "fals", "of":
		return true
	default:
		return false
	}
}

// negotiateVersion answers a newer minor version and unknown protocol options by
// NegotiateProtocolVersion, and takes the options from the parameters.
func (c *Client) negotiateVersion(code uint32) []byte {
	var options []string
	for name := range c.Parameters {
		if strings.HasPrefix(name, "_pq_.") {
			options = append(options, name)
			delete(c.Parameters, name)
		}
	}
	if code == protocol30 && len(options) == 0 {
		return nil
	}
	m := pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: protocol30, UnrecognizedOptions: options}
	out, err := m.Encode(nil)
	if err != nil {
		return nil
	}
	return out
}

// parameters decodes name and value strings, ended by an empty name.
func parameters(body []byte) (map[string]string, error) {
	// Names of databases and users go into audit events, which are UTF-8: a login
	// that could not be recorded must not be refused in silence.
	if !utf8.Valid(body) {
		return nil, errors.New("startup parameters are not UTF-8")
	}
	params := make(map[string]string)
	rest := string(body)
	next := func() (string, bool) {
		s, after, ok := strings.Cut(rest, "\x00")
		rest = after
		return s, ok
	}
	for {
		name, ok := next()
		if !ok {
			return nil, errors.New("startup parameters do not end")
		}
		if name == "" {
			if rest != "" {
				return nil, errors.New("bytes behind the startup parameters")
			}
			return params, nil
		}
		value, ok := next()
		if !ok {
			return nil, errors.New("startup parameter without a value")
		}
		if _, dup := params[name]; dup {
			return nil, errors.New("startup parameter given twice")
		}
		params[name] = value
	}
}

// readPassword reads the one message that may come now.
func (c *Client) readPassword() error {
	var head [5]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return fmt.Errorf("read password: %w", err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'p' || n < 5 || n > maxPassword {
		return c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "expected a password message"), "no password message")
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(c.Conn, body); err != nil {
		return fmt.Errorf("read password: %w", err)
	}
	if last := len(body) - 1; body[last] != 0 || strings.IndexByte(string(body[:last]), 0) >= 0 {
		return c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "malformed password message"), "malformed password message")
	}
	if len(body) == 1 {
		empty := pgerr.Fatal(pgerr.InvalidPassword, "the password is empty: it has to be an access token")
		empty.Hint = "Set PGPASSWORD to an OAuth access token."
		return c.refuse(empty, "empty password")
	}
	c.Token = secret.New(body[:len(body)-1])
	return nil
}

// refuse tells the client and returns the RefusedError. A client that cannot be
// told any more is refused all the same.
func (c *Client) refuse(resp *pgproto3.ErrorResponse, detail string) error {
	if b, err := resp.Encode(nil); err == nil {
		_, _ = c.Conn.Write(b)
	}
	return &RefusedError{Response: resp, Detail: detail, User: c.User, Database: c.Database,
		ApplicationName: c.Parameters["application_name"]}
}
