package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// checkCascaded is Relation.CheckOption of WITH CASCADED CHECK OPTION.
const checkCascaded = 'c'

// viewWrite is a write to a view: the right that the statement asks for on it, and
// what it writes there.
type viewWrite struct {
	action access.Action
	// columns are those inserted or updated, given those with a value that is not their
	// default.
	columns, given map[string]bool
	// reads says that the statement reads the view as well, read which of its columns; nil
	// stands for all.
	reads bool
	read  columnSet
	// merges says that the statement is a MERGE.
	merges bool
	// unseen says that it is the update of an ON CONFLICT, in a server that updates rows
	// which the view does not show.
	unseen bool
	// cascaded says that a view above checks what is written by the conditions of all
	// views under it.
	cascaded bool
	// at is whose grant must trust the code that runs.
	at place
}

// writeView judges a write to a view (RewriteQuery): a rule or an INSTEAD OF trigger
// takes its place, or it becomes a write to the relation that the view is over.
func (a *analyzer) writeView(rel *catalog.Relation, w viewWrite) error {
	if err := a.rules(rel, w.action, w.at); err != nil {
		return err
	}
	if replaced(rel, w.action) {
		// An INSTEAD rule with a condition leaves the rest to nobody: the server refuses
		// it for a view.
		return nil
	}
	fired := events(w.action)
	if slices.ContainsFunc(rel.Triggers, func(t catalog.Trigger) bool {
		return t.Type&triggerInstead != 0 && t.Type&fired != 0
	}) {
		if err := a.fires(rel, fired, w.columns, w.at, false); err != nil || w.action == access.Insert && !w.merges {
			return err
		}
		// The rows that the trigger gets, or that MERGE joins, are read through the view's query.
		return a.readView(rel)
	}
	if err := a.fires(rel, fired, w.columns, w.at, false); err != nil {
		return err
	}
	return a.writeBase(rel, w)
}

// replaced reports whether a rule takes the place of an action on a relation.
func replaced(rel *catalog.Relation, action access.Action) bool {
	return slices.ContainsFunc(rel.Rules, func(r catalog.Rule) bool {
		return enabled(r.Enabled) && r.Instead && r.Event == ruleEvent(action)
	})
}

// ruled reports whether a rule stands at an action on a view: its action may read the
// view's whole query, which the write is then put into (rewriteRuleAction).
func ruled(view *catalog.Relation, action access.Action) bool {
	return view.Kind == catalog.KindView && slices.ContainsFunc(view.Rules, func(r catalog.Rule) bool { return r.Event == ruleEvent(action) })
}

// writeBase judges the write that a write to an automatically updatable view becomes
// (rewriteTargetView). The relation under it is asked for the same right, on the
// columns that the view's stand for, and for select on all columns of its query if
// the statement reads the view: of the view's owner, or of the session's role under
// security_invoker. Of the rest of the query only what the write uses is asked for.
func (a *analyzer) writeBase(rel *catalog.Relation, w viewWrite) error {
	name := fullName(rel)
	bound, err := a.boundView(rel)
	if err != nil {
		return err
	}
	base, columns := a.updatable(rel, bound.tree)
	if base == nil {
		return deny(access.Construct, "a write to view "+name+", which the server does not update")
	}
	inner := *a
	inner.reader = a.viewReader(rel)
	inner.current = &recorder{within: inner.reader != "", stored: true}
	named := relationObject(base)
	inner.current.need(w.action, named, base)
	next := viewWrite{action: w.action, columns: map[string]bool{}, given: map[string]bool{}, reads: w.reads, merges: w.merges, unseen: w.unseen, at: w.at,
		cascaded: w.cascaded || rel.CheckOption == checkCascaded}
	if inner.reader == "" {
		next.at = place{w.action, base}
	}
	for column := range w.columns {
		of := columns[column]
		if of == "" {
			return deny(access.Construct, "a write to column "+column+" of view "+name+", which the server does not update")
		}
		next.columns[of], next.given[of] = true, w.given[column]
		inner.current.column(w.action, named, base, of)
	}
	if w.reads {
		inner.current.absorbRead(bound.accesses, bound.query.ranges[0])
	}
	parts, err := inner.partsOf(rel)
	if err != nil {
		return err
	}
	if ruled(base, w.action) {
		if err := inner.readView(base); err != nil {
			return err
		}
		inner.current.absorbParts(append(parts.columns, parts.quals))
	} else {
		next.read = inner.current.absorbParts(parts.used(rel, w))
	}
	if err := inner.written(base, next); err != nil {
		return err
	}
	a.work = inner.work
	a.current.absorbView(inner.current, rel, w.at)
	return nil
}

// written judges what a write runs in a relation under a view.
func (a *analyzer) written(rel *catalog.Relation, w viewWrite) error {
	if rel.Kind == catalog.KindView {
		return a.writeView(rel, w)
	}
	if !fits(rel.Kind, w.action) || isSystem(rel) {
		return deny(access.RelationKind, "a write to "+fullName(rel))
	}
	if err := a.judgeWriteAt(rel, w.action, w.columns, w.at); err != nil {
		return err
	}
	if w.merges {
		if err := a.generatedCode(rel, w.at); err != nil {
			return err
		}
	}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if w.given[c.Name] || w.action != access.Insert && !w.columns[c.Name] {
			continue
		}
		if err := a.judgeDefault(rel, c, w.at); err != nil {
			return err
		}
	}
	actions := []access.Action{w.action}
	if w.reads {
		actions = append(actions, access.Select)
	}
	for _, action := range actions {
		if err := a.rowSecurity(rel, action); err != nil {
			return err
		}
	}
	return nil
}

// updatable is the relation that a view is over, and which of its columns the view's
// columns are (view_query_is_auto_updatable). It is nil where the server would not
// update the view; aggregates, window functions and functions that return sets are
// left to the server, which refuses them.
func (a *analyzer) updatable(view *catalog.Relation, q *pg_query.SelectStmt) (*catalog.Relation, map[string]string) {
	if len(q.DistinctClause) > 0 || len(q.GroupClause) > 0 || q.HavingClause != nil || q.WithClause != nil ||
		q.LimitOffset != nil || q.LimitCount != nil || q.Op != pg_query.SetOperation_SETOP_NONE ||
		len(q.FromClause) != 1 || len(q.TargetList) != len(view.Columns) {
		return nil, nil
	}
	rv := q.FromClause[0].GetRangeVar()
	if rv == nil {
		return nil, nil
	}
	base := a.snap.RelationByName(rv.Schemaname, rv.Relname)
	for _, schema := range a.storedPath() {
		if base == nil && rv.Schemaname == "" {
			base = a.snap.RelationByName(schema, rv.Relname)
		}
	}
	if base == nil {
		return nil, nil
	}
	columns := map[string]string{}
	for i, node := range q.TargetList {
		ref := node.GetResTarget().GetVal().GetColumnRef()
		if ref == nil {
			continue
		}
		names, star, err := refNames(ref)
		if err != nil || star || isSystemColumn(last(names)) {
			continue
		}
		if slices.ContainsFunc(base.Columns, func(c catalog.Column) bool { return c.Name == last(names) }) {
			columns[view.Columns[i].Name] = last(names)
		}
	}
	return base, columns
}
