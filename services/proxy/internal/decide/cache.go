package decide

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/fingerprint"
)

// maxCachedText is the longest text that is kept: longer ones are rare, seldom
// repeat, and would push out thousands of short ones.
const maxCachedText = 10000

// cacheKey is everything that an answer depends on. Keys are compared in full, so
// nothing can be found under a key that is merely alike. Each field of Request
// that authz is sent is in it, but for those that name the request (session,
// statement) and the token itself, which its hash stands for; a test walks the
// fields.
type cacheKey struct {
	token TokenHash
	// context is the whole session context, encoded: database, login, role,
	// search_path, settings and all that may be added to it.
	context string
	// answers is the digest of what the session's backend said of its own objects.
	answers string
	kind    UnitKind
	// types are the parameter types of a Parse, four bytes each.
	types string
	// settled are the types they were found to have, in the same form.
	settled string
	// text is the unit's text, or its fingerprint: printed says which.
	text    string
	printed bool
}

// Cache keeps allows for the fingerprint of the text they were made for, or for that
// text alone where authz says so or there is no fingerprint, and asks next for everything
// else. What it holds is used only while the fence says that it
// holds; nothing else is ever kept: no denial, no refusal, no error. Safe for
// concurrent use.
type Cache struct {
	next    Authorizer
	fence   *Fence
	entries *shares
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

// Authorize returns the decision that is kept for the request, or next's.
func (c *Cache) Authorize(ctx context.Context, req *Request) (*Decision, error) {
	if req.ContextKey == "" || len(req.Text) > maxCachedText || (req.Kind != UnitQuery && req.Kind != UnitParse) {
		return c.next.Authorize(ctx, req)
	}
	key := cacheKey{token: req.TokenHash, context: req.ContextKey, answers: req.AnswersKey, kind: req.Kind,
		types: encodeTypes(req.ParameterTypes), settled: encodeTypes(req.SettledTypes), text: string(req.Text)}
	printed, hasPrint := key, false
	var room [printRoom]byte
	if print, ok := fingerprint.Append(room[:0], req.Text); ok {
		printed.text, printed.printed, hasPrint = string(print), true, true
		if d := c.find(req, printed); d != nil {
			return d, nil
		}
	}
	if d := c.find(req, key); d != nil {
		return d, nil
	}
	d, err := c.next.Authorize(ctx, req)
	if err != nil || !d.Allowed() || !d.Cacheable {
		return d, err
	}
	kept := *d
	kept.Cached = true
	if d.Fingerprint && hasPrint {
		key, kept.Statements = printed, withoutDigests(d.Statements)
	}
	return d, c.entries.put(req.Principal, key, &kept)
}

// printRoom is the length of fingerprints that need no room of their own, in bytes.
const printRoom = 1 << 10

// find returns what is kept for a request under a key and may be used again, or nil.
func (c *Cache) find(req *Request, key cacheKey) *Decision {
	d, ok := c.entries.get(req.Principal, key)
	switch {
	case !ok || req.Fresh:
		return nil
	case c.fence.Holds(d, req.Context.GetDatabase()):
		return d
	}
	c.entries.remove(req.Principal, key)
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

func encodeTypes(types []uint32) string {
	if len(types) == 0 {
		return ""
	}
	b := make([]byte, 0, 4*len(types))
	for _, t := range types {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	return string(b)
}
