// Package chain is the format of the audit store's segments: how a record is
// framed, checked and chained to the one before. It is pure: bytes in, bytes
// out.
//
// A segment is a header and frames, all integers big-endian:
//
//	header  magic "SCWAUD1\n" | segment number u64 | first sequence u64 |
//	        created, µs since 1970, i64 | length of the segment before u64 |
//	        last hash of the segment before [32] | CRC32C u32
//	frame   length of the body u32 | CRC32C u32 of length, body, hash |
//	        body | hash [32]
//	body    kind u8 | store sequence u64 | stored, µs since 1970, i64 |
//	        event id [16] | spool epoch [16] | first u64 | last u64 |
//	        length of the instance u16 | instance | payload
//
// The hash of a frame is SHA-256(1 || hash before || body). The hash before the
// first frame of a segment is SHA-256(0 || header), and the header holds the
// last hash and the length of the segment before it, so that one chain runs
// through all segments and no byte is outside of it. The CRC finds accidents
// without the chain; the chain finds what the CRC cannot: a record changed with
// its CRC, left out, doubled or moved.
package chain

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

// Sizes in bytes.
const (
	// HeaderSize is the size of a segment's header.
	HeaderSize = 8 + 8 + 8 + 8 + 8 + sha256.Size + 4
	// FrameOverhead is what a frame adds to its body.
	FrameOverhead = 4 + 4 + sha256.Size
	bodyFixed     = 1 + 8 + 8 + 16 + 16 + 8 + 8 + 2
	// MaxInstance bounds the instance's name: a DNS name's length.
	MaxInstance = 253
	// MaxPayload bounds a payload: the contract's limit of a record is 1 MiB.
	MaxPayload = 1 << 20
	maxBody    = bodyFixed + MaxInstance + MaxPayload
)

const magic = "SCWAUD1\n"

// Hash is a link of the chain.
type Hash [sha256.Size]byte

// Header opens a segment.
type Header struct {
	// Segment is the segment's number, from 1, growing, not always by one.
	Segment uint64
	// First is the store sequence of the first record to come.
	First uint64
	// CreatedMicros is when it was made, UTC.
	CreatedMicros int64
	// PrevLength is where the segment before ends, in bytes. What stands behind
	// that point was never acknowledged.
	PrevLength uint64
	// PrevHash is the last hash of the segment before; zero for the first.
	PrevHash Hash
}

// The errors of parsing. A frame is short when more bytes could complete it.
var (
	ErrHeader  = errors.New("the segment's header is damaged")
	ErrShort   = errors.New("the record is cut off")
	ErrDamaged = errors.New("the record is damaged")
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Append appends the encoded header to dst.
func (h Header) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint64(dst, h.Segment)
	dst = binary.BigEndian.AppendUint64(dst, h.First)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.CreatedMicros)) //nolint:gosec // G115: two's complement, read back the same way.
	dst = binary.BigEndian.AppendUint64(dst, h.PrevLength)
	dst = append(dst, h.PrevHash[:]...)
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

// Seed is the hash before the segment's first frame.
func (h Header) Seed() Hash {
	return sha256.Sum256(append([]byte{0}, h.Append(nil)...))
}

// ParseHeader reads the header at the start of a segment.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize || string(b[:8]) != magic ||
		checksum(b[:HeaderSize-4]) != binary.BigEndian.Uint32(b[HeaderSize-4:]) {
		return Header{}, ErrHeader
	}
	h := Header{
		Segment:       binary.BigEndian.Uint64(b[8:]),
		First:         binary.BigEndian.Uint64(b[16:]),
		CreatedMicros: int64(binary.BigEndian.Uint64(b[24:])), //nolint:gosec // G115: as written by Append.
		PrevLength:    binary.BigEndian.Uint64(b[32:]),
	}
	copy(h.PrevHash[:], b[40:])
	return h, nil
}

// Kind is what a record holds.
type Kind uint8

// The kinds. Any other is damage.
const (
	// Event is an event as a proxy's spool held it.
	Event Kind = 1
	// Damaged is a record of a spool that is no event, kept as it is.
	Damaged Kind = 2
	// Gap is an event of the store's own: sequences of a spool are missing or
	// damaged.
	Gap Kind = 3
)

// Record is one record of the store.
type Record struct {
	Kind Kind
	// Sequence is the record's number in the store, from 1.
	Sequence uint64
	// StoredMicros is when it was stored, UTC.
	StoredMicros int64
	// EventID is the event's id; zero where Kind is Damaged.
	EventID [16]byte
	// Instance and Epoch name the spool it came from, or that a gap is in.
	Instance string
	Epoch    [16]byte
	// First and Last are the spool's sequences it stands for: one, but for a gap.
	First, Last uint64
	// Payload is the serialised event, or what stood in its place.
	Payload []byte
}

