package state

import (
	"errors"
	"fmt"
	"slices"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// What operators do is to be in the audit log, and is durable together with what it
// changes: an act is written with the revocation or the revision that it is about, and
// kept until audit has acknowledged it.

// Actor is who did something, and why, in their own words.
type Actor struct{ Caller, Note string }

// Act is one thing that was done. It is immutable.
type Act struct {
	// Number counts from 1 within the epoch.
	Number uint64
	// At is when, UTC.
	At time.Time
	Actor
	// Exactly one of these is set: the revocation with its number, or the policy that
	// came into force.
	Revocation *authzv1.Revocation
	Policy     *Revision
}

// ActEpoch tells the acts of one state from those of another that has been started anew.
type ActEpoch = [16]byte

// maxActs is how many acts wait for audit. Beyond it the oldest are lost, which audit is
// told: to revoke is never refused because audit is away.
const maxActs = 1000

// acts are immutable, as the ledger is.
type acts struct {
	epoch ActEpoch
	// last is the number of the last act, reported that of the last one that audit has.
	last, reported uint64
	waiting        []Act
}

// kept reports whether acts are kept at all.
func (a acts) kept() bool { return a.epoch != ActEpoch{} }

// with is a with another act, which gets its number.
func (a acts) with(act Act) acts {
	if !a.kept() {
		return a
	}
	a.last++
	act.Number, act.At = a.last, act.At.UTC().Truncate(time.Microsecond)
	waiting := slices.Clone(a.waiting)
	if len(waiting) >= maxActs {
		waiting = waiting[len(waiting)-maxActs+1:]
	}
	a.waiting = append(waiting, act)
	return a
}

// without forgets acts up to a number.
func (a acts) without(number uint64) acts {
	number = min(number, a.last)
	if number <= a.reported {
		return a
	}
	a.reported = number
	a.waiting = slices.DeleteFunc(slices.Clone(a.waiting), func(act Act) bool { return act.Number <= number })
	return a
}

func (a acts) check() error {
	if !a.kept() && (a.last > 0 || len(a.waiting) > 0) {
		return errors.New("there are acts of no epoch")
	}
	number := a.reported
	for _, act := range a.waiting {
		if act.Number <= number || (act.Revocation == nil) == (act.Policy == nil) {
			return fmt.Errorf("act %d cannot be behind act %d", act.Number, number)
		}
		number = act.Number
	}
	if number > a.last {
		return fmt.Errorf("there are more acts than the last, %d", a.last)
	}
	return nil
}

// keepActs is the ledger that keeps acts, nil when it does.
func (l *ledger) keepActs(epoch ActEpoch) *ledger {
	if l.acts.kept() {
		return nil
	}
	next := l.clone()
	next.acts = acts{epoch: epoch}
	return next
}

// forget is the ledger without acts up to a number, nil when there are none.
func (l *ledger) forget(number uint64) *ledger {
	left := l.acts.without(number)
	if left.reported == l.acts.reported {
		return nil
	}
	next := l.clone()
	next.acts = left
	return next
}
