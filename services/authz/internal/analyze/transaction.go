package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// transactionKind is a row of the table of transaction control.
type transactionKind struct {
	kind pg_query.TransactionStmtKind
	// command is the statement's kind, effect what it does; empty when it is denied,
	// and denied says why.
	command string
	effect  access.EffectKind
	denied  string
}

// outlives is why two-phase commit is denied.
const outlives = "a prepared transaction outlives the session that was judged, and its effects the policy it was judged by"

func transactionKinds() []transactionKind {
	return []transactionKind{
		{pg_query.TransactionStmtKind_TRANS_STMT_BEGIN, "begin", access.EffectBegin, ""},
		{pg_query.TransactionStmtKind_TRANS_STMT_START, "begin", access.EffectBegin, ""},
		{pg_query.TransactionStmtKind_TRANS_STMT_COMMIT, "commit", access.EffectCommit, ""},
		{pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK, "rollback", access.EffectRollback, ""},
		{pg_query.TransactionStmtKind_TRANS_STMT_SAVEPOINT, "savepoint", access.EffectSavepoint, ""},
		{pg_query.TransactionStmtKind_TRANS_STMT_RELEASE, "release", access.EffectRelease, ""},
		{pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO, "rollback to", access.EffectRollbackTo, ""},
		{pg_query.TransactionStmtKind_TRANS_STMT_PREPARE, "", "", outlives},
		{pg_query.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED, "", "", outlives},
		{pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED, "", "", outlives},
	}
}

// transactionStmt analyses transaction control.
func transactionStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	t := node.GetTransactionStmt()
	if err := a.transactionModes(t.Options); err != nil {
		return access.Statement{}, err
	}
	for _, k := range transactionKinds() {
		if k.kind != t.Kind || k.denied != "" {
			continue
		}
		effect := access.Effect{Kind: k.effect, Name: t.SavepointName, Chain: t.Chain}
		return access.Statement{Kind: k.command, Effects: []access.Effect{effect}}, nil
	}
	return access.Statement{}, deny(access.StatementKind, "two-phase commit")
}

// transactionModes allows the modes of BEGIN and SET TRANSACTION.
func (a *analyzer) transactionModes(options []*pg_query.Node) error {
	for _, option := range options {
		switch option.GetDefElem().GetDefname() {
		case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
		default:
			return deny(access.Construct, "a transaction mode")
		}
	}
	return nil
}
