package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// call is a call on its way through ParseFuncOrColumn.
type call struct {
	*Call
	// actual are the types of the arguments; indices maps them to those written,
	// nil when none was left out.
	actual  []catalog.OID
	indices []int
	names   []string
}

// Call resolves a call as ParseFuncOrColumn of parse_func.c does, projections
// left out: a caller whose call could be one (t.f, or f(t) of one row argument
// without decoration) looks for a column first, or after 42883, as PostgreSQL
// does. With an error Found is the zero value. In attribute notation
// (Call.Column) nothing found is no error: the Kind is NotFound.
//
// An untyped parameter of type Void is left out, as JDBC has it; its Coercion
// is the zero value.
func (r *Resolver) Call(c Call) (Found, *Error) {
	k := call{Call: &c}
	if err := r.prepare(&k); err != nil {
		return Found{}, err
	}
	d, err := r.detail(&k)
	if err != nil {
		return Found{}, err
	}
	if err := r.checkKind(&k, d); err != nil {
		return Found{}, err
	}
	switch d.code {
	case detailCoercion:
		return r.callAsCast(&k, d.target)
	case detailMultiple:
		if c.Column {
			return Found{}, nil
		}
		hint := hintWhichFunction
		if c.Procedure {
			hint = hintWhichProcedure
		}
		return Found{}, errorf(ambiguousFunction, "%s %s is not unique", k.noun(), r.signature(&k)).hint(hint)
	case detailNotFound:
		if c.Column {
			return Found{}, nil
		}
		switch {
		case c.OrderBy:
			// The hint depends on how many columns ORDER BY has, which a Call does not say.
			return Found{}, r.undefined(&k)
		case c.Procedure:
			return Found{}, r.undefined(&k).hint(hintNoProcedure)
		default:
			return Found{}, r.undefined(&k).hint(hintNoFunction)
		}
	default:
		return r.finish(&k, d)
	}
}

func (k *call) noun() string {
	if k.Procedure {
		return "procedure"
	}
	return "function"
}

func (r *Resolver) undefined(k *call) *Error {
	return errorf(undefinedFunction, "%s %s does not exist", k.noun(), r.signature(k))
}

// prepare collects types and names.
func (r *Resolver) prepare(k *call) *Error {
	c := k.Call
	if len(c.Arguments) > maxArguments {
		return errorf(tooManyArguments, "cannot pass more than %d arguments to a function", maxArguments)
	}
	if c.Ordered < 0 || c.Ordered > len(c.Arguments) {
		return errorf(internalError, "ordered arguments exceed the arguments")
	}
	k.actual = make([]catalog.OID, 0, len(c.Arguments))
	for i := range c.Arguments {
		a := &c.Arguments[i]
		if a.Type == Void && a.Parameter && !c.Column && !c.WithinGroup {
			if k.indices == nil {
				k.indices = make([]int, 0, len(c.Arguments))
				for j := range i {
					k.indices = append(k.indices, j)
				}
			}
			continue
		}
		if k.indices != nil {
			k.indices = append(k.indices, i)
		}
		if t := r.snap.TypeByOID(a.Type); t == nil {
			return errorf(internalError, "cache lookup failed for type %d", a.Type)
		} else if t.Kind == 'd' && r.Base(a.Type) == 0 {
			return r.known(a.Type)
		}
		k.actual = append(k.actual, a.Type)
		switch {
		case a.Name == "" && len(k.names) > 0:
			return errorf(syntaxError, "positional argument cannot follow named argument")
		case a.Name == "":
		case slices.Contains(k.names, a.Name):
			return errorf(syntaxError, "argument name \"%s\" used more than once", a.Name)
		default:
			k.names = append(k.names, a.Name)
		}
	}
	return nil
}

// written is the place among the written arguments of the i-th one that counts.
func (k *call) written(i int) int {
	if k.indices == nil {
		return i
	}
	return k.indices[i]
}

// checkKind is the part of ParseFuncOrColumn that refuses routines of the wrong
// kind.
func (r *Resolver) checkKind(k *call, d detail) *Error {
	switch d.code {
	case detailNormal, detailProcedure, detailCoercion, detailAggregate, detailWindow:
	default:
		return nil
	}
	if k.Procedure && d.code != detailProcedure {
		return errorf(wrongObjectType, "%s is not a procedure", r.signature(k)).hint("To call a function, use SELECT.")
	}
	if !k.Procedure && d.code == detailProcedure {
		return errorf(wrongObjectType, "%s is a procedure", r.signature(k)).hint("To call a procedure, use CALL.")
	}
	if d.code == detailAggregate || d.code == detailWindow {
		return nil
	}
	name := qualified(k.Schema, k.Name)
	switch {
	case k.Star:
		return errorf(wrongObjectType, "%s(*) specified, but %s is not an aggregate function", name, name)
	case k.Distinct:
		return errorf(wrongObjectType, "DISTINCT specified, but %s is not an aggregate function", name)
	case k.WithinGroup:
		return errorf(wrongObjectType, "WITHIN GROUP specified, but %s is not an aggregate function", name)
	case k.OrderBy:
		return errorf(wrongObjectType, "ORDER BY specified, but %s is not an aggregate function", name)
	case k.Filter:
		return errorf(wrongObjectType, "FILTER specified, but %s is not an aggregate function", name)
	case k.Over:
		return errorf(wrongObjectType, "OVER specified, but %s is not a window function nor an aggregate function", name)
	default:
		return nil
	}
}

