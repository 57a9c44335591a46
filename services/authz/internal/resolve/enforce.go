package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// unresolved is the error for a polymorphic type that only unknown arguments
// speak of.
func unresolved(name string) *Error {
	return mismatch("could not determine polymorphic type %s because input has type %s", name, "unknown")
}

func (r *Resolver) inconsistent(a, b string) *Error {
	return mismatch("argument declared %s is not consistent with argument declared %s", a, b)
}

func (r *Resolver) noArray(element catalog.OID) *Error {
	return errorf(undefinedObject, "could not find array type for data type %s", r.Name(element))
}

// enforce is enforce_generic_type_consistency of parse_coerce.c, with polymorphic
// actual types not allowed: it replaces in declared the parameter types that the
// arguments are coerced to, and returns the result type.
func (r *Resolver) enforce(actual, declared []catalog.OID, result catalog.OID) (catalog.OID, *Error) {
	if !anyPolymorphic(declared) {
		return result, nil
	}
	g := generics{
		nonarray: result == anynonarrayOID, enum: result == anyenumOID, multi: result == anymultirangeOID,
		compatibleNonarray: result == anycompatibleNonarrayOID, hasArray: result == anycompatibleArrayOID,
		hasRange: result == anycompatibleRangeOID, hasMulti: result == anycompatibleMultirangeOID,
	}
	if err := r.collect(actual, declared, &g); err != nil {
		return 0, err
	}
	if g.declared > 0 {
		if err := r.deduceFirst(&g, result); err != nil {
			return 0, err
		}
	}
	var second compatibles
	if g.compatibleDeclared {
		var err *Error
		if second, err = r.deduceSecond(&g); err != nil {
			return 0, err
		}
		for i, d := range declared {
			if polymorphicFamily2(d) {
				declared[i] = second.of(d)
			}
		}
	}
	if g.unknown {
		for i, d := range declared {
			if actual[i] != Unknown || !polymorphicFamily1(d) {
				continue
			}
			t, err := r.firstOf(&g, d)
			if err != nil {
				return 0, err
			}
			declared[i] = t
		}
	}
	switch {
	case polymorphicFamily1(result):
		return r.firstOf(&g, result)
	case polymorphicFamily2(result):
		t := second.of(result)
		if t == 0 {
			return 0, mismatch("could not identify %s type", r.Name(result))
		}
		return t, nil
	default:
		return result, nil
	}
}

func anyPolymorphic(types []catalog.OID) bool {
	for _, t := range types {
		if polymorphic(t) {
			return true
		}
	}
	return false
}

// deduceFirst checks the arguments of the first family against one another, and
// fills in what follows from them.
func (r *Resolver) deduceFirst(g *generics, result catalog.OID) *Error {
	if g.array != 0 {
		var e catalog.OID
		if g.array == anyarrayOID {
			// A column of pg_statistic: nothing may depend on its element type.
			if g.declared != 1 || result != anyarrayOID && polymorphicFamily1(result) {
				return mismatch("cannot determine element type of \"anyarray\" argument")
			}
			e = anyelementOID
		} else if e = r.element(g.array); e == 0 {
			return mismatch("argument declared %s is not an array but type %s", "anyarray", r.Name(g.array))
		}
		if g.element != 0 && g.element != e {
			return r.inconsistent("anyarray", "anyelement")
		}
		g.element = e
	}
	if g.multirange != 0 {
		m := r.multirangeRange(g.multirange)
		if m == 0 {
			return mismatch("argument declared %s is not a multirange type but type %s", "anymultirange",
				r.Name(g.multirange))
		}
		if g.rng != 0 && g.rng != m {
			return r.inconsistent("anymultirange", "anyrange")
		}
		g.rng = m
	} else if g.multi && g.rng != 0 {
		g.multirange = r.snap.MultirangeOf(g.rng)
	}
	if g.rng != 0 {
		s := r.rangeSubtype(g.rng)
		if s == 0 {
			return mismatch("argument declared %s is not a range type but type %s", "anyrange", r.Name(g.rng))
		}
		if g.element != 0 && g.element != s {
			return r.inconsistent("anyrange", "anyelement")
		}
		g.element = s
	}
	if g.element == 0 {
		return mismatch("could not determine polymorphic type because input has type %s", "unknown")
	}
	if g.element == anyelementOID {
		return nil
	}
	if g.nonarray && r.arrayDomain(g.element) {
		return mismatch("type matched to anynonarray is an array type: %s", r.Name(g.element))
	}
	if g.enum && r.kind(g.element) != 'e' {
		return mismatch("type matched to anyenum is not an enum type: %s", r.Name(g.element))
	}
	return nil
}

