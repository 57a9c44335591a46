package oracle

import (
	"fmt"
	"strings"
)

// call writes a call of one of the user's own routines; false when it has an
// argument of a family that nothing is known of.
func (w *Writer) call(f Routine, view []source) (string, bool) {
	var arguments []string
	n := len(f.Families)
	if f.Defaults > 0 {
		n -= w.random.IntN(f.Defaults + 1)
	}
	named := false
	for i := range n {
		family := f.Families[i]
		var text string
		switch {
		case f.ArgumentNames[i] == "anyelement":
			text = w.leaf(w.pick("int", "num"), view)
		case strings.HasPrefix(family, "row:"):
			if text = w.rowOf(family, view); text == "" {
				return "", false
			}
		case family == "other" || family == "void":
			return "", false
		case f.ArgumentNames[i] == "integer":
			text = w.leaf(family, view) + w.pick("::int", "::integer")
		default:
			text = w.leaf(family, view)
		}
		if f.Variadic && i == n-1 {
			switch w.random.IntN(3) {
			case 0:
				text = "VARIADIC " + text + "::int[]"
			case 1:
				text = "1, 2, 3"
			default:
				text = w.leaf("int", view) + "::int"
			}
		}
		if i < len(f.Parameters) && f.Parameters[i] != "" && !f.Variadic && (named || w.chance(15)) {
			named = true
			text = w.ident(f.Parameters[i]) + w.pick(" => ", " := ") + text
		} else if named {
			return "", false
		}
		arguments = append(arguments, text)
	}
	return w.routineName(f) + "(" + strings.Join(arguments, ", ") + ")", true
}

func (w *Writer) routineName(f Routine) string {
	for _, s := range w.path {
		if s == f.Schema && w.chance(50) {
			return w.ident(f.Name)
		}
	}
	return w.ident(f.Schema) + "." + w.ident(f.Name)
}

// rowOf is a value of a row family: a source of the relation, or a constructor.
func (w *Writer) rowOf(family string, view []source) string {
	for _, s := range view {
		if s.relation != nil && family == "row:"+s.relation.Schema+"."+s.relation.Name {
			return s.name + w.pick("", ".*")
		}
	}
	if name := w.columnOf(family, view); name != "" {
		return name
	}
	fields := w.rowColumns(family)
	if fields == nil {
		return ""
	}
	values := make([]string, len(fields))
	for i := range fields {
		values[i] = "NULL"
	}
	return "ROW(" + strings.Join(values, ", ") + ")::" + strings.TrimPrefix(family, "row:")
}

// userCall is a call of a user's function that returns one value of the family;
// empty for none.
func (w *Writer) userCall(family string, view []source) string {
	var fit []Routine
	for _, f := range w.model.Routines {
		if f.Kind == 'f' && !f.Set && f.Outputs == nil && f.ResultFamily == family {
			fit = append(fit, f)
		}
	}
	f := one(w, fit)
	if f == nil {
		return ""
	}
	if text, ok := w.attribute(*f, view); ok && w.chance(50) {
		return text
	}
	text, ok := w.call(*f, view)
	if !ok {
		return ""
	}
	return text
}

// attribute is a call of a function over a relation's rows, written as a column.
func (w *Writer) attribute(f Routine, view []source) (string, bool) {
	if len(f.Families) != 1 {
		return "", false
	}
	for _, s := range view {
		if s.relation != nil && f.Families[0] == "row:"+s.relation.Schema+"."+s.relation.Name {
			return s.name + "." + w.ident(f.Name), true
		}
	}
	return "", false
}

// userOperator is a test by an operator of the user's own, as the worlds make them.
func (w *Writer) userOperator(view []source) string {
	if w.flat {
		return "(" + w.leaf("int", view) + " = 1)"
	}
	for _, f := range w.model.Routines {
		if f.Name == "alike" {
			return "(" + w.leaf("int", view) + "::int OPERATOR(" + w.ident(f.Schema) + ".===) " + w.leaf("int", view) + "::int)"
		}
		if f.Name == "mix" && w.chance(50) {
			return "((" + w.leaf("text", view) + "::text + 1) IS NOT NULL)"
		}
	}
	return "(" + w.leaf("int", view) + " = 1)"
}

