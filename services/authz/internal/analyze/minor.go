package analyze

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// asksForCasts reports whether the server asks for EXECUTE on the cast functions that
// making JSON and comparing keys call by themselves (json_categorize_type of
// jsonfuncs.c, ri_HashCompareOp of ri_triggers.c): since November 2026.
func asksForCasts(version int) bool { return catalog.HasRelease(version, catalog.November2026) }

// seesConflicts reports whether an INSERT into a view that updates on conflict holds the
// row that is there against the view's condition ("conflicting row is not visible through
// view"). 15.20 does and 17.10 does not: it is taken to have come in August 2026.
func seesConflicts(version int) bool { return catalog.HasRelease(version, catalog.August2026) }

// castsByItself judges a cast function that a value of a type is handed to without the
// text saying so. Where the server asks for the right to it, so does this; where it does
// not, the code is the type's.
func (a *analyzer) castsByItself(cast *catalog.Cast) error {
	f, t := a.snap.FunctionByOID(cast.Function), a.snap.TypeByOID(cast.Source)
	switch {
	case f == nil || t == nil:
		return deny(access.OpaqueCode, "a cast that is not in the catalog")
	case asksForCasts(a.version):
		return a.invoke(f, nil)
	}
	a.trustType(t, true)
	return nil
}

// keyCasts judges the casts by which an update of the columns of a foreign key, or of
// any other while the key's are compared, makes them of the type of what they point at
// (ri_CompareWithCast, by the session's role). The queries of foreign keys are their
// owner's.
func (a *analyzer) keyCasts(rel *catalog.Relation, at place) error {
	for _, key := range rel.ForeignKeys {
		to := a.snap.RelationByOID(key.To)
		if to == nil {
			return deny(access.OpaqueCode, "foreign key "+key.Name)
		}
		// Old and new keys are compared by the session's role (ri_AttributesEqual).
		if slices.ContainsFunc(to.ForeignOperatorClasses, a.classRuns) {
			a.mustTrust(at, "foreign key "+key.Name)
		}
		for i, number := range key.FromColumns {
			if i >= len(key.ToColumns) {
				return deny(access.OpaqueCode, "foreign key "+key.Name)
			}
			if err := a.keyCast(columnType(rel, number), columnType(to, key.ToColumns[i]), at, "foreign key "+key.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyCast judges the functions of users on the way from one type to another. Where there
// is no way an operator of both types compares them.
func (a *analyzer) keyCast(from, to catalog.OID, at place, what string) error {
	if from == to || from == 0 || to == 0 {
		return nil
	}
	if err := a.spend(4); err != nil {
		return err
	}
	found, bad := a.names().Coerce(from, to, resolve.Implicit)
	if bad != nil {
		return nil //nolint:nilerr // No cast, nothing to judge.
	}
	for _, oid := range found.Functions {
		if a.runsUnasked(oid) {
			continue
		}
		f := a.snap.FunctionByOID(oid)
		if f == nil || !asksForCasts(a.version) {
			a.mustTrust(at, what)
			continue
		}
		inner := *a
		inner.current = &recorder{}
		err := inner.invoke(f, nil)
		a.work = inner.work
		if err := a.runs(&code{accesses: inner.current, err: err}, at, what); err != nil {
			return err
		}
	}
	return nil
}

// columnType is the type of a column by its number, 0 for none.
func columnType(rel *catalog.Relation, number int16) catalog.OID {
	for i := range rel.Columns {
		if rel.Columns[i].Number == number {
			return rel.Columns[i].Type
		}
	}
	return 0
}
