package spool

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// framed is a segment that holds payloads.
func framed(payloads ...[]byte) []byte {
	var out []byte
	for _, p := range payloads {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = binary.BigEndian.AppendUint32(out, crc32.Checksum(p, castagnoli))
		out = append(out, p...)
	}
	return out
}

// FuzzSegmentReader: the records that are read, framed again, are the beginning
// of the segment; numbers go on without a gap; and what is left is reported as
// lost once, from the next number on, unless it is known that nothing followed.
func FuzzSegmentReader(f *testing.F) {
	f.Add(framed([]byte("a"), []byte("bc")), uint64(1), uint64(0))
	f.Add(append(framed([]byte("a")), 0, 0, 0, 9, 1), uint64(7), uint64(9))
	f.Add(append(framed([]byte("a")), 0xff), uint64(1), uint64(1))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0}, uint64(1), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, first, lastLost uint64) {
		first %= 1 << 32
		lastLost %= 1 << 32
		r := &reader{data: bytes.Clone(data), next: first, lastLost: lastLost}
		var again []byte
		next, losses := first, 0
		for b := r.batch(); b != nil; b = r.batch() {
			if losses > 0 {
				t.Fatal("a record behind a loss")
			}
			for _, l := range b.GetLost() {
				losses++
				if l.GetFirst() != next || l.GetLast() != max(next, lastLost) || b.GetFirstSequence() != l.GetLast()+1 {
					t.Fatalf("lost %v behind %d, the last is %d", l, next, lastLost)
				}
			}
			if losses == 0 && b.GetFirstSequence() != next {
				t.Fatalf("a batch begins at %d, not %d", b.GetFirstSequence(), next)
			}
			for _, p := range b.GetRecords() {
				again = append(again, framed(p)...)
				next++
			}
		}
		if !bytes.HasPrefix(data, again) || r.offset != int64(len(again)) {
			t.Fatalf("read %q from %q", again, data)
		}
		whole, followed := len(again) == len(data), lastLost == 0 || lastLost >= next
		if want := !whole && followed; (losses == 1) != want || losses > 1 {
			t.Fatalf("%d losses reported, %d of %d bytes read, next %d, last %d", losses, len(again), len(data), next, lastLost)
		}
	})
}

// FuzzSegmentDamage: with numbers in the records, what is read and what is reported as
// lost go on from each other without a gap and never back, and only whole records are
// read.
func FuzzSegmentDamage(f *testing.F) {
	f.Add(append(append(framed([]byte{1}), 9, 9), framed([]byte{2}, []byte{5})...), uint64(1), uint64(0))
	f.Add(append([]byte{0}, framed([]byte{1}, []byte{2})...), uint64(1), uint64(2))
	f.Add(framed([]byte{7}, []byte{3}, []byte{8}), uint64(7), uint64(8))
	f.Add(append(framed([]byte{1})[:8], framed([]byte{3})...), uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, first, lastLost uint64) {
		first %= 1 << 32
		lastLost %= 1 << 32
		r := &reader{data: bytes.Clone(data), next: first, lastLost: lastLost,
			sequence: func(p []byte) (uint64, bool) { return uint64(p[0]), true }}
		next := first
		for b := r.batch(); b != nil; b = r.batch() {
			for _, l := range b.GetLost() {
				if l.GetFirst() != next || l.GetLast() < next {
					t.Fatalf("lost %v behind %d", l, next)
				}
				next = l.GetLast() + 1
			}
			if b.GetFirstSequence() != next || len(b.GetRecords()) == 0 && len(b.GetLost()) == 0 {
				t.Fatalf("a batch of %d records and %d losses from %d, next is %d", len(b.GetRecords()), len(b.GetLost()), b.GetFirstSequence(), next)
			}
			for _, p := range b.GetRecords() {
				if !bytes.Contains(data, framed(p)) {
					t.Fatalf("%x was read from %x", p, data)
				}
				next++
			}
		}
		if r.next != next || r.offset > int64(len(data)) {
			t.Fatalf("it ends at %d and byte %d, the batches at %d", r.next, r.offset, next)
		}
	})
}
