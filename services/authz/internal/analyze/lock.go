package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The lock modes that rights depend on (storage/lockdefs.h).
const (
	accessShareLock  = 1
	rowExclusiveLock = 3
)

// lockStmt judges LOCK TABLE. Children are locked without a question
// (LockTableRecurse); of a view, so is what its query reads, as far as the view's owner
// or, under security_invoker, the session's role may (LockViewRecurse).
func (a *analyzer) lockStmt(l *pg_query.LockStmt) error {
	for _, node := range l.Relations {
		rv := node.GetRangeVar()
		if rv == nil {
			return deny(access.Construct, "a LOCK list")
		}
		rel, err := a.openRelation(rv, access.Select, -1)
		if err != nil {
			return err
		}
		actions := a.lockActions(l.Mode)
		switch rel.Kind {
		case catalog.KindTable, catalog.KindPartitionedTable:
		case catalog.KindView:
			if err := a.lockRead(rel, actions); err != nil {
				return err
			}
		default:
			return deny(access.RelationKind, "a lock on what is no table")
		}
		a.lockOne(rel, namedObject(rv), actions, false)
	}
	return nil
}

func (a *analyzer) lockOne(rel *catalog.Relation, named access.Object, actions []access.Action, within bool) {
	resolved := access.Object{Kind: access.Table, Schema: shownSchema(rel.Schema), Name: rel.Name}
	named.Kind = access.Table
	key := entryKey{action: actions[0], kind: access.Table, schema: resolved.Schema, name: rel.Name, within: within || ownTemporary(rel.Schema)}
	e := a.current.find(key, named, resolved, rel)
	e.access.AllColumns, e.access.Or = true, actions[1:]
}

// lockRead notes the relations that a view's query reads.
func (a *analyzer) lockRead(rel *catalog.Relation, actions []access.Action) error {
	v, err := a.boundView(rel)
	if err != nil {
		return err
	}
	for _, e := range v.accesses.entries {
		if e.relation == nil || e.access.Action != access.Select {
			continue
		}
		switch e.relation.Kind {
		case catalog.KindTable, catalog.KindPartitionedTable, catalog.KindView:
			a.lockOne(e.relation, e.access.Named, actions, e.access.Within)
		}
	}
	return nil
}

// lockActions are the actions any of which LockTableAclCheck (lockcmds.c) takes for a
// mode: until 15 one set for each, from 16 on a stronger right for all weaker modes.
func (a *analyzer) lockActions(mode int32) []access.Action {
	actions := []access.Action{access.Update, access.Delete, access.Truncate}
	if a.version >= 170000 {
		actions = append(actions, access.Maintain)
	}
	switch {
	case mode <= accessShareLock && a.version < 160000:
		return []access.Action{access.Select}
	case mode <= accessShareLock:
		return append([]access.Action{access.Select, access.Insert}, actions...)
	case mode == rowExclusiveLock, mode < rowExclusiveLock && a.version >= 160000:
		return append(actions, access.Insert)
	}
	return actions
}
