package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// madeConstraint is a constraint that a statement makes.
type madeConstraint struct {
	*pg_query.Constraint
	// column is the one that it is written at, if at one.
	column string
	// text is its expression as it is stored.
	text catalog.Expression
	// name is a check's, once it is made.
	name string
	// to is the relation that a foreign key points at; 0 for the table itself.
	to catalog.OID
}

// madeSequence is a sequence that is made for a column.
type madeSequence struct {
	column string
	// identity is attidentity of its column, 0 for serial.
	identity byte
	// schema and name are those that its options give it.
	schema, name string
}

// maxTableColumns is MaxHeapAttributeNumber of htup_details.h: the server refuses more.
const maxTableColumns = 1600

// columnAt finds a column of the definition, or returns -1.
func (d *definition) columnAt(name string) int {
	return slices.IndexFunc(d.columns, func(c catalog.Column) bool { return c.Name == name })
}

// storedAs makes a bound expression what its constraint stores: a default of its column's
// type, a check a truth value (cookDefault, cookConstraint of heap.c).
func (a *analyzer) storedAs(d *definition, c *pg_query.Constraint, v value) error {
	if c.Contype == pg_query.ConstrType_CONSTR_CHECK {
		return a.boolean(v, "CHECK")
	}
	if at := d.columnAt(d.column); at >= 0 && d.columns[at].Type != 0 {
		return a.assignDefault(v, d.column, d.columns[at].Type)
	}
	return nil
}

// assignDefault is cookDefault's coercion.
func (a *analyzer) assignDefault(v value, column string, typ catalog.OID) error {
	_, err := a.coerce(v, typ, resolve.Assignment, func(*resolve.Error) error {
		mismatch := hideColumn(stateDatatypeMismatch, "column \""+column+"\" is of type "+a.names().Name(typ)+" but default expression is of type "+
			a.names().Name(v.typ), 0)
		mismatch.err.Hint = "You will need to rewrite or cast the expression."
		return mismatch
	})
	return err
}

// inheritColumns merges a parent's columns and checks into a new table's
// (MergeAttributes of tablecmds.c).
func (a *analyzer) inheritColumns(d *definition, parent *catalog.Relation, partition bool) {
	for _, c := range parent.Columns {
		c.References = copied(c.References, parent.OID)
		at := d.columnAt(c.Name)
		if at < 0 {
			if !partition || a.version < identityInheritedSince {
				c.Identity = 0
			}
			d.columns = append(d.columns, c)
			continue
		}
		have := &d.columns[at]
		have.NotNull = have.NotNull || c.NotNull
		if have.Default == "" {
			have.Default, have.References, have.Generated = c.Default, c.References, c.Generated
		} else if c.Default != "" {
			// Two defaults clash unless the table brings one of its own.
			d.unsure = d.unsure || have.Default != c.Default
		}
	}
	d.inherit(parent)
}

// identityInheritedSince is the first server_version_num whose partitions have their
// table's identity columns.
const identityInheritedSince = 170000

// The options of LIKE (TableLikeOption of parsenodes.h).
const (
	likeConstraints = 1 << 2
	likeDefaults    = 1 << 3
	likeGenerated   = 1 << 4
	likeIdentity    = 1 << 5
	likeIndexes     = 1 << 6
	likeStatistics  = 1 << 7
)

// likeColumns copies what LIKE copies (transformTableLikeClause, expandTableLikeClause of
// parse_utilcmd.c).
func (a *analyzer) likeColumns(d *definition, rel *catalog.Relation, options uint32) {
	for _, c := range rel.Columns {
		made := catalog.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier, NotNull: c.NotNull}
		if c.Generated != 0 && options&likeGenerated != 0 || c.Generated == 0 && options&likeDefaults != 0 {
			made.Default, made.References, made.Generated = c.Default, copied(c.References, rel.OID), c.Generated
		}
		d.unsure = d.unsure || c.Identity != 0 && options&likeIdentity != 0 || d.columnAt(c.Name) >= 0
		d.columns = append(d.columns, made)
	}
	if options&likeConstraints != 0 {
		d.inherit(rel)
	}
	if options&(likeIndexes|likeStatistics) != 0 {
		d.unsure = d.unsure || len(rel.StatisticsExpressions) > 0 || a.hasIndexes(rel.OID)
	}
}

