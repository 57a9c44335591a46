package oracle

import (
	"fmt"
	"strings"
)

// definition is a statement of the data definition language. A role that owns
// nothing may run few of them, and more where it may create in a schema.
func (w *Writer) definition(name string) string {
	if w.chance(25) {
		return w.change(name)
	}
	schema := "public"
	if s := one(w, w.model.Schemas); s != nil {
		schema = w.ident(*s)
	}
	target, temp := schema+".fresh", ""
	if w.chance(35) {
		target, temp = "fresh", "TEMP "
	}
	if w.chance(40) {
		return w.codeDefinition(schema, name)
	}
	query := w.query([]Column{{Name: "id", Family: "int"}, {Name: "x", Family: "text"}}, nil)
	switch w.random.IntN(15) {
	case 12:
		return "CREATE TABLE " + schema + ".fresh (r " + w.pick("bigint", "int") + " REFERENCES " + name + w.pick("", " (id)") + w.pick("", " ON DELETE CASCADE", " NOT NULL", " INITIALLY DEFERRED") + ")"
	case 13:
		return "CREATE TABLE " + schema + ".fresh (id int, r " + w.pick("bigint", "int") + ", FOREIGN KEY (" + w.pick("r", "id", "r", "nosuch") + ") REFERENCES " + name + w.pick("", " (id)", " (id) ON UPDATE CASCADE") + ")" +
			w.pick("", "", "; ALTER TABLE "+schema+".fresh ADD FOREIGN KEY (id) REFERENCES "+name)
	case 0, 1:
		return "CREATE " + temp + "TABLE " + target + " (" + w.definedColumns(name) + ")"
	case 2:
		return "CREATE " + temp + "TABLE " + target + " (LIKE " + name + w.pick("", " INCLUDING ALL", " INCLUDING DEFAULTS", " INCLUDING CONSTRAINTS", " INCLUDING GENERATED", " INCLUDING INDEXES", " INCLUDING IDENTITY") + ")"
	case 3:
		return "CREATE " + temp + "TABLE " + w.pick("", "IF NOT EXISTS ") + target + " AS " + query + w.pick("", "", " WITH NO DATA")
	case 4:
		return "CREATE " + w.pick("", "OR REPLACE ") + temp + "VIEW " + target + w.pick("", "", " WITH (security_barrier)") + " AS " + query
	case 5:
		return "CREATE MATERIALIZED VIEW " + w.pick("", "IF NOT EXISTS ") + schema + ".fresh AS " + query + w.pick("", " WITH NO DATA")
	case 6:
		return "CREATE " + temp + "SEQUENCE " + target + w.pick("", " AS bigint INCREMENT 2", " START 5 CYCLE")
	case 7:
		return "SELECT * INTO " + temp + target + " FROM " + name
	case 8:
		return "EXPLAIN " + w.pick("", "ANALYZE ") + "CREATE " + temp + "TABLE " + w.pick("", "IF NOT EXISTS ") + target + " AS " + query
	case 9:
		return "CREATE TABLE IF NOT EXISTS " + name + w.pick(" AS "+query, " (id int)")
	case 10:
		return "CREATE TEMP TABLE fresh (" + w.definedColumns(name) + "); " + w.pick("TABLE fresh", "INSERT INTO fresh VALUES (NULL)", "SELECT f.*, t.* FROM fresh f, "+name+" t", "DROP TABLE fresh", "TRUNCATE fresh", "ALTER TABLE fresh ADD y int")
	case 11:
		if t := one(w, w.model.Types); t != nil && len(t.Fields) > 0 {
			return "CREATE " + temp + "TABLE " + target + " OF " + w.typeName(*t)
		}
		return "CREATE TEMP VIEW fresh AS TABLE " + name
	default:
		return "CREATE " + temp + "TABLE " + target + " (id int, at date) PARTITION BY RANGE (" + w.pick("at", "id", "(app.twice(id))") + ")"
	}
}

// definedColumns are the columns and constraints of a new table.
func (w *Writer) definedColumns(other string) string {
	var parts []string
	for i := range 1 + w.random.IntN(3) {
		column := fmt.Sprintf("c%d", i)
		typ := w.definedType()
		parts = append(parts, column+" "+typ+w.pick("", "", " NOT NULL", " UNIQUE", " DEFAULT NULL"))
	}
	if w.chance(50) {
		view := []source{{name: "fresh", columns: []Column{{Name: "n", Family: "int"}, {Name: "s", Family: "text"}}}}
		constant := func(f string) string { return w.userOr(f, nil) }
		parts = append(parts, "n int"+w.pick(" DEFAULT "+constant("int"), " CHECK (n > 0)", " REFERENCES "+other, " PRIMARY KEY", " GENERATED ALWAYS AS IDENTITY"),
			"s text"+w.pick("", " DEFAULT "+constant("text"), ` COLLATE "C"`, " CHECK (length(s) > "+w.leaf("int", nil)+")"))
		if w.chance(30) {
			parts = append(parts, w.pick("CHECK ("+w.flatly(func() string { return w.expr("bool", view) })+")", "UNIQUE (n, s)", "EXCLUDE USING btree (n WITH =)", "FOREIGN KEY (n) REFERENCES "+other, "FOREIGN KEY (n) REFERENCES "+other+" (id)"))
		}
	}
	return strings.Join(parts, ", ")
}

