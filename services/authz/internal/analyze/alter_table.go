package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// alterKind is a row of the table of ALTER TABLE's subcommands: what one takes besides
// ddl on the schemas of the relation and its descendants.
type alterKind struct {
	kind  pg_query.AlterTableType
	words string
	// judge is nil for one that is denied.
	judge func(*analyzer, *definition, *pg_query.AlterTableCmd) error
	takes string
}

func alterKinds() []alterKind {
	nothing := func(*analyzer, *definition, *pg_query.AlterTableCmd) error { return nil }
	admin := func(a *analyzer, _ *definition, _ *pg_query.AlterTableCmd) error {
		a.ask(access.Admin, a.database())
		return nil
	}
	value := func(a *analyzer, d *definition, c *pg_query.AlterTableCmd) error { return a.newDefault(d, c) }
	generated := func(a *analyzer, d *definition, c *pg_query.AlterTableCmd) (err error) {
		d.text, err = a.keeping(d.scope(), c.Def, d.object.Name, nil)
		return err
	}
	options := func(a *analyzer, _ *definition, c *pg_query.AlterTableCmd) error {
		return a.sequenceOptions(nil, "", c.Def.GetList().GetItems())
	}
	const (
		binds    = "what the expression reads and runs"
		internal = "denied: the grammar does not make it"
		asAdmin  = "`admin` on the database"
	)
	return []alterKind{
		{pg_query.AlterTableType_AT_AddColumn, "ADD COLUMN", (*analyzer).addColumn, "as in CREATE TABLE"},
		{pg_query.AlterTableType_AT_AddColumnToView, "", nil, internal},
		{pg_query.AlterTableType_AT_ColumnDefault, "ALTER COLUMN SET DEFAULT, DROP DEFAULT", value, binds},
		{pg_query.AlterTableType_AT_CookedColumnDefault, "", nil, internal},
		{pg_query.AlterTableType_AT_DropNotNull, "ALTER COLUMN DROP NOT NULL", nothing, ""},
		{pg_query.AlterTableType_AT_SetNotNull, "ALTER COLUMN SET NOT NULL", nothing, ""},
		{pg_query.AlterTableType_AT_SetExpression, "ALTER COLUMN SET EXPRESSION", generated, binds},
		{pg_query.AlterTableType_AT_DropExpression, "ALTER COLUMN DROP EXPRESSION", nothing, ""},
		{pg_query.AlterTableType_AT_CheckNotNull, "", nil, internal},
		{pg_query.AlterTableType_AT_SetStatistics, "ALTER COLUMN SET STATISTICS", nothing, ""},
		{pg_query.AlterTableType_AT_SetOptions, "ALTER COLUMN SET (…)", nothing, ""},
		{pg_query.AlterTableType_AT_ResetOptions, "ALTER COLUMN RESET (…)", nothing, ""},
		{pg_query.AlterTableType_AT_SetStorage, "ALTER COLUMN SET STORAGE", nothing, ""},
		{pg_query.AlterTableType_AT_SetCompression, "ALTER COLUMN SET COMPRESSION", nothing, ""},
		{pg_query.AlterTableType_AT_DropColumn, "DROP COLUMN", nothing, "with CASCADE `ddl` on every schema"},
		{pg_query.AlterTableType_AT_AddIndex, "", nil, internal},
		{pg_query.AlterTableType_AT_ReAddIndex, "", nil, internal},
		{pg_query.AlterTableType_AT_AddConstraint, "ADD CONSTRAINT", (*analyzer).addConstraint, "as in CREATE TABLE"},
		{pg_query.AlterTableType_AT_ReAddConstraint, "", nil, internal},
		{pg_query.AlterTableType_AT_ReAddDomainConstraint, "", nil, internal},
		{pg_query.AlterTableType_AT_AlterConstraint, "ALTER CONSTRAINT", nothing, ""},
		{pg_query.AlterTableType_AT_ValidateConstraint, "VALIDATE CONSTRAINT", (*analyzer).validateConstraint, "`execute` of what the table's checks call, and trust in their code"},
		{pg_query.AlterTableType_AT_AddIndexConstraint, "", nil, internal},
		{pg_query.AlterTableType_AT_DropConstraint, "DROP CONSTRAINT", nothing, "with CASCADE `ddl` on every schema"},
		{pg_query.AlterTableType_AT_ReAddComment, "", nil, internal},
		{pg_query.AlterTableType_AT_AlterColumnType, "ALTER COLUMN TYPE", (*analyzer).alterColumnType, "as in CREATE TABLE; what USING reads and runs; as VALIDATE CONSTRAINT, of generated columns, too"},
		{pg_query.AlterTableType_AT_AlterColumnGenericOptions, "ALTER COLUMN OPTIONS", admin, asAdmin},
		{pg_query.AlterTableType_AT_ChangeOwner, "OWNER TO", (*analyzer).ownerTo, asAdmin + ": stored code runs with the owner's rights; nothing where the session's role is the owner and stays it"},
		{pg_query.AlterTableType_AT_ClusterOn, "CLUSTER ON", nothing, ""},
		{pg_query.AlterTableType_AT_DropCluster, "SET WITHOUT CLUSTER", nothing, ""},
		{pg_query.AlterTableType_AT_SetLogged, "SET LOGGED", nothing, ""},
		{pg_query.AlterTableType_AT_SetUnLogged, "SET UNLOGGED", nothing, ""},
		{pg_query.AlterTableType_AT_DropOids, "SET WITHOUT OIDS", nothing, ""},
		{pg_query.AlterTableType_AT_SetAccessMethod, "SET ACCESS METHOD", nothing, ""},
		{pg_query.AlterTableType_AT_SetTableSpace, "SET TABLESPACE", admin, asAdmin},
		{pg_query.AlterTableType_AT_SetRelOptions, "SET (…)", (*analyzer).relationOptions, "nothing; of a view what makes it show or take more is denied"},
		{pg_query.AlterTableType_AT_ResetRelOptions, "RESET (…)", (*analyzer).relationOptions, "nothing; of a view it is denied"},
		{pg_query.AlterTableType_AT_ReplaceRelOptions, "", nil, internal},
		{pg_query.AlterTableType_AT_EnableTrig, "ENABLE TRIGGER", nothing, ""},
		{pg_query.AlterTableType_AT_EnableAlwaysTrig, "ENABLE ALWAYS TRIGGER", nothing, ""},
		{pg_query.AlterTableType_AT_EnableReplicaTrig, "ENABLE REPLICA TRIGGER", nothing, ""},
		{pg_query.AlterTableType_AT_DisableTrig, "DISABLE TRIGGER", nothing, ""},
		{pg_query.AlterTableType_AT_EnableTrigAll, "ENABLE TRIGGER ALL", (*analyzer).allTriggers, asAdmin + ": foreign keys are checked by triggers; nothing on a table that the same message has made without keys"},
		{pg_query.AlterTableType_AT_DisableTrigAll, "DISABLE TRIGGER ALL", (*analyzer).allTriggers, asAdmin + ": as ENABLE TRIGGER ALL"},
		{pg_query.AlterTableType_AT_EnableTrigUser, "ENABLE TRIGGER USER", nothing, ""},
		{pg_query.AlterTableType_AT_DisableTrigUser, "DISABLE TRIGGER USER", nothing, ""},
		{pg_query.AlterTableType_AT_EnableRule, "ENABLE RULE", nothing, ""},
		{pg_query.AlterTableType_AT_EnableAlwaysRule, "ENABLE ALWAYS RULE", nothing, ""},
		{pg_query.AlterTableType_AT_EnableReplicaRule, "ENABLE REPLICA RULE", nothing, ""},
		{pg_query.AlterTableType_AT_DisableRule, "DISABLE RULE", nothing, ""},
		{pg_query.AlterTableType_AT_AddInherit, "INHERIT", (*analyzer).inherit, "`ddl` on the parent's schema; `select` on the child: its rows show in the parent"},
		{pg_query.AlterTableType_AT_DropInherit, "NO INHERIT", (*analyzer).inherit, "as INHERIT"},
		{pg_query.AlterTableType_AT_AddOf, "OF", (*analyzer).alterOf, "`usage` on the type"},
		{pg_query.AlterTableType_AT_DropOf, "NOT OF", nothing, ""},
		{pg_query.AlterTableType_AT_ReplicaIdentity, "REPLICA IDENTITY", nothing, ""},
		{pg_query.AlterTableType_AT_EnableRowSecurity, "ENABLE ROW LEVEL SECURITY", nothing, ""},
		{pg_query.AlterTableType_AT_DisableRowSecurity, "DISABLE ROW LEVEL SECURITY", (*analyzer).showsRows, "`select` on the table: its rows become readable"},
		{pg_query.AlterTableType_AT_ForceRowSecurity, "FORCE ROW LEVEL SECURITY", nothing, ""},
		{pg_query.AlterTableType_AT_NoForceRowSecurity, "NO FORCE ROW LEVEL SECURITY", (*analyzer).showsRows, "`select` on the table: its rows become readable"},
		{pg_query.AlterTableType_AT_GenericOptions, "OPTIONS", admin, asAdmin},
		{pg_query.AlterTableType_AT_AttachPartition, "ATTACH PARTITION", (*analyzer).partition, "`ddl` on the partition's schema; `select` on it: its rows show in the table; `execute` of what partition keys call, of both; what folding their checks runs"},
		{pg_query.AlterTableType_AT_DetachPartition, "DETACH PARTITION", (*analyzer).partition, "as ATTACH PARTITION"},
		{pg_query.AlterTableType_AT_DetachPartitionFinalize, "DETACH PARTITION FINALIZE", (*analyzer).partition, "as ATTACH PARTITION"},
		{pg_query.AlterTableType_AT_AddIdentity, "ALTER COLUMN ADD GENERATED AS IDENTITY", (*analyzer).addConstraint, ""},
		{pg_query.AlterTableType_AT_SetIdentity, "ALTER COLUMN SET GENERATED, SET sequence option", options, ""},
		{pg_query.AlterTableType_AT_DropIdentity, "ALTER COLUMN DROP IDENTITY", nothing, ""},
		{pg_query.AlterTableType_AT_ReAddStatistics, "", nil, internal},
	}
}

