package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// columnRef binds a column reference (transformColumnRef).
func (a *analyzer) columnRef(s *scope, ref *pg_query.ColumnRef) (value, error) {
	names, star, err := refNames(ref)
	if err != nil {
		return value{}, err
	}
	if s != nil && s.columnless != "" {
		return value{}, hide(stateUnsupported, s.columnless, errorPosition(a.text, ref.Location))
	}
	if star && len(names) == 0 {
		return value{}, deny(access.Construct, "a bare * outside a target list")
	}
	if len(names) == 1 && !star {
		return a.bareColumn(s, names[0], ref.Location)
	}
	it, level, err := a.refItem(s, names, star, ref.Location)
	if err != nil {
		return value{}, err
	}
	if star {
		return a.wholeRow(it, level, ref.Location)
	}
	name := names[len(names)-1]
	c, err := a.itemColumn(it, name, ref.Location)
	if err != nil {
		return value{}, err
	}
	if c != nil {
		return a.columnValue(c, level, ref.Location), a.eclipsesField(c, name)
	}
	return a.missingField(s, it, level, names[:len(names)-1], name, ref.Location)
}

// columnValue reads a column of a level.
func (a *analyzer) columnValue(c *column, level *scope, location int32) value {
	a.refer(level)
	a.read(c)
	return value{typ: c.typ, location: location, fields: c.fields, only: c.only}
}

// refer notes that an expression refers to a level (contain_vars_of_level).
func (a *analyzer) refer(level *scope) {
	if level != nil {
		level.references++
	}
}

// wholeRow is transformWholeRowRef.
func (a *analyzer) wholeRow(it *item, level *scope, location int32) (value, error) {
	if err := a.readWhole(it); err != nil {
		return value{}, err
	}
	a.refer(level)
	if it.scalar && len(it.columns) > 0 {
		// A function that returns no row stands for its value.
		return value{typ: it.columns[0].typ, location: location}, nil
	}
	v := value{typ: it.rowType, location: location, item: it, level: level}
	if v.typ == 0 {
		v.typ = resolve.Record
	}
	if v.typ != resolve.Record {
		return v, nil
	}
	if err := a.spend(len(it.columns)); err != nil {
		return value{}, err
	}
	for _, c := range it.columns {
		v.fields = append(v.fields, output{name: c.name, typ: c.typ, fields: c.fields})
	}
	if it.using {
		v.item, v.kind = nil, constructed
		for _, c := range it.columns {
			v.cells = append(v.cells, value{typ: c.typ, location: location, fields: c.fields})
		}
	}
	return v, nil
}

// refNames splits a reference into its names and a trailing star.
func refNames(ref *pg_query.ColumnRef) (names []string, star bool, err error) {
	for i, field := range ref.Fields {
		switch node := field.GetNode().(type) {
		case *pg_query.Node_String_:
			names = append(names, node.String_.GetSval())
		case *pg_query.Node_AStar:
			if i != len(ref.Fields)-1 {
				return nil, false, deny(access.Construct, "a * inside a name")
			}
			star = true
		default:
			return nil, false, deny(access.Construct, "a column reference")
		}
	}
	return names, star, nil
}

// bareColumn binds a name of one part: a column, or else a whole row.
func (a *analyzer) bareColumn(s *scope, name string, location int32) (value, error) {
	c, level, err := a.findColumn(s, name, location)
	if err != nil {
		return value{}, err
	}
	if c != nil {
		return a.columnValue(c, level, location), a.eclipsesColumn(s, level, c, name)
	}
	it, level, err := a.findItem(s, "", name, location)
	if err != nil {
		return value{}, err
	}
	if it != nil {
		return a.wholeRow(it, level, location)
	}
	return value{}, a.missingColumn(s, "", name, location)
}