// definedType is a type's name.
func (w *Writer) definedType() string {
	if t := one(w, w.model.Types); t != nil && w.chance(50) {
		return w.typeName(*t) + w.pick("", "", "[]")
	}
	if rel := one(w, w.relations(readable)); rel != nil && w.chance(10) {
		return w.ident(rel.Schema) + "." + w.ident(rel.Name)
	}
	return w.pick("int", "text", "numeric(10, 2)", "timestamptz", "int[]", "jsonb", "varchar(9)")
}

// userOr is a call of a user's function, or a literal.
func (w *Writer) userOr(family string, view []source) string {
	if call := w.userCall(family, view); call != "" && w.chance(60) {
		return call
	}
	return w.literal(family)
}

// codeDefinition defines a type, a function, or what runs one. No range: its
// constructors belong to the bootstrap superuser, for whom the baseline revokes what PUBLIC
// has, and their validator asks who makes it.
func (w *Writer) codeDefinition(schema, table string) string {
	t := w.definedType()
	body := w.query([]Column{{Name: "id", Family: "int"}}, nil)
	switch w.random.IntN(11) {
	case 0:
		return "CREATE TYPE " + schema + ".fresh AS " + w.pick("ENUM ('a', 'b')", "(a "+t+", b "+w.definedType()+")")
	case 1:
		return "CREATE DOMAIN " + schema + ".fresh AS " + t + w.pick("", " NOT NULL", " CHECK (VALUE IS NOT NULL)", " CHECK ("+w.userOr("bool", nil)+")", " DEFAULT NULL")
	case 2, 3:
		return "CREATE " + w.pick("", "OR REPLACE ") + "FUNCTION " + schema + ".fresh(a int) RETURNS bigint LANGUAGE sql " + w.pick("", "STABLE ", "SECURITY DEFINER SET search_path = pg_catalog ") +
			w.pick("AS "+quoteLiteral("SELECT id::bigint FROM ("+body+") q"), "RETURN ("+w.userOr("int", nil)+")::bigint", "BEGIN ATOMIC "+body+"; END")
	case 4:
		return "CREATE FUNCTION " + schema + ".fresh(a " + t + w.pick("", " DEFAULT NULL") + ") RETURNS " + w.definedType() + " LANGUAGE sql AS 'SELECT NULL'"
	case 5:
		return "CREATE FUNCTION " + schema + ".fresh() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"
	case 6:
		return "CREATE PROCEDURE " + schema + ".fresh(a int) LANGUAGE sql AS " + quoteLiteral(body)
	case 7:
		return "CREATE AGGREGATE " + schema + ".fresh (int) (SFUNC = " + w.pick("app.add_up", "int4pl", "pg_catalog.int4larger") + ", STYPE = int)"
	case 8:
		return "CREATE OPERATOR " + schema + ".### (LEFTARG = int, RIGHTARG = int, FUNCTION = " + w.pick("app.alike", "app.add_up", "int4eq") + ")"
	case 9:
		return "CREATE TRIGGER z " + w.pick("BEFORE INSERT", "AFTER UPDATE OF id", "AFTER DELETE") + " ON " + table + w.pick("", " FOR EACH ROW") + " EXECUTE FUNCTION public.noticed()"
	default:
		return w.pick("CREATE COLLATION "+schema+`.fresh FROM "C"`, "CREATE TEXT SEARCH CONFIGURATION "+schema+".fresh (COPY = simple)", "CREATE TEXT SEARCH DICTIONARY "+schema+".fresh (TEMPLATE = simple)")
	}
}

// change changes what somebody else owns, or what lies in no schema.
func (w *Writer) change(name string) string {
	return w.pick("DROP TABLE "+name, "ALTER TABLE "+name+" ADD COLUMN z int", "CREATE INDEX ON "+name+" (id)", "COMMENT ON TABLE "+name+" IS 'x'",
		"GRANT SELECT ON "+name+" TO PUBLIC", "CREATE SCHEMA fresh", "CREATE ROLE fresh", "ALTER TABLE "+name+" OWNER TO CURRENT_USER",
		"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE EXTENSION hstore", "SECURITY LABEL ON TABLE "+name+" IS 'x'", "VACUUM "+name,
		"ALTER TABLE "+name+" RENAME TO fresh", "CREATE STATISTICS public.fresh ON id, (id + 1) FROM "+name, "CREATE RULE z AS ON DELETE TO "+name+" DO INSTEAD NOTHING", "CREATE POLICY z ON "+name+" USING (true)")
}
