package snapshotter

import (
	"crypto/sha256"
	"maps"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// object is what a catalog row stands for: the catalog table and the OID.
type object struct {
	table string
	oid   catalog.OID
}

// unit is an object that is read by itself.
type unit[T catalog.Relation | catalog.Type | catalog.Function] struct {
	value T
	sums  catalog.Sums
	// unread is set while a text of it could not be printed.
	unread bool
	// floating is set when a text shows names that it does not depend on.
	floating bool
	// labels are those of an enum, by their OIDs.
	labels map[catalog.OID]string
}

// store is a catalog in a form in which parts of it can be replaced. It shares its
// units with the stores before and after it; none is changed once it is complete.
type store struct {
	// whole has what is not read object by object.
	whole     catalog.Snapshot
	relations map[catalog.OID]*unit[catalog.Relation]
	types     map[catalog.OID]*unit[catalog.Type]
	functions map[catalog.OID]*unit[catalog.Function]
	inventory inventory
}

func newStore() *store {
	return &store{
		relations: make(map[catalog.OID]*unit[catalog.Relation]),
		types:     make(map[catalog.OID]*unit[catalog.Type]),
		functions: make(map[catalog.OID]*unit[catalog.Function]),
		inventory: make(inventory),
	}
}

// clone returns a store whose parts can be replaced.
func (s *store) clone() *store {
	return &store{
		whole: s.whole, relations: maps.Clone(s.relations), types: maps.Clone(s.types),
		functions: maps.Clone(s.functions), inventory: maps.Clone(s.inventory),
	}
}

// has reports whether an object is there.
func (s *store) has(o object) bool {
	switch o.table {
	case pgClass:
		return s.relations[o.oid] != nil
	case pgType:
		return s.types[o.oid] != nil
	case pgProc:
		return s.functions[o.oid] != nil
	default:
		return false
	}
}

// drop forgets objects, which may not be there.
func (s *store) drop(objects map[object]bool) {
	for o := range objects {
		switch o.table {
		case pgClass:
			delete(s.relations, o.oid)
		case pgType:
			delete(s.types, o.oid)
		case pgProc:
			delete(s.functions, o.oid)
		default: // A name that texts show is not kept.
		}
	}
}

// which lists the objects whose unit answers yes.
func (s *store) which(relation func(*unit[catalog.Relation]) bool, typ func(*unit[catalog.Type]) bool, function func(*unit[catalog.Function]) bool) map[object]bool {
	out := make(map[object]bool)
	for oid, u := range s.relations {
		if relation(u) {
			out[object{pgClass, oid}] = true
		}
	}
	for oid, u := range s.types {
		if typ(u) {
			out[object{pgType, oid}] = true
		}
	}
	for oid, u := range s.functions {
		if function(u) {
			out[object{pgProc, oid}] = true
		}
	}
	return out
}

// unread lists the objects of which a text could not be printed.
func (s *store) unread() map[object]bool {
	return s.which(func(u *unit[catalog.Relation]) bool { return u.unread }, func(u *unit[catalog.Type]) bool { return u.unread },
		func(u *unit[catalog.Function]) bool { return u.unread })
}

// floating lists the objects whose texts show names that they do not depend on.
func (s *store) floating() map[object]bool {
	return s.which(func(u *unit[catalog.Relation]) bool { return u.floating }, func(u *unit[catalog.Type]) bool { return u.floating },
		func(u *unit[catalog.Function]) bool { return u.floating })
}

// snapshot makes a snapshot without version and index, and returns the digest of its
// content, texts included.
func (s *store) snapshot() (snap *catalog.Snapshot, content [sha256.Size]byte) {
	out := s.whole
	var relations, types, functions []catalog.Sums
	out.Relations, relations = list(s.relations)
	out.Types, types = list(s.types)
	out.Functions, functions = list(s.functions)
	sums := out.DigestWith(relations, types, functions)
	out.Digest = sums.Identity
	return &out, sums.Content
}

// list lists units in the order of their OIDs.
func list[T catalog.Relation | catalog.Type | catalog.Function](units map[catalog.OID]*unit[T]) ([]T, []catalog.Sums) {
	values, sums := make([]T, 0, len(units)), make([]catalog.Sums, 0, len(units))
	for _, oid := range slices.Sorted(maps.Keys(units)) {
		values, sums = append(values, units[oid].value), append(sums, units[oid].sums)
	}
	return values, sums
}
