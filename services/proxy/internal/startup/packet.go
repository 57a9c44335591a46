package startup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Codes of the first packet ("Message Formats": SSLRequest, GSSENCRequest,
// CancelRequest).
const (
	codeSSL    = 80877103
	codeGSSENC = 80877104
	codeCancel = 80877102
)

// maxStartupPacket is PostgreSQL's MAX_STARTUP_PACKET_LENGTH.
const maxStartupPacket = 10000

type packetError struct{ msg string }

func (e *packetError) Error() string { return e.msg }

// errDirectTLS is a connection whose first byte begins a TLS handshake.
var errDirectTLS = errors.New("a TLS handshake in place of a startup packet")

// handshakeByte begins a TLS record that carries a handshake (RFC 8446, 5.1). No
// startup packet begins with it: it would be longer than any may be.
const handshakeByte = 0x16

// readPacket reads one packet without a type byte. first says that nothing was read
// from the connection before: then errDirectTLS is returned when its first byte,
// which is all that was read, begins a TLS handshake.
func readPacket(r io.Reader, first bool) (code uint32, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return 0, nil, err
	}
	if first && head[0] == handshakeByte {
		return 0, nil, errDirectTLS
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
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

// optionPrefix begins the name of a protocol option ("Message Formats", StartupMessage).
const optionPrefix = "_pq_."

// parameters decodes name and value strings, ended by an empty name. The names of protocol
// options are returned by themselves, each as often and in the order as it was given: what
// they ask for is not known, and the server lists them so (ProcessStartupPacket).
func parameters(body []byte) (params map[string]string, options []string, err error) {
	// Names of databases and users go into audit events, which are UTF-8: a login
	// that could not be recorded must not be refused in silence.
	if !utf8.Valid(body) {
		return nil, nil, errors.New("startup parameters are not UTF-8")
	}
	params = make(map[string]string)
	seen := map[string]bool{}
	rest := string(body)
	next := func() (string, bool) {
		s, after, ok := strings.Cut(rest, "\x00")
		rest = after
		return s, ok
	}
	for {
		name, ok := next()
		if !ok {
			return nil, nil, errors.New("startup parameters do not end")
		}
		if name == "" {
			if rest != "" {
				return nil, nil, errors.New("bytes behind the startup parameters")
			}
			return params, options, nil
		}
		value, ok := next()
		if !ok {
			return nil, nil, errors.New("startup parameter without a value")
		}
		if strings.HasPrefix(name, optionPrefix) {
			options = append(options, name)
			continue
		}
		// The server compares names of settings without case, and takes the last. Which that
		// is, is not to depend on anything.
		folded := strings.ToLower(name)
		if seen[folded] {
			return nil, nil, errors.New("startup parameter given twice")
		}
		seen[folded], params[name] = true, value
	}
}
