package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// grantStmt judges GRANT and REVOKE of privileges on objects (objectNamesToOids of
// aclchk.c). They are admin's; a deny on an object keeps its rights from being given
// away.
func (a *analyzer) grantStmt(g *pg_query.GrantStmt) error {
	a.ask(access.Admin, a.database())
	// Of rights analysis knows whether the session's role may use a schema, and nothing else.
	a.change.known = g.Objtype != pg_query.ObjectType_OBJECT_SCHEMA || a.keepsSchemas(g)
	for _, node := range g.Objects {
		var err error
		if g.Targtype == pg_query.GrantTargetType_ACL_TARGET_ALL_IN_SCHEMA {
			schema, ok := stringNode(node)
			if !ok || !a.snap.SchemaExists(schema) {
				return deny(access.UnknownObject, "a schema")
			}
			err = a.guardSchema(schema)
		} else {
			err = a.grantsOn(g.Objtype, node)
		}
		if rv := node.GetRangeVar(); err == nil && rv != nil {
			err = a.grantsColumns(rv, g.Privileges)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// grantsOn notes an object as changed.
func (a *analyzer) grantsOn(typ pg_query.ObjectType, node *pg_query.Node) error {
	switch typ {
	case pg_query.ObjectType_OBJECT_TABLE, pg_query.ObjectType_OBJECT_SEQUENCE:
		return a.grantsOnRelation(node.GetRangeVar())
	case pg_query.ObjectType_OBJECT_FUNCTION, pg_query.ObjectType_OBJECT_PROCEDURE, pg_query.ObjectType_OBJECT_ROUTINE:
		return a.grantsOnRoutine(node.GetObjectWithArgs().GetObjname())
	case pg_query.ObjectType_OBJECT_TYPE, pg_query.ObjectType_OBJECT_DOMAIN:
		names, ok := stringNodes(node.GetList().GetItems())
		if !ok || len(names) == 0 || len(names) > 2 {
			return deny(access.Construct, "a type's name")
		}
		t, err := a.lookUpType(names)
		if err != nil {
			return err
		}
		a.guard(access.Object{Kind: access.Type, Schema: t.Schema, Name: t.Name})
		return nil
	case pg_query.ObjectType_OBJECT_SCHEMA:
		schema, ok := stringNode(node)
		if !ok || !a.snap.SchemaExists(schema) {
			return deny(access.UnknownObject, "a schema")
		}
		return nil
	case pg_query.ObjectType_OBJECT_FDW, pg_query.ObjectType_OBJECT_FOREIGN_SERVER, pg_query.ObjectType_OBJECT_LANGUAGE:
		return a.bindsGlobal(a.objects[typ], node, false)
	case pg_query.ObjectType_OBJECT_DATABASE, pg_query.ObjectType_OBJECT_LARGEOBJECT, pg_query.ObjectType_OBJECT_TABLESPACE,
		pg_query.ObjectType_OBJECT_PARAMETER_ACL:
		return nil
	default:
		return deny(access.Construct, "an object of its type")
	}
}

func (a *analyzer) grantsOnRelation(rv *pg_query.RangeVar) error {
	if rv == nil || rv.Catalogname != "" && rv.Catalogname != a.snap.Database {
		return deny(access.Construct, "a relation of another database")
	}
	rel := a.grantedOn(rv)
	if rel == nil {
		return deny(access.UnknownObject, "relation "+rv.Relname)
	}
	a.guard(relationObject(rel))
	return nil
}

// grantedOn is the relation that GRANT names, nil where there is none.
func (a *analyzer) grantedOn(rv *pg_query.RangeVar) *catalog.Relation {
	if rv.Schemaname == "" {
		return a.lookUp(rv.Relname)
	}
	return a.snap.RelationByName(rv.Schemaname, rv.Relname)
}

// grantsColumns looks for the columns that privileges are about (expand_col_privileges).
func (a *analyzer) grantsColumns(rv *pg_query.RangeVar, privileges []*pg_query.Node) error {
	rel := a.grantedOn(rv)
	for _, node := range privileges {
		for _, column := range node.GetAccessPriv().GetCols() {
			if err := ofRelation(rel, column.GetString_().GetSval()); err != nil {
				return err
			}
		}
	}
	return nil
}

// grantsOnRoutine notes every function that a name can mean.
func (a *analyzer) grantsOnRoutine(nodes []*pg_query.Node) error {
	return a.eachNamed(nodes, func(f *catalog.Function) error {
		a.guardFunction(f)
		return nil
	})
}

// changesEverything judges what reaches all that a role owns: any relation may be its.
func (a *analyzer) changesEverything() error {
	a.ask(access.Admin, a.database())
	for rel := range a.snap.EachRelation() {
		if err := a.spend(1); err != nil {
			return err
		}
		if !isSystem(rel) && (holdsRows(rel) || rel.Kind == catalog.KindView || rel.Kind == catalog.KindSequence) {
			a.guard(relationObject(rel))
		}
	}
	return nil
}
