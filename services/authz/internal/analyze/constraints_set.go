package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// constraintsSet judges SET CONSTRAINTS: what runs is the same, sooner or later, and
// PostgreSQL asks for no right. That a constraint of a name is there is for those to
// know who may do anything at all with its table.
func (a *analyzer) constraintsSet(c *pg_query.ConstraintsSetStmt) error {
	if len(c.Constraints) > 0 && a.unsettled != "" {
		return deny(access.Construct, "a statement after "+a.unsettled)
	}
	for _, node := range c.Constraints {
		rv := node.GetRangeVar()
		if rv == nil || rv.Catalogname != "" && rv.Catalogname != a.snap.Database {
			return deny(access.Construct, "a constraint's name")
		}
		if err := a.constraintNamed(rv.Schemaname, rv.Relname); err != nil {
			return err
		}
	}
	// Triggers that were put off run now (AfterTriggerSetState), whatever they do.
	a.current.opaque = !c.Deferred
	return nil
}

// constraintNamed finds the constraints of a name: all those of the first schema of the
// path that has one (AfterTriggerSetState).
func (a *analyzer) constraintNamed(schema, name string) error {
	found := map[string][]*catalog.Relation{}
	looked := 0
	for rel := range a.snap.EachRelation() {
		looked += 1 + len(rel.Keys) + len(rel.ForeignKeys) + len(rel.Triggers)
		if hasConstraint(rel, name) {
			found[shownSchema(rel.Schema)] = append(found[shownSchema(rel.Schema)], rel)
		}
	}
	if err := a.spend(looked); err != nil {
		return err
	}
	schemas := []string{shownSchema(schema)}
	if schema == "" {
		schemas = nil
		for _, s := range a.path {
			schemas = append(schemas, shownSchema(s))
		}
	}
	for _, s := range schemas {
		if len(found[s]) == 0 {
			continue
		}
		a.named(s)
		for _, rel := range found[s] {
			a.current.need(access.Any, relationObject(rel), rel)
		}
		return nil
	}
	return deny(access.UnknownObject, "constraint "+name)
}

// hasConstraint reports whether a constraint of a relation that can be put off has a
// name. A constraint trigger's is the trigger's; which triggers are such is not asked.
func hasConstraint(rel *catalog.Relation, name string) bool {
	return slices.ContainsFunc(rel.Keys, func(k catalog.Key) bool { return k.Name == name }) ||
		slices.ContainsFunc(rel.ForeignKeys, func(k catalog.ForeignKey) bool { return k.Name == name }) ||
		slices.ContainsFunc(rel.Triggers, func(t catalog.Trigger) bool { return t.Name == name })
}
