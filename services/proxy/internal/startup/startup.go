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
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
)

// Config says how clients are received.
type Config struct {
	// TLS is the server side's configuration; nil answers N to SSLRequest.
	TLS *tls.Config
	// AllowPlaintext accepts a token without TLS. Only for loopback listeners.
	AllowPlaintext bool
	// OAuth is the listener's OAUTHBEARER door, nil for none.
	OAuth *OAuth
	// Door is the default door; empty is DoorPassword. OAuthServerNames are names in
	// TLS that choose DoorOAuth.
	Door             Door
	OAuthServerNames []string
	// Word reads the client's own choice of a door from its parameters, and takes it
	// out of them; empty for none. Its error is told to the client. Nil reads none.
	Word func(parameters map[string]string) (string, error)
}

func (c Config) word(parameters map[string]string) (string, error) {
	if c.Word == nil {
		return "", nil
	}
	return c.Word(parameters)
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

	version uint32
	// oauth is set once the client has spoken OAUTHBEARER.
	oauth *OAuth
}

// maxKey is the longest cancel key of protocol 3.2 ("Message Formats",
// BackendKeyData).
const maxKey = 256

// CancelError is returned by Negotiate for a CancelRequest: there is no session,
// and nothing to answer.
type CancelError struct {
	ProcessID uint32
	// Secret has 1 to 256 bytes.
	Secret []byte
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

// Negotiate reads packets until the client has shown its token. It returns
// CancelError, DiscoveryError, RefusedError, or an error of the connection. The caller closes
// conn in every case.
func Negotiate(ctx context.Context, conn net.Conn, cfg Config) (*Client, error) {
	c := &Client{Conn: conn}
	var askedSSL, askedGSS bool
	for first := true; ; first = false {
		code, body, err := readPacket(c.Conn, first)
		if errors.Is(err, errDirectTLS) {
			if err := c.directTLS(ctx, cfg.TLS); err != nil {
				return nil, err
			}
			continue
		}
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
			if len(body) <= 4 || len(body) > 4+maxKey {
				return nil, errors.New("cancel request without a key")
			}
			return nil, &CancelError{ProcessID: binary.BigEndian.Uint32(body), Secret: body[4:]}
		case code>>16 == 3:
			if err := c.start(code, body, cfg); err != nil {
				return nil, err
			}
			return c, nil
		default:
			return nil, c.refuse(pgerr.Fatal(pgerr.FeatureNotSupported,
				"unsupported frontend protocol: versions 3.0 to 3.2 are spoken here"),
				fmt.Sprintf("first packet has code %d", code))
		}
	}
}

// start reads the startup message's parameters and asks for the token.
func (c *Client) start(code uint32, body []byte, cfg Config) error {
	params, options, err := parameters(body)
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
	door, err := c.door(cfg)
	if err != nil {
		return err
	}
	out := c.negotiateVersion(code, options)
	if door == DoorOAuth {
		return c.askBearer(out, cfg.OAuth)
	}
	return c.askPassword(out)
}

// refuse tells the client and returns the RefusedError. A client that cannot be
// told any more is refused all the same.
func (c *Client) refuse(resp *pgproto3.ErrorResponse, detail string) error {
	c.tell(resp)
	return &RefusedError{Response: resp, Detail: detail, User: c.User, Database: c.Database,
		ApplicationName: c.Parameters["application_name"]}
}

func (c *Client) tell(resp *pgproto3.ErrorResponse) {
	if b, err := resp.Encode(nil); err == nil {
		_, _ = c.Conn.Write(b)
	}
}
