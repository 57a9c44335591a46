package snapshotter

// An array type is true, as IsTrueArrayType of pg_type.h has it, if its
// subscripting is that of arrays; name and point, say, have elements as well.
const queryTypes = `
SELECT t.oid, n.nspname::pg_catalog.text, t.typname::pg_catalog.text, t.typtype::pg_catalog.text,
	t.typcategory::pg_catalog.text, t.typispreferred,
	CASE WHEN t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc THEN t.typelem ELSE 0 END,
	t.typbasetype, t.typrelid, t.typarray, COALESCE(r.rngsubtype, m.rngtypid, 0), COALESCE(r.rngsubopc, 0),
	t.typinput::pg_catalog.oid, t.typoutput::pg_catalog.oid,
	ARRAY[t.typreceive::pg_catalog.oid, t.typsend, t.typmodin, t.typmodout, t.typanalyze, t.typsubscript,
		COALESCE(r.rngcanonical::pg_catalog.oid, 0), COALESCE(r.rngsubdiff::pg_catalog.oid, 0)]::pg_catalog.oid[],
	COALESCE(o.rolname::pg_catalog.text, pg_catalog.concat('unknown (OID=', t.typowner, ')')), COALESCE(x.extname::pg_catalog.text, ''), t.typnotnull,
	COALESCE(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault, ''),
	CASE WHEN t.typdefaultbin IS NULL THEN '{}' ELSE ` + dependsOn + `pg_type` + dependent + `t.oid` + ofText + ` END,
	ROW(t::pg_catalog.text, r::pg_catalog.text,
		CASE WHEN t.typtype = 'e' THEN ARRAY(SELECT ROW(e.enumsortorder, e.enumlabel)::pg_catalog.text
			FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) END)::pg_catalog.text
FROM pg_catalog.pg_type AS t
	JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
	LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = t.typowner
	LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid
	LEFT JOIN pg_catalog.pg_range AS m ON m.rngmultitypid = t.oid
	LEFT JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
		AND d.objid = t.oid AND d.objsubid = 0 AND d.deptype = 'e'
		AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
	LEFT JOIN pg_catalog.pg_extension AS x ON x.oid = d.refobjid
WHERE n.nspname <> 'pg_toast' AND n.nspname !~ '^pg_(toast_)?temp_' AND ` + everything + `
ORDER BY t.oid`

const queryLabels = `
SELECT e.enumtypid, e.oid, e.enumlabel::pg_catalog.text FROM pg_catalog.pg_enum AS e WHERE ` + everything

// Bodies can be long and many: the server hashes those in languages that nobody
// reads, and those of its own functions. Before a language other than C and
// internal runs, prosrc is its program; of those two it is the symbol.
const queryFunctions = `
SELECT p.oid, n.nspname::pg_catalog.text, p.proname::pg_catalog.text, p.prokind::pg_catalog.text,
	p.proargtypes::pg_catalog.oid[], p.provariadic, p.pronargdefaults, p.prorettype, p.proretset,
	p.prosecdef, l.lanname::pg_catalog.text, p.provolatile::pg_catalog.text, p.proleakproof,
	COALESCE(o.rolname::pg_catalog.text, pg_catalog.concat('unknown (OID=', p.proowner, ')')), COALESCE(x.extname::pg_catalog.text, ''),
	COALESCE(p.proallargtypes, '{}'), COALESCE(pg_catalog.array_to_string(p.proargmodes, ''), ''),
	COALESCE(p.proargnames, '{}'),
	CASE WHEN p.pronargdefaults = 0 THEN '{}' ELSE ARRAY(
		SELECT u.e FROM (SELECT i, pg_catalog.pg_get_function_arg_default(p.oid, i) AS e
			FROM pg_catalog.generate_series(1, GREATEST(p.pronargs::pg_catalog.int4, pg_catalog.cardinality(p.proallargtypes))) AS i) AS u
		WHERE u.e IS NOT NULL ORDER BY u.i) END,
	p.proisstrict, COALESCE(p.probin, ''),
	CASE WHEN l.lanname IN ('c', 'internal') THEN p.prosrc ELSE '' END,
	CASE WHEN l.lanname = 'sql' AND p.oid >= 16384 THEN p.prosrc ELSE '' END,
	p.prosqlbody IS NOT NULL AND p.oid >= 16384,
	CASE WHEN p.oid < 16384 OR p.prosqlbody IS NULL AND p.pronargdefaults = 0 THEN '{}' ELSE ` +
	dependsOn + `pg_proc` + dependent + `p.oid` + ofText + ` END,
	COALESCE(p.proconfig, '{}'), p.prosupport::pg_catalog.oid,
	COALESCE(a.aggkind::pg_catalog.text, ''), COALESCE(a.aggnumdirectargs, 0), COALESCE(a.aggsortop, 0),
	CASE WHEN a.aggfnoid IS NULL THEN '{}' ELSE ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
		a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::pg_catalog.oid[] END,
	pg_catalog.sha256(pg_catalog.convert_to(ROW(p.prosrc, p.probin, p.prosqlbody::pg_catalog.text, p.proconfig,
		p.proargnames, p.proargmodes, p.proallargtypes, p.proargdefaults::pg_catalog.text, p.prosupport,
		p.proisstrict, p.proparallel, p.protrftypes, a::pg_catalog.text)::pg_catalog.text, 'UTF8'))
FROM pg_catalog.pg_proc AS p
	JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
	JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
	LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = p.proowner
	LEFT JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = p.oid
	LEFT JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
		AND d.objid = p.oid AND d.objsubid = 0 AND d.deptype = 'e'
		AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
	LEFT JOIN pg_catalog.pg_extension AS x ON x.oid = d.refobjid
WHERE n.nspname !~ '^pg_(toast_)?temp_' AND ` + everything + `
ORDER BY p.oid`

