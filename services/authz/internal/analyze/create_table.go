package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// definition is a table that is being made or altered: what its expressions can
// refer to.
type definition struct {
	// object is its name; relation is nil for one that is being made.
	object   access.Object
	relation *catalog.Relation
	item     *item
	// columns are the table's as the catalog will hold them, and column the one whose
	// constraints are at hand. inherited are checks that come with them.
	columns   []catalog.Column
	column    string
	inherited []catalog.Expression
	// inheritedNames are the names of those.
	inheritedNames []string
	parents        []catalog.OID
	ofType         catalog.OID
	// constraints are those that are made with the table or added to it, serials the
	// columns that get a sequence.
	constraints []madeConstraint
	serials     []madeSequence
	key         catalog.Expression
	// text, typ and other are what a subcommand of ALTER TABLE brings: an expression, a
	// type, another relation.
	text  catalog.Expression
	typ   catalog.OID
	other catalog.OID
	// keyClasses are the operator classes of users in a partition key.
	keyClasses []catalog.OID
	// unsure says that what the table becomes is not known for certain.
	unsure bool
	// retyped says that the statement drops a column or changes its type, which it does
	// before it makes an index, wherever it says so (ATRewriteCatalogs).
	retyped bool
	// names are those of the item's columns, once one was added.
	names map[string]bool
}

// newDefinition is that of a table that is being made.
func newDefinition(object access.Object) *definition {
	entry := &rangeEntry{name: object.Name}
	return &definition{object: object, item: &item{name: object.Name, entry: entry, sides: []*rangeEntry{entry},
		nameVisible: true, columnsVisible: true, lateralOK: true}}
}

// definitionOf is that of a table that is there. Reading its columns in an expression
// needs select on them.
func (a *analyzer) definitionOf(rel *catalog.Relation) (*definition, error) {
	it, err := a.relationItem(rel, relationObject(rel), nil)
	return &definition{object: relationObject(rel), relation: rel, item: it}, err
}

// scope is the level at which its expressions are bound.
func (d *definition) scope() *scope {
	return &scope{namespace: []*item{d.item}, ranges: []*rangeEntry{d.item.entry}}
}

func createStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	found := access.Statement{Kind: "create table"}
	object, err := a.createTable(node.GetCreateStmt(), catalog.KindTable, "")
	found.Effects = []access.Effect{made(object)}
	return found, err
}

// createTable judges CREATE TABLE (DefineRelation, transformCreateStmt).
func (a *analyzer) createTable(c *pg_query.CreateStmt, kind catalog.RelationKind, server string) (access.Object, error) {
	object, err := a.newRelation(c.Relation)
	if err != nil {
		return object, err
	}
	a.tablespace(c.Tablespacename)
	d := newDefinition(object)
	d.item.defined = true
	for _, node := range c.InhRelations {
		if err := a.parent(d, node.GetRangeVar(), c.Partbound != nil); err != nil {
			return object, err
		}
	}
	if c.OfTypename != nil {
		if err := a.ofType(d, c.OfTypename); err != nil {
			return object, err
		}
	}
	if err := a.tableElements(d, c.TableElts); err != nil {
		return object, err
	}
	for _, node := range c.Constraints {
		if err := a.constraint(d, node.GetConstraint()); err != nil {
			return object, err
		}
	}
	if err := a.bound(c.Partbound); err != nil {
		return object, err
	}
	if err := a.partitionKey(d, c.Partspec); err != nil {
		return object, err
	}
	if c.Partspec != nil {
		kind = catalog.KindPartitionedTable
	}
	a.change.fleeting = c.Oncommit == pg_query.OnCommitAction_ONCOMMIT_DROP
	if a.snap.RelationByName(d.object.Schema, d.object.Name) != nil {
		// Without IF NOT EXISTS the message ends here.
		a.change.known = c.IfNotExists
		return object, nil
	}
	return object, a.madeTable(d, catalog.Relation{Kind: kind, Server: server, PartitionKey: d.key, ForeignOperatorClasses: d.keyClasses}, c.Partbound)
}

// parent judges a table's parent: it must be the owner's (MergeAttributes). Its
// columns are the new table's as well, and usage is asked for on their types
// (BuildDescForRelation).
func (a *analyzer) parent(d *definition, rv *pg_query.RangeVar, partition bool) error {
	rel, err := a.altered(rv, false)
	if err != nil {
		return err
	}
	if rel.Kind == catalog.KindPartitionedTable != partition {
		return deny(access.RelationKind, "a parent of another kind")
	}
	for _, c := range rel.Columns {
		a.usesType(c.Type)
	}
	if partition {
		if err := a.addsPartition(rel); err != nil {
			return err
		}
	}
	d.parents = append(d.parents, rel.OID)
	a.inheritColumns(d, rel, partition)
	return a.addColumns(d, rel)
}

