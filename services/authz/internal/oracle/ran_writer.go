package oracle

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// ranWriter writes statements over what RanWorld adds: comparisons in all the places in
// which the planner and the executor take them apart.
type ranWriter struct {
	*Writer
	from []ranTable
}

// ranTable is a table of a ran world, or an item of FROM, with its columns by type.
type ranTable struct {
	name    string
	columns map[string][]string
}

func ranTables() []ranTable {
	return []ranTable{
		{"ran.t", map[string][]string{"int": {"id", "i", "i", "j", "c"}, "int8": {"l"}, "ran.pair": {"p"}, "ran.fars": {"f"}, "ran.pairs": {"q"}, "ran.pair[]": {"ps"}}},
		{"ran.u", map[string][]string{"int": {"id", "i", "i"}, "int8": {"l"}, "ran.pair": {"p", "h"}}},
		{"ran.w", map[string][]string{"int": {"id", "i"}, "int8": {"l"}}},
		{"ran.parted", map[string][]string{"int": {"k", "k", "v"}}},
		{"ran.listed", map[string][]string{"int": {"v"}, "ran.pair": {"k"}}},
		{"ran.hashed", map[string][]string{"int": {"k", "v"}, "ran.pair": {"p"}}},
		{"ran.parent", map[string][]string{"int": {"id", "i", "i"}}},
		{"ran.master", map[string][]string{"int": {"n"}, "ran.pair": {"p"}}},
		{"ran.slave", map[string][]string{"int": {"id"}, "ran.pair": {"p"}}},
		{"ran.excluded", map[string][]string{"int": {"i"}}},
		{"ran.made", map[string][]string{"int": {"i"}}},
		{"ran.seen", map[string][]string{"int": {"id", "i"}, "int8": {"l"}, "ran.pair": {"p"}}},
	}
}

func newRanWriter(r *rand.Rand, m *Model) *ranWriter { return &ranWriter{Writer: NewWriter(r, m, "")} }

// unit is a statement over the tables of a ran world.
func (w *ranWriter) unit() Unit {
	w.depth, w.serial, w.data, w.from = 0, 0, "", nil
	sql := w.ranStatement()
	if w.data != "" {
		return Unit{SQL: sql, Data: w.data}
	}
	if w.chance(10) {
		return w.parsed(sql)
	}
	return Unit{SQL: sql}
}

func (w *ranWriter) ranStatement() string {
	all := ranTables()
	t := all[w.random.IntN(len(all))]
	switch w.random.IntN(18) {
	case 0:
		w.from = []ranTable{t}
		return "UPDATE " + t.name + " SET " + w.assignments(t) + " WHERE " + w.condition()
	case 1:
		w.from = []ranTable{t}
		return "DELETE FROM " + t.name + " WHERE " + w.condition() + w.pick("", " RETURNING *")
	case 2, 3:
		return w.inserts(t)
	case 4:
		return "EXPLAIN " + w.pick("", "ANALYZE ") + w.ranQuery()
	case 5:
		return "COPY (" + w.ranQuery() + ") TO STDOUT"
	case 6:
		if t.columns["int"] == nil {
			return "SELECT count(*) FROM " + t.name
		}
		w.data = "3\n77\n"
		return "COPY " + t.name + " (" + t.columns["int"][0] + ") FROM STDIN"
	case 7:
		return "DECLARE c SCROLL CURSOR FOR " + w.ranQuery() + "; FETCH 3 FROM c; FETCH BACKWARD 1 FROM c"
	case 8:
		w.from = nil
		source, on := w.ranFrom(1), ""
		target := all[w.random.IntN(len(all))]
		target.name += " x"
		w.from = append(w.from, aliased(target, "x"))
		on = w.condition()
		return "MERGE INTO " + target.name + " USING " + source + " ON " + on + " WHEN MATCHED AND " + w.condition() + " THEN " + w.pick("DELETE", "DO NOTHING") + w.pick("", " WHEN NOT MATCHED THEN DO NOTHING")
	case 9, 10:
		return w.ranUtility()
	default:
		return w.ranQuery()
	}
}

