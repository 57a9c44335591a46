package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/scopewire/scopewire/internal/sys"
)

// findSegments lists the segments of earlier processes, in order.
func (s *Spool) findSegments() error {
	entries, err := s.sys.FS.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("read spool directory: %w", err)
	}
	for _, e := range entries {
		epoch, first, ok := parseName(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("read spool directory: %w", err)
		}
		seg := &segment{path: filepath.Join(s.cfg.Dir, e.Name()), epoch: epoch, first: first, size: info.Size(), sealed: true}
		if err := s.settle(seg); err != nil {
			s.log.Warn("settle what an earlier process left in the audit spool", "error", err)
		}
		s.segments = append(s.segments, seg)
		s.bytes += seg.size
	}
	return nil
}

// settle puts a segment that an earlier process left behind on disk, since that may not have
// come to it, and gives back what the process did not write to. After an error the
// segment is as it was, and can be read all the same.
func (s *Spool) settle(seg *segment) error {
	f, err := s.sys.FS.OpenFile(seg.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if used, err := written(f, seg.size); err != nil {
		return errors.Join(err, f.Close())
	} else if used < seg.size {
		if err := f.Truncate(used); err != nil {
			return errors.Join(err, f.Close())
		}
		seg.size = used
	}
	return errors.Join(f.Sync(), f.Close())
}

// written is how much of a file of size bytes was written to, in whole records alone; all
// of it when that cannot be told.
func written(f sys.File, size int64) (int64, error) {
	end := make([]byte, min(size, trailerSize))
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if !unwritten(end, size) {
		return size, nil
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		return 0, errors.Join(err, shortRead(n, len(data)))
	}
	rest := data
	for payload, ok := takeRecord(rest); ok; payload, ok = takeRecord(rest) {
		rest = rest[recordHeader+len(payload):]
	}
	if unwritten(rest, size) {
		size -= int64(len(rest))
	}
	return size, nil
}

func shortRead(n, want int) error { return fmt.Errorf("%d of %d bytes read", n, want) }
