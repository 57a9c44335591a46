package builtin

import (
	_ "embed"
	"maps"
	"slices"
	"sync"
)

//go:embed review/relations.txt
var reviewRelations string

// relationTable is the review of system relations, by schema, a dot and name.
type relationTable struct {
	classes map[string]RelationClass
	reasons map[string]string
	// columns are the closed columns: schema, relation and column joined by dots.
	columns map[string]bool
	// why is the reason for the closed columns.
	why string
	// named are the columns of closed relations that are open all the same, written as
	// the closed ones are; whyNamed is the reason.
	named    map[string]bool
	whyNamed string
}

var relations = sync.OnceValue(func() relationTable {
	t, err := loadRelations()
	if err != nil {
		return relationTable{} // everything is closed; the tests find why
	}
	return t
})

func relationWords() map[string]RelationClass {
	return map[string]RelationClass{"closed": Closed, "drivers": Drivers, "definitions": Definitions}
}

// String is the word the review file uses for the class.
func (c RelationClass) String() string {
	for word, class := range relationWords() {
		if class == c {
			return word
		}
	}
	return "closed"
}

func loadRelations() (relationTable, error) {
	t := relationTable{classes: map[string]RelationClass{}, reasons: map[string]string{}, columns: map[string]bool{}, named: map[string]bool{}}
	sections, err := parseReview(reviewRelations)
	if err != nil {
		return t, err
	}
	for _, s := range sections {
		schema := s.attrs["schema"]
		if schema == "" {
			schema = "pg_catalog"
		}
		class, isClass := relationWords()[s.word]
		for _, item := range s.items {
			key := schema + "." + item
			switch {
			case s.word == "columns":
				t.columns[key], t.why = true, s.reason
			case s.word == "named":
				t.named[key], t.whyNamed = true, s.reason
			case !isClass:
				return t, unknownWord(s.word)
			case t.reasons[key] != "":
				return t, reviewedTwice(key)
			default:
				t.classes[key], t.reasons[key] = class, s.reason
			}
		}
	}
	return t, nil
}

// ClassOf says what a relation of pg_catalog or information_schema holds. Anything
// else, and what was not reviewed, is Closed.
func ClassOf(schema, name string) RelationClass { return relations().classes[schema+"."+name] }

// ColumnClosed says that a column of a system relation stays closed to every
// preset: a secret or a value inside of what is otherwise a definition. The columns
// of a Closed relation are, but for those that NamedColumns lists.
func ColumnClosed(schema, relation, column string) bool {
	key := schema + "." + relation + "." + column
	return ClassOf(schema, relation) == Closed && !relations().named[key] || relations().columns[key]
}

// NamedColumns lists the columns of Closed relations that the preset for
// introspection opens, as schema.relation.column: they name objects.
func NamedColumns() []string { return sorted(slices.Collect(maps.Keys(relations().named))) }

// ClosedColumns lists the columns that stay closed in a relation that is open to a
// preset, as schema.relation.column.
func ClosedColumns() []string {
	return sorted(slices.Collect(maps.Keys(relations().columns)))
}

// Relations lists the system relations of a class, as schema.name, in order.
func Relations(class RelationClass) []string {
	var all []string
	for key, c := range relations().classes {
		if c == class {
			all = append(all, key)
		}
	}
	return sorted(all)
}

func columnsReason() string { return relations().why }

func namedReason() string { return relations().whyNamed }
