package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// with binds a WITH clause in a scope whose namespace is still empty
// (transformWithClause).
func (a *analyzer) with(s *scope, clause *pg_query.WithClause) error {
	if clause == nil {
		return nil
	}
	var all []*cte
	for _, node := range clause.Ctes {
		n, ok := node.GetNode().(*pg_query.Node_CommonTableExpr)
		if !ok {
			return deny(access.Construct, "an entry of WITH")
		}
		all = append(all, &cte{name: n.CommonTableExpr.Ctename, node: n.CommonTableExpr, scope: s})
	}
	if clause.Recursive {
		// All names are visible to all queries; each query is bound when first named,
		// which is the order PostgreSQL sorts them into.
		s.ctes = all
		for _, c := range all {
			if err := a.bindCTE(c); err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range all {
		if err := a.bindCTE(c); err != nil {
			return err
		}
		s.ctes = append(s.ctes, c)
	}
	return nil
}

// findCTE is scanNameSpaceForCTE: the nearest WITH that has the name.
func (a *analyzer) findCTE(s *scope, name string) (*cte, error) {
	for ; s != nil; s = s.parent {
		if err := a.spend(len(s.ctes)); err != nil {
			return nil, err
		}
		for _, c := range s.ctes {
			if c.name == name {
				return c, nil
			}
		}
	}
	return nil, nil
}

// bindCTE binds a CTE's query once.
func (a *analyzer) bindCTE(c *cte) error {
	if c.bound {
		return nil
	}
	c.busy = true
	// A recursive name is bound where its WITH stands, whoever named it first.
	namespace, lateral := c.scope.namespace, c.scope.lateral
	c.scope.namespace, c.scope.lateral = nil, false
	_, columns, err := a.subquery(c.scope, c.node.Ctequery, c)
	c.scope.namespace, c.scope.lateral = namespace, lateral
	if err != nil {
		return err
	}
	c.busy, c.bound = false, true
	c.silent = columns == nil && c.node.Ctequery.GetSelectStmt() == nil
	return a.nameCTE(c, columns)
}

// nameCTE is analyzeCTETargetList: aliases first, then the query's own names.
func (a *analyzer) nameCTE(c *cte, columns []output) error {
	aliases, ok := stringNodes(c.node.Aliascolnames)
	if !ok || len(aliases) > len(columns) {
		return deny(access.Construct, "the columns of a WITH query")
	}
	c.columns = append([]output(nil), columns...)
	for i, alias := range aliases {
		c.columns[i].name = alias
	}
	return nil
}

// cteColumns are the columns a reference to a CTE yields. A query may name itself
// once its non-recursive part is known.
func (a *analyzer) cteColumns(c *cte) ([]output, error) {
	if !c.bound && !c.busy {
		if err := a.bindCTE(c); err != nil {
			return nil, err
		}
	}
	if c.columns == nil && c.busy {
		return nil, deny(access.Construct, "a recursion that PostgreSQL does not know")
	}
	if c.silent {
		return nil, deny(access.Construct, "a WITH query without RETURNING")
	}
	return c.columns, nil
}
