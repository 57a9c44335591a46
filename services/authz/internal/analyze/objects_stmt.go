package analyze

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// dropStmt judges DROP. Partitions go with their table unasked.
func (a *analyzer) dropStmt(d *pg_query.DropStmt) error {
	if k := a.objects[d.RemoveType]; k.form == relationForm {
		a.dropping = k.words
		defer func() { a.dropping = "" }()
	}
	var subjects []subject
	for _, object := range d.Objects {
		s, err := a.changes(d.RemoveType, object, nil, d.MissingOk)
		if err != nil {
			return err
		}
		subjects = append(subjects, s)
		if s.kind.kind == pg_query.ObjectType_OBJECT_POLICY && s.relation != nil {
			// A restrictive one kept rows from being read.
			a.readsAll(s.relation)
		}
		if s.relation != nil && s.kind.form == relationForm {
			if err := a.altersFamily(s.relation); err != nil {
				return err
			}
		}
	}
	if err := a.dropped(d, subjects); err != nil {
		return err
	}
	madeHere := !slices.ContainsFunc(subjects, func(s subject) bool { return !a.makes(s.relation) })
	if a.ownOnly() || madeHere {
		// What hangs on those is the session's own, or of this message, as well.
		return nil
	}
	return a.behaviour(d.Behavior)
}

// commentStmt judges COMMENT, which only the owner may.
func (a *analyzer) commentStmt(c *pg_query.CommentStmt) error {
	s, err := a.changes(c.Objtype, c.Object, nil, false)
	a.changesNothing()
	if names, ok := stringNodes(c.Object.GetList().GetItems()); err == nil && s.kind.kind == pg_query.ObjectType_OBJECT_COLUMN && s.relation != nil && ok &&
		columnNamed(s.relation, last(names)) == nil && !isSystemColumn(last(names)) {
		return noColumn(strings.Join(names[:len(names)-1], "."), last(names))
	}
	return err
}

// renameStmt judges ALTER … RENAME: grants go by name, so that what gets another name
// must have been readable, or be trusted, under the old one.
func (a *analyzer) renameStmt(r *pg_query.RenameStmt) error {
	object := r.Object
	if object == nil && r.Relation == nil {
		object = &pg_query.Node{Node: &pg_query.Node_String_{String_: &pg_query.String{Sval: r.Subname}}}
	}
	s, err := a.changes(r.RenameType, object, r.Relation, r.MissingOk)
	if err != nil {
		return err
	}
	if s.kind.kind == pg_query.ObjectType_OBJECT_TRIGGER && s.relation != nil {
		// It goes by that name on the partitions as well (renametrig of trigger.c).
		if err := a.altersPartitions(s.relation); err != nil {
			return err
		}
	}
	a.renamed(r, s, object)
	if s.kind.form == schemaForm {
		if err := a.ddlIn(r.Newname); err != nil {
			return err
		}
		return a.moves(s, r.Newname)
	}
	if (s.kind.kind == pg_query.ObjectType_OBJECT_COLUMN || s.kind.kind == pg_query.ObjectType_OBJECT_ATTRIBUTE) && s.relation != nil {
		if columnNamed(s.relation, r.Subname) == nil {
			return hide(stateUndefinedColumn, fmt.Sprintf("column \"%s\" does not exist", r.Subname), 0)
		}
		if holdsRows(s.relation) || s.relation.Kind == catalog.KindView {
			a.current.column(access.Select, relationObject(s.relation), s.relation, r.Subname)
		}
	}
	if s.kind.form == relationForm && s.relation != nil {
		a.guard(access.Object{Kind: relationObject(s.relation).Kind, Schema: s.relation.Schema, Name: r.Newname})
	}
	if s.kind.form == partForm {
		return nil
	}
	return a.moves(s, r.Newname)
}

// setSchema judges ALTER … SET SCHEMA.
func (a *analyzer) setSchema(r *pg_query.AlterObjectSchemaStmt) error {
	s, err := a.changes(r.ObjectType, r.Object, r.Relation, r.MissingOk)
	if err != nil {
		return err
	}
	a.movedTo(r, s)
	if err := a.ddlIn(r.Newschema); err != nil {
		return err
	}
	return a.moves(s, s.name)
}

// moves asks for what giving an object another name or schema takes.
func (a *analyzer) moves(s subject, name string) error {
	if s.relation != nil {
		a.readsAll(s.relation)
		return nil
	}
	if s.kind.form == schemaForm {
		// Every relation of the schema moves.
		for rel := range a.snap.EachRelation() {
			if rel.Schema == s.name && (holdsRows(rel) || rel.Kind == catalog.KindView || rel.Kind == catalog.KindSequence) {
				a.readsAll(rel)
			}
		}
	}
	if s.kind.code {
		for _, schema := range s.schemas {
			a.trusted(schema, s.kind.words+" "+s.name+" under the name "+name)
		}
	}
	return nil
}

// trusted asks for ddl on a schema by a grant that is trusted: code that analysis cannot
// look into becomes callable under a name of the schema.
func (a *analyzer) trusted(schema, code string) {
	addTrust(a.ask(access.DDL, access.Object{Kind: access.Schema, Name: schema}), access.Trust{Code: code})
}

// alterOwner judges ALTER … OWNER TO.
func (a *analyzer) alterOwner(o *pg_query.AlterOwnerStmt) error {
	s, err := a.changes(o.ObjectType, o.Object, o.Relation, false)
	if err != nil {
		return err
	}
	a.owned(o, s)
	if s.relation != nil && a.staysOwner(s.relation.Owner, o.Newowner) {
		return nil
	}
	return a.onDatabase()
}

// createSchema judges CREATE SCHEMA.
func (a *analyzer) createSchema(c *pg_query.CreateSchemaStmt) error {
	if c.Authrole != nil {
		a.ask(access.Admin, a.database())
	}
	owner := a.in.Context.Role
	if c.Authrole != nil {
		owner = a.roleOf(c.Authrole)
	}
	name := c.Schemaname
	if name == "" {
		if name = owner; name == "" {
			return deny(access.Construct, "a schema without a name")
		}
	}
	if !a.snap.SchemaExists(name) {
		a.change.additions.Schemas = []catalog.Schema{{OID: a.newOID(), Name: name}}
	}
	a.change.known = !a.snap.SchemaExists(name) || c.IfNotExists
	if err := a.ddlIn(name); err != nil || len(c.SchemaElts) == 0 {
		return err
	}
	if owner == "" {
		return deny(access.Construct, "CREATE SCHEMA AUTHORIZATION with elements")
	}
	return a.schemaElements(name, owner, c.SchemaElts)
}
