package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// world writes the SQL of a random database, statement by statement. What fails in
// the server is left out by who loads it, so that it may try more than always works.
type world struct {
	random *rand.Rand
	out    []string
	// tables are those written so far, with the columns that queries may use.
	tables []worldTable
}

type worldTable struct {
	name    string // qualified
	columns []worldColumn
	key     bool // The first column, id, is its primary key.
}

type worldColumn struct{ name, family string }

// World returns the SQL of a random database.
func World(r *rand.Rand) []string {
	w := &world{random: r}
	w.schemas()
	w.types()
	w.functions()
	w.codedTypes()
	for i := range 6 + w.random.IntN(3) {
		w.table(i)
	}
	w.partitions()
	w.inheritance()
	w.moreFunctions()
	w.moreTables()
	w.sequences()
	w.rows()
	w.views()
	w.moreViews()
	w.queryFunctions()
	w.behaviour()
	w.operators()
	return w.out
}

// PlainWorld is a world for generators that write no quotes.
func PlainWorld(r *rand.Rand) []string {
	plain := strings.NewReplacer(`"Hr"`, "hr", `"Mixed Case"`, "mixed_case", `"select"`, "selects", `"Mixed"`, "mixed", `"order"`, "ordering",
		"größe", "sizes", `"Seq"`, "seq", "'Hr'", "'hr'")
	all := World(r)
	for i := range all {
		all[i] = plain.Replace(all[i])
	}
	return all
}

func (w *world) add(format string, args ...any) { w.out = append(w.out, fmt.Sprintf(format, args...)) }

func (w *world) pick(options ...string) string { return options[w.random.IntN(len(options))] }

func (w *world) chance(percent int) bool { return w.random.IntN(100) < percent }

func (w *world) schema() string { return w.pick("public", "public", "app", `"Hr"`) }

func (w *world) schemas() {
	w.add(`CREATE SCHEMA app`)
	w.add(`CREATE SCHEMA "Hr"`)
	w.add(`CREATE SCHEMA empty`)
}

func (w *world) types() {
	w.add(`CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy')`)
	w.add(`CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'Wild')`)
	w.add(`CREATE DOMAIN app.posint AS int CHECK (VALUE > 0)`)
	w.add(`CREATE DOMAIN public.word AS text CHECK (length(VALUE) < 1000)`)
	w.add(`CREATE TYPE app.pair AS (a int, b text)`)
	w.add(`CREATE TYPE public.nest AS (p app.pair, n numeric)`)
	if w.chance(20) {
		// It brings a cast to its multirange type.
		w.add(`CREATE TYPE "Hr".span AS RANGE (subtype = int4)`)
	}
}

