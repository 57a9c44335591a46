package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// alteration is a subcommand of ALTER TABLE with what was found of it.
type alteration struct {
	cmd *pg_query.AlterTableCmd
	// first and constraint are the lengths of the definition's lists before it.
	first, constraint int
	text              catalog.Expression
	typ, other        catalog.OID
}

// pass is the order in which ALTER TABLE does its subcommands (AlterTablePass of
// tablecmds.c), as far as one changes what another one finds.
func (m *alteration) pass() int {
	switch m.cmd.Subtype {
	case pg_query.AlterTableType_AT_DropColumn, pg_query.AlterTableType_AT_DropConstraint, pg_query.AlterTableType_AT_DropNotNull,
		pg_query.AlterTableType_AT_DropExpression, pg_query.AlterTableType_AT_DropIdentity:
		return 0
	case pg_query.AlterTableType_AT_AlterColumnType:
		return 1
	case pg_query.AlterTableType_AT_AddColumn:
		return 2
	default:
		return 3
	}
}

// alteredTable shows what ALTER TABLE made of a relation and, unless ONLY, of those that
// inherit from it.
func (a *analyzer) alteredTable(d *definition, recurse bool, all []alteration) error {
	all = slices.Clone(all)
	a.skipColumns(d, all)
	a.settleColumns(d)
	slices.SortStableFunc(all, func(x, y alteration) int { return x.pass() - y.pass() })
	rel := a.edited(d.relation.OID)
	family := []*catalog.Relation{rel}
	if recurse {
		children, err := a.descendants(d.relation)
		if err != nil {
			return err
		}
		for _, child := range children {
			family = append(family, a.edited(child.OID))
		}
	}
	if err := a.spend(len(family) * (1 + len(rel.Columns))); err != nil {
		return err
	}
	for i := range all {
		if !a.alter(d, rel, family, &all[i]) {
			d.unsure = true
		}
	}
	if d.unsure {
		return nil
	}
	a.madeSequences(d, rel)
	a.madeConstraints(d, rel)
	for _, child := range family[1:] {
		a.inheritChecks(d, child)
	}
	a.change.known = !d.unsure
	return nil
}

// skipColumns leaves out what ADD COLUMN IF NOT EXISTS does not add.
func (a *analyzer) skipColumns(d *definition, all []alteration) {
	for i := len(all) - 1; i >= 0; i-- {
		c := all[i].cmd
		if c.Subtype != pg_query.AlterTableType_AT_AddColumn || !c.MissingOk || columnNamed(d.relation, c.Def.GetColumnDef().GetColname()) == nil {
			continue
		}
		columns, constraints := len(d.columns), len(d.constraints)
		if i+1 < len(all) {
			columns, constraints = all[i+1].first, all[i+1].constraint
		}
		name := c.Def.GetColumnDef().GetColname()
		d.serials = slices.DeleteFunc(d.serials, func(s madeSequence) bool { return s.column == name })
		d.columns = slices.Delete(d.columns, all[i].first, columns)
		d.constraints = slices.Delete(d.constraints, all[i].constraint, constraints)
		for j := i + 1; j < len(all); j++ {
			all[j].first -= columns - all[i].first
			all[j].constraint -= constraints - all[i].constraint
		}
	}
}

// inheritChecks adds the checks of a definition to a child.
func (a *analyzer) inheritChecks(d *definition, child *catalog.Relation) {
	for _, c := range d.constraints {
		if c.Contype == pg_query.ConstrType_CONSTR_CHECK && !c.IsNoInherit && !slices.Contains(child.CheckNames, c.name) {
			child.Checks, child.CheckNames = append(child.Checks, c.text), append(child.CheckNames, c.name)
		}
	}
}