// firstOf is what a type of the first family stands for.
func (r *Resolver) firstOf(g *generics, declared catalog.OID) (catalog.OID, *Error) {
	switch declared {
	case anyarrayOID:
		if g.array == 0 {
			if g.array = r.ArrayOf(g.element); g.array == 0 {
				return 0, r.noArray(g.element)
			}
		}
		return g.array, nil
	case anyrangeOID:
		if g.rng == 0 {
			return 0, unresolved("anyrange")
		}
		return g.rng, nil
	case anymultirangeOID:
		if g.multirange == 0 {
			return 0, unresolved("anymultirange")
		}
		return g.multirange, nil
	default:
		return g.element, nil
	}
}

// compatibles is what the types of the second family stand for; 0 for what does
// not occur.
type compatibles struct{ element, array, rng, multirange catalog.OID }

func (c compatibles) of(declared catalog.OID) catalog.OID {
	switch declared {
	case anycompatibleArrayOID:
		return c.array
	case anycompatibleRangeOID:
		return c.rng
	case anycompatibleMultirangeOID:
		return c.multirange
	default:
		return c.element
	}
}

// deduceSecond finds the common type of the arguments of the second family.
func (r *Resolver) deduceSecond(g *generics) (compatibles, *Error) {
	if g.compatibleMultirange != 0 {
		if g.compatibleRange != 0 {
			if g.compatibleMember != g.compatibleRange {
				return compatibles{}, r.inconsistent("anycompatiblemultirange", "anycompatiblerange")
			}
		} else {
			g.compatibleRange = g.compatibleMember
			g.compatibleSubtype = r.rangeSubtype(g.compatibleRange)
			if g.compatibleSubtype == 0 {
				return compatibles{}, mismatch("argument declared %s is not a multirange type but type %s",
					"anycompatiblemultirange", r.Name(g.compatibleMultirange))
			}
			g.hasRange = true
			g.compatible = append(g.compatible, g.compatibleSubtype)
		}
	} else if g.hasMulti && g.compatibleRange != 0 {
		g.compatibleMultirange = r.snap.MultirangeOf(g.compatibleRange)
	}
	c := compatibles{rng: g.compatibleRange, multirange: g.compatibleMultirange}
	if len(g.compatible) == 0 {
		// Unknown arguments alone are taken for text, which says nothing of ranges.
		if g.hasRange {
			return c, unresolved("anycompatiblerange")
		}
		if g.hasMulti {
			return c, unresolved("anycompatiblemultirange")
		}
		c.element, c.array = Text, textArrayOID
		return c, nil
	}
	common, a, b := r.selectCommon(g.compatible)
	if common == 0 {
		return c, mismatch("argument types %s and %s cannot be matched", r.Name(a), r.Name(b))
	}
	if !r.verifyCommon(common, g.compatible) {
		return c, mismatch("arguments of anycompatible family cannot be cast to a common type")
	}
	c.element = common
	if g.hasArray {
		if c.array = r.ArrayOf(common); c.array == 0 {
			return c, r.noArray(common)
		}
	}
	if g.hasRange {
		if c.rng == 0 {
			return c, unresolved("anycompatiblerange")
		}
		if g.compatibleSubtype != common {
			return c, mismatch("anycompatiblerange type %s does not match anycompatible type %s", r.Name(c.rng),
				r.Name(common))
		}
	}
	if g.hasMulti {
		if c.multirange == 0 {
			return c, unresolved("anycompatiblemultirange")
		}
		if g.compatibleSubtype != common {
			return c, mismatch("anycompatiblemultirange type %s does not match anycompatible type %s",
				r.Name(c.multirange), r.Name(common))
		}
	}
	if g.compatibleNonarray && r.arrayDomain(common) {
		return c, mismatch("type matched to anycompatiblenonarray is an array type: %s", r.Name(common))
	}
	return c, nil
}
