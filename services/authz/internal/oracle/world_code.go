package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// The parts of a world that run by themselves: views, functions over tables,
// triggers, rules, policies, operators and casts.

func (w *world) someTable() worldTable { return w.tables[w.random.IntN(len(w.tables))] }

// query is a plain query over a table or a join, with the names of its columns.
func (w *world) query() (sql string, columns []worldColumn) {
	t := w.someTable()
	var targets []string
	for _, c := range t.columns {
		if w.chance(75) || c.name == "id" {
			targets = append(targets, "q."+c.name)
			columns = append(columns, c)
		}
	}
	if w.chance(30) {
		targets = append(targets, w.pick("app.twice(q.id::int)", "public.twice(q.id::int)", "length(q.id::text)", "app.opaque(q.id::int)")+" AS made")
		columns = append(columns, worldColumn{"made", "int"})
	}
	if w.chance(25) {
		other := w.someTable()
		targets = append(targets, fmt.Sprintf("(SELECT max(o.id) FROM %s o WHERE o.id = q.id) AS top", other.name))
		columns = append(columns, worldColumn{"top", "int"})
	}
	sql = "SELECT " + strings.Join(targets, ", ") + " FROM " + t.name + " q"
	if w.chance(20) {
		sql += " JOIN " + w.someTable().name + " j ON j.id = q.id"
	}
	if w.chance(40) {
		sql += " WHERE q.id " + w.pick("> 0", "IS NOT NULL", "< 1000", "IN (SELECT s.id FROM "+w.pick(t.name, w.someTable().name)+" s)")
	}
	return sql, columns
}

func (w *world) views() {
	for i := range 4 {
		sql, columns := w.query()
		name := fmt.Sprintf("%s.view%d", w.schema(), i)
		option := ""
		if w.chance(40) {
			option = " WITH (security_invoker = true)"
		}
		if w.chance(10) {
			option = " WITH (security_barrier)"
		}
		w.add("CREATE VIEW %s%s AS %s%s", name, option, sql, w.pick("", "", " WITH CHECK OPTION"))
		if w.chance(60) {
			// Later views and functions may be over this one.
			w.tables = append(w.tables, worldTable{name: name, columns: columns})
		}
	}
	for i := range 2 {
		sql, _ := w.query()
		w.add("CREATE MATERIALIZED VIEW %s.stored%d AS %s", w.schema(), i, sql)
	}
	if w.chance(50) {
		// An owner who lacks some of what the view reads.
		owned := w.out[len(w.out)-1-w.random.IntN(3)]
		name := strings.Fields(owned)
		for i, word := range name {
			if word == "VIEW" {
				w.add("ALTER %s %s OWNER TO oracle_owner", strings.Join(name[1:i+1], " "), name[i+1])
			}
		}
		for _, t := range w.tables {
			if w.chance(60) {
				w.add("GRANT ALL ON %s TO oracle_owner", t.name)
			}
		}
		w.add(`GRANT USAGE ON SCHEMA app, public, "Hr" TO oracle_owner`)
	}
	t := w.someTable()
	w.add("CREATE VIEW public.whole AS SELECT w FROM %s w", t.name)
	w.add("CREATE VIEW app.calls AS SELECT x, y FROM public.grid(3)")
	w.add("CREATE VIEW app.constants AS SELECT 1 AS one, 'x'::text AS word")
}