func newAlterKinds() map[pg_query.AlterTableType]alterKind {
	table := map[pg_query.AlterTableType]alterKind{}
	for _, k := range alterKinds() {
		table[k.kind] = k
	}
	return table
}

// alterTableStmt judges ALTER TABLE and its kin (AlterTable of tablecmds.c).
func alterTableStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	t := node.GetAlterTableStmt()
	found := access.Statement{Kind: "alter table", Effects: []access.Effect{{Kind: access.EffectDDL}}}
	// Rows that are there are held against what it adds.
	a.runsStored = true
	rel, err := a.altered(t.Relation, t.MissingOk)
	if err != nil {
		return found, err
	}
	d := newDefinition(namedObject(t.Relation))
	if rel != nil {
		if err := a.altersFamily(rel); err != nil {
			return found, err
		}
		if err := a.altersPartitions(rel); err != nil {
			return found, err
		}
		if d, err = a.definitionOf(rel); err != nil {
			return found, err
		}
	}
	d.retyped = slices.ContainsFunc(t.Cmds, func(sub *pg_query.Node) bool {
		kind := sub.GetAlterTableCmd().GetSubtype()
		return kind == pg_query.AlterTableType_AT_AlterColumnType || kind == pg_query.AlterTableType_AT_DropColumn
	})
	columns := newAltering(d, t.Cmds)
	var altered []alteration
	for _, sub := range t.Cmds {
		c := sub.GetAlterTableCmd()
		k, ok := a.alterations[c.GetSubtype()]
		if !ok || k.judge == nil {
			return found, deny(access.Construct, "a subcommand of ALTER TABLE")
		}
		if !a.makes(rel) {
			if err := a.behaviour(c.Behavior); err != nil {
				return found, err
			}
		}
		if rel != nil {
			if err := columns.find(rel, c); err != nil {
				return found, err
			}
		}
		made := alteration{cmd: c, first: len(d.columns), constraint: len(d.constraints)}
		restore := columns.scopeOf(d, c)
		if err := k.judge(a, d, c); err != nil {
			return found, err
		}
		restore()
		made.text, made.typ, made.other = d.text, d.typ, d.other
		altered = append(altered, made)
	}
	if rel == nil {
		a.changesNothing()
		return found, nil
	}
	return found, a.alteredTable(d, t.Relation.GetInh(), altered)
}

