package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// scope is a ParseState: one query level.
type scope struct {
	parent *scope
	// namespace is what names can refer to now; ranges every range table entry of
	// the level, visible or not.
	namespace []*item
	ranges    []*rangeEntry
	ctes      []*cte
	// lateral is p_lateral_active: lateral-only items can be seen.
	lateral bool
	// future are the entries of WITH that cannot be named yet (p_future_ctes).
	future []*cte
	// references counts references to the level's columns (contain_vars_of_level).
	references int
	// windows are the window definitions in OVER clauses, bound after everything else.
	windows []*pg_query.WindowDef
	// columnless is what is said of a column where none can stand, empty where one can
	// (transformColumnRef).
	columnless string
	// exempt is a relation of FROM that may be read without a grant (settingRow), the row
	// of setting alone.
	exempt  *catalog.Relation
	setting string
}

// rangeEntry is a range table entry.
type rangeEntry struct {
	// name is the name it goes by (eref).
	name string
	// producer is what errors call XMLTABLE and JSON_TABLE; empty for others.
	producer string
	// named and relation are set for relations.
	named    access.Object
	relation *catalog.Relation
	// columns are those of the item it was made for, as its alias names them. join says
	// that it is a join, whose columns are those of its sides.
	columns []column
	join    bool
	// system says that it has system columns as well.
	system bool
	// subquery is the level of a subquery in FROM, cte what a CTE reference names.
	subquery *scope
	cte      *cte
	// inFrom is inFromCl: FOR UPDATE sees it.
	inFrom bool
	// read says that a column of a target was read: from then on select is asked of it
	// as of what stands in FROM.
	read bool
	// used are the columns that were read by it (selectedCols).
	used columnSet
	// apart says that its columns are noted in used alone: what reads them says who asks
	// for them.
	apart bool
}

// uses notes that a column is read by an entry of a relation, and reports whether
// select is asked for on it.
func (e *rangeEntry) uses(column string) bool {
	if e.used == nil {
		e.used = columnSet{}
	}
	e.used[column] = true
	return !e.apart
}

// item is a ParseNamespaceItem: names that a range table entry or a join brings
// into view.
type item struct {
	name string
	// relation is set for a relation without an alias: only such can be named with
	// its schema.
	relation *catalog.Relation
	columns  []column
	// sides are the range table entries a whole-row reference reads.
	sides []*rangeEntry
	// system says that system columns can be named, of entry.
	system bool
	entry  *rangeEntry
	// defined and triggered say that system columns can be named in a constraint of a
	// table that is being made, of which PostgreSQL takes tableoid alone and says so of
	// the others, and of a row that a trigger or what is stored with a table gets. Nobody is
	// asked for them.
	defined, triggered bool
	// nameVisible and columnsVisible are p_rel_visible and p_cols_visible.
	nameVisible, columnsVisible bool
	// given and set are the columns of a target that an INSERT, or an UPDATE, has values
	// for that are not their defaults.
	given, set map[string]bool
	// merges marks the target of a MERGE.
	merges bool
	// lateralOnly and lateralOK are p_lateral_only and p_lateral_ok.
	lateralOnly, lateralOK bool
	// rowType is the type of a whole-row reference, 0 for record. scalar marks a
	// function that returns no row: a whole-row reference is its value. using marks the
	// alias of a USING list.
	rowType       catalog.OID
	scalar, using bool
}

// column is a name in an item and what reading it reads.
type column struct {
	name string
	// entry and source are the relation's column; entry is nil for what was
	// computed, and was charged where it was computed.
	entry  *rangeEntry
	source string
	typ    catalog.OID
	// fields are the columns of a record whose shape is known.
	fields []output
	// only is the value that it has in every row, empty where that is not known.
	only string
	// unexpanded is p_dontexpand: a star does not stand for it.
	unexpanded bool
}

// output is a column that a query, a function or a set operation yields.
type output struct {
	name string
	// typ is its type, typeUnknown where nothing has typed a literal yet: literal is that
	// then.
	typ     catalog.OID
	literal *value
	// location is where its expression begins, -1 for nowhere.
	location int32
	// fields are the columns of a record whose shape is known.
	fields []output
}

// cte is a WITH entry.
type cte struct {
	name    string
	node    *pg_query.CommonTableExpr
	columns []output
	// bound says that the query has been bound; busy that it is being bound.
	bound, busy bool
	// added are the columns of SEARCH and CYCLE, which a star inside the WITH does not stand
	// for (addRangeTableEntryForCTE).
	added []output
	// scope is where the WITH clause stands.
	scope *scope
	// silent says that it returns nothing.
	silent bool
}

// isSystemColumn recognises the names that heap.c reserves.
func isSystemColumn(name string) bool { return systemColumnType(name) != 0 }

// systemColumnType is the type of a system column, 0 for what is none.
func systemColumnType(name string) catalog.OID {
	switch name {
	case "tableoid":
		return typeOID
	case "ctid":
		return typeTID
	case "xmin", "xmax":
		return typeXID
	case "cmin", "cmax":
		return typeCID
	}
	return 0
}

