package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
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
	var columns []output
	err := a.addedColumns(c)
	if err == nil {
		_, columns, err = a.subquery(c.scope, c.node.Ctequery, c)
	}
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

// addedColumns binds the columns of SEARCH and CYCLE, which the query can refer to already
// (analyzeCTE). Marks are told apart by the operator that negates their type's equality.
func (a *analyzer) addedColumns(c *cte) error {
	if search := c.node.SearchClause; search != nil {
		typ := typeRecords
		if search.SearchBreadthFirst {
			typ = resolve.Record
		}
		c.added = append(c.added, output{name: search.SearchSeqColumn, typ: typ, location: -1})
	}
	cycle := c.node.CycleClause
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
	if err := a.unlike(typ); err != nil {
		return err
	}
	c.added = append(c.added, output{name: cycle.CycleMarkColumn, typ: typ, location: -1},
		output{name: cycle.CyclePathColumn, typ: typeRecords, location: -1})
	return nil
}

// unlike asks for what tells unequal values of a type from others, by the negator of its
// equality.
func (a *analyzer) unlike(oid catalog.OID) error {
	if err := a.spend(len(a.snap.OperatorClasses)); err != nil {
		return err
	}
	found, ok := a.names().Sort(oid)
	if !ok {
		return hide(stateUndefinedFunction, "could not identify an equality operator for type "+a.names().Name(oid), 0)
	}
	equal := a.snap.OperatorByOID(found.Equal)
	if equal == nil {
		return deny(access.OpaqueCode, "the equality of type "+a.names().Name(oid))
	}
	other := a.snap.OperatorByOID(equal.Negator)
	if other == nil {
		return hide(stateUndefinedFunction, "could not identify an inequality operator for type "+a.names().Name(oid), 0)
	}
	mark := typed(oid, -1)
	return a.runOperator(other, resolve.Bool, []value{mark, mark})
}

// searchAndCycle judges what SEARCH and CYCLE compare, columns of the query, by their
// types' own order.
func (a *analyzer) searchAndCycle(c *cte) error {
	own := &targets{columns: c.columns}
	search, cycle := c.node.SearchClause, c.node.CycleClause
	for _, list := range []struct {
		nodes    []*pg_query.Node
		what     string
		location int32
	}{{search.GetSearchColList(), "search", search.GetLocation()}, {cycle.GetCycleColList(), "cycle", cycle.GetLocation()}} {
		names, ok := stringNodes(list.nodes)
		if !ok {
			return deny(access.Construct, "a list of columns")
		}
		if err := a.spend(len(names) * len(own.columns)); err != nil {
			return err
		}
		for _, name := range names {
			if own.find(name) < 0 {
				return hideColumn(stateSyntax, list.what+" column \""+name+"\" not in WITH query column list", errorPosition(a.text, list.location))
			}
		}
	}
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

// cteItem is what a reference to a CTE brings into view. A query may name itself once its
// non-recursive part is known.
func (a *analyzer) cteItem(s *scope, c *cte, rv *pg_query.RangeVar) (*item, error) {
	columns, err := a.cteColumns(c, rv)
	if err != nil {
		return nil, err
	}
	it, err := a.computedItem(&rangeEntry{name: rv.Relname, cte: c}, slices.Concat(columns, c.added), rv.Alias)
	if err == nil && s != c.scope {
		for i := range c.added {
			it.columns[len(columns)+i].unexpanded = true
		}
	}
	return it, err
}

// cteColumns are the columns of a CTE's query.
func (a *analyzer) cteColumns(c *cte, rv *pg_query.RangeVar) ([]output, error) {
	if !c.bound && !c.busy {
		if err := a.bindCTE(c); err != nil {
			return nil, err
		}
	}
	if c.columns == nil && c.busy {
		return nil, deny(access.Construct, "a recursion that PostgreSQL does not know")
	}
	if c.silent {
		return nil, hide(stateUnsupported, "WITH query \""+c.name+"\" does not have a RETURNING clause", errorPosition(a.text, rv.Location))
	}
	return c.columns, nil
}
