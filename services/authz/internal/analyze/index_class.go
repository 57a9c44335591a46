package analyze

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// classed is a relation with indexes or a partition key of classes that users made.
type classed struct {
	rel *catalog.Relation
	at  place
}

// indexClasses judges what the indexes of a statement's relations add when all its
// operators are known.
func (a *analyzer) indexClasses() error {
	for class := range a.snap.EachCodedClass() {
		if class.OID >= catalog.FirstNormalOID {
			continue
		}
		// The server's own classes, to which users have added, are everywhere.
		if err := a.conditions(class); err != nil {
			return err
		}
	}
	for _, c := range a.current.classed {
		for _, oid := range c.rel.ForeignOperatorClasses {
			class := a.snap.ClassByOID(oid)
			if class == nil {
				a.mustTrust(c.at, "an operator class of "+fullName(c.rel))
				continue
			}
			if err := a.indexClass(class, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// indexClass judges a class of a relation's indexes or partition key: by operators of
// the server's own its code runs as well. That of users' operators was judged with these.
func (a *analyzer) indexClass(class *catalog.OperatorClass, c classed) error {
	if err := a.spend(len(a.current.members)); err != nil {
		return err
	}
	uses := slices.ContainsFunc(a.current.members, func(op *catalog.Operator) bool {
		return op.OID < catalog.FirstNormalOID && slices.Contains(class.Operators, op.OID)
	})
	if _, runs := a.familyRuns(class); uses && runs {
		a.mustTrust(c.at, "an operator class of "+fullName(c.rel))
	}
	return a.conditions(class)
}

// conditions asks for execute on what stands in an index condition in the place of what
// is written: the commutator, where the index is on the right side, and for a row
// comparison of which an index has the first column alone, the comparison of that column
// (match_opclause_to_indexcol, expand_indexqual_rowcompare of indxpath.c). The condition is
// initialised like any expression (ExecInitIndexScan, ExecInitIndexOnlyScan).
func (a *analyzer) conditions(class *catalog.OperatorClass) error {
	if err := a.spend(len(a.current.compares) + len(a.current.rows)); err != nil {
		return err
	}
	for _, op := range a.current.compares {
		if !slices.Contains(class.Operators, op.Commutator) {
			continue
		}
		if err := a.invokeOperator(op.Commutator); err != nil {
			return err
		}
	}
	rows, err := a.asMembers(class, a.current.rows)
	if err != nil || class.Method != "btree" {
		return err
	}
	for i, oid := range class.FamilyOperators {
		op := a.snap.OperatorByOID(oid)
		if op == nil || !slices.ContainsFunc(rows, func(c comparison) bool {
			return c.left == op.Left && c.right == op.Right && (class.FamilyStrategies[i] == lessEqual && c.strategy <= lessEqual ||
				class.FamilyStrategies[i] == greaterEqual && (c.strategy == greaterEqual || c.strategy == greater))
		}) {
			continue
		}
		if err := a.invokeOperator(oid); err != nil {
			return err
		}
	}
	return nil
}
