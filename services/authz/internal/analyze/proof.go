package analyze

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The planner proves that a clause implies the predicate of an index, or rules out a check
// or another clause, by comparing their constants with a third operator of the btree
// family (operator_predicate_proof of predtest.c). It runs that like any expression, so
// that PostgreSQL asks for execute on it.

// Strategies of btree comparisons (access/stratnum.h), and that of <> (ROWCOMPARE_NE of
// nodes/primnodes.h).
const (
	less, lessEqual, equal, greaterEqual, greater, notEqual = 1, 2, 3, 4, 5, 6
	strategies                                              = 6
)

// implied is the operator that compares the constants of a predicate and a clause to
// prove the one by the other, by their strategies (BT_implic_table of predtest.c); 0
// where nothing follows.
func implied(clause, predicate int16) int16 {
	return [strategies][strategies]int16{
		{greaterEqual, greaterEqual, 0, 0, 0, greaterEqual},
		{greater, greaterEqual, 0, 0, 0, greater},
		{greater, greaterEqual, equal, lessEqual, less, notEqual},
		{0, 0, 0, lessEqual, less, less},
		{0, 0, 0, lessEqual, lessEqual, lessEqual},
		{0, 0, 0, 0, 0, equal},
	}[clause-1][predicate-1]
}

// refuted is implied for ruling the predicate out (BT_refute_table).
func refuted(clause, predicate int16) int16 {
	return [strategies][strategies]int16{
		{0, 0, greaterEqual, greaterEqual, greaterEqual, 0},
		{0, 0, greater, greater, greaterEqual, 0},
		{lessEqual, less, notEqual, greater, greaterEqual, equal},
		{lessEqual, less, less, 0, 0, 0},
		{lessEqual, lessEqual, lessEqual, 0, 0, 0},
		{0, 0, equal, 0, 0, 0},
	}[clause-1][predicate-1]
}

// comparison is an operator as a member of a btree family, one way around.
type comparison struct {
	strategy    int16
	left, right catalog.OID
	// of is the operator itself, often says that there are several of it.
	of    catalog.OID
	often bool
}

// proves asks for execute on what compares the constants of a statement's comparisons
// with those of the predicates and checks of what it reads: either may imply the other
// (check_index_predicates of indxpath.c). With one another they are compared where there
// is an index, whose conditions may imply the rest (create_indexscan_plan), and for
// children and branches of a union, which clauses that rule each other out leave out
// (relation_excluded_by_constraints of plancat.c, as constraint_exclusion has it by default).
func (a *analyzer) proves() error {
	if len(a.current.compares) == 0 {
		return nil
	}
	return a.eachOrdering(a.provesOf)
}

func (a *analyzer) provesOf(class *catalog.OperatorClass) error {
	predicates, err := a.asMembers(class, a.current.predicates)
	if err != nil {
		return err
	}
	clauses, err := a.asMembers(class, a.current.compares)
	if err != nil {
		return err
	}
	if err := a.spend(len(clauses) * (len(clauses) + len(predicates))); err != nil {
		return err
	}
	indexed := class.OID < catalog.FirstNormalOID || slices.ContainsFunc(a.current.classed, func(c classed) bool {
		return slices.ContainsFunc(c.rel.ForeignOperatorClasses, func(oid catalog.OID) bool {
			other := a.snap.ClassByOID(oid)
			return other != nil && other.Family == class.Family
		})
	})
	tests := map[comparison]bool{}
	for _, c := range clauses {
		for _, p := range predicates {
			if p.left == c.left {
				tests[comparison{strategy: implied(c.strategy, p.strategy), left: p.right, right: c.right}] = true
				tests[comparison{strategy: refuted(c.strategy, p.strategy), left: p.right, right: c.right}] = true
				tests[comparison{strategy: implied(p.strategy, c.strategy), left: c.right, right: p.right}] = true
			}
		}
		for _, other := range clauses {
			if other.left != c.left || other.of == c.of && !c.often {
				continue
			}
			if a.current.appends {
				tests[comparison{strategy: refuted(c.strategy, other.strategy), left: other.right, right: c.right}] = true
			}
			if indexed {
				tests[comparison{strategy: implied(c.strategy, other.strategy), left: other.right, right: c.right}] = true
			}
		}
	}
	for i, oid := range class.FamilyOperators {
		op := a.snap.OperatorByOID(oid)
		if op == nil {
			continue
		}
		if tests[comparison{strategy: class.FamilyStrategies[i], left: op.Left, right: op.Right}] {
			if err := a.invokeOperator(oid); err != nil {
				return err
			}
		}
		if class.FamilyStrategies[i] == equal && tests[comparison{strategy: notEqual, left: op.Left, right: op.Right}] {
			if err := a.invokeOperator(op.Negator); err != nil {
				return err
			}
		}
	}
	return nil
}

// invokeOperator judges a call of an operator's function if a user made it.
func (a *analyzer) invokeOperator(oid catalog.OID) error {
	if f := a.userFunction(oid); f != nil {
		return a.invoke(f, nil)
	}
	return nil
}

// asMembers are the comparisons that operators are in a family, each both ways around: a
// constant on the left has the operator turned (get_op_btree_interpretation, operator_predicate_proof).
func (a *analyzer) asMembers(class *catalog.OperatorClass, operators []*catalog.Operator) ([]comparison, error) {
	if err := a.spend(len(operators)); err != nil {
		return nil, err
	}
	turned := [strategies + 1]int16{less: greater, lessEqual: greaterEqual, equal: equal, greaterEqual: lessEqual, greater: less, notEqual: notEqual}
	var all []comparison
	for _, op := range operators {
		strategy := memberStrategy(class, op.OID)
		if strategy == 0 && memberStrategy(class, op.Negator) == equal {
			strategy = notEqual
		}
		if strategy < less || strategy > notEqual {
			continue
		}
		found := false
		for i := range all {
			if all[i].of == op.OID {
				found, all[i].often = true, true
			}
		}
		if !found {
			all = append(all, comparison{strategy, op.Left, op.Right, op.OID, false}, comparison{turned[strategy], op.Right, op.Left, op.OID, false})
		}
	}
	return all, nil
}

// memberStrategy is the strategy of an operator in a family, 0 for none.
func memberStrategy(class *catalog.OperatorClass, oid catalog.OID) int16 {
	if at := slices.Index(class.FamilyOperators, oid); at >= 0 {
		return class.FamilyStrategies[at]
	}
	if at := slices.Index(class.Operators, oid); at >= 0 {
		return class.Strategies[at]
	}
	return 0
}
