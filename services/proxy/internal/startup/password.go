package startup

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
)

// maxPassword is PostgreSQL's limit for an authentication message
// (PG_MAX_AUTH_TOKEN_LENGTH).
const maxPassword = 65535

// message reads one authentication message: the client has been asked for it, so
// that no other may come.
func (c *Client) message() ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return nil, fmt.Errorf("read authentication message: %w", err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'p' || n < 4 || n > maxPassword {
		return nil, c.refuse(pgerr.Fatal(pgerr.ProtocolViolation, "expected an authentication message"), "no authentication message")
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(c.Conn, body); err != nil {
		return nil, fmt.Errorf("read authentication message: %w", err)
	}
	return body, nil
}

// askPassword takes the token as a password, in clear text inside TLS. out is sent
// before.
func (c *Client) askPassword(out []byte) error {
	out, err := (&pgproto3.AuthenticationCleartextPassword{}).Encode(out)
	if err != nil {
		return fmt.Errorf("encode password request: %w", err)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return fmt.Errorf("ask for the password: %w", err)
	}
	body, err := c.message()
	if err != nil {
		return err
	}
	if last := len(body) - 1; last < 0 || body[last] != 0 || strings.IndexByte(string(body[:last]), 0) >= 0 {
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
