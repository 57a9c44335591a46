package probe

// The queries of package snapshotter ask the same of a whole catalog; a test there
// compares what the two find.

const relationFrom = `
		FROM pg_catalog.pg_class AS c
			JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
			LEFT JOIN pg_catalog.pg_partitioned_table AS k ON k.partrelid OPERATOR(pg_catalog.=) c.oid`

// notMadeUp leaves out the kind of name that the server gives NOT NULL.
const notMadeUp = `k.conname::pg_catalog.text OPERATOR(pg_catalog.!~) '_not_null[0-9]*$'`

// names lists the names of constraints in the order of their making.
func names(from string) string {
	return "ARRAY(SELECT k.conname FROM " + from + " ORDER BY k.oid)"
}

// viewKind says that a relation is a view or a materialized view.
const viewKind = "(c.relkind OPERATOR(pg_catalog.=) 'v' OR c.relkind OPERATOR(pg_catalog.=) 'm')"

var relationFields = []field{
	{"OID", oid("c.oid")},
	{"Schema", "n.nspname"},
	{"Name", "c.relname"},
	{"Kind", char("c.relkind")},
	{"Owner", "pg_catalog.pg_get_userbyid(c.relowner)"},
	{"Columns", list(columnFields, "a.attnum", `pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_attrdef AS d
			ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum
		WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
			AND c.relkind OPERATOR(pg_catalog.<>) 'i' AND c.relkind OPERATOR(pg_catalog.<>) 'I'`)},
	{"RowSecurity", "c.relrowsecurity"},
	{"ForceRowSecurity", "c.relforcerowsecurity"},
	{"Triggers", list(triggerFields, `t.tgname COLLATE pg_catalog."C", t.oid`, `pg_catalog.pg_trigger AS t
		WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT t.tgisinternal`)},
	{"Rules", list(ruleFields, `r.rulename COLLATE pg_catalog."C", r.oid`, `pg_catalog.pg_rewrite AS r
		WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid AND NOT (r.rulename OPERATOR(pg_catalog.=) '_RETURN' AND `+viewKind+`)`)},
	{"Policies", list(policyFields, `p.polname COLLATE pg_catalog."C"`, `pg_catalog.pg_policy AS p WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid`)},
	{"Checks", list(expressionFields("pg_catalog.pg_get_expr(k.conbin, k.conrelid)", "pg_constraint", "k.oid"), "k.oid",
		`pg_catalog.pg_constraint AS k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.=) 'c'`)},
	{"CheckNames", names("pg_catalog.pg_constraint AS k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.=) 'c'")},
	{"OtherConstraints", names(`pg_catalog.pg_constraint AS k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid
		AND k.contype OPERATOR(pg_catalog.<>) ALL ('{c,f,p,u,x}'::pg_catalog."char"[]) AND ` + notMadeUp)},
	{"IndexExpressions", list(expressionFields("u.e", "pg_class", "u.index"), "u.index, u.part", `(
		SELECT i.indexrelid AS index, 0 AS part, pg_catalog.pg_get_expr(i.indexprs, i.indrelid) AS e
			FROM pg_catalog.pg_index AS i WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid
		UNION ALL SELECT i.indexrelid, 1, pg_catalog.pg_get_expr(i.indpred, i.indrelid)
			FROM pg_catalog.pg_index AS i WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid) AS u
		WHERE u.e IS NOT NULL`)},
	{"ExclusionOperators", oids(`SELECT x.operator FROM pg_catalog.pg_constraint AS k,
			pg_catalog.unnest(k.conexclop) WITH ORDINALITY AS x(operator, number)
		WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.=) 'x' ORDER BY k.conindid, x.number`)},
	{"ForeignOperatorClasses", oids(`SELECT u.o FROM (
		SELECT 0::pg_catalog.oid AS index, x.o FROM pg_catalog.unnest(k.partclass::pg_catalog.oid[]) AS x(o)
		UNION ALL SELECT i.indexrelid, x.o FROM pg_catalog.pg_index AS i, pg_catalog.unnest(i.indclass::pg_catalog.oid[]) AS x(o)
			WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid) AS u
		WHERE u.o OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ORDER BY u.index, u.o`)},
	{"PartitionOperatorClasses", oids(`SELECT x.o FROM pg_catalog.unnest(k.partclass::pg_catalog.oid[]) AS x(o)
		WHERE x.o OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ORDER BY x.o`)},
	{"StatisticsExpressions", list(expressionFields("e.e", "pg_statistic_ext", "s.oid"), "s.oid, e.number", `pg_catalog.pg_statistic_ext AS s,
			pg_catalog.unnest(pg_catalog.pg_get_statisticsobjdef_expressions(s.oid)) WITH ORDINALITY AS e(e, number)
		WHERE s.stxrelid OPERATOR(pg_catalog.=) c.oid`)},
	{"PartitionKey", "CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'p' THEN " +
		object(expressionFields("pg_catalog.pg_get_partkeydef(c.oid)", "pg_class", "c.oid")) + " END"},
	{"DefaultPartition", `c.relispartition AND EXISTS (SELECT FROM pg_catalog.pg_partitioned_table AS h WHERE h.partdefid OPERATOR(pg_catalog.=) c.oid)`},
	// Another session's temporary children are not read (expand_inherited_rtentry).
	{"Children", oids(`SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS h ON h.oid OPERATOR(pg_catalog.=) i.inhrelid
		WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid
			AND (h.relpersistence OPERATOR(pg_catalog.<>) 't' OR h.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
		ORDER BY i.inhrelid`)},
	{"Parents", oids("SELECT i.inhparent FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid ORDER BY i.inhseqno")},
	{"Keys", list(uniqueFields, "k.oid", `pg_catalog.pg_constraint AS k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid
		AND (k.contype OPERATOR(pg_catalog.=) 'p' OR k.contype OPERATOR(pg_catalog.=) 'u' OR k.contype OPERATOR(pg_catalog.=) 'x')`)},
	{"ForeignKeys", list(keyFields, "k.oid", `pg_catalog.pg_constraint AS k
		WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.=) 'f'`)},
	{"ReferencedBy", list(keyFields, "k.oid", `pg_catalog.pg_constraint AS k
		WHERE k.confrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.=) 'f'`)},
	{"Definition", "CASE WHEN " + viewKind + " THEN pg_catalog.pg_get_viewdef(c.oid) END"},
	{"References", "CASE WHEN " + viewKind + ` THEN (SELECT ` + references("pg_rewrite", "r.oid") + ` FROM pg_catalog.pg_rewrite AS r
		WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid AND r.rulename OPERATOR(pg_catalog.=) '_RETURN') END`},
	{"SecurityInvoker", `(SELECT pg_catalog.bool_or(pg_catalog.split_part(o.o, '=', 2)::pg_catalog.bool)
		FROM pg_catalog.unnest(c.reloptions) AS o(o) WHERE o.o OPERATOR(pg_catalog.~~) 'security_invoker=%')`},
	{"CheckOption", `(SELECT pg_catalog.ascii(pg_catalog.substr(o.o, 14, 1))
		FROM pg_catalog.unnest(c.reloptions) AS o(o) WHERE o.o OPERATOR(pg_catalog.~~) 'check_option=%')`},
	{"RowType", oid("c.reltype")},
	{"OfType", oid("c.reloftype")},
	{"Server", `(SELECT v.srvname FROM pg_catalog.pg_foreign_table AS f JOIN pg_catalog.pg_foreign_server AS v
		ON v.oid OPERATOR(pg_catalog.=) f.ftserver WHERE f.ftrelid OPERATOR(pg_catalog.=) c.oid)`},
	{"OwnedBy", oid(`SELECT d.refobjid FROM pg_catalog.pg_depend AS d
		WHERE c.relkind OPERATOR(pg_catalog.=) 'S' AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
			AND d.objid OPERATOR(pg_catalog.=) c.oid AND d.objsubid OPERATOR(pg_catalog.=) 0
			AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid OPERATOR(pg_catalog.>) 0
			AND (d.deptype OPERATOR(pg_catalog.=) 'a' OR d.deptype OPERATOR(pg_catalog.=) 'i') ORDER BY d.refobjid LIMIT 1`)},
	{"IndexOf", oid(`SELECT i.indrelid FROM pg_catalog.pg_index AS i WHERE i.indexrelid OPERATOR(pg_catalog.=) c.oid`)},
}

