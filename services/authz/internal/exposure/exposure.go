// Package exposure says which relations the server may speak of in its errors and
// notices about a statement, so that policy can tell whether a principal may hear
// them untouched.
//
// An error quotes names and values of what was reached, granted or not: the table
// at the other end of a foreign key and the key that was not found there, the row
// of a view's table that a cast failed on, the partition that refused a row, the
// view that depends on a dropped column. So the reach of a statement is
//
//   - every relation it was found to touch, those within views, rules and functions
//     included;
//   - what hangs together with these by inheritance and partitioning, up and down;
//   - for what is written, the tables its foreign keys point at, and those that point
//     at it, with theirs in turn, since actions of foreign keys write there;
//   - for what defines or drops, every relation of the database: dependencies of all
//     kinds are named.
//
// The session's own temporary objects are its own: whoever may name them reads them.
// Code that analysis could not look into may say anything, so that its statement's
// reach is not known, and is the whole database (Database). The package is pure.
package exposure

import (
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// most bounds the relations that are looked at for one unit; what reaches more is
// not known.
const most = 50_000

// Reach lists the tables, views and sequences that the server may speak of, each
// once, in no order. known is false when it may speak of anything. Catalogs
// that came with the server are left out: their errors are about what
// PostgreSQL's documentation tells. So is what is temporary.
func Reach(statements []access.Statement, snap *catalog.Snapshot) (reach []access.Object, known bool) {
	w := walk{snap: snap, seen: make(map[catalog.OID]way)}
	for i := range statements {
		if !w.statement(&statements[i]) {
			return nil, false
		}
	}
	for oid := range w.seen {
		if rel := snap.RelationByOID(oid); rel != nil && !system(rel.Schema) && !own(rel, snap) && !index(rel) {
			reach = append(reach, object(rel))
		}
	}
	return reach, true
}

// Database lists all that code with the login's rights may speak of: every relation,
// the server's own included, which hold secrets and what others do. Those come first,
// since hardly anybody may read them all. known is false when there are too many.
func Database(snap *catalog.Snapshot) (all []access.Object, known bool) {
	var users []access.Object
	for rel := range snap.EachRelation() {
		switch {
		case len(all)+len(users) == most:
			return nil, false
		case index(rel), own(rel, snap):
		case system(rel.Schema):
			all = append(all, object(rel))
		default:
			users = append(users, object(rel))
		}
	}
	return append(all, users...), true
}

// index reports whether a relation is an index: it belongs to its table, and there are
// no grants on it.
func index(rel *catalog.Relation) bool {
	return rel.Kind == catalog.KindIndex || rel.Kind == catalog.KindPartitionedIndex
}

// own reports whether a relation is one of the session's temporary ones. The snapshot
// has nobody else's.
func own(rel *catalog.Relation, snap *catalog.Snapshot) bool {
	return rel.Schema == "pg_temp" || snap.TempSchema() != "" && rel.Schema == snap.TempSchema()
}

// way is how a relation was reached: read, or written as well.
type way int

const (
	read way = iota + 1
	written
)

type walk struct {
	snap *catalog.Snapshot
	seen map[catalog.OID]way
	// all says that every relation has been reached.
	all bool
}

// everything reaches every relation, once for a unit of many definitions.
func (w *walk) everything() {
	if w.all {
		return
	}
	w.all = true
	for rel := range w.snap.EachRelation() {
		w.seen[rel.OID] = written
	}
}

// statement adds what a statement reaches, and reports whether all of it is known.
func (w *walk) statement(st *access.Statement) bool {
	for _, e := range st.Effects {
		switch e.Kind {
		case access.EffectOpaque:
			return false
		case access.EffectDDL, access.EffectTemp:
			w.everything()
		default:
			// The others name no relation.
		}
	}
	for i := range st.Accesses {
		if !w.access(&st.Accesses[i]) {
			return false
		}
	}
	return len(w.seen) <= most
}

func (w *walk) access(a *access.Access) bool {
	if len(a.Trust) > 0 {
		return false
	}
	if a.Resolved.Kind != access.Table && a.Resolved.Kind != access.Sequence {
		return true
	}
	rel := w.snap.RelationByName(a.Resolved.Schema, a.Resolved.Name)
	if rel == nil {
		// Nothing that exists: a name of what the statement itself makes.
		return true
	}
	how := written
	if a.Action == access.Select && len(a.Or) == 0 {
		how = read
	}
	w.relation(rel.OID, how)
	return true
}

// relation adds a relation and what hangs together with it. The recursion is
// over relations that were not yet reached in this way, so that it ends.
func (w *walk) relation(oid catalog.OID, how way) {
	rel := w.snap.RelationByOID(oid)
	if rel == nil || w.seen[oid] >= how || len(w.seen) > most {
		return
	}
	w.seen[oid] = how
	for _, next := range rel.Children {
		w.relation(next, how)
	}
	for _, next := range rel.Parents {
		w.relation(next, how)
	}
	if how != written {
		return
	}
	for _, key := range rel.ForeignKeys {
		w.relation(key.To, read)
	}
	for _, key := range rel.ReferencedBy {
		w.relation(key.From, written)
	}
}

// system reports whether a schema came with the server.
func system(schema string) bool {
	return schema == "information_schema" || strings.HasPrefix(schema, "pg_") && !strings.HasPrefix(schema, "pg_temp")
}

func object(rel *catalog.Relation) access.Object {
	kind := access.Table
	if rel.Kind == catalog.KindSequence {
		kind = access.Sequence
	}
	return access.Object{Kind: kind, Schema: rel.Schema, Name: rel.Name}
}
