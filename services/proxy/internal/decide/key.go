package decide

import "encoding/binary"

// cacheKey is everything that an answer depends on. Keys are compared in full, so
// nothing can be found under a key that is merely alike: a collision of hashes, which
// Go's map seeds for each process, costs a comparison and no more. Each field of Request
// that authz is sent is in it, but for those that name the request (session,
// statement) and the token itself, which its hash stands for; tests walk the
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

// sought is a cacheKey of somebody else's bytes, so that to look for a decision copies
// none of them. It has the fields of cacheKey.
type sought struct {
	token   TokenHash
	context string
	answers string
	kind    UnitKind
	types   []byte
	settled []byte
	text    []byte
	printed bool
}

// in is the entry of an index that has the key, or nil. The key is written out where
// it is used: so the compiler leaves the copies of the bytes out.
func (k *sought) in(index map[cacheKey]*entry) *entry {
	return index[cacheKey{token: k.token, context: k.context, answers: k.answers, kind: k.kind, types: string(k.types), settled: string(k.settled),
		text: string(k.text), printed: k.printed}]
}

// key is the key with bytes of its own.
func (k *sought) key() cacheKey {
	return cacheKey{token: k.token, context: k.context, answers: k.answers, kind: k.kind, types: string(k.types), settled: string(k.settled),
		text: string(k.text), printed: k.printed}
}

// appendTypes appends the OIDs of types, four bytes each.
func appendTypes(b []byte, types []uint32) []byte {
	for _, t := range types {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	return b
}
