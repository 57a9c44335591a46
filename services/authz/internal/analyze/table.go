package analyze

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func namedObject(rv *pg_query.RangeVar) access.Object {
	return access.Object{Kind: access.Table, Schema: rv.Schemaname, Name: rv.Relname}
}

// lookUp finds an unqualified relation over the path, or returns nil.
func (a *analyzer) lookUp(name string) *catalog.Relation {
	for i, schema := range a.path {
		if rel := a.snap.RelationByName(schema, name); rel != nil {
			a.eclipses(rel, a.path[i+1:])
			return rel
		}
	}
	return nil
}

// openRelation resolves a relation's name and allows those that the action can
// mean: everything with rows for reading, and what can be written. Position is where
// PostgreSQL points when there is none; -1 for nowhere.
func (a *analyzer) openRelation(rv *pg_query.RangeVar, action access.Action, position int32) (*catalog.Relation, error) {
	if rv.Catalogname != "" && rv.Catalogname != a.snap.Database {
		return nil, deny(access.Construct, "a relation of another database")
	}
	var rel *catalog.Relation
	switch rv.Schemaname {
	case "":
		rel = a.lookUp(rv.Relname)
		if a.shadowed(rv.Relname, rel) {
			return nil, deny(access.RelationKind, "relation "+rv.Relname+" may be one of the system's")
		}
	default:
		rel = a.snap.RelationByName(rv.Schemaname, rv.Relname)
	}
	if rel == nil {
		return nil, a.missingRelation(rv, action, position)
	}
	if !a.held.meetRelation(rel.OID, a.owner) {
		return nil, deny(access.OpaqueCode, "relation "+fullName(rel)+", which a text was not stored with")
	}
	if isSystem(rel) {
		return rel, a.judgeSystem(rel, action)
	}
	if !fits(rel.Kind, action) {
		return nil, deny(access.RelationKind, "relation "+fullName(rel)+" is of no kind for "+string(action))
	}
	a.held.writeRelation(rv, rel)
	return rel, nil
}

// isSystem reports whether a relation came with the server, or stands in a schema
// that only superusers fill.
func isSystem(rel *catalog.Relation) bool {
	return reserved(rel.Schema) || rel.OID < catalog.FirstNormalOID
}

// reserved reports whether a schema came with the server.
func reserved(schema string) bool {
	return strings.HasPrefix(schema, "pg_") && !ownTemporary(schema) || schema == schemaInformation
}

// judgeSystem allows reading the server's own catalogs and views. Which of them a
// preset covers is builtin's list; the others need a grant that names them in full,
// also inside of a view: a view of theirs shows what the session's role may see.
func (a *analyzer) judgeSystem(rel *catalog.Relation, action access.Action) error {
	if action != access.Select || rel.OID >= catalog.FirstNormalOID ||
		a.reader != "" && rel.Kind != catalog.KindTable && builtin.ClassOf(rel.Schema, rel.Name) == builtin.Closed {
		return deny(access.RelationKind, "catalog "+fullName(rel))
	}
	return nil
}

// fits reports whether an action can mean a relation of a kind.
func fits(kind catalog.RelationKind, action access.Action) bool {
	switch kind {
	case catalog.KindTable, catalog.KindPartitionedTable:
		return true
	case catalog.KindForeignTable:
		return true
	case catalog.KindView:
		return action != access.Truncate
	case catalog.KindMaterializedView, catalog.KindSequence:
		return action == access.Select
	default:
		return false
	}
}

// shadowed guards against a snapshot that leaves the system's relations out: one of
// them could come before what was found. Those of pg_catalog all start with pg_;
// those of information_schema have any name.
func (a *analyzer) shadowed(name string, found *catalog.Relation) bool {
	if found != nil && a.maybeGone[found.OID] {
		return true
	}
	for _, schema := range a.path {
		if found != nil && found.Schema == schema {
			return false
		}
		switch schema {
		case schemaCatalog:
			if strings.HasPrefix(name, "pg_") && a.snap.RelationByName(schemaCatalog, "pg_class") == nil {
				return true
			}
		case schemaInformation:
			if a.snap.RelationByName(schemaInformation, "tables") == nil {
				return true
			}
		}
	}
	return false
}

