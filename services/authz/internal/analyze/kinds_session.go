package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// sessionKinds are the statements about the session and its transactions.
func sessionKinds() []kind {
	return []kind{
		{node: "TransactionStmt", command: "BEGIN, COMMIT, ROLLBACK, SAVEPOINT, …", judge: transactionStmt, free: true,
			accesses: "none", effects: "the one of its name; see the kinds of transaction control below"},
		{node: "VariableSetStmt", command: "SET, RESET", judge: setStmt, free: true,
			accesses: "by the setting, see the policy guide; for search_path `usage` on each schema; for `SET ROLE NONE` as for any other role: it leaves one that ALTER ROLE … SET gave the login", effects: "`set`, `set_local`, `reset`, `refresh`; `opaque` for roles"},
		{node: "VariableShowStmt", command: "SHOW", free: true,
			judge:    named("show", (*pg_query.Node).GetVariableShowStmt, (*analyzer).show),
			accesses: "none for settings that tell nothing; else `set` on the setting"},
		{node: "ConstraintsSetStmt", command: "SET CONSTRAINTS", free: true,
			judge:    named("set constraints", (*pg_query.Node).GetConstraintsSetStmt, (*analyzer).constraintsSet),
			accesses: "none for ALL; of a constraint named any action on its table", effects: "`opaque` with IMMEDIATE"},
		{node: "DiscardStmt", command: "DISCARD", judge: discardStmt, free: true, accesses: "none; ALL is in the preset `session`", effects: "see the kinds of DISCARD below"},
		{node: "PrepareStmt", command: "PREPARE", judge: prepareStmt, accesses: "what the prepared statement needs, though nothing runs yet: it is prepared to be run", effects: "`prepare`"},
		{node: "ExecuteStmt", command: "EXECUTE", judge: executeStmt,
			accesses: "what the prepared statement needs, judged again by its text, and what the parameters need"},
		{node: "DeallocateStmt", command: "DEALLOCATE", judge: deallocateStmt, free: true, accesses: "none; ALL is in the preset `session`", effects: "`deallocate`"},
		{node: "DeclareCursorStmt", command: "DECLARE", judge: declareStmt, accesses: "what the query needs", effects: "`declare`"},
		{node: "FetchStmt", command: "FETCH, MOVE", judge: fetchStmt, accesses: "what the cursor's query needs, judged again by its text"},
		{node: "ClosePortalStmt", command: "CLOSE", judge: closeStmt, free: true, accesses: "none; ALL is in the preset `session`", effects: "`close`"},
		{node: "ListenStmt", command: "LISTEN", judge: named("listen", (*pg_query.Node).GetListenStmt, (*analyzer).listen), free: true,
			accesses: "`listen` on `channel:…`"},
		{node: "UnlistenStmt", command: "UNLISTEN", free: true, accesses: "none; `*` is in the preset `session`",
			judge: named("unlisten", (*pg_query.Node).GetUnlistenStmt, func(*analyzer, *pg_query.UnlistenStmt) error { return nil })},
		{node: "NotifyStmt", command: "NOTIFY", judge: named("notify", (*pg_query.Node).GetNotifyStmt, (*analyzer).notify), free: true,
			accesses: "`notify` on `channel:…`"},
	}
}

// listen asks for listen on the channel, for which PostgreSQL has no privilege.
func (a *analyzer) listen(l *pg_query.ListenStmt) error {
	a.ask(access.Listen, access.Object{Kind: access.Channel, Name: l.Conditionname})
	return nil
}

func (a *analyzer) notify(n *pg_query.NotifyStmt) error {
	a.ask(access.Notify, access.Object{Kind: access.Channel, Name: n.Conditionname})
	return nil
}

// ask notes that an action is needed on an object that is known by its name alone.
func (a *analyzer) ask(action access.Action, object access.Object) *access.Access {
	return a.current.object(action, object, object)
}

// guard notes an object that a statement changes under a right on something else,
// its schema or its database: only an explicit deny speaks about it.
func (a *analyzer) guard(object access.Object) {
	object.Schema = shownSchema(object.Schema)
	key := entryKey{action: access.DDL, kind: object.Kind, schema: object.Schema, name: object.Name, within: true}
	a.current.find(key, object, object, nil)
}

// database is the object of the session's database.
func (a *analyzer) database() access.Object {
	return access.Object{Kind: access.Database, Name: a.snap.Database}
}
