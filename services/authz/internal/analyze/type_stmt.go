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
	a.madeComposite(d)
	return nil
}

func (a *analyzer) createEnum(e *pg_query.CreateEnumStmt) error {
	object, err := a.newType(e.TypeName)
	if err == nil {
		a.madeEnum(object)
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
	// Which labels there are, no snapshot says.
	a.changesNothing()
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
	var multi access.Object
	plain := true
	var canonical, difference *pg_query.Node
	for _, node := range r.Params {
		option := node.GetDefElem()
		var err error
		switch option.GetDefname() {
		case "subtype":
			subtype, err = a.subtype(option.Arg)
		case "subtype_opclass":
			plain = false
			err = a.operatorClass(definedNames(option.Arg))
		case "collation":
			err = a.collation(definedNames(option.Arg))
		case "canonical":
			canonical = option.Arg
		case "subtype_diff":
			difference = option.Arg
		case "multirange_type_name":
			multi, err = a.newType(definedNames(option.Arg))
		default:
			err = deny(access.Construct, "an option of a range type")
		}
		if err != nil {
			return err
		}
	}
	a.madeRange(object, multi, subtype, plain && canonical == nil && difference == nil)
	if canonical != nil {
		// It takes the type itself, of which there is a shell by then.
		shell := a.snap.TypeByName(object.Schema, object.Name)
		if shell == nil {
			return unattached(canonical)
		}
		if err := a.attachedCode(canonical, shell.OID); err != nil {
			return err
		}
	}
	if difference == nil {
		return nil
	}
	return a.attachedCode(difference, subtype, subtype)
}

// attachedCode is attached for a function that values of the type run by themselves.
func (a *analyzer) attachedCode(arg *pg_query.Node, types ...catalog.OID) error {
	f, err := a.attached(arg, types...)
	if err != nil {
		return err
	}
	return a.attachesCode(f)
}

// subtype is what a range is over, quoted or not. PostgreSQL asks for no right to it.
func (a *analyzer) subtype(arg *pg_query.Node) (catalog.OID, error) {
	t, err := definedType(arg)
	if err != nil {
		return 0, err
	}
	return a.typeName(t)
}

// createDomain judges CREATE DOMAIN. Its constraints see VALUE alone.
func (a *analyzer) createDomain(d *pg_query.CreateDomainStmt) error {
	object, err := a.newType(d.Domainname)
	if err != nil {
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
	made := domainDefinition(oid)
	for _, node := range d.Constraints {
		if err := a.constraint(made, node.GetConstraint()); err != nil {
			return err
		}
	}
	a.madeDomain(object, oid, made)
	return nil
}

// domainDefinition is what the constraints of a domain over a type can refer to.
func domainDefinition(base catalog.OID) *definition {
	d := newDefinition(access.Object{Kind: access.Type})
	d.item.columns = []column{{name: "value", typ: base}}
	return d
}
