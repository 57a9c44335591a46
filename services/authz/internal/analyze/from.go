package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// fromClause is transformFromClause: it fills the scope's namespace item by item,
// each visible to later ones only laterally, then opens all of it.
func (a *analyzer) fromClause(s *scope, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		_, items, err := a.fromItem(s, node)
		if err != nil {
			return err
		}
		setLateral(items, true, true)
		s.namespace = append(s.namespace, items...)
	}
	setLateral(s.namespace, false, true)
	return nil
}

// fromItem binds one item of FROM. It returns the item itself, and all items it
// brings into view.
func (a *analyzer) fromItem(s *scope, node *pg_query.Node) (*item, []*item, error) {
	var it *item
	var err error
	if node.GetJoinExpr() == nil {
		a.current.items++
	}
	before := s.references
	switch n := node.GetNode().(type) {
	case *pg_query.Node_RangeVar:
		it, err = a.rangeVar(s, n.RangeVar)
	case *pg_query.Node_RangeSubselect:
		it, err = a.rangeSubselect(s, n.RangeSubselect)
	case *pg_query.Node_RangeFunction:
		it, err = a.rangeFunction(s, n.RangeFunction)
	case *pg_query.Node_RangeTableFunc:
		it, err = a.rangeTableFunc(s, n.RangeTableFunc)
	case *pg_query.Node_JsonTable:
		it, err = a.jsonTable(s, n.JsonTable)
	case *pg_query.Node_RangeTableSample:
		return a.rangeTableSample(s, n.RangeTableSample)
	case *pg_query.Node_JoinExpr:
		return a.join(s, n.JoinExpr)
	default:
		return nil, nil, deny(access.Construct, "an item of FROM: "+nodeWords(node))
	}
	if err != nil {
		return nil, nil, err
	}
	a.current.lateral = a.current.lateral || s.references != before
	it.entry.inFrom = true
	s.ranges = append(s.ranges, it.entry)
	return it, []*item{it}, nil
}

// rangeVar binds a name in FROM: a CTE, or a relation to be read.
func (a *analyzer) rangeVar(s *scope, rv *pg_query.RangeVar) (*item, error) {
	if rv.Catalogname != "" && rv.Catalogname != a.snap.Database {
		return nil, deny(access.Construct, "a relation of another database")
	}
	if rv.Schemaname == "" {
		with, err := a.findCTE(s, rv.Relname)
		if err != nil {
			return nil, err
		}
		if with != nil {
			return a.cteItem(s, with, rv)
		}
	}
	rel, err := a.openRelation(rv, access.Select, rv.Location)
	if err != nil {
		return nil, futureCTE(s, rv, err)
	}
	if err := a.judgeRead(rel, rv.Inh); err != nil {
		return nil, err
	}
	named := namedObject(rv)
	if s.exempt == nil || rel != s.exempt {
		a.current.need(access.Select, named, rel)
		return a.relationItem(rel, named, rv.Alias)
	}
	it, err := a.relationItem(rel, named, rv.Alias)
	if err == nil {
		it.free(s.setting)
	}
	return it, err
}

func (a *analyzer) rangeSubselect(s *scope, sub *pg_query.RangeSubselect) (*item, error) {
	outer := s.lateral
	s.lateral = sub.Lateral
	a.current.lateral = a.current.lateral || sub.Lateral
	inner, columns, err := a.subquery(s, sub.Subquery, nil)
	s.lateral = outer
	if err != nil {
		return nil, err
	}
	it, err := a.computedItem(&rangeEntry{subquery: inner}, columns, sub.Alias)
	if err != nil {
		return nil, err
	}
	if sub.Alias == nil {
		// PostgreSQL 16: without an alias it has no name to refer to.
		it.nameVisible = false
		it.entry.name = "unnamed_subquery"
	}
	return it, nil
}

// join is the JoinExpr part of transformFromClauseItem.
func (a *analyzer) join(s *scope, j *pg_query.JoinExpr) (*item, []*item, error) {
	left, leftItems, err := a.fromItem(s, j.Larg)
	if err != nil {
		return nil, nil, err
	}
	// The right side sees the left one laterally, to no use in RIGHT and FULL joins.
	visible := j.Jointype == pg_query.JoinType_JOIN_INNER || j.Jointype == pg_query.JoinType_JOIN_LEFT
	setLateral(leftItems, true, visible)
	before := len(s.namespace)
	s.namespace = append(s.namespace, leftItems...)
	right, rightItems, err := a.fromItem(s, j.Rarg)
	if err != nil {
		return nil, nil, err
	}
	s.namespace = s.namespace[:before:before]
	items := append(append([]*item(nil), leftItems...), rightItems...)

	joined := &item{entry: &rangeEntry{name: "unnamed_join", join: true}, lateralOK: true, columnsVisible: true}
	joined.sides = append(append([]*rangeEntry(nil), left.sides...), right.sides...)
	merged, err := a.mergedColumns(j, left, right)
	if err != nil {
		return nil, nil, err
	}
	if err := a.joinColumns(joined, merged, left, right); err != nil {
		return nil, nil, err
	}
	a.eclipsesJoin(j, joined)
	if j.Quals != nil {
		if err := a.joinQuals(s, j.Quals, items); err != nil {
			return nil, nil, err
		}
	}
	s.ranges = append(s.ranges, joined.entry)
	if j.Alias != nil {
		joined.name, joined.entry.name, joined.nameVisible = j.Alias.Aliasname, j.Alias.Aliasname, true
		if err := renameColumns(joined, j.Alias, `join expression "`+j.Alias.Aliasname+`"`); err != nil {
			return nil, nil, err
		}
		// An alias hides what is in the join.
		items = nil
	}
	for _, it := range items {
		it.columnsVisible = false
	}
	if using := j.JoinUsingAlias; using != nil {
		// Its whole row is the merged columns, which are marked already: no sides.
		items = append(items, &item{name: using.Aliasname, entry: joined.entry, nameVisible: true, lateralOK: true, using: true,
			columns: append([]column(nil), joined.columns[:len(merged)]...)})
	}
	return joined, append(items, joined), nil
}