// closedColumns denies what a user's view reads of columns that hold secrets inside of
// a system view: that shows what the session's role may see, whoever owns the other
// one. Reading such a column otherwise takes a grant that names it.
func (a *analyzer) closedColumns() error {
	for _, e := range a.current.entries {
		rel := e.relation
		if rel == nil || !isSystem(rel) || !e.access.Within || rel.Kind == catalog.KindTable {
			continue
		}
		for _, c := range rel.Columns {
			if (e.columns[c.Name] || e.access.AllColumns) && builtin.ColumnClosed(rel.Schema, rel.Name, c.Name) {
				return deny(access.RelationKind, "column "+c.Name+" of catalog "+fullName(rel))
			}
		}
	}
	return nil
}

// holdsRows reports whether a relation stores rows, or stands for something that
// does.
func holdsRows(rel *catalog.Relation) bool {
	switch rel.Kind {
	case catalog.KindTable, catalog.KindPartitionedTable, catalog.KindForeignTable, catalog.KindMaterializedView:
		return true
	}
	return false
}

// missingRelation is PostgreSQL's 42P01, to be told to whom every relation of that
// name would be granted.
func (a *analyzer) missingRelation(rv *pg_query.RangeVar, action access.Action, position int32) error {
	if rv.Schemaname == "" && strings.HasPrefix(rv.Relname, "pg_") {
		return deny(access.UnknownObject, "relation "+rv.Relname)
	}
	if rv.Schemaname == schemaInformation || strings.HasPrefix(rv.Schemaname, "pg_") {
		return deny(access.UnknownObject, "relation "+rv.Schemaname+"."+rv.Relname)
	}
	shown := rv.Relname
	schemas := a.path.foreign()
	if rv.Schemaname != "" {
		shown = rv.Schemaname + "." + rv.Relname
		schemas = []string{rv.Schemaname}
	}
	var requires []access.Access
	for _, schema := range schemas {
		requires = append(requires, access.Access{Action: action, Named: namedObject(rv), AllColumns: true,
			Resolved: access.Object{Kind: access.Table, Schema: schema, Name: rv.Relname}})
	}
	return hide(stateUndefinedTable, fmt.Sprintf("relation \"%s\" does not exist", shown), errorPosition(a.text, position), requires...)
}

// descendants lists a relation's children, grandchildren and so on.
func (a *analyzer) descendants(rel *catalog.Relation) ([]*catalog.Relation, error) {
	seen := map[catalog.OID]bool{rel.OID: true}
	var all []*catalog.Relation
	for queue := []*catalog.Relation{rel}; len(queue) > 0; queue = queue[1:] {
		for _, oid := range queue[0].Children {
			if seen[oid] {
				continue
			}
			seen[oid] = true
			child := a.snap.RelationByOID(oid)
			if child == nil {
				return nil, deny(access.OpaqueCode, "a child of relation "+fullName(rel)+" that is not known")
			}
			all = append(all, child)
			queue = append(queue, child)
		}
	}
	return all, nil
}

// ancestors lists a relation's parents, grandparents and so on.
func (a *analyzer) ancestors(rel *catalog.Relation) []*catalog.Relation {
	seen := map[catalog.OID]bool{rel.OID: true}
	var all []*catalog.Relation
	for queue := []*catalog.Relation{rel}; len(queue) > 0; queue = queue[1:] {
		for _, oid := range queue[0].Parents {
			if parent := a.snap.RelationByOID(oid); parent != nil && !seen[oid] {
				seen[oid] = true
				all = append(all, parent)
				queue = append(queue, parent)
			}
		}
	}
	return all
}

// judgeRead judges what reading a relation, and its descendants unless ONLY, runs by
// itself.
func (a *analyzer) judgeRead(rel *catalog.Relation, descend bool) error {
	if isSystem(rel) {
		return nil
	}
	if rel.Kind == catalog.KindView {
		return a.readView(rel)
	}
	at := place{access.Select, rel}
	if err := a.readCode(rel, at); err != nil {
		return err
	}
	if descend {
		children, err := a.descendants(rel)
		if err != nil {
			return err
		}
		a.current.appends = a.current.appends || len(children) > 0
		for _, child := range children {
			if err := a.readCode(child, at); err != nil {
				return err
			}
		}
	}
	return a.rowSecurity(rel, access.Select)
}