func (a *analyzer) addColumn(d *definition, c *pg_query.AlterTableCmd) error {
	def := c.Def.GetColumnDef()
	if def == nil {
		return deny(access.Construct, "a column")
	}
	if err := a.defineColumn(d, def); err != nil {
		return err
	}
	// Rows that are there get NULL or the default, which a domain checks.
	if typ := d.columns[len(d.columns)-1].Type; typ != 0 {
		if err := a.checkDomains(typ); err != nil {
			return err
		}
	}
	return a.columnConstraints(d, def)
}

// validateConstraint judges what holds the rows that are there against a constraint.
func (a *analyzer) validateConstraint(d *definition, _ *pg_query.AlterTableCmd) error {
	if d.relation != nil {
		for _, key := range d.relation.ForeignKeys {
			to := a.snap.RelationByOID(key.To)
			if to == nil {
				return deny(access.OpaqueCode, "foreign key "+key.Name)
			}
			err := a.byDefinition(d.relation, func(inner *analyzer) error {
				return inner.comparesKeys(to, place{access.Update, to}, func(c *catalog.Column) bool { return slices.Contains(key.ToColumns, c.Number) })
			})
			if err != nil {
				return err
			}
		}
	}
	return a.rechecks(d.relation)
}

func (a *analyzer) addConstraint(d *definition, c *pg_query.AlterTableCmd) error {
	return a.constraint(d, c.Def.GetConstraint())
}

