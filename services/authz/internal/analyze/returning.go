package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// returningOldSince is the first server_version_num at which RETURNING can name the row
// before and after the change.
const returningOldSince = 180000

// returning binds RETURNING and yields its columns; none without it.
func (a *analyzer) returning(s *scope, target *item, nodes []*pg_query.Node) ([]output, error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	outer := s.namespace
	if err := a.rowsOfChange(s, target); err != nil {
		return nil, err
	}
	list, err := a.targetList(s, nodes)
	s.namespace = outer
	if err != nil {
		return nil, err
	}
	return list.columns, nil
}

// rowsOfChange brings the target's row before and after the change into view, by names
// that nothing else has (transformReturningClause, addNSItemForReturning). A column of
// either is one of the target and asks for the same; alone it means neither. Other names
// for them, RETURNING WITH (…), are not in the parser's grammar.
func (a *analyzer) rowsOfChange(s *scope, target *item) error {
	if a.version < returningOldSince {
		return nil
	}
	for _, name := range []string{"old", "new"} {
		taken, _, err := a.findItem(s, "", name, -1)
		if err != nil {
			return err
		}
		if taken != nil {
			continue
		}
		row := *target
		row.name, row.relation = name, nil
		row.nameVisible, row.columnsVisible = true, false
		row.lateralOnly, row.lateralOK = false, true
		s.namespace = append(s.namespace[:len(s.namespace):len(s.namespace)], &row)
	}
	return nil
}
