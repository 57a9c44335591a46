package store

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"

	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// commit makes a group of batches durable, or none of it, and sets their
// results.
func (s *Store) commit(group []*request) {
	if err := s.write(group); err != nil {
		s.deps.Log.Error("batches could not be stored", "batches", len(group), "error", err)
		for _, r := range group {
			r.result, r.err = Result{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

func (s *Store) write(group []*request) error {
	staged := map[sourceKey]source{}
	records := s.records
	defer s.keep(&records)
	for _, r := range group {
		key := sourceKey{r.batch.Instance, r.batch.Epoch}
		src, ok := staged[key]
		if !ok {
			src = s.sources[key]
		}
		records, staged[key], r.result = s.plan(&r.batch, src, records)
	}
	if len(records) == 0 {
		return nil
	}
	if err := s.segmentToWrite(); err != nil {
		return err
	}
	// Only Run changes these, so no lock is needed to read them here.
	g := s.segments[len(s.segments)-1]
	now := s.deps.Clock.Now().UnixMicro()
	next := s.head
	size := 0
	for i := range records {
		size += chain.FrameSize(&records[i])
	}
	buf := s.room(size)
	entries := make([]entry, len(records))
	for i := range records {
		records[i].Sequence, records[i].StoredMicros = next.sequence+1, now
		entries[i] = entry{next.sequence + 1, g.length + int64(len(buf))}
		buf, next.hash = chain.AppendFrame(buf, next.hash, &records[i])
		next.sequence++
	}
	s.mu.Lock()
	g.limit = g.length + int64(len(buf))
	s.mu.Unlock()
	n, err := s.active.Write(buf)
	if err == nil && n < len(buf) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = s.active.Sync()
	}
	if err != nil {
		s.abandon(g)
		return fmt.Errorf("write segment %s: %w", g.name, err)
	}
	next.length += int64(len(buf))
	maps.Copy(s.sources, staged)

	s.mu.Lock()
	g.length = next.length
	g.entries = append(g.entries, entries...)
	at := int32(len(s.segments) - 1) //nolint:gosec // G115: segments are counted in thousands.
	for i := range records {
		s.enter(&records[i], place{at, int32(entries[i].offset)}) //nolint:gosec // G115: segmentToWrite keeps offsets below 2 GiB.
	}
	s.head = next
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	s.noteHead(false)
	return nil
}

// room is size bytes to write frames in: one buffer for all writes, since a
// fresh one each time is most of what storing allocates. It holds nothing that
// outlives the write. A larger one than keptBuffer is given back.
func (s *Store) room(size int) []byte {
	if size > keptBuffer {
		return make([]byte, 0, size)
	}
	if cap(s.buffer) < size {
		// Groups differ a little: a quarter more saves making the next one.
		s.buffer = make([]byte, 0, min(size+size/4, keptBuffer))
	}
	return s.buffer[:0]
}

// keep makes the room of a write's records the next one's, without the batches
// they point into.
func (s *Store) keep(records *[]chain.Record) {
	clear(*records)
	s.records = nil
	if cap(*records) <= keptRecords {
		s.records = (*records)[:0]
	}
}

// enter puts an event into the index. The first event with an id keeps it: a
// later one must not be able to stand in for a reference that is known.
func (s *Store) enter(r *chain.Record, at place) {
	if r.Kind == chain.Damaged {
		return
	}
	if _, taken := s.index[r.EventID]; !taken {
		s.index[r.EventID] = at
	}
}

// segmentToWrite makes sure of an active segment with room.
func (s *Store) segmentToWrite() error {
	if s.active != nil && s.segments[len(s.segments)-1].length >= s.cfg.SegmentBytes {
		// Everything in it is durable.
		if err := s.active.Close(); err != nil {
			s.deps.Log.Warn("a full segment did not close well", "error", err)
		}
		s.active = nil
		s.noteHead(true)
	}
	if s.active != nil {
		return nil
	}
	number := uint64(1)
	h := chain.Header{First: s.head.sequence + 1, CreatedMicros: s.deps.Clock.Now().UnixMicro()}
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		number = last.header.Segment + 1
		h.PrevLength, h.PrevHash = uint64(last.length), s.head.hash //nolint:gosec // G115: a length.
	}
	// A number may be taken by a file that is no segment of ours: damage, which
	// Open has reported, or the leftover of a failed attempt.
	for ; ; number++ {
		h.Segment = number
		name := filepath.Join(s.cfg.Directory, segmentName(number))
		err := s.create(name, h)
		if errors.Is(err, os.ErrExist) && number < math.MaxUint32 {
			continue
		}
		return err
	}
}

func (s *Store) create(name string, h chain.Header) error {
	f, err := s.deps.FS.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("make segment: %w", err)
	}
	header := h.Append(nil)
	n, err := f.Write(header)
	if err == nil && n < len(header) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.deps.FS.SyncDir(s.cfg.Directory)
	}
	if err != nil {
		_ = f.Close()
		// Best effort: what stays is an empty segment that Open tells apart.
		_ = s.deps.FS.Remove(name)
		return fmt.Errorf("make segment %s: %w", name, err)
	}
	s.active = f
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, &segment{name: name, header: h, length: chain.HeaderSize, limit: chain.HeaderSize})
	s.head.segment, s.head.length, s.head.hash = h.Segment, chain.HeaderSize, h.Seed()
	return nil
}

// abandon gives the active segment up after a failure: cut back to what is
// durable, and never written again.
func (s *Store) abandon(g *segment) {
	err := s.active.Truncate(g.length)
	if err == nil {
		err = s.active.Sync()
	}
	if cerr := s.active.Close(); err == nil {
		err = cerr
	}
	s.active = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	g.limit = g.length
	if err != nil {
		s.problem("segment %s: it could not be cut back to %d bytes after a failed write; what follows there was never acknowledged", filepath.Base(g.name), g.length)
	}
}

// close ends writing. Everything acknowledged is durable already.
func (s *Store) close() error {
	s.noteHead(true)
	var errs []error
	if s.active != nil {
		errs = append(errs, s.active.Close())
	}
	if s.headFile != nil {
		errs = append(errs, s.headFile.Close())
	}
	s.active, s.headFile = nil, nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the audit store: %w", err)
	}
	return nil
}
