// Package wire reads and writes the framing of PostgreSQL's protocol 3: message
// types, lengths and the few fields a decision needs.
//
// It takes apart as little as possible. A frontend message is read whole (its
// length checked before a byte is allocated, memory growing only as bytes
// arrive), but for data that nobody looks into: what is long of that goes through in
// parts. It is forwarded as the very bytes that were judged; decoders return
// slices into it and accept nothing but the one encoding the server accepts, so
// that what was judged and what the server reads cannot differ. Bytes from the
// server are never decoded: Scanner hops over headers. The protocol is described
// in PostgreSQL's documentation, chapter "Frontend/Backend Protocol".
package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Frontend message types ("Message Formats").
const (
	Query        = 'Q'
	Parse        = 'P'
	Bind         = 'B'
	Describe     = 'D'
	Execute      = 'E'
	Close        = 'C'
	Flush        = 'H'
	Sync         = 'S'
	FunctionCall = 'F'
	CopyData     = 'd'
	CopyDone     = 'c'
	CopyFail     = 'f'
	Terminate    = 'X'
	Password     = 'p'
)

// Backend message types.
const (
	ParseComplete        = '1'
	BindComplete         = '2'
	CloseComplete        = '3'
	NotificationResponse = 'A'
	CommandComplete      = 'C'
	DataRow              = 'D'
	ErrorResponse        = 'E'
	CopyInResponse       = 'G'
	CopyOutResponse      = 'H'
	EmptyQueryResponse   = 'I'
	BackendKeyData       = 'K'
	NoticeResponse       = 'N'
	Authentication       = 'R'
	ParameterStatus      = 'S'
	RowDescription       = 'T'
	FunctionCallResponse = 'V'
	CopyBothResponse     = 'W'
	ReadyForQuery        = 'Z'
	NoData               = 'n'
	PortalSuspended      = 's'
	ParameterDescription = 't'
)

// Transaction states of ReadyForQuery.
const (
	StatusIdle   = 'I'
	StatusActive = 'T'
	StatusFailed = 'E'
)

const (
	// HeaderLen is a type byte and a length that counts itself.
	HeaderLen = 5
	// MaxBackendMessage is PostgreSQL's own limit for one message (1 GiB - 1,
	// MaxAllocSize in utils/memutils.h, plus the length word).
	MaxBackendMessage = 1<<30 + 4
	// MaxCopyData is PostgreSQL's limit for the length of a CopyData or Bind message
	// (PQ_LARGE_MESSAGE_LIMIT in libpq/libpq.h), MaxCopyFail that for the end of a
	// COPY (PQ_SMALL_MESSAGE_LIMIT).
	MaxCopyData = 0x3fffffff - 1
	MaxCopyFail = 10000
	// firstBuffer is what a reader begins with, and comes back to.
	firstBuffer = 4 << 10
	// growStep is how far a message's buffer grows ahead of the bytes received.
	growStep = 64 << 10
)

// ErrMalformed is a message that is not of the form the protocol gives it.
var ErrMalformed = errors.New("malformed message")

// TooLongError is a message over its limit.
type TooLongError struct {
	Type  byte
	Len   uint32
	Limit uint32
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("message %q of %d bytes is over the limit of %d", e.Type, e.Len, e.Limit)
}

// cstring splits a NUL-terminated string from b.
func cstring(b []byte) (s, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}

// DecodeQuery returns the text of a Query body: everything before the one NUL,
// which must end the body.
func DecodeQuery(body []byte) ([]byte, error) {
	text, rest, ok := cstring(body)
	if !ok || len(rest) != 0 {
		return nil, fmt.Errorf("%w: Query", ErrMalformed)
	}
	return text, nil
}

// ParseFields are the fields of a Parse message.
type ParseFields struct {
	Name       []byte
	Text       []byte
	Parameters []uint32
}

// DecodeParse decodes a Parse body.
func DecodeParse(body []byte) (ParseFields, error) {
	bad := fmt.Errorf("%w: Parse", ErrMalformed)
	var f ParseFields
	var ok bool
	if f.Name, body, ok = cstring(body); !ok {
		return f, bad
	}
	if f.Text, body, ok = cstring(body); !ok || len(body) < 2 {
		return f, bad
	}
	// The documentation calls the count an Int16; the server reads it without a sign
	// (pq_getmsgint, pqformat.c), and takes up to 65535 types.
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if len(body) != 4*n {
		return f, bad
	}
	if n > 0 {
		f.Parameters = make([]uint32, 0, n)
	}
	for i := range n {
		f.Parameters = append(f.Parameters, binary.BigEndian.Uint32(body[4*i:]))
	}
	return f, nil
}