// alter does to a relation and its family what a subcommand does. It reports false where
// that is not known.
func (a *analyzer) alter(d *definition, rel *catalog.Relation, family []*catalog.Relation, m *alteration) bool {
	c := m.cmd
	if c.Behavior == pg_query.DropBehavior_DROP_CASCADE {
		return false
	}
	switch c.Subtype {
	case pg_query.AlterTableType_AT_AddColumn:
		return a.alterAddColumn(d, family, c.Def.GetColumnDef())
	case pg_query.AlterTableType_AT_DropColumn:
		return a.eachColumnOf(family, c, a.dropColumn)
	case pg_query.AlterTableType_AT_AlterColumnType:
		return a.eachColumnOf(family, c, func(r *catalog.Relation, at int) bool { return a.retypeColumn(r, at, m.typ) })
	case pg_query.AlterTableType_AT_ColumnDefault:
		return a.eachColumnOf(family, c, func(r *catalog.Relation, at int) bool {
			r.Columns[at].Default, r.Columns[at].References = m.text.Text, m.text.References
			if isNull(c.Def) {
				r.Columns[at].Default, r.Columns[at].References = "", catalog.References{}
			}
			return true
		})
	case pg_query.AlterTableType_AT_SetExpression:
		return a.eachColumnOf(family, c, func(r *catalog.Relation, at int) bool {
			r.Columns[at].Default, r.Columns[at].References = m.text.Text, m.text.References
			return true
		})
	case pg_query.AlterTableType_AT_DropExpression:
		return a.eachColumnOf(family, c, func(r *catalog.Relation, at int) bool {
			if r.Columns[at].Generated != 0 {
				r.Columns[at].Default, r.Columns[at].References, r.Columns[at].Generated = "", catalog.References{}, 0
			}
			return true
		})
	case pg_query.AlterTableType_AT_SetNotNull, pg_query.AlterTableType_AT_DropNotNull:
		return a.eachColumnOf(family, c, func(r *catalog.Relation, at int) bool {
			r.Columns[at].NotNull = c.Subtype == pg_query.AlterTableType_AT_SetNotNull
			return true
		})
	case pg_query.AlterTableType_AT_AddConstraint:
		return true
	case pg_query.AlterTableType_AT_DropConstraint:
		return a.dropConstraint(family, c.Name)
	case pg_query.AlterTableType_AT_AddInherit, pg_query.AlterTableType_AT_DropInherit:
		return a.alterInherit(rel, m)
	case pg_query.AlterTableType_AT_AttachPartition, pg_query.AlterTableType_AT_DetachPartition:
		return a.alterPartition(rel, m)
	case pg_query.AlterTableType_AT_ChangeOwner:
		return a.changeOwner(rel, c.Newowner)
	default:
		return a.alterState(rel, m)
	}
}

