package analyze

import (
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What ALTER TABLE runs of a table's own code. Rows that are written anew or held
// against a constraint run it in the session's role (ATRewriteTable,
// validateCheckConstraint); indexes are made as the table's owner (index_build).

// rechecks judges the checks and generated columns of a relation and its descendants:
// execute of what they call, and trust in the rest on the grant of ddl.
func (a *analyzer) rechecks(rel *catalog.Relation) error {
	return a.ofFamily(rel, (*analyzer).rechecksOne)
}

// holdsAgainst judges what holding the rows of a relation and its descendants against the
// bounds of partitions runs: the partition keys above them. Their checks are only looked
// at, for whether they imply the bounds already (ConstraintImpliedByRelConstraint of
// tablecmds.c), and folded for that.
func (a *analyzer) holdsAgainst(rel *catalog.Relation) error {
	return a.ofFamily(rel, (*analyzer).holdsOne)
}

// ofFamily judges a relation and its descendants by the grant of ddl.
func (a *analyzer) ofFamily(rel *catalog.Relation, judge func(*analyzer, *catalog.Relation) error) error {
	if rel == nil {
		return nil
	}
	family, err := a.descendants(rel)
	if err != nil {
		return err
	}
	return a.byDefinition(rel, func(inner *analyzer) error {
		for _, r := range append([]*catalog.Relation{rel}, family...) {
			if err := judge(inner, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// byDefinition has what is trusted for a relation trusted by the grant of ddl.
func (a *analyzer) byDefinition(rel *catalog.Relation, judge func(*analyzer) error) error {
	inner := *a
	inner.current = &recorder{}
	if err := judge(&inner); err != nil {
		return err
	}
	a.work = inner.work
	way := relationObject(rel)
	a.current.absorbLoose(inner.current, nil)
	a.current.merge(inner.current, &way, false, func(from *entry) *entry {
		if from.relation == nil {
			return nil
		}
		schema := access.Object{Kind: access.Schema, Name: rel.Schema}
		return a.current.find(entryKey{action: access.DDL, kind: access.Schema, name: rel.Schema}, schema, schema, nil)
	})
	return nil
}

func (a *analyzer) rechecksOne(rel *catalog.Relation) error {
	at, name := place{access.Update, rel}, rel.Schema+"."+rel.Name
	for i := range rel.Columns {
		if err := a.generates(rel, &rel.Columns[i], at); err != nil {
			return err
		}
	}
	for _, check := range rel.Checks {
		if err := a.runs(a.stored(check, rel), at, "a check of "+name); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) holdsOne(rel *catalog.Relation) error {
	at := place{access.Update, rel}
	for _, check := range rel.Checks {
		if err := a.computes(a.planned(check, rel), at, "a check of "+fullName(rel)); err != nil {
			return err
		}
	}
	for _, keyed := range append(a.ancestors(rel), rel) {
		if err := a.boundsOf(keyed); err != nil {
			return err
		}
		for _, key := range a.storedKeyOf(keyed, false) {
			if err := a.runs(key, at, "the partition key of "+keyed.Schema+"."+keyed.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// boundsOf judges what compares the bounds of a relation's partitions, and holds rows
// against them.
func (a *analyzer) boundsOf(keyed *catalog.Relation) error {
	a.partitionBounds(keyed, place{access.Update, keyed})
	return a.partitionChecks(keyed)
}
