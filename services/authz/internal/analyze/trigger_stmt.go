package analyze

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// createTrigger judges CREATE TRIGGER in PostgreSQL's order (CreateTriggerFiringOn of
// trigger.c): trigger on the table and on each partition, the condition, execute on the
// function, the columns. What the function does is
// judged with the statement that fires it, by the grants of whoever sends that: so a
// function that nobody can look into is attached only by who is trusted with it, or the
// trust in others' writes would carry it.
func (a *analyzer) createTrigger(t *pg_query.CreateTrigStmt) error {
	rel, err := a.triggers(t.Relation, t.Row)
	if err != nil {
		return err
	}
	if t.Constrrel != nil {
		if _, err := a.triggers(t.Constrrel, true); err != nil {
			return err
		}
	}
	rows := a.oldAndNew(rel)
	for _, row := range rows.namespace {
		// Which of them a BEFORE trigger may not look at, the server says.
		row.triggered = rel.Kind != catalog.KindView
	}
	h, err := a.storing(func() error { return a.optional(rows, t.WhenClause) })
	if err != nil {
		return err
	}
	if err := a.functionsNamed(t.Funcname); err != nil {
		return err
	}
	if err := updatedColumns(rel, t.Columns); err != nil {
		return err
	}
	a.madeTrigger(t, &pg_query.Node{Node: &pg_query.Node_CreateTrigStmt{CreateTrigStmt: t}}, rel, h)
	return a.functionsRun(t.Funcname)
}

// updatedColumns looks for the columns of UPDATE OF.
func updatedColumns(rel *catalog.Relation, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		name := node.GetString_().GetSval()
		if !slices.ContainsFunc(rel.Columns, func(c catalog.Column) bool { return c.Name == name }) {
			return hideColumn(stateUndefinedColumn, fmt.Sprintf("column \"%s\" of relation \"%s\" does not exist", name, rel.Name), 0)
		}
	}
	return nil
}

// triggers opens a relation that gets a trigger. One for each row is made on every
// partition as well, and asked for there (CreateTriggerFiringOn).
func (a *analyzer) triggers(rv *pg_query.RangeVar, row bool) (*catalog.Relation, error) {
	if rv == nil {
		return nil, deny(access.Construct, "a trigger of nothing")
	}
	rel, err := a.openRelation(rv, access.Select, -1)
	if err != nil {
		return nil, err
	}
	if isSystem(rel) {
		return nil, deny(access.RelationKind, "catalog "+fullName(rel))
	}
	a.current.whole(access.Trigger, namedObject(rv), rel)
	children, err := a.descendants(rel)
	if err != nil || !row || rel.Kind != catalog.KindPartitionedTable {
		return rel, err
	}
	for _, child := range children {
		a.current.whole(access.Trigger, relationObject(child), child)
	}
	return rel, a.opensPartitions(rel, access.Trigger)
}

// oldAndNew is the level at which the condition of a trigger or rule is bound: the row
// before and after, which are nobody's to read.
func (a *analyzer) oldAndNew(rel *catalog.Relation) *scope {
	s := &scope{}
	for _, name := range []string{"old", "new"} {
		entry := &rangeEntry{name: name}
		it := &item{name: name, entry: entry, sides: []*rangeEntry{entry}, nameVisible: true, lateralOK: true}
		for _, c := range rel.Columns {
			it.columns = append(it.columns, column{name: c.Name, typ: c.Type})
		}
		s.namespace, s.ranges = append(s.namespace, it), append(s.ranges, entry)
	}
	return s
}

// functionsNamed asks for execute on every function that a name can mean, where a
// trigger names one: none of them takes arguments.
func (a *analyzer) functionsNamed(nodes []*pg_query.Node) error {
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	candidates := a.snap.FunctionsNamed(name)
	if err := a.spend(len(candidates)); err != nil {
		return err
	}
	found := false
	for _, f := range candidates {
		if len(f.Arguments) > 0 || schema != "" && f.Schema != schema || schema == "" && !a.path.includes(f.Schema) {
			continue
		}
		found = true
		if err := a.attaches(f); err != nil {
			return err
		}
	}
	if !found {
		return deny(access.UnknownObject, "function "+name)
	}
	return nil
}

// functionsRun judges what the functions without arguments do that a name can mean. None
// of them runs yet.
func (a *analyzer) functionsRun(nodes []*pg_query.Node) error {
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	opaque := a.current.opaque
	defer func() { a.current.opaque = opaque }()
	for _, f := range a.snap.FunctionsNamed(name) {
		if f.OID < catalog.FirstNormalOID || len(f.Arguments) > 0 || schema != "" && f.Schema != schema || schema == "" && !a.path.includes(f.Schema) {
			continue
		}
		if err := a.runFunction(f, a.functionObject(f), nil); err != nil {
			return err
		}
	}
	return nil
}
