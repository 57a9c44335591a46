package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// generics is what the arguments say about polymorphic types: the first family
// (anyelement and its kin) and the second (anycompatible and its kin).
type generics struct {
	element, array, rng, multirange catalog.OID
	// nonarray, enum and multi say that such a type is declared.
	nonarray, enum, multi bool
	// declared counts the parameters of the first family, unknown says that one of
	// them got an unknown argument.
	declared int
	unknown  bool

	compatible                                       []catalog.OID
	compatibleRange, compatibleMultirange            catalog.OID
	compatibleSubtype, compatibleMember              catalog.OID
	compatibleDeclared, hasArray, hasRange, hasMulti bool
	compatibleNonarray                               bool
}

// mismatch is the error for arguments that do not agree.
func mismatch(format string, args ...any) *Error { return errorf(datatypeMismatch, format, args...) }

func notAlike(name string) *Error {
	return mismatch("arguments declared \"%s\" are not all alike", name)
}

// collect is the first loop of check_generic_type_consistency and
// enforce_generic_type_consistency.
func (r *Resolver) collect(actual, declared []catalog.OID, g *generics) *Error {
	for i, d := range declared {
		a := actual[i]
		var err *Error
		switch {
		case polymorphicFamily1(d):
			g.declared++
			g.nonarray = g.nonarray || d == anynonarrayOID
			g.enum = g.enum || d == anyenumOID
			g.multi = g.multi || d == anymultirangeOID
			if a == Unknown {
				g.unknown = true
				continue
			}
			err = r.collectFirst(a, d, g)
		case polymorphicFamily2(d):
			g.compatibleDeclared = true
			g.compatibleNonarray = g.compatibleNonarray || d == anycompatibleNonarrayOID
			g.hasArray = g.hasArray || d == anycompatibleArrayOID
			g.hasRange = g.hasRange || d == anycompatibleRangeOID
			g.hasMulti = g.hasMulti || d == anycompatibleMultirangeOID
			if a == Unknown {
				continue
			}
			err = r.collectSecond(a, d, g)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Resolver) collectFirst(a, d catalog.OID, g *generics) *Error {
	into, name := &g.element, "anyelement"
	switch d {
	case anyarrayOID:
		into, name, a = &g.array, "anyarray", r.Base(a)
	case anyrangeOID:
		into, name, a = &g.rng, "anyrange", r.Base(a)
	case anymultirangeOID:
		into, name, a = &g.multirange, "anymultirange", r.Base(a)
	default: // anyelement, anynonarray, anyenum
	}
	if *into != 0 && *into != a {
		return notAlike(name)
	}
	*into = a
	return nil
}

func (r *Resolver) collectSecond(a, d catalog.OID, g *generics) *Error {
	switch d {
	case anycompatibleArrayOID:
		a = r.Base(a)
		e := r.element(a)
		if e == 0 {
			return mismatch("argument declared %s is not an array but type %s", "anycompatiblearray", r.Name(a))
		}
		g.compatible = append(g.compatible, e)
	case anycompatibleRangeOID:
		a = r.Base(a)
		if g.compatibleRange != 0 {
			if g.compatibleRange != a {
				return notAlike("anycompatiblerange")
			}
			return nil
		}
		g.compatibleRange, g.compatibleSubtype = a, r.rangeSubtype(a)
		if g.compatibleSubtype == 0 {
			return mismatch("argument declared %s is not a range type but type %s", "anycompatiblerange", r.Name(a))
		}
		g.compatible = append(g.compatible, g.compatibleSubtype)
	case anycompatibleMultirangeOID:
		a = r.Base(a)
		if g.compatibleMultirange != 0 {
			if g.compatibleMultirange != a {
				return notAlike("anycompatiblemultirange")
			}
			return nil
		}
		g.compatibleMultirange, g.compatibleMember = a, r.multirangeRange(a)
		if g.compatibleMember == 0 {
			return mismatch("argument declared %s is not a multirange type but type %s",
				"anycompatiblemultirange", r.Name(a))
		}
	default:
		g.compatible = append(g.compatible, a)
	}
	return nil
}

// consistent is check_generic_type_consistency: whether the arguments could
// match the polymorphic parameters.
func (r *Resolver) consistent(actual, declared []catalog.OID) bool {
	var g generics
	if r.collect(actual, declared, &g) != nil {
		return false
	}
	return r.firstConsistent(&g) && r.secondConsistent(&g)
}

func (r *Resolver) firstConsistent(g *generics) bool {
	if g.array != 0 && g.array != anyarrayOID {
		e := r.element(g.array)
		if e == 0 || g.element != 0 && g.element != e {
			return false
		}
		g.element = e
	}
	if g.multirange != 0 {
		m := r.multirangeRange(g.multirange)
		if m == 0 || g.rng != 0 && g.rng != m {
			return false
		}
		g.rng = m
	}
	if g.rng != 0 {
		s := r.rangeSubtype(g.rng)
		if s == 0 || g.element != 0 && g.element != s {
			return false
		}
		g.element = s
	}
	if g.nonarray && r.arrayDomain(g.element) {
		return false
	}
	return !g.enum || r.kind(g.element) == 'e'
}

func (r *Resolver) secondConsistent(g *generics) bool {
	if g.compatibleMultirange != 0 {
		if g.compatibleRange != 0 {
			if g.compatibleMember != g.compatibleRange {
				return false
			}
		} else {
			g.compatibleRange = g.compatibleMember
			g.compatibleSubtype = r.rangeSubtype(g.compatibleRange)
			if g.compatibleSubtype == 0 {
				return false
			}
			g.compatible = append(g.compatible, g.compatibleSubtype)
		}
	}
	if len(g.compatible) == 0 {
		return true
	}
	common, _, _ := r.selectCommon(g.compatible)
	if common == 0 || !r.verifyCommon(common, g.compatible) {
		return false
	}
	if g.compatibleNonarray && r.arrayDomain(common) {
		return false
	}
	return g.compatibleSubtype == 0 || g.compatibleSubtype == common
}

// verifyCommon is verify_common_type_from_oids.
func (r *Resolver) verifyCommon(common catalog.OID, types []catalog.OID) bool {
	for _, t := range types {
		if !r.canCoerceOne(t, common, Implicit) {
			return false
		}
	}
	return true
}
