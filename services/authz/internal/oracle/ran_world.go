package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// RanWorld returns the SQL of a random database full of code that the server calls on its
// own: operators with commutators and negators, operator classes in use by indexes, keys
// and partitions, and statistics for the planner to call them on. Chance decides which
// function of a kind is a user's and which one the server's.
func RanWorld(r *rand.Rand) []string {
	w := &world{random: r}
	if w.chance(50) {
		w.out = World(r)
	}
	w.add(`CREATE SCHEMA ran`)
	w.ranIntegers()
	w.ranPairs()
	w.ranRanges()
	w.ranTables()
	w.ranExtras()
	w.add("%s", countFunctions)
	w.add(`ANALYZE`)
	return w.out
}

// countFunctions has every call of a function counted, also one that the server makes
// by itself: only what a setting of its own sends through fmgr_security_definer is
// counted wherever it is called from. SQL functions stay as they are, since with a
// setting nothing would be put in their place.
const countFunctions = `DO $$ DECLARE f regprocedure; BEGIN
	FOR f IN SELECT p.oid FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang WHERE p.oid >= 16384 AND p.prokind = 'f' AND l.lanname = 'plpgsql' LOOP
		EXECUTE format('ALTER FUNCTION %s SET enable_tidscan = on', f);
	END LOOP; END $$`

// code writes a function that is counted when it runs.
func (w *world) code(name, arguments, result, expression string) {
	w.add(`CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN %s; END'`, name, arguments, result, expression)
}

// mute writes a function that analysis looks into.
func (w *world) mute(name, arguments, result, expression string) {
	w.add(`CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE sql IMMUTABLE AS 'SELECT %s'`, name, arguments, result, expression)
}

// some is code or mute.
func (w *world) some(name, arguments, result, expression string) {
	if w.chance(75) {
		w.code(name, arguments, result, expression)
	} else {
		w.mute(name, arguments, result, expression)
	}
}

// comparison is an operator of a family: its strategy in a btree, name, commutator and
// negator, and what the planner estimates it by.
type comparison struct {
	strategy                    int
	name, commutator, negator   string
	symbol, function, estimator string
}

// comparisons are those of a family whose names are written with a sign.
func comparisons(sign string) []comparison {
	all := []comparison{
		{1, "<", ">", ">=", "<", "lt", "scalarlt"},
		{2, "<=", ">=", ">", "<=", "le", "scalarle"},
		{3, "=", "=", "<>", "=", "eq", "eq"},
		{4, ">=", "<=", "<", ">=", "ge", "scalarge"},
		{5, ">", "<", "<=", ">", "gt", "scalargt"},
		{0, "<>", "<>", "=", "<>", "ne", "neq"},
	}
	for i := range all {
		c := &all[i]
		c.name, c.commutator, c.negator = sign+c.name+sign, sign+c.commutator+sign, sign+c.negator+sign
	}
	return all
}

// compares writes the comparisons of two types, which expressions make integers of.
func (w *world) compares(sign, left, right, of string, hashes bool) (members []string) {
	for _, c := range comparisons(sign) {
		name := "ran." + strings.NewReplacer("ran.", "", "[]", "s").Replace(left+"_"+c.function+"_"+right)
		w.some(name, left+", "+right, "boolean", fmt.Sprintf(of, "$1", c.symbol, "$2"))
		option := fmt.Sprintf("COMMUTATOR = OPERATOR(ran.%s), NEGATOR = OPERATOR(ran.%s), RESTRICT = %ssel, JOIN = %sjoinsel", c.commutator, c.negator, c.estimator, c.estimator)
		if c.function == "eq" {
			option += ", MERGES"
			if hashes {
				option += ", HASHES"
			}
		}
		w.add("CREATE OPERATOR ran.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s, %s)", c.name, left, right, name, option)
		if c.strategy > 0 {
			members = append(members, fmt.Sprintf("OPERATOR %d ran.%s (%s, %s)", c.strategy, c.name, left, right))
		}
	}
	return members
}