// addColumns makes a relation's columns those of a table being made.
func (a *analyzer) addColumns(d *definition, rel *catalog.Relation) error {
	if err := a.spend(len(rel.Columns)); err != nil {
		return err
	}
	for _, c := range rel.Columns {
		d.addColumn(column{name: c.Name, typ: c.Type})
	}
	return nil
}

// addColumn adds a column. One that a parent has as well is merged with it, of whose type
// it must be (MergeAttributes).
func (d *definition) addColumn(c column) {
	if d.names == nil {
		d.names = make(map[string]bool)
		for _, there := range d.item.columns {
			d.names[there.name] = true
		}
	}
	if !d.names[c.name] {
		d.names[c.name] = true
		d.item.columns = append(d.item.columns, c)
	}
}

// ofType takes the columns of CREATE TABLE OF from a composite type.
func (a *analyzer) ofType(d *definition, t *pg_query.TypeName) error {
	oid, err := a.columnType(t)
	if err != nil {
		return err
	}
	composite := a.snap.TypeByOID(oid)
	if composite == nil || composite.Relation == 0 || a.snap.RelationByOID(composite.Relation) == nil {
		return deny(access.Construct, "a table of a type that is no composite")
	}
	rel := a.snap.RelationByOID(composite.Relation)
	for _, c := range rel.Columns {
		a.usesType(c.Type)
		d.columns = append(d.columns, catalog.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier})
	}
	d.ofType = oid
	return a.addColumns(d, rel)
}

