package spool

import (
	"errors"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

// outcomeFixed bounds an outcome's record without its names: header, identifiers, numbers,
// times, a command tag of 64 bytes, and what precedes each field.
const outcomeFixed = 512

// claim says what room a record may take.
type claim struct {
	// keeps is for the outcome that follows it, in bytes.
	keeps int64
	// last may take the reserve where there is no other room; after may take it before
	// the next segment is begun, too, for room that its intent kept.
	last, after bool
}

// outcomeRoom bounds the record of the outcome of an intent: it has the names of the
// intent, and of its principal those that events are searched by.
func outcomeRoom(intent *auditv1.Event, instance string) int64 {
	p := intent.GetPrincipal()
	return int64(outcomeFixed + len(instance) + len(intent.GetDatabase()) + len(intent.GetLogin()) +
		len(p.GetIssuer()) + len(p.GetSubject()) + len(p.GetClientId()))
}

// reserve is what is kept for AppendLast, in bytes.
func (s *Spool) reserve() int64 { return min(s.cfg.MaxBytes/8, maxReserve) }

// ready makes sure that the current segment takes a record of n bytes. What is owed to
// outcomes stays free behind every record, so an outcome needs no new segment. Called with
// mu held, as full is.
func (s *Spool) ready(n int64, c claim) error {
	need, spare := n+s.owed+c.keeps, s.reserve()
	if c.last {
		spare = 0
	}
	if s.bytes+need+spare > s.cfg.MaxBytes {
		return s.full()
	}
	if s.current == nil {
		return s.begin(n, c.keeps)
	}
	seg := s.current
	if seg.size+need+s.reserve() <= seg.room || c.after && seg.size+need <= seg.room {
		return nil
	}
	// When none can be begun the current one stays, for what may use its reserve.
	err := s.begin(n, c.keeps)
	if err != nil && c.last && s.current == seg && seg.size+need <= seg.room {
		return nil
	}
	return err
}

// full makes way for a spool that may hold little more than one segment: only a
// segment that is closed can be deleted once it has been shipped.
func (s *Spool) full() error {
	if s.segments[len(s.segments)-1].size > 0 {
		if err := s.begin(0, 0); err != nil {
			return errors.Join(ErrFull, err)
		}
		signal(s.more)
	}
	return ErrFull
}
