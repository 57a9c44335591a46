package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// mergeSince is the first server_version_num with MERGE, mergeReturningSince that
// with RETURNING, NOT MATCHED BY SOURCE, views as targets and MERGE inside WITH.
const (
	mergeSince          = 150000
	mergeReturningSince = 170000
)

// mergeStmt binds MERGE in PostgreSQL's order (transformMergeStmt): WITH, target,
// source, ON, RETURNING, then each branch.
func (a *analyzer) mergeStmt(s *scope, m *pg_query.MergeStmt) ([]output, error) {
	if err := a.mergeServed(s, m); err != nil {
		return nil, err
	}
	if err := a.with(s, m.WithClause); err != nil {
		return nil, err
	}
	actions, err := mergeActions(m)
	if err != nil {
		return nil, err
	}
	a.current.items++
	it, err := a.target(s, m.Relation, mergeSets(m), actions...)
	if err != nil {
		return nil, err
	}
	if len(it.entry.relation.Rules) > 0 || it.entry.relation.Kind == catalog.KindView && a.version < mergeReturningSince {
		return nil, deny(access.Construct, "MERGE into a relation that the server does not merge into")
	}
	if err := a.fromClause(s, []*pg_query.Node{m.SourceRelation}); err != nil {
		return nil, err
	}
	if len(s.namespace) == 0 {
		return nil, deny(access.Construct, "MERGE without a source")
	}
	source := s.namespace[len(s.namespace)-1]
	if source.entry.name == it.entry.name {
		return nil, deny(access.Construct, "MERGE whose target and source have one name")
	}
	s.namespace, it.merges = append(s.namespace, it), true
	if err := a.condition(s, m.JoinCondition, "JOIN/ON"); err != nil {
		return nil, err
	}
	columns, err := a.returning(s, it, m.ReturningList)
	if err != nil {
		return nil, err
	}
	for _, node := range m.MergeWhenClauses {
		if err := a.mergeBranch(s, it, source, node.GetMergeWhenClause()); err != nil {
			return nil, err
		}
	}
	if it.entry.relation.Kind == catalog.KindView {
		return columns, a.finishWrite(it, actions...)
	}
	if err := a.generatedCode(it.entry.relation, place{actions[0], it.entry.relation}); err != nil {
		return nil, err
	}
	// The policies of every action are added, whatever the branches do.
	return columns, a.finishWrite(it, access.Insert, access.Update, access.Delete)
}

// mergeServed denies what the server at hand does not have.
func (a *analyzer) mergeServed(s *scope, m *pg_query.MergeStmt) error {
	if a.version < mergeSince {
		return deny(access.StatementKind, "merge")
	}
	if a.version < mergeReturningSince && (len(m.ReturningList) > 0 || s.parent != nil) {
		return deny(access.Construct, "a form of MERGE that the server does not have")
	}
	return nil
}

// mergeActions are the rights that the branches ask for on the target; DO NOTHING
// asks for select.
func mergeActions(m *pg_query.MergeStmt) ([]access.Action, error) {
	var actions []access.Action
	for _, node := range m.MergeWhenClauses {
		switch node.GetMergeWhenClause().GetCommandType() {
		case pg_query.CmdType_CMD_INSERT:
			actions = append(actions, access.Insert)
		case pg_query.CmdType_CMD_UPDATE:
			actions = append(actions, access.Update)
		case pg_query.CmdType_CMD_DELETE:
			actions = append(actions, access.Delete)
		case pg_query.CmdType_CMD_NOTHING:
			actions = append(actions, access.Select)
		default:
			return nil, deny(access.Construct, "a branch of MERGE")
		}
	}
	if len(actions) == 0 {
		return nil, deny(access.Construct, "MERGE without branches")
	}
	return actions, nil
}

// mergeSets are the columns that the branches that update set.
func mergeSets(m *pg_query.MergeStmt) columnSet {
	var lists [][]*pg_query.Node
	for _, node := range m.MergeWhenClauses {
		if w := node.GetMergeWhenClause(); w.GetCommandType() == pg_query.CmdType_CMD_UPDATE {
			lists = append(lists, w.TargetList)
		}
	}
	return setColumns(lists...)
}

// mergeBranch binds a WHEN clause: its condition, and what it inserts or sets. Which
// side can be named depends on which of them has a row (setNamespaceForMergeWhen).
func (a *analyzer) mergeBranch(s *scope, target, source *item, w *pg_query.MergeWhenClause) error {
	var seesTarget, seesSource bool
	switch w.GetMatchKind() {
	case pg_query.MergeMatchKind_MERGE_WHEN_MATCHED:
		seesTarget, seesSource = true, true
	case pg_query.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_TARGET:
		seesSource = true
	case pg_query.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE:
		seesTarget = true
		if a.version < mergeReturningSince {
			return deny(access.Construct, "a form of MERGE that the server does not have")
		}
	default:
		return deny(access.Construct, "a branch of MERGE")
	}
	target.columnsVisible, target.nameVisible = seesTarget, seesTarget
	source.columnsVisible, source.nameVisible = seesSource, seesSource
	if err := a.condition(s, w.Condition, "WHEN"); err != nil {
		return err
	}
	switch w.CommandType {
	case pg_query.CmdType_CMD_INSERT:
		return a.mergeInsert(s, target, w)
	case pg_query.CmdType_CMD_UPDATE:
		return a.assignments(s, target, w.TargetList)
	default:
		return nil
	}
}

// mergeInsert binds INSERT of a branch: a single row, or DEFAULT VALUES.
func (a *analyzer) mergeInsert(s *scope, target *item, w *pg_query.MergeWhenClause) error {
	columns, err := a.insertColumns(s, target, w.TargetList)
	if err != nil {
		return err
	}
	var rows [][]value
	if len(w.Values) > 0 {
		row, err := a.exprList(s, w.Values, true)
		if err != nil {
			return err
		}
		rows = [][]value{row}
	}
	if len(w.TargetList) == 0 || rows == nil {
		columns = firstColumns(columns, rows)
	}
	defaulted, err := a.assignRows(s, w.TargetList, columns, rows)
	if err != nil {
		return err
	}
	return a.inserted(target, w.Override, columns, defaulted)
}
