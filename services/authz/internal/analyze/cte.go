package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
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
	s.future = all
	for _, c := range all {
		if err := a.bindCTE(c); err != nil {
			return err
		}
		s.ctes, s.future = append(s.ctes, c), s.future[1:]
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
	if err := a.nameCTE(c, columns); err != nil {
		return err
	}
	return a.searchAndCycle(c)
}

// searchAndCycle binds SEARCH and CYCLE (analyzeCTE): they compare columns of the query,
// by their types' own order, and add columns of their own.
func (a *analyzer) searchAndCycle(c *cte) error {
	own := &targets{columns: c.columns}
	search, cycle := c.node.SearchClause, c.node.CycleClause
	for _, list := range [][]*pg_query.Node{search.GetSearchColList(), cycle.GetCycleColList()} {
		names, ok := stringNodes(list)
		if !ok {
			return deny(access.Construct, "a list of columns")
		}
		if err := a.spend(len(names) * len(own.columns)); err != nil {
			return err
		}
		for _, name := range names {
			if own.find(name) < 0 {
				return deny(access.Construct, "a column of SEARCH or CYCLE that the query does not have")
			}
		}
	}
	if search != nil {
		typ := typeRecords
		if search.SearchBreadthFirst {
			typ = resolve.Record
		}
		c.columns = append(c.columns, output{name: search.SearchSeqColumn, typ: typ, location: -1})
	}
	if cycle == nil {
		return nil
	}
	marks, err := a.binds(&scope{parent: c.scope}, []*pg_query.Node{cycle.CycleMarkValue, cycle.CycleMarkDefault})
	if err != nil {
		return err
	}
	typ, err := a.common(marks, "CYCLE")
	if err != nil {
		return err
	}
	mark := typed(typ, -1)
	if _, err := a.operate([]string{"="}, &mark, mark, -1); err != nil {
		return err
	}
	c.columns = append(c.columns, output{name: cycle.CycleMarkColumn, typ: typ, location: -1},
		output{name: cycle.CyclePathColumn, typ: typeRecords, location: -1})
	return nil
}

// nameCTE is analyzeCTETargetList: aliases first, then the query's own names.
func (a *analyzer) nameCTE(c *cte, columns []output) error {
	aliases, ok := stringNodes(c.node.Aliascolnames)
	if !ok {
		return deny(access.Construct, "the columns of a WITH query")
	}
	if err := enoughColumns(`WITH query "`+c.name+`"`, len(columns), len(aliases), errorPosition(a.text, c.node.Location)); err != nil {
		return err
	}
	c.columns = append([]output(nil), columns...)
	for i := range c.columns {
		if c.columns[i].typ == resolve.Unknown {
			// The non-recursive part of a recursion (determineRecursiveColTypes).
			c.columns[i].typ, c.columns[i].literal = resolve.Text, nil
		}
	}
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
