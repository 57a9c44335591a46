package spool

import "errors"

// await waits until record n is as safe as the mode promises. The segment of a
// record that was sealed before it was synced makes it fail.
func (s *Spool) await(n uint64) error {
	file := s.file
	for s.synced < n {
		if s.closed {
			return ErrClosed
		}
		if s.file != file {
			return errors.New("the audit spool segment was sealed before the record was on disk")
		}
		if s.cfg.Mode != ModeStrict && s.sys.Clock.Now().Sub(s.oldest) <= groupWindow {
			return nil
		}
		s.cond.Wait()
	}
	return nil
}

// advance records that the first n records are on disk.
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
