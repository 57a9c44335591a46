package oracle

import (
	"slices"
)

// from writes a FROM list of a few items.
func (w *Writer) from(outer []source) (string, []source) {
	w.depth++
	defer func() { w.depth-- }()
	text, view := w.item(outer, nil)
	more := w.random.IntN(3) - w.depth/2
	for range more {
		if w.chance(35) {
			next, s := w.item(outer, view)
			text += ", " + next
			view = append(view, s...)
			continue
		}
		join := w.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "NATURAL JOIN", "JOIN")
		lateral := view
		if join == "RIGHT JOIN" || join == "FULL JOIN" {
			lateral = nil
		}
		next, s := w.item(outer, lateral)
		both := append(slices.Clone(view), s...)
		shared := sharedColumn(view, s)
		switch {
		case join == "CROSS JOIN":
			text += " CROSS JOIN " + next
		case join == "NATURAL JOIN" && shared != "":
			text += " NATURAL JOIN " + next
		case shared != "" && w.chance(50):
			if join == "NATURAL JOIN" {
				join = "JOIN"
			}
			text += " " + join + " " + next + " USING (" + w.ident(shared) + ")"
			if w.chance(20) {
				name := w.alias()
				text += " AS " + name
				both = append(both, source{name: name, columns: []Column{{Name: shared, Family: "other"}}})
			}
		default:
			// A condition that cannot be merged or hashed is no FULL JOIN's.
			if join == "NATURAL JOIN" || join == "FULL JOIN" {
				join = "LEFT JOIN"
			}
			text += " " + join + " " + next + " ON " + w.expr("bool", append(slices.Clone(both), outer...))
		}
		view = both
	}
	return text, view
}

// sharedColumn is a column that exactly one source on each side has, of the same
// type; empty for none.
func sharedColumn(left, right []source) string {
	count := func(side []source, name string) (n int, typ string) {
		for _, s := range side {
			for _, c := range s.columns {
				if c.Name == name {
					n, typ = n+1, c.Family
				}
			}
		}
		return n, typ
	}
	for _, s := range left {
		for _, c := range s.columns {
			l, lt := count(left, c.Name)
			r, rt := count(right, c.Name)
			if l == 1 && r == 1 && lt == rt && lt != "other" && lt != "jsonb" {
				return c.Name
			}
		}
	}
	return ""
}

// item writes one item of FROM; lateral are the items before it.
func (w *Writer) item(outer, lateral []source) (string, []source) {
	alias := w.alias()
	switch n := w.random.IntN(100); {
	case n < 10 && w.depth < 4:
		columns := w.someColumns()
		seen := append(slices.Clone(lateral), outer...)
		word := ""
		if len(lateral) > 0 && w.chance(50) {
			word = "LATERAL "
		} else {
			seen = outer
		}
		return word + "(" + w.within(func() string { return w.query(columns, seen) }) + ") " + w.pick("", "AS ") + alias, []source{{name: alias, columns: columns}}
	case n < 12 && w.depth < 4:
		return w.joined(alias, outer)
	case n < 14:
		return w.parsedItem(alias, append(slices.Clone(lateral), outer...))
	case n < 20:
		return w.functionItem(alias, append(slices.Clone(lateral), outer...))
	case n < 22:
		return "(VALUES (1, 'a'), (2, 'b')) " + alias + " (n, s)", []source{{name: alias, columns: []Column{{Name: "n", Family: "int"}, {Name: "s", Family: "text"}}}}
	case n < 30 && len(w.ctes) > 0:
		cte := *one(w, w.ctes)
		return cte.name + " " + alias, []source{{name: alias, columns: cte.columns}}
	}
	rel := one(w, w.relations(readable))
	if rel == nil {
		return "(SELECT 1 AS n) " + alias, []source{{name: alias, columns: []Column{{Name: "n", Family: "int"}}}}
	}
	text := w.relationName(rel.Schema, rel.Name)
	if w.chance(4) {
		text = "ONLY " + text
	}
	columns := slices.Clone(rel.Columns)
	if w.chance(5) {
		text += w.pick(" *", "")
	}
	text += " " + w.pick("", "AS ") + alias
	if w.chance(6) {
		columns[0].Name = "first"
		text += " (first)"
	}
	if w.chance(2) && rel.Relkind == "r" {
		text += w.pick(" TABLESAMPLE system (50)", " TABLESAMPLE bernoulli (50) REPEATABLE (1)")
	}
	return text, []source{{name: alias, columns: columns, relation: rel}}
}

// functionItem writes a function in FROM, which sees the items before it.
func (w *Writer) functionItem(alias string, seen []source) (string, []source) {
	var set []Routine
	for _, f := range w.model.Routines {
		if f.Kind == 'f' && (f.Set || f.Outputs != nil || w.chance(20)) {
			set = append(set, f)
		}
	}
	if f := one(w, set); f != nil && w.chance(60) {
		call, ok := w.call(*f, seen)
		if ok {
			columns := f.Outputs
			if len(columns) == 0 {
				columns = w.rowColumns(f.ResultFamily)
			}
			if columns == nil {
				columns = []Column{{Name: "v", Family: f.ResultFamily}}
				return call + " " + alias + " (v)", []source{{name: alias, columns: columns}}
			}
			return call + " " + alias, []source{{name: alias, columns: columns}}
		}
	}
	n, s := Column{Name: "n", Family: "int"}, Column{Name: "s", Family: "text"}
	switch w.random.IntN(9) {
	case 6:
		return "unnest(" + w.leaf("texts", seen) + ") " + alias + " (s)", []source{{name: alias, columns: []Column{s}}}
	case 7:
		return "jsonb_array_elements_text(jsonb_build_array(" + w.leaf("int", seen) + ", " + w.leaf("text", seen) + ")) " + alias + " (s)", []source{{name: alias, columns: []Column{s}}}
	case 8:
		return "generate_series(1, " + w.leaf("int", seen) + "::int) AS " + alias, []source{{name: alias, columns: []Column{{Name: alias, Family: "int"}}}}
	case 0:
		return "generate_series(1, 3) " + alias + " (n)", []source{{name: alias, columns: []Column{n}}}
	case 1:
		return "unnest(ARRAY[1, 2], ARRAY['a', 'b']) " + alias + " (n, s)", []source{{name: alias, columns: []Column{n, s}}}
	case 2:
		return "ROWS FROM (generate_series(1, 2), unnest(ARRAY['x', 'y'])) WITH ORDINALITY " + alias + " (n, s, o)",
			[]source{{name: alias, columns: []Column{n, s, {Name: "o", Family: "int"}}}}
	case 3:
		return `jsonb_to_recordset('[{"n": 1, "s": "x"}]') AS ` + alias + " (n int, s text)", []source{{name: alias, columns: []Column{n, s}}}
	case 4:
		return `jsonb_each_text('{"a": 1}') ` + alias, []source{{name: alias, columns: []Column{{Name: "key", Family: "text"}, {Name: "value", Family: "text"}}}}
	default:
		return "regexp_split_to_table('a,b', ',') " + alias + " (s)", []source{{name: alias, columns: []Column{s}}}
	}
}
