package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// with puts a WITH clause before a statement some of the time, which then may name
// what it brings.
func (w *Writer) with(body func() string) string {
	if !w.chance(14) {
		return body()
	}
	var parts []string
	word := w.pick("WITH ", "WITH ", "WITH RECURSIVE ")
	for range 1 + w.random.IntN(2) {
		name := w.pick("c", "orders", "items") + fmt.Sprint(w.random.IntN(3))
		if slices.ContainsFunc(w.ctes, func(s source) bool { return s.name == name }) {
			continue
		}
		text, columns := w.cte(name, word == "WITH RECURSIVE ")
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.Name
		}
		parts = append(parts, name+" ("+strings.Join(names, ", ")+") AS "+w.pick("", "", "MATERIALIZED ", "NOT MATERIALIZED ")+"("+text+")")
		w.ctes = append(w.ctes, source{name: name, columns: columns})
	}
	text := body()
	// One that nobody names is dropped by the planner, unless it writes.
	for i := len(parts) - 1; i >= 0; i-- {
		name := w.ctes[i].name
		used := func(s string) bool { return slices.Contains(Tokens(s), name) }
		if !used(text) && !slices.ContainsFunc(parts[i+1:], used) && !strings.Contains(parts[i], " RETURNING ") {
			parts = slices.Delete(parts, i, i+1)
			w.ctes = slices.Delete(w.ctes, i, i+1)
		}
	}
	if len(parts) == 0 {
		return text
	}
	return word + strings.Join(parts, ", ") + " " + text
}

// within is with for a subquery: what it brings is not seen outside.
func (w *Writer) within(body func() string) string {
	if w.depth > 3 || !w.chance(40) {
		return body()
	}
	defer func(outer []source) { w.ctes = outer }(w.ctes)
	w.ctes = nil
	return w.with(body)
}

// cte is the query of a CTE of that name, with its columns.
func (w *Writer) cte(name string, recursive bool) (string, []Column) {
	id := []Column{{Name: "id", Family: "int"}}
	switch {
	case recursive && w.chance(30):
		return "SELECT 1 UNION " + w.pick("ALL ", "") + "SELECT id + 1 FROM " + name + " WHERE id < 3", id
	case w.chance(15):
		if text := w.writing(); text != "" {
			return text, id
		}
	}
	columns := w.someColumns()
	return w.query(columns, nil), columns
}
