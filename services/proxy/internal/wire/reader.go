package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Message is one frontend message: Raw is as much of it as is at hand, all of it
// unless More says otherwise, and Body what follows the header. Both belong to the
// Reader and hold until its next Next or Part.
type Message struct {
	Type byte
	Raw  []byte
	Body []byte
	// More is how many bytes of the message are still to come: Part gives them.
	More int
}

// Reader reads frontend messages from a connection after startup. Not safe for
// concurrent use.
type Reader struct {
	// Held is the longest Query that is held, in bytes, and the longest Parse of which the
	// first part has the name: what is longer comes in parts. 0 holds all that the limit lets
	// through. It is set before the first Next.
	Held int

	src    io.Reader
	limit  func(typ byte) uint32
	before func() error
	buf    []byte
	r, w   int
	// last is what the last read brought, more what is left of a message that is
	// handed out in parts.
	last, more int
}

// NewReader returns a reader. limit gives the most bytes a message of a type may
// have after its type byte, 0 for a type that is not known. before is called
// ahead of every read, which may block: what the peer may be waiting for has to
// be sent by then. Its error is Next's.
func NewReader(src io.Reader, limit func(typ byte) uint32, before func() error) *Reader {
	return &Reader{src: src, limit: limit, before: before, buf: make([]byte, firstBuffer)}
}

// inParts lists the types of which more than growStep is not held: what is judged of
// a Bind comes first, of CopyData nothing is.
func inParts(typ byte) bool { return typ == CopyData || typ == Bind }

// Next reads one message, or the first part of it; what is left of the one before is
// skipped. A length is checked against its limit before anything is allocated for it;
// io.EOF is returned only between messages. After an error the stream is of no use.
func (r *Reader) Next() (Message, error) {
	for r.more > 0 {
		if _, err := r.Part(); err != nil {
			return Message{}, err
		}
	}
	if err := r.fill(HeaderLen); err != nil {
		if errors.Is(err, io.EOF) && r.w > r.r {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, err
	}
	typ := r.buf[r.r]
	n := binary.BigEndian.Uint32(r.buf[r.r+1:])
	if n < 4 {
		return Message{}, fmt.Errorf("%w: length %d of message %q", ErrMalformed, n, typ)
	}
	limit := r.limit(typ)
	if limit == 0 {
		return Message{}, fmt.Errorf("%w: unknown type %q", ErrMalformed, typ)
	}
	if n > limit {
		return Message{Type: typ}, &TooLongError{Type: typ, Len: n, Limit: limit}
	}
	total := int(n) + 1
	have := total
	over := r.Held > 0 && total > r.Held
	if inParts(typ) || over && (typ == Query || typ == Parse) {
		have = min(total, HeaderLen+growStep)
	}
	if err := r.fill(have); err != nil {
		return Message{}, cutOff(err)
	}
	if over && typ == Parse && bytes.IndexByte(r.buf[r.r+HeaderLen:r.r+have], 0) < 0 {
		// It may be the name that is long.
		have = total
		if err := r.fill(have); err != nil {
			return Message{}, cutOff(err)
		}
	}
	raw := r.buf[r.r : r.r+have : r.r+have]
	r.r += have
	r.more = total - have
	return Message{Type: typ, Raw: raw, Body: raw[HeaderLen:], More: r.more}, nil
}

// Buffered is how many bytes of further messages are at hand.
func (r *Reader) Buffered() int { return r.w - r.r }

// Part returns the next bytes of the message at hand, none at its end. They belong to
// the Reader and hold until its next Next or Part.
func (r *Reader) Part() ([]byte, error) {
	if r.more == 0 {
		return nil, nil
	}
	if err := r.fill(1); err != nil {
		return nil, cutOff(err)
	}
	n := min(r.more, r.w-r.r)
	part := r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	r.more -= n
	return part, nil
}

// cutOff is the error of a stream that ends within a message.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill makes at least n bytes available from r.r on.
func (r *Reader) fill(n int) error {
	if r.r == r.w {
		r.r, r.w = 0, 0
		r.resize()
	}
	for r.w-r.r < n {
		if r.r > 0 && (r.r+n > len(r.buf) || r.w == len(r.buf)) {
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		}
		if r.w == len(r.buf) {
			grown := make([]byte, min(n, len(r.buf)+max(growStep, len(r.buf)/2)))
			copy(grown, r.buf[:r.w])
			r.buf = grown
		}
		if err := r.before(); err != nil {
			return err
		}
		m, err := r.src.Read(r.buf[r.w:])
		r.w, r.last = r.w+m, m
		if m > 0 {
			continue
		}
		if err != nil {
			return err
		}
		return io.ErrNoProgress
	}
	return nil
}

// resize fits the empty buffer to what comes: a stream of data is read in large
// pieces, and idle sessions keep little.
func (r *Reader) resize() {
	switch {
	case r.last == len(r.buf) && len(r.buf) < growStep:
		r.buf = make([]byte, min(4*len(r.buf), growStep))
	case len(r.buf) > growStep+HeaderLen, r.last <= firstBuffer && len(r.buf) > firstBuffer:
		r.buf = make([]byte, firstBuffer)
	}
}
