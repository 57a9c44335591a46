package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// maxNesting bounds how many domains may stand on one another, and how deep
// arrays, rows and ranges may lie in one another. PostgreSQL has no such bound;
// a catalog that goes deeper is damaged or meant to hurt, and is denied.
const maxNesting = 200

// Base is the type below all domains (getBaseType of lsyscache.c): the type
// itself when it is none. It is 0 for a type that the snapshot does not hold.
func (r *Resolver) Base(oid catalog.OID) catalog.OID {
	for range maxNesting {
		t := r.snap.TypeByOID(oid)
		if t == nil {
			return 0
		}
		if t.Kind != 'd' {
			return oid
		}
		oid = t.Base
	}
	return 0
}

// ArrayOf is the type's array type, or 0 (get_array_type).
func (r *Resolver) ArrayOf(oid catalog.OID) catalog.OID {
	if t := r.snap.TypeByOID(oid); t != nil {
		return t.Array
	}
	return 0
}

// ElementOf is the element type of an array or of a domain over one, or 0
// (get_base_element_type).
func (r *Resolver) ElementOf(oid catalog.OID) catalog.OID { return r.element(r.Base(oid)) }

// RelationOf is the relation behind a row type or a domain over one, or 0
// (typeOrDomainTypeRelid). It is 0 for record.
func (r *Resolver) RelationOf(oid catalog.OID) catalog.OID {
	if t := r.snap.TypeByOID(r.Base(oid)); t != nil {
		return t.Relation
	}
	return 0
}

// element is get_element_type: the element of a true array type, domains not
// looked through.
func (r *Resolver) element(oid catalog.OID) catalog.OID {
	if t := r.snap.TypeByOID(oid); t != nil {
		return t.Element
	}
	return 0
}

// arrayDomain is type_is_array_domain.
func (r *Resolver) arrayDomain(oid catalog.OID) bool { return r.ElementOf(oid) != 0 }

// complex is ISCOMPLEX of parse_type.h: a row type or a domain over one.
func (r *Resolver) complex(oid catalog.OID) bool { return r.RelationOf(oid) != 0 }

// complexArray is is_complex_array: an array of rows, record[] left out.
func (r *Resolver) complexArray(oid catalog.OID) bool {
	e := r.element(oid)
	return e != 0 && r.complex(e)
}

func (r *Resolver) kind(oid catalog.OID) byte {
	if t := r.snap.TypeByOID(oid); t != nil {
		return t.Kind
	}
	return 0
}

// rangeSubtype is get_range_subtype, multirangeRange get_multirange_range.
func (r *Resolver) rangeSubtype(oid catalog.OID) catalog.OID    { return r.subtype(oid, 'r') }
func (r *Resolver) multirangeRange(oid catalog.OID) catalog.OID { return r.subtype(oid, 'm') }

func (r *Resolver) subtype(oid catalog.OID, kind byte) catalog.OID {
	if t := r.snap.TypeByOID(oid); t != nil && t.Kind == kind {
		return t.Subtype
	}
	return 0
}

// stringCategory is TYPCATEGORY_STRING.
const stringCategory = 'S'

// category is get_type_category_preferred; 0 for a type that is missing.
func (r *Resolver) category(oid catalog.OID) (category byte, preferred bool) {
	if t := r.snap.TypeByOID(oid); t != nil {
		return t.Category, t.Preferred
	}
	return 0, false
}

// known reports the first type that the snapshot does not hold, in the words of
// the server's own look-up. Zero stands for no type.
func (r *Resolver) known(oids ...catalog.OID) *Error {
	for _, oid := range oids {
		if oid != 0 && r.Base(oid) == 0 {
			return errorf(internalError, "cache lookup failed for type %d", oid)
		}
	}
	return nil
}
