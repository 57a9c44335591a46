package probe

const typeFrom = `
		FROM pg_catalog.pg_type AS t
			JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
			LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid OPERATOR(pg_catalog.=) t.oid
			LEFT JOIN pg_catalog.pg_range AS m ON m.rngmultitypid OPERATOR(pg_catalog.=) t.oid`

var typeFields = []field{
	{"OID", oid("t.oid")},
	{"Schema", "n.nspname"},
	{"Name", "t.typname"},
	{"Kind", char("t.typtype")},
	{"Category", char("t.typcategory")},
	{"Preferred", "t.typispreferred"},
	{"Element", `CASE WHEN t.typsubscript OPERATOR(pg_catalog.=) 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
		THEN t.typelem::pg_catalog.int8 END`},
	{"Base", oid("t.typbasetype")},
	{"Relation", oid("t.typrelid")},
	{"Array", oid("t.typarray")},
	{"Subtype", oid("COALESCE(r.rngsubtype, m.rngtypid)")},
	{"SubtypeClass", oid("r.rngsubopc")},
	{"Input", oid("t.typinput")},
	{"Output", oid("t.typoutput")},
	{"Support", oids(`SELECT f.f FROM pg_catalog.unnest(ARRAY[t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze,
			t.typsubscript, r.rngcanonical, r.rngsubdiff]::pg_catalog.oid[]) WITH ORDINALITY AS f(f, number)
		WHERE f.f OPERATOR(pg_catalog.<>) 0::pg_catalog.oid ORDER BY f.number`)},
	{"Owner", "pg_catalog.pg_get_userbyid(t.typowner)"},
	{"Extension", extension("pg_type", "t.oid")},
	{"NotNull", "t.typnotnull"},
	{"Checks", list(expressionFields("pg_catalog.pg_get_expr(k.conbin, k.conrelid)", "pg_constraint", "k.oid"), "k.oid",
		`pg_catalog.pg_constraint AS k WHERE k.contypid OPERATOR(pg_catalog.=) t.oid AND k.contype OPERATOR(pg_catalog.=) 'c'`)},
	{"Constraints", names("pg_catalog.pg_constraint AS k WHERE k.contypid OPERATOR(pg_catalog.=) t.oid AND " + notMadeUp)},
	{"Default", "COALESCE(pg_catalog.pg_get_expr(t.typdefaultbin, 0::pg_catalog.oid), t.typdefault)"},
	{"References", "CASE WHEN t.typdefaultbin IS NOT NULL THEN " + references("pg_type", "t.oid") + " END"},
}

const functionFrom = `
		FROM pg_catalog.pg_proc AS p
			JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
			JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
			LEFT JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid::pg_catalog.oid OPERATOR(pg_catalog.=) p.oid`

var functionFields = []field{
	{"OID", oid("p.oid")},
	{"Schema", "n.nspname"},
	{"Name", "p.proname"},
	{"Kind", char("p.prokind")},
	{"Arguments", "p.proargtypes::pg_catalog.oid[]::pg_catalog.int8[]"},
	{"Variadic", oid("p.provariadic")},
	{"Defaults", "p.pronargdefaults"},
	{"Result", oid("p.prorettype")},
	{"ReturnSet", "p.proretset"},
	{"SecurityDefiner", "p.prosecdef"},
	{"Language", "l.lanname"},
	{"Volatility", char("p.provolatile")},
	{"Leakproof", "p.proleakproof"},
	{"Owner", "pg_catalog.pg_get_userbyid(p.proowner)"},
	{"Extension", extension("pg_proc", "p.oid")},
	{"AllArguments", "p.proallargtypes::pg_catalog.int8[]"},
	{"ArgumentModes", "pg_catalog.encode(pg_catalog.convert_to(pg_catalog.array_to_string(p.proargmodes, ''), 'UTF8'), 'base64')"},
	{"ArgumentNames", "p.proargnames"},
	{"DefaultExpressions", `ARRAY(SELECT u.e FROM (SELECT i.i, pg_catalog.pg_get_function_arg_default(p.oid, i.i) AS e
			FROM pg_catalog.generate_series(1, COALESCE(pg_catalog.array_length(p.proallargtypes, 1), p.pronargs::pg_catalog.int4)) AS i(i)) AS u
		WHERE u.e IS NOT NULL ORDER BY u.i)`},
	{"Strict", "p.proisstrict"},
	{"Library", "p.probin"},
	{"Symbol", "CASE WHEN l.lanname OPERATOR(pg_catalog.=) 'c' OR l.lanname OPERATOR(pg_catalog.=) 'internal' THEN p.prosrc END"},
	{"Body", "CASE WHEN l.lanname OPERATOR(pg_catalog.=) 'sql' THEN p.prosrc END"},
	{"StandardBody", "CASE WHEN p.prosqlbody IS NOT NULL THEN pg_catalog.pg_get_function_sqlbody(p.oid) END"},
	{"References", "CASE WHEN p.prosqlbody IS NOT NULL OR p.pronargdefaults OPERATOR(pg_catalog.<>) 0::pg_catalog.int2 THEN " +
		references("pg_proc", "p.oid") + " END"},
	{"Settings", "p.proconfig"},
	{"SupportFunction", oid("p.prosupport")},
	{"Aggregate", "CASE WHEN a.aggfnoid IS NOT NULL THEN " + object(aggregateFields) + " END"},
}

var aggregateFields = []field{
	{"Kind", char("a.aggkind")},
	{"Direct", "a.aggnumdirectargs"},
	{"Functions", oids(`SELECT f.f FROM pg_catalog.unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
			a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::pg_catalog.oid[]) WITH ORDINALITY AS f(f, number)
		WHERE f.f OPERATOR(pg_catalog.<>) 0::pg_catalog.oid ORDER BY f.number`)},
	{"SortOperator", oid("a.aggsortop")},
}
