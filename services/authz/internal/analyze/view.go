package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// view is what reading a view runs and reads besides the view itself.
type view struct {
	// accesses are those of its query.
	accesses *recorder
	// tree is its query, as parsed.
	tree *pg_query.SelectStmt
	// query is the level its query was bound at, for FOR UPDATE.
	query *scope
	// err says why it cannot be judged.
	err error
	// busy says that it is being bound.
	busy bool
}

// viewKey is a view and the path in force, which functions in its query see.
type viewKey struct {
	oid     catalog.OID
	session string
}

// readView adds what a view's query reads and runs (ApplyRetrieveRule). Its
// relations are checked against the view's owner, which only a deny speaks about;
// those of a security_invoker view against the session's role, also where another
// view reads it (RelationBuildRuleLock). Functions run with the rights of the
// session's role in either case.
func (a *analyzer) readView(rel *catalog.Relation) error {
	v, err := a.boundView(rel)
	if err != nil {
		return err
	}
	if err := a.spend(throughCost * len(v.accesses.entries)); err != nil {
		return err
	}
	a.current.absorbView(v.accesses, rel, place{access.Select, rel})
	return nil
}

// lockView adds the update right that FOR UPDATE of a view asks of what its query
// reads (markQueryForLocking), by the same rule as reading it.
func (a *analyzer) lockView(rel *catalog.Relation) error {
	v, err := a.boundView(rel)
	if err != nil {
		return err
	}
	inner := *a
	inner.reader = a.viewReader(rel)
	inner.current = &recorder{within: inner.reader != ""}
	if err := inner.lockAll(v.query); err != nil {
		return err
	}
	a.work = inner.work
	way := relationObject(rel)
	a.current.absorb(inner.current, &way, false)
	return nil
}

// viewReader is the role that a view's relations are checked against; empty for the
// session's. A temporary view is the session's own, whoever its owner is by name.
func (a *analyzer) viewReader(rel *catalog.Relation) string {
	if rel.SecurityInvoker || ownTemporary(rel.Schema) {
		return ""
	}
	return rel.Owner
}

// boundView binds a view's query, once in a unit.
func (a *analyzer) boundView(rel *catalog.Relation) (*view, error) {
	name := fullName(rel)
	key := viewKey{oid: rel.OID, session: strings.Join(a.session, "\x00")}
	if v := a.views[key]; v != nil {
		if v.busy {
			return nil, deny(access.OpaqueCode, "view "+name+" reads itself")
		}
		return v, v.err
	}
	if rel.Definition == "" {
		return nil, deny(access.RelationKind, "view "+name+", whose query is not known")
	}
	v := &view{busy: true}
	a.views[key] = v
	if rel.Definition == catalog.Unreadable {
		object := relationObject(rel)
		v.busy, v.err = false, unavailable(access.Access{Action: access.Select, Named: object, Resolved: object, AllColumns: true})
		return nil, v.err
	}
	v.accesses, v.err = a.catalogued(rel.Definition, inside{path: a.storedPath(), reader: a.viewReader(rel), stored: true,
		origin: origin{refs: rel.References, owner: rel.OID}},
		func(inner *analyzer, tree *pg_query.ParseResult) error {
			if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
				return deny(access.Construct, "a view's query")
			}
			v.tree = tree.Stmts[0].Stmt.GetSelectStmt()
			var err error
			v.query, _, err = inner.subquery(nil, tree.Stmts[0].Stmt, nil)
			return err
		})
	v.busy = false
	if v.err != nil && !limited(v.err) {
		v.err = deny(access.OpaqueCode, "view "+name+": "+v.err.Error())
	}
	return v, v.err
}
