package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Writer makes random statements over a model. Most of them bind.
//
// It keeps to what the planner cannot drop: PostgreSQL does not check the rights of
// a subquery or function that it throws away (in a target of EXISTS, an output that nobody
// reads, a branch that a constant decides, a CTE never named); analysis does.
type Writer struct {
	random *rand.Rand
	model  *Model
	// path are the schemas of the search_path, for unqualified names.
	path []string
	// depth bounds nesting; names are unique by serial.
	depth, serial int
	// flat forbids, in expressions, what has rights of its own: subqueries and the
	// user's functions.
	flat bool
	// aggregates allows them in the expression at hand.
	aggregates bool
	ctes       []source
}

// NewWriter makes a writer whose statements run under the search_path.
func NewWriter(r *rand.Rand, m *Model, path string) *Writer {
	w := &Writer{random: r, model: m}
	for part := range strings.SplitSeq(path, ",") {
		if name := strings.Trim(strings.TrimSpace(part), `"`); name != "" {
			w.path = append(w.path, name)
		}
	}
	return w
}

// source is something of a FROM clause: what it is called, and its columns.
type source struct {
	name    string
	columns []Column
	// relation is set for a plain relation.
	relation *Relation
}

func (w *Writer) pick(options ...string) string { return options[w.random.IntN(len(options))] }

func (w *Writer) chance(percent int) bool { return w.random.IntN(100) < percent }

// one is a random element; nil for an empty list.
func one[T any](w *Writer, list []T) *T {
	if len(list) == 0 {
		return nil
	}
	return &list[w.random.IntN(len(list))]
}

// alias is a fresh alias.
func (w *Writer) alias() string {
	w.serial++
	return fmt.Sprintf("%s%d", w.pick("t", "t", "q", "T", "r"), w.serial)
}

// Unit writes one statement, or a few that belong together.
func (w *Writer) Unit() Unit {
	w.depth, w.serial, w.flat, w.aggregates, w.ctes = 0, 0, false, false, nil
	sql := w.statement()
	if w.chance(12) {
		return w.parsed(sql)
	}
	if w.chance(20) {
		sql = w.spelling(sql)
	}
	return Unit{SQL: sql}
}

// parsed is a statement for a Parse message, with parameters in the place of some of its
// literals.
func (w *Writer) parsed(sql string) Unit {
	u := Unit{Parse: true}
	tokens := Tokens(sql)
	for i, t := range tokens {
		literal := strings.Trim(t, "0123456789") == "" || len(t) > 2 && t[0] == '\'' && strings.Count(t, "'") == 2
		// What follows a type's name is its own syntax.
		if literal && i > 0 && !isWord(tokens[i-1]) && tokens[i-1] != "[" && w.chance(50) {
			u.Args = append(u.Args, strings.Trim(t, "'"))
			tokens[i] = fmt.Sprintf("$%d", len(u.Args))
		}
	}
	u.SQL = strings.Join(tokens, " ")
	return u
}

func (w *Writer) statement() string {
	switch n := w.random.IntN(100); {
	case n < 4:
		return w.small()
	case n < 52:
		return w.with(func() string { return w.query(nil, nil) })
	case n < 60:
		return w.with(w.insert)
	case n < 68:
		return w.with(w.update)
	case n < 74:
		return w.with(w.remove)
	case n < 79:
		return w.merge()
	case n < 83:
		return w.namedCall()
	default:
		return w.utility()
	}
}

// relations lists the relations that a filter takes.
func (w *Writer) relations(keep func(Relation) bool) []Relation {
	var all []Relation
	for _, r := range w.model.Relations {
		if keep(r) {
			all = append(all, r)
		}
	}
	return all
}

func readable(r Relation) bool { return r.Kind == access.Table && len(r.Columns) > 0 }

// ident writes a name, bare where that means the same.
func (w *Writer) ident(name string) string {
	plain := name != ""
	for i, c := range name {
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			plain = false
		}
	}
	if !plain || slices.Contains(w.model.Keywords, name) || w.chance(3) {
		return quote(name)
	}
	if w.chance(2) {
		return strings.ToUpper(name)
	}
	return name
}

// relationName writes a relation's name, qualified unless the path finds it so.
func (w *Writer) relationName(schema, name string) string {
	full := w.ident(schema) + "." + w.ident(name)
	for _, s := range w.path {
		if s == schema {
			if w.chance(60) {
				return w.ident(name)
			}
			break
		}
		if slices.ContainsFunc(w.model.Relations, func(r Relation) bool { return r.Schema == s && r.Name == name }) {
			break
		}
	}
	return full
}

// typeName writes a type's name; format_type's needs no help.
func (w *Writer) typeName(t Type) string { return w.ident(t.Schema) + "." + w.ident(t.Name) }

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
		return word + "(" + w.query(columns, seen) + ") " + w.pick("", "AS ") + alias, []source{{name: alias, columns: columns}}
	case n < 17:
		return w.functionItem(alias, append(slices.Clone(lateral), outer...))
	case n < 20:
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

// rowColumns are the columns of a row family, nil for other families.
func (w *Writer) rowColumns(family string) []Column {
	if !strings.HasPrefix(family, "row:") {
		return nil
	}
	for _, t := range w.model.Types {
		if t.Family == family {
			return t.Fields
		}
	}
	for _, r := range w.model.Relations {
		if family == "row:"+r.Schema+"."+r.Name {
			return r.Columns
		}
	}
	return nil
}

// someColumns are names and families for a derived table.
func (w *Writer) someColumns() []Column {
	all := []Column{{Name: "id", Family: "int"}, {Name: "x", Family: "text"}, {Name: "flag", Family: "bool"}, {Name: "n", Family: "num"}}
	return all[:1+w.random.IntN(len(all))]
}

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
		parts = append(parts, name+" ("+strings.Join(names, ", ")+") AS "+w.pick("", "", "MATERIALIZED ")+"("+text+")")
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
