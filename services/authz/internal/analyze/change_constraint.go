package analyze

import (
	"regexp"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// madeKey is a primary key or unique constraint that a statement makes.
type madeKey struct {
	name             string
	columns, covered []string
	primary          bool
}

// madeConstraints shows the constraints that a statement adds to a relation: first checks,
// then indexes, the primary key's before others, then foreign keys
// (transformCreateStmt of parse_utilcmd.c, ATRewriteCatalogs of tablecmds.c).
func (a *analyzer) madeConstraints(d *definition, rel *catalog.Relation) {
	var keys []madeKey
	for i := range d.constraints {
		c := &d.constraints[i]
		switch c.Contype {
		case pg_query.ConstrType_CONSTR_CHECK:
			c.name = a.checkName(rel, c)
			rel.Checks, rel.CheckNames = append(rel.Checks, c.text), append(rel.CheckNames, c.name)
		case pg_query.ConstrType_CONSTR_NOTNULL:
			if c.Conname != "" && a.version >= namedNotNullSince && !notNullName.MatchString(c.Conname) {
				rel.OtherConstraints = append(rel.OtherConstraints, c.Conname)
			}
		case pg_query.ConstrType_CONSTR_PRIMARY, pg_query.ConstrType_CONSTR_UNIQUE:
			k, ok := keyOf(*c)
			if d.unsure = d.unsure || !ok; !ok {
				return
			}
			keys = append(keys, k)
		}
	}
	a.charge(len(keys) * len(keys))
	if a.exhausted() {
		return
	}
	for _, k := range dedupe(keys) {
		a.madeKey(d, rel, k)
	}
	for _, c := range d.constraints {
		if c.Contype == pg_query.ConstrType_CONSTR_FOREIGN {
			a.madeForeignKey(d, rel, c)
		}
	}
}

// namedNotNullSince is the first server_version_num whose tables have NOT NULL as a
// constraint with a name. notNullName is the kind of name that it gets without one: no other
// constraint's is made up like that.
const namedNotNullSince = 180000

var notNullName = regexp.MustCompile("_not_null[0-9]*$")

// checkName is the name of a check (ChooseConstraintName, AddRelationNewConstraints).
func (a *analyzer) checkName(rel *catalog.Relation, c *madeConstraint) string {
	if c.Conname != "" {
		return c.Conname
	}
	// With one column in it, that column's name is part of it.
	only := map[string]bool{}
	eachColumn(c.RawExpr, func(column string) { only[column] = true })
	part := ""
	if len(only) == 1 {
		for column := range only {
			part = column
		}
	}
	return a.constraintName(rel.Schema, rel.Name, part, "check")
}

// keyOf reads the columns of a key. One that takes an index that is there is not
// followed: its columns are not in the snapshot.
func keyOf(c madeConstraint) (madeKey, bool) {
	k := madeKey{name: c.Conname, primary: c.Contype == pg_query.ConstrType_CONSTR_PRIMARY}
	columns, ok := stringNodes(c.Keys)
	covered, also := stringNodes(c.Including)
	k.columns, k.covered = columns, covered
	if c.column != "" {
		k.columns = []string{c.column}
	}
	return k, (ok || c.column != "") && (also || len(c.Including) == 0) && c.Indexname == "" && len(k.columns) > 0
}

// dedupe is transformIndexConstraints: the primary key first, and no index twice.
func dedupe(keys []madeKey) []madeKey {
	slices.SortStableFunc(keys, func(x, y madeKey) int {
		switch {
		case x.primary && !y.primary:
			return -1
		case y.primary && !x.primary:
			return 1
		}
		return 0
	})
	var out []madeKey
next:
	for _, k := range keys {
		for i := range out {
			if slices.Equal(out[i].columns, k.columns) && slices.Equal(out[i].covered, k.covered) {
				if out[i].name == "" {
					out[i].name = k.name
				}
				continue next
			}
		}
		out = append(out, k)
	}
	return out
}

// madeKey shows a key and its index.
func (a *analyzer) madeKey(d *definition, rel *catalog.Relation, k madeKey) {
	key := catalog.Key{Name: k.name, Primary: k.primary}
	for i, name := range append(slices.Clone(k.columns), k.covered...) {
		at := slices.IndexFunc(rel.Columns, func(c catalog.Column) bool { return c.Name == name })
		if at < 0 {
			d.unsure = true
			return
		}
		if i >= len(k.columns) {
			continue
		}
		if key.Columns = append(key.Columns, rel.Columns[at].Number); k.primary {
			rel.Columns[at].NotNull = true
		}
		if class := a.userClass("btree", rel.Columns[at].Type); class != 0 {
			rel.ForeignOperatorClasses = append(rel.ForeignOperatorClasses, class)
		}
	}
	if len(rel.Children) > 0 {
		// It is made on the children as well.
		d.unsure = true
		return
	}
	if key.Name == "" && k.primary {
		key.Name = a.relationName(rel.Schema, rel.Name, "", "pkey", true)
	} else if key.Name == "" {
		key.Name = a.relationName(rel.Schema, rel.Name, indexNameAddition(append(slices.Clone(k.columns), k.covered...)), "key", true)
	}
	rel.Keys = append(rel.Keys, key)
	if k.primary {
		a.primary[rel.OID] = key.Columns
	}
	a.addIndex(rel, key.Name)
}

// addIndex adds an index.
func (a *analyzer) addIndex(rel *catalog.Relation, name string) *catalog.Relation {
	kind := catalog.KindIndex
	if rel.Kind == catalog.KindPartitionedTable {
		kind = catalog.KindPartitionedIndex
	}
	return a.addRelation(catalog.Relation{Schema: rel.Schema, Name: name, Kind: kind, IndexOf: rel.OID})
}

// madeForeignKey shows a foreign key at both its ends (ATAddForeignKeyConstraint).
func (a *analyzer) madeForeignKey(d *definition, rel *catalog.Relation, c madeConstraint) {
	toOID := c.to
	if toOID == 0 {
		toOID = rel.OID
	}
	to := a.edited(toOID)
	if to == nil || len(rel.Children) > 0 || to.Kind == catalog.KindPartitionedTable {
		// Partitions get keys of their own.
		d.unsure = true
		return
	}
	names, ok := stringNodes(c.FkAttrs)
	if len(names) == 0 {
		names = []string{c.column}
	}
	key := catalog.ForeignKey{Name: c.Conname, From: rel.OID, To: toOID, OnDelete: keyAction(c.FkDelAction), OnUpdate: keyAction(c.FkUpdAction)}
	from, fine := columnNumbers(rel, names)
	key.FromColumns = from
	if len(c.PkAttrs) > 0 {
		pk, listed := stringNodes(c.PkAttrs)
		numbers, there := columnNumbers(to, pk)
		key.ToColumns, ok = numbers, ok && listed && there
	} else {
		key.ToColumns = a.primaryKey(to)
	}
	if !fine || !ok && len(c.FkAttrs) > 0 || len(key.ToColumns) != len(key.FromColumns) {
		d.unsure = true
		return
	}
	if key.Name == "" {
		key.Name = a.constraintName(rel.Schema, rel.Name, indexNameAddition(names), "fkey")
	}
	rel.ForeignKeys, to.ReferencedBy = append(rel.ForeignKeys, key), append(to.ReferencedBy, key)
}

// keyAction is what a foreign key's action is in pg_constraint.
func keyAction(action string) byte {
	if action == "" {
		return 'a'
	}
	return action[0]
}

func columnNumbers(rel *catalog.Relation, names []string) ([]int16, bool) {
	var numbers []int16
	for _, name := range names {
		at := slices.IndexFunc(rel.Columns, func(c catalog.Column) bool { return c.Name == name })
		if at < 0 {
			return nil, false
		}
		numbers = append(numbers, rel.Columns[at].Number)
	}
	return numbers, true
}

// primaryKey lists the columns of a relation's primary key, nil where it is not certain:
// a snapshot does not say which key it is, but it is one of columns that are not null.
func (a *analyzer) primaryKey(rel *catalog.Relation) []int16 {
	if columns := a.primary[rel.OID]; columns != nil {
		return columns
	}
	var found []int16
	n := 0
	for _, k := range rel.Keys {
		if !slices.ContainsFunc(k.Columns, func(number int16) bool { return !notNull(rel, number) }) {
			found, n = k.Columns, n+1
		}
	}
	if n != 1 {
		return nil
	}
	return found
}

func notNull(rel *catalog.Relation, number int16) bool {
	return slices.ContainsFunc(rel.Columns, func(c catalog.Column) bool { return c.Number == number && c.NotNull })
}

// eachColumn visits the columns that an expression over one relation names.
func eachColumn(node *pg_query.Node, visit func(string)) {
	if node == nil {
		return
	}
	eachNode(node, func(n *pg_query.ColumnRef) {
		if names, ok := stringNodes(n.Fields); ok && len(names) > 0 {
			visit(last(names))
		}
	})
}

// dropColumn takes a column away, with the constraints and indexes that it is in
// (RemoveAttributeById, and what depends on the column by itself).
func (a *analyzer) dropColumn(rel *catalog.Relation, at int) bool {
	gone := rel.Columns[at]
	rel.Columns = slices.Delete(rel.Columns, at, at+1)
	has := func(numbers []int16) bool { return slices.Contains(numbers, gone.Number) }
	for _, k := range slices.Clone(rel.Keys) {
		if has(k.Columns) && !a.dropKey(rel, k.Name) {
			return false
		}
	}
	for _, k := range slices.Clone(rel.ForeignKeys) {
		if has(k.FromColumns) {
			a.dropForeignKey(rel, k)
		}
	}
	for i := len(rel.Checks) - 1; i >= 0; i-- {
		if a.mentions(rel.Checks[i].Text, gone.Name) {
			a.dropCheck(rel, i)
		}
	}
	a.goneColumn(rel, gone.Name)
	rel.IndexExpressions = slices.DeleteFunc(rel.IndexExpressions, func(e catalog.Expression) bool { return a.mentions(e.Text, gone.Name) })
	rel.StatisticsExpressions = slices.DeleteFunc(rel.StatisticsExpressions, func(e catalog.Expression) bool { return a.mentions(e.Text, gone.Name) })
	for _, oid := range gone.References.Relations {
		if s := a.relation(oid); s != nil && s.OwnedBy == rel.OID {
			a.gone(oid)
		}
	}
	return true
}

// retypeColumn gives a column another type. What is made of it is bound anew then, which
// is not followed.
func (a *analyzer) retypeColumn(rel *catalog.Relation, at int, typ catalog.OID) bool {
	c := &rel.Columns[at]
	if typ == 0 || a.userClass("btree", typ) != 0 || a.userClass("btree", c.Type) != 0 || a.userClass("hash", typ) != 0 {
		return false
	}
	c.Type = typ
	for _, list := range [][]catalog.Expression{rel.Checks, rel.IndexExpressions, rel.StatisticsExpressions} {
		for i := range list {
			if a.mentions(list[i].Text, c.Name) && !a.keepsMeaning(list[i], typ) {
				list[i].Text = unwritten
			}
		}
	}
	return true
}

// mentions reports whether an expression of a relation names a column. One that cannot
// be read does not: it stays, as what cannot be understood.
func (a *analyzer) mentions(text, column string) bool {
	found := false
	if a.charge(readCost * len(text)); text == unwritten || a.exhausted() {
		return false
	}
	tree, err := parse("SELECT ("+text+")", "SELECT ("+text+")", a.version/10000)
	if err != nil || len(tree.Stmts) != 1 {
		return false
	}
	eachColumn(tree.Stmts[0].Stmt, func(name string) { found = found || name == column })
	return found
}

// dropConstraint takes a constraint away by its name, a check from those that inherit it,
// too, where no other parent may keep it.
func (a *analyzer) dropConstraint(family []*catalog.Relation, name string) bool {
	rel := family[0]
	if slices.ContainsFunc(rel.Keys, func(k catalog.Key) bool { return k.Name == name }) {
		return a.dropKey(rel, name)
	}
	for _, k := range rel.ForeignKeys {
		if k.Name == name {
			a.dropForeignKey(rel, k)
			return len(family) == 1
		}
	}
	for i, r := range family {
		at := slices.Index(r.CheckNames, name)
		if at >= 0 && at < len(r.Checks) && (i == 0 || len(r.Parents) == 1) {
			a.dropCheck(r, at)
		}
	}
	rel.OtherConstraints = slices.DeleteFunc(rel.OtherConstraints, func(other string) bool { return other == name })
	return true
}

// dropKey takes a key and its index away.
func (a *analyzer) dropKey(rel *catalog.Relation, name string) bool {
	if rel.Kind == catalog.KindPartitionedTable && len(rel.Children) > 0 {
		return false
	}
	rel.Keys = slices.DeleteFunc(rel.Keys, func(k catalog.Key) bool { return k.Name == name })
	if index := a.relationNamedIn(rel.Schema, name); index != nil && index.IndexOf == rel.OID {
		a.gone(index.OID)
	}
	delete(a.primary, rel.OID)
	return true
}

func (a *analyzer) dropForeignKey(rel *catalog.Relation, key catalog.ForeignKey) {
	is := func(k catalog.ForeignKey) bool { return k.Name == key.Name && k.From == key.From }
	rel.ForeignKeys = slices.DeleteFunc(rel.ForeignKeys, is)
	if to := a.edited(key.To); to != nil {
		to.ReferencedBy = slices.DeleteFunc(to.ReferencedBy, is)
	}
}

func (a *analyzer) dropCheck(rel *catalog.Relation, at int) {
	rel.Checks = slices.Delete(rel.Checks, at, at+1)
	if at < len(rel.CheckNames) {
		rel.CheckNames = slices.Delete(rel.CheckNames, at, at+1)
	}
}
