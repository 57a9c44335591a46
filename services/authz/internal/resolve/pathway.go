package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// path is CoercionPathType.
type path int

const (
	// pathNone: there is no way.
	pathNone path = iota
	// pathFunction applies a cast function.
	pathFunction
	// pathRelabel needs no work but for the checks of a domain.
	pathRelabel
	// pathArray coerces the elements of an array.
	pathArray
	// pathIO goes through the text form.
	pathIO
)

// pathway is find_coercion_pathway of parse_coerce.c; the function is that of
// pathFunction.
func (r *Resolver) pathway(target, source catalog.OID, ctx Context) (path, catalog.OID) {
	return r.pathwayWithin(target, source, ctx, maxNesting)
}

// pathwayWithin stops at a depth that only a damaged catalog reaches.
func (r *Resolver) pathwayWithin(target, source catalog.OID, ctx Context, depth int) (path, catalog.OID) {
	target, source = r.Base(target), r.Base(source)
	if target == 0 || source == 0 || depth == 0 {
		return pathNone, 0
	}
	if source == target {
		return pathRelabel, 0
	}
	if r.seals(source, target) {
		return pathNone, 0
	}
	if c := r.Cast(source, target); c != nil {
		return castPath(c, ctx)
	}
	if target != oidvectorOID && target != int2vectorOID {
		if t, s := r.element(target), r.element(source); t != 0 && s != 0 {
			if p, _ := r.pathwayWithin(t, s, ctx, depth-1); p != pathNone {
				return pathArray, 0
			}
		}
	}
	if ctx >= Assignment {
		if category, _ := r.category(target); category == stringCategory {
			return pathIO, 0
		}
	}
	if ctx >= Explicit {
		if category, _ := r.category(source); category == stringCategory {
			return pathIO, 0
		}
	}
	return pathNone, 0
}

// castPath is what a row of pg_cast offers in a context. A row that makes no
// sense offers nothing.
func castPath(c *catalog.Cast, ctx Context) (path, catalog.OID) {
	var needs Context
	switch c.Context {
	case 'i':
		needs = Implicit
	case 'a':
		needs = Assignment
	case 'e':
		needs = Explicit
	default:
		return pathNone, 0
	}
	if ctx < needs {
		return pathNone, 0
	}
	switch c.Method {
	case 'f':
		if c.Function == 0 {
			return pathNone, 0
		}
		return pathFunction, c.Function
	case 'i':
		return pathIO, 0
	case 'b':
		return pathRelabel, 0
	default:
		return pathNone, 0
	}
}

// BinaryCoercible says whether values of one type are values of another without
// any work (IsBinaryCoercible).
func (r *Resolver) BinaryCoercible(source, target catalog.OID) bool {
	if source == target {
		return true
	}
	switch target {
	case anyOID, anyelementOID, anycompatibleOID:
		return true
	default:
	}
	source = r.Base(source)
	if source == 0 {
		return false
	}
	if source == target {
		return true
	}
	switch target {
	case anyarrayOID, anycompatibleArrayOID:
		if r.element(source) != 0 {
			return true
		}
	case anynonarrayOID, anycompatibleNonarrayOID:
		if r.element(source) == 0 {
			return true
		}
	case anyenumOID:
		if r.kind(source) == 'e' {
			return true
		}
	case anyrangeOID, anycompatibleRangeOID:
		if r.kind(source) == 'r' {
			return true
		}
	case anymultirangeOID, anycompatibleMultirangeOID:
		if r.kind(source) == 'm' {
			return true
		}
	case Record:
		if r.complex(source) {
			return true
		}
	case recordArray:
		if r.complexArray(source) {
			return true
		}
	default:
	}
	c := r.Cast(source, target)
	return c != nil && c.Method == 'b' && c.Context == 'i'
}

// LengthCoercion is the function that applies a type modifier to a value of the
// type, element by element for an array, or 0 (find_typmod_coercion_function).
// What a cast to a type with a modifier, or a store into a column that has one,
// runs beside the coercion of the type.
func (r *Resolver) LengthCoercion(oid catalog.OID) catalog.OID {
	if e := r.element(oid); e != 0 {
		oid = e
	}
	if c := r.Cast(oid, oid); c != nil {
		return c.Function
	}
	return 0
}

// inherits is typeInheritsFrom or typeIsOfTypedTable: rows of the first type are
// rows of the second with more columns, or in another order.
func (r *Resolver) inherits(sub, super catalog.OID) bool {
	from := r.RelationOf(sub)
	if from == 0 {
		return false
	}
	if rel := r.snap.RelationByOID(from); rel != nil && rel.OfType != 0 && rel.OfType == super {
		return true
	}
	t := r.snap.TypeByOID(super)
	if t == nil || t.Relation == 0 {
		return false
	}
	queue := []catalog.OID{from}
	visited := make(map[catalog.OID]bool)
	for len(queue) > 0 {
		oid := queue[0]
		queue = queue[1:]
		rel := r.snap.RelationByOID(oid)
		if rel == nil || visited[oid] {
			continue
		}
		visited[oid] = true
		for _, parent := range rel.Parents {
			if parent == t.Relation {
				return true
			}
			queue = append(queue, parent)
		}
	}
	return false
}
