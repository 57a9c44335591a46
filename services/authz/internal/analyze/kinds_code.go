package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// codeKinds are the statements that define or run code, and types.
func codeKinds() []kind {
	const (
		ddl    = "`ddl` on the schema"
		effect = "`ddl`"
	)
	return []kind{
		{node: "CreateFunctionStmt", stores: true, command: "CREATE FUNCTION, CREATE PROCEDURE", effects: effect,
			judge: changing("create function", access.EffectDDL, (*pg_query.Node).GetCreateFunctionStmt, (*analyzer).createFunction),
			accesses: ddl + "; what the body of an SQL function reads and runs; in any other language, where the body cannot be followed, or where its path is not fixed under SECURITY DEFINER, " +
				"by a grant that is trusted; `admin` on the database for C, internal, untrusted languages, LEAKPROOF and SUPPORT"},
		{node: "AlterFunctionStmt", command: "ALTER FUNCTION, ALTER PROCEDURE", effects: effect,
			judge:    changing("alter function", access.EffectDDL, (*pg_query.Node).GetAlterFunctionStmt, (*analyzer).alterFunction),
			accesses: ddl + "; for SECURITY DEFINER and settings by a grant that is trusted; `admin` for LEAKPROOF and SUPPORT"},
		{node: "DoStmt", command: "DO", judge: changing("do", access.EffectOpaque, (*pg_query.Node).GetDoStmt, (*analyzer).doStmt), effects: "`opaque`",
			accesses: "`execute` on the inline handler of the language (`function:pg_catalog.plpgsql_inline_handler`), by a grant that is trusted"},
		{node: "CallStmt", command: "CALL", effects: "`opaque` where the code cannot be analysed",
			judge:    named("call", (*pg_query.Node).GetCallStmt, (*analyzer).callStmt),
			accesses: "`execute` on the procedure; what its SQL body needs, trust in any other; what the arguments need"},
		{node: "CreateTrigStmt", stores: true, command: "CREATE TRIGGER", effects: effect,
			judge:    changing("create trigger", access.EffectDDL, (*pg_query.Node).GetCreateTrigStmt, (*analyzer).createTrigger),
			accesses: "`trigger` on the table, its partitions and the table of FROM, trusted where a partition key's class or expression runs code; `execute` on the function, trusted if it cannot be looked into"},
		{node: "RuleStmt", stores: true, command: "CREATE RULE", effects: effect,
			judge:    changing("create rule", access.EffectDDL, (*pg_query.Node).GetRuleStmt, (*analyzer).createRule),
			accesses: ddl + "; what condition and actions read, write and run: they run with the rights of the table's owner"},
		{node: "CreatePolicyStmt", stores: true, command: "CREATE POLICY", effects: effect,
			judge:    changing("create policy", access.EffectDDL, (*pg_query.Node).GetCreatePolicyStmt, (*analyzer).createPolicy),
			accesses: ddl + "; unless it is restrictive `select` on the table: its rows become readable; what the expressions read and run"},
		{node: "AlterPolicyStmt", stores: true, command: "ALTER POLICY", effects: effect,
			judge:    changing("alter policy", access.EffectDDL, (*pg_query.Node).GetAlterPolicyStmt, (*analyzer).alterPolicy),
			accesses: "as CREATE POLICY"},
		{node: "DefineStmt", command: "CREATE AGGREGATE, OPERATOR, TYPE, COLLATION, TEXT SEARCH …", effects: effect,
			judge: changing("create", access.EffectDDL, (*pg_query.Node).GetDefineStmt, (*analyzer).define),
			accesses: ddl + ", also on that of a commutator or negator; `execute` on the functions named, trusted in an aggregate if they cannot be looked into; " +
				"`usage` on user types and of the schemas of what else is named; `admin` on the database for base types, parsers, templates and a user's estimator"},
		{node: "CompositeTypeStmt", command: "CREATE TYPE AS", effects: effect,
			judge:    changing("create type", access.EffectDDL, (*pg_query.Node).GetCompositeTypeStmt, (*analyzer).createComposite),
			accesses: ddl + "; `usage` on user types"},
		{node: "CreateEnumStmt", command: "CREATE TYPE AS ENUM", effects: effect, accesses: ddl,
			judge: changing("create type", access.EffectDDL, (*pg_query.Node).GetCreateEnumStmt, (*analyzer).createEnum)},
		{node: "AlterEnumStmt", command: "ALTER TYPE ADD VALUE, RENAME VALUE", effects: effect, accesses: ddl,
			judge: changing("alter type", access.EffectDDL, (*pg_query.Node).GetAlterEnumStmt, (*analyzer).alterEnum)},
		{node: "CreateRangeStmt", command: "CREATE TYPE AS RANGE", effects: effect,
			judge:    changing("create type", access.EffectDDL, (*pg_query.Node).GetCreateRangeStmt, (*analyzer).createRange),
			accesses: ddl + "; `execute` on the functions named, trusted if they cannot be looked into; trust in the code of a user's operator class"},
		{node: "CreateDomainStmt", stores: true, command: "CREATE DOMAIN", effects: effect,
			judge:    changing("create domain", access.EffectDDL, (*pg_query.Node).GetCreateDomainStmt, (*analyzer).createDomain),
			accesses: ddl + "; `usage` on a user's base type; what the expressions read and run"},
		{node: "AlterDomainStmt", stores: true, command: "ALTER DOMAIN", effects: effect,
			judge:    changing("alter domain", access.EffectDDL, (*pg_query.Node).GetAlterDomainStmt, (*analyzer).alterDomain),
			accesses: ddl + "; for constraints `select` on all columns of the domain, since what is stored is held against them; what the expressions read and run"},
		{node: "AlterOperatorStmt", command: "ALTER OPERATOR", effects: effect,
			judge:    changing("alter operator", access.EffectDDL, (*pg_query.Node).GetAlterOperatorStmt, (*analyzer).alterOperator),
			accesses: ddl + ", also on that of a commutator or negator; `execute` on the functions named; `admin` on the database for a user's estimator"},
		{node: "AlterCollationStmt", command: "ALTER COLLATION REFRESH VERSION", effects: effect, accesses: ddl,
			judge: changing("alter collation", access.EffectDDL, (*pg_query.Node).GetAlterCollationStmt,
				func(a *analyzer, c *pg_query.AlterCollationStmt) error {
					return a.ofKind(pg_query.ObjectType_OBJECT_COLLATION, c.Collname)
				})},
		{node: "AlterTSDictionaryStmt", command: "ALTER TEXT SEARCH DICTIONARY", effects: effect, accesses: ddl,
			judge: changing("alter text search dictionary", access.EffectDDL, (*pg_query.Node).GetAlterTsdictionaryStmt,
				func(a *analyzer, d *pg_query.AlterTSDictionaryStmt) error {
					return a.ofKind(pg_query.ObjectType_OBJECT_TSDICTIONARY, d.Dictname)
				})},
		{node: "AlterTSConfigurationStmt", command: "ALTER TEXT SEARCH CONFIGURATION", effects: effect, accesses: ddl,
			judge: changing("alter text search configuration", access.EffectDDL, (*pg_query.Node).GetAlterTsconfigurationStmt, (*analyzer).alterConfiguration)},
	}
}

// ofKind asks for ddl on an object that has a list of names.
func (a *analyzer) ofKind(typ pg_query.ObjectType, names []*pg_query.Node) error {
	s := subject{kind: a.objects[typ]}
	return a.changesQualified(&s, names)
}
