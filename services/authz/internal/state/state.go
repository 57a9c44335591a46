// Package state keeps what authz must not lose: revocations, and the numbers of policy
// revisions and catalog versions, which are components of the epoch.
//
// A number is assigned by compare-and-set: the digest of the newest number gets
// that number again, any other digest the next one, also one that was seen
// before. So a number stands for one content, two contents never share one, and
// numbers only grow. Numbers begin with 1; 0 stands for none.
//
// File keeps them in one file, for one process. Memory keeps them as long as
// the process lives, for tests and demonstrations.
package state

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/revocation"
)

// Store assigns numbers. Implementations are safe for concurrent use, and block
// while they make a new number durable. An error leaves what was assigned as it
// was: the caller has no number, and must not answer from what it wanted one
// for.
type Store interface {
	// NextPolicy returns the revision of the policy with that digest.
	NextPolicy(digest Digest) (revision uint64, err error)
	// NextCatalog returns the version of the database's catalog with that
	// digest.
	NextCatalog(database string, digest Digest) (version uint64, err error)
	// Policies lists the policy revisions, newest first, as far back as they are
	// kept. The caller owns the slice.
	Policies() []Revision
	// Revoke makes a revocation durable, and returns the number from which on it holds.
	// After an error it may hold, or hold after a restart; nobody was told so.
	// by is who asked.
	Revoke(r *authzv1.Revocation, by Actor) (number uint64, err error)
	// EndDecisions makes the next number durable without a revocation: what was decided until
	// now is to be decided again.
	EndDecisions() error
	// Revocations are all there are. It does not block.
	Revocations() *revocation.List
	// Lease is the longest that was ever given to KeepLease, 0 before.
	Lease() time.Duration
	// KeepLease notes for how long somebody may go on using what it was told.
	KeepLease(lease time.Duration) error
	// KeepActs has acts kept from now on, until they are reported. Their numbers are of
	// that epoch, or of the one of an earlier call.
	KeepActs(epoch ActEpoch) error
	// Acts are those that are to be reported, in order; those after reported and before
	// the first of them are lost.
	Acts() (epoch ActEpoch, reported uint64, acts []Act)
	// Reported forgets acts up to a number. A crash may bring the last of them back.
	Reported(number uint64) error
}

// Digest is the SHA-256 of a content.
type Digest = [sha256.Size]byte

// Revision is one revision of the policy.
type Revision struct {
	Number uint64
	Digest Digest
	// Loaded is when the revision was assigned, UTC.
	Loaded time.Time
}

// keepRevisions is how many policy revisions are kept for ListRevisions. Each
// is about 130 bytes of the file, which is written whole.
const keepRevisions = 256

// ledger is what was assigned. A ledger is never changed once it is shared:
// changes are made to a copy, which takes its place when it is durable.
type ledger struct {
	// policies are oldest first, without gaps; what is over keepRevisions is cut
	// off at the front.
	policies []Revision
	catalogs map[string]version
	// revoked is immutable, lease the longest that was declared.
	revoked *revocation.List
	lease   time.Duration
	acts    acts
}

// version is the newest catalog version of a database.
type version struct {
	number uint64
	digest Digest
}

func newLedger() *ledger {
	return &ledger{catalogs: make(map[string]version), revoked: &revocation.List{}}
}

// errExhausted cannot be met by counting: a file says so.
var errExhausted = errors.New("no number is left")

// nextPolicy returns the digest's revision, and the ledger that holds it when
// it is a new one.
func (l *ledger) nextPolicy(d Digest, now time.Time) (uint64, *ledger, error) {
	var last Revision
	if n := len(l.policies); n > 0 {
		last = l.policies[n-1]
	}
	if last.Number > 0 && last.Digest == d {
		return last.Number, nil, nil
	}
	if last.Number == ^uint64(0) {
		return 0, nil, errExhausted
	}
	next := l.clone()
	next.policies = append(next.policies, Revision{Number: last.Number + 1, Digest: d, Loaded: now.UTC().Truncate(time.Microsecond)})
	if extra := len(next.policies) - keepRevisions; extra > 0 {
		next.policies = slices.Delete(next.policies, 0, extra)
	}
	next.acts = next.acts.with(Act{At: now, Actor: Actor{Caller: "policy file"}, Policy: &next.policies[len(next.policies)-1]})
	return last.Number + 1, next, nil
}

// nextCatalog does the same for a database's catalog.
func (l *ledger) nextCatalog(database string, d Digest) (uint64, *ledger, error) {
	if database == "" || !utf8.ValidString(database) {
		// A name that JSON cannot hold as it is would share its number with others.
		return 0, nil, errors.New("a catalog belongs to a database with a name in UTF-8")
	}
	last := l.catalogs[database]
	if last.number > 0 && last.digest == d {
		return last.number, nil, nil
	}
	if last.number == ^uint64(0) {
		return 0, nil, errExhausted
	}
	next := l.clone()
	next.catalogs[database] = version{number: last.number + 1, digest: d}
	return last.number + 1, next, nil
}

// revoke adds a revocation.
func (l *ledger) revoke(r *authzv1.Revocation, by Actor, now time.Time) (uint64, *ledger, error) {
	list, number, err := l.revoked.With(r, now)
	if err != nil || list == l.revoked && !l.acts.kept() {
		return number, nil, err
	}
	next := l.clone()
	next.revoked = list
	asked := proto.CloneOf(r)
	asked.Number = number
	next.acts = next.acts.with(Act{At: now, Actor: by, Revocation: asked})
	return number, next, nil
}

// endDecisions gives a number out to no revocation.
func (l *ledger) endDecisions() (*ledger, error) {
	list, err := l.revoked.Skip()
	if err != nil {
		return nil, err
	}
	next := l.clone()
	next.revoked = list
	return next, nil
}

// keepLease notes a lease; the ledger is nil when a longer one is known.
func (l *ledger) keepLease(lease time.Duration) *ledger {
	if lease <= l.lease {
		return nil
	}
	next := l.clone()
	next.lease = lease
	return next
}

func (l *ledger) clone() *ledger {
	c := &ledger{revoked: l.revoked, lease: l.lease, acts: l.acts, policies: slices.Clone(l.policies), catalogs: make(map[string]version, len(l.catalogs)+1)}
	for name, v := range l.catalogs {
		c.catalogs[name] = v
	}
	return c
}

// check verifies what every ledger keeps to.
func (l *ledger) check() error {
	for i, r := range l.policies {
		if r.Number == 0 || i > 0 && r.Number != l.policies[i-1].Number+1 {
			return fmt.Errorf("policy revision %d does not follow the one before", r.Number)
		}
	}
	if err := l.acts.check(); err != nil {
		return err
	}
	for name, v := range l.catalogs {
		if name == "" || v.number == 0 {
			return fmt.Errorf("catalog version %d of database %q cannot be", v.number, name)
		}
	}
	return nil
}

// revisions lists the policies, newest first.
func (l *ledger) revisions() []Revision {
	out := slices.Clone(l.policies)
	slices.Reverse(out)
	return out
}
