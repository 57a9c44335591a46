package probe

import (
	"strconv"
	"strings"
)

// The question about a whole session has three parts.
//
// What the open transaction has written: rows that carry its id as their xmin, or a
// later one, since subtransactions get theirs after it (AssignTransactionId of
// xact.c). Rows that others have committed since then come along; they do no harm.
// age() does not compare with the newest id but with one that stays the same in a
// transaction (xid_age of xid.c), which both sides of the comparison share. Without
// an id the transaction has written nothing.
//
// What it has deleted leaves no row, but locks that are held to its end. Everything
// that is dropped is locked first (AcquireDeletionLock of dependency.c): a relation as
// such, any other object under its catalog's OID, both ACCESS EXCLUSIVE. Rows that hang
// off a relation are deleted under a lock on that. ROLLBACK TO gives locks and rows
// back together. So whatever the session holds a strong lock on is described as it is
// now, and is dropped if it is not there. A constraint of a domain locks itself only:
// then every domain is described; so it is with the members of operator families.
//
// What else reads differently because of that: names of objects stand in the texts of
// those that depend on them (pg_depend), one step away.
//
// Roles have no xmin that anybody may read, but who changes one, or a membership, keeps
// a lock on pg_authid or pg_auth_members (user.c: "keep lock till commit"). Then all roles
// are described, and who may use which schema.
//
// Queries see the transaction's snapshot, but the server looks names up in the newest
// catalog. Under REPEATABLE READ and SERIALIZABLE the two differ: there only the
// temporary schema is described, whose rows nobody else writes, and the answer says
// that there is more.

// AnswerLimit is how long an answer may be, in bytes. A longer one is not given.
const AnswerLimit = 4 << 20

// strong are the locks that a change takes, and that reading and writing rows does
// not.
const strong = `'{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'::pg_catalog.text[]`

// written lists the catalogs whose rows belong to an object: the table, the object's
// own catalog and the column that says which it is.
var written = []struct{ table, class, column string }{
	{"pg_namespace", "pg_namespace", "oid"},
	{"pg_class", "pg_class", "oid"},
	{"pg_attribute", "pg_class", "attrelid"},
	{"pg_attrdef", "pg_class", "adrelid"},
	{"pg_constraint", "pg_class", "conrelid"},
	{"pg_constraint", "pg_class", "confrelid"},
	{"pg_constraint", "pg_type", "contypid"},
	{"pg_index", "pg_class", "indrelid"},
	{"pg_trigger", "pg_class", "tgrelid"},
	{"pg_rewrite", "pg_class", "ev_class"},
	{"pg_policy", "pg_class", "polrelid"},
	{"pg_statistic_ext", "pg_class", "stxrelid"},
	{"pg_sequence", "pg_class", "seqrelid"},
	{"pg_inherits", "pg_class", "inhrelid"},
	{"pg_inherits", "pg_class", "inhparent"},
	{"pg_partitioned_table", "pg_class", "partrelid"},
	{"pg_foreign_table", "pg_class", "ftrelid"},
	{"pg_type", "pg_type", "oid"},
	{"pg_enum", "pg_type", "enumtypid"},
	{"pg_range", "pg_type", "rngtypid"},
	{"pg_range", "pg_type", "rngmultitypid"},
	{"pg_proc", "pg_proc", "oid"},
	{"pg_aggregate", "pg_proc", "aggfnoid"},
	{"pg_operator", "pg_operator", "oid"},
	{"pg_cast", "pg_cast", "oid"},
	{"pg_opclass", "pg_opclass", "oid"},
	{"pg_opfamily", "pg_opfamily", "oid"},
	{"pg_amop", "pg_opfamily", "amopfamily"},
	{"pg_amproc", "pg_opfamily", "amprocfamily"},
	{"pg_collation", "pg_collation", "oid"},
	{"pg_extension", "pg_extension", "oid"},
	{"pg_foreign_server", "pg_foreign_server", "oid"},
	{"pg_language", "pg_language", "oid"},
	{"pg_foreign_data_wrapper", "pg_foreign_data_wrapper", "oid"},
	{"pg_publication", "pg_publication", "oid"},
	{"pg_ts_config", "pg_ts_config", "oid"},
	{"pg_ts_dict", "pg_ts_dict", "oid"},
	{"pg_event_trigger", "pg_event_trigger", "oid"},
}

