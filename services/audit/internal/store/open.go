package store

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

const segmentSuffix = ".seg"

// segmentName has 20 digits, so that names sort as numbers do.
func segmentName(number uint64) string { return fmt.Sprintf("%020d%s", number, segmentSuffix) }

// segmentNumber reads a segment's name; false for any other file.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0
}

// Open reads the store in cfg.Directory, puts right what a crash has left, and
// reports other damage as Problems; damage is not an error. Memory and time grow
// with the store.
func Open(cfg Config, deps Deps) (*Store, error) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg: cfg, deps: deps,
		requests: make(chan *request, queueLength), stopped: make(chan struct{}),
		sources: map[sourceKey]source{}, index: map[[16]byte]place{}, changed: make(chan struct{}),
		// The first write of a head goes to the first slot.
		headSlot: slotSize,
	}
	if err := deps.FS.MkdirAll(cfg.Directory, directoryMode); err != nil {
		return nil, fmt.Errorf("open audit store: %w", err)
	}
	names, err := s.segmentNames()
	if err != nil {
		return nil, fmt.Errorf("open audit store: %w", err)
	}
	noted, ok, err := s.readHead()
	if err != nil {
		return nil, fmt.Errorf("open audit store: %w", err)
	}
	if !ok {
		s.problem("the head is damaged: a missing end cannot be told")
	}
	if err := s.load(names, noted); err != nil {
		return nil, fmt.Errorf("open audit store: %w", err)
	}
	return s, nil
}

func (s *Store) segmentNames() (names []string, err error) {
	entries, err := s.deps.FS.ReadDir(s.cfg.Directory)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, ok := segmentNumber(e.Name()); ok {
			names = append(names, filepath.Join(s.cfg.Directory, e.Name()))
		}
	}
	return names, nil
}

// load reads all segments in order.
func (s *Store) load(names []string, noted position) error {
	var seen chain.Hash
	found := false
	check := newChecker(func(format string, args ...any) { s.problem(format, args...) })
	for i, name := range names {
		last := i == len(names)-1
		data, err := s.deps.FS.ReadFile(name)
		if err != nil {
			return err
		}
		if last && chain.IsTornHeader(data) {
			s.deps.Log.Info("removing a segment that was never begun", "segment", filepath.Base(name))
			if err := s.remove(name); err != nil {
				return err
			}
			break
		}
		header, ok := check.open(name, data)
		if !ok {
			continue
		}
		g := &segment{name: name, header: header}
		// The next header says where this segment was sealed.
		end := int64(len(data))
		if !last {
			end = sealedAt(s, names[i+1], end)
		}
		w := chain.Walk(data[:end], header, func(offset int, f *chain.Frame) {
			g.entries = append(g.entries, entry{f.Sequence, int64(offset)})
			s.enter(&f.Record, place{int32(len(s.segments)), int32(offset)}) //nolint:gosec // G115: as in write.
			key := sourceKey{f.Instance, f.Epoch}
			src := s.sources[key]
			src.replay(&f.Record)
			s.sources[key] = src
			if f.Sequence == noted.sequence {
				seen, found = f.Hash, true
			}
		})
		g.length = end
		size := int64(len(data))
		if w.Damaged && w.Torn && last && !noted.covers(header.Segment, int64(w.From)) {
			if err := s.cut(g, int64(w.From), end); err != nil {
				return err
			}
			w.Damaged, size = false, g.length
		}
		check.close(name, w, g.last(), size)
		g.limit = g.length
		s.segments = append(s.segments, g)
	}
	if len(s.segments) > 0 {
		g := s.segments[len(s.segments)-1]
		s.head = position{sequence: check.sequence, segment: g.header.Segment, length: g.length, hash: check.hash}
	}
	s.confirm(noted, seen, found)
	return nil
}

// last is the sequence of the segment's last good record, 0 without any.
func (g *segment) last() uint64 {
	if len(g.entries) == 0 {
		return 0
	}
	return g.entries[len(g.entries)-1].sequence
}

// covers reports whether the head says that a byte of a segment was durable.
func (p position) covers(segment uint64, offset int64) bool {
	return p.segment == segment && p.length > offset
}

// sealedAt is where the segment before next ends by next's header, or size when
// that cannot be read or makes no sense.
func sealedAt(s *Store, next string, size int64) int64 {
	f, err := s.deps.FS.OpenFile(next, os.O_RDONLY, 0)
	if err != nil {
		return size
	}
	defer func() { _ = f.Close() }()
	var b [chain.HeaderSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return size
	}
	h, err := chain.ParseHeader(b[:])
	if err != nil || h.PrevLength < chain.HeaderSize || h.PrevLength > uint64(size) { //nolint:gosec // G115: a size.
		return size
	}
	return int64(h.PrevLength) //nolint:gosec // G115: at most size.
}

// cut removes a torn tail, which was never acknowledged. A tail that cannot be
// removed stays, and is a problem.
func (s *Store) cut(g *segment, to, from int64) error {
	s.deps.Log.Info("cutting the tail of a write that was never finished", "segment", filepath.Base(g.name), "bytes", from-to)
	f, err := s.deps.FS.OpenFile(g.name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(to)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	g.length = to
	return nil
}

func (s *Store) remove(name string) error {
	if err := s.deps.FS.Remove(name); err != nil {
		return err
	}
	return s.deps.FS.SyncDir(s.cfg.Directory)
}
