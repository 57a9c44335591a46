package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"reflect"
	"slices"
)

// digestLabel begins what is hashed, so that a digest of another encoding
// cannot be the same by accident.
const digestLabel = "scopewire catalog snapshot 6\n"

// Sums are the digests of one object: Identity is of every field without the tag
// `digest:"-"`, Content of all.
type Sums struct {
	Identity, Content [sha256.Size]byte
}

// Sum returns the digests of a relation, a type or a function. Who keeps them can
// have a snapshot's digest without hashing every object again.
func Sum[T Relation | Type | Function](object *T) Sums {
	v := reflect.ValueOf(object).Elem()
	return Sums{Identity: digestOf(v, true), Content: digestOf(v, false)}
}

func digestOf(v reflect.Value, identity bool) [sha256.Size]byte {
	e := encoder{hash: sha256.New(), identity: identity}
	e.value(v)
	e.flush()
	return [sha256.Size]byte(e.hash.Sum(nil))
}

// ComputeDigest returns the digest of the content: of every field but Digest,
// Version and those that are tagged `digest:"-"`, which follow from others. Equal
// catalogs have equal digests, on whatever replica they were read: rows are taken
// in the order of their OIDs, settings by name. Lists inside a row are taken as
// they stand; whoever fills a snapshot sorts them where their order means nothing.
//
// The encoding is injective: numbers have eight bytes, and texts and lists
// begin with their length. It follows the types by reflection, so that a field
// added to the model cannot be left out of the digest by mistake.
func (s *Snapshot) ComputeDigest() [sha256.Size]byte {
	identity := func(sums Sums) [sha256.Size]byte { return sums.Identity }
	return s.digestWith(digestLists{
		relations: sumsOf(s.Relations, func(v Relation) OID { return v.OID }, identity),
		types:     sumsOf(s.Types, func(v Type) OID { return v.OID }, identity),
		functions: sumsOf(s.Functions, func(v Function) OID { return v.OID }, identity),
	})
}

// DigestWith returns what ComputeDigest does, and the digest of all fields, tagged
// ones included, from the digests of the objects: one for each relation, type and
// function, in the order of their OIDs.
func (s *Snapshot) DigestWith(relations, types, functions []Sums) Sums {
	lists := func(of func(Sums) [sha256.Size]byte) digestLists {
		return digestLists{relations: pick(relations, of), types: pick(types, of), functions: pick(functions, of)}
	}
	return Sums{
		Identity: s.digestWith(lists(func(v Sums) [sha256.Size]byte { return v.Identity })),
		Content:  s.digestWith(lists(func(v Sums) [sha256.Size]byte { return v.Content })),
	}
}

// digestLists stand for the lists of objects in a snapshot's digest.
type digestLists struct {
	relations, types, functions [][sha256.Size]byte
}

func (s *Snapshot) digestWith(lists digestLists) [sha256.Size]byte {
	c := Snapshot{
		Database: s.Database, ServerVersionNum: s.ServerVersionNum, ServerEncoding: s.ServerEncoding, TextSearch: s.TextSearch,
		Schemas:         sorted(s.Schemas, func(v Schema) OID { return v.OID }),
		Operators:       sorted(s.Operators, func(v Operator) OID { return v.OID }),
		Casts:           sorted(s.Casts, func(v Cast) OID { return v.OID }),
		OperatorClasses: sorted(s.OperatorClasses, func(v OperatorClass) OID { return v.OID }),
		Collations:      sorted(s.Collations, func(v Collation) OID { return v.OID }),
		Roles:           sorted(s.Roles, func(v Role) OID { return v.OID }),
		Extensions:      sorted(s.Extensions, func(v Extension) OID { return v.OID }),
		EventTriggers:   sorted(s.EventTriggers, func(v EventTrigger) OID { return v.OID }),
		Globals:         sorted(s.Globals, func(v Global) uint64 { return uint64(v.Kind)<<32 | uint64(v.OID) }),
		Settings:        sorted(s.Settings, func(v Setting) string { return v.Name }),
	}
	e := encoder{hash: sha256.New(), identity: true}
	e.text(digestLabel)
	for _, list := range [][][sha256.Size]byte{lists.relations, lists.types, lists.functions} {
		e.number(uint64(len(list)))
		for _, sum := range list {
			e.flush()
			_, _ = e.hash.Write(sum[:]) // A hash never fails.
		}
	}
	e.value(reflect.ValueOf(&c).Elem())
	e.flush()
	return [sha256.Size]byte(e.hash.Sum(nil))
}

// sumsOf hashes every row of a list, in the order of their OIDs.
func sumsOf[T Relation | Type | Function](rows []T, oid func(T) OID, of func(Sums) [sha256.Size]byte) [][sha256.Size]byte {
	out := make([][sha256.Size]byte, 0, len(rows))
	for _, row := range sorted(rows, oid) {
		out = append(out, of(Sum(&row)))
	}
	return out
}

func pick(sums []Sums, of func(Sums) [sha256.Size]byte) [][sha256.Size]byte {
	out := make([][sha256.Size]byte, len(sums))
	for i, v := range sums {
		out[i] = of(v)
	}
	return out
}

func sorted[T any, K cmp.Ordered](rows []T, key func(T) K) []T {
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return out
}

// encoder feeds values to a hash through a buffer.
type encoder struct {
	hash hash.Hash
	buf  []byte
	// identity leaves the fields out that are tagged `digest:"-"`.
	identity bool
}

func (e *encoder) number(n uint64) {
	e.buf = binary.BigEndian.AppendUint64(e.buf, n)
	if len(e.buf) >= 4096 {
		e.flush()
	}
}

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *encoder) flush() {
	_, _ = e.hash.Write(e.buf) // A hash never fails.
	e.buf = e.buf[:0]
}

// value encodes the kinds that the model is made of. Any other kind is a field
// somebody added without saying how it is compared.
func (e *encoder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		e.text(v.String())
	case reflect.Bool:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		e.number(n)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.number(uint64(v.Int())) //nolint:gosec // G115: two's complement, injective.
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.number(v.Uint())
	case reflect.Slice:
		e.number(uint64(v.Len())) //nolint:gosec // G115: a length.
		for i := range v.Len() {
			e.value(v.Index(i))
		}
	case reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			e.buf = append(e.buf, v.Slice(0, v.Len()).Bytes()...)
			return
		}
		for i := range v.Len() {
			e.value(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			// The index is made from the exported fields, and is empty here.
			f := v.Type().Field(i)
			if f.IsExported() && !(e.identity && f.Tag.Get("digest") == "-") {
				e.value(v.Field(i))
			}
		}
	default:
		panic(fmt.Sprintf("the digest of a catalog does not know the kind %s", v.Kind()))
	}
}
