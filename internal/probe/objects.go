package probe

// What only the question about a whole session describes.

var schemaFields = []field{
	{"OID", oid("n.oid")},
	{"Name", "n.nspname"},
	{"ClosedTo", `ARRAY(SELECT r.rolname FROM pg_catalog.pg_roles AS r
		WHERE r.rolcanlogin AND NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') ORDER BY r.rolname COLLATE pg_catalog."C")`},
}

var roleFields = []field{
	{"OID", oid("r.oid")},
	{"Name", "r.rolname"},
	{"Login", "r.rolcanlogin"},
	{"Superuser", "r.rolsuper"},
	{"Inherit", "r.rolinherit"},
	{"BypassRowSecurity", "r.rolbypassrls"},
	{"MemberOf", oids(`SELECT DISTINCT m.roleid FROM pg_catalog.pg_auth_members AS m
		WHERE m.member OPERATOR(pg_catalog.=) r.oid ORDER BY m.roleid`)},
	{"NotInherited", oids(notInherited)},
}

// notInherited are the roles that the role r.oid is a member of without inheriting
// what they may. Before PostgreSQL 16 the column is not there, and there are none.
const notInherited = `SELECT m.roleid FROM pg_catalog.pg_auth_members AS m WHERE m.member OPERATOR(pg_catalog.=) r.oid
		GROUP BY m.roleid HAVING pg_catalog.bool_and(pg_catalog.to_jsonb(m) OPERATOR(pg_catalog.->>) 'inherit_option' OPERATOR(pg_catalog.=) 'false') ORDER BY m.roleid`

const operatorFrom = `
		FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace`

var operatorFields = []field{
	{"OID", oid("o.oid")},
	{"Schema", "n.nspname"},
	{"Name", "o.oprname"},
	{"Left", oid("o.oprleft")},
	{"Right", oid("o.oprright")},
	{"Result", oid("o.oprresult")},
	{"Function", oid("o.oprcode")},
	{"Commutator", oid("o.oprcom")},
	{"Negator", oid("o.oprnegate")},
	{"Hashes", "o.oprcanhash"},
	{"Merges", "o.oprcanmerge"},
	{"Restrict", oid("o.oprrest")},
	{"Join", oid("o.oprjoin")},
}

var castFields = []field{
	{"OID", oid("k.oid")},
	{"Source", oid("k.castsource")},
	{"Target", oid("k.casttarget")},
	{"Function", oid("k.castfunc")},
	{"Context", char("k.castcontext")},
	{"Method", char("k.castmethod")},
}

const classFrom = `
		FROM pg_catalog.pg_opclass AS o JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) o.opcnamespace
			JOIN pg_catalog.pg_am AS m ON m.oid OPERATOR(pg_catalog.=) o.opcmethod`

var classFields = []field{
	{"OID", oid("o.oid")},
	{"Schema", "n.nspname"},
	{"Name", "o.opcname"},
	{"Method", "m.amname"},
	{"Input", oid("o.opcintype")},
	{"Key", oid("o.opckeytype")},
	{"Default", "o.opcdefault"},
	{"Family", oid("o.opcfamily")},
	{"Functions", "ARRAY(SELECT p.amproc::pg_catalog.oid::pg_catalog.int8" + classFunctions},
	{"Numbers", "ARRAY(SELECT p.amprocnum" + classFunctions},
	{"Operators", "ARRAY(SELECT p.amopopr::pg_catalog.int8" + classOperators},
	{"Strategies", "ARRAY(SELECT p.amopstrategy" + classOperators},
	{"FamilyFunctions", `ARRAY(SELECT DISTINCT p.amproc::pg_catalog.oid::pg_catalog.int8 AS oid FROM pg_catalog.pg_amproc AS p
		WHERE p.amprocfamily OPERATOR(pg_catalog.=) o.opcfamily AND p.amproc::pg_catalog.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ORDER BY oid)`},
	{"FamilyOperators", "ARRAY(SELECT p.amopopr::pg_catalog.int8" + familyOperators},
	{"FamilyStrategies", "ARRAY(SELECT p.amopstrategy" + familyOperators},
}

const classFunctions = ` FROM pg_catalog.pg_amproc AS p WHERE p.amprocfamily OPERATOR(pg_catalog.=) o.opcfamily
			AND (p.amproclefttype OPERATOR(pg_catalog.=) o.opcintype OR p.amprocrighttype OPERATOR(pg_catalog.=) o.opcintype)
		ORDER BY p.amproclefttype OPERATOR(pg_catalog.<>) p.amprocrighttype, p.amprocnum, p.amproclefttype, p.amprocrighttype)`

const classOperators = ` FROM pg_catalog.pg_amop AS p WHERE p.amopfamily OPERATOR(pg_catalog.=) o.opcfamily
			AND (p.amoplefttype OPERATOR(pg_catalog.=) o.opcintype OR p.amoprighttype OPERATOR(pg_catalog.=) o.opcintype)
		ORDER BY p.amoplefttype OPERATOR(pg_catalog.<>) p.amoprighttype, p.amopstrategy, p.amoplefttype, p.amoprighttype, p.amoppurpose)`

const familyOperators = ` FROM pg_catalog.pg_amop AS p WHERE p.amopfamily OPERATOR(pg_catalog.=) o.opcfamily
			AND p.amopopr OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ORDER BY p.amopopr, p.amopstrategy)`

// Only collations of any encoding and of UTF8 are found by name, as in a snapshot.
const collationFrom = `
		FROM pg_catalog.pg_collation AS k JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) k.collnamespace
			AND k.collencoding OPERATOR(pg_catalog.=) ANY ('{-1,6}'::pg_catalog.int4[])`

var collationFields = []field{
	{"OID", oid("k.oid")},
	{"Schema", "n.nspname"},
	{"Name", "k.collname"},
}

const extensionFrom = `
		FROM pg_catalog.pg_extension AS x JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) x.extnamespace`

var extensionFields = []field{
	{"OID", oid("x.oid")},
	{"Name", "x.extname"},
	{"Schema", "n.nspname"},
	{"Version", "x.extversion"},
}

// globals are the objects of no schema: languages, foreign-data wrappers, foreign servers
// and publications. The letters are those of catalog.GlobalKind.
func globals() string {
	all := ""
	for i, k := range []struct{ letter, table, name, wrapper, trusted, inline string }{
		{"'l'", "pg_language", "o.lanname", "0", "o.lanpltrusted", oid("o.laninline")},
		{"'w'", "pg_foreign_data_wrapper", "o.fdwname", "0", "false", "0"},
		{"'s'", "pg_foreign_server", "o.srvname", oid("o.srvfdw"), "false", "0"},
		{"'p'", "pg_publication", "o.pubname", "0", "false", "0"},
	} {
		if i > 0 {
			all += "\n\t\tUNION ALL "
		}
		all += "SELECT " + object([]field{{"Kind", char(k.letter)}, {"OID", oid("o.oid")}, {"Name", k.name}, {"Wrapper", k.wrapper},
			{"Trusted", k.trusted}, {"Inline", k.inline}}) + " AS global FROM pg_catalog." + k.table + " AS o WHERE " + described(k.table, "o.oid")
	}
	return "(SELECT pg_catalog.json_agg(u.global) FROM (" + all + ") AS u)"
}
