package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// Statements of administration are admin's, and what they name is bound all the same:
// functions that they attach must be executable, types usable, and a deny on an object
// keeps it from being given away.

// createCast judges CREATE CAST (CreateCast of functioncmds.c).
func (a *analyzer) createCast(c *pg_query.CreateCastStmt) error {
	a.ask(access.Admin, a.database())
	for _, t := range []*pg_query.TypeName{c.Sourcetype, c.Targettype} {
		if _, err := a.columnType(t); err != nil {
			return err
		}
	}
	if c.Func == nil {
		return nil
	}
	return a.attachedNamed(c.Func)
}

// createTransform judges CREATE TRANSFORM.
func (a *analyzer) createTransform(t *pg_query.CreateTransformStmt) error {
	a.ask(access.Admin, a.database())
	if _, err := a.columnType(t.TypeName); err != nil {
		return err
	}
	if _, err := a.global(catalog.KindLanguage, t.Lang); err != nil {
		return err
	}
	for _, f := range []*pg_query.ObjectWithArgs{t.Fromsql, t.Tosql} {
		if f == nil {
			continue
		}
		if err := a.attachedNamed(f); err != nil {
			return err
		}
	}
	return nil
}

// createConversion judges CREATE CONVERSION (CreateConversionCommand of
// conversioncmds.c). Its function took five arguments before PostgreSQL 14.
func (a *analyzer) createConversion(c *pg_query.CreateConversionStmt) error {
	a.ask(access.Admin, a.database())
	if _, err := a.newNamed(c.ConversionName); err != nil {
		return err
	}
	_, err := a.attached(nameNode(c.FuncName), resolve.Int4, resolve.Int4, typeCString, typeInternal, resolve.Int4, resolve.Bool)
	return err
}

// nameNode is a list of names as a definition holds it.
func nameNode(names []*pg_query.Node) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_List{List: &pg_query.List{Items: names}}}
}

// createLanguage judges CREATE LANGUAGE (CreateProceduralLanguage of proclang.c).
func (a *analyzer) createLanguage(l *pg_query.CreatePLangStmt) error {
	a.ask(access.Admin, a.database())
	for _, part := range []struct {
		names []*pg_query.Node
		types []catalog.OID
	}{{l.Plhandler, nil}, {l.Plinline, []catalog.OID{typeInternal}}, {l.Plvalidator, []catalog.OID{typeOID}}} {
		if len(part.names) == 0 {
			continue
		}
		if _, err := a.attached(nameNode(part.names), part.types...); err != nil {
			return err
		}
	}
	return nil
}

// createAccessMethod judges CREATE ACCESS METHOD (lookup_am_handler_func of amcmds.c).
func (a *analyzer) createAccessMethod(m *pg_query.CreateAmStmt) error {
	a.ask(access.Admin, a.database())
	_, err := a.attached(nameNode(m.HandlerName), typeInternal)
	return err
}

// wrapperFunctions judges the functions of a foreign-data wrapper
// (parse_func_options of foreigncmds.c). NO HANDLER and NO VALIDATOR name none.
func (a *analyzer) wrapperFunctions(options []*pg_query.Node) error {
	a.ask(access.Admin, a.database())
	for _, node := range options {
		option := node.GetDefElem()
		var types []catalog.OID
		switch option.GetDefname() {
		case "handler":
		case "validator":
			types = []catalog.OID{typeTexts, typeOID}
		default:
			return deny(access.Construct, "a function of a foreign-data wrapper")
		}
		if option.Arg == nil {
			continue
		}
		if _, err := a.attached(option.Arg, types...); err != nil {
			return err
		}
	}
	return nil
}

// createEventTrigger judges CREATE EVENT TRIGGER (CreateEventTrigger of event_trigger.c),
// which runs with everybody's definitions.
func (a *analyzer) createEventTrigger(t *pg_query.CreateEventTrigStmt) error {
	a.ask(access.Admin, a.database())
	return a.attachedCode(nameNode(t.Funcname))
}

// ofAdmin judges a statement of administration about an object that changes for the
// kinds of objects which DROP names as well.
func (a *analyzer) ofAdmin(typ pg_query.ObjectType, object *pg_query.Node, rv *pg_query.RangeVar) error {
	a.ask(access.Admin, a.database())
	_, err := a.changes(typ, object, rv, false)
	return err
}

// createFamily judges CREATE OPERATOR FAMILY.
func (a *analyzer) createFamily(f *pg_query.CreateOpFamilyStmt) error {
	a.ask(access.Admin, a.database())
	_, err := a.newNamed(f.Opfamilyname)
	return err
}

// alterFamily judges ALTER OPERATOR FAMILY (AlterOpFamily of opclasscmds.c).
func (a *analyzer) alterFamily(f *pg_query.AlterOpFamilyStmt) error {
	if err := a.changesFamily(f.Opfamilyname); err != nil {
		return err
	}
	return a.classItems(f.Items, 0)
}

// changesFamily asks for what changing an operator family takes. Without its schema it
// could be one of pg_catalog.
func (a *analyzer) changesFamily(names []*pg_query.Node) error {
	a.ask(access.Admin, a.database())
	s := subject{kind: a.objects[pg_query.ObjectType_OBJECT_OPFAMILY]}
	return a.changesQualified(&s, names)
}

// createClass judges CREATE OPERATOR CLASS (DefineOpClass of opclasscmds.c). It adds to
// the family of its name, or to the one it names.
func (a *analyzer) createClass(c *pg_query.CreateOpClassStmt) error {
	a.ask(access.Admin, a.database())
	if _, err := a.newNamed(c.Opclassname); err != nil {
		return err
	}
	if len(c.Opfamilyname) > 0 {
		if err := a.changesFamily(c.Opfamilyname); err != nil {
			return err
		}
	}
	of, err := a.columnType(c.Datatype)
	if err != nil {
		return err
	}
	return a.classItems(c.Items, of)
}

// The kinds of items of an operator class (parsenodes.h, OPCLASS_ITEM_).
const (
	itemOperator    = 1
	itemFunction    = 2
	itemStorageType = 3
)

// classItems judges operators and functions of an operator class or family. Operators
// without argument types are those of the class's own; DROP names types alone.
func (a *analyzer) classItems(items []*pg_query.Node, of catalog.OID) error {
	for _, node := range items {
		item := node.GetCreateOpClassItem()
		for _, t := range item.GetClassArgs() {
			if _, err := a.typeName(t.GetTypeName()); err != nil {
				return err
			}
		}
		if len(item.GetOrderFamily()) > 0 {
			if err := a.looksIn(item.OrderFamily); err != nil {
				return err
			}
		}
		var err error
		switch kind := item.GetItemtype(); {
		case kind == itemStorageType:
			_, err = a.columnType(item.Storedtype)
		case item.GetName() == nil && (kind == itemOperator || kind == itemFunction):
		case kind == itemFunction:
			err = a.attachedNamed(item.Name)
		case kind == itemOperator:
			err = a.classOperator(item.Name, of)
		default:
			err = deny(access.Construct, "an item of an operator class")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) classOperator(o *pg_query.ObjectWithArgs, of catalog.OID) error {
	left, right := of, of
	if len(o.Objargs) > 0 {
		var err error
		if left, right, err = a.operandTypes(o); err != nil {
			return err
		}
	}
	return a.namedOperator(o.Objname, left, right)
}