// hasIndexes reports whether a relation has any index.
func (a *analyzer) hasIndexes(oid catalog.OID) bool {
	for rel := range a.snap.EachPart(oid) {
		if rel.IndexOf == oid {
			return true
		}
	}
	return false
}

// writtenKey is a partition key as pg_get_partkeydef prints it.
func (a *analyzer) writtenKey(h *held, d *definition, p *pg_query.PartitionSpec) catalog.Expression {
	e := catalog.Expression{References: h.record()}
	strategy, known := map[pg_query.PartitionStrategy]string{pg_query.PartitionStrategy_PARTITION_STRATEGY_LIST: "LIST",
		pg_query.PartitionStrategy_PARTITION_STRATEGY_RANGE: "RANGE", pg_query.PartitionStrategy_PARTITION_STRATEGY_HASH: "HASH"}[p.Strategy]
	var parts []string
	for _, node := range p.PartParams {
		element := node.GetPartitionElem()
		if element.Expr == nil {
			parts = append(parts, quotedName(element.Name))
			continue
		}
		unnamedColumns(element.Expr, d.object.Name)
		text := a.writtenExpression(h, element.Expr).Text
		known = known && text != unwritten
		parts = append(parts, "("+text+")")
	}
	e.Text = strategy + " (" + strings.Join(parts, ", ") + ")"
	if !known {
		e.Text = unwritten
	}
	return e
}

// classesOfKey lists the operator class of an element of a partition key, if it did not
// come with the server. One that is named is not followed.
func (a *analyzer) classesOfKey(d *definition, e *pg_query.PartitionElem) []catalog.OID {
	at := d.columnAt(e.Name)
	d.unsure = d.unsure || len(e.Opclass) > 0
	if at < 0 {
		return nil
	}
	for _, method := range []string{"btree", "hash"} {
		if a.userClass(method, d.columns[at].Type) != 0 {
			d.unsure = true
		}
	}
	return nil
}

// userClass is the default operator class of a user for a type, else 0.
func (a *analyzer) userClass(method string, typ catalog.OID) catalog.OID {
	if class := a.snap.DefaultClass(method, a.names().Base(typ)); class != nil && class.OID >= catalog.FirstNormalOID {
		return class.OID
	}
	return 0
}

// madeTable shows a table that was made, with all that is made with it (DefineRelation
// of tablecmds.c).
func (a *analyzer) madeTable(d *definition, rel catalog.Relation, bound *pg_query.PartitionBoundSpec) error {
	if a.settleColumns(d); d.unsure {
		return nil
	}
	rel.OID, rel.Schema, rel.Name = a.newOID(), a.homeOf(d.object), d.object.Name
	rel.Columns, rel.Checks, rel.CheckNames, rel.OfType = d.columns, d.inherited, d.inheritedNames, d.ofType
	for i := range rel.Columns {
		rel.Columns[i].Number = int16(i + 1) //nolint:gosec // G115: the parser's limits are below.
	}
	made := a.addRelation(rel)
	a.addRowType(made)
	a.madeSequences(d, made)
	a.change.known = true
	for _, oid := range d.parents {
		if parent := a.edited(oid); parent != nil {
			made.DefaultPartition = bound.GetIsDefault()
			parent.Children, made.Parents = append(parent.Children, made.OID), append(made.Parents, oid)
		}
		if bound != nil && a.hasParts(oid) {
			// Indexes, foreign keys and triggers of the table are made on the partition, too.
			a.change.known = false
		}
	}
	a.madeConstraints(d, made)
	a.change.known = a.change.known && !d.unsure
	return a.spend(madeColumnCost * len(rel.Columns))
}

// hasParts reports whether a partitioned table has what its partitions get as well.
func (a *analyzer) hasParts(oid catalog.OID) bool {
	rel := a.relation(oid)
	return rel == nil || len(rel.ForeignKeys)+len(rel.ReferencedBy)+len(rel.Keys) > 0 || a.hasIndexes(oid) ||
		slices.ContainsFunc(rel.Triggers, func(t catalog.Trigger) bool { return t.Type&triggerRow != 0 })
}