// ranIntegers writes operators over types of the server's, their families, and a class
// that sorts by the server's own operators with a function of a user's.
func (w *world) ranIntegers() {
	hashes := w.chance(60)
	own := w.chance(50)
	var small, members []string
	for _, pair := range [][2]string{{"int4", "int4"}, {"int4", "int8"}, {"int8", "int4"}, {"int8", "int8"}} {
		operators := w.compares("#", pair[0], pair[1], "%s %s %s", hashes)
		order := "bt" + pair[0] + pair[1][3:] + "cmp(" + pair[0] + ", " + pair[1] + ")"
		if pair[0] == pair[1] {
			order = "bt" + pair[0] + "cmp(" + pair[0] + ", " + pair[1] + ")"
		}
		if own {
			name := "ran." + pair[0] + "_cmp_" + pair[1]
			w.code(name, pair[0]+", "+pair[1], "int", "CASE WHEN $1 < $2 THEN -1 WHEN $1 > $2 THEN 1 ELSE 0 END")
			order = name + "(" + pair[0] + ", " + pair[1] + ")"
		}
		operators = append(operators, fmt.Sprintf("FUNCTION 1 (%s, %s) %s", pair[0], pair[1], order))
		if pair == [2]string{"int4", "int4"} {
			small = operators
		} else {
			members = append(members, operators...)
		}
	}
	w.add("CREATE OPERATOR CLASS ran.int_ops FOR TYPE int4 USING btree AS %s", strings.Join(small, ", "))
	w.add("ALTER OPERATOR FAMILY ran.int_ops USING btree ADD %s", strings.Join(members, ", "))
	w.code("ran.hash4", "int4", "int", "$1")
	w.code("ran.hash8", "int8", "int", "$1::int4")
	w.add("CREATE OPERATOR CLASS ran.int_hash FOR TYPE int4 USING hash AS OPERATOR 1 ran.#=# (int4, int4), FUNCTION 1 %s", w.pick("ran.hash4(int4)", "hashint4(int4)"))
	w.add("ALTER OPERATOR FAMILY ran.int_hash USING hash ADD OPERATOR 1 ran.#=# (int4, int8), OPERATOR 1 ran.#=# (int8, int4), OPERATOR 1 ran.#=# (int8, int8), FUNCTION 1 (int8, int8) %s",
		w.pick("ran.hash8(int8)", "hashint8(int8)"))
	w.code("ran.far", "int4, int4", "int", "btint4cmp($1, $2)")
	w.add("CREATE OPERATOR CLASS ran.far_ops FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 ran.far(int4, int4)")
	w.code("ran.spread", "int4, int8", "int8", "$1 + $2")
	w.add("CREATE OPERATOR CLASS ran.spread_ops FOR TYPE int4 USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int4), FUNCTION 2 ran.spread(int4, int8)")
	// Operators of no class, with partners of their own.
	for i, estimator := range []string{"neq", "eq", "scalargt", "matching"} {
		name := fmt.Sprint("lone", i)
		w.some("ran."+name, "int, int", "boolean", "$1 % 3 = $2 % 3")
		w.code("ran."+name+"_not", "int, int", "boolean", "$1 % 3 <> $2 % 3")
		w.code("ran."+name+"_turned", "int, int", "boolean", "$1 % 3 = $2 % 3")
		sign := strings.Repeat("~", i+1)
		w.add("CREATE OPERATOR ran.@%s@ (LEFTARG = int, RIGHTARG = int, FUNCTION = ran.%s, COMMUTATOR = OPERATOR(ran.@%s%%@), NEGATOR = OPERATOR(ran.@%s&@), RESTRICT = %ssel, JOIN = %sjoinsel)", sign, name, sign, sign, estimator, estimator)
		w.add("CREATE OPERATOR ran.@%s%%@ (LEFTARG = int, RIGHTARG = int, FUNCTION = ran.%s_turned)", sign, name)
		w.add("CREATE OPERATOR ran.@%s&@ (LEFTARG = int, RIGHTARG = int, FUNCTION = ran.%s_not)", sign, name)
	}
}

// ranPairs writes a type with classes of its own.
func (w *world) ranPairs() {
	w.add(`CREATE TYPE ran.pair AS (a int, b int)`)
	hashes := w.chance(70)
	operators := w.compares("|", "ran.pair", "ran.pair", "(%s).a %s (%s).a", hashes)
	w.code("ran.pair_cmp", "ran.pair, ran.pair", "int", "btint4cmp(($1).a, ($2).a)")
	w.code("ran.pair_hash", "ran.pair", "int", "hashint4(($1).a)")
	w.code("ran.pair_hash2", "ran.pair, int8", "int8", "hashint4extended(($1).a, $2)")
	w.code("ran.pair_range", "ran.pair, ran.pair, int, boolean, boolean", "boolean", "in_range(($1).a, ($2).a, $3, $4, $5)")
	w.code("ran.pair_image", "oid", "boolean", "false")
	standard := w.pick("DEFAULT", "DEFAULT", "")
	class := append(operators, "FUNCTION 1 "+w.pick("ran.pair_cmp(ran.pair, ran.pair)", "(ran.pair, ran.pair) btrecordcmp(record, record)"))
	if w.chance(30) {
		class = append(class, "FUNCTION 3 (ran.pair, int) ran.pair_range(ran.pair, ran.pair, int, boolean, boolean)")
	}
	if w.chance(30) {
		class = append(class, "FUNCTION 4 ran.pair_image(oid)")
	}
	w.add("CREATE OPERATOR CLASS ran.pair_ops %s FOR TYPE ran.pair USING btree AS %s", standard, strings.Join(class, ", "))
	w.add("CREATE OPERATOR CLASS ran.pair_hash %s FOR TYPE ran.pair USING hash AS OPERATOR 1 ran.|=| (ran.pair, ran.pair), %s", standard,
		w.pick("FUNCTION 1 ran.pair_hash(ran.pair), FUNCTION 2 ran.pair_hash2(ran.pair, int8)", "FUNCTION 1 (ran.pair, ran.pair) hash_record(record), FUNCTION 2 (ran.pair, ran.pair) hash_record_extended(record, int8)"))
	w.code("ran.pair_text", "ran.pair", "text", "($1).a::text")
	w.code("ran.pair_of", "int", "ran.pair", "ROW($1, 0)::ran.pair")
	w.add("CREATE CAST (ran.pair AS text) WITH FUNCTION ran.pair_text(ran.pair)%s", w.pick("", " AS ASSIGNMENT"))
	w.add("CREATE CAST (int AS ran.pair) WITH FUNCTION ran.pair_of(int)%s", w.pick("", " AS ASSIGNMENT"))
}

