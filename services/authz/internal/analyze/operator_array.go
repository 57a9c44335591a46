package analyze

import (
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// operateArray is make_scalar_array_op. long says that the array may be a constant that
// is long enough to be hashed.
func (a *analyzer) operateArray(name []string, left, right value, long bool, location int32) (value, error) {
	schema, op, err := a.operatorName(name)
	if err != nil {
		return value{}, err
	}
	found, bad := a.names().ArrayOperator(schema, op, left.typ, right.typ)
	if bad != nil {
		return value{}, a.noOperator(schema, op, bad, location)
	}
	a.held.meetBareOperator(schema, found.Operator)
	l, err := a.convert(left, found.Left)
	if err != nil {
		return value{}, err
	}
	if _, err := a.convert(right, found.Right); err != nil {
		return value{}, err
	}
	result := typed(resolve.Bool, leftmost(location, left.location, right.location))
	element := typed(a.names().ElementOf(right.typ), -1)
	if long {
		if err := a.hashesArray(found.Operator); err != nil {
			return value{}, err
		}
	}
	if found.Operator.OID >= catalog.FirstNormalOID {
		// One comparison for each element (predicate_classify of predtest.c).
		a.current.compares = append(a.current.compares, found.Operator)
	}
	return result, a.runNamed(schema, found.Operator, found.Result, []value{l, element})
}
