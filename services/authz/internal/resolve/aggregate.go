package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// checkAggregate is the part of ParseFuncOrColumn that holds an aggregate against
// WITHIN GROUP.
func (r *Resolver) checkAggregate(k *call, d detail) *Error {
	a := &d.function.Aggregate
	name := qualified(k.Schema, k.Name)
	switch a.Kind {
	case 'n':
		if k.WithinGroup {
			return errorf(wrongObjectType, "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", name)
		}
		return nil
	case 'o', 'h':
	default:
		return errorf(internalError, "cache lookup failed for aggregate %d", d.function.OID)
	}
	if !k.WithinGroup {
		return errorf(wrongObjectType, "WITHIN GROUP is required for ordered-set aggregate %s", name)
	}
	if k.Over {
		return errorf(featureNotSupported, "OVER is not supported for ordered-set aggregate %s", name)
	}
	nargs := len(k.actual)
	direct := nargs - k.Ordered
	if d.function.Variadic == 0 {
		if direct != a.Direct {
			return r.undefined(k)
		}
		return nil
	}
	parameters := nargs
	if d.expanded > 1 {
		parameters -= d.expanded - 1
	}
	var wrong bool
	switch {
	case a.Direct < parameters:
		wrong = direct != a.Direct
	case a.Kind == 'h':
		wrong = d.expanded != 2*k.Ordered
	default:
		wrong = d.expanded <= k.Ordered
	}
	if wrong {
		return r.undefined(k)
	}
	return nil
}

// unifyHypothetical is unify_hypothetical_args: the hypothetical arguments take
// the common type with what they are compared to. It changes actual, and returns
// the coercions by argument.
func (r *Resolver) unifyHypothetical(k *call, declared, actual []catalog.OID) (map[int]Coercion, *Error) {
	direct := len(actual) - k.Ordered
	first := direct - k.Ordered
	if first < 0 {
		return nil, errorf(internalError, "incorrect number of arguments to hypothetical-set aggregate")
	}
	out := make(map[int]Coercion)
	for h := first; h < direct; h++ {
		a := direct + h - first
		if declared[h] != declared[a] {
			return nil, errorf(internalError, "hypothetical-set aggregate has inconsistent declared argument types")
		}
		if declared[h] != anyOID {
			continue
		}
		common, x, y := r.selectCommon([]catalog.OID{actual[a], actual[h]})
		if common == 0 {
			return nil, errorf(datatypeMismatch, "WITHIN GROUP types %s and %s cannot be matched", r.Name(x), r.Name(y))
		}
		for _, i := range []int{h, a} {
			c, err := r.coerce(actual[i], common, Implicit)
			if err != nil {
				return nil, err
			}
			out[i] = c
			actual[i] = common
		}
	}
	return out, nil
}

// checkClauses is the end of ParseFuncOrColumn for aggregates and window
// functions: what they cannot be combined with.
func checkClauses(k *call, d detail, nargs int) *Error {
	name := qualified(k.Schema, k.Name)
	bare := nargs == 0 && !k.Star
	switch {
	case d.code == detailAggregate && !k.Over:
		switch {
		case bare && !k.WithinGroup:
			return errorf(wrongObjectType, "%s(*) must be used to call a parameterless aggregate function", name)
		case d.function.ReturnSet:
			return errorf(invalidFunction, "aggregates cannot return sets")
		case len(k.names) > 0:
			return errorf(featureNotSupported, "aggregates cannot use named arguments")
		}
	case d.code == detailAggregate || d.code == detailWindow:
		switch {
		case k.Distinct:
			return errorf(featureNotSupported, "DISTINCT is not implemented for window functions")
		case d.code == detailAggregate && bare:
			return errorf(wrongObjectType, "%s(*) must be used to call a parameterless aggregate function", name)
		case k.OrderBy:
			return errorf(featureNotSupported, "aggregate ORDER BY is not implemented for window functions")
		case d.code == detailWindow && k.Filter:
			return errorf(featureNotSupported, "FILTER is not implemented for non-aggregate window functions")
		case d.function.ReturnSet:
			return errorf(invalidFunction, "window functions cannot return sets")
		}
	}
	return nil
}
