package spool

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/scopewire/scopewire/internal/filelock"
)

// segment is one file. The spool's lock guards its fields.
type segment struct {
	path  string
	epoch [16]byte
	first uint64
	// size is how much of it holds whole records, as far as is known; room is how
	// much it may hold, the reserve counted.
	size, room int64
	// sealed means that nothing more will be written.
	sealed bool
	// shipped is how much of it the audit service has made durable, and
	// shippedRecords how many records that is; damaged says that the rest was
	// reported as lost; dropped that the file is removed for that.
	shipped          int64
	shippedRecords   uint64
	damaged, dropped bool
	// suspect means that the file may not be what was written to it.
	suspect bool

	// tail is the file that is written, or written and not on disk yet; else nil.
	tail *tail
	// last is the last of its records, as written counts them; safe is the last that is on
	// disk. Those between are not there for good once failed is set.
	last, safe uint64
	failed     error
	// since is when the first of its records was written.
	since time.Time
	// named says that the directory's entry of the file is on disk, too.
	named bool
}

func segmentName(epoch [16]byte, first uint64) string {
	return fmt.Sprintf("%s-%016x%s", hex.EncodeToString(epoch[:]), first, suffix)
}

func parseName(name string) (epoch [16]byte, first uint64, ok bool) {
	if len(name) != 32+1+16+len(suffix) || filepath.Ext(name) != suffix {
		return epoch, 0, false
	}
	e, err1 := hex.DecodeString(name[:32])
	f, err2 := hex.DecodeString(name[33:49])
	if err1 != nil || err2 != nil {
		return epoch, 0, false
	}
	copy(epoch[:], e)
	return epoch, binary.BigEndian.Uint64(f), true
}

// orFull marks what a full disk or quota answers.
func orFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errors.Join(ErrFull, err)
	}
	return err
}

// begin makes the next segment and takes the room for it: for a record of n bytes, the
// keeps that its outcome needs, those of all that have none yet, and the reserve. It
// retires the current one. It waits for no disk: that the file is found again after a power
// cut is seen to with the first sync.
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
		s.retire()
		if err := s.sys.FS.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("begin spool segment: %w", err)
		}
	}
	room := max(n, min(segmentSize, s.cfg.MaxBytes/8)) + keeps + s.owed + s.reserve()
	t, err := makeTail(s.sys.FS, path, room)
	if err != nil {
		return fmt.Errorf("begin spool segment: %w", orFull(err))
	}
	s.retire()
	if again {
		s.segments = s.segments[:last]
	}
	s.current = &segment{path: path, epoch: s.epoch, first: s.seq + 1, room: room, tail: t, last: s.written, safe: s.written}
	s.segments = append(s.segments, s.current)
	return nil
}

// retire ends the current segment, if there is one: nothing more is written to it, and the
// syncer puts on disk and closes what it holds.
func (s *Spool) retire() {
	seg := s.current
	if seg == nil {
		return
	}
	s.current = nil
	seg.sealed = true
	if err := seg.tail.finish(seg.size); err != nil {
		s.log.Warn("end spool segment", "error", err)
	}
	if seg.safe == seg.last {
		s.closeTail(seg)
		return
	}
	s.retired = append(s.retired, seg)
	signal(s.dirty)
}

// seal gives up the current segment: what could not be synced is never retried as if it
// had been, and whoever waits for it fails.
func (s *Spool) seal(cause error) {
	s.log.Error("audit spool segment sealed", "error", cause)
	seg := s.current
	seg.failed, seg.sealed, seg.suspect, s.current = cause, true, true, nil
	if err := seg.tail.finish(seg.size); err != nil {
		s.log.Warn("end spool segment", "error", err)
	}
	s.closeTail(seg)
	if len(s.retired) == 0 {
		s.advance(seg.last)
	}
	s.cond.Broadcast()
}

// closeTail closes the file of a segment that is written no more.
func (s *Spool) closeTail(seg *segment) {
	if err := seg.tail.file.Close(); err != nil {
		s.log.Warn("close spool segment", "error", err)
	}
	seg.tail = nil
}

// check seals the current segment when its name does not lead to it any more.
func (s *Spool) check() {
	if s.current == nil || s.closed {
		return
	}
	if err := s.misplaced(s.current); err != nil {
		s.seal(err)
	}
}

// misplaced says how a segment's name does not lead to its file, or to all of it.
func (s *Spool) misplaced(seg *segment) error {
	open, err := seg.tail.file.Stat()
	if err == nil {
		var named os.FileInfo
		switch named, err = s.sys.FS.Stat(seg.path); {
		case err != nil:
		case !os.SameFile(open, named):
			err = errors.New("another file stands in its place")
		case open.Size() < max(seg.size, seg.tail.end):
			err = errors.New("the file was cut")
		}
	}
	if err != nil {
		return fmt.Errorf("audit spool segment removed or replaced: %w", err)
	}
	return nil
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
