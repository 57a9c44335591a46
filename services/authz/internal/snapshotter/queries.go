package snapshotter

// The queries run under an empty search_path, so that the operators in them are
// those of pg_catalog, where nobody but a superuser can put others. Relations,
// functions and types are qualified as well: a session's pg_temp comes before
// pg_catalog for relations and types.
//
// Rows come in an order that depends on the catalog alone, since digests are
// compared across replicas. Whole rows of catalog tables are taken as text
// where only a change matters: that needs no lock, unlike pg_get_triggerdef and
// its kin, which are asked afterwards (printing.go).

// everything is the condition that another one takes the place of where only some
// objects are read.
const everything = "/* everything */ true"

// What a text of the catalog depends on: an array of numbers, those of references in
// read_references.go. A text's row and what it depends on are written by the same
// statements. The table is large, and these go by its index: objid comes last.
const (
	dependsOn = `ARRAY(SELECT DISTINCT CASE dep.refclassid WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN 1
			WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN 2 ELSE 3 END::pg_catalog.int8 << 32 | dep.refobjid::pg_catalog.int8
		FROM pg_catalog.pg_depend AS dep WHERE dep.refclassid IN ('pg_catalog.pg_class'::pg_catalog.regclass,
			'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
			AND dep.classid = 'pg_catalog.`
	dependent = `'::pg_catalog.regclass AND dep.objid = `
	ofText    = ` AND dep.objsubid = 0 ORDER BY 1)`
)

const queryServer = `
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
	pg_catalog.current_setting('server_encoding'), pg_catalog.current_database()::pg_catalog.text`

const querySchemas = `
SELECT oid, nspname::pg_catalog.text,
	ARRAY(SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles AS r
		WHERE r.rolcanlogin AND NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
		ORDER BY r.rolname COLLATE pg_catalog."C")
FROM pg_catalog.pg_namespace AS n
WHERE nspname !~ '^pg_(toast_)?temp_' ORDER BY oid`

// relpages, reltuples and their like are statistics, relfilenode and
// relfrozenxid are storage; relhasindex and its like are hints that change in
// place. None of them is read. To print the views that came with the server
// would take half the time of a whole read. Names of roles are those that the
// snapshot sees; pg_get_userbyid (ruleutils.c) has the newest.
const queryRelations = `
SELECT c.oid, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text,
	COALESCE(o.rolname::pg_catalog.text, pg_catalog.concat('unknown (OID=', c.relowner, ')')),
	c.relrowsecurity, c.relforcerowsecurity,
	c.relkind = 'p', c.relkind IN ('v', 'm') AND c.oid >= 16384,
	COALESCE((SELECT pg_catalog.bool_or(pg_catalog.split_part(o, '=', 2)::pg_catalog.bool)
		FROM pg_catalog.unnest(c.reloptions) AS o WHERE o LIKE 'security_invoker=%'), false),
	COALESCE((SELECT pg_catalog.substr(o, 14, 1) FROM pg_catalog.unnest(c.reloptions) AS o WHERE o LIKE 'check_option=%'), ''),
	CASE WHEN c.relkind IN ('v', 'm') AND c.oid >= 16384 THEN ` + dependsOn + `pg_rewrite` + dependent +
	`(SELECT r.oid FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN')` + ofText + ` ELSE '{}' END,
	CASE WHEN c.relkind = 'p' THEN ` + dependsOn + `pg_class` + dependent + `c.oid` + ofText + ` ELSE '{}' END,
	COALESCE((SELECT i.indrelid FROM pg_catalog.pg_index AS i WHERE i.indexrelid = c.oid), 0),
	ARRAY(SELECT o FROM pg_catalog.unnest(p.partclass::pg_catalog.oid[]) AS o WHERE o >= 16384 ORDER BY o),
	c.reltype, c.reloftype, COALESCE(v.srvname::pg_catalog.text, ''),
	CASE WHEN c.relkind = 'S' THEN COALESCE((SELECT d.refobjid FROM pg_catalog.pg_depend AS d
		WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0
			AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0
			AND d.deptype IN ('a', 'i') ORDER BY d.refobjid LIMIT 1), 0) ELSE 0 END,
	c.relispartition AND c.oid IN (SELECT a.partdefid FROM pg_catalog.pg_partitioned_table AS a),
	ROW(c.relpersistence, c.relam, c.reloftype, c.reloptions, c.relispartition, c.relpartbound::pg_catalog.text,
		c.relrowsecurity, c.relforcerowsecurity, p::pg_catalog.text, f::pg_catalog.text)::pg_catalog.text
FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = c.oid
	LEFT JOIN pg_catalog.pg_foreign_table AS f ON f.ftrelid = c.oid
	LEFT JOIN pg_catalog.pg_foreign_server AS v ON v.oid = f.ftserver
	LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = c.relowner
WHERE c.relkind <> 't' AND c.relpersistence <> 't'
	AND n.nspname <> 'pg_toast' AND n.nspname !~ '^pg_(toast_)?temp_' AND ` + everything + `
ORDER BY c.oid`

