package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// query writes a SELECT, with or without given outputs, seeing outer sources.
func (w *Writer) query(outputs []Column, outer []source) string {
	w.depth++
	defer func(aggregates bool) { w.depth--; w.aggregates = aggregates }(w.aggregates)
	w.aggregates = false
	if w.depth < 3 && w.chance(7) {
		if outputs == nil {
			outputs = w.someColumns()
		}
		sql := w.core(outputs, outer, true) + w.pick(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") + w.core(outputs, outer, true)
		return sql + w.pick("", "", " ORDER BY 1", " LIMIT 5", " ORDER BY "+w.ident(outputs[0].Name))
	}
	return w.core(outputs, outer, false)
}

// core writes one SELECT without set operations. A bare one has no clauses after
// GROUP BY.
func (w *Writer) core(outputs []Column, outer []source, bare bool) string {
	from, view := w.from(outer)
	all := append(slices.Clone(view), outer...)
	grouped := w.chance(14)
	named := outputs != nil
	where := ""
	if w.chance(55) {
		where = " WHERE " + w.expr("bool", all)
	}
	if grouped {
		return w.grouped(outputs, from, where, view, bare)
	}
	distinct := ""
	if !bare && w.chance(6) {
		distinct = w.pick("DISTINCT ", "DISTINCT ON ("+w.sortable(view)+") ")
	}
	targets := w.targets(outputs, view, all)
	sql := "SELECT " + distinct + strings.Join(targets, ", ") + " FROM " + from + where
	if bare {
		return sql
	}
	if w.chance(20) && distinct == "" {
		sql += " ORDER BY " + w.pick("1", w.sortable(view)+w.pick("", " DESC", " NULLS FIRST"), w.expr("int", all), w.order(view))
	} else if distinct == "DISTINCT " && w.chance(30) {
		sql += " ORDER BY 1"
	}
	if w.chance(12) {
		sql += w.pick(" LIMIT 3", " OFFSET 1", " LIMIT "+w.limit(), " OFFSET "+w.limit(), " LIMIT 2 OFFSET 1", " FETCH FIRST 2 ROWS ONLY", " LIMIT ALL")
	}
	if !named && distinct == "" && w.chance(8) {
		sql += w.locking(view)
	}
	return sql
}

// limit is a number of rows that is computed.
func (w *Writer) limit() string {
	if w.flat {
		return "(1 + 1)"
	}
	return w.pick("(SELECT 2)", "(1 + 1)", "(SELECT count(*) FROM "+w.tableName()+")", "least(1, 2)")
}

// targets writes a target list: the given outputs, or anything.
func (w *Writer) targets(outputs []Column, view, all []source) []string {
	var targets []string
	if outputs != nil {
		// Nobody may read an output: the planner would drop what stands there.
		defer func(flat bool) { w.flat = flat }(w.flat)
		w.flat = true
		for _, c := range outputs {
			targets = append(targets, w.expr(c.Family, all)+" AS "+w.ident(c.Name))
		}
		return targets
	}
	for range 1 + w.random.IntN(3) {
		switch n := w.random.IntN(20); {
		case n == 0:
			targets = append(targets, "*")
		case n == 1:
			targets = append(targets, one(w, view).name+".*")
		case n == 2:
			targets = append(targets, one(w, view).name)
		case n == 3:
			targets = append(targets, w.window(all))
		case n < 9:
			targets = append(targets, w.column(view))
		default:
			text := w.expr(w.family(), all)
			if w.chance(40) {
				text += w.pick(" AS ", " ") + w.pick("res", `"Res"`, "out1")
			}
			targets = append(targets, text)
		}
	}
	return targets
}

// grouped writes a query with GROUP BY or with aggregates over everything.
func (w *Writer) grouped(outputs []Column, from, where string, view []source, bare bool) string {
	named := outputs != nil
	if !named {
		outputs = []Column{{Name: "id", Family: "int"}, {Name: "x", Family: "text"}}[:1+w.random.IntN(2)]
	}
	key := w.sortable(view)
	var targets []string
	for _, c := range outputs {
		targets = append(targets, w.aggregate(c.Family, view)+" AS "+w.ident(c.Name))
	}
	sql := "SELECT " + strings.Join(targets, ", ") + " FROM " + from + where
	switch w.random.IntN(4) {
	case 0:
		return sql
	case 1:
		sql += " GROUP BY " + key
	case 2:
		sql += " GROUP BY " + w.pick("ROLLUP", "CUBE", "GROUPING SETS") + " (" + key + ")"
	default:
		sql += " GROUP BY " + key + ", " + w.sortable(view)
	}
	if !named && !bare && w.chance(8) {
		sql = "SELECT grouping(" + key + "), " + strings.TrimPrefix(sql, "SELECT ")
	}
	if w.chance(30) {
		sql += " HAVING " + w.aggregate("int", view) + " > 0"
	}
	if !bare && w.chance(20) {
		sql += " ORDER BY " + key
	}
	return sql
}

// aggregate is an aggregate of a family over the sources.
func (w *Writer) aggregate(family string, view []source) string {
	defer func(flat bool) { w.flat = flat }(w.flat)
	w.flat = true
	filter := ""
	if w.chance(12) {
		filter = " FILTER (WHERE " + w.expr("bool", view) + ")"
	}
	switch family {
	case "int":
		var own []string
		for _, f := range w.model.Routines {
			if f.Kind == 'a' && f.ResultFamily == "int" && len(f.Families) == 1 && f.Families[0] == "int" && f.ArgumentNames[0] == "integer" {
				own = append(own, w.ident(f.Schema)+"."+w.ident(f.Name)+"("+w.expr("int", view)+"::int)")
			}
		}
		if len(own) > 0 && w.chance(20) {
			return own[w.random.IntN(len(own))] + filter
		}
		return w.pick("count(*)", "count(DISTINCT "+w.expr("text", view)+")", "max("+w.expr("int", view)+")", "count("+one(w, view).name+")",
			"sum("+w.expr("int", view)+")::int", "min("+w.expr("int", view)+")") + filter
	case "num":
		return w.pick("avg("+w.expr("num", view)+")", "sum("+w.expr("num", view)+")") + filter
	case "text":
		return w.pick("string_agg("+w.expr("text", view)+", ',' ORDER BY 1)", "max("+w.expr("text", view)+")", "min("+w.expr("text", view)+")", "array_agg("+w.expr("int", view)+")::text",
			"json_agg("+one(w, view).name+")::text", "mode() WITHIN GROUP (ORDER BY "+w.expr("text", view)+")") + filter
	case "bool":
		return w.pick("bool_and("+w.expr("bool", view)+")", "every("+w.expr("bool", view)+")") + filter
	}
	return "max(" + w.expr("text", view) + ")"
}

// window is a window function of the sources.
func (w *Writer) window(view []source) string {
	over := " OVER (" + w.pick("", "PARTITION BY "+w.sortable(view)+" ") + w.pick("ORDER BY "+w.sortable(view)+w.pick("", " ROWS 1 PRECEDING", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", " GROUPS CURRENT ROW", " RANGE UNBOUNDED PRECEDING EXCLUDE TIES"), "") +
		")"
	if w.chance(15) {
		over = " OVER (ORDER BY " + w.leaf("int", view) + "::int RANGE BETWEEN 1 PRECEDING AND 2::int FOLLOWING)"
	}
	if w.chance(15) {
		over = " FILTER (WHERE " + w.flatly(func() string { return w.expr("bool", view) }) + ")" + over
		return w.pick("count(*)", "app.total("+w.leaf("int", view)+"::int)", "array_agg("+w.leaf("text", view)+")") + over
	}
	return w.pick("row_number()", "rank()", "count(*)", "lag("+w.expr("text", view)+")", "first_value("+w.expr("int", view)+")", "sum("+w.expr("int", view)+")", "ntile(2)") + over
}

// sortable is a column that can be compared, or a constant-free expression.
func (w *Writer) sortable(view []source) string {
	var all []string
	for _, s := range view {
		for _, c := range s.columns {
			if c.Type != "json" && c.Family != "other" && !strings.HasPrefix(c.Family, "row:") {
				all = append(all, s.name+"."+w.ident(c.Name))
			}
		}
	}
	if len(all) == 0 {
		return "1::text"
	}
	return all[w.random.IntN(len(all))]
}

// locking is a locking clause over the sources that take one.
func (w *Writer) locking(view []source) string {
	var names []string
	for _, s := range view {
		if s.relation != nil && (s.relation.Relkind == "r" || s.relation.Relkind == "p" || s.relation.Relkind == "v") {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	if len(names) == len(view) && w.chance(40) {
		return w.pick(" FOR UPDATE", " FOR SHARE", " FOR KEY SHARE")
	}
	return fmt.Sprintf(" FOR %s OF %s%s", w.pick("UPDATE", "SHARE", "NO KEY UPDATE", "KEY SHARE"), names[w.random.IntN(len(names))], w.pick("", " SKIP LOCKED", " NOWAIT"))
}

// family is a family to make an expression of.
func (w *Writer) family() string {
	return w.pick("int", "int", "text", "text", "bool", "num", "time", "jsonb", "ints", "texts", "range")
}

// column is any column of the sources.
func (w *Writer) column(view []source) string {
	s := one(w, view)
	switch {
	case s == nil:
		return "'x'"
	case w.chance(3):
		return s.name
	case w.chance(1):
		return s.name + ".nosuch"
	case w.chance(3) && s.relation != nil && s.relation.Relkind == "r":
		return s.name + "." + w.pick("ctid", "xmin", "tableoid", "cmax")
	case len(s.columns) == 0:
		return "1"
	}
	c := one(w, s.columns)
	name := w.ident(c.Name)
	if w.chance(3) {
		return w.pick("("+s.name+")."+name, "("+s.name+").*", s.name+".*", "ROW("+s.name+"."+name+", 1)", "("+s.name+"."+name+")")
	}
	if strings.HasPrefix(c.Family, "row:") && w.chance(40) {
		if fields := w.rowColumns(c.Family); fields != nil {
			return "(" + s.name + "." + name + ")." + w.pick(w.ident(one(w, fields).Name), "*")
		}
	}
	if unique(view, c.Name) && w.chance(25) {
		return name
	}
	return s.name + "." + name
}

// unique reports whether one column alone bears the name.
func unique(view []source, name string) bool {
	n := 0
	for _, s := range view {
		for _, c := range s.columns {
			if c.Name == name {
				n++
			}
		}
	}
	return n == 1
}