// findColumn is colNameToVar: the nearest level that has the name.
func (a *analyzer) findColumn(s *scope, name string, location int32) (*column, *scope, error) {
	for level := s; level != nil; level = level.parent {
		// Passing over what is not in view costs a fraction of a comparison; a join of
		// thousands makes up for it.
		if err := a.spend(len(level.namespace) / 4); err != nil {
			return nil, nil, err
		}
		var found *column
		for _, it := range level.namespace {
			if !it.columnsVisible || it.lateralOnly && !level.lateral {
				continue
			}
			c, err := a.itemColumn(it, name, location)
			if err != nil {
				return nil, nil, err
			}
			if c == nil {
				continue
			}
			if found != nil {
				return nil, nil, hideColumn(stateAmbiguousColumn, fmt.Sprintf("column reference \"%s\" is ambiguous", name), errorPosition(a.text, location))
			}
			if it.lateralOnly && !it.lateralOK {
				return nil, nil, a.outOfReach(it, location)
			}
			found = c
		}
		if found != nil {
			return found, level, nil
		}
	}
	return nil, nil, nil
}

// itemColumn is scanNSItemForColumn: nil when the item has no such column.
func (a *analyzer) itemColumn(it *item, name string, location int32) (*column, error) {
	if err := a.spend(len(it.columns)); err != nil {
		return nil, err
	}
	var found *column
	for i := range it.columns {
		if it.columns[i].name != name {
			continue
		}
		if found != nil {
			return nil, hideColumn(stateAmbiguousColumn, fmt.Sprintf("column reference \"%s\" is ambiguous", name), errorPosition(a.text, location))
		}
		found = &it.columns[i]
	}
	if found == nil && it.system && isSystemColumn(name) {
		return &column{name: name, entry: it.entry, source: name, typ: systemColumnType(name)}, nil
	}
	if found == nil && (it.triggered || it.defined) && isSystemColumn(name) {
		return &column{name: name, typ: systemColumnType(name)}, nil
	}
	return found, nil
}

// refItem finds the item that a qualified reference names.
func (a *analyzer) refItem(s *scope, names []string, star bool, location int32) (*item, *scope, error) {
	qualifier := names
	if !star {
		qualifier = names[:len(names)-1]
	}
	schema, relation := "", ""
	switch len(qualifier) {
	case 1:
		relation = qualifier[0]
	case 2:
		schema, relation = qualifier[0], qualifier[1]
	case 3:
		if qualifier[0] != a.snap.Database {
			return nil, nil, deny(access.Construct, "a reference to another database")
		}
		schema, relation = qualifier[1], qualifier[2]
	default:
		return nil, nil, deny(access.Construct, "a name of too many parts")
	}
	it, level, err := a.findItem(s, schema, relation, location)
	if err != nil || it != nil {
		return it, level, err
	}
	return nil, nil, a.missingItem(s, schema, relation, location)
}

// findItem is refnameNamespaceItem.
func (a *analyzer) findItem(s *scope, schema, name string, location int32) (*item, *scope, error) {
	var wanted *catalog.Relation
	if schema != "" {
		if wanted = a.snap.RelationByName(schema, name); wanted == nil {
			return nil, nil, nil
		}
	}
	for level := s; level != nil; level = level.parent {
		if err := a.spend(len(level.namespace)); err != nil {
			return nil, nil, err
		}
		var found *item
		for _, it := range level.namespace {
			if !it.nameVisible || it.lateralOnly && !level.lateral {
				continue
			}
			if wanted == nil && it.name != name || wanted != nil && (it.relation == nil || it.relation.OID != wanted.OID) {
				continue
			}
			if found != nil {
				return nil, nil, hide(stateAmbiguousAlias, fmt.Sprintf("table reference \"%s\" is ambiguous", name), errorPosition(a.text, location))
			}
			if it.lateralOnly && !it.lateralOK {
				return nil, nil, a.outOfReach(it, location)
			}
			found = it
		}
		if found != nil {
			return found, level, nil
		}
	}
	return nil, nil, nil
}

// missingField is what becomes of t.f when t has no column f: a function of the whole
// row if there is such a function, else an error.
func (a *analyzer) missingField(s *scope, it *item, level *scope, qualifier []string, name string, location int32) (value, error) {
	whole, err := a.wholeRow(it, level, location)
	if err != nil {
		return value{}, err
	}
	v, ok, err := a.attribute(whole, name)
	if ok || err != nil {
		return v, err
	}
	return value{}, a.missingColumn(s, last(qualifier), name, location)
}
