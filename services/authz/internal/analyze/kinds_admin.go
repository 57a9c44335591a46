package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// adminJudge makes a judgement of a statement of administration.
func adminJudge(command string, judge func(*analyzer) error) judgement {
	return func(a *analyzer, _ *pg_query.Node) (access.Statement, error) {
		return access.Statement{Kind: command, Effects: []access.Effect{{Kind: access.EffectDDL}}}, judge(a)
	}
}

// adminKinds need admin on the session's database: whoever may do these can become
// whatever the login can.
func adminKinds() []kind {
	var all []kind
	for _, k := range []struct{ node, command, word string }{
		{"GrantRoleStmt", "GRANT role, REVOKE role", "grant role"},
		{"AlterDefaultPrivilegesStmt", "ALTER DEFAULT PRIVILEGES", "alter default privileges"},
		{"CreateRoleStmt", "CREATE ROLE", "create role"},
		{"AlterRoleStmt", "ALTER ROLE", "alter role"},
		{"AlterRoleSetStmt", "ALTER ROLE … SET", "alter role set"},
		{"DropRoleStmt", "DROP ROLE", "drop role"},
		{"CreateTableSpaceStmt", "CREATE TABLESPACE", "create tablespace"},
		{"DropTableSpaceStmt", "DROP TABLESPACE", "drop tablespace"},
		{"AlterTableSpaceOptionsStmt", "ALTER TABLESPACE", "alter tablespace"},
		{"AlterTableMoveAllStmt", "ALTER TABLE ALL IN TABLESPACE", "alter table all"},
		{"CreateExtensionStmt", "CREATE EXTENSION", "create extension"},
		{"CreateSubscriptionStmt", "CREATE SUBSCRIPTION", "create subscription"},
		{"AlterSubscriptionStmt", "ALTER SUBSCRIPTION", "alter subscription"},
		{"DropSubscriptionStmt", "DROP SUBSCRIPTION", "drop subscription"},
		{"CheckPointStmt", "CHECKPOINT", "checkpoint"},
		{"AlterDatabaseRefreshCollStmt", "ALTER DATABASE REFRESH COLLATION VERSION", "alter database"},
	} {
		all = append(all, kind{node: k.node, command: k.command, judge: adminJudge(k.word, (*analyzer).onDatabase),
			accesses: "`admin` on the database", effects: "`ddl`"})
	}
	return append(append(all, globalKinds()...), otherAdminKinds()...)
}

// otherAdminKinds need admin on what they name, or something besides.
func otherAdminKinds() []kind {
	const other = "`admin` on that database"
	return []kind{
		{node: "CreateForeignTableStmt", command: "CREATE FOREIGN TABLE", effects: "`ddl`", accesses: "`admin` on the database; as CREATE TABLE",
			judge: changing("create foreign table", access.EffectDDL, (*pg_query.Node).GetCreateForeignTableStmt, (*analyzer).createForeignTable)},
		{node: "ImportForeignSchemaStmt", command: "IMPORT FOREIGN SCHEMA", effects: "`ddl`", accesses: "`admin` on the database; `ddl` on the schema",
			judge: changing("import foreign schema", access.EffectDDL, (*pg_query.Node).GetImportForeignSchemaStmt,
				func(a *analyzer, i *pg_query.ImportForeignSchemaStmt) error {
					a.ask(access.Admin, a.database())
					if _, err := a.global(catalog.KindServer, i.ServerName); err != nil {
						return err
					}
					return a.ddlIn(i.LocalSchema)
				})},
		{node: "LoadStmt", command: "LOAD", effects: "`opaque`", accesses: "`admin` on the database",
			judge: changing("load", access.EffectOpaque, (*pg_query.Node).GetLoadStmt,
				func(a *analyzer, _ *pg_query.LoadStmt) error { return a.onDatabase() })},
		{node: "CreatedbStmt", command: "CREATE DATABASE", accesses: other,
			judge: named("create database", (*pg_query.Node).GetCreatedbStmt, func(a *analyzer, c *pg_query.CreatedbStmt) error { return a.otherDatabase(c.Dbname) })},
		{node: "AlterDatabaseStmt", command: "ALTER DATABASE", accesses: other,
			judge: named("alter database", (*pg_query.Node).GetAlterDatabaseStmt, func(a *analyzer, c *pg_query.AlterDatabaseStmt) error { return a.otherDatabase(c.Dbname) })},
		{node: "AlterDatabaseSetStmt", command: "ALTER DATABASE … SET", accesses: other,
			judge: named("alter database set", (*pg_query.Node).GetAlterDatabaseSetStmt, func(a *analyzer, c *pg_query.AlterDatabaseSetStmt) error { return a.otherDatabase(c.Dbname) })},
		{node: "DropdbStmt", command: "DROP DATABASE", accesses: other,
			judge: named("drop database", (*pg_query.Node).GetDropdbStmt, func(a *analyzer, c *pg_query.DropdbStmt) error { return a.otherDatabase(c.Dbname) })},
		{node: "AlterSystemStmt", command: "ALTER SYSTEM", accesses: "`admin` on `setting:…`, for ALL on the database",
			judge: named("alter system", (*pg_query.Node).GetAlterSystemStmt, (*analyzer).alterSystem)},
	}
}

func (a *analyzer) otherDatabase(name string) error {
	a.ask(access.Admin, access.Object{Kind: access.Database, Name: name})
	return nil
}

func (a *analyzer) alterSystem(s *pg_query.AlterSystemStmt) error {
	if s.Setstmt.GetName() == "" {
		return a.onDatabase()
	}
	a.ask(access.Admin, access.Object{Kind: access.Setting, Name: lowerASCII(s.Setstmt.Name)})
	return nil
}

// otherKinds are node types that are named like statements and are none by
// themselves.
func otherKinds() []kind {
	const inner = "denied: it stands only inside other nodes"
	return []kind{
		{node: "RawStmt", command: "(a statement in a list)", accesses: inner},
		{node: "SetOperationStmt", command: "(a set operation after analysis)", accesses: inner},
		{node: "ReplicaIdentityStmt", command: "(ALTER TABLE … REPLICA IDENTITY)", accesses: inner},
		{node: "ReturnStmt", command: "RETURN", accesses: "denied outside the body of an SQL function"},
		{node: "PLAssignStmt", command: "(an assignment of PL/pgSQL)", accesses: inner},
	}
}