const queryOperators = `
SELECT o.oid, n.nspname::pg_catalog.text, o.oprname::pg_catalog.text, o.oprleft, o.oprright, o.oprresult,
	o.oprcode::pg_catalog.oid, o.oprcom, o.oprnegate, o.oprcanhash, o.oprcanmerge,
	o.oprrest::pg_catalog.oid, o.oprjoin::pg_catalog.oid
FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
WHERE n.nspname !~ '^pg_(toast_)?temp_'
ORDER BY o.oid`

const queryCasts = `
SELECT c.oid, c.castsource, c.casttarget, c.castfunc, c.castcontext::pg_catalog.text, c.castmethod::pg_catalog.text
FROM pg_catalog.pg_cast AS c
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
	WHERE t.oid IN (c.castsource, c.casttarget) AND n.nspname ~ '^pg_(toast_)?temp_')
ORDER BY c.oid`

// A family holds members for several types. Those with the class's input type on
// both sides are what indexing, sorting and hashing run; the cross-type ones join
// in when it meets another type of the family.
const queryOperatorClasses = `
SELECT c.oid, n.nspname::pg_catalog.text, c.opcname::pg_catalog.text, m.amname::pg_catalog.text,
	c.opcintype, c.opckeytype, c.opcdefault, c.opcfamily, p.functions, p.numbers, o.operators, o.strategies,
	fp.functions, fo.operators, fo.strategies
FROM pg_catalog.pg_opclass AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.opcnamespace
	JOIN pg_catalog.pg_am AS m ON m.oid = c.opcmethod,
	LATERAL (SELECT
		COALESCE(pg_catalog.array_agg(p.amproc::pg_catalog.oid ORDER BY p.n), '{}') AS functions,
		COALESCE(pg_catalog.array_agg(p.amprocnum ORDER BY p.n), '{}') AS numbers
		FROM (SELECT *, pg_catalog.row_number() OVER (
				ORDER BY amproclefttype <> amprocrighttype, amprocnum, amproclefttype, amprocrighttype) AS n
			FROM pg_catalog.pg_amproc WHERE amprocfamily = c.opcfamily AND c.opcintype IN (amproclefttype, amprocrighttype)) AS p) AS p,
	LATERAL (SELECT
		COALESCE(pg_catalog.array_agg(o.amopopr ORDER BY o.n), '{}') AS operators,
		COALESCE(pg_catalog.array_agg(o.amopstrategy ORDER BY o.n), '{}') AS strategies
		FROM (SELECT *, pg_catalog.row_number() OVER (
				ORDER BY amoplefttype <> amoprighttype, amopstrategy, amoplefttype, amoprighttype, amoppurpose) AS n
			FROM pg_catalog.pg_amop WHERE amopfamily = c.opcfamily AND c.opcintype IN (amoplefttype, amoprighttype)) AS o) AS o,
	LATERAL (SELECT COALESCE(pg_catalog.array_agg(DISTINCT amproc::pg_catalog.oid), '{}') AS functions
		FROM pg_catalog.pg_amproc WHERE amprocfamily = c.opcfamily AND amproc::pg_catalog.oid >= 16384) AS fp,
	LATERAL (SELECT
		COALESCE(pg_catalog.array_agg(amopopr ORDER BY amopopr, amopstrategy), '{}') AS operators,
		COALESCE(pg_catalog.array_agg(amopstrategy ORDER BY amopopr, amopstrategy), '{}') AS strategies
		FROM pg_catalog.pg_amop WHERE amopfamily = c.opcfamily AND amopopr >= 16384) AS fo
WHERE n.nspname !~ '^pg_(toast_)?temp_'
ORDER BY c.oid`

