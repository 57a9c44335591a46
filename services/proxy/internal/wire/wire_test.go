package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

const limit = 1 << 16

func allTypes(byte) uint32 { return limit }

func nothing() error { return nil }

// declare is a header that announces n bytes, and body.
func declare(typ byte, n uint32, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, n), body...)
}

// TestSec_T10_DeclaredLengths: a declared length is held against its bounds before
// anything else happens, for every type.
func TestSec_T10_DeclaredLengths(t *testing.T) {
	for typ := range 256 {
		for _, n := range []uint32{0, 1, 2, 3, 4, 5, limit, limit + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			b := declare(byte(typ), n, "")
			if n >= 4 && n <= limit {
				b = append(b, make([]byte, n-4)...)
			}
			msg, err := wire.NewReader(bytes.NewReader(b), allTypes, nothing).Next()
			var long *wire.TooLongError
			switch {
			case n < 4:
				if !errors.Is(err, wire.ErrMalformed) {
					t.Errorf("type %d, length %d: %v", typ, n, err)
				}
			case n > limit:
				if !errors.As(err, &long) || long.Len != n || long.Limit != limit {
					t.Errorf("type %d, length %d: %v", typ, n, err)
				}
			case err != nil || msg.Type != byte(typ) || len(msg.Body) != int(n)-4 || !bytes.Equal(msg.Raw, b):
				t.Errorf("type %d, length %d: %v", typ, n, err)
			}
			// A backend message of up to PostgreSQL's limit is passed on in parts.
			it, err := wire.NewScanner(bytes.NewReader(b), func(byte) bool { return false }, nothing).Next()
			if ok := typ != 0 && n >= 4 && n <= wire.MaxBackendMessage; ok != (err == nil) || ok && it.Type != byte(typ) {
				t.Errorf("scanner, type %d, length %d: %v", typ, n, err)
			}
		}
	}
	if _, err := wire.NewReader(bytes.NewReader(declare('y', 4, "")), func(byte) uint32 { return 0 }, nothing).Next(); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a type that is not known: %v", err)
	}
}

// Memory follows the bytes that have come, not those that were announced: the
// room that a read is offered shows how much a connection has taken.
func TestSec_T11_MemoryFollowsBytesReceived(t *testing.T) {
	const announced = 16 << 20
	for _, sent := range []int{0, 5, 5000, 100_000, 1 << 20} {
		r := &roomy{Reader: io.MultiReader(bytes.NewReader(declare('Q', announced, "")), bytes.NewReader(make([]byte, sent)))}
		_, err := wire.NewReader(r, func(byte) uint32 { return announced }, nothing).Next()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if most := sent + sent/2 + 72<<10; r.room+sent > most {
			t.Errorf("after %d bytes a read is offered %d more", sent, r.room)
		}
		s := &roomy{Reader: io.MultiReader(bytes.NewReader(declare('E', announced-1, "")), bytes.NewReader(make([]byte, sent)))}
		if _, err := wire.NewScanner(s, func(byte) bool { return true }, nothing).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if most := 2*sent + 64<<10; s.room+sent > most {
			t.Errorf("scanner: after %d bytes a read is offered %d more", sent, s.room)
		}
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			r := wire.NewReader(bytes.NewReader(declare('Q', announced, "x")), func(byte) uint32 { return announced }, nothing)
			if _, err := r.Next(); err == nil {
				b.Fatal("a message that has not come")
			}
		}
	})
	if n := allocated.AllocedBytesPerOp(); n > 64<<10 {
		t.Errorf("%d bytes for a message of which one byte has come", n)
	}
}

// roomy remembers the room of the largest read.
type roomy struct {
	io.Reader
	room int
}

func (r *roomy) Read(p []byte) (int, error) {
	r.room = max(r.room, len(p))
	return r.Reader.Read(p)
}

// A stream that ends between messages is io.EOF; within one it is not.
func TestEndsOfStreams(t *testing.T) {
	whole := append(declare('S', 4, ""), declare('Q', 9, "abcd\x00")...)
	for cut := range len(whole) + 1 {
		between := cut == 0 || cut == 5 || cut == len(whole)
		r := wire.NewReader(iotest.OneByteReader(bytes.NewReader(whole[:cut])), allTypes, nothing)
		s := wire.NewScanner(iotest.OneByteReader(bytes.NewReader(whole[:cut])), func(t byte) bool { return t == 'Q' }, nothing)
		var rerr, serr error
		for rerr == nil {
			_, rerr = r.Next()
		}
		for serr == nil {
			_, serr = s.Next()
		}
		if errors.Is(rerr, io.EOF) != between || errors.Is(serr, io.EOF) != between {
			t.Errorf("cut at %d: reader %v, scanner %v", cut, rerr, serr)
		}
	}
}

// What before returns is Next's error, and no read happens.
func TestBeforeEveryRead(t *testing.T) {
	failed := errors.New("failed")
	fail := func() error { return failed }
	never := iotest.ErrReader(errors.New("was read"))
	if _, err := wire.NewReader(never, allTypes, fail).Next(); !errors.Is(err, failed) {
		t.Error(err)
	}
	if _, err := wire.NewScanner(never, func(byte) bool { return true }, fail).Next(); !errors.Is(err, failed) {
		t.Error(err)
	}
}

// What the proxy builds reads back as what it was told.
func TestBuiltMessages(t *testing.T) {
	for _, text := range []string{"", "x", "a b"} {
		built := wire.AppendBare(wire.AppendParse(wire.AppendQuery([]byte{}, text), "name", text), wire.Sync)
		r := wire.NewReader(bytes.NewReader(built), allTypes, nothing)
		m, err := r.Next()
		if got, derr := wire.DecodeQuery(m.Body); err != nil || derr != nil || string(got) != text {
			t.Errorf("%q, %v, %v", got, err, derr)
		}
		m, err = r.Next()
		if f, derr := wire.DecodeParse(m.Body); err != nil || derr != nil || string(f.Name) != "name" || string(f.Text) != text || f.Parameters != nil {
			t.Errorf("%v, %v, %v", f, err, derr)
		}
		if m, err = r.Next(); err != nil || m.Type != wire.Sync || len(m.Body) != 0 {
			t.Errorf("%v, %v", m, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a message over 16 MiB was built")
		}
	}()
	wire.AppendQuery(nil, string(make([]byte, 1<<24)))
}

func ExampleTooLongError() {
	fmt.Println(&wire.TooLongError{Type: 'Q', Len: 10, Limit: 5})
	// Output: message 'Q' of 10 bytes is over the limit of 5
}
