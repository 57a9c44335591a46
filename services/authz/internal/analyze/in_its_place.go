package analyze

import (
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

// negated asks for the negators of a statement in which something may be turned around.
// What is turned around shows only when views and bodies are in place, so that every
// operator counts.
func (a *analyzer) negated() error {
	if a.current == nil || !a.current.negates {
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
	}
	return nil
}

// hashesArray asks for the function that hashes the elements of a constant array:
// that of the equality, or of the negator of what is no equality.
func (a *analyzer) hashesArray(op *catalog.Operator) error {
	for _, oid := range []catalog.OID{op.OID, op.Negator} {
		if oid < catalog.FirstNormalOID {
			continue
		}
		equal := a.snap.OperatorByOID(oid)
		if equal == nil || equal.Left != equal.Right {
			continue
		}
		f := a.hashFunction(equal)
		if f == nil {
			continue
		}
		if err := a.invoke(f, nil); err != nil {
			return err
		}
		if oid != op.OID {
			if found := a.userFunction(oid); found != nil {
				return a.invoke(found, nil)
			}
		}
		return nil
	}
	return nil
}

// hashFunction is the function of a user that hashes for an equality
// (get_op_hash_functions), nil for none.
func (a *analyzer) hashFunction(equal *catalog.Operator) *catalog.Function {
	for class := range a.snap.EachClass() {
		if class.Method != "hash" || class.Input != equal.Left || !slices.Contains(class.Operators, equal.OID) {
			continue
		}
		if at := slices.Index(class.Numbers, hashStandard); at >= 0 && at < len(class.Functions) {
			if f := a.snap.FunctionByOID(class.Functions[at]); f != nil && f.OID >= catalog.FirstNormalOID {
				return f
			}
		}
	}
	return nil
}

// hashStandard is the number of the support function that hashes (HASHSTANDARD_PROC of
// access/hash.h).
const hashStandard = 1