// members are the catalogs whose objects can lie in a temporary schema.
var members = []struct{ table, schema string }{
	{"pg_class", "relnamespace"},
	{"pg_type", "typnamespace"},
	{"pg_proc", "pronamespace"},
	{"pg_operator", "oprnamespace"},
	{"pg_opclass", "opcnamespace"},
	{"pg_opfamily", "opfnamespace"},
	{"pg_collation", "collnamespace"},
}

// hanging are the catalogs whose rows have texts that are printed with the relation
// they hang off.
var hanging = []struct{ table, key, relation string }{
	{"pg_rewrite", "oid", "ev_class"},
	{"pg_attrdef", "oid", "adrelid"},
	{"pg_constraint", "oid", "conrelid"},
	{"pg_trigger", "oid", "tgrelid"},
	{"pg_policy", "oid", "polrelid"},
	{"pg_statistic_ext", "oid", "stxrelid"},
}

// class is the OID of a catalog.
func class(table string) string {
	return "'pg_catalog." + table + "'::pg_catalog.regclass::pg_catalog.oid"
}

// normal says that an object did not come with the server.
func normal(column string) string {
	return column + " OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid"
}

// among says that a column is one of the OIDs that a query gives.
func among(column, query string) string {
	return column + " OPERATOR(pg_catalog.=) ANY (ARRAY(" + query + "))"
}

// own says that a row was written by the open transaction, or since it has an id.
const own = `(SELECT m.age FROM me AS m) IS NOT NULL AND pg_catalog.age(xmin) OPERATOR(pg_catalog.<=) (SELECT m.age FROM me AS m)`

// systemSchema says that a schema is one that comes with the server or holds TOAST
// tables: what is in it is not described.
func systemSchema(column string) string {
	return "(" + column + ` OPERATOR(pg_catalog.~) '^pg_(toast|catalog$)' OR ` + column + ` OPERATOR(pg_catalog.=) 'information_schema')`
}

