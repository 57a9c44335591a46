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
	return a.firstFree(name1, name2, label, func(name string) bool {
		return a.relationNamedIn(schema, name) != nil || constraint && a.constraintTaken(schema, name)
	})
}

// constraintName is ChooseConstraintName of pg_constraint.c.
func (a *analyzer) constraintName(schema, name1, name2, label string) string {
	return a.firstFree(name1, name2, label, func(name string) bool { return a.constraintTaken(schema, name) })
}

func (a *analyzer) firstFree(name1, name2, label string, taken func(string) bool) string {
	name := objectName(name1, name2, label)
	for n := 1; taken(name); n++ {
		name = objectName(name1, name2, label+strconv.Itoa(n))
	}
	return name
}

// relationNamedIn finds a relation by its name, those of the statement first.
func (a *analyzer) relationNamedIn(schema, name string) *catalog.Relation {
	for _, rel := range a.change.relations {
		if rel.Schema == schema && rel.Name == name {
			return rel
		}
	}
	rel := a.snap.RelationByName(schema, name)
	if rel != nil && (a.change.relations[rel.OID] != nil || slices.Contains(a.change.additions.Dropped.Relations, rel.OID)) {
		return nil
	}
	return rel
}

// constraintTaken reports whether a constraint of a relation of the schema has a name.
func (a *analyzer) constraintTaken(schema, name string) bool {
	has := func(rel *catalog.Relation) bool {
		return rel.Schema == schema &&
			(slices.ContainsFunc(rel.Keys, func(k catalog.Key) bool { return k.Name == name }) ||
				slices.ContainsFunc(rel.ForeignKeys, func(k catalog.ForeignKey) bool { return k.Name == name }) ||
				slices.Contains(a.checkNames[rel.OID], name))
	}
	for _, rel := range a.change.relations {
		if has(rel) {
			return true
		}
	}
	seen := 0
	defer func() { a.work -= seen / 16 }()
	for rel := range a.snap.EachRelation() {
		if seen++; a.change.relations[rel.OID] == nil && has(rel) {
			return true
		}
	}
	return false
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
