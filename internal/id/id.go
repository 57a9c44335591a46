// Package id mints the identifiers of sessions, statements and audit events:
// UUIDs of version 7 (RFC 9562 section 5.7), which sort by time.
package id

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/scopewire/scopewire/internal/sys"
)

// ID is a UUID. The zero value is no identifier.
type ID [16]byte

// New mints an identifier from the clock's milliseconds, 12 bits of their
// fraction and 62 random bits.
func New(clock sys.Clock, rand sys.Rand) ID {
	var u ID
	rand.Read(u[8:])
	now := clock.Now()
	ms := uint64(now.UnixMilli()) //nolint:gosec // G115: the clock is past 1970.
	binary.BigEndian.PutUint64(u[:8], ms<<16)
	frac := uint16(now.Nanosecond() % 1e6 * 4096 / 1e6) //nolint:gosec // G115: below 4096.
	binary.BigEndian.PutUint16(u[6:8], 0x7000|frac)
	u[8] = u[8]&0x3f | 0x80
	return u
}

// FromBytes copies b, which must be 16 bytes long.
func FromBytes(b []byte) (ID, error) {
	var u ID
	if len(b) != len(u) {
		return u, errors.New("an identifier has 16 bytes")
	}
	copy(u[:], b)
	return u, nil
}

// Parse reads the form that String prints; upper case and missing hyphens are
// accepted.
func Parse(s string) (ID, error) {
	var u ID
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), "-", ""))
	if err != nil || len(b) != len(u) {
		return u, errors.New("an identifier looks like 0190f3b6-5c1e-7d2a-9c3b-1f2e3d4c5b6a")
	}
	copy(u[:], b)
	return u, nil
}

// IsZero reports whether u is no identifier.
func (u ID) IsZero() bool { return u == ID{} }

// String prints the canonical form.
func (u ID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
