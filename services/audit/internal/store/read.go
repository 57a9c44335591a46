package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// ErrDamaged: the record is in the store, but what is there is not what was
// written.
var ErrDamaged = errors.New("the record is damaged")

// Get reads the event with that id. It returns ErrNotFound or ErrDamaged.
func (s *Store) Get(eventID [16]byte) (chain.Frame, error) {
	s.mu.RLock()
	at, ok := s.index[eventID]
	var name string
	if ok {
		name = s.segments[at.segment].name
	}
	s.mu.RUnlock()
	if !ok {
		return chain.Frame{}, ErrNotFound
	}
	f, err := s.deps.FS.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return chain.Frame{}, fmt.Errorf("read event: %w", err)
	}
	defer func() { _ = f.Close() }()
	frame, err := readFrame(f, int64(at.offset))
	if err != nil {
		return chain.Frame{}, err
	}
	if frame.EventID != eventID {
		return chain.Frame{}, fmt.Errorf("%w: another event stands in its place in %s", ErrDamaged, filepath.Base(name))
	}
	return frame, nil
}

// readFrame reads one frame whose offset the index knows.
func readFrame(f sys.File, offset int64) (chain.Frame, error) {
	var head [4]byte
	if _, err := f.ReadAt(head[:], offset); err != nil {
		return chain.Frame{}, readError(f, offset, err)
	}
	n, err := chain.FrameLength(head[:])
	if err != nil {
		return chain.Frame{}, readError(f, offset, ErrDamaged)
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, offset); err != nil {
		return chain.Frame{}, readError(f, offset, err)
	}
	frame, _, err := chain.ParseFrame(b)
	if err != nil {
		return chain.Frame{}, readError(f, offset, ErrDamaged)
	}
	return frame, nil
}

func readError(f sys.File, offset int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrDamaged
	}
	return fmt.Errorf("read %s at %d: %w", filepath.Base(f.Name()), offset, err)
}

// view is what a reader may look at: records that were durable when it began.
type view struct {
	fs       sys.FS
	head     position
	segments []segment
	file     sys.File
	open     int // the segment that file is of
}

func (s *Store) view() *view {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := &view{fs: s.deps.FS, head: s.head, segments: make([]segment, len(s.segments)), open: -1}
	for i, g := range s.segments {
		v.segments[i] = *g
	}
	return v
}

func (v *view) close() {
	if v.file != nil {
		_ = v.file.Close()
		v.file = nil
	}
}

// at reads the i-th record of a segment, keeping its file open.
func (v *view) at(segment, i int) (chain.Frame, error) {
	if v.open != segment {
		v.close()
		f, err := v.fs.OpenFile(v.segments[segment].name, os.O_RDONLY, 0)
		if err != nil {
			return chain.Frame{}, fmt.Errorf("read segment: %w", err)
		}
		v.file, v.open = f, segment
	}
	e := v.segments[segment].entries[i]
	frame, err := readFrame(v.file, e.offset)
	if err == nil && frame.Sequence != e.sequence {
		return chain.Frame{}, readError(v.file, e.offset, ErrDamaged)
	}
	return frame, err
}

// Backward visits the records with a sequence below before, newest first, until
// visit returns false, a record cannot be read, or ctx ends. The frame is the
// visitor's to keep.
func (s *Store) Backward(ctx context.Context, before uint64, visit func(*chain.Frame) bool) error {
	v := s.view()
	defer v.close()
	for g := len(v.segments) - 1; g >= 0; g-- {
		entries := v.segments[g].entries
		n := sort.Search(len(entries), func(i int) bool { return entries[i].sequence >= before })
		for i := n - 1; i >= 0; i-- {
			if err := ctx.Err(); err != nil {
				return err
			}
			frame, err := v.at(g, i)
			if err != nil {
				return err
			}
			if !visit(&frame) {
				return nil
			}
		}
	}
	return nil
}

// Forward visits the records with a sequence above after, oldest first, as
// Backward does. It returns the sequence of the last one visited, or after.
func (s *Store) Forward(ctx context.Context, after uint64, visit func(*chain.Frame) error) (uint64, error) {
	v := s.view()
	defer v.close()
	// Sequences grow from segment to segment: skip those that end before.
	first := sort.Search(len(v.segments), func(i int) bool { return v.segments[i].header.First > after })
	for g := max(first-1, 0); g < len(v.segments); g++ {
		entries := v.segments[g].entries
		for i := sort.Search(len(entries), func(i int) bool { return entries[i].sequence > after }); i < len(entries); i++ {
			if err := ctx.Err(); err != nil {
				return after, err
			}
			frame, err := v.at(g, i)
			if err != nil {
				return after, err
			}
			if err := visit(&frame); err != nil {
				return after, err
			}
			after = frame.Sequence
		}
	}
	return after, nil
}

// Wait returns when there is a record above after, the store has stopped
// (ErrStopped), or ctx ends.
func (s *Store) Wait(ctx context.Context, after uint64) error {
	for {
		s.mu.RLock()
		head, changed := s.head.sequence, s.changed
		s.mu.RUnlock()
		if head > after {
			return nil
		}
		select {
		case <-changed:
		case <-s.stopped:
			return ErrStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stopped is closed when the store takes no more batches.
func (s *Store) Stopped() <-chan struct{} { return s.stopped }