// alterState is alter for what is about the relation itself.
func (a *analyzer) alterState(rel *catalog.Relation, m *alteration) bool {
	c := m.cmd
	switch c.Subtype {
	case pg_query.AlterTableType_AT_EnableRowSecurity, pg_query.AlterTableType_AT_DisableRowSecurity:
		rel.RowSecurity = c.Subtype == pg_query.AlterTableType_AT_EnableRowSecurity
	case pg_query.AlterTableType_AT_ForceRowSecurity, pg_query.AlterTableType_AT_NoForceRowSecurity:
		rel.ForceRowSecurity = c.Subtype == pg_query.AlterTableType_AT_ForceRowSecurity
	case pg_query.AlterTableType_AT_AddOf:
		rel.OfType = m.typ
	case pg_query.AlterTableType_AT_DropOf:
		rel.OfType = 0
	case pg_query.AlterTableType_AT_SetRelOptions, pg_query.AlterTableType_AT_ResetRelOptions:
		return setViewOptions(rel, c.Def.GetList().GetItems(), c.Subtype == pg_query.AlterTableType_AT_ResetRelOptions)
	case pg_query.AlterTableType_AT_EnableTrig:
		return setTrigger(rel, c.Name, 'O')
	case pg_query.AlterTableType_AT_EnableAlwaysTrig:
		return setTrigger(rel, c.Name, 'A')
	case pg_query.AlterTableType_AT_EnableReplicaTrig:
		return setTrigger(rel, c.Name, 'R')
	case pg_query.AlterTableType_AT_DisableTrig:
		return setTrigger(rel, c.Name, 'D')
	case pg_query.AlterTableType_AT_EnableTrigAll, pg_query.AlterTableType_AT_EnableTrigUser:
		return setTrigger(rel, "", 'O')
	case pg_query.AlterTableType_AT_DisableTrigAll, pg_query.AlterTableType_AT_DisableTrigUser:
		return setTrigger(rel, "", 'D')
	case pg_query.AlterTableType_AT_EnableRule:
		return setRule(rel, c.Name, 'O')
	case pg_query.AlterTableType_AT_EnableAlwaysRule:
		return setRule(rel, c.Name, 'A')
	case pg_query.AlterTableType_AT_EnableReplicaRule:
		return setRule(rel, c.Name, 'R')
	case pg_query.AlterTableType_AT_DisableRule:
		return setRule(rel, c.Name, 'D')
	case pg_query.AlterTableType_AT_SetStatistics, pg_query.AlterTableType_AT_SetOptions, pg_query.AlterTableType_AT_ResetOptions,
		pg_query.AlterTableType_AT_SetStorage, pg_query.AlterTableType_AT_SetCompression, pg_query.AlterTableType_AT_AlterConstraint,
		pg_query.AlterTableType_AT_ValidateConstraint, pg_query.AlterTableType_AT_ClusterOn, pg_query.AlterTableType_AT_DropCluster,
		pg_query.AlterTableType_AT_SetLogged, pg_query.AlterTableType_AT_SetUnLogged, pg_query.AlterTableType_AT_DropOids,
		pg_query.AlterTableType_AT_SetAccessMethod, pg_query.AlterTableType_AT_SetTableSpace, pg_query.AlterTableType_AT_ReplicaIdentity,
		pg_query.AlterTableType_AT_AlterColumnGenericOptions, pg_query.AlterTableType_AT_GenericOptions:
		// Nothing that analysis knows of.
	default:
		return false
	}
	return true
}

// setTrigger enables or disables a trigger, or with no name all of them
// (EnableDisableTrigger of trigger.c). On a partitioned table it may go on to partitions.
func setTrigger(rel *catalog.Relation, name string, state byte) bool {
	for i := range rel.Triggers {
		if name == "" || rel.Triggers[i].Name == name {
			rel.Triggers[i].Enabled = state
		}
	}
	return len(rel.Children) == 0
}

func setRule(rel *catalog.Relation, name string, state byte) bool {
	for i := range rel.Rules {
		if rel.Rules[i].Name == name {
			rel.Rules[i].Enabled = state
		}
	}
	return true
}

// alterAddColumn adds a column to a relation and its descendants, which may have it.
func (a *analyzer) alterAddColumn(d *definition, family []*catalog.Relation, def *pg_query.ColumnDef) bool {
	at := d.columnAt(def.GetColname())
	if at < 0 {
		return columnNamed(d.relation, def.GetColname()) != nil
	}
	made := d.columns[at]
	if len(family) > 1 && (made.Identity != 0 || serial(def.TypeName) != 0) {
		return false
	}
	for _, r := range family {
		if columnNamed(r, made.Name) != nil {
			if r == family[0] {
				return false
			}
			continue
		}
		column := made
		column.Number = 1
		for i := range r.Columns {
			column.Number = max(column.Number, r.Columns[i].Number+1)
		}
		r.Columns = append(r.Columns, column)
	}
	return true
}