// DecodeBind returns the portal and the statement a Bind names. What follows
// them is the server's to judge.
func DecodeBind(body []byte) (portal, statement []byte, err error) {
	portal, rest, ok := cstring(body)
	if !ok {
		return nil, nil, fmt.Errorf("%w: Bind", ErrMalformed)
	}
	if statement, _, ok = cstring(rest); !ok {
		return nil, nil, fmt.Errorf("%w: Bind", ErrMalformed)
	}
	return portal, statement, nil
}

// DecodeTarget decodes a Describe or Close body: 'S' for a statement or 'P' for
// a portal, and its name.
func DecodeTarget(body []byte) (kind byte, name []byte, err error) {
	if len(body) < 2 || (body[0] != 'S' && body[0] != 'P') {
		return 0, nil, fmt.Errorf("%w: Describe or Close", ErrMalformed)
	}
	name, rest, ok := cstring(body[1:])
	if !ok || len(rest) != 0 {
		return 0, nil, fmt.Errorf("%w: Describe or Close", ErrMalformed)
	}
	return body[0], name, nil
}

// DecodeExecute returns the portal an Execute names and its row limit.
func DecodeExecute(body []byte) (portal []byte, rows uint32, err error) {
	portal, rest, ok := cstring(body)
	if !ok || len(rest) != 4 {
		return nil, 0, fmt.Errorf("%w: Execute", ErrMalformed)
	}
	return portal, binary.BigEndian.Uint32(rest), nil
}

// DecodeFunctionCall returns the function's OID and argument count of a
// FunctionCall body, as far as they are there.
func DecodeFunctionCall(body []byte) (oid uint32, args int, err error) {
	if len(body) < 6 {
		return 0, 0, fmt.Errorf("%w: FunctionCall", ErrMalformed)
	}
	oid = binary.BigEndian.Uint32(body)
	formats := int(binary.BigEndian.Uint16(body[4:]))
	if len(body) < 6+2*formats+2 {
		return 0, 0, fmt.Errorf("%w: FunctionCall", ErrMalformed)
	}
	return oid, int(binary.BigEndian.Uint16(body[6+2*formats:])), nil
}

// AppendQuery appends a Query message.
func AppendQuery(dst []byte, text string) []byte {
	at := len(dst)
	dst = append(dst, Query, 0, 0, 0, 0)
	dst = append(append(dst, text...), 0)
	return finish(dst, at)
}

// AppendParse appends a Parse message without parameter types.
func AppendParse(dst []byte, name, text string) []byte {
	at := len(dst)
	dst = append(dst, Parse, 0, 0, 0, 0)
	dst = append(append(dst, name...), 0)
	dst = append(append(dst, text...), 0)
	dst = append(dst, 0, 0)
	return finish(dst, at)
}

// AppendBind appends a Bind message without parameters, with results as text.
func AppendBind(dst []byte, portal, statement string) []byte {
	at := len(dst)
	dst = append(dst, Bind, 0, 0, 0, 0)
	dst = append(append(dst, portal...), 0)
	dst = append(append(dst, statement...), 0)
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	return finish(dst, at)
}

// AppendExecute appends an Execute message for all rows of a portal.
func AppendExecute(dst []byte, portal string) []byte {
	at := len(dst)
	dst = append(dst, Execute, 0, 0, 0, 0)
	dst = append(append(dst, portal...), 0)
	dst = append(dst, 0, 0, 0, 0)
	return finish(dst, at)
}

// AppendClose appends a Close message; kind is 'S' or 'P'.
func AppendClose(dst []byte, kind byte, name string) []byte {
	at := len(dst)
	dst = append(dst, Close, 0, 0, 0, 0, kind)
	dst = append(append(dst, name...), 0)
	return finish(dst, at)
}

// AppendCopyFail appends a CopyFail message.
func AppendCopyFail(dst []byte, text string) []byte {
	at := len(dst)
	dst = append(dst, CopyFail, 0, 0, 0, 0)
	dst = append(append(dst, text...), 0)
	return finish(dst, at)
}

// AppendBare appends a message without a body.
func AppendBare(dst []byte, typ byte) []byte {
	return append(dst, typ, 0, 0, 0, 4)
}

// finish writes the length of the message that begins at at. Messages built
// here are short; one that is not is a bug.
func finish(dst []byte, at int) []byte {
	n := len(dst) - at - 1
	if n > 1<<24 {
		panic("wire: a message built by the proxy is over 16 MiB")
	}
	binary.BigEndian.PutUint32(dst[at+1:], uint32(n)) //nolint:gosec // G115: bounded above.
	return dst
}
