package analyze

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// constraintKind is a row of the table of constraints: what defining one takes
// besides ddl on the table's schema.
type constraintKind struct {
	kind  pg_query.ConstrType
	words string
	judge func(*analyzer, *definition, *pg_query.Constraint) error
	takes string
}

func constraintKinds() []constraintKind {
	nothing := func(_ *analyzer, d *definition, c *pg_query.Constraint) error {
		d.constraints = append(d.constraints, madeConstraint{Constraint: c, column: d.column})
		return nil
	}
	expression := func(a *analyzer, d *definition, c *pg_query.Constraint) error {
		text, err := a.keeping(d.scope(), c.RawExpr, d.object.Name, func(v value) error { return a.storedAs(d, c, v) })
		if err == nil {
			d.constraints = append(d.constraints, madeConstraint{Constraint: c, column: d.column, text: text})
		}
		return d.unplaced(err)
	}
	// A default sees no columns.
	constant := func(a *analyzer, d *definition, c *pg_query.Constraint) error {
		text, err := a.keeping(&scope{columnless: "cannot use column reference in DEFAULT expression"}, c.RawExpr, "", func(v value) error { return a.storedAs(d, c, v) })
		if err == nil {
			d.constraints = append(d.constraints, madeConstraint{Constraint: c, column: d.column, text: text})
		}
		return d.unplaced(err)
	}
	const binds = "what the expression reads and runs"
	return []constraintKind{
		{pg_query.ConstrType_CONSTR_NULL, "NULL", nothing, "nothing"},
		{pg_query.ConstrType_CONSTR_NOTNULL, "NOT NULL", nothing, "nothing"},
		{pg_query.ConstrType_CONSTR_DEFAULT, "DEFAULT", constant, binds},
		{pg_query.ConstrType_CONSTR_IDENTITY, "GENERATED AS IDENTITY", (*analyzer).identity, "nothing"},
		{pg_query.ConstrType_CONSTR_GENERATED, "GENERATED AS", expression, binds},
		{pg_query.ConstrType_CONSTR_CHECK, "CHECK", expression, binds},
		{pg_query.ConstrType_CONSTR_PRIMARY, "PRIMARY KEY", (*analyzer).indexed, "nothing"},
		{pg_query.ConstrType_CONSTR_UNIQUE, "UNIQUE", (*analyzer).indexed, "nothing"},
		{pg_query.ConstrType_CONSTR_EXCLUSION, "EXCLUDE", (*analyzer).exclusion, binds},
		{pg_query.ConstrType_CONSTR_FOREIGN, "FOREIGN KEY", (*analyzer).foreignKey, "`references` on the columns of the other table"},
		{pg_query.ConstrType_CONSTR_ATTR_DEFERRABLE, "DEFERRABLE", nothing, "nothing"},
		{pg_query.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE, "NOT DEFERRABLE", nothing, "nothing"},
		{pg_query.ConstrType_CONSTR_ATTR_DEFERRED, "INITIALLY DEFERRED", nothing, "nothing"},
		{pg_query.ConstrType_CONSTR_ATTR_IMMEDIATE, "INITIALLY IMMEDIATE", nothing, "nothing"},
	}
}

// constraint judges a constraint of a table that is being defined.
func (a *analyzer) constraint(d *definition, c *pg_query.Constraint) error {
	for _, k := range constraintKinds() {
		if c == nil || k.kind != c.Contype {
			continue
		}
		return k.judge(a, d, c)
	}
	return deny(access.Construct, "a constraint")
}

// identity judges the options of an identity column's sequence.
func (a *analyzer) identity(d *definition, c *pg_query.Constraint) error {
	d.constraints = append(d.constraints, madeConstraint{Constraint: c, column: d.column})
	return a.sequenceOptions(nil, "", c.Options)
}

