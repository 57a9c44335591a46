package startup

import "github.com/jackc/pgx/v5/pgproto3"

// The protocol versions that are spoken. 3.2 differs from 3.0 in the length of
// cancel keys alone. 3.1 was never given to a protocol; a server takes it as it
// does 3.0 (backend_startup.c, ProcessStartupPacket).
const (
	protocol30 = 3 << 16
	protocol32 = 3<<16 | 2
)

// LongKeys reports whether cancel keys may be longer than four bytes.
func (c *Client) LongKeys() bool { return c.version >= protocol32 }

// negotiateVersion settles on a version and answers a newer one, and protocol options,
// none of which is known, by NegotiateProtocolVersion.
func (c *Client) negotiateVersion(code uint32, options []string) []byte {
	c.version = min(code, protocol32)
	if code <= protocol32 && len(options) == 0 {
		return nil
	}
	m := pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: c.version, UnrecognizedOptions: options}
	out, err := m.Encode(nil)
	if err != nil {
		return nil
	}
	return out
}
