package analyze

import (
	"slices"
	"strconv"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Names that the server makes for sequences, indexes and constraints without one, which
// later statements can use.

// objectName is makeObjectName of indexcmds.c: the longer part is cut first.
func objectName(name1, name2, label string) string {
	room := nameBytes - len(label) - 1
	if name2 != "" {
		room--
	}
	n1, n2 := len(name1), len(name2)
	for n1+n2 > room {
		if n1 > n2 {
			n1--
		} else {
			n2--
		}
	}
	name := clip(name1, n1)
	if name2 != "" {
		name += "_" + clip(name2, n2)
	}
	return name + "_" + label
}

// clip is pg_mbcliplen.
func clip(s string, n int) string {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// relationName is ChooseRelationName: the first of a name, that with 1, and so on that no
// relation has, nor, for a constraint, one of those.
func (a *analyzer) relationName(schema, name1, name2, label string, constraint bool) string {
	taken := func(string) bool { return false }
	if constraint {
		taken = a.constraintTaken(schema)
	}
	return a.firstFree(name1, name2, label, func(name string) bool { return a.relationNamedIn(schema, name) != nil || taken(name) })
}

// constraintName is ChooseConstraintName of pg_constraint.c.
func (a *analyzer) constraintName(schema, name1, name2, label string) string {
	return a.firstFree(name1, name2, label, a.constraintTaken(schema))
}

func (a *analyzer) firstFree(name1, name2, label string, taken func(string) bool) string {
	name := objectName(name1, name2, label)
	for n := 1; taken(name) && !a.exhausted(); n++ {
		a.charge(nameCost)
		name = objectName(name1, name2, label+strconv.Itoa(n))
	}
	return name
}

// nameCost is what trying a name costs.
const nameCost = 32

// relationNamedIn finds a relation by its name, those of the statement first.
func (a *analyzer) relationNamedIn(schema, name string) *catalog.Relation {
	a.charge(len(a.change.relations))
	for _, rel := range a.change.relations {
		if rel.Schema == schema && rel.Name == name {
			return rel
		}
	}
	rel := a.snap.RelationByName(schema, name)
	if rel != nil && (a.change.relations[rel.OID] != nil || a.change.gone.relations[rel.OID]) {
		return nil
	}
	return rel
}

// constraintTaken tells which names constraints of a schema have, those of the statement
// included.
func (a *analyzer) constraintTaken(schema string) func(name string) bool {
	made := map[string]bool{}
	if a.exhausted() {
		return func(string) bool { return false }
	}
	for _, rel := range a.change.relations {
		if rel.Schema != schema {
			continue
		}
		a.charge(len(rel.Keys) + len(rel.ForeignKeys) + len(rel.CheckNames) + len(rel.OtherConstraints))
		for i := range rel.Keys {
			made[rel.Keys[i].Name] = true
		}
		for i := range rel.ForeignKeys {
			made[rel.ForeignKeys[i].Name] = true
		}
		for _, list := range [][]string{rel.CheckNames, rel.OtherConstraints} {
			for _, name := range list {
				made[name] = true
			}
		}
	}
	for _, t := range a.change.types {
		for _, name := range t.Constraints {
			made[name] = made[name] || t.Schema == schema
		}
	}
	return func(name string) bool {
		if made[name] {
			return true
		}
		for oid := range a.snap.EachConstrained(schema, name) {
			if a.change.relations[oid] == nil && a.relation(oid) != nil {
				return true
			}
		}
		for oid := range a.snap.EachConstrainedType(schema, name) {
			if a.change.types[oid] == nil && !a.change.gone.types[oid] {
				return true
			}
		}
		return false
	}
}

// indexNameAddition is ChooseIndexNameAddition: the names of columns, joined.
func indexNameAddition(columns []string) string {
	joined := ""
	for i, name := range columns {
		if i > 0 {
			joined += "_"
		}
		if joined += name; len(joined) > nameBytes {
			break
		}
	}
	return joined
}

// indexColumns is ChooseIndexColumnNames, INCLUDE's after the keys.
func indexColumns(elements []*pg_query.Node) []string {
	var names []string
	for _, node := range elements {
		e := node.GetIndexElem()
		origin := e.GetIndexcolname()
		if origin == "" {
			origin = e.GetName()
		}
		if origin == "" {
			origin = "expr"
		}
		name := origin
		for n := 1; slices.Contains(names, name); n++ {
			suffix := strconv.Itoa(n)
			name = clip(origin, min(len(origin), nameBytes-len(suffix))) + suffix
		}
		names = append(names, name)
	}
	return names
}