// A plain default has no variable, so it needs no relation to print it for, and
// no lock. Until PostgreSQL 14 what a generation expression depends on is recorded for
// the column (StoreAttrDefault).
const queryColumns = `
SELECT a.attrelid, a.attnum, a.attname::pg_catalog.text, a.atttypid, a.atttypmod, a.attnotnull,
	CASE WHEN a.attgenerated = '' THEN COALESCE(pg_catalog.pg_get_expr(d.adbin, 0), '') ELSE '' END,
	CASE WHEN a.attgenerated = '' THEN 0 ELSE COALESCE(d.oid, 0) END,
	CASE WHEN d.oid IS NULL THEN '{}' ELSE ` + dependsOn + `pg_attrdef` + dependent + `d.oid` + ofText + ` END
	|| CASE WHEN a.attgenerated = '' THEN '{}' ELSE ` + dependsOn + `pg_class` + dependent + `a.attrelid AND dep.objsubid = a.attnum)` + ` END,
	a.attgenerated::pg_catalog.text, a.attidentity::pg_catalog.text,
	ROW(a.atttypmod, a.attcollation, a.attislocal, a.attinhcount, a.attoptions, a.attfdwoptions,
		CASE WHEN a.attgenerated <> '' THEN d.adbin::pg_catalog.text END)::pg_catalog.text
FROM pg_catalog.pg_attribute AS a
	JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
	LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped
	AND c.relkind NOT IN ('t', 'i', 'I') AND c.relpersistence <> 't' AND ` + everything + `
ORDER BY a.attrelid, a.attnum`

const queryConstraints = `
SELECT c.oid, c.conrelid, c.contypid, c.conname::pg_catalog.text, c.contype::pg_catalog.text, c.confrelid,
	COALESCE(c.conkey, '{}'), COALESCE(c.confkey, '{}'), c.confdeltype::pg_catalog.text, c.confupdtype::pg_catalog.text,
	CASE WHEN c.contype = 'c' AND c.conrelid = 0 THEN COALESCE(pg_catalog.pg_get_expr(c.conbin, 0), '') ELSE '' END,
	CASE WHEN c.contype = 'c' THEN ` + dependsOn + `pg_constraint` + dependent + `c.oid` + ofText + ` ELSE '{}' END,
	c::pg_catalog.text
FROM pg_catalog.pg_constraint AS c
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
WHERE n.nspname !~ '^pg_(toast_)?temp_' AND ` + everything + `
ORDER BY c.oid`

const queryIndexes = `
SELECT i.indrelid, i.indexrelid,
	(i.indexprs IS NOT NULL)::pg_catalog.int4 + (i.indpred IS NOT NULL)::pg_catalog.int4,
	CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL THEN '{}' ELSE ` + dependsOn + `pg_class` + dependent + `i.indexrelid` + ofText + ` END,
	COALESCE(k.conexclop, '{}'),
	ARRAY(SELECT o FROM pg_catalog.unnest(i.indclass::pg_catalog.oid[]) AS o WHERE o >= 16384 ORDER BY o),
	i::pg_catalog.text
FROM pg_catalog.pg_index AS i
	JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
	LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = i.indexrelid AND k.contype = 'x'
WHERE c.relkind <> 't' AND c.relpersistence <> 't' AND ` + everything + `
ORDER BY i.indrelid, i.indexrelid`

