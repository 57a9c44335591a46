package analyze

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// place is the access that code running by itself is judged with: a grant on the
// relation may trust it.
type place struct {
	action access.Action
	rel    *catalog.Relation
}

// code is what an expression of the catalog reads and runs.
type code struct {
	accesses *recorder
	err      error
	// columns are those that it names; nil where that is not known.
	columns columnSet
	// computed says that planning computes a call in it: without execute on what is
	// called that fails (evaluate_function of clauses.c).
	computed bool
}

// mustTrust asks for trust in code that belongs to a relation.
func (a *analyzer) mustTrust(at place, what string) {
	a.current.trust(at.action, relationObject(at.rel), at.rel, access.Trust{Code: what})
}

// unbound says that the code could not be understood.
func (c *code) unbound() bool { return c.err != nil }

// runs adds what an expression of the catalog asks for where it runs: execute on the
// functions in it, which PostgreSQL checks against the session's role; trust in what
// they do is for the grant on the relation. What cannot be bound is denied: trust stands
// in neither for execute on what it calls, nor for a deny on what it reads.
func (a *analyzer) runs(c *code, at place, what string) error {
	if limited(c.err) {
		return c.err
	}
	if c.unbound() {
		return deny(access.OpaqueCode, what+", which cannot be bound")
	}
	a.current.absorbCode(c.accesses, at)
	return nil
}

// folds adds what an expression of the catalog can run when a query is planned
// (eval_const_expressions over checks, index expressions and partition keys): calls
// of constants, and bodies that are put in the place of calls (inline_function).
// Nobody is asked for execute: without it no body is put anywhere, and whether a check of
// a plain table is folded at all depends on the plan and on constraint_exclusion.
func (a *analyzer) folds(c *code, at place, what string) error {
	if limited(c.err) {
		return c.err
	}
	if c.unbound() {
		a.mustTrust(at, what)
		return nil
	}
	// Operators of bodies that are put in the place of calls count as well.
	a.current.predicates = append(append(a.current.predicates, c.accesses.predicates...), c.accesses.compares...)
	for _, e := range c.accesses.entries {
		for _, t := range e.access.Trust {
			a.current.trust(at.action, relationObject(at.rel), at.rel, t)
		}
		if e.relation != nil {
			a.mustTrust(at, what)
		}
	}
	return nil
}

// computes is folds for what is folded by default: what is computed for that asks for
// execute.
func (a *analyzer) computes(c *code, at place, what string) error {
	if c.computed && !c.unbound() {
		return a.runs(c, at, what)
	}
	return a.folds(c, at, what)
}

