package spool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// await waits until record n, which is in seg, is as safe as the mode promises. It fails when
// the record will not be on disk.
func (s *Spool) await(n uint64, seg *segment) error {
	for seg.safe < n {
		if seg.failed != nil {
			return fmt.Errorf("the audit spool segment was sealed before the record was on disk: %w", orFull(seg.failed))
		}
		if s.closed {
			return ErrClosed
		}
		if s.cfg.Mode != ModeStrict && s.sys.Clock.Now().Sub(s.oldest) <= groupWindow {
			return nil
		}
		s.cond.Wait()
	}
	return nil
}

// advance records that of the first n records none is to be put on disk any more.
func (s *Spool) advance(n uint64) {
	if n <= s.synced {
		return
	}
	s.synced = n
	if n == s.syncing {
		// Records that came during the sync are as old as they are.
		s.oldest = s.behind
	}
	s.cond.Broadcast()
}

// syncLoop puts written records on disk, as many at a time as have come
// together. It is the only one that syncs.
func (s *Spool) syncLoop(ctx context.Context) {
	look := s.sys.Clock.NewTimer(checkInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C():
			s.mu.Lock()
			s.check()
			s.mu.Unlock()
			look.Reset(checkInterval)
			continue
		case <-s.dirty:
		}
		s.gather(ctx)
		for s.syncNext() {
		}
	}
}

// gather waits until the oldest record that is not on disk has the age of gatherSync, so that
// more of them share a sync; in mode strict, where each has somebody who waits for it,
// not at all.
func (s *Spool) gather(ctx context.Context) {
	if s.cfg.Mode == ModeStrict {
		return
	}
	s.mu.Lock()
	pause := time.Duration(0)
	if s.synced < s.written {
		pause = gatherSync - s.sys.Clock.Now().Sub(s.oldest)
	}
	s.mu.Unlock()
	s.pause(ctx, pause)
}

// syncNext syncs one segment, the oldest that needs it, and reports whether another may,
// behind one that was retired.
func (s *Spool) syncNext() bool {
	s.mu.Lock()
	for len(s.retired) > 0 && (s.retired[0].failed != nil || s.retired[0].safe == s.retired[0].last) {
		// It was synced, or failed to be, while it was the current one.
		s.popRetired()
	}
	seg := s.current
	retired := len(s.retired) > 0
	if retired {
		seg = s.retired[0]
	}
	if s.closed || seg == nil || seg.safe == seg.last {
		s.mu.Unlock()
		return false
	}
	upTo, t, named := seg.last, seg.tail, seg.named
	s.syncing = upTo
	switch {
	case len(s.retired) > 1:
		s.behind = s.retired[1].since
	case retired && s.current != nil && s.current.last > upTo:
		s.behind = s.current.since
	}
	s.mu.Unlock()

	sync := t.file.SyncData
	if !named {
		sync = t.file.Sync
	}
	err := sync()
	if err == nil && !named {
		err = s.sys.FS.SyncDir(s.cfg.Dir)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if seg.tail != t || s.closed {
		// It was given up meanwhile.
		return retired && !s.closed
	}
	if err != nil {
		err = fmt.Errorf("sync spool segment: %w", err)
	}
	if (err != nil || s.cfg.Mode == ModeStrict) && !seg.dropped {
		// What is on disk and cannot be found again is not safe.
		err = errors.Join(err, s.misplaced(seg))
	}
	switch {
	case err == nil:
		seg.named, seg.safe = true, upTo
		s.advance(upTo)
	case seg == s.current:
		s.seal(err)
	default:
		s.log.Error("audit spool segment sealed", "error", err)
		seg.failed = err
		s.advance(seg.last)
	}
	if retired {
		s.popRetired()
	}
	return retired
}

// popRetired closes the oldest of the segments that were retired.
func (s *Spool) popRetired() {
	s.closeTail(s.retired[0])
	s.retired = s.retired[1:]
}