// firstTrigger is the trigger that a partition's was cloned from: CreateTriggerFiringOn
// records what a condition depends on where the text is given, and for no clone.
const firstTrigger = `(WITH RECURSIVE up AS (SELECT t.oid, t.tgparentid
	UNION ALL SELECT p.oid, p.tgparentid FROM up JOIN pg_catalog.pg_trigger AS p ON p.oid = up.tgparentid)
	SELECT up.oid FROM up WHERE up.tgparentid = 0)`

// Triggers come in the order of their names, in which they fire (RelationBuildTriggers
// of trigger.c reads them by an index on the name). Printing one takes a lock on
// its table, and only a condition needs it.
const queryTriggers = `
SELECT t.tgrelid, CASE WHEN t.tgisinternal THEN '' ELSE t.tgname::pg_catalog.text END, t.tgfoid, t.tgtype,
	t.tgenabled::pg_catalog.text, t.tgattr::pg_catalog.int2[], t.tgqual IS NOT NULL,
	CASE WHEN t.tgqual IS NOT NULL AND NOT t.tgisinternal THEN t.oid ELSE 0 END,
	CASE WHEN t.tgqual IS NOT NULL THEN ` + dependsOn + `pg_trigger` + dependent + firstTrigger + ofText + ` ELSE '{}' END,
	t::pg_catalog.text
FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
WHERE c.relpersistence <> 't' AND ` + everything + `
ORDER BY t.tgrelid, t.tgname COLLATE pg_catalog."C", t.oid`

// The query trees of the views that came with the server are a megabyte: the
// server hashes them. Rules fire in the order of their names (RelationBuildRuleLock
// of relcache.c).
const queryRules = `
SELECT r.ev_class, v.is_return, r.rulename::pg_catalog.text, r.ev_type::pg_catalog.text,
	r.is_instead, r.ev_enabled::pg_catalog.text,
	r.oid,
	CASE WHEN v.is_return THEN '{}' ELSE ` + dependsOn + `pg_rewrite` + dependent + `r.oid` + ofText + ` END,
	ROW(r.oid, r.rulename, r.ev_type, r.ev_enabled, r.is_instead, r.ev_qual::pg_catalog.text,
		pg_catalog.sha256(pg_catalog.convert_to(r.ev_action::pg_catalog.text, 'UTF8')))::pg_catalog.text
FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class,
	LATERAL (SELECT r.rulename = '_RETURN' AND c.relkind IN ('v', 'm') AS is_return) AS v
WHERE c.relpersistence <> 't' AND ` + everything + `
ORDER BY r.ev_class, r.rulename COLLATE pg_catalog."C", r.oid`

const queryPolicies = `
SELECT p.polrelid, p.polname::pg_catalog.text, p.polcmd::pg_catalog.text, p.polpermissive,
	ARRAY(SELECT u.name FROM (SELECT COALESCE(o.rolname::pg_catalog.text, pg_catalog.concat('unknown (OID=', r.oid, ')')) AS name
			FROM pg_catalog.unnest(p.polroles) AS r(oid) LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = r.oid WHERE r.oid <> 0) AS u
		ORDER BY u.name COLLATE pg_catalog."C"),
	p.oid, p.polqual IS NOT NULL, p.polwithcheck IS NOT NULL,
	` + dependsOn + `pg_policy` + dependent + `p.oid` + ofText + `, p::pg_catalog.text
FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
WHERE c.relpersistence <> 't' AND ` + everything + `
ORDER BY p.polrelid, p.polname COLLATE pg_catalog."C"`

// pg_statistic_ext has no data; pg_statistic_ext_data, which has, is not read.
const queryStatistics = `
SELECT s.stxrelid, CASE WHEN s.stxexprs IS NULL THEN 0 ELSE s.oid END,
	` + dependsOn + `pg_statistic_ext` + dependent + `s.oid` + ofText + `, s::pg_catalog.text
FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.stxrelid
WHERE c.relpersistence <> 't' AND ` + everything + `
ORDER BY s.stxrelid, s.oid`

const queryInheritance = `
SELECT i.inhrelid, i.inhparent, i::pg_catalog.text
FROM pg_catalog.pg_inherits AS i
	JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
	JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
WHERE c.relkind <> 't' AND c.relpersistence <> 't' AND p.relpersistence <> 't' AND ` + everything + `
ORDER BY i.inhrelid, i.inhseqno`
