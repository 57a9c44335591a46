package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// boundKinds need admin on the session's database, and something of what they name.
func boundKinds() []kind {
	const (
		effect     = "`ddl`"
		admin      = "`admin` on the database"
		execute    = admin + "; `execute` on the functions named"
		everything = admin + "; a deny on any relation speaks"
	)
	return []kind{
		{node: "GrantStmt", command: "GRANT, REVOKE", effects: effect, accesses: admin + "; a deny on the objects speaks",
			judge: changing("grant", access.EffectDDL, (*pg_query.Node).GetGrantStmt, (*analyzer).grantStmt)},
		{node: "ReassignOwnedStmt", command: "REASSIGN OWNED", effects: effect, accesses: everything, judge: adminJudge("reassign owned", (*analyzer).changesEverything)},
		{node: "DropOwnedStmt", command: "DROP OWNED", effects: effect, accesses: everything, judge: adminJudge("drop owned", (*analyzer).changesEverything)},
		{node: "AlterExtensionContentsStmt", command: "ALTER EXTENSION ADD, DROP", effects: effect, accesses: admin + "; `ddl` on the object's schema",
			judge: changing("alter extension contents", access.EffectDDL, (*pg_query.Node).GetAlterExtensionContentsStmt,
				func(a *analyzer, e *pg_query.AlterExtensionContentsStmt) error {
					if err := a.ofAdmin(e.Objtype, e.Object, nil); err != nil || a.snap.ExtensionByName(e.Extname) != nil {
						return err
					}
					return missingGlobal("extension", e.Extname)
				})},
		{node: "CreateFdwStmt", command: "CREATE FOREIGN DATA WRAPPER", effects: effect, accesses: execute,
			judge: changing("create foreign data wrapper", access.EffectDDL, (*pg_query.Node).GetCreateFdwStmt,
				func(a *analyzer, f *pg_query.CreateFdwStmt) error { return a.wrapperFunctions(f.FuncOptions) })},
		{node: "AlterFdwStmt", command: "ALTER FOREIGN DATA WRAPPER", effects: effect, accesses: execute,
			judge: changing("alter foreign data wrapper", access.EffectDDL, (*pg_query.Node).GetAlterFdwStmt,
				func(a *analyzer, f *pg_query.AlterFdwStmt) error {
					a.ask(access.Admin, a.database())
					if _, err := a.global(catalog.KindWrapper, f.Fdwname); err != nil {
						return err
					}
					return a.wrapperFunctions(f.FuncOptions)
				})},
		{node: "CreateAmStmt", command: "CREATE ACCESS METHOD", effects: effect, accesses: execute,
			judge: changing("create access method", access.EffectDDL, (*pg_query.Node).GetCreateAmStmt, (*analyzer).createAccessMethod)},
		{node: "CreateEventTrigStmt", command: "CREATE EVENT TRIGGER", effects: effect, accesses: execute,
			judge: changing("create event trigger", access.EffectDDL, (*pg_query.Node).GetCreateEventTrigStmt, (*analyzer).createEventTrigger)},
		{node: "CreatePLangStmt", command: "CREATE LANGUAGE", effects: effect, accesses: execute,
			judge: changing("create language", access.EffectDDL, (*pg_query.Node).GetCreatePlangStmt, (*analyzer).createLanguage)},
		{node: "CreateOpClassStmt", command: "CREATE OPERATOR CLASS", effects: effect,
			accesses: admin + "; `ddl` on the schema and on that of the family, which must be named; `usage` on user types; `execute` on the functions named, and on those of operators",
			judge:    changing("create operator class", access.EffectDDL, (*pg_query.Node).GetCreateOpClassStmt, (*analyzer).createClass)},
		{node: "CreateOpFamilyStmt", command: "CREATE OPERATOR FAMILY", effects: effect, accesses: admin + "; `ddl` on the schema",
			judge: changing("create operator family", access.EffectDDL, (*pg_query.Node).GetCreateOpFamilyStmt, (*analyzer).createFamily)},
		{node: "AlterOpFamilyStmt", command: "ALTER OPERATOR FAMILY", effects: effect,
			accesses: admin + "; `ddl` on its schema, which must be named; `execute` on the functions named, and on those of operators",
			judge:    changing("alter operator family", access.EffectDDL, (*pg_query.Node).GetAlterOpFamilyStmt, (*analyzer).alterFamily)},
		{node: "CreateCastStmt", command: "CREATE CAST", effects: effect, accesses: execute + "; `usage` on user types",
			judge: changing("create cast", access.EffectDDL, (*pg_query.Node).GetCreateCastStmt, (*analyzer).createCast)},
		{node: "CreateTransformStmt", command: "CREATE TRANSFORM", effects: effect, accesses: execute + "; `usage` on a user's type",
			judge: changing("create transform", access.EffectDDL, (*pg_query.Node).GetCreateTransformStmt, (*analyzer).createTransform)},
		{node: "CreateConversionStmt", command: "CREATE CONVERSION", effects: effect, accesses: execute + "; `ddl` on the schema",
			judge: changing("create conversion", access.EffectDDL, (*pg_query.Node).GetCreateConversionStmt, (*analyzer).createConversion)},
		{node: "AlterTypeStmt", command: "ALTER TYPE SET", effects: effect, accesses: execute + "; `ddl` on the schema",
			judge: changing("alter type", access.EffectDDL, (*pg_query.Node).GetAlterTypeStmt, (*analyzer).alterType)},
		{node: "CreatePublicationStmt", command: "CREATE PUBLICATION", effects: effect,
			accesses: admin + "; `ddl` on the schemas and `select` on the tables that are published, which ALL TABLES asks for on every table; what a filter reads",
			judge:    changing("create publication", access.EffectDDL, (*pg_query.Node).GetCreatePublicationStmt, (*analyzer).createPublication)},
		{node: "AlterPublicationStmt", command: "ALTER PUBLICATION", effects: effect, accesses: "as CREATE PUBLICATION; DROP `admin` alone",
			judge: changing("alter publication", access.EffectDDL, (*pg_query.Node).GetAlterPublicationStmt, (*analyzer).alterPublication)},
	}
}
