package analyze

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// writer makes random statements over testdata/schema.sql. Most bind; a few name
// what does not exist, so that errors are compared too.
//
// It keeps to what the planner cannot drop: PostgreSQL does not check the rights of
// a subquery that it throws away (in a target of EXISTS, an output nobody reads, a
// branch that a constant decides, a CTE never named), analysis does.
type writer struct {
	random *rand.Rand
	depth  int
	ctes   []string
	// flat forbids subqueries in expressions.
	flat bool
}

var randomTables = map[string][]string{
	"orders":                           {"id", "customer_id", "total", "note", "tags", "created_at"},
	"public.orders":                    {"id", "customer_id", "total", "note"},
	"customers":                        {"id", "name", "email"},
	"order_items":                      {"order_id", "line", "qty"},
	"app.orders":                       {"id", "secret"},
	"hr.salaries":                      {"id", "name", "amount"},
	`hr."Mixed Case"`:                  {`"Id"`, `"select"`},
	"events":                           {"id", "at"},
	"base":                             {"a", "b"},
	"ONLY public.base":                 {"a", "b"},
	"(SELECT count(*) AS n FROM base)": {"n"},
}

func (w *writer) pick(options ...string) string { return options[w.random.IntN(len(options))] }
func (w *writer) chance(percent int) bool       { return w.random.IntN(100) < percent }

// relation is something in view, and the columns it is known by.
type relationInView struct {
	name    string
	columns []string
}

func (w *writer) table() (string, []string) {
	names := make([]string, 0, len(randomTables))
	for name := range randomTables {
		names = append(names, name)
	}
	// Map order is random; the statements are to be the same every time.
	slices.Sort(names)
	if len(w.ctes) > 0 && w.chance(30) {
		return w.ctes[w.random.IntN(len(w.ctes))], []string{"id", "x"}
	}
	if w.chance(1) {
		return "nosuch", []string{"id"}
	}
	name := names[w.random.IntN(len(names))]
	return name, randomTables[name]
}

// from writes a FROM list and returns what it brings into view.
func (w *writer) from() (string, []relationInView) {
	var parts []string
	var view []relationInView
	for i := range 1 + w.random.IntN(2) {
		item, columns := w.table()
		alias := fmt.Sprintf("t%d_%d", w.depth, i)
		if w.depth < 3 && w.chance(15) {
			item, columns = w.pick("", "LATERAL ")+"("+w.selectOf([]string{"id", "x"}, nil)+")", []string{"id", "x"}
		}
		if w.chance(10) && len(columns) > 1 {
			item += " AS " + alias + " (first)"
			columns = append([]string{"first"}, columns[1:]...)
		} else {
			item += " " + alias
		}
		view = append(view, relationInView{alias, columns})
		parts = append(parts, item)
	}
	if len(parts) == 2 && w.chance(60) {
		join := w.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "NATURAL JOIN", "NATURAL LEFT JOIN")
		text := parts[0] + " " + join + " " + parts[1]
		switch {
		case join == "CROSS JOIN" || strings.HasPrefix(join, "NATURAL"):
		case w.chance(30):
			text += " USING (" + w.pick("id", "a", "name") + ")"
			if w.chance(30) {
				text += " AS merged"
			}
		default:
			text += " ON " + w.condition(view)
		}
		return text, view
	}
	return strings.Join(parts, ", "), view
}

func (w *writer) column(view []relationInView) string {
	if len(view) == 0 {
		return "'x'"
	}
	v := view[w.random.IntN(len(view))]
	column := v.columns[w.random.IntN(len(v.columns))]
	switch {
	case w.chance(2):
		column = "nosuch"
	case w.chance(3):
		return v.name + "." + w.pick("ctid", "xmin", "tableoid")
	case w.chance(20):
		return column
	case w.chance(4):
		return v.name
	}
	return v.name + "." + column
}

// text is an expression of type text.
func (w *writer) text(view []relationInView) string {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > 5 || len(view) == 0 {
		return w.column(view) + "::text"
	}
	choice := w.random.IntN(14)
	if choice == 2 || choice == 3 {
		defer func(flat bool) { w.flat = flat }(w.flat)
		w.flat = true
	}
	switch choice {
	case 0:
		return "lower(" + w.text(view) + ")"
	case 1:
		return "(" + w.text(view) + " || " + w.text(view) + ")"
	case 2:
		return "coalesce(" + w.text(view) + ", 'x')"
	case 3:
		return "CASE WHEN " + w.condition(view) + " THEN " + w.text(view) + " ELSE " + w.text(view) + " END"
	case 4:
		if w.flat {
			return w.column(view) + "::text"
		}
		return "(SELECT x FROM (" + w.selectOf([]string{"id", "x"}, view) + ") s LIMIT 1)"
	case 5:
		return "row_to_json(row(" + w.column(view) + "))::text"
	case 6:
		return w.typed(view)
	case 7:
		return "(" + w.typed(view) + ")::text"
	default:
		return w.column(view) + "::text"
	}
}

