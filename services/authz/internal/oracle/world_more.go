package oracle

import "strings"

// moreFunctions writes functions that call others, that have outputs of every
// form, and whose bodies mean something else under another path.
func (w *world) moreFunctions() {
	// A body may name what the path decides on, or what is not there at all.
	w.add(`SET check_function_bodies = off`)
	if w.chance(50) {
		w.add(`CREATE FUNCTION app.nested(int) RETURNS int LANGUAGE sql %s AS 'SELECT app.twice($1) + public.twice($1)'`, w.pick("IMMUTABLE", "STABLE", "", "STRICT"))
	}
	if w.chance(40) {
		w.add(`CREATE FUNCTION public.loose(int) RETURNS bigint LANGUAGE sql%s AS 'SELECT count(*) FROM %s WHERE id > $1'`, w.pick("", " SET search_path = app", " SET search_path = public, app"), w.bareName())
	}
	if w.chance(40) {
		w.add(`CREATE FUNCTION public.loose_call(int) RETURNS int LANGUAGE sql%s AS 'SELECT twice($1)'`, w.pick("", " SET search_path = app", " IMMUTABLE"))
	}
	if w.chance(40) {
		w.add(`CREATE FUNCTION app.with_default(a int DEFAULT app.twice(2), b text DEFAULT lower('X')) RETURNS text LANGUAGE sql AS 'SELECT a || b'`)
	}
	w.add(`CREATE FUNCTION app.first_of(anyarray) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT $1[1]'`)
	w.add(`CREATE FUNCTION public.either(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql AS 'SELECT coalesce($1, $2)'`)
	w.add(`CREATE FUNCTION app.pairs(int) RETURNS SETOF app.pair LANGUAGE sql AS 'SELECT i, ''x''::text FROM generate_series(1, $1) i'`)
	w.add(`CREATE FUNCTION public.records(int, OUT a int, OUT b app.mood) RETURNS SETOF record LANGUAGE sql AS 'SELECT $1, ''ok''::app.mood'`)
	w.add(`CREATE FUNCTION app.code_of_pair(app.pair) RETURNS int LANGUAGE sql AS 'SELECT ($1).a'`)
	w.add(`CREATE FUNCTION app.to_coded(int) RETURNS app.coded LANGUAGE sql AS 'SELECT $1::app.coded'`)
	w.add(`CREATE FUNCTION public.moody(text) RETURNS app.mood LANGUAGE sql STABLE RETURN CASE WHEN $1 = 'ok' THEN 'ok'::app.mood END`)
	w.add(`CREATE PROCEDURE app.outs(IN a int, INOUT b int) LANGUAGE sql AS 'SELECT a + b'`)
	w.add(`CREATE AGGREGATE app.collected(anyelement) (SFUNC = array_append, STYPE = anyarray, INITCOND = '{}')`)
	if w.chance(30) {
		w.add(`CREATE AGGREGATE public.own_total(int) (SFUNC = app.add_up, STYPE = int, INITCOND = '0', FINALFUNC = app.twice)`)
	}
}

// bareName is a table's name without its schema: another in another path.
func (w *world) bareName() string {
	t := w.someTable()
	return t.name[strings.Index(t.name, ".")+1:]
}

// moreViews writes views of the forms that the others have not.
func (w *world) moreViews() {
	for i := range 3 {
		t, other := w.someTable(), w.someTable()
		name := w.schema() + "." + w.pick("shaped", "report", "summary") + string(rune('0'+i))
		option := w.pick("", "", " WITH (security_barrier)", " WITH (security_invoker)", " WITH (security_barrier, security_invoker)")
		columns := []worldColumn{{"id", "int"}}
		switch w.random.IntN(9) {
		case 0:
			w.add("CREATE VIEW %s (id, n)%s AS SELECT id, count(*) FROM %s GROUP BY id", name, option, t.name)
		case 1:
			w.add("CREATE VIEW %s%s AS SELECT id FROM %s UNION ALL SELECT id FROM %s", name, option, t.name, other.name)
		case 2:
			w.add("CREATE VIEW %s%s AS WITH c AS (SELECT id FROM %s) SELECT c.id FROM c WHERE EXISTS (SELECT FROM %s o WHERE o.id = c.id)", name, option, t.name, other.name)
		case 3:
			w.add("CREATE VIEW %s%s AS SELECT DISTINCT ON (id) id, row_number() OVER (ORDER BY id) AS n FROM %s", name, option, t.name)
		case 4:
			w.add("CREATE VIEW %s%s AS SELECT t.id, f.x FROM %s t, LATERAL public.grid(t.id::int) f", name, option, t.name)
		case 5:
			w.add("CREATE RECURSIVE VIEW %s (id) AS SELECT min(id)::int FROM %s UNION SELECT id + 1 FROM %s WHERE id < 3", name, t.name, name[strings.Index(name, ".")+1:])
		case 6:
			w.add("CREATE VIEW %s%s AS SELECT t.* FROM %s t LEFT JOIN %s o USING (id)", name, option, t.name, other.name)
			columns = t.columns
		case 7:
			w.add("CREATE VIEW %s%s AS SELECT * FROM %s WHERE app.is_small(id::int) WITH %s CHECK OPTION", name, option, t.name, w.pick("LOCAL", "CASCADED"))
			columns = t.columns
		default:
			w.add("CREATE VIEW %s%s AS SELECT t.id, t AS whole, app.nested(t.id::int) AS made FROM %s t", name, option, t.name)
		}
		if w.chance(50) {
			w.tables = append(w.tables, worldTable{name: name, columns: columns})
		}
		if w.chance(15) {
			w.add("CREATE TRIGGER instead INSTEAD OF %s ON %s FOR EACH ROW EXECUTE FUNCTION public.noticed()", w.pick("INSERT", "UPDATE", "DELETE", "INSERT OR UPDATE OR DELETE"), name)
		}
		if w.chance(15) {
			w.add("CREATE RULE away AS ON %s TO %s DO INSTEAD NOTHING", w.pick("INSERT", "UPDATE", "DELETE"), name)
		}
	}
}

