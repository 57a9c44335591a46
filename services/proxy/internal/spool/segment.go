package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/scopewire/scopewire/internal/filelock"
)

// orFull marks what a full disk or quota answers.
func orFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errors.Join(ErrFull, err)
	}
	return err
}

// begin makes the next segment and takes the room for it: for a record of n bytes, the
// keeps that its outcome needs, those of all that have none yet, and the reserve.
func (s *Spool) begin(n, keeps int64) error {
	if err := s.keepLock(); err != nil {
		return fmt.Errorf("begin spool segment: %w", err)
	}
	path := filepath.Join(s.cfg.Dir, segmentName(s.epoch, s.seq+1))
	last := len(s.segments) - 1
	again := last >= 0 && s.segments[last].path == path
	if again {
		// The last segment took no record. What may be in it is half of one, and the
		// next segment has the same name.
		s.closeFile()
		if err := s.sys.FS.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("begin spool segment: %w", err)
		}
	}
	f, err := s.sys.FS.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("begin spool segment: %w", orFull(err))
	}
	room := max(n, min(segmentSize, s.cfg.MaxBytes/8)) + keeps + s.owed + s.reserve()
	switch err = f.Allocate(room); {
	case errors.Is(err, errors.ErrUnsupported):
		err = nil
	case err == nil:
		err = s.sys.FS.SyncDir(s.cfg.Dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("begin spool segment: %w", orFull(err)), f.Close(), s.sys.FS.Remove(path))
	}
	s.closeFile()
	s.file = f
	if again {
		s.segments = s.segments[:last]
	}
	s.segments = append(s.segments, &segment{path: path, epoch: s.epoch, first: s.seq + 1, room: room})
	return nil
}

// seal gives up the current segment: what could not be written or synced is
// never retried as if it had been.
func (s *Spool) seal(cause error) {
	s.log.Error("audit spool segment sealed", "error", cause)
	s.closeFile()
}

// closeFile closes the current segment, if there is one, and gives back what it does
// not hold.
func (s *Spool) closeFile() {
	if s.file == nil {
		return
	}
	info, err := s.file.Stat()
	if err == nil {
		err = s.file.Truncate(info.Size())
	}
	if err = errors.Join(err, s.file.Close()); err != nil {
		s.log.Warn("close spool segment", "error", err)
	}
	s.file = nil
	s.segments[len(s.segments)-1].sealed = true
	s.cond.Broadcast()
}

// check seals the current segment when its name does not lead to it any more.
func (s *Spool) check() error {
	if s.file == nil || s.closed {
		return nil
	}
	path := s.segments[len(s.segments)-1].path
	open, err := s.file.Stat()
	if err == nil {
		var named os.FileInfo
		if named, err = s.sys.FS.Stat(path); err == nil && !os.SameFile(open, named) {
			err = errors.New("another file stands in its place")
		}
	}
	if err != nil {
		err = fmt.Errorf("audit spool segment removed or replaced: %w", err)
		s.seal(err)
	}
	return err
}

// keepLock takes the lock of the directory again when it was replaced with another,
// which another process could hold.
func (s *Spool) keepLock() error {
	name := filepath.Join(s.cfg.Dir, "lock")
	held, err := s.lock.Stat()
	if err != nil {
		return fmt.Errorf("describe lock: %w", err)
	}
	if now, err := s.sys.FS.Stat(name); err == nil && os.SameFile(held, now) {
		return nil
	}
	s.log.Error("audit spool directory replaced: its lock is another file", "directory", s.cfg.Dir)
	if err := s.sys.FS.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make spool directory: %w", err)
	}
	lock, err := filelock.Take(s.sys.FS, name)
	if err != nil {
		return err
	}
	old := s.lock
	s.lock = lock
	if err := old.Close(); err != nil {
		s.log.Warn("close the lock of the directory that was replaced", "error", err)
	}
	return nil
}