// functions writes functions that read no table.
func (w *world) functions() {
	for _, schema := range []string{"public", "app", `"Hr"`} {
		if w.chance(70) {
			w.add(`CREATE FUNCTION %s.twice(int) RETURNS int LANGUAGE sql %s AS 'SELECT $1 * 2'`, schema, w.pick("IMMUTABLE", "STABLE", "VOLATILE"))
		}
		if w.chance(50) {
			w.add(`CREATE FUNCTION %s.twice(text) RETURNS text LANGUAGE sql %s RETURN $1 || $1`, schema, w.pick("", "IMMUTABLE STRICT"))
		}
		if w.chance(40) {
			w.add(`CREATE FUNCTION %s.label(n int, prefix text DEFAULT 'n', suffix text DEFAULT '') RETURNS text LANGUAGE sql AS 'SELECT prefix || n || suffix'`, schema)
		}
		if w.chance(40) {
			w.add(`CREATE FUNCTION %s.many(VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT cardinality($1)'`, schema)
		}
		if w.chance(40) {
			w.add(`CREATE FUNCTION %s.opaque(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + 1; END'`, schema)
		}
		if w.chance(40) {
			w.add(`CREATE FUNCTION %s.same(anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT $1'`, schema)
		}
		if w.chance(30) {
			w.add(`CREATE FUNCTION %s.%s(text) RETURNS text LANGUAGE sql AS 'SELECT ''own''::text'`, schema, w.pick("upper", "lower", "initcap", "md5"))
		}
		if w.chance(30) {
			w.add(`CREATE FUNCTION %s.length(int) RETURNS int LANGUAGE sql AS 'SELECT $1'`, schema)
		}
	}
	w.add(`CREATE FUNCTION app.pair_of(int) RETURNS app.pair LANGUAGE sql AS 'SELECT ROW($1, ''x'')::app.pair'`)
	w.add(`CREATE FUNCTION app.split(n int, OUT half int, OUT rest text) LANGUAGE sql AS 'SELECT n / 2, ''r''::text'`)
	w.add(`CREATE FUNCTION public.upto(int) RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, $1)'`)
	w.add(`CREATE FUNCTION public.grid(int) RETURNS TABLE (x int, y text) LANGUAGE sql AS 'SELECT i, i::text FROM generate_series(1, $1) i'`)
	w.add(`CREATE FUNCTION app.is_small(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 10'`)
	w.add(`CREATE FUNCTION app.add_up(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2'`)
	w.add(`CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')`)
	w.add(`CREATE AGGREGATE public.glue(text) (SFUNC = textcat, STYPE = text)`)
	w.add(`CREATE PROCEDURE app.work(int) LANGUAGE sql AS 'SELECT $1'`)
	w.add(`CREATE FUNCTION app.definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT count(*) FROM pg_catalog.pg_authid'`)
}

// columnTypes are SQL types of columns with their families.
func (w *world) columnType() (sql, family string) {
	if w.chance(12) {
		return w.codedColumn()
	}
	switch w.random.IntN(18) {
	case 0, 1, 2:
		return w.pick("int", "bigint", "smallint"), "int"
	case 3:
		return w.pick("numeric", "double precision", "numeric(10,2)"), "num"
	case 4, 5, 6:
		return w.pick("text", "varchar(40)", "text"), "text"
	case 7:
		return "boolean", "bool"
	case 8:
		return w.pick("date", "timestamptz", "timestamp"), "time"
	case 9:
		return "jsonb", "jsonb"
	case 10:
		return "int[]", "ints"
	case 11:
		return "text[]", "texts"
	case 12:
		return w.pick("app.mood", "public.mood"), "enum"
	case 13:
		return "app.posint", "int"
	case 14:
		return "public.word", "text"
	case 15:
		return w.pick("app.pair", "public.nest"), "row"
	case 16:
		return "int4range", "range"
	default:
		return w.pick("json", "uuid", "bytea", `"Hr".span`, "interval", `"char"`), "other"
	}
}

var tableNames = []string{"orders", "orders", "items", "customers", `"Mixed Case"`, `"select"`, "events", "größe", "people", "notes"}

var columnNames = []string{"name", "total", "note", "status", `"Mixed"`, "qty", "tags", "doc", "at", "kind", `"order"`, "twice", "x", "y"}

