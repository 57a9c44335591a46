package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxControlMessage bounds the backend messages that are taken apart (errors,
// notices, tags, statuses). PostgreSQL's own are a few hundred bytes; a RAISE can
// make them as long as it likes.
const MaxControlMessage = 16 << 20

// Scanner walks the messages of a backend stream. It hands out whole messages
// of the types its caller asked for, and everything else as runs of bytes that
// may be forwarded as they are. Not safe for concurrent use.
type Scanner struct {
	src    io.Reader
	before func() error
	buf    []byte
	r, w   int
	// last is what the last read brought, small how many in a row a smaller buffer would
	// have done for.
	last, small int
	// skip is what is left of a message that is forwarded without being held.
	skip int
	// whole says which types are handed out whole.
	whole func(typ byte) bool
}

// NewScanner returns a scanner over src. whole says which types are wanted
// whole; before is called ahead of every read, as in NewReader.
func NewScanner(src io.Reader, whole func(typ byte) bool, before func() error) *Scanner {
	return &Scanner{src: src, whole: whole, before: before, buf: make([]byte, firstScan)}
}

const (
	// firstScan is what a scanner begins with: enough for short results, and little for
	// sessions that are idle.
	firstScan = 2 << 10
	// scanBuffer is what it reads long ones with.
	scanBuffer = 16 << 10
	// manySmall is after how many short reads in a row it goes back.
	manySmall = 16
)

// Item is a message or a part of one. Type is set where a message begins; Body
// is set for the types that are handed out whole. With Type 0, Bytes go on with a
// message that began earlier. Bytes and Body belong to the Scanner and hold until
// its next Next.
type Item struct {
	Type  byte
	Bytes []byte
	Body  []byte
}

// AtBoundary reports whether everything handed out so far ends with a whole
// message.
func (s *Scanner) AtBoundary() bool { return s.skip == 0 }

// Next returns the next item. io.EOF is returned only between messages; an
// error that is a timeout leaves the scanner usable.
func (s *Scanner) Next() (Item, error) {
	for {
		if s.skip > 0 && s.r < s.w {
			n := min(s.skip, s.w-s.r)
			run := s.buf[s.r : s.r+n]
			s.r += n
			s.skip -= n
			return Item{Bytes: run}, nil
		}
		if s.skip == 0 && s.w-s.r >= HeaderLen {
			it, ok, err := s.message()
			if ok || err != nil {
				return it, err
			}
		}
		if err := s.read(); err != nil {
			if errors.Is(err, io.EOF) && (s.skip > 0 || s.w > s.r) {
				err = io.ErrUnexpectedEOF
			}
			return Item{}, err
		}
	}
}

// message handles the message whose header is at s.r. It reports false when
// more bytes are needed first.
func (s *Scanner) message() (Item, bool, error) {
	typ := s.buf[s.r]
	n := binary.BigEndian.Uint32(s.buf[s.r+1:])
	if typ == 0 || n < 4 || n > MaxBackendMessage {
		return Item{}, false, fmt.Errorf("%w: length %d of backend message %q", ErrMalformed, n, typ)
	}
	total := int(n) + 1
	if !s.whole(typ) {
		have := min(total, s.w-s.r)
		run := s.buf[s.r : s.r+have]
		s.r += have
		s.skip = total - have
		return Item{Type: typ, Bytes: run}, true, nil
	}
	if total > MaxControlMessage {
		return Item{}, false, &TooLongError{Type: typ, Len: n, Limit: MaxControlMessage}
	}
	if s.w-s.r < total {
		s.reserve(total)
		return Item{}, false, nil
	}
	raw := s.buf[s.r : s.r+total]
	s.r += total
	return Item{Type: typ, Bytes: raw, Body: raw[HeaderLen:]}, true, nil
}

// reserve makes room for a message of total bytes that begins at s.r, growing no
// further than a step ahead of what has arrived.
func (s *Scanner) reserve(total int) {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) && len(s.buf) < total {
		grown := make([]byte, min(total, len(s.buf)*2))
		copy(grown, s.buf[:s.w])
		s.buf = grown
	}
}

func (s *Scanner) read() error {
	if err := s.before(); err != nil {
		return err
	}
	if s.r == s.w {
		s.r, s.w = 0, 0
		s.resize()
	} else if s.w == len(s.buf) {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	n, err := s.src.Read(s.buf[s.w:])
	s.w, s.last = s.w+n, n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// resize fits the empty buffer to what comes.
func (s *Scanner) resize() {
	if s.small++; s.last > firstScan/2 {
		s.small = 0
	}
	switch {
	case len(s.buf) > growStep:
		s.buf = make([]byte, scanBuffer)
	case s.last == len(s.buf) && len(s.buf) < scanBuffer:
		s.buf = make([]byte, scanBuffer)
	case s.small >= manySmall && len(s.buf) > firstScan:
		s.buf = make([]byte, firstScan)
	}
}