// typed is an expression of whatever type, some of them wrong: operators, functions,
// casts, rows and JSON over columns of any type.
func (w *writer) typed(view []relationInView) string {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > 5 {
		return w.pick("1", "'a'", "NULL", "2.5")
	}
	column := w.column(view)
	switch w.random.IntN(16) {
	case 0:
		return "(" + column + w.pick(" + ", " - ", " || ", " * ", " = ", " < ", " || 'x' || ") + w.typed(view) + ")"
	case 1:
		return w.pick("length", "upper", "abs", "to_json", "quote_literal", "row_to_json", "pg_typeof", "nosuch", "cardinality") + "(" + column + ")"
	case 2:
		return "(ROW(" + column + ", 'b'::text)).f" + w.pick("1", "2", "3")
	case 3:
		return "jsonb_build_object('a', " + column + ")->>'a'"
	case 4:
		return w.pick("greatest", "coalesce", "concat", "nullif", "least") + "(" + column + ", " + w.typed(view) + ")"
	case 5:
		return column + "::" + w.pick("int", "text", "numeric", "varchar(3)", "date", "text[]", "jsonb", "regclass", "nosuch")
	case 6:
		return "ARRAY[" + column + ", " + w.typed(view) + "]"
	case 7:
		return "(" + column + " = ANY (" + w.pick("'{1,2}'", "ARRAY[1, 2]", "tags", "5") + "))"
	case 8:
		return "(" + column + " BETWEEN " + w.typed(view) + " AND '2')"
	case 9:
		return "(" + column + " IN (1, " + w.typed(view) + "))"
	case 10:
		return "((" + column + ", 1) = (1, " + w.typed(view) + "))"
	case 11:
		return "CASE " + column + " WHEN " + w.typed(view) + " THEN 1 ELSE " + w.typed(view) + " END"
	case 12:
		return "(" + column + ")." + w.pick("id", "a", "name", "ctid")
	case 13:
		return "(" + column + ")[1]"
	case 14:
		return "NOT " + column
	default:
		return "lower(string_to_array(" + column + ", ',')::text)"
	}
}

func (w *writer) condition(view []relationInView) string {
	switch w.random.IntN(7) {
	case 0:
		return w.text(view) + " IS NOT NULL"
	case 1:
		return w.text(view) + " IN (" + w.text(view) + ", 'x')"
	case 2:
		if w.depth < 3 && !w.flat {
			return "EXISTS (" + w.selectOf([]string{"id", "x"}, view) + ")"
		}
		return w.column(view) + " IS NULL"
	case 3:
		return "NOT (" + w.text(view) + " LIKE 'a%' OR " + w.text(view) + " = 'b')"
	case 4:
		if w.depth < 3 && !w.flat {
			return "(" + w.text(view) + ", 'x') IN (" + w.selectOf([]string{"a", "b"}, view) + ")"
		}
		return w.column(view) + " IS NOT NULL"
	default:
		return w.text(view) + " " + w.pick("=", "<", "<>", "IS DISTINCT FROM") + " " + w.text(view)
	}
}

// selectOf writes a SELECT with columns of the given names, seeing outer relations.
func (w *writer) selectOf(names []string, outer []relationInView) string {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth < 4 && w.chance(10) {
		return w.selectOf(names, outer) + w.pick(" UNION ", " UNION ALL ", " EXCEPT ") + w.selectOf(names, outer)
	}
	from, view := w.from()
	all := view
	if w.chance(40) {
		all = append(append([]relationInView(nil), view...), outer...)
	}
	var targets []string
	flat := w.flat
	w.flat = true
	for _, name := range names {
		targets = append(targets, w.text(all)+" AS "+name)
	}
	w.flat = flat
	sql := "SELECT " + strings.Join(targets, ", ") + " FROM " + from
	if w.chance(60) {
		sql += " WHERE " + w.condition(all)
	}
	return sql
}

