package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
)

// The events that no statement of every kind sets off (event_trigger.c): login happens
// before a session's first statement, table_rewrite under ALTER alone.
const (
	eventLogin        = "login"
	eventTableRewrite = "table_rewrite"
)

// eventTriggers judges the event triggers that a change of the catalog fires. They run
// with the rights of the session's role, and nobody is asked for execute: the grants of
// ddl, temporary or maintain that the statement needs must trust them. For what an
// administrator alone may do there is nothing to be trusted with. Which command tags a
// trigger is for is not looked at: a statement may stand for several.
func (a *analyzer) eventTriggers(node *pg_query.Node, found access.Statement) {
	if len(a.snap.EventTriggers) == 0 || !a.changesCatalog(node, found) {
		return
	}
	for i := range a.snap.EventTriggers {
		t := &a.snap.EventTriggers[i]
		if !enabled(t.Enabled) || t.Event == eventLogin ||
			t.Event == eventTableRewrite && node.GetAlterTableStmt() == nil && node.GetAlterTypeStmt() == nil && node.GetAlterDomainStmt() == nil {
			continue
		}
		f := a.snap.FunctionByOID(t.Function)
		code := access.Trust{Code: "event trigger " + t.Name}
		if f != nil {
			if class := builtin.Lookup(a.snap, f).Class; class == builtin.Harmless || class == builtin.Internal {
				continue
			}
			code.Extension = f.Extension
		}
		a.current.opaque = true
		if f != nil && f.SecurityDefiner {
			continue
		}
		for _, e := range slices.Clone(a.current.entries) {
			switch e.access.Action {
			case access.DDL, access.Temporary, access.Maintain:
				if !e.access.Within {
					addTrust(&e.access, code)
				}
			}
		}
	}
}

// changesCatalog reports whether a statement is one that event triggers fire for.
func (a *analyzer) changesCatalog(node *pg_query.Node, found access.Statement) bool {
	switch node.GetNode().(type) {
	case *pg_query.Node_DiscardStmt:
		return false
	case *pg_query.Node_RefreshMatViewStmt, *pg_query.Node_ReindexStmt:
		return true
	}
	return slices.ContainsFunc(found.Effects, func(e access.Effect) bool {
		return e.Kind == access.EffectDDL || e.Kind == access.EffectTemp
	})
}
