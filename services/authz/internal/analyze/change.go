package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// A migration file comes as one Query message: a table is made, indexed, filled. The
// statements after a definition are judged by a snapshot that shows what it made
// (catalog.Overlay). A statement that does not say what it changes unsettles the
// rest of the message.

// changes is what a statement does to the catalog that later statements of the unit
// are judged by.
type changes struct {
	// known says that additions are all of it.
	known     bool
	additions catalog.Additions
	// temporary and permanent say which objects it changes; fleeting, that COMMIT drops
	// one.
	temporary, permanent, fleeting bool
}

// changesNothing says that no later statement of the unit is judged otherwise after the
// one at hand: comments, rights, statistics and indexes that run no code of users.
func (a *analyzer) changesNothing() { a.change.known = true }

// newOID gives an object of the unit a number that no other has: they count down from
// the greatest, which the server is not near.
func (a *analyzer) newOID() catalog.OID {
	a.lastOID--
	return a.lastOID
}

// follow shows what a statement changed to those after it. It reports false when that
// is not known.
func (a *analyzer) follow() bool {
	if !a.change.known {
		return false
	}
	add := a.change.additions
	if len(add.Schemas)+len(add.Relations)+len(add.Types)+len(add.Functions)+len(add.Dropped.Relations)+len(add.Dropped.Types) == 0 {
		return true
	}
	if a.overlays++; a.overlays > maxOverlays {
		return false
	}
	a.fleeting = a.fleeting || a.change.fleeting
	a.snap = catalog.Overlay(a.snap, add)
	return true
}

// maxOverlays bounds how many snapshots may lie on top of each other: a look-up goes
// through all of them.
const maxOverlays = 200

// showTable adds a table that was made, with its row type.
func (a *analyzer) showTable(d *definition, kind catalog.RelationKind, columns []catalog.Column) {
	schema := d.object.Schema
	if schema == schemaTemp {
		if schema = a.snap.TempSchema(); schema == "" {
			// The first temporary object makes the schema, whose number nobody names.
			schema = schemaTemp + "_0"
		}
		a.change.additions.TempSchema = schema
	}
	rel := catalog.Relation{OID: a.newOID(), Schema: schema, Name: d.object.Name, Kind: kind, Owner: a.in.Context.Role,
		Columns: columns, RowType: a.newOID(), Checks: d.checks}
	for i := range rel.Columns {
		rel.Columns[i].Number = int16(i + 1)
	}
	array := a.newOID()
	a.change.known = true
	a.change.additions.Relations = append(a.change.additions.Relations, rel)
	a.change.additions.Types = append(a.change.additions.Types,
		catalog.Type{OID: rel.RowType, Schema: rel.Schema, Name: rel.Name, Kind: 'c', Category: 'C', Relation: rel.OID, Array: array, Owner: rel.Owner,
			Input: procRecordIn, Output: procRecordOut},
		arrayOf(rel.RowType, array, rel.Schema, rel.Name, rel.Owner))
}

// The I/O functions of composite types, enums and arrays (pg_proc.dat).
const (
	procRecordIn  catalog.OID = 2290
	procRecordOut catalog.OID = 2291
	procEnumIn    catalog.OID = 3506
	procEnumOut   catalog.OID = 3507
	procArrayIn   catalog.OID = 750
	procArrayOut  catalog.OID = 751
)

func arrayOf(element, array catalog.OID, schema, name, owner string) catalog.Type {
	return catalog.Type{OID: array, Schema: schema, Name: truncateName("_" + name), Kind: 'b', Category: 'A', Element: element, Owner: owner,
		Input: procArrayIn, Output: procArrayOut}
}

// showEnum adds an enum that was made, with its array type.
func (a *analyzer) showEnum(object access.Object) {
	oid, array, owner := a.newOID(), a.newOID(), a.in.Context.Role
	a.change.known = true
	a.change.additions.Types = append(a.change.additions.Types,
		catalog.Type{OID: oid, Schema: object.Schema, Name: object.Name, Kind: 'e', Category: 'E', Array: array, Owner: owner, Input: procEnumIn, Output: procEnumOut},
		arrayOf(oid, array, object.Schema, object.Name, owner))
}

// showAltered puts a changed copy of a relation in its place.
func (a *analyzer) showAltered(rel catalog.Relation) {
	a.change.known = true
	a.change.additions.Relations = append(a.change.additions.Relations, rel)
}

// deparsed is an expression as the catalog would hold it, for what is judged again when
// the object is used within the unit. Names in it are looked up in pg_catalog alone
// then, so that one that means something else there is denied.
//
// It reports false when it cannot be written.
func (a *analyzer) deparsed(node *pg_query.Node) (string, bool) {
	if node == nil {
		return "", true
	}
	query := &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: &pg_query.SelectStmt{
		TargetList:  []*pg_query.Node{{Node: &pg_query.Node_ResTarget{ResTarget: &pg_query.ResTarget{Val: node}}}},
		LimitOption: pg_query.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg_query.SetOperation_SETOP_NONE}}}
	text, err := pg_query.Deparse(&pg_query.ParseResult{Version: a.grammar, Stmts: []*pg_query.RawStmt{{Stmt: query}}})
	return strings.TrimPrefix(text, "SELECT "), err == nil && strings.HasPrefix(text, "SELECT ")
}
