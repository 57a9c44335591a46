package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// cuts reads at most as many bytes at a time as its pattern says, over and over.
type cuts struct {
	io.Reader
	pattern []byte
	i       int
}

func (c *cuts) Read(p []byte) (int, error) {
	if len(c.pattern) > 0 {
		n := int(c.pattern[c.i%len(c.pattern)]) + 1
		c.i++
		p = p[:min(n, len(p))]
	}
	return c.Reader.Read(p)
}

// FuzzReader: the messages read are the stream, byte for byte and in order,
// however it arrives; and where pgproto3 reads a message of a type too, both have
// the same bytes.
func FuzzReader(f *testing.F) {
	stream := wire.AppendBare(wire.AppendParse(wire.AppendQuery(nil, "SELECT 1"), "a", "SELECT 2"), wire.Sync)
	f.Add(stream, []byte{0})
	f.Add(append(stream, 'X', 0, 0, 0, 4), []byte{3, 200, 1})
	f.Add(declare('Q', 3, ""), []byte{})
	f.Add(declare('B', 1<<31, "x"), []byte{255})
	f.Add(slices.Concat(declare('d', 5000, string(make([]byte, 4996))), stream, declare('d', 60000, string(make([]byte, 59996))), stream), []byte{7, 255, 0})
	f.Fuzz(func(t *testing.T, stream, pattern []byte) {
		r := wire.NewReader(&cuts{Reader: bytes.NewReader(stream), pattern: pattern}, allTypes, nothing)
		at := 0
		for {
			m, err := r.Next()
			if err != nil {
				wantEnd(t, err, stream[at:])
				return
			}
			if !bytes.Equal(m.Raw, stream[at:at+len(m.Raw)]) || m.Type != m.Raw[0] || !bytes.Equal(m.Body, m.Raw[5:]) {
				t.Fatalf("at %d: %q is not the stream", at, m.Raw)
			}
			at += len(m.Raw)
		}
	})
}

// wantEnd checks why a stream ended against what is left of it.
func wantEnd(t *testing.T, err error, rest []byte) {
	t.Helper()
	var long *wire.TooLongError
	var n uint32
	if len(rest) >= 5 {
		n = binary.BigEndian.Uint32(rest[1:])
	}
	var ok bool
	switch {
	case len(rest) == 0:
		ok = errors.Is(err, io.EOF)
	case len(rest) < 5:
		ok = errors.Is(err, io.ErrUnexpectedEOF)
	case n < 4:
		ok = errors.Is(err, wire.ErrMalformed)
	case n > limit:
		ok = errors.As(err, &long)
	default:
		ok = errors.Is(err, io.ErrUnexpectedEOF) && int(n)+1 > len(rest)
	}
	if !ok {
		t.Fatalf("ended with %v before %d bytes, length %d", err, len(rest), n)
	}
}

// FuzzScanner: what the scanner hands out is the stream, byte for byte; a type
// that is wanted whole comes whole, and what it finds as messages is what the
// Reader finds.
func FuzzScanner(f *testing.F) {
	stream := slices.Concat(declare('T', 10, "abcdef"), declare('D', 4, ""), declare('E', 8, "SERR"), declare('Z', 5, "I"))
	f.Add(stream, []byte{0}, []byte("EZ"))
	f.Add(stream, []byte{4, 9}, []byte{})
	f.Add(slices.Concat(declare('D', 40000, string(make([]byte, 39996))), declare('E', 50000, string(make([]byte, 49996))), stream), []byte{255, 3}, []byte("E"))
	f.Add(append(stream, 'D', 0, 0, 0, 9, 'x'), []byte{1}, []byte("D"))
	f.Fuzz(func(t *testing.T, stream, pattern, wanted []byte) {
		whole := func(typ byte) bool { return bytes.IndexByte(wanted, typ) >= 0 }
		s := wire.NewScanner(&cuts{Reader: bytes.NewReader(stream), pattern: pattern}, whole, nothing)
		at, boundary := 0, 0
		for {
			if s.AtBoundary() != (at == boundary) {
				t.Fatalf("at %d of a message that ends at %d: boundary %v", at, boundary, s.AtBoundary())
			}
			it, err := s.Next()
			if err != nil {
				if errors.Is(err, io.EOF) && at != len(stream) {
					t.Fatalf("the stream ended with %d of %d bytes handed out", at, len(stream))
				}
				return
			}
			if len(it.Bytes) == 0 || !bytes.Equal(it.Bytes, stream[at:at+len(it.Bytes)]) {
				t.Fatalf("at %d: %q is not the stream", at, it.Bytes)
			}
			if (it.Type != 0) != (at == boundary) {
				t.Fatalf("at %d: type %q, and the last message ends at %d", at, it.Type, boundary)
			}
			if it.Type != 0 {
				boundary = at + 1 + int(binary.BigEndian.Uint32(stream[at+1:]))
				if it.Type != stream[at] || whole(it.Type) != (it.Body != nil) {
					t.Fatalf("at %d: type %q, body %v", at, it.Type, it.Body)
				}
			}
			at += len(it.Bytes)
			if it.Body != nil && (at != boundary || !bytes.Equal(it.Body, it.Bytes[5:])) {
				t.Fatalf("at %d: a part was handed out whole", at)
			}
		}
	})
}

