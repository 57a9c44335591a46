package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// indexStmt judges CREATE INDEX (DefineIndex). The index of a partitioned table is
// made on its partitions as well.
func (a *analyzer) indexStmt(i *pg_query.IndexStmt) error {
	rel, err := a.altered(i.Relation, false)
	if err != nil {
		return err
	}
	if err := a.altersFamily(rel); err != nil {
		return err
	}
	if err := a.altersPartitions(rel); err != nil {
		return err
	}
	a.tablespace(i.TableSpace)
	a.runsStored = true
	d, err := a.definitionOf(rel)
	if err != nil {
		return err
	}
	// Expressions are bound before columns are looked up (transformIndexStmt, then
	// DefineIndex).
	condition, err := a.indexText(d, i.WhereClause, false)
	if err != nil {
		return err
	}
	elements := append(slices.Clone(i.IndexParams), i.IndexIncludingParams...)
	var texts []catalog.Expression
	for n, node := range elements {
		text, err := a.indexText(d, node.GetIndexElem().GetExpr(), true)
		if err != nil {
			return err
		}
		if node.GetIndexElem().GetExpr() != nil && n < len(i.IndexParams) {
			texts = append(texts, text)
		}
	}
	for _, node := range elements {
		element := node.GetIndexElem()
		if element == nil {
			return deny(access.Construct, "an index")
		}
		if err := a.hasColumn(d, element.Name, "column \"%s\" does not exist", -1); err != nil {
			return err
		}
		if _, err := a.keyElement(d, nil, element.Collation, element.Opclass); err != nil {
			return err
		}
	}
	if i.WhereClause != nil {
		texts = append(texts, condition)
	}
	a.madeIndex(i, rel, texts)
	return nil
}

// createStats judges CREATE STATISTICS, whose expressions ANALYZE computes.
func (a *analyzer) createStats(s *pg_query.CreateStatsStmt) error {
	if len(s.Defnames) > 0 {
		if _, err := a.newNamed(s.Defnames); err != nil {
			return err
		}
	}
	if len(s.Relations) != 1 {
		return deny(access.Construct, "statistics of several relations")
	}
	rel, err := a.altered(s.Relations[0].GetRangeVar(), false)
	if err != nil {
		return err
	}
	d, err := a.definitionOf(rel)
	if err != nil {
		return err
	}
	// As above (transformStatsStmt, then CreateStatistics).
	for _, node := range s.Exprs {
		expr := node.GetStatsElem().GetExpr()
		text, err := a.indexText(d, expr, true)
		if err != nil {
			return err
		}
		if expr != nil {
			expressions := a.edited(rel.OID)
			expressions.StatisticsExpressions = append(expressions.StatisticsExpressions, text)
		}
	}
	for _, node := range s.Exprs {
		element := node.GetStatsElem()
		if element == nil {
			return deny(access.Construct, "statistics")
		}
		if err := a.hasColumn(d, element.Name, "column \"%s\" does not exist", -1); err != nil {
			return err
		}
	}
	a.change.known = true
	return nil
}
