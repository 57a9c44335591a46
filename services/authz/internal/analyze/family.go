package analyze

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What the server calls of an operator's kin without asking anybody for execute:
//
//   - its commutator and negator, on the values that ANALYZE kept, to estimate how many
//     rows there are (scalarineqsel_wrapper, eqsel_internal, neqjoinsel of selfuncs.c), and
//     the commutator in an index condition (match_opclause_to_indexcol of indxpath.c);
//   - the support functions and comparisons of the operator families that it is of, for
//     merge and hash joins, sorting, index scans, the range of values (mergejoinscansel,
//     get_variable_range of selfuncs.c), partitions to leave out (partprune.c);
//   - its estimators themselves.
//
// All of it must be trusted: where the operator's function is a user's, by the grant of
// execute on that, which is asked for anyway.

// kin judges what an operator that is written may have called beside it.
func (a *analyzer) kin(op *catalog.Operator) error {
	f := a.snap.FunctionByOID(op.Function)
	if f == nil {
		return deny(access.OpaqueCode, "operator "+op.Name+" of schema "+op.Schema)
	}
	switch {
	case op.OID < catalog.FirstNormalOID:
	case a.predicate:
		a.current.predicates = append(a.current.predicates, op)
	default:
		a.current.compares = append(a.current.compares, op)
	}
	if a.predicate {
		// Of the predicate of an index the planner estimates what the statement implies: by an
		// operator of the same family, or the same one.
		return nil
	}
	var on access.Object
	asked := f.OID >= catalog.FirstNormalOID && a.classify(f).Class == builtin.Unreviewed
	if asked {
		on = a.functionObject(f)
	}
	found, err := a.families(op, on, asked)
	if err != nil {
		return err
	}
	if op.Restrict == 0 && op.Join == 0 && !found {
		return nil
	}
	for _, oid := range []catalog.OID{op.Commutator, op.Negator} {
		partner := a.userFunction(oid)
		if partner == nil || partner.OID == f.OID {
			continue
		}
		if !asked {
			on = a.functionObject(partner)
		}
		if err := a.runSupport(partner.OID, on); err != nil {
			return err
		}
	}
	for _, oid := range []catalog.OID{op.Restrict, op.Join} {
		if a.runsOpaque(oid) {
			if !asked {
				return deny(access.OpaqueCode, "the estimator of operator "+op.Name)
			}
			a.trusts(access.Execute, on, access.Trust{Code: "an estimator of operator " + op.Schema + "." + op.Name, Extension: a.commonExtension([]catalog.OID{oid})})
		}
	}
	return nil
}

// families judges the operator families of users' making that an operator is of. Those
// of a type of a user's are trusted on the type, like all that its values run; others by
// the grant of execute on the operator's function. Where the operator is the server's own, they
// run for a relation whose indexes or partitions are of such a class alone (classed):
// the server's own families come first elsewhere.
func (a *analyzer) families(op *catalog.Operator, on access.Object, asked bool) (found bool, err error) {
	for class := range a.snap.EachCodedClass() {
		if err := a.spend(1); err != nil {
			return found, err
		}
		if !slices.Contains(class.Operators, op.OID) && !slices.Contains(class.FamilyOperators, op.OID) {
			continue
		}
		found = true
		if op.Merges || op.OID < catalog.FirstNormalOID {
			a.current.members = append(a.current.members, op)
		}
		trust, runs := a.familyRuns(class)
		switch t := a.snap.TypeByOID(class.Input); {
		case !runs:
		case t == nil:
			return found, deny(access.OpaqueCode, "operator class "+class.Name)
		case t.OID >= catalog.FirstNormalOID || op.OID >= catalog.FirstNormalOID && !asked:
			a.trusts(access.Usage, access.Object{Kind: access.Type, Schema: t.Schema, Name: t.Name}, trust)
		case asked:
			a.trusts(access.Execute, on, trust)
		}
	}
	return found, nil
}

// trusts asks for trust in code by the grant of an action on an object.
func (a *analyzer) trusts(action access.Action, on access.Object, code access.Trust) {
	addTrust(a.current.object(action, on, on), code)
	a.current.opaque = true
}

// familyRuns reports whether a family has functions of users, as support or behind its
// operators, that nobody has reviewed. An extension may be trusted with them if all are its own.
func (a *analyzer) familyRuns(class *catalog.OperatorClass) (access.Trust, bool) {
	functions := slices.Clone(class.FamilyFunctions)
	for _, oid := range class.FamilyOperators {
		operator := a.snap.OperatorByOID(oid)
		if operator == nil {
			functions = append(functions, oid)
			continue
		}
		functions = append(functions, operator.Function)
	}
	functions = slices.DeleteFunc(functions, func(oid catalog.OID) bool { return !a.runsOpaque(oid) })
	return access.Trust{Code: "operator class " + class.Schema + "." + class.Name, Extension: a.commonExtension(functions)}, len(functions) > 0
}

