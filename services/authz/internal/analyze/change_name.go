package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// renamed shows an object under another name (RenameRelation, renameatt of tablecmds.c and
// their kin). What was resolved to it means it still, but its text names it anew.
func (a *analyzer) renamed(r *pg_query.RenameStmt, s subject, object *pg_query.Node) {
	if s.relation == nil && (s.kind.form == relationForm || s.kind.form == partForm) {
		a.change.known = r.MissingOk
		return
	}
	switch s.kind.form {
	case relationForm:
		a.change.known = a.renameRelation(s.relation, r.Newname)
	case partForm:
		a.change.known = a.renamePart(r, s)
	case typeForm:
		for _, schema := range s.schemas {
			if t := a.snap.TypeByName(schema, s.name); t != nil {
				a.change.known = a.renameType(t, r.Newname)
				return
			}
		}
	case routineForm:
		if s.kind.kind == pg_query.ObjectType_OBJECT_OPERATOR {
			return
		}
		if f, _ := a.routineNamed(object.GetObjectWithArgs()); f != nil {
			a.editedFunction(f.OID).Name = r.Newname
			a.forgetTexts(lostObjects{functions: map[catalog.OID]bool{f.OID: true}}, "",
				moved{function: true, schema: f.Schema, name: f.Name, toSchema: f.Schema, toName: r.Newname})
			a.change.known = true
		}
	}
}

// renameRelation gives a relation another name, and its row type and the constraint that
// an index is of.
func (a *analyzer) renameRelation(rel *catalog.Relation, name string) bool {
	old := rel.Name
	changed := a.edited(rel.OID)
	changed.Name = name
	if t := a.editedType(rel.RowType); t != nil {
		a.renameTo(t, name)
	}
	if table := a.edited(rel.IndexOf); table != nil {
		for i := range table.Keys {
			if table.Keys[i].Name == old {
				table.Keys[i].Name = name
			}
		}
	}
	a.forgetTexts(lostObjects{relations: map[catalog.OID]bool{rel.OID: true}}, old,
		moved{relation: true, schema: rel.Schema, name: old, toSchema: rel.Schema, toName: name})
	return true
}

// renameTo gives a type and its array other names (RenameTypeInternal of pg_type.c).
func (a *analyzer) renameTo(t *catalog.Type, name string) {
	a.moveArray(t.Schema, name)
	t.Name = name
	if array := a.editedType(t.Array); array != nil {
		array.Name = ""
		made := truncateName("_" + name)
		for n := 2; a.typeNamedIn(t.Schema, made) != nil && n < nameBytes; n++ {
			made = truncateName(strings.Repeat("_", n) + name)
		}
		array.Name = made
	}
}

func (a *analyzer) renameType(t *catalog.Type, name string) bool {
	if t.OID < catalog.FirstNormalOID || t.Kind == 'b' && t.Element != 0 {
		return false
	}
	old := t.Name
	a.renameTo(a.editedType(t.OID), name)
	if rel := a.edited(t.Relation); rel != nil {
		rel.Name = name
	}
	a.forgetTexts(lostObjects{}, old)
	return true
}

// renamePart renames a column, or something else that belongs to a relation.
func (a *analyzer) renamePart(r *pg_query.RenameStmt, s subject) bool {
	rel := a.edited(s.relation.OID)
	switch s.kind.kind {
	case pg_query.ObjectType_OBJECT_COLUMN, pg_query.ObjectType_OBJECT_ATTRIBUTE:
		return a.renameColumn(rel, r.Subname, r.Newname)
	case pg_query.ObjectType_OBJECT_TRIGGER:
		for i := range rel.Triggers {
			if rel.Triggers[i].Name == r.Subname {
				rel.Triggers[i].Name = r.Newname
			}
		}
		slices.SortStableFunc(rel.Triggers, func(x, y catalog.Trigger) int { return strings.Compare(x.Name, y.Name) })
		return len(rel.Children) == 0
	case pg_query.ObjectType_OBJECT_POLICY:
		for i := range rel.Policies {
			if rel.Policies[i].Name == r.Subname {
				rel.Policies[i].Name = r.Newname
			}
		}
		slices.SortStableFunc(rel.Policies, func(x, y catalog.Policy) int { return strings.Compare(x.Name, y.Name) })
		return true
	case pg_query.ObjectType_OBJECT_RULE:
		for i := range rel.Rules {
			if rel.Rules[i].Name == r.Subname {
				rel.Rules[i].Name = r.Newname
			}
		}
		slices.SortStableFunc(rel.Rules, func(x, y catalog.Rule) int { return strings.Compare(x.Name, y.Name) })
		return true
	case pg_query.ObjectType_OBJECT_TABCONSTRAINT:
		return a.renameConstraint(rel, r.Subname, r.Newname)
	default:
		return false
	}
}