var columnFields = []field{
	{"Number", "a.attnum"},
	{"Name", "a.attname"},
	{"Type", oid("a.atttypid")},
	{"Modifier", "a.atttypmod"},
	{"NotNull", "a.attnotnull"},
	{"Default", "pg_catalog.pg_get_expr(d.adbin, CASE WHEN a.attgenerated OPERATOR(pg_catalog.=) '' THEN 0::pg_catalog.oid ELSE a.attrelid END)"},
	{"References", "CASE WHEN d.oid IS NOT NULL THEN " + referencesOf(dependent("pg_attrdef", "d.oid", "0")+
		" OR a.attgenerated OPERATOR(pg_catalog.<>) '' AND "+dependent("pg_class", "a.attrelid", "a.attnum::pg_catalog.int4")) + " END"},
	{"Generated", char("a.attgenerated")},
	{"Identity", char("a.attidentity")},
}

var triggerFields = []field{
	{"Name", "t.tgname"},
	{"Function", oid("t.tgfoid")},
	{"Type", "t.tgtype"},
	{"Enabled", char("t.tgenabled")},
	{"Columns", "t.tgattr::pg_catalog.int2[]"},
	{"Condition", "t.tgqual IS NOT NULL"},
	{"Definition", "CASE WHEN t.tgqual IS NOT NULL THEN pg_catalog.pg_get_triggerdef(t.oid) END"},
	{"References", "CASE WHEN t.tgqual IS NOT NULL THEN " + references("pg_trigger", "t.oid") + " END"},
}

