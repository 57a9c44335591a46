package analyze

import (
	"errors"
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// A column that a definition names without reading it has to be there as well: nothing
// unbound is forwarded. Who may define in the schema is told that it is missing.

// noColumn is the server's error about a column of a relation that a statement names
// (ATExecDropColumn and its kin of tablecmds.c).
func noColumn(relation, name string) error {
	return hide(stateUndefinedColumn, fmt.Sprintf("column \"%s\" of relation \"%s\" does not exist", name, relation), 0)
}

// ofRelation looks for a column of a relation.
func ofRelation(rel *catalog.Relation, name string) error {
	if columnNamed(rel, name) == nil && !isSystemColumn(name) {
		return noColumn(rel.Name, name)
	}
	return nil
}

// hasColumn looks for a column of what is defined, under the message that is given where it
// is missing. System columns are there, for the server to turn away.
func (a *analyzer) hasColumn(d *definition, column, message string, location int32) error {
	if column == "" || isSystemColumn(column) {
		return nil
	}
	if err := a.spend(len(d.item.columns)); err != nil {
		return err
	}
	if d.has(column) {
		return nil
	}
	return hide(stateUndefinedColumn, fmt.Sprintf(message, column), errorPosition(a.text, location))
}

// hasColumns is hasColumn for a list of them.
func (a *analyzer) hasColumns(d *definition, columns []*pg_query.Node, message string, location int32) error {
	for _, node := range columns {
		if err := a.hasColumn(d, node.GetString_().GetSval(), message, location); err != nil {
			return err
		}
	}
	return nil
}

func (d *definition) has(name string) bool {
	return slices.ContainsFunc(d.item.columns, func(c column) bool { return c.name == name })
}

// keyColumns looks for columns that a constraint makes part of a key
// (transformIndexConstraint). In ALTER TABLE the server does not say where it stands.
func (a *analyzer) keyColumns(d *definition, c *pg_query.Constraint, names []string) error {
	location := c.Location
	if d.relation != nil {
		location = -1
	}
	for _, name := range names {
		if err := a.hasColumn(d, name, "column \"%s\" named in key does not exist", location); err != nil {
			return err
		}
	}
	return nil
}

// unplaced takes the place from an error about an expression that ALTER TABLE adds: the
// server has no text by then (AddRelationNewConstraints without a query string).
func (d *definition) unplaced(err error) error {
	var v *verdict
	if d.relation != nil && errors.As(err, &v) {
		v.err.Position = 0
	}
	return err
}

// altering are the columns that the subcommands of ALTER TABLE find. They drop first
// and add then, in whatever order they stand (the passes of ATRewriteCatalogs); a new type is
// looked at before (ATPrepAlterColumnType).
type altering struct {
	before         *item
	dropped, added map[string]bool
	// gone are those that subcommands up to the one at hand have dropped.
	gone map[string]bool
}

func newAltering(d *definition, cmds []*pg_query.Node) *altering {
	s := &altering{before: d.item, dropped: map[string]bool{}, added: map[string]bool{}, gone: map[string]bool{}}
	for _, node := range cmds {
		switch c := node.GetAlterTableCmd(); c.GetSubtype() {
		case pg_query.AlterTableType_AT_DropColumn:
			s.dropped[c.Name] = true
		case pg_query.AlterTableType_AT_AddColumn:
			s.added[c.Def.GetColumnDef().GetColname()] = true
		}
	}
	if len(s.dropped) > 0 {
		entry, after := *d.item.entry, *d.item
		after.columns = slices.DeleteFunc(slices.Clone(d.item.columns), func(c column) bool { return s.dropped[c.name] })
		for i := range after.columns {
			after.columns[i].entry = &entry
		}
		entry.columns = after.columns
		after.entry, after.sides = &entry, []*rangeEntry{&entry}
		d.item = &after
	}
	return s
}

// find looks for the column of a subcommand.
func (s *altering) find(rel *catalog.Relation, c *pg_query.AlterTableCmd) error {
	there := columnNamed(rel, c.Name) != nil || isSystemColumn(c.Name)
	switch c.Subtype {
	case pg_query.AlterTableType_AT_DropColumn:
		there = there && !s.gone[c.Name] || c.MissingOk
		s.gone[c.Name] = true
	case pg_query.AlterTableType_AT_DropNotNull, pg_query.AlterTableType_AT_DropIdentity, pg_query.AlterTableType_AT_DropExpression:
		there = there && !s.gone[c.Name]
	case pg_query.AlterTableType_AT_AlterColumnType:
		there = there && !s.dropped[c.Name]
	case pg_query.AlterTableType_AT_ColumnDefault:
		if c.Def == nil {
			there = there && !s.gone[c.Name]
		} else {
			there = there && !s.dropped[c.Name] || s.added[c.Name]
		}
	case pg_query.AlterTableType_AT_SetNotNull, pg_query.AlterTableType_AT_SetExpression, pg_query.AlterTableType_AT_SetStatistics,
		pg_query.AlterTableType_AT_SetOptions, pg_query.AlterTableType_AT_ResetOptions, pg_query.AlterTableType_AT_SetStorage,
		pg_query.AlterTableType_AT_SetCompression, pg_query.AlterTableType_AT_AddIdentity, pg_query.AlterTableType_AT_SetIdentity,
		pg_query.AlterTableType_AT_AlterColumnGenericOptions:
		// Statistics of an index name a column by its number.
		there = c.Name == "" || there && !s.dropped[c.Name] || s.added[c.Name]
	default:
		return nil
	}
	if there {
		return nil
	}
	return noColumn(rel.Name, c.Name)
}

// scopeOf gives the definition the columns that the expressions of a subcommand see.
func (s *altering) scopeOf(d *definition, c *pg_query.AlterTableCmd) func() {
	if c.Subtype != pg_query.AlterTableType_AT_AlterColumnType || d.item == s.before {
		return func() {}
	}
	after := d.item
	d.item = s.before
	return func() { d.item = after }
}
