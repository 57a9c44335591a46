package analyze

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func namedObject(rv *pg_query.RangeVar) access.Object {
	return access.Object{Kind: access.Table, Schema: rv.Schemaname, Name: rv.Relname}
}

// lookUp finds an unqualified relation over the path, or returns nil.
func (a *analyzer) lookUp(name string) *catalog.Relation {
	for _, schema := range a.path {
		if rel := a.snap.RelationByName(schema, name); rel != nil {
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
	case schemaTemp:
		return nil, deny(access.UnknownObject, "a temporary relation")
	default:
		rel = a.snap.RelationByName(rv.Schemaname, rv.Relname)
	}
	if rel == nil {
		return nil, a.missingRelation(rv, action, position)
	}
	if isSystem(rel) {
		return rel, a.judgeSystem(rel, action)
	}
	if !fits(rel.Kind, action) {
		return nil, deny(access.RelationKind, "relation "+rel.Schema+"."+rel.Name+" is of no kind for "+string(action))
	}
	return rel, nil
}

// isSystem reports whether a relation came with the server, or stands in a schema
// that only superusers fill.
func isSystem(rel *catalog.Relation) bool {
	return strings.HasPrefix(rel.Schema, "pg_") || rel.Schema == schemaInformation || rel.OID < catalog.FirstNormalOID
}

// judgeSystem allows reading what builtin's list knows of. A view's owner may read
// catalogs that are closed, but a closed view shows what the session's role may see.
func (a *analyzer) judgeSystem(rel *catalog.Relation, action access.Action) error {
	err := deny(access.RelationKind, "catalog "+rel.Schema+"."+rel.Name)
	if action != access.Select || rel.OID >= catalog.FirstNormalOID {
		return err
	}
	if readableCatalog(rel.Name) && rel.Schema == schemaCatalog || a.reader != "" && rel.Kind == catalog.KindTable {
		return nil
	}
	return err
}

// fits reports whether an action can mean a relation of a kind.
func fits(kind catalog.RelationKind, action access.Action) bool {
	switch kind {
	case catalog.KindTable, catalog.KindPartitionedTable:
		return true
	case catalog.KindForeignTable:
		return true
	case catalog.KindView:
		return action == access.Select
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

// readableCatalog names the catalogs that drivers read at connect.
func readableCatalog(name string) bool {
	return name == "pg_type" || name == "pg_range" || name == "pg_enum"
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
				return nil, deny(access.OpaqueCode, "a child of relation "+rel.Schema+"."+rel.Name+" that is not known")
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

// judgeRead allows reading a relation, and its descendants unless ONLY, if that
// runs no code but built-in code.
func (a *analyzer) judgeRead(rel *catalog.Relation, descend bool) error {
	if isSystem(rel) {
		return nil
	}
	if rel.Kind == catalog.KindView {
		return a.readView(rel)
	}
	all := []*catalog.Relation{rel}
	if descend {
		children, err := a.descendants(rel)
		if err != nil {
			return err
		}
		all = append(all, children...)
	}
	for _, r := range all {
		if err := a.judgeReadOne(r); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) judgeReadOne(rel *catalog.Relation) error {
	if err, ok := a.readable[rel.OID]; ok {
		return err
	}
	err := a.whyUnreadable(rel)
	a.readable[rel.OID] = err
	return err
}

// whyUnreadable looks for code that planning or running a query over a relation can
// run. That includes check constraints and index expressions: the planner folds
// their constant parts (get_relation_constraints, RelationGetIndexExpressions).
func (a *analyzer) whyUnreadable(rel *catalog.Relation) error {
	name := rel.Schema + "." + rel.Name
	if rel.Kind == catalog.KindSequence {
		return nil
	}
	if !holdsRows(rel) {
		return deny(access.RelationKind, "relation "+name+" is no table")
	}
	if rel.RowSecurity {
		return deny(access.OpaqueCode, "row security of "+name)
	}
	for _, c := range rel.Columns {
		if err := a.judgeType(c.Type); err != nil {
			return deny(access.OpaqueCode, "type of column "+c.Name+" of "+name)
		}
		if c.Generated != 0 && c.Generated != 's' && a.judgeStored(c.Default, rel) != nil {
			return deny(access.OpaqueCode, "generated column "+c.Name+" of "+name)
		}
	}
	for _, check := range rel.Checks {
		if a.judgeStored(check, rel) != nil {
			return deny(access.OpaqueCode, "a check of "+name)
		}
	}
	for _, expression := range rel.IndexExpressions {
		if a.judgeIndexExpression(expression, rel) != nil {
			return deny(access.OpaqueCode, "an index of "+name)
		}
	}
	if rel.PartitionKey != "" && a.judgePartitionKey(rel.PartitionKey, rel) != nil {
		return deny(access.OpaqueCode, "the partition key of "+name)
	}
	return nil
}
