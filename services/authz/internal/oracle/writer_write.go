package oracle

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// target picks a relation to write to and its alias.
func (w *Writer) target() (source, string, bool) {
	rel := one(w, w.relations(func(r Relation) bool {
		return r.Kind == access.Table && len(r.Columns) > 0 && (r.Relkind == "r" || r.Relkind == "p" || r.Relkind == "v" && (r.Writable || w.chance(10)))
	}))
	if rel == nil {
		return source{}, "", false
	}
	name := w.relationName(rel.Schema, rel.Name)
	if w.chance(70) {
		alias := w.alias()
		return source{name: alias, columns: rel.Columns, relation: rel}, name + " AS " + alias, true
	}
	return source{name: quote(rel.Name), columns: rel.Columns, relation: rel}, name, true
}

// value is an expression to assign to a column.
func (w *Writer) value(c Column, view []source) string {
	switch {
	case w.chance(10):
		return "DEFAULT"
	case c.Type == "app.posint":
		return w.pick("3", "'4'")
	case c.Family == "other", strings.HasPrefix(c.Family, "row:"):
		return "NULL"
	case c.Family == "int" && w.chance(50), c.Family == "num":
		return w.pick("5", "6", "3")
	case c.Type == "smallint", c.Type == "integer":
		return w.leaf("int", view)
	case c.Family == "int":
		return w.leaf("int", view)
	}
	return w.expr(c.Family, view)
}

// open are the columns of a source that can be assigned, in a random choice.
func (w *Writer) open(s source) []Column {
	var all []Column
	for _, c := range s.columns {
		if !c.Closed && w.chance(45) {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		for _, c := range s.columns {
			if !c.Closed {
				return []Column{c}
			}
		}
	}
	return all
}

func (w *Writer) names(columns []Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = w.ident(c.Name)
	}
	return strings.Join(names, ", ")
}

// parts are columns, or parts of them where they have any.
func (w *Writer) parts(columns []Column, index string) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = w.ident(c.Name)
		switch fields := w.rowColumns(c.Family); {
		case len(fields) > 0:
			names[i] += "." + w.ident(one(w, fields).Name)
		case c.Family == "ints" || c.Family == "texts":
			names[i] += "[" + index + "]"
		}
	}
	return strings.Join(names, ", ")
}

// returning is a RETURNING clause some of the time.
func (w *Writer) returning(view []source) string {
	if !w.chance(30) {
		return ""
	}
	if w.model.Version >= 18 && w.chance(30) {
		view = append(view, source{name: "old", columns: view[0].columns}, source{name: "new", columns: view[0].columns})
		if w.chance(30) {
			return " RETURNING WITH (OLD AS o, NEW AS n) " + w.pick("o.*", "n.*", "o", "n.tableoid")
		}
	}
	return " RETURNING " + w.pick("*", w.column(view), w.expr("text", view), w.column(view)+", "+w.expr("int", view), view[0].name)
}

