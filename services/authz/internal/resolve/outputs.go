package resolve

import (
	"strconv"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// outputs fills in Outputs (build_function_result_tupdesc_d,
// resolve_polymorphic_tupdesc) and ResultName (get_func_result_name). Where
// PostgreSQL cannot tell the columns there are none.
func (r *Resolver) outputs(out *Found, d detail, nargs int) {
	f := d.function
	var columns []Output
	for i, mode := range f.ArgumentModes {
		if i >= len(f.AllArguments) || mode != 'o' && mode != 'b' && mode != 't' {
			continue
		}
		name := ""
		if i < len(f.ArgumentNames) {
			name = f.ArgumentNames[i]
		}
		columns = append(columns, Output{name, f.AllArguments[i]})
	}
	if len(columns) == 1 {
		out.ResultName = columns[0].Name
	}
	if len(columns) < 2 && f.Kind != 'p' {
		return
	}
	var types map[catalog.OID]catalog.OID
	for i := range columns {
		c := &columns[i]
		if c.Name == "" {
			c.Name = "column" + strconv.Itoa(i+1)
		}
		if !polymorphic(c.Type) {
			continue
		}
		if types == nil {
			types = r.polymorphicActuals(out, d, nargs)
		}
		if c.Type = types[c.Type]; c.Type == 0 {
			return
		}
	}
	out.Outputs = columns
}

// polymorphicActuals maps polymorphic types to what they stand for in a call,
// deduced from the arguments as the call has them, VARIADIC ones packed.
func (r *Resolver) polymorphicActuals(out *Found, d detail, nargs int) map[catalog.OID]catalog.OID {
	passed := out.Declared[:nargs]
	types := make(map[catalog.OID]catalog.OID)
	for i, declared := range d.function.Arguments {
		if !polymorphic(declared) {
			continue
		}
		// In the call's order even in named notation: so PostgreSQL looks at it.
		var t catalog.OID
		switch {
		case d.expanded > 0 && i == nargs-d.expanded:
			t = r.ArrayOf(passed[i])
		case i < nargs && (d.expanded == 0 || i < nargs-d.expanded):
			t = passed[i]
		}
		if t == 0 {
			return nil
		}
		for _, name := range alike(declared) {
			if types[name] == 0 {
				types[name] = t
			}
		}
	}
	r.deduceOthers(types, anyelementOID, anyarrayOID, anyrangeOID, anymultirangeOID)
	r.deduceOthers(types, anycompatibleOID, anycompatibleArrayOID, anycompatibleRangeOID, anycompatibleMultirangeOID)
	for _, t := range []catalog.OID{anyelementOID, anycompatibleOID} {
		for _, name := range alike(t) {
			types[name] = types[t]
		}
	}
	return types
}

// alike lists the polymorphic types that stand for the same.
func alike(t catalog.OID) []catalog.OID {
	switch t {
	case anyelementOID, anynonarrayOID, anyenumOID:
		return []catalog.OID{anyelementOID, anynonarrayOID, anyenumOID}
	case anycompatibleOID, anycompatibleNonarrayOID:
		return []catalog.OID{anycompatibleOID, anycompatibleNonarrayOID}
	default:
		return []catalog.OID{t}
	}
}

// deduceOthers fills in the types of a family that follow from others of it
// (resolve_anyelement_from_others and its kin of funcapi.c).
func (r *Resolver) deduceOthers(types map[catalog.OID]catalog.OID, element, array, rng, multirange catalog.OID) {
	if types[element] == 0 {
		switch {
		case types[array] != 0:
			types[element] = r.ElementOf(types[array])
		case types[rng] != 0:
			types[element] = r.rangeSubtype(r.Base(types[rng]))
		case types[multirange] != 0:
			types[element] = r.rangeSubtype(r.multirangeRange(r.Base(types[multirange])))
		}
	}
	if types[array] == 0 {
		types[array] = r.ArrayOf(types[element])
	}
	if types[rng] == 0 {
		types[rng] = r.multirangeRange(r.Base(types[multirange]))
	}
	if types[multirange] == 0 {
		types[multirange] = r.snap.MultirangeOf(r.Base(types[rng]))
	}
}
