package oracle

import (
	"context"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// dropped reports whether the plan of a statement holds less of an object than the
// text names.
func (d *Database) dropped(ctx context.Context, path string, u Unit, o access.Object) (bool, error) {
	if o.Kind != access.Table && o.Kind != access.Function && o.Kind != access.Schema {
		return false, nil
	}
	plan, err := d.login.plan(ctx, path, u)
	if err != nil || plan == "" {
		return false, err
	}
	if strings.Contains(plan, "One-Time Filter: false") || strings.Contains(plan, "One-Time Filter: NULL::boolean") {
		// A condition is never true whatever the rows are: what hung on it is gone.
		return true, nil
	}
	words, own := planWords(plan), d.textWords(u.SQL)
	if o.Kind == access.Function {
		return calls(words, o.Name) == 0 || calls(words, o.Name) < calls(own, o.Name), nil
	}
	if !slices.Contains(own, o.Name) && slices.ContainsFunc(d.Model.Routines, func(f Routine) bool { return calls(words, f.Name) < calls(own, f.Name) }) {
		// It is in the body of a function that the plan does not call.
		return true, nil
	}
	if o.Kind == access.Schema {
		return false, nil
	}
	rel := d.Snapshot.RelationByName(o.Schema, o.Name)
	switch {
	case rel == nil:
		return false, nil
	case rel.Kind == catalog.KindView:
		return d.viewDropped(rel, words, own), nil
	}
	// The text may name an object more often than the plan does, and a child for itself.
	if n := scans(words, o.Schema, o.Name); n > 0 {
		return n < d.named(rel, own, 0), nil
	}
	return !d.scanned(d.descendants(rel, nil)[1:], words, own), nil
}

// named counts the scans that a text asks for: where it names a relation, one that it
// is a child of, or a view whose query does.
func (d *Database) named(rel *catalog.Relation, own []string, depth int) int {
	n := mentions(own, rel.Schema, rel.Name)
	if depth == maxNamed {
		return n
	}
	for _, oid := range rel.Parents {
		if parent := d.Snapshot.RelationByOID(oid); parent != nil {
			n += d.named(parent, own, depth+1)
		}
	}
	for i := range d.Snapshot.Relations {
		view := &d.Snapshot.Relations[i]
		if view.Kind != catalog.KindView || view.Definition == "" {
			continue
		}
		if times := mentions(planWords(view.Definition), rel.Schema, rel.Name); times > 0 {
			n += times * d.named(view, own, depth+1)
		}
	}
	return n
}

// maxNamed bounds how deep views and children are followed.
const maxNamed = 6

// viewDropped reports whether nothing of what a view reads is in the plan but what
// the text names itself, or less of it than text and views together name. A view that reads no relation leaves no trace in a plan.
func (d *Database) viewDropped(view *catalog.Relation, words, own []string) bool {
	bases := d.bases(view, nil)
	return !d.scanned(bases, words, own) || slices.ContainsFunc(bases, func(rel *catalog.Relation) bool {
		return scans(words, rel.Schema, rel.Name) < d.named(rel, own, 0)
	})
}

// scanned reports whether a plan has one of the relations more often than the text.
func (d *Database) scanned(all []*catalog.Relation, words, own []string) bool {
	return slices.ContainsFunc(all, func(rel *catalog.Relation) bool {
		return scans(words, rel.Schema, rel.Name) > mentions(own, rel.Schema, rel.Name)
	})
}

// bases are the relations that a view reads in the end, partitions included.
func (d *Database) bases(view *catalog.Relation, all []*catalog.Relation) []*catalog.Relation {
	words := planWords(view.Definition)
	for i := 2; i < len(words); i++ {
		if words[i-1] != "." {
			continue
		}
		rel := d.Snapshot.RelationByName(words[i-2], words[i])
		switch {
		case rel == nil || len(all) > 100:
		case rel.Kind == catalog.KindView:
			all = d.bases(rel, all)
		default:
			all = d.descendants(rel, all)
		}
	}
	return all
}

// calls counts the calls of functions of a name.
func calls(words []string, name string) int {
	n := 0
	for i := range len(words) - 1 {
		if words[i] == name && words[i+1] == "(" {
			n++
		}
	}
	return n
}

// scans counts the nodes of a plan that read a relation.
func scans(words []string, schema, name string) int {
	n := 0
	for i := 4; i < len(words); i++ {
		writes := slices.Contains([]string{"Insert", "Update", "Delete", "Merge"}, words[i-4])
		if words[i] == name && words[i-1] == "." && words[i-2] == schema && words[i-3] == "on" && !writes {
			n++
		}
	}
	return n
}

// mentions counts the places of a text that may name a relation: with its schema, or
// without any. What a point follows is the beginning of a column's name.
func mentions(words []string, schema, name string) int {
	n := 0
	for i, word := range words {
		qualified, qualifier := i > 1 && words[i-1] == ".", i+1 < len(words) && words[i+1] == "."
		if word == name && !qualifier && (!qualified || words[i-2] == schema) {
			n++
		}
	}
	return n
}

// planWords are the names of a text of the server's, quotes removed.
func planWords(plan string) []string {
	words := Tokens(plan)
	for i, word := range words {
		words[i] = unquote(word)
	}
	return words
}

// textWords are the names of a client's text, without the key words.
func (d *Database) textWords(sql string) []string {
	var words []string
	for _, word := range Tokens(sql) {
		if isWord(word) {
			if word = strings.ToLower(word); slices.Contains(d.Model.Keywords, word) {
				continue
			}
		}
		words = append(words, unquote(word))
	}
	return words
}

func unquote(word string) string { return strings.ReplaceAll(strings.Trim(word, `"`), `""`, `"`) }

// descendants are a relation and those below it: a plan shows the partitions and not
// the table.
func (d *Database) descendants(rel *catalog.Relation, all []*catalog.Relation) []*catalog.Relation {
	all = append(all, rel)
	for _, oid := range rel.Children {
		if child := d.Snapshot.RelationByOID(oid); child != nil && len(all) < 100 {
			all = d.descendants(child, all)
		}
	}
	return all
}
