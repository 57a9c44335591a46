package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// expr writes an expression of a family over the sources in view.
func (w *Writer) expr(family string, view []source) string {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > 6 || w.chance(30) {
		return w.leaf(family, view)
	}
	if !w.flat && w.chance(8) {
		if call := w.userCall(family, view); call != "" {
			return call
		}
	}
	if w.chance(12) {
		if text := w.special(family, view); text != "" {
			return text
		}
	}
	switch family {
	case "int":
		return w.intExpr(view)
	case "num":
		return w.numExpr(view)
	case "text":
		return w.textExpr(view)
	case "bool":
		return w.boolExpr(view)
	default:
		return w.otherExpr(family, view)
	}
}

// leaf is a column of the family, or a literal.
func (w *Writer) leaf(family string, view []source) string {
	if name := w.columnOf(family, view); name != "" && w.chance(90) {
		return name
	}
	if family == "text" && len(view) > 0 && w.chance(50) {
		if name := w.scalarColumn(view); name != "" {
			return w.pick(name+"::text", "CAST("+name+" AS text)", "text("+name+"::varchar)", name+"::varchar")
		}
	}
	if family == "int" && len(view) > 0 && w.chance(50) {
		if name := w.scalarColumn(view); name != "" {
			return "length(" + name + "::text)"
		}
	}
	return w.literal(family)
}