func (w *world) ranRanges() {
	w.add("CREATE TYPE ran.pairs AS RANGE (subtype = ran.pair, subtype_opclass = ran.pair_ops)")
	w.code("ran.far_diff", "int4, int4", "float8", "$1 - $2")
	w.add("CREATE TYPE ran.fars AS RANGE (subtype = int4, subtype_opclass = %s, subtype_diff = ran.far_diff)", w.pick("ran.far_ops", "ran.int_ops"))
	w.code("ran.valid", "int", "boolean", "$1 < 1000000")
	w.add("CREATE DOMAIN ran.checked AS int CHECK (ran.valid(VALUE))")
	w.add("CREATE DOMAIN ran.chosen AS ran.pair CHECK (ran.valid((VALUE).a))")
}

// ranTables writes tables with statistics, so that the planner has values to try
// operators on.
func (w *world) ranTables() {
	w.add("CREATE TABLE ran.t (id int PRIMARY KEY, i int, j int, l int8, p ran.pair, f ran.fars, q ran.pairs, c ran.checked, ps ran.pair[])")
	w.add("INSERT INTO ran.t SELECT n, n %% 50, n %% 7, n %% 60, ROW(n %% 40, 0)::ran.pair, ran.fars(n %% 20, n %% 20 + 5), NULL, n %% 90, ARRAY[ROW(n %% 9, 1)::ran.pair] FROM generate_series(1, 150) AS n")
	w.add("CREATE TABLE ran.u (id int PRIMARY KEY, i int, l int8, p ran.pair, h ran.chosen)")
	w.add("INSERT INTO ran.u SELECT n, n %% 30, n %% 20, ROW(n %% 25, 0)::ran.pair, ROW(n %% 5, 0)::ran.pair FROM generate_series(1, 60) AS n")
	w.add("CREATE TABLE ran.w (id int, i int, l int8)")
	w.add("INSERT INTO ran.w SELECT n, n %% 11, n FROM generate_series(1, 60) AS n")
	for range 5 {
		w.add("CREATE INDEX ON ran.%s", w.pick("t (i ran.int_ops)", "t (i ran.far_ops)", "u (i ran.int_ops)", "u (i ran.far_ops)", "t (p ran.pair_ops)", "u (p ran.pair_ops)", "t USING hash (p ran.pair_hash)",
			"u USING hash (i ran.int_hash)", "t (j) WHERE i OPERATOR(ran.#<#) 30", "t (j) WHERE p OPERATOR(ran.|<|) ROW(9,0)::ran.pair", "w (l) WHERE i OPERATOR(ran.#>#) 3", "w (id) WHERE ran.valid(i)",
			"u (ran.pair_of(i) ran.pair_ops)", "t USING gist (f)", "w (l) WHERE i OPERATOR(ran.@~@) 3"))
	}
	if w.chance(40) {
		w.add("CREATE UNIQUE INDEX ON ran.w (l, (ran.pair_of(id)) ran.pair_ops)")
	}
	w.add("CREATE TABLE ran.parted (k int, v int) PARTITION BY RANGE (k %s)", w.pick("ran.far_ops", "ran.int_ops", ""))
	w.add("CREATE TABLE ran.parted1 PARTITION OF ran.parted FOR VALUES FROM (0) TO (50)")
	w.add("CREATE TABLE ran.parted2 PARTITION OF ran.parted FOR VALUES FROM (50) TO (100)")
	w.add("CREATE TABLE ran.parted3 PARTITION OF ran.parted DEFAULT")
	w.add("INSERT INTO ran.parted SELECT n, n FROM generate_series(1, 90) AS n")
	w.add("CREATE TABLE ran.listed (k ran.pair, v int) PARTITION BY %s", w.pick("LIST (k ran.pair_ops)", "RANGE (k ran.pair_ops)"))
	w.add("CREATE TABLE ran.listed1 PARTITION OF ran.listed FOR VALUES IN (ROW(1,0)::ran.pair, ROW(2,0)::ran.pair)")
	w.add("CREATE TABLE ran.listed1 PARTITION OF ran.listed FOR VALUES FROM (ROW(1,0)::ran.pair) TO (ROW(3,0)::ran.pair)")
	w.add("CREATE TABLE ran.listed2 PARTITION OF ran.listed DEFAULT")
	w.add("INSERT INTO ran.listed SELECT ROW(n %% 4, 0)::ran.pair, n FROM generate_series(1, 40) AS n")
	w.add("CREATE TABLE ran.hashed (k int, p ran.pair, v int) PARTITION BY HASH (%s)", w.pick("k ran.spread_ops", "p ran.pair_hash", "k"))
	w.add("CREATE TABLE ran.hashed0 PARTITION OF ran.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0)")
	w.add("CREATE TABLE ran.hashed1 PARTITION OF ran.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
	w.add("INSERT INTO ran.hashed SELECT n, ROW(n, 0)::ran.pair, n FROM generate_series(1, 20) AS n")
	for i, check := range []string{"i OPERATOR(ran.#<#) 20", "i OPERATOR(ran.#>=#) 20", "i <> 7 AND ran.valid(i)"} {
		if i == 0 {
			w.add("CREATE TABLE ran.parent (id int, i int)")
		}
		w.add("CREATE TABLE ran.child%d (CHECK (%s)) INHERITS (ran.parent)", i, check)
	}
	w.add("INSERT INTO ran.child0 SELECT n, n FROM generate_series(1, 19) AS n")
}

func (w *world) ranExtras() {
	w.add("CREATE TABLE ran.master (p ran.pair PRIMARY KEY, n int)")
	w.add("INSERT INTO ran.master SELECT ROW(n, 0)::ran.pair, n FROM generate_series(1, 30) AS n")
	w.add("CREATE TABLE ran.slave (id int, p ran.pair REFERENCES ran.master %s)", w.pick("", "ON UPDATE CASCADE", "ON DELETE CASCADE", "ON DELETE SET NULL"))
	w.add("INSERT INTO ran.slave SELECT n, ROW(n, 0)::ran.pair FROM generate_series(1, 10) AS n")
	w.add("CREATE TABLE ran.excluded (i int, EXCLUDE (i ran.int_ops WITH OPERATOR(ran.#=#)))")
	w.add("INSERT INTO ran.excluded SELECT generate_series(1, 20)")
	if w.chance(50) {
		w.add("CREATE STATISTICS ran.stat ON i, (ran.pair_of(j)), l FROM ran.t")
	}
	w.some("ran.larger", "int, int", "int", "greatest($1, $2)")
	w.add("CREATE AGGREGATE ran.top(int) (SFUNC = ran.larger, STYPE = int, SORTOP = OPERATOR(ran.#>#))")
	w.some("ran.wrapped", "int, int", "boolean", "$1 OPERATOR(ran.#<#) $2")
	w.mute("ran.inline", "int, int", "boolean", "$1 OPERATOR(ran.#=#) $2")
	w.add("CREATE VIEW ran.seen AS SELECT t.id, t.i, t.p, u.l FROM ran.t JOIN ran.u ON t.i OPERATOR(ran.#=#) u.i%s", w.pick("", " WHERE t.p OPERATOR(ran.|<>|) u.p"))
	w.add("CREATE FUNCTION ran.touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
	w.add("CREATE TRIGGER touched BEFORE %s ON ran.w FOR EACH ROW EXECUTE FUNCTION ran.touched()", w.pick("INSERT", "UPDATE"))
	w.add("CREATE TABLE ran.made (i int, g boolean GENERATED ALWAYS AS (ran.valid(i)) STORED, d int DEFAULT (ran.pair_of(3)).a, CHECK (i OPERATOR(ran.#<#) 1000))")
	w.add("INSERT INTO ran.made VALUES (1), (2)")
	w.add("ALTER TABLE ran.w ADD CONSTRAINT late CHECK (i OPERATOR(ran.#>=#) 0) NOT VALID")
	w.add("ALTER TABLE ran.slave ADD CONSTRAINT later FOREIGN KEY (p) REFERENCES ran.master NOT VALID")
	w.add("CREATE TABLE ran.loose (k ran.pair, v int)")
	w.add("INSERT INTO ran.loose VALUES (ROW(7,0)::ran.pair, 1)")
}
