package analyze

import (
	"cmp"
	"maps"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// A migration file comes as one Query message: a table is made, indexed, filled. The
// statements after a definition are judged by a snapshot that shows what it made
// (catalog.Overlay), as the answer to a probe shows what a transaction has made. A
// statement whose changes are not known for certain unsettles the rest of the message.
//
// What the server would refuse needs no care: an error ends the message.

// changes is what a statement does to the catalog that later statements of the unit
// are judged by.
type changes struct {
	// known says that what is here is all of it.
	known bool
	// additions are lists that are not looked into again within the statement.
	additions catalog.Additions
	// gone are the relations, types and functions that it takes away.
	gone lostObjects
	// relations, types and functions are those made or changed, by number.
	relations map[catalog.OID]*catalog.Relation
	types     map[catalog.OID]*catalog.Type
	functions map[catalog.OID]*catalog.Function
	// temporary and permanent say which objects it changes; fleeting, that COMMIT drops
	// one.
	temporary, permanent, fleeting bool
}

func newChanges() changes {
	return changes{relations: map[catalog.OID]*catalog.Relation{}, types: map[catalog.OID]*catalog.Type{}, functions: map[catalog.OID]*catalog.Function{},
		gone: lostObjects{relations: map[catalog.OID]bool{}, types: map[catalog.OID]bool{}, functions: map[catalog.OID]bool{}}}
}

// changesNothing says that no later statement of the unit is judged otherwise after the
// one at hand: comments, rights, statistics.
func (a *analyzer) changesNothing() { a.change.known = true }

// newOID gives an object of the unit a number that no other has: they count down from
// the greatest, which the server is not near.
func (a *analyzer) newOID() catalog.OID {
	a.lastOID--
	return a.lastOID
}

// collected is what was changed as an overlay takes it, in the order of making.
func (c *changes) collected() catalog.Additions {
	add := c.additions
	add.Relations, add.Types, add.Functions = inOrder(c.relations), inOrder(c.types), inOrder(c.functions)
	add.Dropped.Relations, add.Dropped.Types, add.Dropped.Functions = c.gone.lists()
	return add
}

// inOrder lists objects by their numbers, which those of the unit have descending.
func inOrder[T any](objects map[catalog.OID]*T) []T {
	out := make([]T, 0, len(objects))
	for _, oid := range slices.SortedFunc(maps.Keys(objects), func(x, y catalog.OID) int { return cmp.Compare(y, x) }) {
		out = append(out, *objects[oid])
	}
	return out
}

// relation is a relation as the statement at hand has left it so far, nil if there is none.
func (a *analyzer) relation(oid catalog.OID) *catalog.Relation {
	if rel := a.change.relations[oid]; rel != nil {
		return rel
	}
	if a.change.gone.relations[oid] {
		return nil
	}
	return a.snap.RelationByOID(oid)
}

// edited is a relation that the statement changes: a copy, whose lists must not be
// written into. It is nil if there is none.
func (a *analyzer) edited(oid catalog.OID) *catalog.Relation {
	if rel := a.change.relations[oid]; rel != nil {
		return rel
	}
	rel := a.relation(oid)
	if rel == nil {
		return nil
	}
	changed := *rel
	// Lists grow by append: they must not grow into those of the snapshot.
	changed.Columns, changed.Children, changed.Parents = slices.Clone(rel.Columns), slices.Clone(rel.Children), slices.Clone(rel.Parents)
	changed.Keys, changed.ForeignKeys, changed.ReferencedBy = slices.Clone(rel.Keys), slices.Clone(rel.ForeignKeys), slices.Clone(rel.ReferencedBy)
	changed.Triggers, changed.Rules, changed.Policies = slices.Clone(rel.Triggers), slices.Clone(rel.Rules), slices.Clone(rel.Policies)
	changed.Checks, changed.IndexExpressions = slices.Clone(rel.Checks), slices.Clone(rel.IndexExpressions)
	changed.CheckNames, changed.OtherConstraints = slices.Clone(rel.CheckNames), slices.Clone(rel.OtherConstraints)
	changed.StatisticsExpressions, changed.ExclusionOperators = slices.Clone(rel.StatisticsExpressions), slices.Clone(rel.ExclusionOperators)
	changed.ForeignOperatorClasses = slices.Clone(rel.ForeignOperatorClasses)
	a.charge(objectCost + columnCost*entriesOf(rel))
	a.change.relations[oid] = &changed
	return &changed
}

// entriesOf counts what the lists of a relation hold.
func entriesOf(rel *catalog.Relation) int {
	return len(rel.Columns) + len(rel.Children) + len(rel.Parents) + len(rel.Keys) + len(rel.ForeignKeys) + len(rel.ReferencedBy) + len(rel.Triggers) +
		len(rel.Rules) + len(rel.Policies) + len(rel.Checks) + len(rel.IndexExpressions) + len(rel.StatisticsExpressions) +
		len(rel.ExclusionOperators) + len(rel.ForeignOperatorClasses)
}

// editedType is edited for a type.
func (a *analyzer) editedType(oid catalog.OID) *catalog.Type {
	if t := a.change.types[oid]; t != nil {
		return t
	}
	t := a.snap.TypeByOID(oid)
	if t == nil {
		return nil
	}
	changed := *t
	changed.Checks, changed.Constraints = slices.Clone(t.Checks), slices.Clone(t.Constraints)
	a.change.types[oid] = &changed
	return &changed
}

// editedFunction is edited for a function.
func (a *analyzer) editedFunction(oid catalog.OID) *catalog.Function {
	if f := a.change.functions[oid]; f != nil {
		return f
	}
	f := a.snap.FunctionByOID(oid)
	if f == nil {
		return nil
	}
	changed := *f
	a.change.functions[oid] = &changed
	return &changed
}

// homeOf is the schema that an object made under a name is in: the session's own for
// temporary ones, which the first of them makes.
func (a *analyzer) homeOf(object access.Object) string {
	if object.Schema != schemaTemp {
		return object.Schema
	}
	schema := a.snap.TempSchema()
	if schema == "" {
		// Its number nobody names.
		schema = schemaTemp + "_0"
	}
	a.change.additions.TempSchema = schema
	return schema
}

// addRelation adds a relation that was made.
func (a *analyzer) addRelation(rel catalog.Relation) *catalog.Relation {
	if rel.OID == 0 {
		rel.OID = a.newOID()
	}
	rel.Owner = a.in.Context.Role
	a.change.relations[rel.OID] = &rel
	return &rel
}

// addRowType adds the row type of a relation that was made, and that type's array.
func (a *analyzer) addRowType(rel *catalog.Relation) {
	rel.RowType = a.newOID()
	a.addType(catalog.Type{OID: rel.RowType, Schema: rel.Schema, Name: rel.Name, Kind: 'c', Category: 'C', Relation: rel.OID,
		Input: procRecordIn, Output: procRecordOut, Support: []catalog.OID{procRecordRecv, procRecordSend}})
}

// The functions of composite types, enums, domains, ranges and arrays (pg_proc.dat).
const (
	procRecordIn       catalog.OID = 2290
	procRecordOut      catalog.OID = 2291
	procRecordRecv     catalog.OID = 2402
	procRecordSend     catalog.OID = 2403
	procEnumIn         catalog.OID = 3506
	procEnumOut        catalog.OID = 3507
	procEnumRecv       catalog.OID = 3532
	procEnumSend       catalog.OID = 3533
	procArrayIn        catalog.OID = 750
	procArrayOut       catalog.OID = 751
	procArrayRecv      catalog.OID = 2400
	procArraySend      catalog.OID = 2401
	procArrayAnalyze   catalog.OID = 3816
	procArraySubscript catalog.OID = 6179
	procDomainIn       catalog.OID = 2597
	procDomainRecv     catalog.OID = 2598
	procRangeIn        catalog.OID = 3834
	procRangeOut       catalog.OID = 3835
	procRangeRecv      catalog.OID = 3836
	procRangeSend      catalog.OID = 3837
	procRangeAnalyze   catalog.OID = 3916
	procMultiIn        catalog.OID = 4231
	procMultiOut       catalog.OID = 4232
	procMultiRecv      catalog.OID = 4233
	procMultiSend      catalog.OID = 4234
	procMultiAnalyze   catalog.OID = 4242
)

// addType adds a type that was made, with its array (TypeCreate, makeArrayTypeName of
// pg_type.c).
func (a *analyzer) addType(t catalog.Type) *catalog.Type {
	t.Owner, t.Array = a.in.Context.Role, a.newOID()
	a.moveArray(t.Schema, t.Name)
	a.change.types[t.OID] = &t
	name := truncateName("_" + t.Name)
	for n := 2; a.typeNamedIn(t.Schema, name) != nil && n < nameBytes; n++ {
		name = truncateName(string(slices.Repeat([]byte{'_'}, n)) + t.Name)
	}
	a.change.types[t.Array] = &catalog.Type{OID: t.Array, Schema: t.Schema, Name: name, Kind: 'b', Category: 'A', Element: t.OID, Owner: t.Owner,
		Input: procArrayIn, Output: procArrayOut, Support: []catalog.OID{procArrayRecv, procArraySend, procArrayAnalyze, procArraySubscript}}
	return &t
}

// typeNamedIn finds a type by its name, those of the statement first.
func (a *analyzer) typeNamedIn(schema, name string) *catalog.Type {
	a.charge(len(a.change.types))
	for _, t := range a.change.types {
		if t.Schema == schema && t.Name == name {
			return t
		}
	}
	t := a.snap.TypeByName(schema, name)
	if t != nil && (a.change.types[t.OID] != nil || a.change.gone.types[t.OID]) {
		return nil
	}
	return t
}

// moveArray gives an array type another name that is in the way of a new type
// (moveArrayTypeName of pg_type.c).
func (a *analyzer) moveArray(schema, name string) {
	t := a.typeNamedIn(schema, name)
	if t == nil || t.Element == 0 {
		return
	}
	element := a.snap.TypeByOID(t.Element)
	if element == nil || element.Array != t.OID {
		return
	}
	other := name
	for n := 1; a.typeNamedIn(schema, other) != nil && n < nameBytes; n++ {
		other = truncateName(string(slices.Repeat([]byte{'_'}, n)) + element.Name)
	}
	a.editedType(t.OID).Name = other
}