// ranUtility is a statement that looks at rows or bounds without being a query.
func (w *ranWriter) ranUtility() string {
	n := strconv.Itoa(w.random.IntN(12))
	w.from = []ranTable{{"w", map[string][]string{"int": {"id", "i"}, "int8": {"l"}}}}
	return w.pick("ALTER TABLE ran.w VALIDATE CONSTRAINT late", "ALTER TABLE ran.slave VALIDATE CONSTRAINT later", "ALTER TABLE ran.w ADD CHECK ("+w.comparison()+")",
		"ALTER TABLE ran.made ALTER COLUMN i TYPE int8", "ALTER TABLE ran.w ADD COLUMN z int DEFAULT ran.larger(1, 2)", "ALTER TABLE ran.w ADD COLUMN z boolean GENERATED ALWAYS AS ("+w.comparison()+") STORED",
		"CREATE TABLE ran.listed3 PARTITION OF ran.listed FOR VALUES IN (ROW("+n+",0)::ran.pair)", "CREATE TABLE ran.listed3 PARTITION OF ran.listed FOR VALUES FROM (ROW(5,0)::ran.pair) TO (ROW("+n+",0)::ran.pair)",
		"ALTER TABLE ran.listed ATTACH PARTITION ran.loose FOR VALUES IN (ROW("+n+",0)::ran.pair)", "ALTER TABLE ran.listed ATTACH PARTITION ran.loose FOR VALUES FROM (ROW(6,0)::ran.pair) TO (ROW("+n+",0)::ran.pair)",
		"ALTER TABLE ran.listed DETACH PARTITION ran.listed1", "CREATE TABLE ran.parted9 PARTITION OF ran.parted FOR VALUES FROM (100) TO (2"+n+")", "ALTER TABLE ran.loose ADD FOREIGN KEY (k) REFERENCES ran.master",
		"CREATE INDEX ON ran.w (i ran.int_ops)", "CREATE UNIQUE INDEX ON ran.loose (k ran.pair_ops)", "CREATE INDEX ON ran.loose USING hash (k ran.pair_hash)", "ALTER TABLE ran.w ADD EXCLUDE (id ran.int_ops WITH OPERATOR(ran.#=#))",
		"CREATE MATERIALIZED VIEW ran.kept AS "+w.ranQuery(), "CREATE TABLE ran.copy AS "+w.ranQuery(), "CREATE VIEW ran.again AS "+w.ranQuery(), "TRUNCATE ran.parted", "DROP TABLE ran.listed1", "CREATE TABLE ran.heir () INHERITS (ran.child0)",
		"CREATE STATISTICS ran.more ON i, l FROM ran.w", "SELECT * INTO ran.into FROM ran.w WHERE "+w.comparison(), "ALTER TABLE ran.loose ALTER COLUMN k TYPE ran.chosen", "ALTER DOMAIN ran.checked ADD CHECK (ran.valid(VALUE + 1))",
		"PREPARE p (int) AS SELECT 1 FROM ran.w WHERE i OPERATOR(ran.#<#) $1; EXECUTE p ("+n+")", "DO $$ BEGIN PERFORM ran.valid(1); END $$", "CALL ran.nothing()")
}

func aliased(t ranTable, alias string) ranTable { return ranTable{alias, t.columns} }

// ranFrom is a FROM clause with so many items, whose columns are in view from then on.
func (w *ranWriter) ranFrom(n int) string {
	var parts string
	all := ranTables()
	for i := range n {
		t := all[w.random.IntN(len(all))]
		alias := w.alias()
		w.from = append(w.from, aliased(t, alias))
		switch {
		case i == 0:
			parts = t.name + " " + alias
		case w.chance(30):
			parts += ", " + t.name + " " + alias
		default:
			parts += w.pick(" JOIN ", " JOIN ", " JOIN ", " LEFT JOIN ", " LEFT JOIN ", " FULL JOIN ") + t.name + " " + alias + " ON " + w.joins(i)
		}
	}
	return parts
}

