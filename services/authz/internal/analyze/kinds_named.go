package analyze

import pg_query "github.com/pganalyze/pg_query_go/v6"

// namedKinds are the statements that name an object of whatever type.
func namedKinds() []kind {
	const byType = "`ddl` on the object's schema, or `admin` on the database, by type: see below"
	return []kind{
		{node: "DropStmt", command: "DROP", judge: changing("drop", "ddl", (*pg_query.Node).GetDropStmt, (*analyzer).dropStmt), effects: "`ddl`",
			accesses: byType + "; with CASCADE `ddl` on every schema that is not the system's, unless all that goes is temporary"},
		{node: "RenameStmt", command: "ALTER … RENAME", judge: changing("alter rename", "ddl", (*pg_query.Node).GetRenameStmt, (*analyzer).renameStmt), effects: "`ddl`",
			accesses: byType + "; `select` on rows or columns that get another name; trust in code that does"},
		{node: "AlterObjectSchemaStmt", command: "ALTER … SET SCHEMA", judge: changing("alter set schema", "ddl", (*pg_query.Node).GetAlterObjectSchemaStmt, (*analyzer).setSchema), effects: "`ddl`",
			accesses: "as ALTER … RENAME, and `ddl` on the new schema"},
		{node: "AlterOwnerStmt", command: "ALTER … OWNER TO", judge: changing("alter owner", "ddl", (*pg_query.Node).GetAlterOwnerStmt, (*analyzer).alterOwner), effects: "`ddl`",
			accesses: "`admin` on the database: stored code runs with the owner's rights"},
		{node: "AlterObjectDependsStmt", command: "ALTER … DEPENDS ON EXTENSION", effects: "`ddl`", accesses: "as ALTER … OWNER TO",
			judge: changing("alter depends", "ddl", (*pg_query.Node).GetAlterObjectDependsStmt, func(a *analyzer, d *pg_query.AlterObjectDependsStmt) error {
				return a.ofAdmin(d.ObjectType, d.Object, d.Relation)
			})},
		{node: "CommentStmt", command: "COMMENT", judge: changing("comment", "ddl", (*pg_query.Node).GetCommentStmt, (*analyzer).commentStmt), effects: "`ddl`", accesses: byType},
		{node: "SecLabelStmt", command: "SECURITY LABEL", effects: "`ddl`", accesses: "`admin` on the database; `ddl` on the object's schema",
			judge: changing("security label", "ddl", (*pg_query.Node).GetSecLabelStmt, func(a *analyzer, l *pg_query.SecLabelStmt) error {
				return a.ofAdmin(l.Objtype, l.Object, nil)
			})},
	}
}
