package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// indexText is an expression or condition of an index as it is stored. An element is a
// column of what is made: it depends on its type.
func (a *analyzer) indexText(d *definition, node *pg_query.Node, element bool) (catalog.Expression, error) {
	return a.keeping(d.scope(), node, d.relation.Name, func(v value) error {
		if element {
			a.dependsOn(v.typ)
		}
		return nil
	})
}

// madeIndex shows an index that was made (DefineIndex of indexcmds.c), with the code that
// it runs. On a partitioned table one is made on each partition, too.
func (a *analyzer) madeIndex(i *pg_query.IndexStmt, rel *catalog.Relation, texts []catalog.Expression) {
	if i.Idxname != "" && a.relationNamedIn(rel.Schema, i.Idxname) != nil {
		a.change.known = i.IfNotExists
		return
	}
	if rel.Kind == catalog.KindPartitionedTable && len(rel.Children) > 0 {
		return
	}
	method := i.AccessMethod
	if method == "" {
		method = "btree"
	}
	changed := a.edited(rel.OID)
	for _, node := range i.IndexParams {
		e := node.GetIndexElem()
		if len(e.Opclass) > 0 && !a.knowsClass(e.Opclass) {
			return
		}
		c := columnNamed(rel, e.Name)
		switch {
		case len(e.Opclass) > 0:
		case c == nil && a.anyUserClass(method):
			return
		case c != nil && a.userClass(method, c.Type) != 0:
			changed.ForeignOperatorClasses = append(changed.ForeignOperatorClasses, a.userClass(method, c.Type))
		}
	}
	changed.IndexExpressions = append(changed.IndexExpressions, texts...)
	name := i.Idxname
	if name == "" {
		columns := indexColumns(append(append([]*pg_query.Node{}, i.IndexParams...), i.IndexIncludingParams...))
		name = a.relationName(rel.Schema, rel.Name, indexNameAddition(columns), "idx", false)
	}
	made := madeIndexOf{texts: texts, columns: map[string]bool{}}
	for _, node := range append(append([]*pg_query.Node{}, i.IndexParams...), i.IndexIncludingParams...) {
		made.columns[node.GetIndexElem().GetName()] = true
		eachColumn(node.GetIndexElem().GetExpr(), func(column string) { made.columns[column] = true })
	}
	eachColumn(i.WhereClause, func(column string) { made.columns[column] = true })
	a.indexes[a.addIndex(changed, name).OID] = made
	a.change.known = true
}

// madeIndexOf is what is known of an index that the unit has made.
type madeIndexOf struct {
	columns map[string]bool
	texts   []catalog.Expression
}

// goneIndex takes what an index stores away from its table. Of one that was there before
// it is not known which that is: it stays, as more than there is.
func (a *analyzer) goneIndex(index *catalog.Relation) {
	table := a.edited(index.IndexOf)
	if table == nil {
		return
	}
	for _, text := range a.indexes[index.OID].texts {
		if at := slices.IndexFunc(table.IndexExpressions, func(e catalog.Expression) bool { return e.Text == text.Text }); at >= 0 {
			table.IndexExpressions = slices.Delete(table.IndexExpressions, at, at+1)
		}
	}
}

// goneColumn takes the indexes away that a column is in.
func (a *analyzer) goneColumn(rel *catalog.Relation, column string) {
	for _, oid := range a.belonging(rel.OID) {
		index := a.relation(oid)
		if index.IndexOf != rel.OID || slices.ContainsFunc(rel.Keys, func(k catalog.Key) bool { return k.Name == index.Name }) {
			continue
		}
		made, known := a.indexes[oid]
		switch {
		case !known:
			a.maybeGone[oid] = true
		case made.columns[column]:
			a.gone(oid)
		}
	}
}

// anyUserClass reports whether users have made a default operator class for a method.
func (a *analyzer) anyUserClass(method string) bool {
	for c := range a.snap.EachClass() {
		if a.charge(1); c.Method == method && c.Default && c.OID >= catalog.FirstNormalOID {
			return true
		}
	}
	return false
}