func (w *ranWriter) ranQuery() string {
	outer := w.from
	w.from = nil
	w.depth++
	defer func() { w.from = outer; w.depth-- }()
	from := w.ranFrom(1 + w.random.IntN(3))
	where := ""
	if w.chance(80) {
		where = " WHERE " + w.condition()
	}
	typ := w.pick("int", "int", "int8", "ran.pair")
	x, y := w.operand(typ, false), w.operand(w.pick("int", "ran.pair"), false)
	switch w.random.IntN(14) {
	case 0:
		return "SELECT count(*) FROM " + from + where
	case 1:
		return "SELECT DISTINCT " + x + " FROM " + from + where
	case 2:
		return "SELECT " + y + " FROM " + from + where + " ORDER BY " + x + w.using(typ)
	case 3:
		return "SELECT " + x + ", count(*) FROM " + from + where + " GROUP BY " + x + w.pick("", " ORDER BY "+x)
	case 4:
		return "SELECT " + w.pick("max", "min", "ran.top") + "(" + w.operand("int", false) + ") FROM " + from + where
	case 5:
		return "SELECT rank() OVER (PARTITION BY " + y + " ORDER BY " + x + ") FROM " + from + where
	case 6:
		return "SELECT count(*) OVER (ORDER BY " + w.operand("ran.pair", false) + " RANGE BETWEEN 3 PRECEDING AND CURRENT ROW) FROM " + from + where
	case 7:
		return "SELECT " + x + " FROM " + from + where + w.pick(" UNION ", " EXCEPT ", " INTERSECT ", " UNION ALL ") + "SELECT " + w.constant(typ)
	case 8:
		return "SELECT " + w.condition() + " FROM " + from + where
	case 9:
		return "SELECT greatest(" + x + ", " + w.operand(typ, true) + "), nullif(" + y + "::text, 'x') FROM " + from + where
	case 10:
		return "SELECT array_agg(DISTINCT " + x + " ORDER BY " + x + ") FROM " + from + where
	case 11:
		return "SELECT " + w.pick("(", "array_position(ARRAY[1], ") + w.operand("int", true) + ")::ran.checked, " + w.operand("int", true) + "::ran.pair FROM " + from + where
	case 12:
		return "WITH c AS MATERIALIZED (SELECT " + x + " AS x FROM " + from + where + ") SELECT * FROM c ORDER BY x"
	default:
		return "SELECT 1 FROM " + from + where + " LIMIT 5"
	}
}

func (w *ranWriter) using(typ string) string {
	switch {
	case w.chance(60):
		return w.pick("", " DESC")
	case typ == "ran.pair":
		return " USING OPERATOR(ran.|" + w.pick("<", ">") + "|)"
	default:
		return " USING OPERATOR(ran.#" + w.pick("<", ">") + "#)"
	}
}

// joins is the condition that joins the last item of FROM to one before it.
func (w *ranWriter) joins(last int) string {
	all := w.from
	defer func() { w.from = all }()
	left, right := "int", w.pick("int", "int8")
	other := all[w.random.IntN(last)]
	sign := "#"
	if w.chance(40) && other.columns["ran.pair"] != nil && all[last].columns["ran.pair"] != nil {
		left, right, sign = "ran.pair", "ran.pair", "|"
	}
	w.from = []ranTable{other}
	a := w.operand(left, false)
	w.from = all[last:]
	b := w.operand(right, false)
	if left == right && left == "int" && w.chance(25) {
		return a + " = " + b
	}
	return fmt.Sprintf("%s OPERATOR(ran.%s=%s) %s", a, sign, sign, b)
}

// operand is a column of what is in view, or a constant.
func (w *ranWriter) operand(typ string, constant bool) string {
	var all []string
	for _, t := range w.from {
		for _, c := range t.columns[typ] {
			all = append(all, t.name[strings.LastIndex(t.name, ".")+1:]+"."+c)
		}
	}
	if len(all) == 0 || constant && w.chance(60) {
		return w.constant(typ)
	}
	return all[w.random.IntN(len(all))]
}

func (w *ranWriter) constant(typ string) string {
	n := strconv.Itoa(w.random.IntN(40))
	switch typ {
	case "int":
		return n
	case "int8":
		return n + "::int8"
	case "ran.pair":
		return "ROW(" + n + ",0)::ran.pair"
	case "ran.fars":
		return "ran.fars(" + n + ", 41)"
	case "ran.pairs":
		return "ran.pairs(ROW(" + n + ",0)::ran.pair, ROW(50,0)::ran.pair)"
	default:
		return "ARRAY[ROW(" + n + ",0)::ran.pair]"
	}
}

// condition combines comparisons.
func (w *ranWriter) condition() string {
	switch w.random.IntN(10) {
	case 0, 1:
		return "(" + w.comparison() + w.pick(" AND ", " AND ", " OR ") + w.condition() + ")"
	case 2:
		return "NOT " + w.comparison()
	case 3:
		if w.depth < 3 {
			return w.pick("", "NOT ") + "EXISTS (SELECT FROM " + w.inner() + ")"
		}
	case 4:
		typ, sign := w.pair()
		return w.operand(typ, false) + " OPERATOR(ran." + sign + w.pick("=", "<>", "<") + sign + ") " + w.pick("ANY", "ALL") + " (" + w.list(typ) + ")"
	case 5:
		if w.depth < 3 {
			typ, sign := w.pick("int", "int8"), "#"
			left := w.operand(typ, false)
			w.depth++
			defer func() { w.depth-- }()
			alias, outer := w.alias(), w.from
			t := ranTables()[w.random.IntN(3)]
			w.from = []ranTable{aliased(t, alias)}
			right := w.operand(typ, false)
			w.from = append(w.from, outer...)
			where := w.pick("", " WHERE "+w.comparison())
			w.from = outer
			return w.pick("", "NOT ") + "(" + left + " OPERATOR(ran." + sign + "=" + sign + ") ANY (SELECT " + right + " FROM " + t.name + " " + alias + where + "))"
		}
	case 6:
		return "ran." + w.pick("wrapped", "inline") + "(" + w.operand("int", false) + ", " + w.operand("int", true) + ")"
	}
	return w.comparison()
}

