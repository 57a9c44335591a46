package revocation

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// MaxEntries is how many revocations are kept at once.
const MaxEntries = 10000

// ErrFull says that no more revocations can be kept.
var ErrFull = fmt.Errorf("%d revocations are kept, and there is no room for another: end them by subject, or say when they expire", MaxEntries)

// errExhausted cannot be met by counting: a file says so.
var errExhausted = errors.New("no number is left")

// List is an immutable list of revocations by ascending number. The zero value is empty.
type List struct {
	count   uint64
	entries []*authzv1.Revocation
	// index finds those that could end a token; lists share it. It may hold some that have
	// gone since, because another covers them or what they end has expired: they end
	// nothing that would be good otherwise. recent are not in it yet.
	index  *index
	recent []*authzv1.Revocation
}

// maxRecent is how many revocations are looked at one by one before an index is made anew,
// which takes time by all that are kept.
const maxRecent = 64

// index is immutable. Each entry is under the first of these that it names.
type index struct {
	bySum              map[[sha256.Size]byte][]*authzv1.Revocation
	byID, bySub, byCli map[string][]*authzv1.Revocation
	rest               []*authzv1.Revocation
}

func newIndex(entries []*authzv1.Revocation) *index {
	x := &index{bySum: map[[sha256.Size]byte][]*authzv1.Revocation{},
		byID: map[string][]*authzv1.Revocation{}, bySub: map[string][]*authzv1.Revocation{}, byCli: map[string][]*authzv1.Revocation{}}
	for _, r := range entries {
		switch {
		case len(r.GetTokenSha256()) > 0:
			k := [sha256.Size]byte(r.GetTokenSha256())
			x.bySum[k] = append(x.bySum[k], r)
		case r.GetTokenId() != "":
			x.byID[r.GetTokenId()] = append(x.byID[r.GetTokenId()], r)
		case r.GetSubject() != "":
			x.bySub[r.GetSubject()] = append(x.bySub[r.GetSubject()], r)
		case r.GetClientId() != "":
			x.byCli[r.GetClientId()] = append(x.byCli[r.GetClientId()], r)
		default:
			x.rest = append(x.rest, r)
		}
	}
	return x
}

// NewList is the list of those entries, the last number of which given out is count.
func NewList(count uint64, entries []*authzv1.Revocation) (*List, error) {
	last := uint64(0)
	for _, r := range entries {
		if err := Check(r); err != nil {
			return nil, fmt.Errorf("revocation %d: %w", r.GetNumber(), err)
		}
		if r.GetNumber() <= last || r.GetNumber() > count {
			return nil, fmt.Errorf("revocation %d does not follow revocation %d of %d", r.GetNumber(), last, count)
		}
		last = r.GetNumber()
	}
	return &List{count: count, entries: entries, index: newIndex(entries)}, nil
}

// Count is the highest number given out: the revocation component of the epoch.
func (l *List) Count() uint64 { return l.count }

// Entries are all, by ascending number. The caller does not change them.
func (l *List) Entries() []*authzv1.Revocation { return l.entries }

// Skip is the list with its next number given out, which no revocation has: whoever goes by
// numbers asks again, and nobody is revoked.
func (l *List) Skip() (*List, error) {
	if l.count == ^uint64(0) {
		return nil, errExhausted
	}
	next := *l
	next.count++
	return &next, nil
}

// Since are those above a number. The caller does not change them.
func (l *List) Since(number uint64) []*authzv1.Revocation {
	i, _ := slices.BinarySearchFunc(l.entries, number+1, func(r *authzv1.Revocation, n uint64) int {
		switch {
		case r.GetNumber() < n:
			return -1
		case r.GetNumber() > n:
			return 1
		default:
			return 0
		}
	})
	return l.entries[i:]
}

// Ended reports whether any of them ends a token.
func (l *List) Ended(t Token) bool {
	ends := func(r *authzv1.Revocation) bool { return Matches(r, t) }
	if slices.ContainsFunc(l.recent, ends) {
		return true
	}
	x := l.index
	if x == nil {
		return false
	}
	for _, list := range [][]*authzv1.Revocation{x.bySum[t.SHA256], x.bySum[t.Twin], x.byID[t.ID], x.bySub[t.Subject], x.bySub[t.Actor], x.byCli[t.ClientID], x.rest} {
		if slices.ContainsFunc(list, ends) {
			return true
		}
	}
	return false
}

// With is the list with another revocation, which gets the next number, and that number.
// What is covered by one that is there needs no entry: the list comes back as it is, with
// the number from which on it holds. What it covers, and what has expired by now, goes.
func (l *List) With(r *authzv1.Revocation, now time.Time) (*List, uint64, error) {
	if err := Check(r); err != nil {
		return nil, 0, err
	}
	for _, have := range l.entries {
		if covers(have, r) {
			return l, have.GetNumber(), nil
		}
	}
	if l.count == ^uint64(0) {
		return nil, 0, errExhausted
	}
	next := slices.DeleteFunc(slices.Clone(l.entries), func(have *authzv1.Revocation) bool {
		return covers(r, have) || have.GetExpiresAt() != 0 && have.GetExpiresAt() <= now.Unix()
	})
	if len(next) >= MaxEntries {
		return nil, 0, ErrFull
	}
	entry := proto.CloneOf(r)
	entry.Number = l.count + 1
	list := &List{count: entry.GetNumber(), entries: append(next, entry), index: l.index, recent: append(slices.Clip(l.recent), entry)}
	if len(list.recent) > maxRecent {
		list.index, list.recent = newIndex(list.entries), nil
	}
	return list, entry.Number, nil
}