func (w *Writer) insert() string {
	into, name, ok := w.target()
	if !ok {
		return "SELECT 1"
	}
	columns := w.open(into)
	sql := "INSERT INTO " + name
	switch {
	case w.chance(4):
		sql += " DEFAULT VALUES"
	case w.chance(5):
		sql += " TABLE " + w.tableName()
	case w.chance(8):
		sql += " (" + w.parts(columns, "1") + ") VALUES (" + strings.Join(slices.Repeat([]string{w.pick("NULL", "'1'")}, len(columns)), ", ") + ")"
	case w.chance(25):
		outputs := make([]Column, len(columns))
		copy(outputs, columns)
		sql += " (" + w.names(columns) + ") " + w.pick("", "OVERRIDING USER VALUE ") + w.query(outputs, nil)
	default:
		var rows []string
		for range 1 + w.random.IntN(2) {
			var values []string
			for _, c := range columns {
				values = append(values, w.value(c, nil))
			}
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		sql += " (" + w.names(columns) + ") " + w.pick("", "", "OVERRIDING SYSTEM VALUE ") + "VALUES " + strings.Join(rows, ", ")
	}
	if w.chance(25) {
		sql += w.conflict(into)
	}
	return sql + w.returning([]source{into})
}

// conflict is an ON CONFLICT clause.
func (w *Writer) conflict(into source) string {
	arbiter := ""
	switch {
	case len(into.relation.Keys) > 0 && w.chance(60):
		var columns []string
		for _, c := range *one(w, into.relation.Keys) {
			columns = append(columns, w.ident(c))
		}
		arbiter = "(" + strings.Join(columns, ", ") + ")"
	case len(into.relation.Constraints) > 0 && w.chance(40):
		arbiter = "ON CONSTRAINT " + w.ident(*one(w, into.relation.Constraints))
	}
	if w.chance(10) {
		arbiter = w.pick("((id + 1))", "(app.nested(id::int))", "(id) WHERE app.is_small(id::int)", "(id) WHERE true", `(lower(name) COLLATE "C")`)
	}
	if arbiter == "" || w.chance(40) {
		return " ON CONFLICT " + arbiter + " DO NOTHING"
	}
	view := []source{into, {name: "excluded", columns: into.columns}}
	sql := " ON CONFLICT " + arbiter + " DO UPDATE SET " + w.assignments(into, view)
	if w.chance(30) {
		sql += " WHERE " + w.expr("bool", view)
	}
	return sql
}

// assignments is a SET list.
func (w *Writer) assignments(into source, view []source) string {
	var parts []string
	columns := w.open(into)
	if len(columns) > 1 && w.chance(15) {
		var values []string
		for _, c := range columns {
			values = append(values, w.value(c, view))
		}
		return "(" + w.names(columns) + ") = " + w.pick("", "ROW") + "(" + strings.Join(values, ", ") + ")"
	}
	if w.chance(6) && !w.flat {
		outputs := []Column{columns[0]}
		if len(columns) > 1 {
			outputs = columns[:2]
		}
		from, inner := w.from(view)
		var values []string
		for _, c := range outputs {
			values = append(values, w.leaf(c.Family, inner))
		}
		return "(" + w.names(outputs) + ") = (SELECT " + strings.Join(values, ", ") + " FROM " + from + " LIMIT 1)"
	}
	for _, c := range columns {
		if fields := w.rowColumns(c.Family); len(fields) > 0 && w.chance(50) {
			f := one(w, fields)
			parts = append(parts, w.ident(c.Name)+"."+w.ident(f.Name)+" = "+w.leaf(f.Family, view))
			continue
		}
		if (c.Family == "ints" || c.Family == "texts") && w.chance(30) {
			parts = append(parts, w.ident(c.Name)+"["+w.leaf("int", view)+"] = "+w.pick("NULL", "'1'"))
			continue
		}
		if len(columns) < 4 && w.chance(6) && !w.flat && c.Family != "other" && !strings.HasPrefix(c.Family, "row:") {
			from, inner := w.from(view)
			parts = append(parts, w.ident(c.Name)+" = (SELECT "+w.leaf(c.Family, inner)+" FROM "+from+" LIMIT 1)")
			continue
		}
		parts = append(parts, w.ident(c.Name)+" = "+w.value(c, view))
	}
	if len(parts) == 0 {
		return "id = id"
	}
	return strings.Join(parts, ", ")
}

func (w *Writer) update() string {
	into, name, ok := w.target()
	if !ok {
		return "SELECT 1"
	}
	view := []source{into}
	from := ""
	if w.chance(25) {
		text, more := w.from(nil)
		from, view = " FROM "+text, append(view, more...)
	}
	if w.chance(4) {
		return "BEGIN; DECLARE cur CURSOR FOR SELECT * FROM " + name + w.pick("", " FOR UPDATE") + "; FETCH cur; UPDATE " + name + " SET " + w.assignments(into, view) + " WHERE CURRENT OF cur"
	}
	sql := "UPDATE " + w.pick("", "", "ONLY ") + name + " SET " + w.assignments(into, view) + from
	if w.chance(65) {
		sql += " WHERE " + w.expr("bool", view)
	}
	return sql + w.returning(view)
}

func (w *Writer) remove() string {
	into, name, ok := w.target()
	if !ok {
		return "SELECT 1"
	}
	view := []source{into}
	using := ""
	if w.chance(20) {
		text, more := w.from(nil)
		using, view = " USING "+text, append(view, more...)
	}
	sql := "DELETE FROM " + w.pick("", "", "ONLY ") + name + using
	if w.chance(70) {
		sql += " WHERE " + w.expr("bool", view)
	}
	return sql + w.returning(view)
}

// writing is a writing statement that returns one integer, for a CTE; empty when
// there is no table for it.
func (w *Writer) writing() string {
	into, name, ok := w.target()
	if !ok {
		return ""
	}
	key := w.columnOf("int", []source{into})
	if key == "" {
		return ""
	}
	if w.chance(50) {
		return "DELETE FROM " + name + " WHERE " + w.expr("bool", []source{into}) + " RETURNING " + key
	}
	return "UPDATE " + name + " SET " + w.assignments(into, []source{into}) + " RETURNING " + key
}

func (w *Writer) merge() string {
	into, name, ok := w.target()
	if !ok || w.model.Version < 15 {
		return w.update()
	}
	from, more := w.item(nil, nil)
	view := append([]source{into}, more...)
	sql := "MERGE INTO " + name + " USING " + from + " ON " + w.expr("bool", view)
	for range 1 + w.random.IntN(2) {
		and := ""
		if w.chance(30) {
			and = " AND " + w.expr("bool", view)
		}
		sql += " WHEN MATCHED" + and + " THEN " + w.pick("DELETE", "DO NOTHING", "UPDATE SET "+w.flatly(func() string { return w.assignments(into, view) }))
	}
	if w.chance(60) {
		columns := w.open(into)
		var values []string
		for _, c := range columns {
			values = append(values, w.value(c, more))
		}
		and := ""
		if w.chance(20) {
			and = " AND " + w.expr("bool", more)
		}
		sql += " WHEN NOT MATCHED" + and + " THEN " + w.pick("DO NOTHING", "INSERT DEFAULT VALUES", "", "", "", "")
		if strings.HasSuffix(sql, " THEN ") {
			sql += "INSERT (" + w.names(columns) + ") " + w.pick("", "OVERRIDING USER VALUE ", "OVERRIDING SYSTEM VALUE ") + "VALUES (" + strings.Join(values, ", ") + ")"
		}
	}
	if w.model.Version >= 17 && w.chance(20) {
		sql += " WHEN NOT MATCHED BY SOURCE THEN " + w.pick("DELETE", "DO NOTHING", "UPDATE SET "+w.flatly(func() string { return w.assignments(into, view[:1]) }))
	}
	if w.model.Version >= 17 && w.chance(30) {
		sql += " RETURNING " + w.pick("*", "merge_action()", w.column(view))
	}
	return sql
}
