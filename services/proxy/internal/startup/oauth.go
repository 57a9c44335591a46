package startup

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
)

// OAuth is the OAUTHBEARER door of a listener: what a client is told that comes
// without a token, so that it can get one (RFC 7628, 3.2.2; PostgreSQL 18, "OAuth
// Authorization/Authentication").
type OAuth struct {
	// Discovery is the URI of the issuer's discovery document.
	Discovery string
	// Scope is what the client should ask for, separated by spaces; may be empty.
	Scope string
}

// Door is a way to show a token.
type Door string

// The doors. A server has to choose before it knows what the client can do.
const (
	// DoorPassword takes the token as the password, which every driver can send.
	DoorPassword Door = "password"
	// DoorOAuth speaks SASL OAUTHBEARER: libpq and psql from 18 on, pgx from 5.9 on.
	DoorOAuth Door = "oauth"
)

// DiscoveryError is returned by Negotiate for a client of the OAUTHBEARER door that
// came without a token and has been told where to get one: it comes again.
type DiscoveryError struct{}

func (*DiscoveryError) Error() string { return "the client asked where to get a token" }

// mechanism is the one SASL mechanism of the door (RFC 7628).
const mechanism = "OAUTHBEARER"

// door chooses the door: by the client's own word, by the name it asked for in TLS, else
// the listener's.
func (c *Client) door(cfg Config) (Door, error) {
	word, err := cfg.word(c.Parameters)
	if err != nil {
		return "", c.refuse(pgerr.Fatal(pgerr.InvalidAuthorization, err.Error()), err.Error())
	}
	chosen := Door(word)
	switch {
	case chosen == "" && slices.ContainsFunc(cfg.OAuthServerNames, func(name string) bool { return strings.EqualFold(name, c.ServerName) }):
		chosen = DoorOAuth
	case chosen == "":
		chosen = cfg.Door
	}
	switch {
	case chosen == "" || chosen == DoorPassword:
		return DoorPassword, nil
	case chosen != DoorOAuth:
		wrong := pgerr.Fatal(pgerr.InvalidAuthorization, "the parameter scopewire.auth is password or oauth")
		return "", c.refuse(wrong, "unknown door")
	case cfg.OAuth == nil:
		none := pgerr.Fatal(pgerr.InvalidAuthorization, "this listener has no OAUTHBEARER door")
		none.Hint = "Send the access token as the password, without scopewire.auth=oauth."
		return "", c.refuse(none, "no OAUTHBEARER door")
	}
	return DoorOAuth, nil
}

// askBearer takes the token by OAUTHBEARER. out is sent before.
func (c *Client) askBearer(out []byte, door *OAuth) error {
	out, err := (&pgproto3.AuthenticationSASL{AuthMechanisms: []string{mechanism}}).Encode(out)
	if err != nil {
		return fmt.Errorf("encode SASL request: %w", err)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return fmt.Errorf("ask for a token: %w", err)
	}
	body, err := c.message()
	if err != nil {
		return err
	}
	chosen, data, given, err := initialResponse(body)
	if err != nil || chosen != mechanism {
		// A client that does not know the mechanism mostly closes without a word; one
		// that sends its password is told what to set.
		wrong := pgerr.Fatal(pgerr.InvalidAuthorization, "this door takes OAUTHBEARER")
		wrong.Hint = "Use a client that speaks it (libpq 18 with oauth_issuer and oauth_client_id), or send the access token as the password with options='-c scopewire.auth=password'."
		return c.refuse(wrong, "another mechanism than OAUTHBEARER")
	}
	if !given {
		// The client waits for an empty challenge first (RFC 4422, 5.1).
		if err := c.challenge(nil); err != nil {
			return err
		}
		if data, err = c.message(); err != nil {
			return err
		}
	}
	token, err := bearer(data)
	if err != nil {
		return c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "malformed OAUTHBEARER message"), "malformed OAUTHBEARER message: "+err.Error())
	}
	c.oauth = door
	if len(token) == 0 {
		if err := c.Challenge(); err != nil {
			return err
		}
		// What it ends with is what a server says (auth-oauth.c); clients show it only
		// when they do not come again.
		c.tell(pgerr.Fatal(pgerr.InvalidAuthorization, "an access token is needed"))
		return &DiscoveryError{}
	}
	c.Token = secret.New(token)
	return nil
}

