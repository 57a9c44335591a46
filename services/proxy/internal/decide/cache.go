package decide

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/fingerprint"
)

// maxCachedText is the longest text that is kept: longer ones are rare, seldom
// repeat, and would push out thousands of short ones.
const maxCachedText = 10000

// Cache keeps allows for the fingerprint of the text they were made for, or for that
// text alone where authz says so or there is no fingerprint, and asks next for everything
// else. What it holds is used only while the fence says that it
// holds; nothing else is ever kept: no denial, no refusal, no error. Safe for
// concurrent use.
type Cache struct {
	next    Authorizer
	fence   *Fence
	entries *shares
	// rooms are for keys that are looked for.
	rooms sync.Pool
}

// NewCache returns a cache of so many entries in front of next, of which nobody can
// take more than an equal share from the others.
func NewCache(next Authorizer, fence *Fence, entries int) (*Cache, error) {
	c, err := newShares(entries)
	if err != nil {
		return nil, err
	}
	return &Cache{next: next, fence: fence, entries: c}, nil
}

// ContextKey encodes a session context for Request.ContextKey. Equal contexts
// have equal encodings, and different ones different encodings: the encoding is
// the message's own, with maps in order.
func ContextKey(c *authzv1.SessionContext) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// AnswersKey is the digest of answers to probes for Request.AnswersKey; empty for
// none. Their lengths are in what is digested.
func AnswersKey(answers []*authzv1.ProbeAnswer) (string, error) {
	if len(answers) == 0 {
		return "", nil
	}
	sum := sha256.New()
	for _, a := range answers {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
		if err != nil {
			return "", err
		}
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		sum.Write(b)
	}
	return string(sum.Sum(nil)), nil
}

// Authorize returns the decision that is kept for the request, or next's. A decision that
// is found costs no allocation.
func (c *Cache) Authorize(ctx context.Context, req *Request) (*Decision, error) {
	if req.ContextKey == "" || len(req.Text) > maxCachedText || (req.Kind != UnitQuery && req.Kind != UnitParse) {
		return c.next.Authorize(ctx, req)
	}
	r := c.room()
	defer c.rooms.Put(r)
	d, hasPrint := c.find(req, r)
	if d != nil {
		return d, nil
	}
	d, err := c.next.Authorize(ctx, req)
	if err != nil || !d.Allowed() || !d.Cacheable {
		return d, err
	}
	kept := *d
	kept.Cached = true
	k := r.sought(req, req.Text, false)
	if d.Fingerprint && hasPrint {
		k, kept.Statements = r.sought(req, r.print, true), withoutDigests(d.Statements)
	}
	return d, c.entries.put(req.Principal, &k, &kept)
}

// room is where a request's key is put together, used again by the next one.
type room struct{ print, types []byte }

func (c *Cache) room() *room {
	if r, ok := c.rooms.Get().(*room); ok {
		return r
	}
	return &room{}
}

// sought is the key of a request with its text or its fingerprint. It holds bytes of
// both, and of the room.
func (r *room) sought(req *Request, text []byte, printed bool) sought {
	r.types = appendTypes(appendTypes(r.types[:0], req.ParameterTypes), req.SettledTypes)
	settled := 4 * len(req.ParameterTypes)
	return sought{token: req.TokenHash, context: req.ContextKey, answers: req.AnswersKey, kind: req.Kind,
		types: r.types[:settled], settled: r.types[settled:], text: text, printed: printed}
}

// find returns what is kept for a request and may be used again, or nil. The room holds the
// fingerprint then, if the text has one.
func (c *Cache) find(req *Request, r *room) (d *Decision, hasPrint bool) {
	if r.print, hasPrint = fingerprint.Append(r.print[:0], req.Text); hasPrint {
		if d = c.held(req, r.sought(req, r.print, true)); d != nil {
			return d, true
		}
	}
	return c.held(req, r.sought(req, req.Text, false)), hasPrint
}

// held returns what is kept under a key and may be used again, or nil.
func (c *Cache) held(req *Request, key sought) *Decision {
	d, ok := c.entries.get(req.Principal, &key)
	switch {
	case !ok || req.Fresh:
		return nil
	case c.fence.Holds(d, req.Context.GetDatabase()):
		return d
	}
	c.entries.remove(req.Principal, &key)
	return nil
}

// withoutDigests is what statements are in other texts of the same fingerprint: the
// digests of their texts are others.
func withoutDigests(statements []*authzv1.Statement) []*authzv1.Statement {
	all := make([]*authzv1.Statement, 0, len(statements))
	for _, st := range statements {
		all = append(all, &authzv1.Statement{Kind: st.GetKind(), Accesses: st.GetAccesses(), Normalised: st.GetNormalised(),
			Effects: st.GetEffects(), Cursor: st.GetCursor(), ParameterTypeOids: st.GetParameterTypeOids()})
	}
	return all
}