// columnOf is a column of the family; empty for none.
func (w *Writer) columnOf(family string, view []source) string {
	var all []string
	for _, s := range view {
		for _, c := range s.columns {
			if c.Family == family {
				all = append(all, s.name+"."+w.ident(c.Name))
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[w.random.IntN(len(all))]
}

// scalarColumn is a column of any family.
func (w *Writer) scalarColumn(view []source) string {
	s := one(w, view)
	if s == nil || len(s.columns) == 0 {
		return ""
	}
	return s.name + "." + w.ident(one(w, s.columns).Name)
}

// literal is a constant of the family.
func (w *Writer) literal(family string) string {
	switch family {
	case "int":
		return w.pick("1", "2", "7", "'3'", "int '4'", "-1", "0", "1::bigint")
	case "num":
		return w.pick("1.5", "2e1", "'3.25'::numeric", ".5")
	case "text":
		return w.pick("'a'", "'x'::text", "E'b\\n'", "$$c$$", "text 'd'", "'sad'", "U&'e'")
	case "bool":
		return w.pick("true", "'t'::bool")
	case "time":
		return w.pick("now()", "current_date", "'2021-05-01'::date", "timestamp '2020-01-01'", "current_timestamp")
	case "jsonb":
		return w.pick(`'{"a": 1}'::jsonb`, `jsonb '[1]'`, `jsonb_build_object('a', 1)`)
	case "ints":
		return w.pick("ARRAY[1, 2]", "'{1,2}'::int[]", "array_fill(1, ARRAY[2])")
	case "texts":
		return w.pick("ARRAY['a', 'b']", "'{a,b}'::text[]", "string_to_array('a,b', ',')")
	case "range":
		return w.pick("int4range(1, 5)", "'[1,5)'::int4range")
	}
	for _, t := range w.model.Types {
		if t.Family == family && len(t.Labels) > 0 {
			return quoteLiteral(t.Labels[0]) + "::" + w.typeName(t)
		}
	}
	return "NULL"
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// flatly writes what PostgreSQL may drop, without anything that has rights of its
// own.
func (w *Writer) flatly(write func() string) string {
	defer func(flat bool) { w.flat = flat }(w.flat)
	w.flat = true
	return write()
}

// caseOf is a CASE or a kin of it.
func (w *Writer) caseOf(family string, view []source) string {
	return w.flatly(func() string {
		switch w.random.IntN(4) {
		case 0:
			return "coalesce(" + w.expr(family, view) + ", " + w.literal(family) + ")"
		case 1:
			return "CASE WHEN " + w.expr("bool", view) + " THEN " + w.expr(family, view) + " ELSE " + w.expr(family, view) + " END"
		case 2:
			return "CASE " + w.leaf("text", view) + " WHEN 'a' THEN " + w.expr(family, view) + " END"
		default:
			return "nullif(" + w.expr(family, view) + ", " + w.literal(family) + ")"
		}
	})
}

// scalar is a subquery that gives one value.
func (w *Writer) scalar(family string, view []source) string {
	if w.flat || w.depth > 4 {
		return w.leaf(family, view)
	}
	defer func(aggregates bool) { w.aggregates = aggregates }(w.aggregates)
	from, inner := w.from(view)
	return "(SELECT " + w.expr(family, inner) + " FROM " + from + " LIMIT 1)"
}

func (w *Writer) intExpr(view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch w.random.IntN(16) {
	case 0:
		return "(" + sub("int") + w.pick(" + ", " - ", " % 100 + ", " | ", " OPERATOR(pg_catalog.+) ") + sub("int") + ")"
	case 1:
		return "abs(" + sub("int") + ")"
	case 2:
		return "length(" + sub("text") + ")"
	case 3:
		return w.caseOf("int", view)
	case 4:
		return w.scalar("int", view)
	case 5:
		return "cardinality(" + sub(w.pick("ints", "texts")) + ")"
	case 6:
		return "(" + sub("ints") + ")[1]"
	case 7:
		return "extract(year FROM " + sub("time") + ")::int"
	case 8:
		return w.pick("greatest", "least") + "(" + sub("int") + ", " + sub("int") + ")"
	case 9:
		return "position(" + sub("text") + " IN " + sub("text") + ")"
	case 10:
		return "(- " + sub("int") + ")"
	case 11:
		return "lower(" + sub("range") + ")"
	case 12:
		return "pg_catalog.length(" + sub("text") + ")"
	case 13:
		return "jsonb_array_length(jsonb_build_array(" + sub("int") + "))"
	case 14:
		return w.field("int", view)
	default:
		return "(" + sub("bool") + ")::int"
	}
}

func (w *Writer) numExpr(view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch w.random.IntN(6) {
	case 0:
		return "(" + sub("num") + w.pick(" + ", " - ", " * ") + sub("int") + ")"
	case 1:
		return "round(" + sub("num") + "::numeric, 1)"
	case 2:
		return w.caseOf("num", view)
	case 3:
		return w.scalar("num", view)
	case 4:
		return "(" + sub("int") + ")::" + w.pick("numeric", "float8", "numeric(10, 2)")
	default:
		return "floor(" + sub("num") + ")"
	}
}

func (w *Writer) textExpr(view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch w.random.IntN(20) {
	case 0:
		return "(" + sub("text") + " || " + sub(w.pick("text", "int")) + ")"
	case 1:
		return w.pick("lower", "upper", "initcap", "md5", "btrim", "reverse", "quote_ident", "quote_literal", "pg_catalog.lower") + "(" + sub("text") + ")"
	case 2:
		return w.caseOf("text", view)
	case 3:
		return w.scalar("text", view)
	case 4:
		return "substring(" + sub("text") + " FROM 1 FOR 2)"
	case 5:
		return "(" + sub("jsonb") + w.pick(" ->> 'a'", " #>> '{b,0}'") + ")"
	case 6:
		return "(" + sub(w.pick("int", "num", "bool", "time", "ints", "range", "jsonb")) + ")::text"
	case 7:
		return "overlay(" + sub("text") + " PLACING 'x' FROM 1)"
	case 8:
		return "array_to_string(" + sub(w.pick("ints", "texts")) + ", ',')"
	case 9:
		return "concat(" + sub("text") + ", " + sub("int") + ")"
	case 10:
		return "format('%s %s', " + sub("text") + ", " + sub("int") + ")"
	case 11:
		return "to_char(" + sub("time") + ", 'YYYY')"
	case 12:
		return "regexp_replace(" + sub("text") + ", 'a', 'b', 'g')"
	case 13:
		if s := one(w, view); s != nil {
			return w.pick("row_to_json("+s.name+")::text", s.name+"::text", "to_jsonb("+s.name+")::text", "("+s.name+" IS NULL)::text", "row("+s.name+".*)::text")
		}
		return w.literal("text")
	case 14:
		return "row_to_json(row(" + sub("int") + ", " + sub("text") + "))::text"
	case 15:
		return "trim(both ' ' from " + sub("text") + ")"
	case 16:
		return "(" + sub("text") + w.pick(` COLLATE "C"`, "") + ")"
	case 17:
		return "(" + sub("texts") + ")[1]"
	case 18:
		return "split_part(" + sub("text") + ", ',', 1)"
	default:
		return w.field("text", view)
	}
}

// field is a field of a composite column, where there is one.
func (w *Writer) field(family string, view []source) string {
	for _, s := range view {
		for _, c := range s.columns {
			for _, f := range w.rowColumns(c.Family) {
				if f.Family == family {
					return "(" + s.name + "." + w.ident(c.Name) + ")." + w.ident(f.Name)
				}
			}
		}
	}
	return w.leaf(family, view)
}

func (w *Writer) boolExpr(view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch w.random.IntN(22) {
	case 0, 1:
		return "(" + sub("bool") + w.pick(" AND ", " OR ") + sub("bool") + ")"
	case 2:
		return "(NOT " + sub("bool") + ")"
	case 3, 4:
		f := w.pick("int", "text", "num", "time")
		return "(" + sub(f) + w.pick(" = ", " < ", " <> ", " >= ", " IS DISTINCT FROM ", " OPERATOR(pg_catalog.=) ") + sub(f) + ")"
	case 5:
		if name := w.scalarColumn(view); name != "" {
			return "(" + name + w.pick(" IS NULL", " IS NOT NULL") + ")"
		}
		return "(" + sub("text") + " IS NOT NULL)"
	case 6:
		return "(" + sub("text") + w.pick(" LIKE ", " ILIKE ", " NOT LIKE ", " ~ ", " ~~ ", " SIMILAR TO ") + "'a%')"
	case 7:
		return "(" + sub("int") + " BETWEEN " + sub("int") + " AND " + sub("int") + ")"
	case 8:
		return "(" + sub("int") + " IN (" + sub("int") + ", 2, 3))"
	case 9:
		return "(" + sub("int") + w.pick(" = ANY (", " <> ALL (", " < ANY (") + sub("ints") + "))"
	case 10:
		return "(" + sub("jsonb") + w.pick(" @> ", " <@ ", " = ") + sub("jsonb") + ")"
	case 11:
		return "(" + sub("jsonb") + " ? 'a')"
	case 12:
		return "(" + sub("range") + w.pick(" && ", " @> ", " << ") + sub("range") + ")"
	case 13:
		return "(" + sub("ints") + w.pick(" && ", " @> ", " = ") + sub("ints") + ")"
	case 14:
		return "((" + sub("int") + ", " + sub("text") + ")" + w.pick(" = ", " < ", " <> ") + "(" + sub("int") + ", " + sub("text") + "))"
	case 15, 16:
		return w.membership(view)
	case 17:
		return w.caseOf("bool", view)
	case 18:
		return "(" + sub("bool") + w.pick(" IS TRUE", " IS NOT FALSE", " IS UNKNOWN") + ")"
	case 19:
		return w.enumTest(view)
	case 20:
		return w.userOperator(view)
	default:
		return w.pick("starts_with", "texticlike") + "(" + sub("text") + ", " + sub("text") + ")"
	}
}

// membership is a test by subquery.
func (w *Writer) membership(view []source) string {
	if w.flat || w.depth > 4 {
		return "(" + w.leaf("int", view) + " > 0)"
	}
	from, inner := w.from(view)
	where := ""
	all := append(slices.Clone(inner), view...)
	if w.chance(60) {
		where = " WHERE " + w.expr("bool", all)
	}
	switch w.random.IntN(3) {
	case 0:
		return "EXISTS (SELECT 1 FROM " + from + where + ")"
	case 1:
		return "(" + w.leaf("int", view) + w.pick(" IN ", " NOT IN ", " = ANY ", " > ALL ") + "(SELECT " + w.expr("int", inner) + " FROM " + from + where + "))"
	default:
		return "((" + w.leaf("int", view) + ", " + w.leaf("text", view) + ") IN (SELECT " + w.expr("int", inner) + ", " + w.expr("text", inner) + " FROM " + from + where + "))"
	}
}

// enumTest compares a column of an enum or domain with a literal.
func (w *Writer) enumTest(view []source) string {
	for _, s := range view {
		for _, c := range s.columns {
			if strings.HasPrefix(c.Family, "enum:") {
				return "(" + s.name + "." + w.ident(c.Name) + w.pick(" = ", " > ", " IN ('ok', ", " <> ") + "'sad'" + ")"
			}
		}
	}
	return "(" + w.leaf("text", view) + " = 'x')"
}

func (w *Writer) otherExpr(family string, view []source) string {
	sub := func(f string) string { return w.expr(f, view) }
	switch family {
	case "time":
		return w.pick("("+sub("time")+" + interval '1 day')", "date_trunc('month', "+sub("time")+")", w.leaf("time", view), w.caseOfLeaf("time", view))
	case "jsonb":
		return w.pick("jsonb_build_object('a', "+sub("int")+")", "to_jsonb("+sub("text")+")", "("+sub("jsonb")+" -> 'a')", "("+sub("jsonb")+" || "+sub("jsonb")+")", w.leaf("jsonb", view),
			"jsonb_set("+sub("jsonb")+", '{a}', '1')")
	case "ints":
		return w.pick("ARRAY["+sub("int")+", "+sub("int")+"]::int[]", "array_append("+sub("ints")+"::int[], 1)", "("+sub("ints")+")[1:2]", w.arrayOf("int", view), w.leaf("ints", view))
	case "texts":
		return w.pick("ARRAY["+sub("text")+", 'z']", "("+sub("texts")+" || 'y'::text)", "string_to_array("+sub("text")+", ',')", w.leaf("texts", view))
	case "range":
		return w.pick("int4range("+sub("int")+"::int, NULL)", w.leaf("range", view), "("+sub("range")+" * "+sub("range")+")")
	}
	return w.leaf(family, view)
}

// caseOfLeaf is coalesce over columns.
func (w *Writer) caseOfLeaf(family string, view []source) string {
	return fmt.Sprintf("coalesce(%s, %s)", w.leaf(family, view), w.literal(family))
}

// arrayOf is an array made of a subquery.
func (w *Writer) arrayOf(family string, view []source) string {
	if w.flat || w.depth > 4 {
		return w.leaf("ints", view)
	}
	from, inner := w.from(view)
	return "ARRAY(SELECT " + w.expr(family, inner) + "::int FROM " + from + ")"
}