// Challenge tells a client of the OAUTHBEARER door that its token was refused, or that
// it showed none, and where to get one, and waits for its answer. At other doors it does nothing.
// The caller sends the FATAL that ends the exchange.
func (c *Client) Challenge() error {
	if c.oauth == nil {
		return nil
	}
	status, err := json.Marshal(struct {
		Status    string `json:"status"`
		Discovery string `json:"openid-configuration"`
		Scope     string `json:"scope"`
	}{"invalid_token", c.oauth.Discovery, c.oauth.Scope})
	if err != nil {
		return fmt.Errorf("encode OAUTHBEARER status: %w", err)
	}
	if err := c.challenge(status); err != nil {
		return err
	}
	body, err := c.message()
	if err != nil {
		return err
	}
	if string(body) != "\x01" {
		return c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "malformed OAUTHBEARER message"), "no answer to the OAUTHBEARER status")
	}
	return nil
}

func (c *Client) challenge(data []byte) error {
	out, err := (&pgproto3.AuthenticationSASLContinue{Data: data}).Encode(nil)
	if err != nil {
		return fmt.Errorf("encode SASL challenge: %w", err)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return fmt.Errorf("send SASL challenge: %w", err)
	}
	return nil
}

// initialResponse reads a SASLInitialResponse: a mechanism, and the first message or
// the length -1 for none.
func initialResponse(body []byte) (mechanism string, data []byte, given bool, err error) {
	name, rest, ok := strings.Cut(string(body), "\x00")
	if !ok || len(rest) < 4 {
		return "", nil, false, errors.New("no SASLInitialResponse")
	}
	n := binary.BigEndian.Uint32([]byte(rest[:4]))
	switch {
	case n == 1<<32-1 && len(rest) == 4:
		return name, nil, false, nil
	case int64(n) != int64(len(rest)-4):
		return "", nil, false, errors.New("its length is not that of its data")
	default:
		return name, []byte(rest[4:]), true, nil
	}
}

// bearer reads the client's first message (RFC 7628, 3.1): a GS2 header without
// channel binding and without an authorization identity, then pairs, of which `auth`
// holds the token. No token is an empty one. It is as strict as PostgreSQL's server
// (auth-oauth.c, oauth_exchange and parse_kvpairs_for_auth).
func bearer(data []byte) ([]byte, error) {
	header, pairs, ok := strings.Cut(string(data), "\x01")
	switch {
	case !ok:
		return nil, errors.New("no end of the header")
	case strings.HasPrefix(header, "p"):
		return nil, errors.New("channel binding, which the mechanism does not have")
	case header != "n,," && header != "y,,":
		return nil, errors.New("a header other than n,,")
	}
	auth, found := "", false
	for pairs != "\x01" {
		pair, rest, ok := strings.Cut(pairs, "\x01")
		key, value, sep := strings.Cut(pair, "=")
		if !ok || !sep || !letters(key) || !printable(value) {
			return nil, errors.New("malformed pairs")
		}
		if key == "auth" {
			if found {
				return nil, errors.New("two values of auth")
			}
			auth, found = value, true
		}
		pairs = rest
	}
	if !found {
		return nil, errors.New("no value of auth")
	}
	if auth == "" {
		return nil, nil
	}
	const scheme = "bearer "
	if len(auth) < len(scheme) || !strings.EqualFold(auth[:len(scheme)], scheme) {
		return nil, errors.New("a scheme other than Bearer")
	}
	token := strings.TrimLeft(auth[len(scheme):], " ")
	if !b64token(token) {
		return nil, errors.New("no token behind Bearer")
	}
	return []byte(token), nil
}

func letters(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) < 0
}

// printable are the values of RFC 7628: VCHAR, SP, HTAB, CR and LF.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return (r < ' ' || r > '~') && r != '\t' && r != '\r' && r != '\n' }) < 0
}

// b64token is the form of a bearer token (RFC 6750, 2.1).
func b64token(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	}) < 0
}