// tableElements defines the columns first, so that constraints see all of them.
func (a *analyzer) tableElements(d *definition, nodes []*pg_query.Node) error {
	for _, node := range nodes {
		switch n := node.GetNode().(type) {
		case *pg_query.Node_ColumnDef:
			if err := a.defineColumn(d, n.ColumnDef); err != nil {
				return err
			}
		case *pg_query.Node_TableLikeClause:
			if err := a.like(d, n.TableLikeClause); err != nil {
				return err
			}
		case *pg_query.Node_Constraint:
		default:
			return deny(access.Construct, "an element of a table")
		}
	}
	for _, node := range nodes {
		var err error
		switch n := node.GetNode().(type) {
		case *pg_query.Node_ColumnDef:
			err = a.columnConstraints(d, n.ColumnDef)
		case *pg_query.Node_Constraint:
			err = a.constraint(d, n.Constraint)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// defineColumn adds a column to the table.
func (a *analyzer) defineColumn(d *definition, c *pg_query.ColumnDef) error {
	if c.TypeName == nil {
		// OF and PARTITION OF give options to columns that are there.
		return nil
	}
	typ, err := a.definedType(c.TypeName)
	if err != nil {
		return err
	}
	if c.CollClause != nil {
		if err := a.collation(c.CollClause.Collname); err != nil {
			return err
		}
	}
	d.addColumn(column{name: c.Colname, typ: typ})
	if len(d.columns) >= maxTableColumns {
		d.unsure = true
		return a.spend(1)
	}
	at := d.columnAt(c.Colname)
	if at < 0 {
		at, d.columns = len(d.columns), append(d.columns, catalog.Column{Name: c.Colname})
	}
	d.columns[at].Type, d.columns[at].Modifier = typ, -1
	d.columns[at].NotNull = d.columns[at].NotNull || c.IsNotNull
	if serial(c.TypeName) != 0 {
		d.columns[at].NotNull = true
		d.serials = append(d.serials, madeSequence{column: c.Colname})
	}
	return a.spend(1)
}

// definedType is the type of a column; serial and its kin are no types but say that
// a sequence is to be made (transformColumnDefinition).
func (a *analyzer) definedType(t *pg_query.TypeName) (catalog.OID, error) {
	if name := serial(t); name != 0 {
		return name, nil
	}
	return a.columnType(t)
}

// serial returns the integer type behind serial and its kin, or 0.
func serial(t *pg_query.TypeName) catalog.OID {
	names, _ := stringNodes(t.GetNames())
	if len(names) != 1 || t.PctType || len(t.ArrayBounds) > 0 {
		return 0
	}
	switch names[0] {
	case "smallserial", "serial2":
		return 21
	case "serial", "serial4":
		return 23
	case "bigserial", "serial8":
		return 20
	}
	return 0
}

func (a *analyzer) columnConstraints(d *definition, c *pg_query.ColumnDef) error {
	if len(c.Fdwoptions) > 0 {
		a.ask(access.Admin, a.database())
	}
	d.column = c.Colname
	for _, node := range c.Constraints {
		if err := a.constraint(d, node.GetConstraint()); err != nil {
			return err
		}
	}
	d.column = ""
	return nil
}

// bound judges a partition's bounds, which are evaluated at once
// (transformPartitionBoundValue). They see no columns; MINVALUE and MAXVALUE come as
// names.
func (a *analyzer) bound(b *pg_query.PartitionBoundSpec) error {
	if b == nil {
		return nil
	}
	for _, list := range [][]*pg_query.Node{b.Listdatums, b.Lowerdatums, b.Upperdatums} {
		for _, node := range list {
			if names, ok := stringNodes(node.GetColumnRef().GetFields()); ok && len(names) == 1 && (names[0] == "minvalue" || names[0] == "maxvalue") {
				continue
			}
			if err := a.optional(&scope{columnless: "cannot use column reference in partition bound expression"}, node); err != nil {
				return err
			}
		}
	}
	return nil
}

// partitionKey judges PARTITION BY.
func (a *analyzer) partitionKey(d *definition, p *pg_query.PartitionSpec) error {
	if p == nil {
		return nil
	}
	h, err := a.storing(func() error {
		for _, node := range p.PartParams {
			element := node.GetPartitionElem()
			if element == nil {
				return deny(access.Construct, "a partition key")
			}
			if err := a.hasColumn(d, element.Name, "column \"%s\" named in partition key does not exist", element.Location); err != nil {
				return err
			}
			if _, err := a.keyElement(d, element.Expr, element.Collation, element.Opclass); err != nil {
				return err
			}
			d.keyClasses = append(d.keyClasses, a.classesOfKey(d, element)...)
		}
		return nil
	})
	if err == nil {
		d.key = a.writtenKey(h, d, p)
	}
	return err
}

// keyElement judges an element of an index or a partition key. Columns named alone
// are not read for anybody.
// It returns the type of an expression, 0 without one.
func (a *analyzer) keyElement(d *definition, expression *pg_query.Node, collation, class []*pg_query.Node) (catalog.OID, error) {
	if len(collation) > 0 {
		if err := a.collation(collation); err != nil {
			return 0, err
		}
	}
	if err := a.operatorClass(class); err != nil {
		return 0, err
	}
	return a.typedElement(d, expression)
}

// typedElement binds an expression that is a column of what is made: it depends on its
// type.
func (a *analyzer) typedElement(d *definition, expression *pg_query.Node) (catalog.OID, error) {
	if expression == nil {
		return 0, nil
	}
	typ, err := a.expr(d.scope(), expression)
	if err == nil {
		a.dependsOn(typ)
	}
	return typ, err
}

// operatorClass allows operator classes of pg_catalog, and asks for trust in any
// other that a name could mean: its functions run on whatever is indexed.
func (a *analyzer) operatorClass(nodes []*pg_query.Node) error {
	if len(nodes) == 0 {
		return nil
	}
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	if schema != "" {
		a.named(schema)
	}
	found := false
	for c := range a.snap.EachClass() {
		if err := a.spend(1); err != nil {
			return err
		}
		if c.Name != name || schema != "" && c.Schema != schema || schema == "" && !a.path.includes(c.Schema) {
			continue
		}
		found = true
		if c.OID < catalog.FirstNormalOID {
			continue
		}
		for _, oid := range c.Functions {
			a.supports(c, a.snap.FunctionByOID(oid))
		}
	}
	if !found {
		return deny(access.UnknownObject, "operator class "+name)
	}
	return nil
}

// supports asks for trust in a support function of an operator class, unless it is a
// reviewed one.
func (a *analyzer) supports(c *catalog.OperatorClass, f *catalog.Function) {
	switch builtin.Lookup(a.snap, f).Class {
	case builtin.Harmless, builtin.Internal:
		return
	}
	code := access.Trust{Code: "operator class " + c.Schema + "." + c.Name}
	if f != nil {
		code.Extension = f.Extension
	}
	addTrust(a.ask(access.DDL, access.Object{Kind: access.Schema, Name: c.Schema}), code)
}
