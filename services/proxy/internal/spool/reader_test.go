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

// mapped is what a killed process leaves of a segment: records, zeros, the trailer.
func mapped(records []byte, zeros int) []byte {
	b := append(bytes.Clone(records), make([]byte, zeros)...)
	return append(b, trailer(int64(len(b)+trailerSize))...)
}

// What a killed process had not written to is no loss, and what only looks like it is.
func TestFault_F23_UnwrittenTails(t *testing.T) {
	records := framed([]byte("a"), []byte("b"))
	dirty := mapped(records, 50)
	dirty[len(records)+20] = 1
	headed := bytes.Clone(dirty)
	headed[len(records)+7] = 1
	behind := mapped(append(append(bytes.Clone(records), make([]byte, 20)...), framed([]byte("e"))...), 50)
	far := mapped(append(append(bytes.Clone(records), make([]byte, recordHeader+maxRecord)...), 1), 50)
	cut := mapped(records, 50)
	cut = cut[:len(cut)-1]
	longer := mapped(records, 50)
	longer = append(longer[:len(records):len(records)], longer[len(records)-8:]...)
	// Somebody who has the last bytes of a record to himself writes a trailer there.
	size := len(framed(make([]byte, 60))) + len(records)
	forged := append(bytes.Clone(records), framed(append(make([]byte, 60-trailerSize), trailer(int64(size))...))...)
	torn := bytes.Clone(forged)
	torn[len(records)+recordHeader] = 1
	for name, c := range map[string]struct {
		data    []byte
		records int
		lost    bool
	}{
		"nothing written":        {mapped(nil, 50), 0, false},
		"records":                {mapped(records, 50), 2, false},
		"no room left":           {mapped(records, 0), 2, false},
		"closed":                 {records, 2, false},
		"record without header":  {dirty, 2, false},
		"damaged record":         {headed, 2, true},
		"record behind a hole":   {behind, 3, true},
		"beyond any record":      {far, 2, true},
		"zeros without trailer":  {append(bytes.Clone(records), make([]byte, 50)...), 2, true},
		"part of the trailer":    {cut, 2, true},
		"another file's trailer": {longer, 2, true},
		"trailer in a record":    {forged, 3, false},
		"damaged, with trailer":  {torn, 2, true},
	} {
		r := &reader{data: c.data, next: 1, sequence: func(p []byte) (uint64, bool) { return uint64(p[0]-'a') + 1, true }}
		got, lost := 0, false
		for b := r.batch(); b != nil; b = r.batch() {
			got += len(b.GetRecords())
			lost = lost || len(b.GetLost()) > 0
		}
		if got != c.records || lost != c.lost {
			t.Errorf("%s: %d records, lost %v", name, got, lost)
		}
		// Where another segment says that a hundred records were here, the rest is lost.
		r = &reader{data: c.data, next: 1, lastLost: 100, sequence: r.sequence}
		missing := 0
		for b := r.batch(); b != nil; b = r.batch() {
			for _, l := range b.GetLost() {
				missing += int(l.GetLast() - l.GetFirst() + 1)
			}
		}
		if want := 100 - c.records; missing != want {
			t.Errorf("%s: %d of 100 records are reported as lost, want %d", name, missing, want)
		}
	}
}

// FuzzSegmentReader: the records that are read, framed again, are the beginning
// of the segment; numbers go on without a gap; and what is left is reported as
// lost once, from the next number on, unless it is known that nothing followed.
func FuzzSegmentReader(f *testing.F) {
	f.Add(framed([]byte("a"), []byte("bc")), uint64(1), uint64(0))
	f.Add(append(framed([]byte("a")), 0, 0, 0, 9, 1), uint64(7), uint64(9))
	f.Add(append(framed([]byte("a")), 0xff), uint64(1), uint64(1))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0}, uint64(1), uint64(0))
	f.Add(mapped(framed([]byte("a")), 9), uint64(1), uint64(0))
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
		killed := unwritten(data[len(again):], int64(len(data))) || torn(data[len(again):], int64(len(data)))
		whole, followed := len(again) == len(data), lastLost == 0 || lastLost >= next
		if want := (!whole && (!killed || lastLost != 0) || whole && lastLost != 0) && followed; (losses == 1) != want || losses > 1 {
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
	f.Add(mapped(framed([]byte{1}, []byte{2}), 40), uint64(1), uint64(0))
	f.Add(mapped(append(framed([]byte{1}), make([]byte, 8)...), 0), uint64(1), uint64(0))
	f.Add(mapped(append(make([]byte, 9), framed([]byte{2})...), 7), uint64(1), uint64(0))
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
