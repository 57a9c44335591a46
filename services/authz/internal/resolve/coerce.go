package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// CanCoerce says whether a value of one type can become one of another in the
// context (can_coerce_type). From Unknown anything can, as PostgreSQL assumes.
func (r *Resolver) CanCoerce(from, to catalog.OID, ctx Context) bool {
	return r.canCoerceOne(from, to, ctx)
}

func (r *Resolver) canCoerceOne(from, to catalog.OID, ctx Context) bool {
	if from == to {
		return true
	}
	if r.seals(from, to) {
		return false
	}
	if to == anyOID {
		return true
	}
	if polymorphic(to) {
		return r.consistent([]catalog.OID{from}, []catalog.OID{to})
	}
	return from == Unknown || r.source(from).reaches(to, ctx)
}

// canCoerce is can_coerce_type for several arguments, whose polymorphic
// parameters must agree. There may be more targets than arguments: defaults.
func (r *Resolver) canCoerce(from []source, to []catalog.OID) bool {
	generic := false
	for i := range from {
		switch {
		case from[i].oid == to[i]:
		case r.seals(from[i].oid, to[i]):
			return false
		case to[i] == anyOID:
		case polymorphic(to[i]):
			generic = true
		case from[i].oid == Unknown:
		case !from[i].reaches(to[i], Implicit):
			return false
		}
	}
	if !generic {
		return true
	}
	actual := make([]catalog.OID, len(from))
	for i := range from {
		actual[i] = from[i].oid
	}
	return r.consistent(actual, to[:len(from)])
}

// source is a type to coerce from, with what every look at it needs: an operator
// name has dozens of candidates.
type source struct {
	r         *Resolver
	oid, base catalog.OID
	element   catalog.OID
	complex   bool
}

func (r *Resolver) source(oid catalog.OID) source {
	s := source{r: r, oid: oid, base: r.Base(oid)}
	if t := r.snap.TypeByOID(s.base); t != nil {
		s.element, s.complex = t.Element, t.Relation != 0
	}
	return s
}

func (r *Resolver) sources(types []catalog.OID) []source {
	out := make([]source, len(types))
	for i, t := range types {
		out[i] = r.source(t)
	}
	return out
}

// reaches is the part of can_coerce_type for a known type and one that is not
// polymorphic.
func (s source) reaches(to catalog.OID, ctx Context) bool {
	r := s.r
	t := r.snap.TypeByOID(to)
	if t == nil {
		return false
	}
	if t.Kind != 'd' && ctx == Implicit && s.element == 0 && s.base != 0 {
		// What pathway comes to when neither a domain nor an array nor text is
		// involved.
		if t.OID == s.base {
			return true
		}
		if c := r.Cast(s.base, to); c != nil {
			if p, _ := castPath(c, ctx); p != pathNone {
				return true
			}
		}
	} else if p, _ := r.pathway(to, s.oid, ctx); p != pathNone {
		return true
	}
	switch {
	case s.oid == Record && r.complex(to), to == Record && s.complex, to == recordArray && r.complexArray(s.oid):
		return true
	default:
		return s.complex && r.inherits(s.oid, to)
	}
}

// Coerce says how a value of one type becomes one of another in the context, and
// what runs on the way (coerce_to_target_type, type modifiers left out: see
// LengthCoercion). Where there is no way the error is that of an explicit cast,
// 42846; callers that assign word their own.
//
// From Record to a row type it says that the caller, who knows the columns, has
// to coerce each of them (Coercion.Columns).
func (r *Resolver) Coerce(from, to catalog.OID, ctx Context) (Coercion, *Error) {
	if err := r.known(from, to); err != nil {
		return Coercion{}, err
	}
	if !r.canCoerceOne(from, to, ctx) {
		return Coercion{}, r.cannotCast(from, to)
	}
	return r.coerce(from, to, ctx)
}

func (r *Resolver) cannotCast(from, to catalog.OID) *Error {
	return errorf(cannotCoerce, "cannot cast type %s to %s", r.Name(from), r.Name(to))
}

// coerce is coerce_type, for what can be coerced.
func (r *Resolver) coerce(from, to catalog.OID, ctx Context) (Coercion, *Error) {
	return r.coerceWithin(from, to, ctx, maxNesting)
}

func (r *Resolver) coerceWithin(from, to catalog.OID, ctx Context, depth int) (Coercion, *Error) {
	switch {
	case depth == 0:
		return Coercion{}, errorf(internalError, "types nest too deeply")
	case from == to:
		return Coercion{From: from, To: to}, nil
	}
	switch to {
	case anyOID, anyelementOID, anynonarrayOID, anycompatibleOID, anycompatibleNonarrayOID:
		return Coercion{From: from, To: from}, nil
	case anyarrayOID, anyenumOID, anyrangeOID, anymultirangeOID, anycompatibleArrayOID, anycompatibleRangeOID,
		anycompatibleMultirangeOID:
		if from != Unknown {
			return Coercion{From: from, To: r.Base(from)}, nil
		}
	default:
	}
	base := r.Base(to)
	if base == 0 {
		return Coercion{}, r.known(to)
	}
	c := Coercion{From: from, To: to}
	if from == Unknown {
		c.Literal = true
		if err := r.addInput(&c, base); err != nil {
			return Coercion{}, err
		}
		r.addDomain(&c, to)
		return c, nil
	}
	p, function := r.pathway(to, from, ctx)
	switch p {
	case pathRelabel:
		// To the base type of a domain, or to another of the same form: the checks of
		// the target run either way.
	case pathFunction:
		c.Functions = append(c.Functions, function)
	case pathIO:
		if err := r.addOutput(&c, from); err != nil {
			return Coercion{}, err
		}
		if err := r.addInput(&c, base); err != nil {
			return Coercion{}, err
		}
	case pathArray:
		e, err := r.coerceWithin(r.ElementOf(from), r.element(base), ctx, depth-1)
		if err != nil {
			return Coercion{}, err
		}
		c.Functions, c.Domains = e.Functions, e.Domains
	default:
		switch {
		case from == Record && r.complex(to):
			c.Columns = true
		case to == Record && r.complex(from), to == recordArray && r.complexArray(from):
			c.To = from
			return c, nil
		case r.inherits(from, to):
			return c, nil
		default:
			return Coercion{}, errorf(internalError, "failed to find conversion function from %s to %s",
				r.Name(from), r.Name(to))
		}
	}
	r.addDomain(&c, to)
	return c, nil
}

// addDomain adds what coerce_to_domain runs: the checks of a domain and of those
// below it, and the length coercion that the modifier of a domain asks for. The
// snapshot does not say whether there is a modifier, so there may be none.
func (r *Resolver) addDomain(c *Coercion, oid catalog.OID) {
	for range maxNesting {
		t := r.snap.TypeByOID(oid)
		if t == nil || t.Kind != 'd' {
			return
		}
		if f := r.LengthCoercion(r.Base(oid)); f != 0 && !slices.Contains(c.Functions, f) {
			c.Functions = append(c.Functions, f)
		}
		if !slices.Contains(c.Domains, oid) {
			c.Domains = append(c.Domains, oid)
		}
		oid = t.Base
	}
}
