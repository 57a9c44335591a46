package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
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
	a.tablespace(i.TableSpace)
	d, err := a.definitionOf(rel)
	if err != nil {
		return err
	}
	for _, node := range append(i.IndexParams, i.IndexIncludingParams...) {
		element := node.GetIndexElem()
		if element == nil {
			return deny(access.Construct, "an index")
		}
		if err := a.keyElement(d, element.Expr, element.Collation, element.Opclass); err != nil {
			return err
		}
	}
	if err := a.optional(d.scope(), i.WhereClause); err != nil {
		return err
	}
	if i.WhereClause == nil && !slices.ContainsFunc(i.IndexParams, func(node *pg_query.Node) bool {
		return node.GetIndexElem().GetExpr() != nil || len(node.GetIndexElem().GetOpclass()) > 0
	}) {
		a.changesNothing()
	}
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
	for _, node := range s.Exprs {
		element := node.GetStatsElem()
		if element == nil {
			return deny(access.Construct, "statistics")
		}
		if err := a.typedElement(d, element.Expr); err != nil {
			return err
		}
	}
	return nil
}
