package analyze

import (
	"maps"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// dropped hides what DROP took away from the statements after it. Without CASCADE nothing
// is left that depends on it, or the server has refused.
func (a *analyzer) dropped(d *pg_query.DropStmt, subjects []subject) error {
	known := true
	for i, s := range subjects {
		if !a.dropSubject(s, d.Objects[i]) {
			known = false
		}
	}
	if known && d.Behavior == pg_query.DropBehavior_DROP_CASCADE {
		var err error
		if known, err = a.cascades(); err != nil {
			return err
		}
	}
	a.change.known = known
	return nil
}

// ownOnly reports whether nothing but objects of the session's own is taken away.
func (a *analyzer) ownOnly() bool {
	for oid := range a.change.gone.relations {
		if rel := a.snap.RelationByOID(oid); rel != nil && !ownTemporary(rel.Schema) {
			return false
		}
	}
	for _, rel := range a.change.relations {
		if !ownTemporary(rel.Schema) {
			return false
		}
	}
	return a.change.known && len(a.change.additions.Dropped.Schemas)+len(a.change.gone.functions)+len(a.change.functions) == 0
}

// dropSubject takes one object away. It reports false where that is not followed.
func (a *analyzer) dropSubject(s subject, object *pg_query.Node) bool {
	switch s.kind.form {
	case relationForm:
		if s.relation != nil {
			a.goneFamily(s.relation)
		}
		return true
	case partForm:
		return s.relation == nil || a.dropPart(s, object)
	case routineForm:
		if s.kind.kind == pg_query.ObjectType_OBJECT_OPERATOR {
			return false
		}
		f, certain := a.routineNamed(object.GetObjectWithArgs())
		if f == nil {
			return certain
		}
		delete(a.change.functions, f.OID)
		a.change.gone.functions[f.OID] = true
		return true
	case typeForm:
		for _, schema := range s.schemas {
			if t := a.snap.TypeByName(schema, s.name); t != nil {
				return a.goneTypeAnd(t)
			}
		}
		return true
	case schemaForm:
		return a.dropSchema(s.name)
	case qualifiedForm:
		// Of statistics the expressions stay: more than there is. Of text search nothing is
		// known by its name.
		return s.kind.kind == pg_query.ObjectType_OBJECT_STATISTIC_EXT
	default:
		return false
	}
}

// goneFamily takes a relation away, with the partitions of a partitioned table.
func (a *analyzer) goneFamily(rel *catalog.Relation) {
	if rel.Kind == catalog.KindPartitionedTable {
		for _, oid := range rel.Children {
			if child := a.relation(oid); child != nil && !a.change.gone.relations[oid] {
				a.goneFamily(child)
			}
		}
	}
	a.gone(rel.OID)
}

// dropPart takes a trigger, rule or policy away.
func (a *analyzer) dropPart(s subject, object *pg_query.Node) bool {
	items, ok := stringNodes(object.GetList().GetItems())
	if !ok || len(items) == 0 {
		return false
	}
	name, rel := last(items), a.edited(s.relation.OID)
	switch s.kind.kind {
	case pg_query.ObjectType_OBJECT_TRIGGER:
		rel.Triggers = slices.DeleteFunc(rel.Triggers, func(t catalog.Trigger) bool { return t.Name == name })
		rel.OtherConstraints = slices.DeleteFunc(rel.OtherConstraints, func(other string) bool { return other == name })
		return len(rel.Children) == 0
	case pg_query.ObjectType_OBJECT_RULE:
		rel.Rules = slices.DeleteFunc(rel.Rules, func(r catalog.Rule) bool { return r.Name == name })
		return true
	case pg_query.ObjectType_OBJECT_POLICY:
		rel.Policies = slices.DeleteFunc(rel.Policies, func(p catalog.Policy) bool { return p.Name == name })
		return true
	default:
		return false
	}
}

// dropSchema takes a schema away with all that is in it, if it is there.
func (a *analyzer) dropSchema(name string) bool {
	for schema := range a.snap.EachSchema() {
		if schema.Name != name {
			continue
		}
		if schema.OID == 0 || ownTemporary(name) {
			return false
		}
		a.change.additions.Dropped.Schemas = append(a.change.additions.Dropped.Schemas, schema.OID)
		break
	}
	for rel := range a.snap.EachUserRelation() {
		if a.charge(1); rel.Schema == name && !a.exhausted() && !a.change.gone.relations[rel.OID] {
			a.goneFamily(rel)
		}
	}
	for f := range a.snap.EachUserFunction() {
		if a.charge(1); f.Schema == name {
			a.change.gone.functions[f.OID] = true
		}
	}
	for t := range a.snap.EachUserType() {
		if a.charge(1); t.Schema == name && !a.exhausted() && !a.change.gone.types[t.OID] {
			a.goneType(t)
		}
	}
	for o := range a.snap.EachOperator() {
		if a.charge(1); o.Schema == name {
			// What an operator belongs to is not followed.
			return false
		}
	}
	return true
}

// cascades takes away what depends on what is gone, as far as a snapshot shows that: what
// was resolved to it, and foreign keys, which gone has taken. It reports false where
// something may depend on it in another way.
func (a *analyzer) cascades() (bool, error) {
	for {
		lost := &a.change.gone
		before := lost.size()
		for rel := range a.snap.EachUserRelation() {
			if err := a.spend(rowCost + entriesOf(rel)); err != nil {
				return false, err
			}
			if lost.relations[rel.OID] || isSystem(rel) {
				continue
			}
			if now := a.relation(rel.OID); now != nil && !a.cascadeTo(now, lost) {
				return false, nil
			}
		}
		for f := range a.snap.EachUserFunction() {
			if err := a.spend(rowCost); err != nil {
				return false, err
			}
			if lost.functions[f.OID] {
				continue
			}
			if lost.refers(f.References) || lost.types[f.Result] || slices.ContainsFunc(f.Arguments, func(t catalog.OID) bool { return lost.types[t] }) ||
				slices.ContainsFunc(f.AllArguments, func(t catalog.OID) bool { return lost.types[t] }) {
				delete(a.change.functions, f.OID)
				lost.functions[f.OID] = true
			}
		}
		if !a.typesStay(lost) {
			return false, nil
		}
		if lost.size() == before {
			return true, nil
		}
	}
}

// lostObjects are those that a statement takes away, by number.
type lostObjects struct{ relations, types, functions map[catalog.OID]bool }

func (l *lostObjects) size() int { return len(l.relations) + len(l.types) + len(l.functions) }

// lists are the objects of each kind, by number.
func (l *lostObjects) lists() (relations, types, functions []catalog.OID) {
	return slices.Sorted(maps.Keys(l.relations)), slices.Sorted(maps.Keys(l.types)), slices.Sorted(maps.Keys(l.functions))
}

func setOf(list []catalog.OID) map[catalog.OID]bool {
	out := make(map[catalog.OID]bool, len(list))
	for _, oid := range list {
		out[oid] = true
	}
	return out
}

// refers reports whether a text was resolved to something that is lost.
func (l *lostObjects) refers(refs catalog.References) bool {
	return slices.ContainsFunc(refs.Relations, func(oid catalog.OID) bool { return l.relations[oid] }) ||
		slices.ContainsFunc(refs.Functions, func(oid catalog.OID) bool { return l.functions[oid] })
}

// cascadeTo takes away what of a relation depends on something that is lost, or all of
// it. It reports false where that is not followed.
func (a *analyzer) cascadeTo(rel *catalog.Relation, lost *lostObjects) bool {
	for _, c := range rel.Columns {
		if lost.types[c.Type] {
			// The column goes, and what it is in.
			return false
		}
	}
	if lost.refers(rel.References) {
		a.goneFamily(rel)
		return true
	}
	if slices.ContainsFunc(rel.Parents, func(oid catalog.OID) bool { return lost.relations[oid] }) {
		a.goneFamily(rel)
		return true
	}
	for i, c := range rel.Columns {
		if !lost.refers(c.References) {
			continue
		}
		if c.Generated != 0 {
			return false
		}
		changed := a.edited(rel.OID)
		changed.Columns[i].Default, changed.Columns[i].References = "", catalog.References{}
		rel = changed
	}
	if a.losesTexts(rel, lost) {
		return false
	}
	loses := func(t catalog.Trigger) bool { return lost.functions[t.Function] || lost.refers(t.References) }
	if slices.ContainsFunc(rel.Triggers, loses) {
		changed := a.edited(rel.OID)
		changed.Triggers = slices.DeleteFunc(changed.Triggers, loses)
	}
	ruled := func(r catalog.Rule) bool { return lost.refers(r.References) }
	if slices.ContainsFunc(rel.Rules, ruled) {
		changed := a.edited(rel.OID)
		changed.Rules = slices.DeleteFunc(changed.Rules, ruled)
	}
	secured := func(p catalog.Policy) bool { return lost.refers(p.References) }
	if slices.ContainsFunc(rel.Policies, secured) {
		changed := a.edited(rel.OID)
		changed.Policies = slices.DeleteFunc(changed.Policies, secured)
	}
	return true
}

// losesTexts reports whether a check, an index or a partition key depends on something
// that is lost. Which of them goes then is not followed.
func (a *analyzer) losesTexts(rel *catalog.Relation, lost *lostObjects) bool {
	for _, list := range [][]catalog.Expression{rel.Checks, rel.IndexExpressions, rel.StatisticsExpressions, {rel.PartitionKey}} {
		if slices.ContainsFunc(list, func(e catalog.Expression) bool { return lost.refers(e.References) }) {
			return true
		}
	}
	return false
}

// typesStay reports whether no type, operator, cast or operator class depends on what is
// lost: those are not followed. Texts name types without a record, so that no type may be
// lost but the row types of relations that nobody else has a column of.
func (a *analyzer) typesStay(lost *lostObjects) bool {
	for oid := range lost.types {
		if t := a.snap.TypeByOID(oid); t != nil && t.Kind != 'c' && t.Element == 0 {
			return false
		}
	}
	for t := range a.snap.EachUserType() {
		if a.charge(rowCost); !lost.types[t.OID] && (lost.types[t.Base] || lost.types[t.Subtype] || lost.refers(t.References) ||
			slices.ContainsFunc(t.Checks, func(e catalog.Expression) bool { return lost.refers(e.References) })) {
			return false
		}
	}
	for o := range a.snap.EachOperator() {
		if a.charge(1); lost.types[o.Left] || lost.types[o.Right] || lost.functions[o.Function] {
			return false
		}
	}
	for _, c := range a.snap.UserCasts() {
		if lost.types[c.Source] || lost.types[c.Target] || lost.functions[c.Function] {
			return false
		}
	}
	return !a.anyUserClass("btree") || len(lost.functions) == 0
}

// gone takes a relation away, with what belongs to it.
func (a *analyzer) gone(oid catalog.OID) {
	rel := a.relation(oid)
	if rel == nil {
		return
	}
	for _, part := range a.belonging(oid) {
		a.gone(part)
	}
	if rel.IndexOf != 0 {
		a.goneIndex(rel)
	}
	delete(a.change.relations, oid)
	a.change.gone.relations[oid] = true
	if t := a.snap.TypeByOID(rel.RowType); t != nil {
		a.goneType(t)
	}
	for _, p := range rel.Parents {
		if parent := a.edited(p); parent != nil {
			unlink(parent, &catalog.Relation{OID: oid})
		}
	}
	for _, key := range rel.ForeignKeys {
		if to := a.edited(key.To); to != nil && key.To != oid {
			to.ReferencedBy = slices.DeleteFunc(to.ReferencedBy, func(k catalog.ForeignKey) bool { return k.From == oid })
		}
	}
	for _, key := range rel.ReferencedBy {
		if from := a.edited(key.From); from != nil && key.From != oid {
			from.ForeignKeys = slices.DeleteFunc(from.ForeignKeys, func(k catalog.ForeignKey) bool { return k.To == oid })
		}
	}
}

// goneType takes a type and its array away.
func (a *analyzer) goneType(t *catalog.Type) {
	delete(a.change.types, t.OID)
	delete(a.change.types, t.Array)
	a.change.gone.types[t.OID] = true
	if t.Array != 0 {
		a.change.gone.types[t.Array] = true
	}
}