// renameConstraint renames a constraint, and the index that it is.
func (a *analyzer) renameConstraint(rel *catalog.Relation, old, name string) bool {
	for i := range rel.Keys {
		if rel.Keys[i].Name == old {
			rel.Keys[i].Name = name
			if index := a.relationNamedIn(rel.Schema, old); index != nil && index.IndexOf == rel.OID {
				a.edited(index.OID).Name = name
			}
		}
	}
	for i, key := range rel.ForeignKeys {
		if key.Name != old {
			continue
		}
		rel.ForeignKeys[i].Name = name
		if to := a.edited(key.To); to != nil {
			for j := range to.ReferencedBy {
				if to.ReferencedBy[j].Name == old && to.ReferencedBy[j].From == rel.OID {
					to.ReferencedBy[j].Name = name
				}
			}
		}
	}
	// A check goes by one name in all that inherit it.
	family := []*catalog.Relation{rel}
	if slices.Contains(rel.CheckNames, old) {
		children, err := a.descendants(rel)
		if err != nil {
			return false
		}
		for _, child := range children {
			family = append(family, a.edited(child.OID))
		}
	}
	for _, r := range family {
		for _, list := range [][]string{r.CheckNames, r.OtherConstraints} {
			for i := range list {
				if list[i] == old {
					list[i] = name
				}
			}
		}
	}
	return rel.Kind != catalog.KindPartitionedTable || len(rel.Children) == 0
}

// renameColumn renames a column of a relation and of those that inherit it. Texts of the
// relation's own name it by the new name then.
func (a *analyzer) renameColumn(rel *catalog.Relation, old, name string) bool {
	family := []*catalog.Relation{rel}
	children, err := a.descendants(rel)
	if err != nil {
		return false
	}
	for _, child := range children {
		if len(child.Parents) > 1 {
			return false
		}
		family = append(family, a.edited(child.OID))
	}
	renamed := map[catalog.OID]bool{}
	for _, r := range family {
		at := slices.IndexFunc(r.Columns, func(c catalog.Column) bool { return c.Name == old })
		if at < 0 {
			return false
		}
		r.Columns[at].Name = name
		renamed[r.OID] = true
		for i := range r.Columns {
			if r.Columns[i].Generated != 0 {
				r.Columns[i].Default = a.withColumn(r.Columns[i].Default, old, name)
			}
		}
		for _, list := range [][]catalog.Expression{r.Checks, r.IndexExpressions, r.StatisticsExpressions} {
			for i := range list {
				list[i].Text = a.withColumn(list[i].Text, old, name)
			}
		}
		if r.PartitionKey.Text != "" && strings.Contains(r.PartitionKey.Text, old) {
			r.PartitionKey.Text = unwritten
		}
	}
	a.forgetTexts(lostObjects{relations: renamed}, "")
	return true
}

// withColumn is an expression of a relation with a column under another name.
func (a *analyzer) withColumn(text, old, name string) string {
	if text == "" || text == unwritten {
		return text
	}
	query := "SELECT (" + text + ")"
	if a.charge(readCost * len(query)); a.exhausted() {
		return unwritten
	}
	tree, err := parse(query, query, a.version/10000)
	if err != nil || len(tree.Stmts) != 1 {
		return text
	}
	node, found := tree.Stmts[0].Stmt, false
	eachNode(node, func(ref *pg_query.ColumnRef) {
		if names, ok := stringNodes(ref.Fields); ok && len(names) > 0 && names[0] == old {
			ref.Fields = append(nodesOf(name), ref.Fields[1:]...)
			found = true
		}
	})
	if !found {
		return text
	}
	e := a.writtenExpression(&held{writing: &writing{}}, onlyExpression(tree))
	return e.Text
}

