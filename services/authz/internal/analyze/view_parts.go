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
	quals   *recorder
	columns []*recorder
}

// partsOf binds the parts of a view's query apart. Reading the columns of base is among
// them; the need of it is not, unless a subquery names it once more.
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
			// apart has what follows collected by a recorder of its own.
			apart := func() *recorder {
				inner.current = &recorder{within: inner.current.within, stored: true}
				return inner.current
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

// used are the parts that a write uses. The condition holds the rows that are there, and
// new ones where it is checked; of the columns those are computed that the statement reads.
func (p *viewParts) used(view *catalog.Relation, w viewWrite) []*recorder {
	var all []*recorder
	if w.action != access.Insert && !w.unseen || w.cascaded || view.CheckOption != 0 {
		all = append(all, p.quals)
	}
	for i, c := range view.Columns {
		if i < len(p.columns) && (w.read == nil || w.read[c.Name]) {
			all = append(all, p.columns[i])
		}
	}
	return all
}

// absorbParts adds what a write to a view uses of its query, and returns the columns of
// base that it reads.
func (r *recorder) absorbParts(parts []*recorder, base *catalog.Relation) columnSet {
	read := columnSet{}
	for _, part := range parts {
		maps.Copy(read, part.columnsOf(access.Select, base))
		r.mergeBut(part, func(e *entry) bool {
			return e.needs == 0 && !e.access.AllColumns && readsOf(e, base)
		})
	}
	return read
}

// absorbRead adds the right to read what a query reads of a relation, and nothing else.
func (r *recorder) absorbRead(query *recorder, rel *catalog.Relation) {
	for _, e := range query.entries {
		if readsOf(e, rel) {
			r.merge(&recorder{entries: []*entry{e}}, nil, false, nil)
		}
	}
}

// readsOf reports whether an entry is about reading a relation.
func readsOf(e *entry, rel *catalog.Relation) bool {
	return e.relation != nil && e.relation.OID == rel.OID && e.access.Action == access.Select
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