// joinQuals binds ON, which sees the two sides of the join and outer levels only.
func (a *analyzer) joinQuals(s *scope, quals *pg_query.Node, items []*item) error {
	setLateral(items, false, true)
	outer := s.namespace
	s.namespace = items
	err := a.condition(s, quals, "JOIN/ON")
	s.namespace = outer
	return err
}

// mergedColumns resolves USING and NATURAL and marks both sides as read, since the
// join compares them.
func (a *analyzer) mergedColumns(j *pg_query.JoinExpr, left, right *item) ([]column, error) {
	names, ok := stringNodes(j.UsingClause)
	if !ok {
		return nil, deny(access.Construct, "a USING list")
	}
	if j.IsNatural {
		have := map[string]bool{}
		for _, c := range right.columns {
			have[c.name] = true
		}
		for _, c := range left.columns {
			if have[c.name] {
				names = append(names, c.name)
			}
		}
	}
	var merged []column
	var pairs [][2]value
	for _, name := range names {
		l, err := a.usingColumn(left, name, "left")
		if err != nil {
			return nil, err
		}
		r, err := a.usingColumn(right, name, "right")
		if err != nil {
			return nil, err
		}
		a.read(l)
		a.read(r)
		pairs = append(pairs, [2]value{typed(l.typ, -1), typed(r.typ, -1)})
		var c column
		switch j.Jointype {
		case pg_query.JoinType_JOIN_RIGHT:
			c = *r
		case pg_query.JoinType_JOIN_FULL:
			// A COALESCE of both sides.
			c = column{typ: l.typ}
		default:
			c = *l
		}
		// Both sides are marked already; the name stays.
		c.name = name
		if a.version < mergedLateSince {
			if err := a.mergeType(&c, pairs[len(pairs)-1]); err != nil {
				return nil, err
			}
		}
		merged = append(merged, c)
	}
	if err := a.compareMerged(pairs); err != nil || a.version < mergedLateSince {
		return merged, err
	}
	for i := range merged {
		if err := a.mergeType(&merged[i], pairs[i]); err != nil {
			return nil, err
		}
	}
	return merged, nil
}

// mergedLateSince is the first server_version_num that compares the columns of a join
// before it makes one of them (transformFromClauseItem).
const mergedLateSince = 160000

// mergeType gives a merged column its type (buildMergedJoinVar).
func (a *analyzer) mergeType(c *column, pair [2]value) error {
	typ, err := a.common(pair[:], "JOIN/USING")
	if err == nil && c.typ != typ {
		c.typ, c.fields = typ, nil
	}
	return err
}

// compareMerged compares the two sides of each merged column
// (transformJoinUsingClause).
func (a *analyzer) compareMerged(pairs [][2]value) error {
	for _, pair := range pairs {
		v, err := a.compareImplied(pair[0], pair[1], -1)
		if err != nil {
			return err
		}
		if err := a.boolean(v, "JOIN/USING"); err != nil {
			return err
		}
	}
	return nil
}

// usingColumn finds a USING column in one side. PostgreSQL gives these errors no
// position.
func (a *analyzer) usingColumn(it *item, name, side string) (*column, error) {
	if err := a.spend(len(it.columns)); err != nil {
		return nil, err
	}
	var found *column
	for i := range it.columns {
		if it.columns[i].name != name {
			continue
		}
		if found != nil {
			return nil, hideColumn(stateAmbiguousColumn, "common column name \""+name+"\" appears more than once in "+side+" table", 0)
		}
		found = &it.columns[i]
	}
	if found == nil {
		return nil, hideColumn(stateUndefinedColumn, "column \""+name+"\" specified in USING clause does not exist in "+side+" table", 0)
	}
	return found, nil
}

// joinColumns lists the join's columns: the merged ones, the rest of the left side,
// the rest of the right.
func (a *analyzer) joinColumns(joined *item, merged []column, left, right *item) error {
	total := len(left.columns) + len(right.columns)
	if total > maxJoinColumns {
		return deny(access.Construct, "a join of too many columns")
	}
	// Columns are copied up through every join, and so are the names in view.
	if err := a.spend(4*total + 4*len(joined.sides)); err != nil {
		return err
	}
	skip := map[string]bool{}
	for _, c := range merged {
		skip[c.name] = true
	}
	joined.columns = append(make([]column, 0, total), merged...)
	for _, side := range []*item{left, right} {
		for _, c := range side.columns {
			if !skip[c.name] {
				joined.columns = append(joined.columns, c)
			}
		}
	}
	return nil
}
