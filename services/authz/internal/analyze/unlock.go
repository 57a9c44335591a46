package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// resetKind is the kind of RESET, and of RESET ALL.
const resetKind = "reset"

// unlockAll is what pools call between clients.
const unlockAll = "pg_advisory_unlock_all"

// unlocksBehindReset reports whether a statement behind RESET ALL means the same whatever
// path that has gone back to. Pools send `RESET ALL; … SELECT pg_advisory_unlock_all()` as
// one text (Npgsql, NpgsqlConnector.GenerateResetMessage). It may be nothing beside the
// call, and no function of another schema may have its name: pg_catalog is on every path,
// so that there is one thing it can be. RESET must be the first that has made the context
// uncertain: what other statements do, a snapshot need not show.
func (a *analyzer) unlocksBehindReset(node *pg_query.Node) bool {
	q := node.GetSelectStmt()
	if a.unsettled != resetKind || q == nil || len(q.TargetList) != 1 {
		return false
	}
	f := q.TargetList[0].GetResTarget().GetVal().GetFuncCall()
	if names, ok := stringNodes(f.GetFuncname()); !ok || len(names) != 1 || names[0] != unlockAll {
		return false
	}
	// Whatever else the grammar has for a SELECT or a call makes it another tree than this.
	bare := &pg_query.SelectStmt{LimitOption: pg_query.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg_query.SetOperation_SETOP_NONE,
		TargetList: []*pg_query.Node{{Node: &pg_query.Node_ResTarget{ResTarget: &pg_query.ResTarget{Location: q.TargetList[0].GetResTarget().Location,
			Val: &pg_query.Node{Node: &pg_query.Node_FuncCall{FuncCall: &pg_query.FuncCall{Funcname: f.Funcname, Location: f.Location,
				Funcformat: pg_query.CoercionForm_COERCE_EXPLICIT_CALL}}}}}}}}
	if !proto.Equal(q, bare) {
		return false
	}
	for other := range a.snap.EachFunction() {
		if other.Name == unlockAll && other.Schema != schemaCatalog {
			return false
		}
	}
	return true
}
