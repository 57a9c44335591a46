package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// setOperation binds UNION and its kin: the arms below this level, then ORDER BY
// over the columns of the first arm (transformSetOperationStmt).
func (a *analyzer) setOperation(s *scope, q *pg_query.SelectStmt, owner *cte) ([]output, error) {
	if len(q.LockingClause) > 0 {
		return nil, deny(access.Construct, "FOR UPDATE of a set operation")
	}
	if err := a.with(s, q.WithClause); err != nil {
		return nil, err
	}
	columns, err := a.setArm(s, q, owner, true)
	if err != nil {
		return nil, err
	}
	// ORDER BY sees the output names only, and LIMIT nothing.
	it, err := a.computedItem(&rangeEntry{name: "unnamed_join", join: true}, columns, nil)
	if err != nil {
		return nil, err
	}
	it.nameVisible = false
	s.namespace = []*item{it}
	if err := a.sortClause(s, q.SortClause, &targets{columns: columns}); err != nil {
		return nil, err
	}
	s.namespace = nil
	return columns, a.limit(s, q)
}

// setArm is transformSetOperationTree. Columns of a leaf may be literals without a
// type; those of an operation are typed.
func (a *analyzer) setArm(s *scope, q *pg_query.SelectStmt, owner *cte, top bool) ([]output, error) {
	leaf := q.Op == pg_query.SetOperation_SETOP_NONE ||
		!top && (len(q.SortClause) > 0 || q.LimitOffset != nil || q.LimitCount != nil || len(q.LockingClause) > 0 || q.WithClause != nil)
	if leaf {
		inner := &scope{parent: s}
		columns, err := a.selectStmt(inner, q, nil)
		entry := &rangeEntry{name: "*SELECT* " + itoa(len(s.ranges)+1), subquery: inner}
		for _, c := range columns {
			entry.columns = append(entry.columns, column{name: c.name})
		}
		s.ranges = append(s.ranges, entry)
		return columns, err
	}
	a.current.appends = true
	left, err := a.setArm(s, q.Larg, nil, false)
	if err != nil {
		return nil, err
	}
	if top && owner != nil && owner.scope.hasRecursion(owner) {
		if err := a.nameCTE(owner, left); err != nil {
			return nil, err
		}
	}
	right, err := a.setArm(s, q.Rarg, nil, false)
	if err != nil {
		return nil, err
	}
	return a.unite(q, left, right)
}

// unite gives the columns of two arms their common types. All but UNION ALL compare
// them by the types' own equality.
func (a *analyzer) unite(q *pg_query.SelectStmt, left, right []output) ([]output, error) {
	construct, ok := map[pg_query.SetOperation]string{pg_query.SetOperation_SETOP_UNION: "UNION",
		pg_query.SetOperation_SETOP_INTERSECT: "INTERSECT", pg_query.SetOperation_SETOP_EXCEPT: "EXCEPT"}[q.Op]
	if !ok {
		return nil, deny(access.Construct, "a set operation")
	}
	if len(left) != len(right) {
		location := int32(-1)
		for _, c := range right {
			location = leftmost(location, c.location)
		}
		return nil, hideColumn(stateSyntax, "each "+construct+" query must have the same number of columns", errorPosition(a.text, location))
	}
	columns := make([]output, 0, len(left))
	for i := range left {
		pair := []value{left[i].value(), right[i].value()}
		typ, bad := a.names().Common(types(pair), construct)
		if bad != nil {
			return nil, a.wrong(bad, pair[1].location)
		}
		for _, v := range pair {
			if v.open() && v.kind == computed {
				continue
			}
			if err := a.toCommon([]value{v}, typ, construct); err != nil {
				return nil, err
			}
		}
		if err := a.holds(typ); err != nil {
			return nil, err
		}
		column := output{name: left[i].name, typ: typ, location: left[i].location}
		if typ == resolve.Record {
			column.fields = left[i].fields
		}
		columns = append(columns, column)
	}
	if q.All && q.Op == pg_query.SetOperation_SETOP_UNION {
		return columns, nil
	}
	return columns, a.groupsAll(columns)
}

// value is a column as the expression it was computed by.
func (o output) value() value {
	if o.literal != nil {
		return *o.literal
	}
	return value{typ: o.typ, location: o.location, fields: o.fields}
}

// hasRecursion reports whether a CTE may name itself: under WITH RECURSIVE its
// name is in view while it is bound.
func (s *scope) hasRecursion(c *cte) bool {
	for _, have := range s.ctes {
		if have == c {
			return true
		}
	}
	return false
}