// Only collations of any encoding (-1) and of UTF8 (6, mb/pg_wchar.h) are found by
// name (get_collation_oid of namespace.c).
const queryCollations = `
SELECT c.oid, n.nspname::pg_catalog.text, c.collname::pg_catalog.text
FROM pg_catalog.pg_collation AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
WHERE c.collencoding IN (-1, 6) AND n.nspname !~ '^pg_(toast_)?temp_'
ORDER BY c.oid`

// A session starts with the setting for its role in its database, else for its
// role, else for its database, else for all (process_settings of postinit.c).
const queryRoles = `
SELECT r.oid, r.rolname::pg_catalog.text, r.rolcanlogin, r.rolsuper, r.rolinherit, r.rolbypassrls,
	COALESCE((SELECT pg_catalog.substr(o, 13)
		FROM pg_catalog.pg_db_role_setting AS s, pg_catalog.unnest(s.setconfig) AS o
		WHERE s.setrole IN (0, r.oid) AND o LIKE 'search\_path=%'
			AND s.setdatabase IN (0, (SELECT b.oid FROM pg_catalog.pg_database AS b WHERE b.datname = pg_catalog.current_database()))
		ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1), $1),
	ARRAY(SELECT DISTINCT m.roleid FROM pg_catalog.pg_auth_members AS m WHERE m.member = r.oid ORDER BY m.roleid),
	ARRAY(SELECT m.roleid FROM pg_catalog.pg_auth_members AS m WHERE m.member = r.oid
		GROUP BY m.roleid HAVING pg_catalog.bool_and(pg_catalog.to_jsonb(m) ->> 'inherit_option' = 'false') ORDER BY m.roleid)
FROM pg_catalog.pg_roles AS r ORDER BY r.oid`

// querySearchPath reads what sessions start with unless their role or database
// has a setting of its own.
const querySearchPath = `
SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'`

const queryEventTriggers = `
SELECT e.oid, e.evtname::pg_catalog.text, e.evtevent::pg_catalog.text, e.evtfoid, e.evtenabled::pg_catalog.text,
	COALESCE(e.evttags, '{}')
FROM pg_catalog.pg_event_trigger AS e ORDER BY e.evtname COLLATE pg_catalog."C"`

const queryGlobals = `
SELECT 'l', l.oid, l.lanname::pg_catalog.text, 0::pg_catalog.oid, l.lanpltrusted, l.laninline FROM pg_catalog.pg_language AS l
UNION ALL SELECT 'w', w.oid, w.fdwname::pg_catalog.text, 0, false, 0 FROM pg_catalog.pg_foreign_data_wrapper AS w
UNION ALL SELECT 's', s.oid, s.srvname::pg_catalog.text, s.srvfdw, false, 0 FROM pg_catalog.pg_foreign_server AS s
UNION ALL SELECT 'p', p.oid, p.pubname::pg_catalog.text, 0, false, 0 FROM pg_catalog.pg_publication AS p
ORDER BY 1, 2`

const queryExtensions = `
SELECT x.oid, x.extname::pg_catalog.text, n.nspname::pg_catalog.text, x.extversion
FROM pg_catalog.pg_extension AS x JOIN pg_catalog.pg_namespace AS n ON n.oid = x.extnamespace ORDER BY x.oid`

const querySettings = `
SELECT name, context FROM pg_catalog.pg_settings ORDER BY name COLLATE pg_catalog."C"`

// What constants of types regconfig and regdictionary show.
const queryTextSearch = `
SELECT pg_catalog.concat(
	(SELECT pg_catalog.json_agg(ARRAY[c.oid::pg_catalog.text, n.nspname, c.cfgname] ORDER BY c.oid)
		FROM pg_catalog.pg_ts_config AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.cfgnamespace
		WHERE n.nspname !~ '^pg_(toast_)?temp_'),
	(SELECT pg_catalog.json_agg(ARRAY[d.oid::pg_catalog.text, n.nspname, d.dictname] ORDER BY d.oid)
		FROM pg_catalog.pg_ts_dict AS d JOIN pg_catalog.pg_namespace AS n ON n.oid = d.dictnamespace
		WHERE n.nspname !~ '^pg_(toast_)?temp_'))`
