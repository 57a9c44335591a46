package snapshotter

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The kinds of what a text depends on, as the queries number them.
const (
	onRelation = 1
	onFunction = 2
)

// references are what a text depends on: each number has the kind above 32 bits of OID.
// There are none where there is no text.
func references(text string, depends []int64) catalog.References {
	if text == "" {
		return catalog.References{}
	}
	refs := catalog.References{Recorded: true}
	slices.Sort(depends)
	for _, d := range slices.Compact(depends) {
		oid := catalog.OID(d & (1<<32 - 1)) //nolint:gosec // G115: 32 bits.
		switch d >> 32 {
		case onRelation:
			refs.Relations = append(refs.Relations, oid)
		case onFunction:
			refs.Functions = append(refs.Functions, oid)
		default:
			refs.Operators = append(refs.Operators, oid)
		}
	}
	return refs
}

// expression is a text with what it depends on.
func expression(text string, depends []int64) catalog.Expression {
	return catalog.Expression{Text: text, References: references(text, depends)}
}