// sessionQuery makes the query of Session: one row of one JSON document.
func sessionQuery() string {
	var b strings.Builder
	b.WriteString(`WITH me AS MATERIALIZED (SELECT pg_catalog.pg_my_temp_schema() AS temp, pg_catalog.age(x.id) AS age,
		pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.~) '^read ' AS moving
	FROM (SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.xid AS id OFFSET 0) AS x),
wrote AS MATERIALIZED (`)
	for i, w := range written {
		if i > 0 {
			b.WriteString("UNION ALL ")
		}
		b.WriteString("SELECT " + class(w.class) + " AS class, " + w.column + "::pg_catalog.oid AS oid FROM pg_catalog." + w.table + " WHERE " + own + "\n\t")
	}
	b.WriteString(`UNION ALL SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d WHERE d.refclassid OPERATOR(pg_catalog.=) ` + class("pg_extension") + `
		AND ` + strings.Replace(own, "(xmin)", "(d.xmin)", 1) + `),
locked AS MATERIALIZED (SELECT COALESCE(l.classid, ` + class("pg_class") + `) AS class, COALESCE(l.objid, l.relation) AS oid
	FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_database AS b ON b.oid OPERATOR(pg_catalog.=) l.database
	WHERE (SELECT m.age FROM me AS m) IS NOT NULL AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.granted
		AND b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
		AND (l.locktype OPERATOR(pg_catalog.=) 'relation' OR l.locktype OPERATOR(pg_catalog.=) 'object')
		AND l.mode OPERATOR(pg_catalog.=) ANY (` + strong + `)),
roles AS MATERIALIZED (SELECT l.relation AS oid FROM pg_catalog.pg_locks AS l
	WHERE (SELECT m.age FROM me AS m) IS NOT NULL AND (SELECT m.moving FROM me AS m)
		AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.granted AND l.locktype OPERATOR(pg_catalog.=) 'relation'
		AND l.database OPERATOR(pg_catalog.=) 0::pg_catalog.oid
		AND (l.relation OPERATOR(pg_catalog.=) ` + class("pg_authid") + ` OR l.relation OPERATOR(pg_catalog.=) ` + class("pg_auth_members") + `)
		AND l.mode OPERATOR(pg_catalog.<>) 'AccessShareLock' AND l.mode OPERATOR(pg_catalog.<>) 'RowShareLock'),
private AS MATERIALIZED (`)
	for i, m := range members {
		if i > 0 {
			b.WriteString("UNION ALL ")
		}
		b.WriteString("SELECT " + class(m.table) + " AS class, o.oid FROM me AS m JOIN pg_catalog." + m.table + " AS o ON o." + m.schema +
			" OPERATOR(pg_catalog.=) m.temp\n\t")
	}
	b.WriteString(`UNION ALL SELECT ` + class("pg_cast") + `, k.oid FROM pg_catalog.pg_cast AS k JOIN pg_catalog.pg_type AS t
		ON t.oid OPERATOR(pg_catalog.=) k.castsource OR t.oid OPERATOR(pg_catalog.=) k.casttarget
		JOIN me AS m ON m.temp OPERATOR(pg_catalog.=) t.typnamespace WHERE m.temp OPERATOR(pg_catalog.<>) 0::pg_catalog.oid),
parents AS MATERIALIZED (SELECT i.inhparent AS oid FROM me AS m
	JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) m.temp
	JOIN pg_catalog.pg_inherits AS i ON i.inhrelid OPERATOR(pg_catalog.=) c.oid
	JOIN pg_catalog.pg_class AS u ON u.oid OPERATOR(pg_catalog.=) i.inhparent AND u.relpersistence OPERATOR(pg_catalog.<>) 't'),
touched AS MATERIALIZED (SELECT w.class, w.oid FROM wrote AS w UNION SELECT l.class, l.oid FROM locked AS l),
seeds AS MATERIALIZED (SELECT p.class, p.oid FROM private AS p
	UNION SELECT t.class, t.oid FROM touched AS t WHERE (SELECT m.moving FROM me AS m)),
moved AS MATERIALIZED (SELECT d.classid AS class, d.objid AS oid FROM seeds AS s JOIN pg_catalog.pg_depend AS d
	ON d.refclassid OPERATOR(pg_catalog.=) s.class AND d.refobjid OPERATOR(pg_catalog.=) s.oid),
every AS MATERIALIZED (SELECT s.class, s.oid FROM seeds AS s UNION SELECT d.class, d.oid FROM moved AS d),
gone AS MATERIALIZED (SELECT l.class, l.oid FROM locked AS l WHERE
	l.class OPERATOR(pg_catalog.=) ` + class("pg_constraint") + ` AND NOT (` + among("l.oid", "SELECT k.oid FROM pg_catalog.pg_constraint AS k") + `)
	OR l.class OPERATOR(pg_catalog.=) ` + class("pg_amop") + ` OR l.class OPERATOR(pg_catalog.=) ` + class("pg_amproc") + `),
relations AS MATERIALIZED (`)
	b.WriteString("SELECT e.oid FROM every AS e WHERE e.class OPERATOR(pg_catalog.=) " + class("pg_class") + "\n\tUNION SELECT p.oid FROM parents AS p WHERE (SELECT m.moving FROM me AS m)\n\t")
	for _, h := range hanging {
		b.WriteString("UNION SELECT h." + h.relation + " FROM moved AS d JOIN pg_catalog." + h.table + " AS h ON h." + h.key + " OPERATOR(pg_catalog.=) d.oid WHERE d.class OPERATOR(pg_catalog.=) " +
			class(h.table) + "\n\t")
	}
	b.WriteString(`UNION SELECT h.indrelid FROM moved AS d JOIN pg_catalog.pg_index AS h ON h.indexrelid OPERATOR(pg_catalog.=) d.oid
		WHERE d.class OPERATOR(pg_catalog.=) ` + class("pg_class") + `),
types AS MATERIALIZED (SELECT e.oid FROM every AS e WHERE e.class OPERATOR(pg_catalog.=) ` + class("pg_type") + `
	UNION SELECT k.contypid FROM moved AS d JOIN pg_catalog.pg_constraint AS k ON k.oid OPERATOR(pg_catalog.=) d.oid
		WHERE d.class OPERATOR(pg_catalog.=) ` + class("pg_constraint") + `
	UNION SELECT t.oid FROM pg_catalog.pg_type AS t WHERE t.typtype OPERATOR(pg_catalog.=) 'd' AND EXISTS (SELECT FROM gone AS g
		WHERE g.class OPERATOR(pg_catalog.=) ` + class("pg_constraint") + `)),
classes AS MATERIALIZED (SELECT s.oid FROM seeds AS s WHERE s.class OPERATOR(pg_catalog.=) ` + class("pg_opclass") + `
	UNION SELECT o.oid FROM seeds AS s JOIN pg_catalog.pg_opclass AS o ON o.opcfamily OPERATOR(pg_catalog.=) s.oid
		WHERE s.class OPERATOR(pg_catalog.=) ` + class("pg_opfamily") + `
	UNION SELECT o.oid FROM pg_catalog.pg_opclass AS o WHERE EXISTS (SELECT FROM gone AS g
		WHERE g.class OPERATOR(pg_catalog.<>) ` + class("pg_constraint") + `))
SELECT CASE WHEN pg_catalog.octet_length(z.answer) OPERATOR(pg_catalog.<=) ` + strconv.Itoa(AnswerLimit) + ` THEN z.answer ELSE '{"TooLong":true}' END
FROM (SELECT ` + object(sessionFields()) + `::pg_catalog.text AS answer OFFSET 0) AS z`)
	return b.String()
}

