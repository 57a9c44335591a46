package oracle

// The types of a world beyond the plain ones: what runs code when a value is made,
// compared or sorted.

// codedTypes writes types over functions of the user's own.
func (w *world) codedTypes() {
	w.add(`CREATE DOMAIN app.coded AS int CHECK (app.is_small(VALUE) OR VALUE > 5)`)
	w.add(`CREATE DOMAIN public.few AS int[] CHECK (cardinality(VALUE) < 9)`)
	w.add(`CREATE DOMAIN public.upper_word AS public.word CHECK (VALUE IS NOT NULL OR true)`)
	w.add(`CREATE TYPE public.deep AS (c app.coded, m app.mood, p app.pair[])`)
	if w.chance(20) {
		w.add(`CREATE FUNCTION app.span_diff(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2'`)
		w.add(`CREATE TYPE app.width AS RANGE (subtype = float8, subtype_diff = app.span_diff)`)
	}
	if w.chance(15) {
		w.baseType()
	}
}

// baseType writes a base type that is an integer under another name, with the
// operators that sort it.
func (w *world) baseType() {
	w.add(`CREATE TYPE app.myint`)
	w.add(`CREATE FUNCTION app.myint_in(cstring) RETURNS app.myint LANGUAGE internal IMMUTABLE STRICT AS 'int4in'`)
	w.add(`CREATE FUNCTION app.myint_out(app.myint) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'`)
	w.add(`CREATE TYPE app.myint (INPUT = app.myint_in, OUTPUT = app.myint_out, LIKE = int4)`)
	for _, op := range [][2]string{{"<", "lt"}, {"<=", "le"}, {"=", "eq"}, {">=", "ge"}, {">", "gt"}} {
		w.add(`CREATE FUNCTION app.myint_%s(app.myint, app.myint) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4%s'`, op[1], op[1])
		w.add(`CREATE OPERATOR app.%s (LEFTARG = app.myint, RIGHTARG = app.myint, FUNCTION = app.myint_%s)`, op[0], op[1])
	}
	w.add(`CREATE FUNCTION app.myint_cmp(app.myint, app.myint) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp'`)
	w.add(`CREATE OPERATOR CLASS app.myint_ops DEFAULT FOR TYPE app.myint USING btree AS OPERATOR 1 app.<, OPERATOR 2 app.<=, OPERATOR 3 app.=, OPERATOR 4 app.>=, OPERATOR 5 app.>, ` +
		`FUNCTION 1 app.myint_cmp(app.myint, app.myint)`)
}

// codedColumn is a column's type that brings code or parts.
func (w *world) codedColumn() (sql, family string) {
	switch w.random.IntN(8) {
	case 0:
		return "app.coded", "int"
	case 1:
		return "public.few", "ints"
	case 2:
		return w.pick("app.mood[]", "app.pair[]", "public.word[]"), "other"
	case 3:
		return "public.deep", "row"
	case 4:
		return "public.upper_word", "text"
	case 5:
		return w.pick("app.width", "app.myint", "int4multirange", "numrange"), "other"
	case 6:
		return w.pick("tsvector", "inet", "bit(4)", "money", "xml", "name", "oid", "timetz"), "other"
	default:
		return w.pick(`varchar(5)`, `char(3)`, `text COLLATE "C"`), "text"
	}
}