// queryFunctions writes functions whose bodies read or write tables.
func (w *world) queryFunctions() {
	for i := range 4 {
		t := w.someTable()
		definer := w.pick("", "", " SECURITY DEFINER SET search_path = pg_catalog")
		switch w.random.IntN(6) {
		case 0:
			w.add("CREATE FUNCTION %s.first_id%d() RETURNS bigint LANGUAGE sql%s AS 'SELECT min(id) FROM %s'", w.schema(), i, definer, t.name)
		case 1:
			w.add("CREATE FUNCTION %s.count_of%d(n int) RETURNS bigint LANGUAGE sql STABLE%s BEGIN ATOMIC SELECT count(*) FROM %s WHERE id > n; END", w.schema(), i, definer, t.name)
		case 2:
			w.add("CREATE FUNCTION %s.rows%d() RETURNS SETOF %s LANGUAGE sql%s AS 'SELECT * FROM %s'", w.schema(), i, t.name, definer, t.name)
		case 3:
			w.add("CREATE FUNCTION %s.code_of%d(%s) RETURNS bigint LANGUAGE sql%s AS 'SELECT ($1).id::bigint'", w.schema(), i, t.name, definer)
		case 4:
			w.add("CREATE FUNCTION %s.remove%d(n int) RETURNS void LANGUAGE sql%s AS 'DELETE FROM %s WHERE id = n'", w.schema(), i, definer, t.name)
		default:
			w.add("CREATE FUNCTION %s.peek%d() RETURNS bigint LANGUAGE plpgsql%s AS 'BEGIN RETURN (SELECT count(*) FROM %s); END'", w.schema(), i, definer, t.name)
		}
	}
	if w.chance(50) {
		w.add("ALTER FUNCTION app.definer() OWNER TO oracle_owner")
	}
	// Not of a view: what the plan of a body drops nobody sees.
	plain := slices.DeleteFunc(slices.Clone(w.tables), func(t worldTable) bool { return !t.key })
	if len(plain) > 0 {
		w.add("CREATE PROCEDURE public.tidy(n int) LANGUAGE sql AS 'DELETE FROM %s WHERE id = n'", plain[w.random.IntN(len(plain))].name)
	}
}

func (w *world) behaviour() {
	w.add("CREATE FUNCTION public.noticed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END'")
	if w.chance(40) {
		w.add("CREATE TRIGGER watch %s ON %s FOR EACH ROW EXECUTE FUNCTION public.noticed()",
			w.pick("BEFORE INSERT", "AFTER UPDATE", "BEFORE DELETE", "AFTER INSERT OR UPDATE OR DELETE"), w.someTable().name)
	}
	if w.chance(35) {
		t, other := w.someTable(), w.someTable()
		w.add("CREATE RULE extra AS ON %s TO %s DO %s", w.pick("INSERT", "UPDATE", "DELETE"), t.name,
			w.pick("ALSO SELECT max(id) FROM "+other.name, "INSTEAD NOTHING", "ALSO DELETE FROM "+other.name+" WHERE id = 99", "ALSO NOTIFY changes"))
	}
	if w.chance(30) {
		t := w.someTable()
		w.add("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", t.name)
		w.add("CREATE POLICY p ON %s USING (%s)", t.name, w.pick("true", "id > 0", "id IN (SELECT id FROM "+w.someTable().name+")"))
	}
	if w.chance(30) {
		w.add("CREATE INDEX ON %s (%s)", w.someTable().name, w.pick("(id + 1)", "(app.twice(id::int))", "lower(name)"))
	}
	if w.chance(20) {
		w.add("CREATE UNIQUE INDEX ON %s ((id + 1))", w.someTable().name)
	}
}

func (w *world) operators() {
	if w.chance(40) {
		w.add("CREATE FUNCTION app.alike(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 / 10 = $2 / 10'")
		w.add("CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = app.alike)")
	}
	if w.chance(20) {
		w.add("CREATE FUNCTION public.mix(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1'")
		w.add("CREATE OPERATOR public.+ (LEFTARG = text, RIGHTARG = int, FUNCTION = public.mix)")
	}
	if w.chance(10) {
		w.add("CREATE FUNCTION app.textual(app.pair) RETURNS text LANGUAGE sql AS 'SELECT ($1).b'")
		w.add("CREATE CAST (app.pair AS text) WITH FUNCTION app.textual(app.pair)%s", w.pick("", " AS ASSIGNMENT", " AS IMPLICIT"))
	}
	if w.chance(10) {
		w.add("CREATE FUNCTION app.pair_json(app.pair) RETURNS json LANGUAGE sql AS 'SELECT ''1''::json'")
		w.add("CREATE CAST (app.pair AS json) WITH FUNCTION app.pair_json(app.pair)")
	}
}