// movedTo shows an object in another schema (AlterObjectNamespace_oid of alter.c).
func (a *analyzer) movedTo(r *pg_query.AlterObjectSchemaStmt, s subject) {
	switch s.kind.form {
	case relationForm:
		if s.relation == nil {
			a.change.known = r.MissingOk
			return
		}
		all := append([]catalog.OID{s.relation.OID}, a.belonging(s.relation.OID)...)
		lost := lostObjects{relations: setOf(all)}
		var moves []moved
		for _, oid := range all {
			rel := a.edited(oid)
			moves = append(moves, moved{relation: true, schema: rel.Schema, name: rel.Name, toSchema: r.Newschema, toName: rel.Name})
			rel.Schema = r.Newschema
			if t := a.editedType(rel.RowType); t != nil {
				a.moveType(t, r.Newschema)
			}
		}
		a.forgetTexts(lost, s.relation.Name, moves...)
		a.change.known = true
	case typeForm:
		for _, schema := range s.schemas {
			if t := a.snap.TypeByName(schema, s.name); t != nil && t.OID >= catalog.FirstNormalOID {
				a.moveType(a.editedType(t.OID), r.Newschema)
				if rel := a.edited(t.Relation); rel != nil {
					rel.Schema = r.Newschema
				}
				a.forgetTexts(lostObjects{}, t.Name)
				a.change.known = true
				return
			}
		}
	case routineForm:
		if s.kind.kind == pg_query.ObjectType_OBJECT_OPERATOR {
			return
		}
		if f, _ := a.routineNamed(r.Object.GetObjectWithArgs()); f != nil {
			a.editedFunction(f.OID).Schema = r.Newschema
			a.forgetTexts(lostObjects{functions: map[catalog.OID]bool{f.OID: true}}, "",
				moved{function: true, schema: f.Schema, name: f.Name, toSchema: r.Newschema, toName: f.Name})
			a.change.known = true
		}
	}
}

func (a *analyzer) moveType(t *catalog.Type, schema string) {
	t.Schema = schema
	if array := a.editedType(t.Array); array != nil {
		array.Schema = schema
	}
}

// forgetTexts gives texts the new names of what was moved. Those that cannot be given
// them become unreadable: what was resolved to something of another name, and what the
// old name, of a type, stands in.
func (a *analyzer) forgetTexts(lost lostObjects, name string, all ...moved) {
	r := retexter{a: a, all: all, name: name, stale: func(text string, refs catalog.References) staleness {
		if text == "" || text == unwritten {
			return upToDate
		}
		a.charge((len(text) + len(refs.Relations) + len(refs.Functions)) / 4)
		switch {
		case lost.refers(refs) || !refs.Recorded:
			return outOfDate
		case containsName(text, name):
			return namesIt
		default:
			return upToDate
		}
	}}
	var relations []catalog.OID
	for rel := range a.snap.EachUserRelation() {
		if !isSystem(rel) {
			relations = append(relations, rel.OID)
		}
	}
	for oid := range a.change.relations {
		if a.snap.RelationByOID(oid) == nil {
			relations = append(relations, oid)
		}
	}
	for _, oid := range relations {
		if rel := a.relation(oid); rel != nil && !a.exhausted() {
			a.charge(rowCost + entriesOf(rel))
			r.relation(rel, lost.relations[oid])
		}
	}
	for f := range a.snap.EachUserFunction() {
		if a.charge(rowCost); !a.exhausted() {
			r.function(f)
		}
	}
	for t := range a.snap.EachUserType() {
		if a.charge(rowCost); !a.exhausted() {
			r.typ(t)
		}
	}
}

// containsName reports whether a name stands in a text as a word.
func containsName(text, name string) bool {
	for at := 0; name != ""; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(name)
		if (start == 0 || !isNameByte(text[start-1])) && (end == len(text) || !isNameByte(text[end])) {
			return true
		}
		at = start + 1
	}
	return false
}

func isNameByte(b byte) bool {
	return b == '_' || b == '$' || b >= 0x80 || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
