package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The bits of Trigger.Type (catalog/pg_trigger.h).
const (
	triggerRow      = 1 << 0
	triggerBefore   = 1 << 1
	triggerInsert   = 1 << 2
	triggerDelete   = 1 << 3
	triggerUpdate   = 1 << 4
	triggerTruncate = 1 << 5
	triggerInstead  = 1 << 6
)

// firesAfterSince is the first server_version_num at which triggers that fire after
// the statement run as the role that was current when their event was queued
// (AfterTriggerSaveEvent of 18).
const firesAfterSince = 180000

// events are the trigger events of an action.
func events(action access.Action) int16 {
	switch action {
	case access.Insert:
		return triggerInsert
	case access.Update:
		return triggerUpdate
	case access.Delete:
		return triggerDelete
	case access.Truncate:
		return triggerTruncate
	default:
		return 0
	}
}

// enabled reports whether a trigger or rule fires in a session that replicates
// nothing (session_replication_role origin, TriggerEnabled of trigger.c).
func enabled(state byte) bool { return state == 'O' || state == 'A' }

// fires judges the triggers of a relation that fire for any of the events; set are the
// columns that an update sets.
// cascaded says that a foreign key's action fires them: the rows are written as the
// table's owner (ri_PerformCheck), and so are BEFORE triggers run; AFTER triggers
// wait for the statement's end, and before 18 run as its role.
func (a *analyzer) fires(rel *catalog.Relation, fired int16, set columnSet, at place, cascaded bool) error {
	for i := range rel.Triggers {
		t := &rel.Triggers[i]
		if !enabled(t.Enabled) || t.Type&fired == 0 || t.Type&fired == triggerUpdate && !watches(rel, t, set) {
			continue
		}
		if cascaded && (t.Type&triggerBefore != 0 || a.version >= firesAfterSince) {
			a.current.opaque = true
			continue
		}
		if err := a.trigger(rel, t, at); err != nil {
			return err
		}
	}
	return nil
}

// watches reports whether a trigger fires for an update of columns (TriggerEnabled). A
// generated column among its own may change with any other (ExecGetAllUpdatedCols).
func watches(rel *catalog.Relation, t *catalog.Trigger, set columnSet) bool {
	if set == nil || len(t.Columns) == 0 {
		return true
	}
	return slices.ContainsFunc(rel.Columns, func(c catalog.Column) bool {
		return slices.Contains(t.Columns, c.Number) && (set[c.Name] || c.Generated != 0)
	})
}

// trigger judges one trigger: its condition, and its function, for which PostgreSQL
// asks nobody for execute when it fires.
func (a *analyzer) trigger(rel *catalog.Relation, t *catalog.Trigger, at place) error {
	name := "trigger " + t.Name + " of " + fullName(rel)
	if t.Condition {
		if err := a.runs(a.triggerCondition(rel, t), at, "the condition of "+name); err != nil {
			return err
		}
	}
	f := a.snap.FunctionByOID(t.Function)
	if f == nil {
		a.mustTrust(at, name)
		return nil
	}
	switch builtin.Lookup(a.snap, f).Class {
	case builtin.Harmless, builtin.Internal:
		return nil
	}
	a.current.opaque = true
	if f.SecurityDefiner {
		return nil
	}
	if ownTemporary(at.rel.Schema) {
		// No grant speaks of the session's own table. Whoever made the trigger needed
		// execute on the function by a grant that trusts it.
		addTrust(a.ask(access.Execute, a.functionObject(f)), a.codeOf(f))
		return nil
	}
	a.current.trust(at.action, relationObject(at.rel), at.rel, access.Trust{Code: name, Extension: f.Extension})
	return nil
}

// triggerCondition binds a trigger's WHEN, which speaks of the rows old and new.
func (a *analyzer) triggerCondition(rel *catalog.Relation, t *catalog.Trigger) *code {
	c := &code{}
	c.accesses, c.err = a.catalogued(t.Definition, inside{path: a.storedPath(), stored: true, part: true,
		origin: origin{refs: t.References, owner: rel.OID, besides: []catalog.OID{t.Function}, relationless: true}},
		func(inner *analyzer, tree *pg_query.ParseResult) error {
			if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetCreateTrigStmt().GetWhenClause() == nil {
				return deny(access.OpaqueCode, "a trigger's condition")
			}
			s := &scope{}
			for _, name := range []string{"old", "new"} {
				entry := &rangeEntry{name: name}
				s.namespace = append(s.namespace, &item{name: name, entry: entry, nameVisible: true, lateralOK: true, triggered: true,
					columns: storedColumns(rel)})
			}
			if err := inner.checkShape(tree.Stmts[0].Stmt.GetCreateTrigStmt().WhenClause.ProtoReflect()); err != nil {
				return err
			}
			inner.catalogText = true
			return inner.only(s, tree.Stmts[0].Stmt.GetCreateTrigStmt().WhenClause)
		})
	return c
}
