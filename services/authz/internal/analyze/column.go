package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// columnRef binds a column reference, as transformColumnRef does, and returns the
// type where it is known.
func (a *analyzer) columnRef(s *scope, ref *pg_query.ColumnRef) (catalog.OID, error) {
	names, star, err := refNames(ref)
	if err != nil {
		return 0, err
	}
	if star && len(names) == 0 {
		return 0, deny(access.Construct, "a bare * outside a target list")
	}
	if len(names) == 1 && !star {
		return a.bareColumn(s, names[0], ref.Location)
	}
	it, err := a.refItem(s, names, star, ref.Location)
	if err != nil {
		return 0, err
	}
	if star {
		return 0, a.readWhole(it)
	}
	name := names[len(names)-1]
	c, err := a.itemColumn(it, name, ref.Location)
	if err != nil {
		return 0, err
	}
	if c == nil {
		return 0, a.missingField(it, names[:len(names)-1], name, ref.Location)
	}
	a.read(c)
	return c.typ, nil
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
func (a *analyzer) bareColumn(s *scope, name string, location int32) (catalog.OID, error) {
	c, unsure, err := a.findColumn(s, name, location)
	if err != nil {
		return 0, err
	}
	if c != nil {
		a.read(c)
		return c.typ, nil
	}
	it, err := a.findItem(s, "", name, location)
	if err != nil {
		return 0, err
	}
	if it != nil {
		return 0, a.readWhole(it)
	}
	if unsure {
		return 0, deny(access.Construct, "a name that may be a column of a function's result")
	}
	if a.returnsOldAndNew(name) {
		return 0, deny(access.Construct, "old and new in RETURNING")
	}
	return 0, hideColumn(stateUndefinedColumn, fmt.Sprintf("column \"%s\" does not exist", name), errorPosition(a.text, location))
}

// findColumn is colNameToVar: the nearest level that has the name. With no such
// column it says whether a function's unknown columns could have been meant.
func (a *analyzer) findColumn(s *scope, name string, location int32) (*column, bool, error) {
	unsure := false
	for level := s; level != nil; level = level.parent {
		// Passing over what is not in view costs a fraction of a comparison; a join of
		// thousands makes up for it.
		if err := a.spend(len(level.namespace) / 4); err != nil {
			return nil, false, err
		}
		var found *column
		var via *item
		for _, it := range level.namespace {
			if !it.columnsVisible || it.lateralOnly && !level.lateral {
				continue
			}
			c, err := a.itemColumn(it, name, location)
			if err != nil {
				return nil, false, err
			}
			unsure = unsure || it.unsure
			if c == nil {
				continue
			}
			if found != nil {
				return nil, false, hideColumn(stateAmbiguousColumn, fmt.Sprintf("column reference \"%s\" is ambiguous", name), errorPosition(a.text, location))
			}
			if it.lateralOnly && !it.lateralOK {
				return nil, false, deny(access.Construct, "a reference that LATERAL does not allow")
			}
			found, via = c, it
		}
		if found != nil {
			if unsure && !via.unsure || via.unsure && len(level.namespace)+depth(level.parent) > 1 {
				return nil, false, deny(access.Construct, "a name that may be a column of a function's result")
			}
			return found, false, nil
		}
	}
	return nil, unsure, nil
}

// depth counts the items that outer levels bring into view.
func depth(s *scope) int {
	n := 0
	for ; s != nil; s = s.parent {
		n += len(s.namespace)
	}
	return n
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
		return &column{name: name, entry: it.entry, source: name}, nil
	}
	return found, nil
}

// refItem finds the item that a qualified reference names.
func (a *analyzer) refItem(s *scope, names []string, star bool, location int32) (*item, error) {
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
			return nil, deny(access.Construct, "a reference to another database")
		}
		schema, relation = qualifier[1], qualifier[2]
	default:
		return nil, deny(access.Construct, "a name of too many parts")
	}
	it, err := a.findItem(s, schema, relation, location)
	if err != nil || it != nil {
		return it, err
	}
	return nil, a.missingItem(s, schema, relation, location)
}

// findItem is refnameNamespaceItem.
func (a *analyzer) findItem(s *scope, schema, name string, location int32) (*item, error) {
	var wanted *catalog.Relation
	if schema != "" {
		if wanted = a.snap.RelationByName(schema, name); wanted == nil {
			return nil, nil
		}
	}
	for level := s; level != nil; level = level.parent {
		if err := a.spend(len(level.namespace)); err != nil {
			return nil, err
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
				return nil, hide(stateAmbiguousAlias, fmt.Sprintf("table reference \"%s\" is ambiguous", name), errorPosition(a.text, location))
			}
			if it.lateralOnly && !it.lateralOK {
				return nil, deny(access.Construct, "a reference that LATERAL does not allow")
			}
			found = it
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, nil
}

// missingItem is errorMissingRTE. Its text depends on whether an invisible entry
// matches (searchRangeTableForRel).
func (a *analyzer) missingItem(s *scope, schema, name string, location int32) error {
	if a.returnsOldAndNew(name) {
		return deny(access.Construct, "old and new in RETURNING")
	}
	var relation *catalog.Relation
	var with *cte
	if schema == "" {
		var err error
		if with, err = a.findCTE(s, name); err != nil {
			return err
		}
		if with == nil {
			relation = a.lookUp(name)
		}
	} else {
		relation = a.snap.RelationByName(schema, name)
	}
	message := fmt.Sprintf("missing FROM-clause entry for table \"%s\"", name)
	for level := s; level != nil; level = level.parent {
		if err := a.spend(len(level.ranges)); err != nil {
			return err
		}
		for _, entry := range level.ranges {
			if relation != nil && entry.relation != nil && entry.relation.OID == relation.OID ||
				with != nil && entry.cte == with || entry.name == name {
				message = fmt.Sprintf("invalid reference to FROM-clause entry for table \"%s\"", name)
			}
		}
	}
	return hide(stateUndefinedTable, message, errorPosition(a.text, location))
}

// missingField is what becomes of t.f when t has no column f: a function call on
// the whole row if there is such a function, else an error. Of functions and types
// that users made nothing may be told apart from what does not exist: the answer is
// the error in either case, and nothing runs.
func (a *analyzer) missingField(it *item, qualifier []string, name string, location int32) error {
	if it.unsure || a.functions[name] || a.cameWithServer(name) {
		return deny(access.Construct, "a function in attribute notation")
	}
	if _, builtin := a.types.byName[name]; builtin {
		return deny(access.Construct, "a cast in attribute notation")
	}
	message := fmt.Sprintf("column %s.%s does not exist", qualifier[len(qualifier)-1], name)
	return hideColumn(stateUndefinedColumn, message, errorPosition(a.text, location))
}

// returnsOldAndNew reports whether a name that nothing has may be one that
// PostgreSQL 18 brings into view in RETURNING. The parser is older than that.
func (a *analyzer) returnsOldAndNew(name string) bool {
	return a.version >= 180000 && (name == "old" || name == "new")
}