// small is a short statement of a kind that the others do not write.
func (w *Writer) small() string {
	value := func() string { return w.expr(w.family(), nil) }
	rel := one(w, w.relations(readable))
	if rel == nil {
		return "SELECT " + value()
	}
	name, column := w.relationName(rel.Schema, rel.Name), w.ident(one(w, rel.Columns).Name)
	bare := w.ident(rel.Name)
	switch w.random.IntN(13) {
	case 0:
		return "SELECT " + value()
	case 1:
		return "VALUES (" + value() + ", " + value() + ")"
	case 2:
		return "SELECT " + bare + "." + column + " FROM " + name
	case 3:
		return "SELECT " + w.ident(rel.Schema) + "." + bare + "." + column + " FROM " + name
	case 4:
		return "SELECT " + bare + " FROM " + name
	case 5:
		return "SELECT count(*) FROM " + name + w.pick("", " WHERE "+column+" IS NOT NULL", " x WHERE x IS NOT NULL")
	case 6:
		return "SELECT DISTINCT " + column + " FROM " + name + " ORDER BY " + column
	case 7:
		return "SELECT " + column + " AS k, count(*) FROM " + name + " GROUP BY " + w.pick("1", "k", column) + " ORDER BY " + w.pick("1", "k", "count(*)", "2 DESC")
	case 8:
		return "SELECT sum(1) OVER w, " + column + " FROM " + name + " WINDOW w AS (" + w.pick("ORDER BY "+column, "PARTITION BY "+column, "") + ")"
	case 9:
		return "SELECT (SELECT " + bare + "." + column + ") FROM " + name
	case 10:
		return "SELECT 1 FROM " + name + " a JOIN " + name + " b USING (" + column + ") ORDER BY " + column
	case 11:
		return "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) " + w.pick("SEARCH DEPTH FIRST BY n SET s ", "CYCLE n SET c USING p ", "") + "SELECT * FROM r, " + name + " t"
	default:
		return "(" + w.query(nil, nil) + ")"
	}
}

// namedCall is a SELECT of what takes an object's name as data.
func (w *Writer) namedCall() string {
	rel := one(w, w.model.Relations)
	if rel == nil {
		return "SELECT 1"
	}
	name := w.relationName(rel.Schema, rel.Name)
	literal := quoteLiteral(name)
	switch w.random.IntN(16) {
	case 0, 1, 2:
		return "SELECT nextval(" + literal + w.pick("", "::regclass") + ")"
	case 3:
		return "SELECT currval(" + literal + ")"
	case 4:
		return "SELECT setval(" + literal + ", 5" + w.pick("", ", true") + ")"
	case 5:
		return "SELECT " + literal + "::regclass"
	case 6:
		return "SELECT last_value FROM " + name
	case 7:
		return "SELECT lastval()"
	case 8:
		return "SELECT regclass " + literal
	case 9:
		return "SELECT to_regclass(" + literal + ")"
	case 10:
		return "SELECT * FROM " + name
	case 11:
		return "TABLE " + name
	case 12:
		return "SELECT pg_relation_size(" + literal + ")"
	case 13:
		return fmt.Sprintf("SELECT has_table_privilege(%s, 'select')", literal)
	case 14:
		return "SELECT count(*) FROM pg_catalog." + w.pick("pg_class", "pg_type", "pg_enum", "pg_range", "pg_authid", "pg_stats", "pg_proc", "pg_statistic")
	default:
		return "SELECT " + w.pick("current_setting('work_mem')", "current_user", "session_user", "version()", "current_schema()", "pg_backend_pid()", "txid_current()", "current_database()", "pg_sleep(0)",
			"set_config('work_mem', '4MB', true)", "pg_read_file('x')", "query_to_xml('select 1', true, true, '')", "pg_advisory_xact_lock(1)", "inet_client_addr()", "random()", "lo_creat(-1)", "lo_get(1)", "pg_ls_dir('.')", "pg_get_viewdef('pg_views'::regclass)", "pg_get_userbyid(10)", "current_schemas(true)", "format_type(23, NULL)", "pg_notify('changes', '')", "obj_description(1)",
			"pg_terminate_backend(0)", "quote_nullable(NULL)", "ts_stat('select to_tsvector(''x'')')", "to_tsvector('x')", "pg_typeof(1)", "cursor_to_xml('x', 1, true, true, '')", "table_to_xml('pg_class', true, true, '')", "gen_random_uuid()")
	}
}