// newDefault judges SET DEFAULT: a value for a column.
func (a *analyzer) newDefault(d *definition, c *pg_query.AlterTableCmd) error {
	if d.text = (catalog.Expression{}); c.Def == nil {
		return nil
	}
	if err := a.spend(len(d.item.columns)); err != nil {
		return err
	}
	var err error
	d.text, err = a.keeping(&scope{}, c.Def, "", func(v value) error {
		for _, have := range d.item.columns {
			if have.name == c.Name && have.typ != 0 {
				return a.assignDefault(v, have.name, have.typ)
			}
		}
		return nil
	})
	return d.unplaced(err)
}

func (a *analyzer) alterColumnType(d *definition, c *pg_query.AlterTableCmd) error {
	def := c.Def.GetColumnDef()
	if def == nil {
		return deny(access.Construct, "a column")
	}
	typ, err := a.columnType(def.TypeName)
	if err != nil {
		return err
	}
	d.typ = typ
	if err := a.rechecks(d.relation); err != nil {
		return err
	}
	if err := a.refersAgain(d.relation, c.Name); err != nil {
		return err
	}
	// Texts that become values of it are read as names, and checks of domains run.
	if err := a.readText(value{}, typ); err != nil {
		return err
	}
	if def.CollClause != nil {
		if err := a.collation(def.CollClause.Collname); err != nil {
			return err
		}
	}
	if def.RawDefault != nil {
		// USING is run and not kept (ATPrepAlterColumnType).
		defer func(stores bool) { a.stores = stores }(a.stores)
		a.stores = false
		return a.optional(d.scope(), def.RawDefault)
	}
	return a.recast(d, c.Name, typ)
}