// eachColumnOf does something to a column of a relation and of its descendants. Of one
// that is not there and need not be, nothing is done.
func (a *analyzer) eachColumnOf(family []*catalog.Relation, c *pg_query.AlterTableCmd, do func(*catalog.Relation, int) bool) bool {
	for i, r := range family {
		at := slices.IndexFunc(r.Columns, func(have catalog.Column) bool { return have.Name == c.Name })
		switch {
		case at < 0 && i == 0 && c.MissingOk:
			return true
		case at < 0:
			return false
		case i > 0 && c.Subtype == pg_query.AlterTableType_AT_DropColumn && len(r.Parents) > 1:
			// Another parent may keep it.
			return false
		}
		if !do(r, at) {
			return false
		}
	}
	return true
}

// alterInherit is INHERIT and NO INHERIT.
func (a *analyzer) alterInherit(rel *catalog.Relation, m *alteration) bool {
	parent := a.edited(m.other)
	if parent == nil {
		return false
	}
	if m.cmd.Subtype == pg_query.AlterTableType_AT_AddInherit {
		rel.Parents, parent.Children = append(rel.Parents, parent.OID), append(parent.Children, rel.OID)
		return true
	}
	unlink(parent, rel)
	return true
}

func unlink(parent, child *catalog.Relation) {
	child.DefaultPartition = false
	child.Parents = slices.DeleteFunc(child.Parents, func(oid catalog.OID) bool { return oid == parent.OID })
	parent.Children = slices.DeleteFunc(parent.Children, func(oid catalog.OID) bool { return oid == child.OID })
}

// alterPartition is ATTACH and DETACH PARTITION of tables. Of indexes nothing is known.
func (a *analyzer) alterPartition(rel *catalog.Relation, m *alteration) bool {
	part := a.edited(m.other)
	if part == nil {
		return false
	}
	if rel.Kind != catalog.KindPartitionedTable {
		return true
	}
	if a.hasParts(rel.OID) {
		return false
	}
	if m.cmd.Subtype == pg_query.AlterTableType_AT_AttachPartition {
		part.Parents, rel.Children = append(part.Parents, rel.OID), append(rel.Children, part.OID)
		part.DefaultPartition = m.cmd.Def.GetPartitionCmd().GetBound().GetIsDefault()
		return true
	}
	unlink(rel, part)
	return true
}

// roleOf is the role that OWNER TO names, empty where that is not certain.
func (a *analyzer) roleOf(role *pg_query.RoleSpec) string {
	switch role.GetRoletype() {
	case pg_query.RoleSpecType_ROLESPEC_CSTRING:
		return role.Rolename
	case pg_query.RoleSpecType_ROLESPEC_CURRENT_ROLE, pg_query.RoleSpecType_ROLESPEC_CURRENT_USER:
		return a.in.Context.Role
	default:
		return ""
	}
}

// changeOwner gives a relation another owner, and what belongs to it (ATExecChangeOwner).
func (a *analyzer) changeOwner(rel *catalog.Relation, to *pg_query.RoleSpec) bool {
	owner := a.roleOf(to)
	if owner == "" {
		return false
	}
	rel.Owner = owner
	if t := a.editedType(rel.RowType); t != nil {
		t.Owner = owner
		if array := a.editedType(t.Array); array != nil {
			array.Owner = owner
		}
	}
	for _, part := range a.belonging(rel.OID) {
		a.edited(part).Owner = owner
	}
	return true
}

// belonging lists the indexes of a table and the sequences of its columns.
func (a *analyzer) belonging(oid catalog.OID) []catalog.OID {
	var all []catalog.OID
	for _, rel := range a.change.relations {
		if rel.IndexOf == oid || rel.OwnedBy == oid {
			all = append(all, rel.OID)
		}
	}
	for rel := range a.snap.EachPart(oid) {
		a.charge(1)
		if a.change.relations[rel.OID] == nil && a.relation(rel.OID) != nil {
			all = append(all, rel.OID)
		}
	}
	a.charge(len(a.change.relations))
	slices.Sort(all)
	return all
}