// moreTables writes tables of the forms that the others have not.
func (w *world) moreTables() {
	if w.chance(40) {
		w.add("CREATE TABLE app.typed OF app.pair")
		w.tables = append(w.tables, worldTable{name: "app.typed", columns: []worldColumn{{"a", "int"}, {"b", "text"}}})
	}
	if w.chance(40) {
		name := w.schema() + ".listed"
		w.add("CREATE TABLE %s (id int, kind text DEFAULT 'a') PARTITION BY LIST (%s)", name, w.pick("kind", "(app.label(id))", "(lower(kind))"))
		w.add("CREATE TABLE %s.listed_a PARTITION OF %s FOR VALUES IN ('a', 'n1') PARTITION BY HASH (id)", w.schema(), name)
		w.add("CREATE TABLE %s.listed_a0 PARTITION OF %s_a FOR VALUES WITH (MODULUS 1, REMAINDER 0)", w.schema(), name)
		w.add("CREATE TABLE %s.listed_rest PARTITION OF %s DEFAULT", w.schema(), name)
		w.tables = append(w.tables, worldTable{name: name, columns: []worldColumn{{"id", "int"}, {"kind", "text"}}})
	}
	if w.chance(30) {
		name := w.schema() + ".booked"
		w.add("CREATE TABLE %s (id int PRIMARY KEY, during int4range DEFAULT int4range(1, 2), CONSTRAINT once EXCLUDE USING gist (during WITH &&))", name)
		w.tables = append(w.tables, worldTable{name: name, columns: []worldColumn{{"id", "int"}}, key: true})
	}
	if w.chance(30) {
		w.add("CREATE STATISTICS app.stat ON (app.twice(id::int)), id FROM %s", w.someTable().name)
	}
	if w.chance(30) {
		name := w.schema() + ".computed"
		w.add("CREATE TABLE %s (id int PRIMARY KEY, v int GENERATED ALWAYS AS (%s))", name, w.pick("id + 1", "abs(id)"))
		w.tables = append(w.tables, worldTable{name: name, columns: []worldColumn{{"id", "int"}}, key: true})
	}
	if w.chance(40) {
		t := w.someTable()
		name := w.schema() + ".child"
		w.add("CREATE TABLE %s (id int DEFAULT app.twice(3), ref int REFERENCES %s %s, note text DEFAULT public.twice('n'))", name, t.name,
			w.pick("ON DELETE SET DEFAULT", "ON DELETE CASCADE ON UPDATE CASCADE", "ON UPDATE SET NULL", "DEFERRABLE INITIALLY DEFERRED", ""))
		w.tables = append(w.tables, worldTable{name: name, columns: []worldColumn{{"id", "int"}, {"ref", "int"}, {"note", "text"}}})
	}
	if w.chance(30) {
		w.add("CREATE UNIQUE INDEX ON %s (%s)", w.someTable().name, w.pick("(app.nested(id::int))", "id) WHERE (app.is_small(id::int)", "(public.loose_call(id::int))"))
	}
	if w.chance(25) {
		w.add("CREATE TRIGGER guarded %s ON %s %s EXECUTE FUNCTION public.noticed()", w.pick("BEFORE UPDATE OF id", "AFTER DELETE", "BEFORE TRUNCATE", "AFTER INSERT"), w.someTable().name, w.pick("", "FOR EACH STATEMENT"))
	}
	if w.chance(25) {
		t := w.someTable()
		w.add("CREATE RULE turned AS ON %s TO %s WHERE %s DO INSTEAD %s", w.pick("INSERT", "UPDATE"), t.name, w.pick("NEW.id > 100", "app.is_small(NEW.id::int)"),
			w.pick("NOTHING", "DELETE FROM "+w.someTable().name+" WHERE id = NEW.id"))
	}
}
