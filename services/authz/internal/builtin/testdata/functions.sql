-- Every entry of pg_proc, a line of data/functions.tsv each but for the majors.
SELECT concat_ws(E'\t',
	CASE WHEN p.oid < 12000 THEN p.oid ELSE 0 END,
	coalesce((SELECT e.extname FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
		WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
			AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass), '-'),
	CASE WHEN p.oid < 16384 THEN n.nspname ELSE '-' END,
	p.proname,
	coalesce((SELECT string_agg(a.typname, ',' ORDER BY u.n)
		FROM unnest(p.proargtypes) WITH ORDINALITY AS u(t, n) JOIN pg_catalog.pg_type AS a ON a.oid = u.t), '-'),
	p.prokind,
	CASE WHEN p.proretset THEN 'setof ' ELSE '' END || r.typname,
	l.lanname,
	p.provolatile,
	CASE WHEN EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
		WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') THEN 'public' ELSE 'revoked' END,
	coalesce(p.probin, '-'),
	CASE WHEN l.lanname IN ('c', 'internal') THEN p.prosrc ELSE '-' END)
FROM pg_catalog.pg_proc AS p
	JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
	JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
	JOIN pg_catalog.pg_type AS r ON r.oid = p.prorettype
