package oracle

import (
	"slices"
	"strings"
)

// Expressions whose grammar is their own, and those over types of the user's.

// special is such an expression of a family; empty where there is none.
func (w *Writer) special(family string, view []source) string {
	switch family {
	case "int":
		return w.specialInt(view)
	case "text":
		return w.specialText(view)
	case "bool":
		return w.specialBool(view)
	}
	return ""
}

func (w *Writer) specialInt(view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch w.random.IntN(16) {
	case 0:
		return "num_nulls(" + sub("int") + ", " + sub("text") + ")"
	case 1:
		return "num_nonnulls(VARIADIC " + sub("ints") + ")"
	case 2:
		return "(ROW(" + sub("int") + ", 2)).f1"
	case 3:
		return "((" + sub("jsonb") + ")['a'])::text::int"
	case 4:
		return "date_part('day', " + sub("time") + ")::int"
	case 5:
		return "CAST(" + w.pick("B'101'", "X'1F'", "1.9", "'7'") + " AS int)"
	case 6:
		return "json_array_length(json_build_array(" + sub("int") + ", " + sub("text") + "))"
	case 7:
		return w.pick("app.posint", "app.coded") + " '3' + " + sub("int")
	case 8:
		return "(" + sub("int") + "::" + w.pick("app.posint", "app.coded", "int2", "oid::int8") + ")::int"
	case 9:
		return "(" + w.rowValue() + ")." + w.pick("a", "a", "b::int")
	case 10:
		return "width_bucket(" + sub("num") + "::float8, 0, 10, 3)"
	case 11:
		return "(jsonb_populate_record(NULL::app.pair, " + sub("jsonb") + ")).a"
	case 12:
		return "(SELECT count(*) FROM unnest(" + sub("ints") + "))::int"
	case 13:
		return "array_position(" + sub("texts") + "::text[], " + sub("text") + "::text)"
	case 14:
		if w.model.Version >= 17 {
			return "JSON_VALUE(" + sub("jsonb") + ", '$.a' RETURNING int DEFAULT 1 ON ERROR)"
		}
		return "(CURRENT_TIMESTAMP - " + w.leaf("time", view) + " > interval '1 day')::int"
	default:
		return "app.first_of(ARRAY[" + sub("int") + ", 2])"
	}
}

func (w *Writer) specialText(view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch w.random.IntN(18) {
	case 0:
		return "(" + w.pick("current_role", "session_user", "current_catalog", "current_schema", "user") + ")::text"
	case 1:
		return "(" + sub("time") + " AT TIME ZONE 'UTC')::text"
	case 2:
		return "xmlelement(name a, xmlattributes(" + sub("int") + " AS b), " + sub("text") + ")::text"
	case 3:
		return "xmlforest(" + sub("text") + " AS b, " + sub("int") + " AS c)::text"
	case 4:
		return "xmlserialize(CONTENT xmlconcat(xmlcomment('x'), xmlparse(CONTENT " + sub("text") + ")) AS text)"
	case 5:
		return "collation for (" + sub("text") + ")"
	case 6:
		return "normalize(" + sub("text") + ", NFC)"
	case 7:
		return "substring(" + sub("text") + " SIMILAR '%#\"a#\"%' ESCAPE '#')"
	case 8:
		return "pg_typeof(" + sub(w.family()) + ")::text"
	case 9:
		return "(" + w.enumValue() + ")::text"
	case 10:
		return "(" + w.rowValue() + ")::text"
	case 11:
		if w.model.Version >= 16 {
			return w.pick("JSON_OBJECT('a': "+sub("int")+", 'b' VALUE "+sub("text")+")::text", "JSON_ARRAY("+sub("int")+", "+sub("text")+" RETURNING jsonb)::text", "JSON_ARRAY(SELECT "+w.leaf("int", view)+")::text")
		}
		return "json_build_object('a', " + sub("int") + ")::text"
	case 12:
		if w.model.Version >= 17 {
			return w.pick("JSON_SERIALIZE("+sub("jsonb")+")", "JSON_QUERY("+sub("jsonb")+", '$.a' WITH WRAPPER)::text", "JSON("+sub("text")+")::text", "JSON_SCALAR("+sub("int")+")::text")
		}
		return "to_json(" + sub("text") + ")::text"
	case 13:
		return "(localtime, localtimestamp(2))::text"
	case 14:
		return "array_to_string(ARRAY[" + w.rowValue() + ", NULL]::app.pair[], ',')"
	case 15:
		return "timezone('UTC', " + sub("time") + ")::text"
	case 16:
		return "public.either(" + sub("text") + ", " + sub("text") + ")"
	default:
		return sub("text") + "::" + w.pick("public.word", "public.upper_word", "name", "bpchar", "varchar(3)")
	}
}

