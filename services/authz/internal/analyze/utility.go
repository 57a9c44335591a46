package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// dispatch analyses a statement by its kind. Kinds that are not here are denied.
func (a *analyzer) dispatch(node *pg_query.Node) (access.Statement, error) {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		return a.query("select", node)
	case *pg_query.Node_InsertStmt:
		return a.query("insert", node)
	case *pg_query.Node_UpdateStmt:
		return a.query("update", node)
	case *pg_query.Node_DeleteStmt:
		return a.query("delete", node)
	case *pg_query.Node_TruncateStmt:
		return access.Statement{Kind: "truncate"}, a.truncateStmt(n.TruncateStmt)
	case *pg_query.Node_TransactionStmt:
		return a.transaction(n.TransactionStmt)
	case *pg_query.Node_VariableShowStmt:
		return access.Statement{Kind: "show"}, a.show(n.VariableShowStmt)
	case *pg_query.Node_ExplainStmt:
		return access.Statement{Kind: "explain"}, a.explain(n.ExplainStmt)
	default:
		return access.Statement{}, deny(access.StatementKind, nodeWords(node))
	}
}

func (a *analyzer) query(kind string, node *pg_query.Node) (access.Statement, error) {
	_, _, err := a.subquery(nil, node, nil)
	return access.Statement{Kind: kind}, err
}

// transaction analyses transaction control. Two-phase commit is denied: a prepared
// transaction outlives the session that was judged.
func (a *analyzer) transaction(t *pg_query.TransactionStmt) (access.Statement, error) {
	for _, option := range t.Options {
		switch option.GetDefElem().GetDefname() {
		case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
		default:
			return access.Statement{}, deny(access.Construct, "a transaction mode")
		}
	}
	statement := func(kind string, effect access.Effect) (access.Statement, error) {
		return access.Statement{Kind: kind, Effects: []access.Effect{effect}}, nil
	}
	switch t.Kind {
	case pg_query.TransactionStmtKind_TRANS_STMT_BEGIN, pg_query.TransactionStmtKind_TRANS_STMT_START:
		return statement("begin", access.Effect{Kind: access.EffectBegin})
	case pg_query.TransactionStmtKind_TRANS_STMT_COMMIT:
		return statement("commit", access.Effect{Kind: access.EffectCommit, Chain: t.Chain})
	case pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		return statement("rollback", access.Effect{Kind: access.EffectRollback, Chain: t.Chain})
	case pg_query.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		return statement("savepoint", access.Effect{Kind: access.EffectSavepoint, Name: t.SavepointName})
	case pg_query.TransactionStmtKind_TRANS_STMT_RELEASE:
		return statement("release", access.Effect{Kind: access.EffectRelease, Name: t.SavepointName})
	case pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return statement("rollback to", access.Effect{Kind: access.EffectRollbackTo, Name: t.SavepointName})
	default:
		return access.Statement{}, deny(access.StatementKind, "two-phase commit")
	}
}

// show allows the settings of shownSettings. Names of settings fold case.
func (a *analyzer) show(v *pg_query.VariableShowStmt) error {
	if a.settings[lowerASCII(v.Name)] {
		return nil
	}
	return deny(access.SettingDenied, "setting "+v.Name)
}

// explain asks for what the statement asks for: PostgreSQL checks the same rights
// whether or not it runs it. VERBOSE asks for select on all columns as well: a scan's
// output lists those that the statement does not name (use_physical_tlist).
func (a *analyzer) explain(e *pg_query.ExplainStmt) error {
	verbose := false
	for _, option := range e.Options {
		switch option.GetDefElem().GetDefname() {
		case "verbose":
			verbose = true
		case "analyze", "costs", "buffers", "timing", "summary", "format", "wal":
		default:
			return deny(access.Construct, "an option of EXPLAIN")
		}
	}
	switch e.Query.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt:
	default:
		return deny(access.StatementKind, "explain "+nodeWords(e.Query))
	}
	if _, _, err := a.subquery(nil, e.Query, nil); err != nil {
		return err
	}
	if verbose {
		a.current.showColumns()
	}
	return nil
}

// nodeWords names a node's type in words: "CreateTableAsStmt" is "create table as".
func nodeWords(node *pg_query.Node) string {
	set := node.ProtoReflect().WhichOneof(node.ProtoReflect().Descriptor().Oneofs().ByName("node"))
	if set == nil {
		return "nothing"
	}
	return words(string(set.Message().Name()))
}

// words turns a node type's name into words.
func words(name string) string {
	name = strings.TrimSuffix(name, "Stmt")
	if word, ok := map[string]string{"VariableSet": "set or reset", "Rename": "alter rename", "Drop": "drop", "Create": "create table", "View": "create view"}[name]; ok {
		return word
	}
	var words strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' && i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z' {
			words.WriteByte(' ')
		}
		words.WriteRune(r)
	}
	return strings.ReplaceAll(lowerASCII(words.String()), "_", " ")
}
