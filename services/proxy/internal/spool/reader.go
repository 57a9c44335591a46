package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

// reader cuts a segment's records into batches. shipSegment alone uses it.
type reader struct {
	// lastLost is the number of the last record that the segment may have held
	// beyond a damaged one; 0 when that cannot be known.
	lastLost uint64
	data     []byte
	// sequence is the number that a record says it has, when it is one of the
	// segment's. Without it nothing behind damage is looked for.
	sequence func(payload []byte) (uint64, bool)
	// verify has each record's own number looked at, where the file may have been cut and
	// written to behind that.
	verify bool
	// offset and next say where in the segment data begins.
	offset  int64
	next    uint64
	damaged bool
}

// openReader reads what the segment holds beyond its shipped part.
func (s *Spool) openReader(seg *segment) (*reader, error) {
	s.mu.Lock()
	// The size as of when it is known whether another segment follows.
	size := seg.size
	r := &reader{offset: seg.shipped, next: seg.first + seg.shippedRecords, damaged: seg.damaged,
		sequence: s.sequenceIn(seg), verify: seg.suspect || seg.epoch != s.epoch}
	for i, have := range s.segments[:len(s.segments)-1] {
		if next := s.segments[i+1]; have == seg && next.epoch == seg.epoch {
			r.lastLost = next.first - 1
		}
	}
	s.mu.Unlock()
	if size <= r.offset || r.damaged {
		return r, nil
	}
	f, err := s.sys.FS.OpenFile(seg.path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		s.gone(seg, r)
		r.data = nothing()
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read spool segment: %w", err)
	}
	r.data = make([]byte, size-r.offset)
	n, err := f.ReadAt(r.data, r.offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	r.data = r.data[:n]
	if int64(n) < size-r.offset {
		s.gone(seg, r)
		r.data = append(r.data, nothing()...)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read spool segment: %w", err)
	}
	return r, nil
}

// gone makes what a segment held that is not there, or not all of it, be reported as
// lost. It is not written again.
func (s *Spool) gone(seg *segment, r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.suspect, r.verify = true, true
	if seg == s.segments[len(s.segments)-1] && seg.epoch == s.epoch {
		if s.current == seg {
			s.seal(errors.New("audit spool segment removed"))
		}
		r.lastLost = s.seq
	}
	s.log.Error("audit spool segment is gone: events in it are lost", "segment", seg.path, "behind", r.next, "last", r.lastLost)
}

// nothing is no record: what a reader comes to there is lost.
func nothing() []byte { return []byte{0} }

// sequenceIn finds the number of a record of a segment in the record itself.
func (s *Spool) sequenceIn(seg *segment) func([]byte) (uint64, bool) {
	return func(payload []byte) (uint64, bool) {
		var ev auditv1.Event
		if err := proto.Unmarshal(payload, &ev); err != nil {
			return 0, false
		}
		o := ev.GetOrigin()
		return o.GetSequence(), o.GetInstance() == s.cfg.Instance && string(o.GetSpoolEpoch()) == string(seg.epoch[:])
	}
}

// follows reports whether a record is the next by its own number.
func (r *reader) follows(payload []byte) bool {
	seq, ok := r.sequence(payload)
	return ok && seq == r.next
}

// behind looks for a record at or behind what is damaged or missing: how many bytes are before it, and
// its number.
func (r *reader) behind() (skip int, seq uint64, found bool) {
	if r.sequence == nil {
		return 0, 0, false
	}
	for skip = 0; skip < len(r.data); skip++ {
		payload, ok := takeRecord(r.data[skip:])
		if !ok {
			continue
		}
		if seq, ok := r.sequence(payload); ok && seq >= r.next && (r.lastLost == 0 || seq <= r.lastLost) {
			return skip, seq, true
		}
	}
	return 0, 0, false
}

// batch takes the next records, in one batch's bounds, and returns nil at the
// end. What is damaged is skipped, up to a record that is whole and says which it is;
// the numbers between are reported as lost, and without such a record all that follow.
func (r *reader) batch() *auditv1.AppendRequest {
	b := &auditv1.AppendRequest{FirstSequence: r.next}
	for total := 0; len(b.GetRecords()) < batchRecords && total < batchBytes; {
		payload, ok := takeRecord(r.data)
		if !ok || r.verify && !r.follows(payload) {
			break
		}
		b.Records = append(b.Records, payload)
		n := recordHeader + len(payload)
		r.data = r.data[n:]
		r.offset += int64(n)
		r.next++
		total += n
	}
	if len(b.GetRecords()) > 0 {
		return b
	}
	if len(r.data) == 0 && r.next <= r.lastLost {
		// It was cut between two records, and the next segment says so.
		lost := &auditv1.SequenceRange{First: r.next, Last: r.lastLost}
		r.damaged, r.next = true, r.lastLost+1
		return &auditv1.AppendRequest{FirstSequence: r.next, Lost: []*auditv1.SequenceRange{lost}}
	}
	if len(r.data) == 0 || r.lastLost != 0 && r.lastLost < r.next || r.lastLost == 0 && unwritten(r.data, r.offset+int64(len(r.data))) {
		// In the second case what is left is half of a record that a failed write
		// left behind: it was never acknowledged, and its number went to another.
		return nil
	}
	lost := &auditv1.SequenceRange{First: r.next, Last: max(r.next, r.lastLost)}
	if skip, seq, ok := r.behind(); ok {
		r.data = r.data[skip:]
		r.offset += int64(skip)
		if seq == r.next {
			// Nothing but bytes that belong to no record.
			return r.batch()
		}
		lost.Last, r.next = seq-1, seq
		return &auditv1.AppendRequest{FirstSequence: r.next, Lost: []*auditv1.SequenceRange{lost}}
	}
	if r.lastLost == 0 && torn(r.data, r.offset+int64(len(r.data))) {
		return nil
	}
	r.data, r.damaged, r.next = nil, true, lost.GetLast()+1
	return &auditv1.AppendRequest{FirstSequence: r.next, Lost: []*auditv1.SequenceRange{lost}}
}

// takeRecord returns the payload of the record at the start of data.
func takeRecord(data []byte) ([]byte, bool) {
	if len(data) < recordHeader {
		return nil, false
	}
	n := binary.BigEndian.Uint32(data)
	if n == 0 || n > maxRecord || int(n) > len(data)-recordHeader {
		return nil, false
	}
	payload := data[recordHeader : recordHeader+int(n)]
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(data[4:]) {
		return nil, false
	}
	return payload, true
}