// readCode judges what planning or running a query over a relation can run.
func (a *analyzer) readCode(rel *catalog.Relation, at place) error {
	name := fullName(rel)
	if rel.Kind == catalog.KindSequence {
		return nil
	}
	if !holdsRows(rel) {
		return deny(access.RelationKind, "relation "+name+" is no table")
	}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if c.Generated == 'v' {
			if err := a.runs(a.generated(c, rel), at, "generated column "+c.Name+" of "+name); err != nil {
				return err
			}
		}
	}
	for _, check := range rel.Checks {
		// Those of what is reached as a child are folded by default, whenever there is a
		// condition to hold against them (relation_excluded_by_constraints of plancat.c).
		folds := a.folds
		if len(rel.Parents) > 0 {
			folds = a.computes
		}
		if err := folds(a.planned(check, rel), at, "a check of "+name); err != nil {
			return err
		}
	}
	for _, all := range [][]catalog.Expression{rel.IndexExpressions, rel.StatisticsExpressions} {
		for _, expression := range all {
			// Whatever is planned over the relation (RelationGetIndexPredicate and its kin).
			if err := a.computes(a.storedOf(expression, all, rel, true), at, "an index of "+name); err != nil {
				return err
			}
		}
	}
	if len(rel.ForeignOperatorClasses) > 0 {
		a.current.classed = append(a.current.classed, classed{rel, at})
	}
	for _, keyed := range append(a.ancestors(rel), rel) {
		a.partitionBounds(keyed, at)
		for _, key := range a.storedKeyOf(keyed, true) {
			if err := a.computes(key, at, "the partition key of "+fullName(keyed)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeCode judges what storing a row in a relation runs besides triggers and the
// defaults of single columns. set are the columns that an update sets.
func (a *analyzer) writeCode(rel *catalog.Relation, set columnSet, at place) error {
	name := fullName(rel)
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if a.regenerated(rel, c, set) {
			if err := a.generates(rel, c, at); err != nil {
				return err
			}
		}
		if err := a.holds(c.Type); err != nil {
			return err
		}
	}
	for _, check := range rel.Checks {
		if err := a.runs(a.stored(check, rel), at, "a check of "+name); err != nil {
			return err
		}
	}
	for _, expression := range rel.IndexExpressions {
		if err := a.runs(a.storedOf(expression, rel.IndexExpressions, rel, false), at, "an index of "+name); err != nil {
			return err
		}
	}
	for _, oid := range rel.ExclusionOperators {
		if a.operatorRuns(oid) {
			a.mustTrust(at, "an exclusion constraint of "+name)
		}
	}
	// A row of a partition is held against the keys of all that it is a partition of,
	// by whatever name it comes (ExecPartitionCheck).
	for _, keyed := range append(a.ancestors(rel), rel) {
		for _, key := range a.storedKeyOf(keyed, false) {
			if err := a.runs(key, at, "the partition key of "+fullName(keyed)); err != nil {
				return err
			}
		}
		if keyed != rel && keyed.PartitionKey.Text == "" {
			continue
		}
		if keyed != rel {
			if err := a.partitionChecks(keyed); err != nil {
				return err
			}
		}
		for _, oid := range keyed.ForeignOperatorClasses {
			if a.classRuns(oid) {
				a.mustTrust(at, "an operator class of "+fullName(keyed))
			}
		}
	}
	return nil
}

// regenerated reports whether an update that sets columns computes a generated column of
// them. PostgreSQL leaves those out that depend on none, unless a BEFORE trigger may set
// others (ExecInitStoredGenerated; ExecInitGenerated from 16). A column that is not
// generated is always stored.
func (a *analyzer) regenerated(rel *catalog.Relation, c *catalog.Column, set columnSet) bool {
	if c.Generated != 's' || set == nil || slices.ContainsFunc(rel.Triggers, setsColumns) {
		return true
	}
	of := a.generated(c, rel).columns
	if of == nil {
		return true
	}
	for name := range of {
		if set[name] {
			return true
		}
	}
	return false
}

// setsColumns reports whether a trigger runs before a row is updated, enabled or not
// (trig_update_before_row).
func setsColumns(t catalog.Trigger) bool {
	const before = triggerRow | triggerBefore | triggerUpdate
	return t.Type&before == before
}

// generates judges what computes a stored generated column.
func (a *analyzer) generates(rel *catalog.Relation, c *catalog.Column, at place) error {
	if c.Generated != 's' {
		return nil
	}
	return a.runs(a.generated(c, rel), at, "generated column "+c.Name+" of "+fullName(rel))
}

// generatedLateSince is the first server_version_num that prepares generated columns
// only when there is a row to store (ExecComputeStoredGenerated).
const generatedLateSince = 160000

// generatedCode judges the generated columns of a relation and its descendants. Before
// generatedLateSince a MERGE prepares them whatever its branches do (ExecInitModifyTable).
func (a *analyzer) generatedCode(rel *catalog.Relation, at place) error {
	if a.version >= generatedLateSince {
		return nil
	}
	family, err := a.descendants(rel)
	if err != nil {
		return err
	}
	for _, r := range append([]*catalog.Relation{rel}, family...) {
		for i := range r.Columns {
			if err := a.generates(r, &r.Columns[i], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// classRuns reports whether an operator class has functions that are not known.
// Indexes call them without asking for a right.
func (a *analyzer) classRuns(oid catalog.OID) bool {
	class := a.snap.ClassByOID(oid)
	if class == nil {
		return true
	}
	unknown := func(oid catalog.OID) bool { return !a.runsUnasked(oid) }
	return slices.ContainsFunc(class.Functions, unknown) || slices.ContainsFunc(class.Operators, a.operatorRuns)
}

// operatorRuns reports whether an operator's function is not known. Indexes call it
// without asking for a right.
func (a *analyzer) operatorRuns(oid catalog.OID) bool {
	operator := a.snap.OperatorByOID(oid)
	return operator == nil || !a.runsUnasked(operator.Function)
}
