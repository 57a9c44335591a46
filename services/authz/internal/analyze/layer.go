package analyze

import (
	"cmp"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What the statements of a unit have made lies over the snapshot in layers. Each statement
// adds one; layers of about the same size are laid together, so that there are few of them,
// and each object is laid anew only a few times. A layer is never changed: savepoints keep
// those that they go back to.

// What changes of the catalog cost, in units of Limits.Work. A unit stands for 16 bytes
// that are kept, or 5 ns, whichever is more: the limit bounds the memory that a unit takes,
// too.
const (
	// objectCost is that of an object in a layer: itself, and its places in look-ups.
	objectCost = 32
	// layerCost is that of a layer, and of what is forgotten and found again under it.
	layerCost = 1000
	// columnCost is that of a column, key or other entry of a relation that is copied.
	columnCost = 8
	// madeColumnCost is that of a column of what is made.
	madeColumnCost = 64
	// readCost and writeCost are those of a byte of a text of the catalog that is parsed, or
	// printed and parsed again.
	readCost, writeCost = 12, 24
	// rowCost is that of looking at a row of the catalog in passing.
	rowCost = 16
	// starCost is that of a column that a star stands for, or that INSERT writes without
	// naming it: it is read, held and recorded.
	starCost = 100
	// throughCost is that of an access of a view which is had by way of it.
	throughCost = 200
)

// layer is what some statements in a row have made, over what was there before them.
type layer struct {
	below *layer
	base  *catalog.Snapshot
	made  catalog.Additions
	size  int
}

// follow shows what a statement changed to those after it. It reports false when that
// is not known.
func (a *analyzer) follow() (bool, error) {
	if !a.change.known {
		return false, nil
	}
	next := &layer{below: a.layered, base: a.snap, made: a.change.collected()}
	if next.size = sizeOf(next.made); next.size == 0 {
		return true, nil
	}
	a.fleeting = a.fleeting || a.change.fleeting
	for below := next.below; below != nil && below.size < 2*next.size; below = next.below {
		if err := a.spend(objectCost * (below.size + next.size)); err != nil {
			return false, err
		}
		made := together(below.made, next.made)
		next = &layer{below: below.below, base: below.base, made: made, size: sizeOf(made)}
	}
	if err := a.spend(layerCost + objectCost*next.size); err != nil {
		return false, err
	}
	a.layered, a.snap = next, catalog.Overlay(next.base, next.made)
	return true, nil
}

func sizeOf(add catalog.Additions) int {
	d := &add.Dropped
	return len(add.Schemas) + len(add.Relations) + len(add.Types) + len(add.Functions) + len(add.Operators) + len(add.Casts) + len(add.OperatorClasses) +
		len(add.Collations) + len(d.Schemas) + len(d.Relations) + len(d.Types) + len(d.Functions) + len(d.Operators) + len(d.Collations)
}

// together lays later additions over earlier ones.
func together(earlier, later catalog.Additions) catalog.Additions {
	all := catalog.Additions{TempSchema: cmp.Or(later.TempSchema, earlier.TempSchema)}
	d := &all.Dropped
	d.Schemas = slices.Concat(earlier.Dropped.Schemas, later.Dropped.Schemas)
	d.Relations = slices.Concat(earlier.Dropped.Relations, later.Dropped.Relations)
	d.Types = slices.Concat(earlier.Dropped.Types, later.Dropped.Types)
	d.Functions = slices.Concat(earlier.Dropped.Functions, later.Dropped.Functions)
	d.Operators = slices.Concat(earlier.Dropped.Operators, later.Dropped.Operators)
	d.Collations = slices.Concat(earlier.Dropped.Collations, later.Dropped.Collations)
	all.Schemas = over(earlier.Schemas, later.Schemas, d.Schemas, func(v *catalog.Schema) catalog.OID { return v.OID })
	all.Relations = over(earlier.Relations, later.Relations, d.Relations, func(v *catalog.Relation) catalog.OID { return v.OID })
	all.Types = over(earlier.Types, later.Types, d.Types, func(v *catalog.Type) catalog.OID { return v.OID })
	all.Functions = over(earlier.Functions, later.Functions, d.Functions, func(v *catalog.Function) catalog.OID { return v.OID })
	all.Operators = over(earlier.Operators, later.Operators, d.Operators, func(v *catalog.Operator) catalog.OID { return v.OID })
	all.Casts = slices.Concat(earlier.Casts, later.Casts)
	all.OperatorClasses = over(earlier.OperatorClasses, later.OperatorClasses, nil, func(v *catalog.OperatorClass) catalog.OID { return v.OID })
	all.Collations = over(earlier.Collations, later.Collations, d.Collations, func(v *catalog.Collation) catalog.OID { return v.OID })
	return all
}

func over[T any](earlier, later []T, dropped []catalog.OID, oid func(*T) catalog.OID) []T {
	if len(earlier) == 0 {
		return later
	}
	gone := make(map[catalog.OID]bool, len(dropped)+len(later))
	for _, o := range dropped {
		gone[o] = true
	}
	for i := range later {
		gone[oid(&later[i])] = true
	}
	out := make([]T, 0, len(earlier)+len(later))
	for i := range earlier {
		if !gone[oid(&earlier[i])] {
			out = append(out, earlier[i])
		}
	}
	return append(out, later...)
}

// charge is spend where an error cannot be told: the statement ends with it when it is
// done. What repeats itself asks exhausted.
func (a *analyzer) charge(n int) { a.work -= n + 1 }

// exhausted reports whether the work that a unit may cause is done.
func (a *analyzer) exhausted() bool { return a.work < 0 }