func (w *Writer) specialBool(view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch w.random.IntN(20) {
	case 0:
		return "((" + sub("time") + ", interval '1 day') OVERLAPS (" + sub("time") + ", " + sub("time") + "))"
	case 1:
		return "(" + sub("text") + " IS NORMALIZED)"
	case 2:
		return "(ROW(" + sub("int") + ", " + sub("text") + ") IS " + w.pick("NULL", "NOT NULL", "DISTINCT FROM ROW(1, 'a')", "NOT DISTINCT FROM ROW(1, 'a')") + ")"
	case 3:
		if s := one(w, view); s != nil {
			return "(" + s.name + w.pick(" = ", " <> ", " < ", " IS DISTINCT FROM ", " *= ") + s.name + ")"
		}
		return "(" + w.rowValue() + " = " + w.rowValue() + ")"
	case 4:
		return "(" + sub("text") + w.pick(" LIKE ANY (", " = ALL (", " ~~* ALL (", " NOT LIKE ALL (") + sub("texts") + "))"
	case 5:
		return "(" + w.enumValue() + w.pick(" = ", " < ", " IN ('ok', ") + w.pick("'sad'", "'ok'") + ")"
	case 6:
		return "(" + w.enumValue() + " = ANY (ARRAY['sad', 'ok']::" + w.pick("app.mood", "public.mood") + "[]))"
	case 7:
		return "(" + sub("range") + " @> " + sub("int") + "::int)"
	case 8:
		return "(" + sub("int") + " BETWEEN SYMMETRIC " + sub("int") + " AND " + sub("int") + ")"
	case 9:
		return "(" + sub("jsonb") + w.pick(" @? '$.a'", " @@ '$.a == 1'", " ?| ARRAY['a']") + ")"
	case 10:
		return "(to_tsvector('simple', " + sub("text") + ") @@ 'a'::tsquery)"
	case 11:
		return "(xmlparse(DOCUMENT '<a/>') IS DOCUMENT)"
	case 12:
		return "(" + w.rowValue() + w.pick(" = ", " >= ", " IS NOT DISTINCT FROM ") + w.rowValue() + ")"
	case 13:
		return "(" + sub("text") + " LIKE 'a#%' ESCAPE '#')"
	case 14:
		switch {
		case w.model.Version >= 17 && w.chance(50):
			return "JSON_EXISTS(" + sub("jsonb") + ", '$.a ? (@ > $x)' PASSING " + sub("int") + " AS x)"
		case w.model.Version >= 16:
			return "(" + sub("text") + " IS JSON" + w.pick("", " OBJECT", " ARRAY WITH UNIQUE KEYS") + ")"
		}
		return "(" + sub("jsonb") + " IS NOT NULL)"
	case 15:
		return "(" + sub("int") + "::app.posint IS NOT NULL)"
	case 16:
		return "(" + sub("text") + " = ANY (string_to_array(" + sub("text") + ", ',')))"
	case 17:
		return w.rowMembership(view)
	case 18:
		return "(" + sub("num") + " = " + w.pick("1.0::float4", "'NaN'", "sqrt(4)", "2::money::numeric") + ")"
	default:
		return "(" + sub("ints") + "::public.few = " + sub("ints") + ")"
	}
}

