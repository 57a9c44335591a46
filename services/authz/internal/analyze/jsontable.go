package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// jsonTable binds JSON_TABLE in FROM (transformJsonTable). It sees its neighbours with
// or without LATERAL.
func (a *analyzer) jsonTable(s *scope, t *pg_query.JsonTable) (*item, error) {
	if a.version < 170000 {
		return nil, newerForm("JSON_TABLE")
	}
	outer := s.lateral
	s.lateral = true
	defer func() { s.lateral = outer }()
	if err := a.jsonPath(s, t.ContextItem, t.Pathspec.GetString_(), t.Passing); err != nil {
		return nil, err
	}
	if err := a.jsonBehaviour(s, t.OnError, typeJSONB); err != nil {
		return nil, err
	}
	columns, err := a.jsonColumns(s, t.Columns)
	if err != nil {
		return nil, err
	}
	return a.computedItem(&rangeEntry{name: "json_table", producer: "JSON_TABLE"}, columns, t.Alias)
}

// jsonColumns binds columns; those of NESTED come after the level's own.
func (a *analyzer) jsonColumns(s *scope, nodes []*pg_query.Node) ([]output, error) {
	var columns, nested []output
	for _, node := range nodes {
		def := node.GetJsonTableColumn()
		if def == nil {
			return nil, deny(access.Construct, "a column of JSON_TABLE")
		}
		if def.Coltype == pg_query.JsonTableColumnType_JTC_NESTED {
			inner, err := a.jsonColumns(s, def.Columns)
			if err != nil {
				return nil, err
			}
			nested = append(nested, inner...)
			continue
		}
		typ, err := a.jsonColumn(s, def)
		if err != nil {
			return nil, err
		}
		columns = append(columns, output{name: def.Name, typ: typ, location: -1})
	}
	return append(columns, nested...), nil
}

// jsonColumn binds a column: its type reads what the path finds.
func (a *analyzer) jsonColumn(s *scope, def *pg_query.JsonTableColumn) (catalog.OID, error) {
	switch def.Coltype {
	case pg_query.JsonTableColumnType_JTC_FOR_ORDINALITY:
		return resolve.Int4, nil
	case pg_query.JsonTableColumnType_JTC_REGULAR, pg_query.JsonTableColumnType_JTC_FORMATTED, pg_query.JsonTableColumnType_JTC_EXISTS:
	default:
		return 0, deny(access.Construct, "a column of JSON_TABLE")
	}
	v, err := a.jsonMade(&pg_query.JsonOutput{TypeName: def.TypeName}, typeJSONB, def.Location)
	if err != nil {
		return 0, err
	}
	for _, behaviour := range []*pg_query.JsonBehavior{def.OnEmpty, def.OnError} {
		if err := a.jsonBehaviour(s, behaviour, v.typ); err != nil {
			return 0, err
		}
	}
	return v.typ, nil
}
