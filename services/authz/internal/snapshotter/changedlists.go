package snapshotter

import (
	"context"
	"fmt"
	"maps"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// lists reads the lists that have changed, and finds the objects that show something
// of them.
func (r *round) lists(ctx context.Context, changed []source) error {
	var which lists
	for _, s := range changed {
		which |= s.lists
	}
	differs := func(name string) bool { return r.mark[name] != r.from.mark[name] }
	if differs(markRoles) {
		which |= listSchemas | listRoles
	}
	if differs(markDatabase) {
		which |= listSchemas
	}
	if differs(markSettings) {
		which |= listRoles
	}
	if which == 0 {
		return nil
	}
	reader := newReader(r.tx, r.conn.serverPath, nil)
	if err := reader.readLists(ctx, which); err != nil {
		return err
	}
	take(&r.next.whole, reader.s, which)
	return r.shown(&r.from.store.whole, &r.next.whole)
}

// take puts lists of one snapshot into another.
func take(into, from *catalog.Snapshot, which lists) {
	for _, l := range []struct {
		list lists
		take func()
	}{
		{listSchemas, func() { into.Schemas = from.Schemas }}, {listRoles, func() { into.Roles = from.Roles }},
		{listOperators, func() { into.Operators = from.Operators }}, {listCasts, func() { into.Casts = from.Casts }},
		{listOperatorClasses, func() { into.OperatorClasses = from.OperatorClasses }},
		{listCollations, func() { into.Collations = from.Collations }}, {listExtensions, func() { into.Extensions = from.Extensions }},
		{listEventTriggers, func() { into.EventTriggers = from.EventTriggers }}, {listGlobals, func() { into.Globals = from.Globals }},
		{listTextSearch, func() { into.TextSearch = from.TextSearch }}, {listSettings, func() { into.Settings = from.Settings }},
	} {
		if which&l.list != 0 {
			l.take()
		}
	}
}

// shown finds what objects and texts show of lists that have changed.
func (r *round) shown(before, after *catalog.Snapshot) error {
	schemas, owners := make(map[string]bool), make(map[string]bool)
	rowChanges(before.Schemas, after.Schemas, func(v catalog.Schema) catalog.OID { return v.OID },
		func(a, b catalog.Schema) bool { return a.Name == b.Name },
		func(a, b *catalog.Schema) {
			if a != nil {
				schemas[a.Name] = true
			}
			if a != nil && b != nil {
				r.wide[object{"pg_namespace", a.OID}] = true
			}
		})
	rowChanges(before.Roles, after.Roles, func(v catalog.Role) catalog.OID { return v.OID },
		func(a, b catalog.Role) bool { return a.Name == b.Name },
		func(a, b *catalog.Role) {
			if a != nil {
				owners[a.Name] = true
				return
			}
			owners[unknownRole(b.OID)] = true
		})
	if len(schemas)+len(owners) > 0 {
		r.named(schemas, owners)
	}

	every := false
	rowChanges(before.Operators, after.Operators, func(v catalog.Operator) catalog.OID { return v.OID },
		func(a, b catalog.Operator) bool { return !operatorRenamed(a, b) },
		func(a, b *catalog.Operator) {
			every = every || a != nil && a.Schema == builtIn || b != nil && b.Schema == builtIn
			if a != nil && b != nil {
				r.names[object{pgOperator, a.OID}] = true
			}
		})
	ordering := false
	rowChanges(before.Casts, after.Casts, func(v catalog.Cast) catalog.OID { return v.OID },
		func(a, b catalog.Cast) bool { return a == b },
		func(a, b *catalog.Cast) {
			ordering = true
			for _, c := range []*catalog.Cast{a, b} {
				switch {
				case c == nil:
				case c.Source >= catalog.FirstNormalOID:
					// Calls with values of that type may now be printed with a schema.
					r.wide[object{pgType, c.Source}] = true
				case c.Target < catalog.FirstNormalOID:
					every = true
				}
			}
		})
	rowChanges(before.OperatorClasses, after.OperatorClasses, func(v catalog.OperatorClass) catalog.OID { return v.OID },
		func(a, b catalog.OperatorClass) bool {
			return a.Schema == b.Schema && a.Name == b.Name && a.Method == b.Method && a.Input == b.Input && a.Default == b.Default
		},
		func(_, _ *catalog.OperatorClass) { ordering = true })
	if every {
		return errWhole
	}
	if ordering {
		// Partition keys show operator classes that are not the default.
		maps.Copy(r.objects, r.from.store.which(func(u *unit[catalog.Relation]) bool { return u.value.Kind == catalog.KindPartitionedTable },
			func(*unit[catalog.Type]) bool { return false }, func(*unit[catalog.Function]) bool { return false }))
	}
	return nil
}

// unknownRole stands for the name of a role that is not there, as pg_get_userbyid
// (ruleutils.c) has it.
func unknownRole(oid catalog.OID) string { return fmt.Sprintf("unknown (OID=%d)", oid) }

// named has the objects read that are in schemas or belong to owners whose names are
// others now.
func (r *round) named(schemas, owners map[string]bool) {
	maps.Copy(r.objects, r.from.store.which(
		func(u *unit[catalog.Relation]) bool {
			for _, p := range u.value.Policies {
				for _, role := range p.Roles {
					if owners[role] {
						return true
					}
				}
			}
			return schemas[u.value.Schema] || owners[u.value.Owner]
		},
		func(u *unit[catalog.Type]) bool { return schemas[u.value.Schema] || owners[u.value.Owner] },
		func(u *unit[catalog.Function]) bool { return schemas[u.value.Schema] || owners[u.value.Owner] }))
}
