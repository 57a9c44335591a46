package analyze

import (
	"slices"
	"sort"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// recorder collects the accesses of a statement, one per action and relation, in
// the order of their first mention. PostgreSQL asks for each column, and of a range
// table entry without columns for any one of the relation's own; a named column
// implies that one, unless it is a system column. Only then are there two accesses.
type recorder struct {
	entries []*entry
	index   map[entryKey]*entry
}

type entryKey struct {
	action access.Action
	oid    catalog.OID
}

type entry struct {
	access access.Access
	// relation is nil for a schema.
	relation *catalog.Relation
	columns  map[string]bool
	// needs counts the range table entries that need the action.
	needs int
}

// need notes that an action is needed on a relation, on columns not yet said.
func (r *recorder) need(action access.Action, named access.Object, rel *catalog.Relation) {
	r.entry(action, named, rel).needs++
}

// column notes that an action is needed on a column.
func (r *recorder) column(action access.Action, named access.Object, rel *catalog.Relation, column string) {
	r.entry(action, named, rel).columns[column] = true
}

// whole notes that an action is needed on all of a relation.
func (r *recorder) whole(action access.Action, named access.Object, rel *catalog.Relation) {
	r.entry(action, named, rel).access.AllColumns = true
}

// showColumns notes that the names of all columns of every relation are shown.
func (r *recorder) showColumns() {
	for _, e := range slices.Clone(r.entries) {
		if e.relation != nil {
			r.whole(access.Select, e.access.Named, e.relation)
		}
	}
}

// schema notes that something of a schema is named.
func (r *recorder) schema(name string) {
	for _, e := range r.entries {
		if e.access.Action == access.Usage && e.access.Resolved.Name == name {
			return
		}
	}
	object := access.Object{Kind: access.Schema, Name: name}
	r.entries = append(r.entries, &entry{access: access.Access{Action: access.Usage, Named: object, Resolved: object}})
}

func (r *recorder) entry(action access.Action, named access.Object, rel *catalog.Relation) *entry {
	key := entryKey{action, rel.OID}
	if e := r.index[key]; e != nil {
		return e
	}
	e := &entry{columns: map[string]bool{}, relation: rel, access: access.Access{Action: action, Named: named,
		Resolved: access.Object{Kind: access.Table, Schema: rel.Schema, Name: rel.Name}}}
	if r.index == nil {
		r.index = map[entryKey]*entry{}
	}
	r.index[key] = e
	r.entries = append(r.entries, e)
	return e
}

func (r *recorder) accesses() []access.Access {
	var all []access.Access
	for _, e := range r.entries {
		found := e.access
		for column := range e.columns {
			found.Columns = append(found.Columns, column)
		}
		sort.Strings(found.Columns)
		all = append(all, found)
		if e.needs > 1 && len(found.Columns) > 0 && onlySystem(found.Columns) && !found.AllColumns {
			// One of the entries may have no column, and any column is a user's one.
			found.Columns = nil
			all = append(all, found)
		}
	}
	return all
}

func onlySystem(columns []string) bool {
	for _, column := range columns {
		if !isSystemColumn(column) {
			return false
		}
	}
	return true
}