// rows is an array of the objects that a condition chooses.
func rows(fields []field, oid, from, where string) string {
	return "(SELECT pg_catalog.json_agg(" + object(fields) + " ORDER BY " + oid + ")" + from + " WHERE " + where + " AND NOT " + systemSchema("n.nspname") + ")"
}

// described chooses the objects of a catalog that the transaction has touched or that
// are temporary.
func described(table, column string) string {
	return normal(column) + " AND " + among(column, "SELECT s.oid FROM seeds AS s WHERE s.class OPERATOR(pg_catalog.=) "+class(table))
}

// dropped lists the objects of a catalog that are locked and not there.
func dropped(table string) string {
	return oids(`SELECT l.oid FROM locked AS l WHERE (SELECT m.moving FROM me AS m) AND l.class OPERATOR(pg_catalog.=) ` + class(table) + `
		AND NOT EXISTS (SELECT FROM pg_catalog.` + table + ` AS o WHERE o.oid OPERATOR(pg_catalog.=) l.oid) ORDER BY l.oid`)
}

func sessionFields() []field {
	return []field{
		{"Database", "pg_catalog.current_database()"},
		{"ServerVersionNum", "pg_catalog.current_setting('server_version_num')::pg_catalog.int4"},
		{"TempSchema", "(SELECT s.nspname FROM me AS m JOIN pg_catalog.pg_namespace AS s ON s.oid OPERATOR(pg_catalog.=) m.temp)"},
		{"Wrote", "(SELECT m.age FROM me AS m) IS NOT NULL"},
		{"Made", "EXISTS (SELECT FROM wrote AS w JOIN private AS p ON p.class OPERATOR(pg_catalog.=) w.class AND p.oid OPERATOR(pg_catalog.=) w.oid)"},
		{"Roles", "CASE WHEN (SELECT m.age FROM me AS m) IS NOT NULL THEN (" + roles + ") END"},
		{"AllRoles", "(SELECT pg_catalog.json_agg(" + object(roleFields) + " ORDER BY r.oid) FROM pg_catalog.pg_roles AS r WHERE EXISTS (SELECT FROM roles))"},
		{"Hidden", "ARRAY(" + hidden() + ")"},
		{"Schemas", `(SELECT pg_catalog.json_agg(` + object(schemaFields) + ` ORDER BY n.oid) FROM pg_catalog.pg_namespace AS n
		WHERE n.nspname OPERATOR(pg_catalog.!~) '^pg_' AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
			AND (` + among("n.oid", "SELECT s.oid FROM seeds AS s WHERE s.class OPERATOR(pg_catalog.=) "+class("pg_namespace")) + ` OR EXISTS (SELECT FROM roles)))`},
		{"Relations", rows(relationFields, "c.oid", relationFrom, normal("c.oid")+" AND c.relkind OPERATOR(pg_catalog.<>) 't' AND "+
			among("c.oid", "SELECT r.oid FROM relations AS r")+` AND (c.relpersistence OPERATOR(pg_catalog.<>) 't'
			OR c.relnamespace OPERATOR(pg_catalog.=) (SELECT m.temp FROM me AS m))`)},
		{"Types", rows(typeFields, "t.oid", typeFrom, normal("t.oid")+" AND "+among("t.oid", "SELECT y.oid FROM types AS y"))},
		{"Functions", rows(functionFields, "p.oid", functionFrom, normal("p.oid")+" AND "+
			among("p.oid", "SELECT e.oid FROM every AS e WHERE e.class OPERATOR(pg_catalog.=) "+class("pg_proc")))},
		{"Operators", rows(operatorFields, "o.oid", operatorFrom, described("pg_operator", "o.oid"))},
		{"Casts", `(SELECT pg_catalog.json_agg(` + object(castFields) + ` ORDER BY k.oid) FROM pg_catalog.pg_cast AS k WHERE ` + described("pg_cast", "k.oid") + `)`},
		{"OperatorClasses", rows(classFields, "o.oid", classFrom, normal("o.oid")+" AND "+among("o.oid", "SELECT k.oid FROM classes AS k"))},
		{"Collations", rows(collationFields, "k.oid", collationFrom, described("pg_collation", "k.oid"))},
		{"Extensions", `(SELECT pg_catalog.json_agg(` + object(extensionFields) + ` ORDER BY x.oid)` + extensionFrom + ` WHERE ` + described("pg_extension", "x.oid") + `)`},
		{"Globals", globals()},
		{"Dropped", object([]field{
			{"Schemas", dropped("pg_namespace")}, {"Relations", dropped("pg_class")}, {"Types", dropped("pg_type")}, {"Functions", dropped("pg_proc")},
			{"Operators", dropped("pg_operator")}, {"Casts", dropped("pg_cast")}, {"OperatorClasses", dropped("pg_opclass")},
			{"Collations", dropped("pg_collation")}, {"Extensions", dropped("pg_extension")},
			{"Languages", dropped("pg_language")}, {"Wrappers", dropped("pg_foreign_data_wrapper")}, {"Servers", dropped("pg_foreign_server")},
			{"Publications", dropped("pg_publication")},
		})},
	}
}