// recast judges the cast of ALTER COLUMN TYPE without USING: a user's cast is code
// that runs over every row.
func (a *analyzer) recast(d *definition, name string, to catalog.OID) error {
	if d.relation == nil {
		return nil
	}
	c := columnNamed(d.relation, name)
	if c == nil {
		return nil
	}
	if cast := a.snap.CastBetween(c.Type, to); cast != nil && cast.OID >= catalog.FirstNormalOID {
		return deny(access.OpaqueCode, "a user's cast in ALTER COLUMN TYPE")
	}
	return nil
}

// relationOptions keeps a view from showing or taking more than it did: with its owner's
// rights, without its barrier, or unchecked.
func (a *analyzer) relationOptions(d *definition, c *pg_query.AlterTableCmd) error {
	if d.relation == nil || d.relation.Kind != catalog.KindView {
		return nil
	}
	for _, node := range c.Def.GetList().GetItems() {
		if option := node.GetDefElem(); c.Subtype != pg_query.AlterTableType_AT_SetRelOptions || !narrows(option) {
			return deny(access.Construct, "option "+option.GetDefname()+" of a view that would keep less")
		}
	}
	return nil
}

// narrows reports whether an option of a view keeps more than any other value of it.
func narrows(option *pg_query.DefElem) bool {
	word := lowerASCII(option.GetArg().GetString_().GetSval())
	switch option.GetDefname() {
	case "security_invoker", "security_barrier":
		return option.Arg == nil || slices.Contains([]string{"true", "on", "yes", "1"}, word) || option.GetArg().GetBoolean().GetBoolval() ||
			option.GetArg().GetInteger().GetIval() == 1
	case "check_option":
		return word == "cascaded"
	default:
		return false
	}
}

// inherit judges INHERIT and NO INHERIT.
func (a *analyzer) inherit(d *definition, c *pg_query.AlterTableCmd) error {
	parent, err := a.altered(c.Def.GetRangeVar(), false)
	if err != nil {
		return err
	}
	d.other = parent.OID
	return a.showsRows(d, c)
}

// showsRows asks for select on the relation.
func (a *analyzer) showsRows(d *definition, _ *pg_query.AlterTableCmd) error {
	if d.relation != nil {
		a.readsAll(d.relation)
	}
	return nil
}

func (a *analyzer) alterOf(d *definition, c *pg_query.AlterTableCmd) (err error) {
	d.typ, err = a.columnType(c.Def.GetTypeName())
	return err
}

// partition judges ATTACH and DETACH PARTITION, of tables and of indexes.
func (a *analyzer) partition(d *definition, c *pg_query.AlterTableCmd) error {
	p := c.Def.GetPartitionCmd()
	if p == nil {
		return deny(access.Construct, "a partition")
	}
	rel, err := a.altered(p.Name, false)
	if err != nil {
		return err
	}
	if err := a.altersFamily(rel); err != nil {
		return err
	}
	d.other = rel.OID
	a.readsAll(rel)
	if d.relation != nil {
		// What bounds it stays, and has to be read for that.
		if err := a.byDefinition(d.relation, func(inner *analyzer) error { return inner.boundsOf(d.relation) }); err != nil {
			return err
		}
	}
	if c.Subtype == pg_query.AlterTableType_AT_AttachPartition && d.relation != nil && d.relation.Kind == catalog.KindPartitionedTable {
		// The rows of the new partition, and those of the default one, are held against the
		// bounds.
		for _, r := range []*catalog.Relation{d.relation, rel} {
			if err := a.holdsAgainst(r); err != nil {
				return err
			}
		}
	}
	return a.bound(p.Bound)
}
