package builtin

import (
	"fmt"
	"slices"
)

// Entry is a function of the reviewed list.
type Entry struct {
	// Extension is empty for what came with the server; then Schema is set.
	Extension, Schema, Name string
	// Arguments are the input types by their names in pg_type.
	Arguments []string
	Function  Function
	// Reason is why it has its class.
	Reason string
}

// All lists the functions of a major version, and of the contrib extensions that
// come with it, in order of extension, schema, name and arguments. What extensions
// write in SQL is among them, Unreviewed. An unknown version has none.
func All(major int) []Entry {
	var all []Entry
	for _, r := range functions().all {
		if r.in(major) {
			all = append(all, Entry{r.extension, r.schema, r.name, r.arguments, r.function, r.reason})
		}
	}
	return all
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func unknownWord(word string) error { return fmt.Errorf("no class %q", word) }

func reviewedTwice(item string) error { return fmt.Errorf("%s is reviewed twice", item) }