func (r *Resolver) callAsCast(k *call, target catalog.OID) (Found, *Error) {
	c, err := r.coerce(k.actual[0], target, Explicit)
	if err != nil {
		return Found{}, err
	}
	f := Found{Kind: Cast, Result: c.To, Coercions: make([]Coercion, len(k.Arguments))}
	f.Coercions[k.written(0)] = c
	return f, nil
}

// finish checks what depends on the kind of function, resolves polymorphic types
// and coerces the arguments.
func (r *Resolver) finish(k *call, d detail) (Found, *Error) {
	fn := d.function
	out := Found{Function: fn, Set: fn.ReturnSet, Order: d.order, Defaults: d.defaults}
	actual := k.actual
	hypothetical := map[int]Coercion(nil)
	switch d.code {
	case detailNormal:
		out.Kind = Plain
	case detailProcedure:
		out.Kind = Procedure
	case detailAggregate:
		out.Kind = Aggregate
		if err := r.checkAggregate(k, d); err != nil {
			return Found{}, err
		}
		if fn.Aggregate.Kind == 'h' {
			actual = slices.Clone(actual)
			var err *Error
			if hypothetical, err = r.unifyHypothetical(k, d.declared, actual); err != nil {
				return Found{}, err
			}
		}
	case detailWindow:
		out.Kind = Window
		name := qualified(k.Schema, k.Name)
		if !k.Over {
			return Found{}, errorf(wrongObjectType, "window function %s requires an OVER clause", name)
		}
		if k.WithinGroup {
			return Found{}, errorf(wrongObjectType, "window function %s cannot have WITHIN GROUP", name)
		}
	default:
		return Found{}, errorf(internalError, "a function of an unknown kind")
	}
	declared := slices.Clone(d.declared)
	all, err := r.withDefaults(k, d, actual)
	if err != nil {
		return Found{}, err
	}
	if out.Result, err = r.enforce(all, declared, fn.Result); err != nil {
		return Found{}, err
	}
	if err := r.checkInternal(declared, out.Result); err != nil {
		return Found{}, err
	}
	out.Coercions = make([]Coercion, len(k.Arguments))
	for i, from := range actual {
		c, isUnified := hypothetical[i]
		if !isUnified {
			if c, err = r.coerce(from, declared[i], Implicit); err != nil {
				return Found{}, err
			}
		}
		if out.Kind == Aggregate && c.To == Unknown && k.sorted(i) {
			if c, err = r.coerce(Unknown, Text, Implicit); err != nil {
				return Found{}, err
			}
		}
		out.Coercions[k.written(i)] = c
		if declared[i] == anyOID || polymorphic(declared[i]) {
			declared[i] = c.To
		}
	}
	for i := len(actual); i < len(declared); i++ {
		if polymorphic(declared[i]) {
			declared[i] = all[i]
		}
	}
	out.Declared = declared
	if err := r.checkVariadic(k, d, declared); err != nil {
		return Found{}, err
	}
	if err := checkClauses(k, d, len(actual)); err != nil {
		return Found{}, err
	}
	r.outputs(&out, d, len(actual))
	return out, nil
}

// sorted reports an argument of an aggregate that its clauses sort or compare:
// that makes an untyped one a text (addTargetToSortList, addTargetToGroupList).
func (k *call) sorted(i int) bool {
	return k.Distinct || k.WithinGroup && i >= len(k.actual)-k.Ordered
}

// withDefaults adds the types of the defaults used to those of the arguments.
// The default of a polymorphic parameter has the type of its expression, which
// the caller has to know; any other has been coerced to its parameter's.
func (r *Resolver) withDefaults(k *call, d detail, actual []catalog.OID) ([]catalog.OID, *Error) {
	if d.defaults == 0 {
		return actual, nil
	}
	all := append(make([]catalog.OID, 0, len(d.declared)), actual...)
	for i := len(actual); i < len(d.declared); i++ {
		t := d.declared[i]
		if polymorphic(t) || t == anyOID {
			t = 0
			place := i
			if d.order != nil {
				place = d.order[i]
			}
			if k.DefaultType != nil {
				t = k.DefaultType(d.function, place)
			}
			if t == 0 || r.snap.TypeByOID(t) == nil {
				return nil, errorf(internalError, "the type of a default of %s is not known", d.function.Name)
			}
		}
		all = append(all, t)
	}
	return all, nil
}

// checkVariadic makes sure that the array of VARIADIC arguments exists, and that
// an explicit VARIADIC "any" is one.
func (r *Resolver) checkVariadic(k *call, d detail, declared []catalog.OID) *Error {
	v := d.function.Variadic
	n := len(k.actual)
	if d.expanded > 0 && v != anyOID {
		if e := declared[n-d.expanded]; r.ArrayOf(e) == 0 {
			return r.noArray(e)
		}
	}
	if n > 0 && v == anyOID && k.Variadic && r.ElementOf(k.actual[n-1]) == 0 {
		e := errorf(datatypeMismatch, "VARIADIC argument must be an array")
		e.AtLast = true
		return e
	}
	return nil
}