// commonExtension is the extension that functions belong to, empty if not all are of one.
func (a *analyzer) commonExtension(functions []catalog.OID) string {
	extension := ""
	for i, oid := range functions {
		f := a.snap.FunctionByOID(oid)
		if f == nil || i > 0 && f.Extension != extension {
			return ""
		}
		extension = f.Extension
	}
	return extension
}

// derived asks for execute on the equalities that the planner derives from those of a
// statement: with a = b and b = c that of a and c, and either with its sides turned
// around (select_equality_operator of equivclass.c). PostgreSQL asks for execute on what it then
// takes; which that is depends on the plan.
func (a *analyzer) derived() error {
	if !slices.ContainsFunc(a.current.members, func(op *catalog.Operator) bool { return op.OID >= catalog.FirstNormalOID }) {
		return nil
	}
	return a.eachOrdering(a.derivedOf)
}

// eachOrdering calls f once for each btree family with code of users, by one of its
// classes.
func (a *analyzer) eachOrdering(f func(*catalog.OperatorClass) error) error {
	done := map[catalog.OID]bool{}
	for class := range a.snap.EachCodedClass() {
		if class.Method != "btree" || done[class.Family] {
			continue
		}
		done[class.Family] = true
		if err := f(class); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) derivedOf(class *catalog.OperatorClass) error {
	var met []*catalog.Operator
	sides := map[catalog.OID]bool{}
	if err := a.spend(len(a.current.members)); err != nil {
		return err
	}
	for _, op := range a.current.members {
		if memberStrategy(class, op.OID) == equal {
			met = append(met, op)
			sides[op.Left], sides[op.Right] = true, true
		}
	}
	for i, oid := range class.FamilyOperators {
		op := a.snap.OperatorByOID(oid)
		if op == nil || class.FamilyStrategies[i] != equal || !sides[op.Left] || !sides[op.Right] {
			continue
		}
		if len(met) == 1 && (op.Left != met[0].Right || op.Right != met[0].Left) {
			continue
		}
		f := a.userFunction(oid)
		if f == nil {
			continue
		}
		if err := a.invoke(f, nil); err != nil {
			return err
		}
	}
	return nil
}

// partitionBounds judges the classes of a partition key: whoever plans a query over a
// relation sorts its partitions' bounds (create_range_bounds, create_list_bounds of
// partbounds.c), without being asked for any right.
func (a *analyzer) partitionBounds(rel *catalog.Relation, at place) {
	for _, oid := range rel.PartitionOperatorClasses {
		class := a.snap.ClassByOID(oid)
		if class == nil {
			a.mustTrust(at, "an operator class of "+fullName(rel))
			continue
		}
		if _, runs := a.familyRuns(class); runs {
			a.mustTrust(at, "an operator class of "+fullName(rel))
		}
	}
}

// partitionChecks asks for execute on the operators that the constraint of a partition
// is made of: equality for lists, the others for ranges, and for a default partition what
// stands in their place under NOT (get_qual_for_list, get_qual_for_range of
// partbounds.c). It is checked like any expression; which partitions are, depends on the rows.
func (a *analyzer) partitionChecks(keyed *catalog.Relation) error {
	for _, oid := range keyed.PartitionOperatorClasses {
		class := a.snap.ClassByOID(oid)
		if class == nil || class.Method != "btree" {
			continue
		}
		if err := a.spend(len(class.FamilyOperators)); err != nil {
			return err
		}
		for i, member := range class.FamilyOperators {
			op := a.snap.OperatorByOID(member)
			if op == nil || op.Left != class.Input || op.Right != class.Input || !bounds(keyed.PartitionKey.Text, class.FamilyStrategies[i]) {
				continue
			}
			for _, oid := range []catalog.OID{member, op.Negator} {
				if err := a.invokeOperator(oid); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// bounds reports whether the constraints of a key's partitions use a strategy, by the
// key as pg_get_partkeydef prints it. More than one column take more of them.
func bounds(key string, strategy int16) bool {
	switch strategy {
	case equal:
		return true
	case greaterEqual, less:
		return !strings.HasPrefix(key, "LIST ")
	default:
		return !strings.HasPrefix(key, "LIST ") && strings.Contains(key, ",")
	}
}
