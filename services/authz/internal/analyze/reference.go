package analyze

import (
	"sync"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// reference is what analysis knows of PostgreSQL by itself. It is never written
// after it is made, and shared by all calls.
type reference struct {
	shape       shape
	kinds       map[string]kind
	objects     map[pg_query.ObjectType]objectKind
	alterations map[pg_query.AlterTableType]alterKind
	settings    map[string]bool
	// searchConfigurations are the text search configurations and dictionaries that
	// initdb makes in pg_catalog.
	searchConfigurations map[string]bool
}

// tables makes the reference on first use.
var tables = sync.OnceValue(func() reference {
	return reference{
		shape:                newShape(),
		kinds:                newKinds(),
		objects:              newObjectKinds(),
		alterations:          newAlterKinds(),
		settings:             set(shownSettings()),
		searchConfigurations: set(searchConfigurations()),
	}
})

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}