func (w *writer) statement() string {
	w.ctes = nil
	with := ""
	if w.chance(25) {
		name := w.pick("c1", "orders")
		body := w.selectOf([]string{"id", "x"}, nil)
		if w.chance(20) {
			body = w.pick("DELETE FROM order_items RETURNING line AS id, qty AS x", "UPDATE hr.salaries SET amount = 1 WHERE id = 1 RETURNING id, name AS x")
		}
		with = "WITH " + w.pick("", "RECURSIVE ") + name + " (id, x) AS (" + body + ") "
		w.ctes = []string{name}
		if body := w.body(); strings.Contains(body, " "+name+" t") {
			return with + body
		}
		w.ctes = nil
		return w.body()
	}
	return w.body()
}

func (w *writer) body() string {
	switch w.random.IntN(10) {
	case 0:
		return "UPDATE customers u SET name = " + w.text([]relationInView{{"u", []string{"id", "name", "email"}}}) +
			w.pick("", ", email = DEFAULT", ", (id, email) = (1, 'x')") + w.tail("u", []string{"id", "name", "email"})
	case 1:
		from, view := w.from()
		view = append(view, relationInView{"u", []string{"a", "b"}})
		return "UPDATE base u SET b = " + w.text(view) + " FROM " + from + " WHERE " + w.condition(view) + w.pick("", " RETURNING *", " RETURNING u.a", " RETURNING u")
	case 2:
		return "DELETE FROM order_items d" + w.tail("d", []string{"order_id", "line", "qty"})
	case 3:
		return "INSERT INTO hr.salaries AS i (id, name) SELECT 1, x FROM (" + w.selectOf([]string{"a", "x"}, nil) + ") s" + w.conflict()
	case 4:
		return "INSERT INTO hr.salaries AS i VALUES (1, " + w.pick("DEFAULT", w.text(nil)) + ")" + w.conflict()
	}
	from, view := w.from()
	sql := "SELECT " + w.pick("*", "count(*)", w.text(view), w.text(view)+" AS id", w.column(view), view[0].name+".*", w.text(view)+", "+w.column(view)) + " FROM " + from
	if w.chance(50) {
		sql += " WHERE " + w.condition(view)
	}
	if w.chance(20) && !strings.Contains(sql, "count(*)") {
		sql += " ORDER BY " + w.pick("1", w.text(view), "id")
	}
	if w.chance(10) && !strings.Contains(sql, "count(*)") {
		sql += w.pick(" FOR UPDATE", " FOR SHARE", " FOR UPDATE OF "+view[0].name)
	}
	return sql
}

func (w *writer) tail(name string, columns []string) string {
	view := []relationInView{{name, columns}}
	sql := ""
	if w.chance(60) {
		sql += " WHERE " + w.condition(view)
	}
	return sql + w.pick("", "", " RETURNING *", " RETURNING "+w.text(view))
}

func (w *writer) conflict() string {
	excluded := []relationInView{{"i", []string{"id", "name", "amount"}}, {"excluded", []string{"id", "name", "amount"}}}
	return w.pick("", " ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO NOTHING",
		" ON CONFLICT (id) DO UPDATE SET name = "+w.text(excluded)+w.pick("", " WHERE "+w.condition(excluded))) +
		w.pick("", " RETURNING id", " RETURNING i.*")
}

// TestOracleRandom runs random statements on a real server: what analysis judges
// runs with exactly the rights it names and not with one less; what it says fails,
// fails just so.
func TestOracleRandom(t *testing.T) {
	o := newOracle(t)
	w := &writer{random: rand.New(rand.NewPCG(7, 11))}
	context := publicContext()
	context.ServerVersionNum = o.snap.ServerVersionNum
	path := context.SearchPath
	outcomes := map[access.Outcome]int{}
	for range randomStatements {
		sql := w.statement()
		got := Analyze(Input{Text: []byte(sql), Context: context}, o.snap)
		outcomes[got.Outcome]++
		switch got.Outcome {
		case access.Judge:
			// One right withheld, chosen at random: all of them would take too long.
			chosen := w.random.Int()
			o.checkRights(t, path, sql, got.Statements, func(i, n int) bool { return i == chosen%n })
		case access.Hidden, access.Failed:
			o.checkError(t, path, sql, got.Error)
		}
	}
	t.Logf("judged %d, hidden %d, denied %d", outcomes[access.Judge], outcomes[access.Hidden], outcomes[access.Denied])
	if outcomes[access.Judge] < randomStatements/3 || outcomes[access.Hidden] < randomStatements/50 || outcomes[access.Denied] > randomStatements/10 {
		t.Errorf("the statements are no fair sample: %v", outcomes)
	}
}

const randomStatements = 1200
