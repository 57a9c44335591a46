package analyze

import pg_query "github.com/pganalyze/pg_query_go/v6"

// tableKinds are the statements about tables and what belongs to them.
func tableKinds() []kind {
	const (
		ddl  = "`ddl` on the schema"
		temp = "`ddl` on the schema, or `temporary` on the database"
		made = "`ddl`, or `temp` for temporary ones"
	)
	return []kind{
		{node: "CreateStmt", stores: true, command: "CREATE TABLE", judge: createStmt, effects: made,
			accesses: temp + "; `ddl` on the schema of each parent; `select` on what LIKE copies; what constraints need; `usage` on user types; what expressions read and run; `admin` with a tablespace"},
		{node: "CreateTableAsStmt", command: "CREATE TABLE AS, CREATE MATERIALIZED VIEW", judge: createTableAsStmt, effects: made,
			accesses: temp + "; what the query needs; `usage` on user types of its columns, which a grant on any column of the type brings"},
		{node: "ViewStmt", stores: true, command: "CREATE VIEW", judge: viewStmt, effects: made,
			accesses: temp + "; what the query needs; `usage` on user types of its columns, and of constants and coercions where the server checks what a definition stores (from 15.19 and its kin)"},
		{node: "AlterTableStmt", stores: true, command: "ALTER TABLE, ALTER VIEW, ALTER INDEX, …", judge: alterTableStmt, effects: "`ddl`",
			accesses: ddl + " of the relation and of its descendants; by subcommand, see below"},
		{node: "IndexStmt", stores: true, command: "CREATE INDEX", judge: changing("create index", "ddl", (*pg_query.Node).GetIndexStmt, (*analyzer).indexStmt), effects: "`ddl`",
			accesses: ddl + " of the table and of its descendants; what expressions read and run; trust in the code of a user's operator class"},
		{node: "CreateStatsStmt", stores: true, command: "CREATE STATISTICS", judge: changing("create statistics", "ddl", (*pg_query.Node).GetCreateStatsStmt, (*analyzer).createStats), effects: "`ddl`",
			accesses: ddl + " of the statistics and of the table; what expressions read and run"},
		{node: "AlterStatsStmt", command: "ALTER STATISTICS", judge: changing("alter statistics", "ddl", (*pg_query.Node).GetAlterStatsStmt,
			func(a *analyzer, s *pg_query.AlterStatsStmt) error { return a.namedDDL(s.Defnames) }), effects: "`ddl`", accesses: ddl},
		{node: "CreateSeqStmt", command: "CREATE SEQUENCE", judge: createSeqStmt, effects: made, accesses: temp + "; with OWNED BY `ddl` on the schema of the table"},
		{node: "AlterSeqStmt", command: "ALTER SEQUENCE", judge: changing("alter sequence", "ddl", (*pg_query.Node).GetAlterSeqStmt, (*analyzer).alterSeq), effects: "`ddl`",
			accesses: ddl + "; with OWNED BY that of the table"},
		{node: "CreateSchemaStmt", command: "CREATE SCHEMA", judge: changing("create schema", "ddl", (*pg_query.Node).GetCreateSchemaStmt, (*analyzer).createSchema), effects: "`ddl`",
			accesses: "`ddl` on the schema of that name; with AUTHORIZATION `admin` on the database; what its elements need, in their order, as statements under a path that begins with the schema"},
		{node: "VacuumStmt", command: "VACUUM, ANALYZE", judge: vacuumStmt,
			accesses: "`maintain` on each table and its partitions; without a table `admin` on the database. Index expressions run with the owner's rights, in all versions"},
		{node: "ClusterStmt", command: "CLUSTER", judge: named("cluster", (*pg_query.Node).GetClusterStmt, (*analyzer).cluster),
			accesses: "`maintain` on the table and its partitions; without a table `admin` on the database"},
		{node: "ReindexStmt", command: "REINDEX", judge: named("reindex", (*pg_query.Node).GetReindexStmt, (*analyzer).reindex), accesses: "see the kinds of REINDEX below"},
		{node: "RefreshMatViewStmt", command: "REFRESH MATERIALIZED VIEW", judge: named("refresh materialized view", (*pg_query.Node).GetRefreshMatViewStmt, (*analyzer).refresh),
			accesses: "`maintain` on the materialized view, whose query runs with its owner's rights"},
	}
}