// indexed judges a constraint that is an index. An index that exists already
// (USING INDEX) is the table's own.
func (a *analyzer) indexed(d *definition, c *pg_query.Constraint) error {
	d.constraints = append(d.constraints, madeConstraint{Constraint: c, column: d.column})
	a.tablespace(c.Indexspace)
	names, ok := stringNodes(append(slices.Clone(c.Keys), c.Including...))
	if !ok {
		return deny(access.Construct, "the columns of a key")
	}
	if d.relation != nil && c.Contype == pg_query.ConstrType_CONSTR_PRIMARY {
		// They are made NOT NULL before there is an index (transformIndexConstraint, then
		// ATExecSetNotNull).
		if err := a.spend(len(c.Keys) * len(d.item.columns)); err != nil {
			return err
		}
		for _, name := range names[:len(c.Keys)] {
			if name != "" && !d.has(name) && !isSystemColumn(name) {
				return noColumn(d.relation.Name, name)
			}
		}
	}
	return a.keyColumns(d, c, names)
}

// exclusion judges EXCLUDE: its expressions and its operators, which run for
// whoever writes.
func (a *analyzer) exclusion(d *definition, c *pg_query.Constraint) error {
	a.tablespace(c.Indexspace)
	// Which operators and classes its index takes is not followed.
	d.unsure = true
	for _, node := range c.Exclusions {
		pair := node.GetList().GetItems()
		if len(pair) != 2 || pair[0].GetIndexElem() == nil {
			return deny(access.Construct, "an exclusion")
		}
		element := pair[0].GetIndexElem()
		if err := a.hasColumn(d, element.Name, "column \"%s\" named in key does not exist", -1); err != nil {
			return err
		}
		typ, err := a.keyElement(d, element.Expr, element.Collation, element.Opclass)
		if err != nil {
			return err
		}
		if err := a.excludes(d, element, typ, pair[1].GetList().GetItems()); err != nil {
			return err
		}
	}
	return a.optional(d.scope(), c.WhereClause)
}

// excludes judges the operator that compares a key of EXCLUDE: the one that takes the
// key's type on both sides as it is (ComputeIndexAttrs, compatible_oper). Where the type
// is not certain it has to be one of pg_catalog.
func (a *analyzer) excludes(d *definition, element *pg_query.IndexElem, typ catalog.OID, nodes []*pg_query.Node) error {
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	if typ, err = a.keyType(d, element, typ); err != nil {
		return err
	}
	if typ == 0 {
		return a.systemOperator(nodes)
	}
	if err := a.spend(len(a.snap.OperatorsNamed(name))); err != nil {
		return err
	}
	o, bad := a.names().CompatibleOperator(schema, name, typ, typ)
	if bad != nil || ownTemporary(o.Schema) {
		return deny(access.UnknownObject, "operator "+name)
	}
	return a.attachesOperator(o)
}

// keyType is the type of the column that a key of EXCLUDE names, or of its expression; 0
// where it is not certain, since the same statement changes columns.
func (a *analyzer) keyType(d *definition, element *pg_query.IndexElem, expression catalog.OID) (catalog.OID, error) {
	switch {
	case d.retyped:
		return 0, nil
	case element.Name == "":
		return expression, nil
	}
	if err := a.spend(len(d.item.columns)); err != nil {
		return 0, err
	}
	typ, found := catalog.OID(0), 0
	for _, c := range d.item.columns {
		if c.name == element.Name {
			typ, found = c.typ, found+1
		}
	}
	if found != 1 {
		return 0, nil
	}
	return typ, nil
}

// systemOperator allows an operator that can only be one of pg_catalog.
func (a *analyzer) systemOperator(nodes []*pg_query.Node) error {
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	if schema == schemaCatalog {
		return nil
	}
	for _, o := range a.snap.OperatorsNamed(name) {
		if o.OID >= catalog.FirstNormalOID && (schema == o.Schema || schema == "" && a.path.includes(o.Schema)) {
			return deny(access.FunctionDenied, "operator "+o.Schema+"."+name+" in a constraint")
		}
	}
	if schema != "" {
		return deny(access.UnknownObject, "an operator")
	}
	return nil
}

