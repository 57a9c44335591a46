package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// createComposite judges CREATE TYPE AS.
func (a *analyzer) createComposite(c *pg_query.CompositeTypeStmt) error {
	object, err := a.newRelation(c.Typevar)
	if err != nil {
		return err
	}
	if object.Schema == schemaTemp {
		return deny(access.Construct, "a temporary type")
	}
	d := newDefinition(object)
	for _, node := range c.Coldeflist {
		if node.GetColumnDef() == nil {
			return deny(access.Construct, "an attribute")
		}
		if err := a.defineColumn(d, node.GetColumnDef()); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) createEnum(e *pg_query.CreateEnumStmt) error {
	object, err := a.newType(e.TypeName)
	if err == nil && a.snap.TypeByName(object.Schema, object.Name) == nil {
		a.showEnum(object)
	}
	return err
}

// newType is newNamed for a type.
func (a *analyzer) newType(names []*pg_query.Node) (access.Object, error) {
	object, err := a.newNamed(names)
	object.Kind = access.Type
	if err == nil {
		a.guard(object)
	}
	return object, err
}

func (a *analyzer) alterEnum(e *pg_query.AlterEnumStmt) error {
	s := subject{kind: a.objects[pg_query.ObjectType_OBJECT_TYPE]}
	return a.changesType(&s, e.TypeName)
}

// createRange judges CREATE TYPE AS RANGE (DefineRange of typecmds.c). Its functions are
// looked up when all else is known.
func (a *analyzer) createRange(r *pg_query.CreateRangeStmt) error {
	object, err := a.newType(r.TypeName)
	if err != nil {
		return err
	}
	var subtype catalog.OID
	var canonical, difference *pg_query.Node
	for _, node := range r.Params {
		option := node.GetDefElem()
		var err error
		switch option.GetDefname() {
		case "subtype":
			subtype, err = a.columnType(option.GetArg().GetTypeName())
		case "subtype_opclass":
			err = a.operatorClass(option.GetArg().GetTypeName().GetNames())
		case "collation":
			err = a.collation(option.GetArg().GetTypeName().GetNames())
		case "canonical":
			canonical = option.Arg
		case "subtype_diff":
			difference = option.Arg
		case "multirange_type_name":
			_, err = a.newType(option.GetArg().GetTypeName().GetNames())
		default:
			err = deny(access.Construct, "an option of a range type")
		}
		if err != nil {
			return err
		}
	}
	if canonical != nil {
		// It takes the type itself, of which there is a shell by then.
		shell := a.snap.TypeByName(object.Schema, object.Name)
		if shell == nil {
			return unattached(canonical)
		}
		if _, err := a.attached(canonical, shell.OID); err != nil {
			return err
		}
	}
	if difference == nil {
		return nil
	}
	_, err = a.attached(difference, subtype, subtype)
	return err
}

// createDomain judges CREATE DOMAIN. Its constraints see VALUE alone.
func (a *analyzer) createDomain(d *pg_query.CreateDomainStmt) error {
	if _, err := a.newType(d.Domainname); err != nil {
		return err
	}
	oid, err := a.columnType(d.TypeName)
	if err != nil {
		return err
	}
	if d.CollClause != nil {
		if err := a.collation(d.CollClause.Collname); err != nil {
			return err
		}
	}
	for _, node := range d.Constraints {
		if err := a.constraint(domainDefinition(oid), node.GetConstraint()); err != nil {
			return err
		}
	}
	return nil
}

// domainDefinition is what the constraints of a domain over a type can refer to.
func domainDefinition(base catalog.OID) *definition {
	d := newDefinition(access.Object{Kind: access.Type})
	d.item.columns = []column{{name: "value", typ: base}}
	return d
}

// alterDomain judges ALTER DOMAIN.
func (a *analyzer) alterDomain(d *pg_query.AlterDomainStmt) error {
	s := subject{kind: a.objects[pg_query.ObjectType_OBJECT_DOMAIN]}
	if err := a.changesType(&s, d.TypeName); err != nil {
		return err
	}
	if err := a.behaviour(d.Behavior); err != nil {
		return err
	}
	switch d.Subtype {
	case "T":
		return a.optional(&scope{}, d.Def)
	case "C":
		for _, schema := range s.schemas {
			if t := a.snap.TypeByName(schema, s.name); t != nil {
				return a.constraint(domainDefinition(t.Base), d.Def.GetConstraint())
			}
		}
		return deny(access.UnknownObject, "domain "+s.name)
	case "N", "O", "X", "V":
		return nil
	default:
		return deny(access.Construct, "a subcommand of ALTER DOMAIN")
	}
}
