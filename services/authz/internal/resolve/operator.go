package resolve

import (
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Operator resolves an operator as make_op of parse_oper.c does. Left is 0 for a
// prefix operator. An empty schema stands for the search path.
func (r *Resolver) Operator(schema, name string, left, right catalog.OID) (FoundOperator, *Error) {
	o, err := r.findOperator(schema, name, left, right)
	if err != nil {
		return FoundOperator{}, err
	}
	out := FoundOperator{Operator: o}
	declared := [2]catalog.OID{o.Left, o.Right}
	actual := [2]catalog.OID{left, right}
	first := 0
	if left == 0 {
		first = 1
	}
	if out.Result, err = r.enforce(actual[first:], declared[first:], o.Result); err != nil {
		return FoundOperator{}, err
	}
	if err := r.checkInternal(declared[first:], out.Result); err != nil {
		return FoundOperator{}, err
	}
	if left != 0 {
		if out.Left, err = r.coerce(left, declared[0], Implicit); err != nil {
			return FoundOperator{}, err
		}
	}
	if out.Right, err = r.coerce(right, declared[1], Implicit); err != nil {
		return FoundOperator{}, err
	}
	return out, nil
}

// ArrayOperator resolves scalar op ANY/ALL (array) (make_scalar_array_op). Right
// is how the array gets to an array of the operator's right type.
func (r *Resolver) ArrayOperator(schema, name string, left, array catalog.OID) (FoundOperator, *Error) {
	right := Unknown
	if array != Unknown {
		if right = r.ElementOf(array); right == 0 {
			return FoundOperator{}, errorf(wrongObjectType, "op ANY/ALL (array) requires array on right side")
		}
	}
	o, err := r.findOperator(schema, name, left, right)
	if err != nil {
		return FoundOperator{}, err
	}
	out := FoundOperator{Operator: o}
	declared := [2]catalog.OID{o.Left, o.Right}
	if out.Result, err = r.enforce([]catalog.OID{left, right}, declared[:], o.Result); err != nil {
		return FoundOperator{}, err
	}
	if out.Result != Bool {
		return FoundOperator{}, errorf(wrongObjectType, "op ANY/ALL (array) requires operator to yield boolean")
	}
	if f := r.snap.FunctionByOID(o.Function); f == nil || f.ReturnSet {
		return FoundOperator{}, errorf(wrongObjectType, "op ANY/ALL (array) requires operator not to return a set")
	}
	target := array
	if !polymorphic(declared[1]) {
		if target = r.ArrayOf(declared[1]); target == 0 {
			return FoundOperator{}, r.noArray(declared[1])
		}
	}
	if out.Left, err = r.coerce(left, declared[0], Implicit); err != nil {
		return FoundOperator{}, err
	}
	if out.Right, err = r.coerce(array, target, Implicit); err != nil {
		return FoundOperator{}, err
	}
	return out, nil
}

// CompatibleOperator resolves a binary operator that takes the types without any
// run-time coercion (compatible_oper): ORDER BY … USING and the like.
func (r *Resolver) CompatibleOperator(schema, name string, left, right catalog.OID) (*catalog.Operator, *Error) {
	o, err := r.selectOperator(schema, name, left, right)
	if err != nil {
		return nil, err
	}
	if !r.BinaryCoercible(left, o.Left) || !r.BinaryCoercible(right, o.Right) {
		return nil, errorf(undefinedFunction, "operator requires run-time type coercion: %s",
			r.operatorSignature(schema, name, left, right))
	}
	return o, nil
}

// findOperator is oper or left_oper, shells left out.
func (r *Resolver) findOperator(schema, name string, left, right catalog.OID) (*catalog.Operator, *Error) {
	o, err := r.selectOperator(schema, name, left, right)
	if err != nil {
		return nil, err
	}
	if o.Function == 0 {
		return nil, errorf(undefinedFunction, "operator is only a shell: %s",
			r.operatorSignature(schema, name, o.Left, o.Right))
	}
	return o, nil
}

// selectOperator is oper or left_oper of parse_oper.c.
func (r *Resolver) selectOperator(schema, name string, left, right catalog.OID) (*catalog.Operator, *Error) {
	if right == 0 {
		return nil, errorf(syntaxError, "postfix operators are not supported")
	}
	if o := r.exactMatch(schema, name, left, right); o != nil {
		return o, nil
	}
	if err := r.known(left, right); err != nil {
		return nil, err
	}
	list, err := r.operatorCandidates(schema, name, left == 0)
	if err != nil {
		return nil, err
	}
	actual := []catalog.OID{left, right}
	if left == 0 {
		actual = actual[1:]
	}
	if err := r.unknowable(len(actual), list); err != nil {
		return nil, err
	}
	matching := r.matchArguments(actual, list)
	switch len(matching) {
	case 0:
		hint := hintNoOperator
		if left == 0 {
			hint = hintNoPrefixOperator
		}
		return nil, errorf(undefinedFunction, "operator does not exist: %s",
			r.operatorSignature(schema, name, left, right)).hint(hint)
	case 1:
		return matching[0].operator, nil
	}
	if c := r.selectCandidate(actual, matching); c != nil {
		return c.operator, nil
	}
	return nil, errorf(ambiguousFunction, "operator is not unique: %s", r.operatorSignature(schema, name, left, right)).hint(hintWhichOperator)
}

// exactMatch is binary_oper_exact, or the exact match of left_oper: an unknown
// operand is taken to have the type of the other one.
func (r *Resolver) exactMatch(schema, name string, left, right catalog.OID) *catalog.Operator {
	unknown := false
	switch {
	case left == 0:
	case left == Unknown:
		left, unknown = right, true
	case right == Unknown:
		right, unknown = left, true
	}
	if o := r.ExactOperator(schema, name, left, right); o != nil {
		return o
	}
	if unknown {
		if base := r.Base(left); base != left && base != 0 {
			return r.ExactOperator(schema, name, base, base)
		}
	}
	return nil
}

// operatorSignature is op_signature_string.
func (r *Resolver) operatorSignature(schema, name string, left, right catalog.OID) string {
	var b strings.Builder
	if left != 0 {
		b.WriteString(r.Name(left) + " ")
	}
	b.WriteString(qualified(schema, name) + " " + r.Name(right))
	return b.String()
}
