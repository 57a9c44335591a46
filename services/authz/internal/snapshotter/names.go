package snapshotter

import (
	"cmp"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What texts of others show of an object. Where that is the same before and after a
// change, their texts are the same, too.

// renamed lists objects, out of some that were read again, whose names or labels are
// others than before. Objects that are new have nobody's texts; nor have those that are
// gone.
func renamed(before, after *store, among map[object]bool) map[object]bool {
	out := make(map[object]bool)
	for o := range among {
		changed := true
		switch o.table {
		case pgClass, pgType, pgProc:
			changed = before.has(o) && after.has(o) && unitRenamed(before, after, o)
		default: // It has a name, which may be another one.
		}
		if changed {
			out[o] = true
		}
	}
	return out
}

func unitRenamed(before, after *store, o object) bool {
	switch o.table {
	case pgClass:
		return relationRenamed(&before.relations[o.oid].value, &after.relations[o.oid].value)
	case pgType:
		return typeRenamed(before.types[o.oid], after.types[o.oid])
	default:
		return functionRenamed(&before.functions[o.oid].value, &after.functions[o.oid].value)
	}
}

// relationRenamed: aliases are made up so that they are no column's name
// (set_relation_column_names of ruleutils.c), so that a column more counts as well.
func relationRenamed(a, b *catalog.Relation) bool {
	return a.Schema != b.Schema || a.Name != b.Name || a.Kind != b.Kind ||
		!slices.EqualFunc(a.Columns, b.Columns, func(x, y catalog.Column) bool {
			return x.Number == y.Number && x.Name == y.Name && x.Type == y.Type
		})
}

// typeRenamed: a label more changes no text that shows another.
func typeRenamed(a, b *unit[catalog.Type]) bool {
	for oid, label := range a.labels {
		if b.labels[oid] != label {
			return true
		}
	}
	return a.value.Schema != b.value.Schema || a.value.Name != b.value.Name
}

func functionRenamed(a, b *catalog.Function) bool {
	return a.Schema != b.Schema || a.Name != b.Name || a.Kind != b.Kind || a.Variadic != b.Variadic || a.Result != b.Result ||
		!slices.Equal(a.Arguments, b.Arguments) || !slices.Equal(a.AllArguments, b.AllArguments) ||
		!slices.Equal(a.ArgumentModes, b.ArgumentModes) || !slices.Equal(a.ArgumentNames, b.ArgumentNames)
}

// rowChanges calls f for every row of a list that differs; one side is nil for a row
// that is new or gone.
func rowChanges[T any](before, after []T, oid func(T) catalog.OID, equal func(a, b T) bool, f func(a, b *T)) {
	rows := make(map[catalog.OID]*T, len(after))
	for i := range after {
		rows[oid(after[i])] = &after[i]
	}
	for i := range before {
		a := &before[i]
		b := rows[oid(*a)]
		delete(rows, oid(*a))
		if b == nil || !equal(*a, *b) {
			f(a, b)
		}
	}
	for _, b := range rows {
		f(nil, b)
	}
}

// builtIn is the schema in which names are found without being qualified: which
// function or operator a name stands for there, and so whether a text must say the
// schema or a type, depends on all of that name and on the casts between types
// (generate_function_name and generate_operator_name of ruleutils.c).
const builtIn = "pg_catalog"

// everyText reports whether a change of objects can make any text another one: new
// names or overloads among the functions, operators and types of pg_catalog, which only
// a superuser makes, or other names of what came with the server, of which dependents
// are not recorded.
func everyText(before, after *store, changed map[object]bool) bool {
	for o := range changed {
		switch o.table {
		case pgClass, pgType, pgProc:
			was, is := before.has(o), after.has(o)
			if was && is && o.oid < catalog.FirstNormalOID && unitRenamed(before, after, o) {
				return true
			}
			if o.table == pgClass || !before.builtIn(o) && !after.builtIn(o) {
				continue
			}
			if was != is || unitRenamed(before, after, o) || o.table == pgProc && otherCalls(before, after, o.oid) {
				return true
			}
		default:
			// Collations and their like have no overloads, but names. On what is pinned
			// nothing depends that is recorded.
			if o.oid < catalog.FirstUnpinnedOID {
				return true
			}
		}
	}
	return false
}

// builtIn reports whether a type or a function is in pg_catalog.
func (s *store) builtIn(o object) bool {
	if o.table == pgType {
		return s.has(o) && s.types[o.oid].value.Schema == builtIn
	}
	return s.has(o) && s.functions[o.oid].value.Schema == builtIn
}

// otherCalls reports whether a function can be called in other ways than before.
func otherCalls(before, after *store, oid catalog.OID) bool {
	a, b := &before.functions[oid].value, &after.functions[oid].value
	return a.Defaults != b.Defaults || a.ReturnSet != b.ReturnSet
}

func operatorRenamed(a, b catalog.Operator) bool {
	return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Left, b.Left), cmp.Compare(a.Right, b.Right)) != 0
}