// foreignKey asks for references on what the key points at (checkFkeyPermissions of
// tablecmds.c): on its columns, which are those of its primary key where the key names none
// (transformFkeyGetPrimaryKey).
func (a *analyzer) foreignKey(d *definition, c *pg_query.Constraint) error {
	if c.Pktable == nil {
		return deny(access.Construct, "a foreign key")
	}
	if d.relation == nil && a.isNew(d.object, c.Pktable) {
		// It points at the table itself.
		if err := a.referring(d, c); err != nil {
			return err
		}
		d.constraints = append(d.constraints, madeConstraint{Constraint: c, column: d.column})
		return nil
	}
	rel, err := a.openRelation(c.Pktable, access.References, -1)
	if err != nil {
		return err
	}
	if err := a.referring(d, c); err != nil {
		return err
	}
	d.constraints = append(d.constraints, madeConstraint{Constraint: c, column: d.column, to: rel.OID})
	if rel == d.relation {
		return nil
	}
	named := namedObject(c.Pktable)
	a.current.need(access.References, named, rel)
	primary := slices.IndexFunc(rel.Keys, func(k catalog.Key) bool { return k.Primary })
	err = a.comparesKeys(rel, place{access.References, rel}, func(column *catalog.Column) bool {
		if len(c.PkAttrs) == 0 {
			return primary >= 0 && slices.Contains(rel.Keys[primary].Columns, column.Number)
		}
		return slices.ContainsFunc(c.PkAttrs, func(node *pg_query.Node) bool { return node.GetString_().GetSval() == column.Name })
	})
	if err != nil {
		return err
	}
	// The key is made for each of its partitions (addFkRecurseReferenced).
	if err := a.opensPartitions(rel, access.References); err != nil {
		return err
	}
	if len(c.PkAttrs) == 0 && primary < 0 {
		// The server finds none either, or one that came with it.
		a.current.whole(access.References, named, rel)
	}
	for _, column := range rel.Columns {
		if len(c.PkAttrs) == 0 && primary >= 0 && slices.Contains(rel.Keys[primary].Columns, column.Number) {
			a.current.column(access.References, named, rel, column.Name)
		}
	}
	for _, node := range c.PkAttrs {
		name, ok := stringNode(node)
		switch {
		case !ok:
			return deny(access.Construct, "a column of a foreign key")
		case columnNamed(rel, name) == nil:
			return hide(stateUndefinedColumn, fmt.Sprintf(missingInKey, name), 0)
		}
		a.current.column(access.References, named, rel, name)
	}
	return nil
}

// missingInKey is transformColumnNameList's message.
const missingInKey = "column \"%s\" referenced in foreign key constraint does not exist"

// referring looks for the columns of a foreign key (transformColumnNameList).
func (a *analyzer) referring(d *definition, c *pg_query.Constraint) error {
	return a.hasColumns(d, append(slices.Clone(c.FkAttrs), c.FkDelSetCols...), missingInKey, -1)
}

// comparesKeys judges what compares the rows that are there with the keys they point at:
// a query of the session's role (RI_Initial_Check).
func (a *analyzer) comparesKeys(rel *catalog.Relation, at place, key func(*catalog.Column) bool) error {
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if !key(c) {
			continue
		}
		if err := a.holds(c.Type); err != nil {
			return err
		}
		if err := a.groups(c.Type); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(rel.ForeignOperatorClasses, a.classRuns) {
		a.mustTrust(at, "an operator class of "+fullName(rel))
	}
	return nil
}

// refersAgain asks for references on what the foreign keys of a column point at: a new
// type has them made again (ATPostAlterTypeCleanup, checkFkeyPermissions).
func (a *analyzer) refersAgain(rel *catalog.Relation, column string) error {
	if rel == nil {
		return nil
	}
	c := columnNamed(rel, column)
	for _, key := range rel.ForeignKeys {
		if c == nil || !slices.Contains(key.FromColumns, c.Number) || key.To == rel.OID {
			continue
		}
		to := a.snap.RelationByOID(key.To)
		if to == nil {
			return deny(access.OpaqueCode, "foreign key "+key.Name)
		}
		a.current.need(access.References, relationObject(to), to)
		for _, of := range to.Columns {
			if slices.Contains(key.ToColumns, of.Number) {
				a.current.column(access.References, relationObject(to), to, of.Name)
			}
		}
	}
	return nil
}

// isNew reports whether a name means the table that is being made: it does if
// nothing else can come first on the path.
func (a *analyzer) isNew(object access.Object, rv *pg_query.RangeVar) bool {
	if rv.Relname != object.Name || rv.Schemaname != "" {
		return rv.Relname == object.Name && rv.Schemaname == object.Schema
	}
	for _, schema := range a.path {
		if object.Schema == schemaTemp || schema == object.Schema {
			return true
		}
		if a.snap.RelationByName(schema, rv.Relname) != nil {
			return false
		}
	}
	return false
}
