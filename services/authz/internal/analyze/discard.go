package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// discardKind is a row of the table of DISCARD.
type discardKind struct {
	target  pg_query.DiscardMode
	command string
	effects []access.Effect
}

// discardKinds: after DISCARD ALL the context is learned anew. Plans and sequences'
// state are no part of it.
func discardKinds() []discardKind {
	return []discardKind{
		{pg_query.DiscardMode_DISCARD_ALL, "discard all", []access.Effect{
			{Kind: access.EffectReset}, {Kind: access.EffectDeallocate}, {Kind: access.EffectClose}, {Kind: access.EffectOpaque},
		}},
		{pg_query.DiscardMode_DISCARD_PLANS, "discard plans", nil},
		{pg_query.DiscardMode_DISCARD_SEQUENCES, "discard sequences", nil},
		{pg_query.DiscardMode_DISCARD_TEMP, "discard temp", []access.Effect{{Kind: access.EffectTemp}}},
	}
}

// endsAll reports whether a statement takes all of something in the session back to
// where it started, as pools send it between clients: what the preset session
// allows. What names one setting, statement or cursor is the client's own business.
func endsAll(node *pg_query.Node) bool {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_DiscardStmt:
		return n.DiscardStmt.Target == pg_query.DiscardMode_DISCARD_ALL
	case *pg_query.Node_DeallocateStmt:
		return n.DeallocateStmt.Name == ""
	case *pg_query.Node_ClosePortalStmt:
		return n.ClosePortalStmt.Portalname == ""
	case *pg_query.Node_UnlistenStmt:
		return n.UnlistenStmt.Conditionname == ""
	case *pg_query.Node_VariableSetStmt:
		switch n.VariableSetStmt.Kind {
		case pg_query.VariableSetKind_VAR_RESET_ALL:
			return true
		case pg_query.VariableSetKind_VAR_RESET, pg_query.VariableSetKind_VAR_SET_DEFAULT:
			name := lowerASCII(n.VariableSetStmt.Name)
			return name == "role" || name == "session_authorization"
		}
	}
	return false
}

// discardStmt judges DISCARD, which takes the session back to where it started.
func discardStmt(_ *analyzer, node *pg_query.Node) (access.Statement, error) {
	for _, k := range discardKinds() {
		if k.target == node.GetDiscardStmt().Target {
			return access.Statement{Kind: k.command, Effects: k.effects}, nil
		}
	}
	return access.Statement{}, deny(access.StatementKind, "discard")
}
