package analyze

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// schemaElements judges the elements of CREATE SCHEMA, each a statement of its own that
// its owner runs with the new schema in front of the path (CreateSchemaCommand of
// schemacmds.c), in the order of transformCreateSchemaStmtElements.
func (a *analyzer) schemaElements(name, owner string, elements []*pg_query.Node) error {
	sorted, err := schemaOrder(name, elements)
	if err != nil {
		return err
	}
	path, role := a.in.Context.SearchPath, a.in.Context.Role
	inside := quotedName(name)
	if rest := strings.TrimLeft(path, " \t\n\r\f\v"); rest != "" {
		inside += ", " + rest
	}
	// What the schema itself is comes before them.
	a.in.Context.Role = owner
	if err := a.stepInto(inside); err != nil {
		return err
	}
	for _, node := range sorted {
		if _, err := a.kinds[nodeType(node)].judge(a, node); err != nil {
			return err
		}
		if err := a.stepInto(a.in.Context.SearchPath); err != nil {
			return err
		}
	}
	a.in.Context.Role = role
	return a.stepInto(path)
}

// stepInto shows what was changed so far to what follows in the same statement, under a
// path.
func (a *analyzer) stepInto(path string) error {
	followed, err := a.follow()
	if err != nil {
		return err
	}
	if !followed {
		return deny(access.Construct, "an element of CREATE SCHEMA after one that cannot be followed")
	}
	temporary, permanent := a.change.temporary, a.change.permanent
	a.change = newChanges()
	a.change.known, a.change.temporary, a.change.permanent = true, temporary, permanent
	a.in.Context.SearchPath = path
	return a.reread()
}

// schemaOrder sorts the elements by their kinds and gives what they make its schema.
func schemaOrder(name string, elements []*pg_query.Node) ([]*pg_query.Node, error) {
	var groups [6][]*pg_query.Node
	home := func(rv *pg_query.RangeVar) error {
		if rv == nil {
			return deny(access.Construct, "an element without a name")
		}
		if rv.Schemaname != "" && rv.Schemaname != name {
			return hide(stateSchemaDefinition, fmt.Sprintf("CREATE specifies a schema (%s) different from the one being created (%s)", rv.Schemaname, name), 0)
		}
		rv.Schemaname = name
		return nil
	}
	for _, node := range elements {
		var err error
		group := 0
		switch n := node.GetNode().(type) {
		case *pg_query.Node_CreateSeqStmt:
			err = home(n.CreateSeqStmt.Sequence)
		case *pg_query.Node_CreateStmt:
			group, err = 1, home(n.CreateStmt.Relation)
		case *pg_query.Node_ViewStmt:
			group, err = 2, home(n.ViewStmt.View)
		case *pg_query.Node_IndexStmt:
			group, err = 3, home(n.IndexStmt.Relation)
		case *pg_query.Node_CreateTrigStmt:
			group, err = 4, home(n.CreateTrigStmt.Relation)
		case *pg_query.Node_GrantStmt:
			group = 5
		default:
			err = deny(access.Construct, "an element of CREATE SCHEMA")
		}
		if err != nil {
			return nil, err
		}
		groups[group] = append(groups[group], node)
	}
	return slices.Concat(groups[:]...), nil
}

// keepsSchemas reports whether a grant on schemas leaves those that the session's role
// may use as they are: it may use all of them already.
func (a *analyzer) keepsSchemas(g *pg_query.GrantStmt) bool {
	if role := a.snap.RoleByName(a.in.Context.Role); role != nil && role.Superuser {
		return true
	}
	return g.IsGrant && !slices.ContainsFunc(g.Objects, func(node *pg_query.Node) bool {
		name, ok := stringNode(node)
		return !ok || a.snap.SchemaExists(name) && !a.snap.SchemaOpenTo(name, a.in.Context.Role)
	})
}

// owned shows what ALTER … OWNER TO makes of an object.
func (a *analyzer) owned(o *pg_query.AlterOwnerStmt, s subject) {
	owner := a.roleOf(o.Newowner)
	if owner == "" {
		return
	}
	switch s.kind.form {
	case routineForm:
		if s.kind.kind == pg_query.ObjectType_OBJECT_OPERATOR {
			a.changesNothing()
			return
		}
		if f, _ := a.routineNamed(o.Object.GetObjectWithArgs()); f != nil {
			a.editedFunction(f.OID).Owner = owner
			a.change.known = true
		}
	case typeForm:
		for _, schema := range s.schemas {
			t := a.snap.TypeByName(schema, s.name)
			if t == nil {
				continue
			}
			for _, oid := range []catalog.OID{t.OID, t.Array} {
				if changed := a.editedType(oid); changed != nil {
					changed.Owner = owner
				}
			}
			if rel := a.edited(t.Relation); rel != nil {
				rel.Owner = owner
			}
			a.change.known = t.Kind != 'r'
			return
		}
	case schemaForm:
		// Who may use it goes with it, but for superusers.
		role := a.snap.RoleByName(a.in.Context.Role)
		a.change.known = owner == a.in.Context.Role || role != nil && role.Superuser
	case qualifiedForm:
		a.changesNothing()
	}
}