func (w *world) table(i int) {
	schema := w.schema()
	name := schema + "." + tableNames[w.random.IntN(len(tableNames))]
	for _, t := range w.tables {
		if t.name == name {
			name = fmt.Sprintf("%s.table%d", schema, i)
		}
	}
	t := worldTable{name: name, key: w.chance(85)}
	id := w.pick("int", "int", "serial", "int GENERATED BY DEFAULT AS IDENTITY", "bigint GENERATED ALWAYS AS IDENTITY", "bigserial")
	if t.key {
		id += " PRIMARY KEY"
	}
	parts := []string{"id " + id}
	t.columns = append(t.columns, worldColumn{"id", "int"})
	order := w.random.Perm(len(columnNames))
	for _, n := range order[:2+w.random.IntN(5)] {
		sql, family := w.columnType()
		column := columnNames[n]
		def := column + " " + sql
		switch {
		case family == "int" && w.chance(15):
			def += " DEFAULT " + w.pick("1", "length('x')", "app.twice(1)", "public.twice(2)")
		case family == "text" && w.chance(15):
			def += " DEFAULT " + w.pick("'d'", "lower('D')", "current_user", "app.label(1)")
		case family == "int" && w.chance(10):
			def += " CHECK (" + w.pick(column+" > -1000", "app.is_small("+column+"::int) OR true") + ")"
		case family == "int" && w.chance(12):
			def += " GENERATED ALWAYS AS (" + w.pick("id * 2", "app.twice(id::int)") + ") STORED"
		case w.chance(6) && t.key:
			def += " UNIQUE"
		}
		t.columns = append(t.columns, worldColumn{column, family})
		parts = append(parts, def)
	}
	if len(w.tables) > 0 && w.chance(35) {
		other := w.tables[w.random.IntN(len(w.tables))]
		if other.key {
			parts = append(parts, "ref bigint REFERENCES "+other.name+w.pick("", " ON DELETE CASCADE", " ON DELETE SET NULL ON UPDATE CASCADE"))
			t.columns = append(t.columns, worldColumn{"ref", "int"})
		}
	}
	w.add("CREATE TABLE %s (%s)", name, strings.Join(parts, ", "))
	w.tables = append(w.tables, t)
}

func (w *world) partitions() {
	if !w.chance(70) {
		return
	}
	schema := w.schema()
	name := schema + ".parted"
	w.add("CREATE TABLE %s (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)", name)
	w.add("CREATE TABLE %s.parted_old PARTITION OF %s FOR VALUES FROM (MINVALUE) TO ('2020-01-01')", schema, name)
	w.add("CREATE TABLE %s PARTITION OF %s FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)", w.schema()+".parted_new", name)
	w.tables = append(w.tables, worldTable{name: name, columns: []worldColumn{{"id", "int"}, {"at", "time"}, {"v", "text"}}})
}

func (w *world) inheritance() {
	if !w.chance(50) {
		return
	}
	parent := w.tables[w.random.IntN(len(w.tables))]
	w.add("CREATE TABLE %s.heir (extra int) INHERITS (%s)", w.schema(), parent.name)
}

func (w *world) sequences() {
	w.add("CREATE SEQUENCE public.counter")
	w.add("CREATE SEQUENCE app.counter")
	w.add(`CREATE SEQUENCE "Hr"."Seq" START 5`)
}

// literal is a value of a family that most columns of it take.
func (w *world) literal(family string) string {
	switch family {
	case "int":
		return fmt.Sprint(1 + w.random.IntN(9))
	case "num":
		return "1.5"
	case "text":
		return w.pick("'a'", "'b'", "'xyz'")
	case "bool":
		return w.pick("true", "false")
	case "time":
		return w.pick("'2019-05-01'", "'2021-05-01'")
	case "jsonb":
		return `'{"a": 1, "b": [1, 2]}'`
	case "ints":
		return "'{1,2}'"
	case "texts":
		return "'{a,b}'"
	case "enum":
		return w.pick("'sad'", "'ok'")
	case "range":
		return "'[1,5)'"
	default:
		return "NULL"
	}
}

// rows puts a few rows into each table.
func (w *world) rows() {
	for _, t := range w.tables {
		for i := range 3 {
			var names, values []string
			for _, c := range t.columns {
				value := w.literal(c.family)
				if c.name == "id" {
					value = fmt.Sprint(i + 1)
				}
				if c.name == "ref" {
					value = "NULL"
				}
				names, values = append(names, c.name), append(values, value)
			}
			w.add("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)", t.name, strings.Join(names, ", "), strings.Join(values, ", "))
			// A generated column takes no value: then the key alone.
			w.add("INSERT INTO %s (id) OVERRIDING SYSTEM VALUE VALUES (%d)", t.name, i+11)
		}
	}
}
