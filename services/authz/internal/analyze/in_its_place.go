package analyze

import (
	"maps"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Which operators the planner puts in the place of the one that is written, whose
// functions PostgreSQL then asks execute for: the negator under NOT (negate_clause), the
// commutator in a hash join (get_switched_clauses), the equalities of both sides where
// one can be hashed (nodeSubplan.c, create_unique_plan), the hash function for a
// constant array (convert_saop_to_hashed_saop).

// The operators boolean = boolean and boolean <> boolean (pg_operator.dat), of which
// simplify_boolean_equality makes NOT.
const booleanEqual, booleanNotEqual catalog.OID = 91, 85

// hashedArray is the least number of elements that are hashed
// (MIN_ARRAY_SIZE_FOR_HASHED_SAOP of clauses.c).
const hashedArray = 9

// inItsPlace judges what can run in the place of an operator.
func (a *analyzer) inItsPlace(op *catalog.Operator) error {
	if op.OID == booleanEqual || op.OID == booleanNotEqual {
		a.current.negates = true
	}
	commutator, negator := a.userFunction(op.Commutator), a.userFunction(op.Negator)
	if negator != nil {
		a.current.negatable = append(a.current.negatable, op)
	}
	for _, oid := range []catalog.OID{op.Left, op.Right} {
		if oid >= catalog.FirstNormalOID || a.ordersByUsers(oid) {
			a.current.operands = append(a.current.operands, oid)
		}
	}
	if !op.Hashes {
		return nil
	}
	if commutator != nil {
		if err := a.invoke(commutator, nil); err != nil {
			return err
		}
	}
	if err := a.groups(op.Left); err != nil {
		return err
	}
	return a.groups(op.Right)
}

// memoizes asks for the equalities of types by which the planner may remember what it has
// found for a value: of the operands of a join's condition, whatever its operator, and of
// what LATERAL looks at (check_memoizable of initsplan.c, paraminfo_get_equal_hashops of joinpath.c).
// It finds values by their hashes alone.
func (a *analyzer) memoizes() error {
	if a.current.items < 2 {
		return nil
	}
	types := a.current.operands
	if a.current.lateral {
		types = slices.Sorted(maps.Keys(a.current.held))
		types = append(types, a.current.operands...)
	}
	done := map[catalog.OID]bool{}
	for _, oid := range types {
		if done[oid] {
			continue
		}
		done[oid] = true
		if oid < catalog.FirstNormalOID && !a.ordersByUsers(oid) {
			continue
		}
		if found, _ := a.names().Sort(oid); !found.Hashable {
			continue
		}
		if err := a.groups(oid); err != nil {
			return err
		}
	}
	return nil
}

// userFunction is the function of an operator if a user made it, else nil.
func (a *analyzer) userFunction(operator catalog.OID) *catalog.Function {
	if operator < catalog.FirstNormalOID {
		return nil
	}
	op := a.snap.OperatorByOID(operator)
	if op == nil || op.Function < catalog.FirstNormalOID {
		// A shell, which the planner does not take.
		return nil
	}
	return a.snap.FunctionByOID(op.Function)
}

// whole judges what shows only when all of a statement, with its views and bodies, is
// in place.
func (a *analyzer) whole() error {
	if a.current == nil {
		return nil
	}
	if err := a.memoizes(); err != nil {
		return err
	}
	if err := a.negated(); err != nil {
		return err
	}
	if err := a.derived(); err != nil {
		return err
	}
	if err := a.proves(); err != nil {
		return err
	}
	return a.indexClasses()
}

// negated asks for the negators of a statement in which something may be turned around.
// What is turned around shows only when views and bodies are in place, so that every
// operator counts.
func (a *analyzer) negated() error {
	if !a.current.negates {
		return nil
	}
	asked := map[catalog.OID]bool{}
	// Bodies add operators.
	for i := 0; i < len(a.current.negatable); i++ {
		op := a.current.negatable[i]
		if asked[op.OID] {
			continue
		}
		asked[op.OID] = true
		if err := a.spend(1); err != nil {
			return err
		}
		if err := a.invoke(a.userFunction(op.Negator), nil); err != nil {
			return err
		}
		if err := a.kin(a.snap.OperatorByOID(op.Negator)); err != nil {
			return err
		}
	}
	return nil
}

// hashesArray asks for what finds a value among the elements of a constant array by their
// hashes: the hash function of the equality, or for an operator that is none its negator
// and the hash function of that.
func (a *analyzer) hashesArray(op *catalog.Operator) error {
	for _, oid := range []catalog.OID{op.OID, op.Negator} {
		if oid < catalog.FirstNormalOID {
			continue
		}
		equality := a.snap.OperatorByOID(oid)
		if equality == nil || equality.Left != equality.Right {
			continue
		}
		f, found := a.hashFunction(equality)
		if !found {
			continue
		}
		if f != nil {
			if err := a.invoke(f, nil); err != nil {
				return err
			}
		}
		if oid != op.OID {
			return a.invokeOperator(oid)
		}
		return nil
	}
	return nil
}

// hashFunction is the function of a user that hashes for an equality
// (get_op_hash_functions); nil where it is the server's. found reports whether there is one.
func (a *analyzer) hashFunction(equality *catalog.Operator) (f *catalog.Function, found bool) {
	for class := range a.snap.EachCodedClass() {
		if class.Method != "hash" || !slices.Contains(class.FamilyOperators, equality.OID) {
			continue
		}
		found = true
		for _, oid := range class.FamilyFunctions {
			// The other support function hashes with a seed, and its second argument is that.
			if f := a.snap.FunctionByOID(oid); f != nil && len(f.Arguments) == 1 && (f.Arguments[0] == equality.Left || class.Input == equality.Left) {
				return f, true
			}
		}
	}
	return nil, found
}