// roles identifies every role: the same text is made from a snapshot
// (catalog.Snapshot.RolesDigest). The rows of pg_authid cannot be looked at.
const roles = `SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.string_agg(
		pg_catalog.concat_ws(' ', r.oid, pg_catalog.encode(pg_catalog.convert_to(r.rolname::pg_catalog.text, 'UTF8'), 'hex'), r.rolcanlogin, r.rolsuper, r.rolinherit,
			r.rolbypassrls, pg_catalog.array_to_string(ARRAY(SELECT DISTINCT m.roleid FROM pg_catalog.pg_auth_members AS m
				WHERE m.member OPERATOR(pg_catalog.=) r.oid ORDER BY m.roleid), ','),
			pg_catalog.array_to_string(ARRAY(` + notInherited + `), ',')),
		'|' ORDER BY r.oid), 'UTF8')), 'hex') FROM pg_catalog.pg_roles AS r`

// hidden says what the answer cannot show, in words of catalog.DescribeSession.
func hidden() string {
	out := `SELECT 'isolation' WHERE NOT (SELECT m.moving FROM me AS m) AND EXISTS (SELECT FROM touched AS t WHERE NOT EXISTS (
			SELECT FROM private AS p WHERE p.class OPERATOR(pg_catalog.=) t.class AND p.oid OPERATOR(pg_catalog.=) t.oid)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
			WHERE t.class OPERATOR(pg_catalog.=) ` + class("pg_class") + ` AND c.oid OPERATOR(pg_catalog.=) t.oid AND n.nspname OPERATOR(pg_catalog.~) '^pg_toast')
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace AS n
			WHERE t.class OPERATOR(pg_catalog.=) ` + class("pg_namespace") + ` AND n.oid OPERATOR(pg_catalog.=) t.oid AND n.nspname OPERATOR(pg_catalog.~) '^pg_'))
	UNION ALL SELECT 'parents' WHERE NOT (SELECT m.moving FROM me AS m) AND EXISTS (SELECT FROM parents)
	UNION ALL SELECT 'event triggers' WHERE EXISTS (SELECT FROM touched AS t WHERE t.class OPERATOR(pg_catalog.=) ` + class("pg_event_trigger") + `)
	UNION ALL SELECT 'system' WHERE EXISTS (SELECT FROM wrote AS w WHERE w.oid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
		AND w.oid OPERATOR(pg_catalog.<) 16384::pg_catalog.oid AND w.class OPERATOR(pg_catalog.<>) ` + class("pg_namespace") + `)`
	for _, m := range members {
		out += `
	UNION ALL SELECT 'system' WHERE EXISTS (SELECT FROM wrote AS w JOIN pg_catalog.` + m.table + ` AS o ON o.oid OPERATOR(pg_catalog.=) w.oid
		JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) o.` + m.schema + ` WHERE w.class OPERATOR(pg_catalog.=) ` + class(m.table) + `
			AND (n.nspname OPERATOR(pg_catalog.=) 'pg_catalog' OR n.nspname OPERATOR(pg_catalog.=) 'information_schema'))`
	}
	return out
}
