package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// Common is the type that the inputs of a construct take together, and to which
// each is then coerced implicitly (select_common_type, coerce_to_common_type).
// The context is the construct as PostgreSQL names it in errors: UNION, CASE,
// COALESCE, VALUES, ARRAY, GREATEST and so on; of CASE the first input is that
// of ELSE. Unknown inputs alone give Text. With an empty context there is no
// error: 0 says that the inputs have no common type (the list of IN).
func (r *Resolver) Common(types []catalog.OID, context string) (catalog.OID, *Error) {
	if len(types) == 0 {
		return 0, errorf(internalError, "no inputs to find a common type of")
	}
	if err := r.known(types...); err != nil {
		return 0, err
	}
	common, a, b := r.selectCommon(types)
	if common == 0 {
		if context == "" {
			return 0, nil
		}
		return 0, errorf(datatypeMismatch, "%s types %s and %s cannot be matched", context, r.Name(a), r.Name(b))
	}
	for i, t := range types {
		if r.canCoerceOne(t, common, Implicit) {
			continue
		}
		if context == "" {
			return 0, nil
		}
		if context == "CASE" {
			context = "CASE/WHEN"
			if i == 0 {
				context = "CASE/ELSE"
			}
		}
		return 0, errorf(cannotCoerce, "%s could not convert type %s to %s", context, r.Name(t), r.Name(common))
	}
	return common, nil
}

// ArrayConstructor is the type of ARRAY[…] and what its inputs are coerced to: the
// element type or, where an input is an array itself, the array type
// (transformArrayExpr). nested says that an input is written as an ARRAY[…], too.
// Where a cast stands around it, PostgreSQL does not ask for a common type.
func (r *Resolver) ArrayConstructor(types []catalog.OID, nested bool) (array, input catalog.OID, err *Error) {
	if len(types) == 0 {
		return 0, 0, errorf(indeterminateType, "cannot determine type of empty array")
	}
	if err := r.known(types...); err != nil {
		return 0, 0, err
	}
	for _, t := range types {
		nested = nested || r.element(t) != 0 && t != oidvectorOID && t != int2vectorOID
	}
	common, a, b := r.selectCommon(types)
	switch {
	case common == 0:
		return 0, 0, errorf(datatypeMismatch, "ARRAY types %s and %s cannot be matched", r.Name(a), r.Name(b))
	case nested && r.element(common) == 0:
		return 0, 0, errorf(undefinedObject, "could not find element type for data type %s", r.Name(common))
	case nested:
		array = common
	default:
		if array = r.ArrayOf(common); array == 0 {
			return 0, 0, r.noArray(common)
		}
	}
	if _, err := r.Common(types, "ARRAY"); err != nil {
		return 0, 0, err
	}
	return array, common, nil
}

// selectCommon is select_common_type and select_common_type_from_oids: 0, and the
// two types to blame, when categories differ.
func (r *Resolver) selectCommon(types []catalog.OID) (common, a, b catalog.OID) {
	common = types[0]
	same := 1
	if common != Unknown {
		for same < len(types) && types[same] == common {
			same++
		}
		// Only here can a domain be the answer.
		if same == len(types) {
			return common, 0, 0
		}
	}
	common = r.Base(common)
	category, preferred := r.category(common)
	for _, t := range types[same:] {
		t = r.Base(t)
		if t == Unknown || t == common {
			continue
		}
		c, p := r.category(t)
		switch {
		case common == Unknown:
			common, category, preferred = t, c, p
		case c != category:
			return 0, common, t
		case !preferred && r.canCoerceOne(common, t, Implicit) && !r.canCoerceOne(t, common, Implicit):
			common, preferred = t, p
		}
	}
	if common == Unknown {
		common = Text
	}
	return common, 0, 0
}