// decodes runs a decoder of pgproto3, which panics at some bodies that no server
// accepts either.
func decodes(m pgproto3.FrontendMessage, body []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic")
		}
	}()
	return m.Decode(body)
}

// FuzzDecoders: fields that are accepted make the same bytes again, and pgproto3
// reads the same fields from them.
func FuzzDecoders(f *testing.F) {
	for _, m := range []pgproto3.FrontendMessage{
		&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Parse{Name: "a", Query: "SELECT $1", ParameterOIDs: []uint32{23, 0}},
		&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "a", Parameters: [][]byte{[]byte("1"), nil}, ParameterFormatCodes: []int16{0, 1}},
		&pgproto3.Describe{ObjectType: 'S', Name: "a"}, &pgproto3.Close{ObjectType: 'P', Name: ""}, &pgproto3.Execute{Portal: "p", MaxRows: 7},
		&pgproto3.FunctionCall{Function: 1299, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{[]byte("x")}},
	} {
		b, err := m.Encode(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[5:])
	}
	f.Add([]byte("a\x00b\x00\x80\x00"))
	f.Add([]byte("a\x00b\x00\xff\xff"))
	f.Add([]byte("SELECT\x001\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		if text, err := wire.DecodeQuery(body); err == nil {
			var m pgproto3.Query
			if derr := decodes(&m, body); derr != nil || m.String != string(text) || !bytes.Equal(append(bytes.Clone(text), 0), body) {
				t.Errorf("Query %q: %q, %v", text, m.String, derr)
			}
		}
		if p, err := wire.DecodeParse(body); err == nil {
			var m pgproto3.Parse
			derr := decodes(&m, body)
			again, eerr := (&pgproto3.Parse{Name: string(p.Name), Query: string(p.Text), ParameterOIDs: p.Parameters}).Encode(nil)
			if derr != nil || eerr != nil || m.Name != string(p.Name) || m.Query != string(p.Text) || !slices.Equal(m.ParameterOIDs, p.Parameters) || !bytes.Equal(again[5:], body) {
				t.Errorf("Parse %+v: %+v, %v", p, m, derr)
			}
		}
		if portal, statement, err := wire.DecodeBind(body); err == nil {
			// What follows the names is the server's to judge; pgproto3 may reject it.
			var m pgproto3.Bind
			if decodes(&m, body) == nil && (m.DestinationPortal != string(portal) || m.PreparedStatement != string(statement)) {
				t.Errorf("Bind %q %q: %+v", portal, statement, m)
			}
			if !bytes.HasPrefix(body, slices.Concat(portal, []byte{0}, statement, []byte{0})) {
				t.Errorf("Bind %q %q is not the body's beginning", portal, statement)
			}
		}
		if kind, name, err := wire.DecodeTarget(body); err == nil {
			var d pgproto3.Describe
			var c pgproto3.Close
			if derr, cerr := decodes(&d, body), decodes(&c, body); derr != nil || cerr != nil || d.ObjectType != kind || c.ObjectType != kind ||
				d.Name != string(name) || c.Name != string(name) || !bytes.Equal(slices.Concat([]byte{kind}, name, []byte{0}), body) {
				t.Errorf("Describe or Close %q %q: %+v %+v", kind, name, d, c)
			}
		}
		if portal, rows, err := wire.DecodeExecute(body); err == nil {
			var m pgproto3.Execute
			if derr := decodes(&m, body); derr != nil || m.Portal != string(portal) || m.MaxRows != rows ||
				!bytes.Equal(binary.BigEndian.AppendUint32(append(bytes.Clone(portal), 0), rows), body) {
				t.Errorf("Execute %q %d: %+v, %v", portal, rows, m, derr)
			}
		}
		if oid, args, err := wire.DecodeFunctionCall(body); err == nil {
			var m pgproto3.FunctionCall
			if decodes(&m, body) == nil && (m.Function != oid || len(m.Arguments) != args) {
				t.Errorf("FunctionCall %d %d: %+v", oid, args, m)
			}
		}
	})
}
