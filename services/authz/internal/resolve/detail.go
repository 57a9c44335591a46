package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// detailCode is FuncDetailCode.
type detailCode int

const (
	detailNotFound detailCode = iota
	detailMultiple
	detailNormal
	detailProcedure
	detailAggregate
	detailWindow
	detailCoercion
)

// detail is what func_get_detail returns.
type detail struct {
	code     detailCode
	function *catalog.Function
	// target is the type of a coercion.
	target catalog.OID
	// declared are the parameter types in the call's order, defaulted ones last.
	// They may be the catalog's own and must not be changed.
	declared           []catalog.OID
	order              []int
	expanded, defaults int
}

// detail is func_get_detail of parse_func.c.
func (r *Resolver) detail(k *call) (detail, *Error) {
	if f := r.exactFunction(k); f != nil {
		return describe(&candidate{function: f, arguments: f.Arguments})
	}
	list, err := r.functionCandidates(lookup{
		schema: k.Schema, name: k.Name, nargs: len(k.actual), names: k.names,
		variadic: !k.Variadic, defaults: true, outputs: k.Procedure,
	})
	if err != nil {
		return detail{}, err
	}
	var best *candidate
	for i := range list {
		if slices.Equal(k.actual, list[i].arguments[:len(k.actual)]) {
			best = &list[i]
			break
		}
	}
	if best == nil {
		if target := r.callTarget(k); target != 0 {
			return detail{code: detailCoercion, target: target}, nil
		}
		if err := r.unknowable(len(k.actual), list); err != nil {
			return detail{}, err
		}
		matching := r.matchArguments(k.actual, list)
		switch len(matching) {
		case 0:
			return detail{}, nil
		case 1:
			best = &matching[0]
		default:
			if best = r.selectCandidate(k.actual, matching); best == nil {
				return detail{code: detailMultiple}, nil
			}
		}
	}
	if best.function == nil {
		return detail{code: detailMultiple}, nil
	}
	// VARIADIC with names must fall on the VARIADIC parameter.
	if n := len(k.actual); len(k.names) > 0 && k.Variadic && n > 0 && best.order[n-1] != n-1 {
		return detail{}, nil
	}
	return describe(best)
}

func describe(c *candidate) (detail, *Error) {
	d := detail{
		function: c.function, declared: c.arguments, order: c.order, expanded: c.expanded, defaults: c.defaults,
	}
	switch c.function.Kind {
	case 'f':
		d.code = detailNormal
	case 'p':
		d.code = detailProcedure
	case 'a':
		d.code = detailAggregate
	case 'w':
		d.code = detailWindow
	default:
		return detail{}, errorf(internalError, "unrecognized prokind: %c", c.function.Kind)
	}
	return d, nil
}

// exactFunction finds the function that takes exactly the arguments when that can
// be told without listing candidates: in positional notation, when no function of
// the name that could be meant has a VARIADIC parameter or defaults.
func (r *Resolver) exactFunction(k *call) *catalog.Function {
	if len(k.names) > 0 || k.Procedure {
		return nil
	}
	var found *catalog.Function
	best := 0
	for _, f := range r.functionsNamed(k.Name) {
		special := f.Variadic != 0 || f.Defaults > 0
		if !special && !slices.Equal(f.Arguments, k.actual) {
			continue
		}
		p := 0
		if k.Schema != "" {
			if f.Schema != k.Schema {
				continue
			}
		} else if p = r.position(f.Schema); p < 0 {
			continue
		}
		if special {
			return nil
		}
		if found == nil || p < best {
			found, best = f, p
		}
	}
	return found
}

// callTarget is the type that a call with one argument casts to, or 0. A cast
// function is found by its own name, so only relabelling and conversion through
// text count; from a row to a string they do not.
func (r *Resolver) callTarget(k *call) catalog.OID {
	if len(k.actual) != 1 || len(k.names) > 0 {
		return 0
	}
	target := r.functionAsType(k.Schema, k.Name)
	if target == 0 {
		return 0
	}
	source := k.actual[0]
	if source == Unknown && !k.Arguments[k.written(0)].Parameter {
		return target
	}
	switch p, _ := r.pathway(target, source, Explicit); p {
	case pathRelabel:
		return target
	case pathIO:
		category, _ := r.category(target)
		if category == stringCategory && (source == Record || r.complex(source)) {
			return 0
		}
		return target
	default:
		return 0
	}
}