// Frame is a record in its frame. Payload points into the bytes it was parsed
// from.
type Frame struct {
	Record
	// Hash is the hash the frame carries.
	Hash Hash
	body []byte
}

// Follows reports whether the frame's hash is that of its body after prev.
func (f *Frame) Follows(prev Hash) bool { return link(prev, f.body) == f.Hash }

func link(prev Hash, body []byte) (out Hash) {
	h := sha256.New()
	h.Write([]byte{1})
	h.Write(prev[:])
	h.Write(body)
	h.Sum(out[:0])
	return out
}

// FrameSize is the length of the record's frame, in bytes.
func FrameSize(r *Record) int {
	return FrameOverhead + bodyFixed + len(r.Instance) + len(r.Payload)
}

// AppendFrame appends the record's frame to dst, FrameSize more bytes, and
// returns its hash. It panics
// on a record over the limits: the caller has checked them.
func AppendFrame(dst []byte, prev Hash, r *Record) ([]byte, Hash) {
	if len(r.Instance) > MaxInstance || len(r.Payload) > MaxPayload {
		panic("audit record over its limits")
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = append(dst, byte(r.Kind))
	dst = binary.BigEndian.AppendUint64(dst, r.Sequence)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.StoredMicros)) //nolint:gosec // G115: two's complement, read back the same way.
	dst = append(dst, r.EventID[:]...)
	dst = append(dst, r.Epoch[:]...)
	dst = binary.BigEndian.AppendUint64(dst, r.First)
	dst = binary.BigEndian.AppendUint64(dst, r.Last)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Instance))) //nolint:gosec // G115: at most MaxInstance.
	dst = append(dst, r.Instance...)
	dst = append(dst, r.Payload...)
	body := dst[start+8:]
	hash := link(prev, body)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(body))) //nolint:gosec // G115: at most maxBody.
	dst = append(dst, hash[:]...)
	binary.BigEndian.PutUint32(dst[start+4:], frameChecksum(dst[start:]))
	return dst, hash
}

// frameChecksum covers a whole frame but the checksum itself.
func frameChecksum(frame []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(frame[:4], table), table, frame[8:])
}

// FrameLength is the length of the frame that starts with the 4 bytes b.
func FrameLength(b []byte) (int, error) {
	n := binary.BigEndian.Uint32(b)
	if n < bodyFixed || n > maxBody {
		return 0, ErrDamaged
	}
	return int(n) + FrameOverhead, nil
}

// ParseFrame reads the frame at the start of b and returns its length. It
// checks form and CRC; the chain is for Follows.
func ParseFrame(b []byte) (f Frame, n int, err error) {
	if len(b) < 4 {
		return Frame{}, 0, ErrShort
	}
	if n, err = FrameLength(b); err != nil {
		return Frame{}, 0, err
	}
	if len(b) < n {
		return Frame{}, 0, ErrShort
	}
	b = b[:n:n]
	if frameChecksum(b) != binary.BigEndian.Uint32(b[4:]) {
		return Frame{}, 0, ErrDamaged
	}
	body := b[8 : n-sha256.Size]
	instance := int(binary.BigEndian.Uint16(body[bodyFixed-2:]))
	payload := len(body) - bodyFixed - instance
	if instance > MaxInstance || payload < 0 || payload > MaxPayload {
		return Frame{}, 0, ErrDamaged
	}
	f.body = body
	f.Kind = Kind(body[0])
	f.Sequence = binary.BigEndian.Uint64(body[1:])
	f.StoredMicros = int64(binary.BigEndian.Uint64(body[9:])) //nolint:gosec // G115: as written by AppendFrame.
	copy(f.EventID[:], body[17:])
	copy(f.Epoch[:], body[33:])
	f.First = binary.BigEndian.Uint64(body[49:])
	f.Last = binary.BigEndian.Uint64(body[57:])
	f.Instance = string(body[bodyFixed : bodyFixed+instance])
	f.Payload = body[bodyFixed+instance:]
	copy(f.Hash[:], b[n-sha256.Size:])
	switch f.Kind {
	case Event, Damaged, Gap:
	default:
		return Frame{}, 0, ErrDamaged
	}
	if f.Sequence == 0 || f.Sequence == math.MaxUint64 || f.First == 0 || f.First > f.Last || f.Kind != Gap && f.First != f.Last {
		return Frame{}, 0, ErrDamaged
	}
	return f, n, nil
}