// pair is a type with the sign of its operators.
func (w *ranWriter) pair() (typ, sign string) {
	typ = w.pick("int", "int8", "ran.pair")
	if typ == "ran.pair" {
		return typ, "|"
	}
	return typ, "#"
}

func (w *ranWriter) list(typ string) string {
	items := make([]string, 1+w.random.IntN(12))
	for i := range items {
		items[i] = w.constant(typ)
	}
	return "ARRAY[" + strings.Join(items, ", ") + "]"
}

// inner is the rest of a subquery that looks outside.
func (w *ranWriter) inner() string {
	w.depth++
	outer := w.from
	defer func() { w.from = outer; w.depth-- }()
	alias := w.alias()
	t := ranTables()[w.random.IntN(len(ranTables()))]
	w.from = append([]ranTable{aliased(t, alias)}, outer...)
	return t.name + " " + alias + " WHERE " + w.condition()
}

// comparison is a comparison by an operator.
func (w *ranWriter) comparison() string {
	left, right := w.pick("int", "int", "int8", "ran.pair"), ""
	sign := "#"
	switch left {
	case "int", "int8":
		right = w.pick("int", "int", "int8")
	case "ran.pair":
		sign, right = "|", left
	}
	a, b := w.operand(left, true), w.operand(right, true)
	operator := w.pick("<", "<=", "=", "=", ">=", ">", "<>", "<>")
	switch w.random.IntN(12) {
	case 0:
		if left != "ran.pair" {
			return a + " " + operator + " " + b
		}
	case 1, 2:
		tilde := strings.Repeat("~", 1+w.random.IntN(4))
		return w.operand("int", true) + " OPERATOR(ran.@" + tilde + "@) " + w.operand("int", false)
	case 3:
		return w.operand("ran.fars", true) + w.pick(" && ", " = ", " < ", " @> ") + w.operand("ran.fars", true)
	case 4:
		return w.operand("ran.pairs", true) + w.pick(" && ", " = ", " << ") + w.operand("ran.pairs", true)
	case 5:
		return w.operand("ran.pair", false) + w.pick(" = ", " < ", " IS DISTINCT FROM ") + w.operand("ran.pair", true)
	case 6:
		return w.operand("ran.pair[]", true) + w.pick(" = ", " @> ", " < ") + w.operand("ran.pair[]", true)
	case 7:
		return "(" + a + ", " + w.operand(left, false) + ") OPERATOR(ran." + sign + w.pick("<", ">=", "=") + sign + ") (" + b + ", " + w.operand(right, true) + ")"
	case 8:
		return "ran.valid(" + w.operand("int", true) + ")"
	}
	return fmt.Sprintf("%s OPERATOR(ran.%s%s%s) %s", a, sign, operator, sign, b)
}

func (w *ranWriter) assignments(t ranTable) string {
	for _, typ := range []string{w.pick("int", "ran.pair"), "int", "ran.pair"} {
		if columns := t.columns[typ]; len(columns) > 0 {
			return columns[w.random.IntN(len(columns))] + " = " + w.operand(typ, true)
		}
	}
	return "i = 1"
}

func (w *ranWriter) inserts(t ranTable) string {
	var columns, values []string
	w.from = nil
	for _, typ := range []string{"int", "int8", "ran.pair", "ran.fars"} {
		seen := map[string]bool{}
		for _, c := range t.columns[typ] {
			if !seen[c] && (w.chance(70) || len(columns) == 0) {
				seen[c] = true
				columns, values = append(columns, c), append(values, strings.Replace(w.constant(typ), "ROW(", "ROW(10", 1))
			}
		}
	}
	sql := "INSERT INTO " + t.name + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
	switch w.random.IntN(5) {
	case 0:
		sql += " ON CONFLICT DO NOTHING"
	case 1:
		w.from = []ranTable{t}
		sql += " ON CONFLICT (" + columns[0] + ") DO UPDATE SET " + columns[0] + " = excluded." + columns[0] + " WHERE " + w.comparison()
	}
	return sql
}