// settleColumns gives the columns what their constraints say of them.
func (a *analyzer) settleColumns(d *definition) {
	for _, c := range d.constraints {
		if c.column == "" || d.unsure {
			continue
		}
		at := d.columnAt(c.column)
		if at < 0 {
			d.unsure = true
			return
		}
		column := &d.columns[at]
		switch c.Contype {
		case pg_query.ConstrType_CONSTR_NOTNULL:
			column.NotNull = true
		case pg_query.ConstrType_CONSTR_DEFAULT:
			column.Default, column.References, column.Generated = c.text.Text, c.text.References, 0
			if isNull(c.RawExpr) {
				column.Default, column.References = "", catalog.References{}
			}
		case pg_query.ConstrType_CONSTR_GENERATED:
			column.Default, column.References, column.Generated = c.text.Text, c.text.References, 's'
			if c.GeneratedWhen == "v" {
				column.Generated = 'v'
			}
		case pg_query.ConstrType_CONSTR_IDENTITY:
			made := madeSequence{column: c.column, identity: 'a'}
			if c.GeneratedWhen == "d" {
				made.identity = 'd'
			}
			for _, node := range c.Options {
				if option := node.GetDefElem(); option.GetDefname() == "sequence_name" {
					made.schema, made.name, _ = qualified(option.GetArg().GetList().GetItems())
				}
			}
			column.NotNull, column.Identity = true, made.identity
			d.serials = append(d.serials, made)
		}
	}
}

// isNull reports whether a default is the constant NULL, which is not stored
// (AddRelationNewConstraints of heap.c).
func isNull(node *pg_query.Node) bool {
	if cast := node.GetTypeCast(); cast != nil && len(cast.TypeName.GetTypmods()) == 0 {
		node = cast.Arg
	}
	return node.GetAConst().GetIsnull()
}

// madeSequences shows the sequences of serial and identity columns
// (generateSerialExtraStmts of parse_utilcmd.c).
func (a *analyzer) madeSequences(d *definition, rel *catalog.Relation) {
	for _, s := range d.serials {
		schema, name := s.schema, s.name
		if schema == "" {
			schema = rel.Schema
		}
		if name == "" {
			name = a.relationName(schema, rel.Name, s.column, "seq", false)
		}
		sequence := a.addSequence(schema, name)
		sequence.OwnedBy = rel.OID
		at := slices.IndexFunc(rel.Columns, func(c catalog.Column) bool { return c.Name == s.column })
		if at < 0 {
			d.unsure = true
			return
		}
		if s.identity == 0 {
			full := quotedName(shownSchema(schema)) + "." + quotedName(name)
			rel.Columns[at].Default = "nextval(" + quoteLiteral(full) + "::regclass)"
			rel.Columns[at].References = catalog.References{Recorded: true, Relations: []catalog.OID{sequence.OID}}
		}
	}
}

// addSequence adds a sequence (DefineSequence of sequence.c).
func (a *analyzer) addSequence(schema, name string) *catalog.Relation {
	return a.addRelation(catalog.Relation{Schema: schema, Name: name, Kind: catalog.KindSequence, Columns: []catalog.Column{
		{Number: 1, Name: "last_value", Type: resolve.Int8, Modifier: -1, NotNull: true},
		{Number: 2, Name: "log_cnt", Type: resolve.Int8, Modifier: -1, NotNull: true},
		{Number: 3, Name: "is_called", Type: resolve.Bool, Modifier: -1, NotNull: true}}})
}

// createForeignTable judges CREATE FOREIGN TABLE.
func (a *analyzer) createForeignTable(c *pg_query.CreateForeignTableStmt) error {
	a.ask(access.Admin, a.database())
	if _, err := a.createTable(c.BaseStmt, catalog.KindForeignTable, c.Servername); err != nil {
		return err
	}
	_, err := a.global(catalog.KindServer, c.Servername)
	return err
}