// rowMembership compares rows with those of a subquery, or a value with all of them.
func (w *Writer) rowMembership(view []source) string {
	if w.flat || w.depth > 4 {
		return "(" + w.leaf("int", view) + " > 0)"
	}
	from, inner := w.from(view)
	if s := one(w, inner); w.chance(30) && s.relation != nil {
		return "(" + s.relationValue() + " IN (SELECT " + s.name + " FROM " + from + "))"
	}
	return w.pick("((1, "+w.leaf("text", view)+") = (SELECT "+w.expr("int", inner)+", "+w.expr("text", inner)+" FROM "+from+" LIMIT 1))",
		"((1, "+w.leaf("text", view)+") < ALL (SELECT "+w.expr("int", inner)+", "+w.expr("text", inner)+" FROM "+from+"))",
		"(ARRAY["+w.leaf("int", view)+"]::int[] = ARRAY(SELECT "+w.expr("int", inner)+"::int FROM "+from+"))",
		"(EXISTS (TABLE "+w.tableName()+"))", "("+w.leaf("int", view)+" IN (VALUES (1), (2)))")
}

// relationValue is an empty row of a source's relation.
func (s source) relationValue() string {
	return "NULL::" + quote(s.relation.Schema) + "." + quote(s.relation.Name)
}

func (w *Writer) tableName() string {
	rel := one(w, w.relations(readable))
	if rel == nil {
		return "pg_type"
	}
	return w.relationName(rel.Schema, rel.Name)
}

// rowValue is a value of the composite type that every world has.
func (w *Writer) rowValue() string {
	return w.pick("ROW(1, 'a')::app.pair", "'(1,a)'::app.pair", "app.pair_of(2)", "CAST(ROW(NULL, NULL) AS app.pair)", "(1, 'b')::app.pair", "NULL::app.pair")
}

// enumValue is a value of an enum that every world has.
func (w *Writer) enumValue() string {
	return w.pick("'ok'::app.mood", "app.mood 'sad'", "CAST('ok' AS public.mood)", "enum_first(NULL::app.mood)", "public.moody('ok')")
}

// joined is a join under an alias, which hides the names within.
func (w *Writer) joined(alias string, outer []source) (string, []source) {
	left, l := w.item(outer, nil)
	right, r := w.item(outer, nil)
	both := slices.Concat(l, r)
	text := "(" + left + w.pick(" JOIN ", " LEFT JOIN ") + right + " ON " + w.expr("bool", slices.Concat(both, outer)) + ") AS " + alias
	var columns []Column
	for _, s := range both {
		for _, c := range s.columns {
			if unique(both, c.Name) {
				columns = append(columns, c)
			}
		}
	}
	if len(columns) == 0 {
		return left, l
	}
	return text, []source{{name: alias, columns: columns}}
}

// parsedItem is an item of FROM that takes XML or JSON apart.
func (w *Writer) parsedItem(alias string, seen []source) (string, []source) {
	n, s := Column{Name: "n", Family: "int"}, Column{Name: "s", Family: "text"}
	source := []source{{name: alias, columns: []Column{n, s}}}
	switch w.random.IntN(4) {
	case 0:
		return "XMLTABLE('/r/i' PASSING xmlparse(DOCUMENT '<r><i>1</i></r>') COLUMNS n int PATH '.', s text PATH '@s' DEFAULT " + w.leaf("text", seen) + ") AS " + alias, source
	case 1:
		if w.model.Version >= 17 {
			return "JSON_TABLE(" + w.leaf("jsonb", seen) + ", '$[*]' COLUMNS (n int PATH '$.a', s text PATH '$.b' DEFAULT 'x' ON EMPTY)) AS " + alias, source
		}
		return "json_to_record('{}') AS " + alias + " (n int, s text)", source
	case 2:
		return "jsonb_to_recordset(jsonb_build_array(" + w.leaf("jsonb", seen) + ")) AS " + alias + " (n " + w.pick("int", "app.posint") + ", s " + w.pick("text", "public.word") + ")", source
	default:
		return "unnest(ARRAY[" + w.rowValue() + ", " + w.rowValue() + "]) AS " + alias + " (n, s)", source
	}
}

// order is an ORDER BY item of the forms that are seldom written.
func (w *Writer) order(view []source) string {
	key := w.sortable(view)
	return w.pick(key+" USING "+w.pick("<", ">", "OPERATOR(pg_catalog.<)"), key+" DESC NULLS LAST", "("+strings.TrimSpace(w.expr("text", view))+") COLLATE \"C\"", key+", "+w.sortable(view))
}
