package analyze

import (
	"maps"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// viewParts are what the parts of an automatically updatable view's query read and run:
// of a write only those stay that it uses (rewriteTargetView).
type viewParts struct {
	// quals is its condition; columns are the expressions of the view's columns.
	quals   viewPart
	columns []viewPart
}

// viewPart is what a part reads and runs, but for the row of the relation that the view is
// over: of that it reads the columns.
type viewPart struct {
	accesses *recorder
	columns  columnSet
}

// partsOf binds the parts of an automatically updatable view's query apart.
func (a *analyzer) partsOf(view *catalog.Relation) (*viewParts, error) {
	p := &viewParts{}
	_, err := a.catalogued(view.Definition, inside{path: a.storedPath(), reader: a.viewReader(view), stored: true,
		origin: origin{refs: view.References, owner: view.OID}},
		func(inner *analyzer, tree *pg_query.ParseResult) error {
			if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
				return deny(access.Construct, "a view's query")
			}
			q, s := tree.Stmts[0].Stmt.GetSelectStmt(), &scope{}
			if err := inner.fromClause(s, q.FromClause); err != nil {
				return err
			}
			if len(s.ranges) != 1 {
				return deny(access.Construct, "a view over other than one relation")
			}
			base := s.ranges[0]
			base.apart = true
			// apart has what follows collected by a part of its own.
			apart := func() viewPart {
				inner.current = &recorder{within: inner.current.within, stored: true}
				base.used = columnSet{}
				return viewPart{accesses: inner.current, columns: base.used}
			}
			for _, node := range q.TargetList {
				p.columns = append(p.columns, apart())
				list, err := inner.targetList(s, []*pg_query.Node{node})
				if err == nil {
					err = inner.settle(list.columns)
				}
				if err != nil {
					return err
				}
			}
			p.quals = apart()
			if err := inner.condition(s, q.WhereClause, "WHERE"); err != nil {
				return err
			}
			// All that the text was resolved to is to be met, its order as well.
			apart()
			_, _, err := inner.subquery(nil, tree.Stmts[0].Stmt, nil)
			return err
		})
	return p, err
}

// used are the parts that a write uses. The condition holds the rows that are there, also
// those that MERGE joins, and new ones where it is checked; of the columns those are computed
// that the statement reads.
func (p *viewParts) used(view *catalog.Relation, w viewWrite) []viewPart {
	var all []viewPart
	if w.merges || w.action != access.Insert && !w.unseen || w.cascaded || view.CheckOption != 0 {
		all = append(all, p.quals)
	}
	for i, c := range view.Columns {
		if i < len(p.columns) && (w.read == nil || w.read[c.Name]) {
			all = append(all, p.columns[i])
		}
	}
	return all
}

// absorbParts adds what a write to a view uses of its query, and returns the columns that
// it reads of the relation that the view is over.
func (r *recorder) absorbParts(parts []viewPart) columnSet {
	read := columnSet{}
	for _, part := range parts {
		maps.Copy(read, part.columns)
		r.absorb(part.accesses, nil, false)
	}
	return read
}

// absorbRead adds the right to read the columns of a relation that a query reads by one of
// its entries, and nothing else: others of that relation, in subqueries, ask for theirs.
func (r *recorder) absorbRead(query *recorder, of *rangeEntry) {
	e := query.index[query.tableKey(access.Select, of.relation)]
	if e == nil {
		return
	}
	one := *e
	one.columns, one.access.AllColumns, one.needs = of.used, len(of.relation.Columns) == 0, 1
	r.merge(&recorder{entries: []*entry{&one}}, nil, false, nil)
}

// readOf are the columns of a view that a statement reads; nil stands for all of them.
func (a *analyzer) readOf(view *catalog.Relation) columnSet {
	e := a.current.index[a.current.tableKey(access.Select, view)]
	switch {
	case e == nil:
		return columnSet{}
	case e.access.AllColumns, slices.ContainsFunc(slices.Collect(maps.Keys(e.columns)), isSystemColumn):
		return nil
	default:
		return columnSet(maps.Clone(e.columns))
	}
}
