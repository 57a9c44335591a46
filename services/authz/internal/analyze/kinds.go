package analyze

//go:generate go test . -count=1 -run TestStatementsReference -update

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// judgement finds the accesses and effects of a statement of one kind.
type judgement func(*analyzer, *pg_query.Node) (access.Statement, error)

// kind is a row of the table of statements: one for each node type of the grammar
// that is a statement. docs/reference/statements.md is made from it.
type kind struct {
	// node is the node type, command the statement as the manual heads its page.
	node, command string
	// judge is nil for a statement that is denied by name.
	judge judgement
	// free says that the statement names nothing that an earlier statement of the same
	// unit could have changed.
	free bool
	// stores says that expressions in it are stored as they are bound.
	stores bool
	// accesses and effects say in words what it needs and does; of a denied one,
	// accesses says why.
	accesses, effects string
}

// kinds is the table. A node type that has no row is denied, and a test walks the
// grammar for such.
func kinds() []kind {
	var all []kind
	for _, part := range [][]kind{rowKinds(), sessionKinds(), tableKinds(), codeKinds(), namedKinds(), adminKinds(), boundKinds(), otherKinds()} {
		all = append(all, part...)
	}
	return all
}

// newKinds is the table by node type.
func newKinds() map[string]kind {
	table := map[string]kind{}
	for _, k := range kinds() {
		table[k.node] = k
	}
	return table
}

// dispatch analyses a statement by its kind.
func (a *analyzer) dispatch(node *pg_query.Node) (access.Statement, error) {
	k, ok := a.kinds[nodeType(node)]
	if !ok || k.judge == nil {
		return access.Statement{}, deny(access.StatementKind, nodeWords(node))
	}
	if !k.free && a.unsettled != "" && !a.unlocksBehindReset(node) {
		return access.Statement{}, deny(access.Construct, "a statement after "+a.unsettled)
	}
	a.defines, a.stores = k.stores, k.stores && checksStoredTypes(a.version)
	return k.judge(a, node)
}

// nodeType is the name of a node's type, "SelectStmt".
func nodeType(node *pg_query.Node) string {
	set := node.ProtoReflect().WhichOneof(node.ProtoReflect().Descriptor().Oneofs().ByName("node"))
	if set == nil {
		return ""
	}
	return string(set.Message().Name())
}

// named makes a judgement of a function that finds the accesses alone.
func named[T any](command string, get func(*pg_query.Node) T, judge func(*analyzer, T) error) judgement {
	return func(a *analyzer, node *pg_query.Node) (access.Statement, error) {
		return access.Statement{Kind: command}, judge(a, get(node))
	}
}

// changing is named for statements that have one effect.
func changing[T any](command string, effect access.EffectKind, get func(*pg_query.Node) T, judge func(*analyzer, T) error) judgement {
	return func(a *analyzer, node *pg_query.Node) (access.Statement, error) {
		return access.Statement{Kind: command, Effects: []access.Effect{{Kind: effect}}}, judge(a, get(node))
	}
}

// selectKind is SELECT, which may store its rows.
func selectKind(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	if hasInto(node.GetSelectStmt()) {
		return selectInto(a, node)
	}
	a.configuring = loneSettings(node.GetSelectStmt())
	found, err := a.query("select", node)
	if a.configuring != nil {
		found.Effects = a.configuring.effects
	}
	a.configuring = nil
	return found, err
}

// rowKinds are the statements that read and write rows.
func rowKinds() []kind {
	query := func(command string) judgement {
		return func(a *analyzer, node *pg_query.Node) (access.Statement, error) { return a.query(command, node) }
	}
	const columns = "the action on the columns it names, as PostgreSQL checks them"
	return []kind{
		{node: "SelectStmt", command: "SELECT, VALUES, TABLE, SELECT INTO", judge: selectKind,
			accesses: columns + "; INTO as CREATE TABLE AS", effects: "`set` for set_config in a lone SELECT"},
		{node: "InsertStmt", command: "INSERT", judge: query("insert"), accesses: columns},
		{node: "UpdateStmt", command: "UPDATE", judge: query("update"), accesses: columns},
		{node: "DeleteStmt", command: "DELETE", judge: query("delete"), accesses: columns},
		{node: "MergeStmt", command: "MERGE", judge: query("merge"),
			accesses: columns + "; DO NOTHING `select` on any column; not for servers before 15"},
		{node: "TruncateStmt", command: "TRUNCATE", judge: named("truncate", (*pg_query.Node).GetTruncateStmt, (*analyzer).truncateStmt),
			accesses: "`truncate` on each table, and on those that CASCADE reaches; trust in the support functions of their indexes' own operator classes"},
		{node: "CopyStmt", command: "COPY", judge: named("copy", (*pg_query.Node).GetCopyStmt, (*analyzer).copyStmt),
			accesses: "`select` or `insert` on the columns; of a query, what the query needs; with a file or program also `admin` on `database:…`"},
		{node: "ExplainStmt", command: "EXPLAIN", judge: explainStmt,
			accesses: "what the explained statement needs; VERBOSE `select` on all columns as well, but of what is only updated or deleted from", effects: "with ANALYZE those of the explained statement"},
		{node: "LockStmt", command: "LOCK", judge: named("lock", (*pg_query.Node).GetLockStmt, (*analyzer).lockStmt),
			accesses: "any of the actions that LockTableAclCheck takes for the mode: `select` for ACCESS SHARE, `insert` up to ROW EXCLUSIVE, `update`, `delete`, `truncate`, from 17 `maintain` for all"},
	}
}