// read marks a column as read under select.
func (a *analyzer) read(c *column) {
	if c.entry != nil && c.entry.uses(c.source) {
		if !c.entry.inFrom && !c.entry.read {
			c.entry.read = true
			a.current.need(access.Select, c.entry.named, c.entry.relation)
			a.current.entry(access.Select, c.entry.named, c.entry.relation).targeted++
		}
		a.current.column(access.Select, c.entry.named, c.entry.relation, c.source)
	}
}

// readWhole marks a whole-row reference: every column of every relation in it.
func (a *analyzer) readWhole(it *item) error {
	for _, side := range it.sides {
		if side.relation == nil {
			continue
		}
		if err := a.spend(len(side.relation.Columns)); err != nil {
			return err
		}
		for _, c := range side.relation.Columns {
			if side.uses(c.Name) {
				a.current.column(access.Select, side.named, side.relation, c.Name)
			}
		}
		if len(side.relation.Columns) == 0 && !side.apart {
			a.current.whole(access.Select, side.named, side.relation)
		}
	}
	return nil
}

// relationItem makes the item and entry of a relation.
func (a *analyzer) relationItem(rel *catalog.Relation, named access.Object, alias *pg_query.Alias) (*item, error) {
	if err := a.spend(len(rel.Columns)); err != nil {
		return nil, err
	}
	entry := &rangeEntry{name: rel.Name, named: named, relation: rel}
	it := &item{name: rel.Name, relation: rel, entry: entry, sides: []*rangeEntry{entry}, system: rel.Kind != catalog.KindView, rowType: rel.RowType,
		nameVisible: true, columnsVisible: true, lateralOK: true, columns: make([]column, 0, len(rel.Columns))}
	for _, c := range rel.Columns {
		it.columns = append(it.columns, column{name: c.Name, entry: entry, source: c.Name, typ: c.Type})
	}
	if alias != nil {
		entry.name, it.name, it.relation = alias.Aliasname, alias.Aliasname, nil
		if err := renameColumns(it, alias, tableWords(alias)); err != nil {
			return nil, err
		}
		if len(alias.Colnames) > 0 {
			a.eclipsesAlias(it)
		}
	}
	entry.columns, entry.system = it.columns, it.system
	return it, nil
}

// computedItem makes the item of a subquery, CTE or function.
func (a *analyzer) computedItem(entry *rangeEntry, columns []output, alias *pg_query.Alias) (*item, error) {
	if err := a.spend(len(columns)); err != nil {
		return nil, err
	}
	it := &item{name: entry.name, entry: entry, sides: []*rangeEntry{entry},
		nameVisible: true, columnsVisible: true, lateralOK: true, columns: make([]column, 0, len(columns))}
	for _, c := range columns {
		it.columns = append(it.columns, column{name: c.name, typ: c.typ, fields: c.fields})
	}
	if alias != nil {
		entry.name, it.name = alias.Aliasname, alias.Aliasname
		what := tableWords(alias)
		if entry.producer != "" {
			what = entry.producer + " function"
		}
		if err := renameColumns(it, alias, what); err != nil {
			return nil, err
		}
	}
	entry.columns = it.columns
	return it, nil
}

// tableWords names an item of FROM as errors about its columns do.
func tableWords(alias *pg_query.Alias) string { return `table "` + alias.Aliasname + `"` }

// renameColumns applies an alias's column list to the first columns. what is the item
// as PostgreSQL's error names it (buildRelationAliases and the functions
// addRangeTableEntryFor…, parse_relation.c).
func renameColumns(it *item, alias *pg_query.Alias, what string) error {
	if err := enoughColumns(what, len(it.columns), len(alias.Colnames), 0); err != nil {
		return err
	}
	for i, node := range alias.Colnames {
		name, ok := stringNode(node)
		if !ok {
			return deny(access.Construct, "a column alias")
		}
		it.columns[i].name = name
	}
	return nil
}

// enoughColumns is the error about more aliases than columns. How many there are is for
// those to know who may read them all.
func enoughColumns(what string, available, specified, position int) error {
	if specified <= available {
		return nil
	}
	return hideColumn(stateInvalidColumn, fmt.Sprintf("%s has %d columns available but %d columns specified", what, available, specified), position)
}

// stringNode reads a String node.
func stringNode(node *pg_query.Node) (string, bool) {
	if s, ok := node.GetNode().(*pg_query.Node_String_); ok {
		return s.String_.GetSval(), true
	}
	return "", false
}

// stringNodes reads a list of String nodes.
func stringNodes(nodes []*pg_query.Node) ([]string, bool) {
	var names []string
	for _, node := range nodes {
		name, ok := stringNode(node)
		if !ok {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

// setLateral is setNamespaceLateralState.
func setLateral(items []*item, only, ok bool) {
	for _, it := range items {
		it.lateralOnly, it.lateralOK = only, ok
	}
}