var ruleFields = []field{
	{"Name", "r.rulename"},
	{"Event", "r.ev_type::pg_catalog.text::pg_catalog.int4"},
	{"Instead", "r.is_instead"},
	{"Enabled", char("r.ev_enabled")},
	{"Definition", "pg_catalog.pg_get_ruledef(r.oid)"},
	{"References", references("pg_rewrite", "r.oid")},
}

var policyFields = []field{
	{"Name", "p.polname"},
	{"Command", char("p.polcmd")},
	{"Permissive", "p.polpermissive"},
	{"Roles", `ARRAY(SELECT pg_catalog.pg_get_userbyid(o.o) FROM pg_catalog.unnest(p.polroles) AS o(o)
		WHERE o.o OPERATOR(pg_catalog.<>) 0::pg_catalog.oid ORDER BY pg_catalog.pg_get_userbyid(o.o) COLLATE pg_catalog."C")`},
	{"Using", "pg_catalog.pg_get_expr(p.polqual, p.polrelid)"},
	{"Check", "pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)"},
	{"References", "CASE WHEN p.polqual IS NOT NULL OR p.polwithcheck IS NOT NULL THEN " + references("pg_policy", "p.oid") + " END"},
}

var uniqueFields = []field{
	{"Name", "k.conname"},
	{"Columns", "k.conkey"},
	{"Primary", "k.contype OPERATOR(pg_catalog.=) 'p'"},
}

var keyFields = []field{
	{"Name", "k.conname"},
	{"From", oid("k.conrelid")},
	{"To", oid("k.confrelid")},
	{"OnDelete", char("k.confdeltype")},
	{"OnUpdate", char("k.confupdtype")},
	{"FromColumns", "k.conkey"},
	{"ToColumns", "k.confkey"},
}
