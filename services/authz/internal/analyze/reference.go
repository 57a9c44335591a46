package analyze

import (
	"regexp"
	"sync"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// reference is what analysis knows of PostgreSQL by itself. It is never written
// after it is made, and shared by all calls.
type reference struct {
	types         typeTable
	shape         shape
	kinds         map[string]kind
	objects       map[pg_query.ObjectType]objectKind
	alterations   map[pg_query.AlterTableType]alterKind
	functions     map[string]bool
	records       map[string][]string
	operatorNames map[string]bool
	settings      map[string]bool
	// locales matches the names of locales.
	locales *regexp.Regexp
}

// tables makes the reference on first use.
var tables = sync.OnceValue(func() reference {
	return reference{
		types:         newTypeTable(),
		shape:         newShape(),
		kinds:         newKinds(),
		objects:       newObjectKinds(),
		alterations:   newAlterKinds(),
		functions:     set(harmlessFunctions()),
		records:       recordFunctions(),
		operatorNames: set(builtinOperators()),
		settings:      set(shownSettings()),
		locales:       regexp.MustCompile(`^[a-z]{2,3}([-_][A-Za-z0-9]+)*(\.[A-Za-z0-9]+)?(@[a-z]+)?$`),
	}
})

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}
