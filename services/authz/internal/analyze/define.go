package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// define judges CREATE with a list of definitions (DefineStmt). Base types, parsers and
// templates are made of C functions, and only superusers make them.
func (a *analyzer) define(d *pg_query.DefineStmt) error {
	switch d.Kind {
	case pg_query.ObjectType_OBJECT_TYPE, pg_query.ObjectType_OBJECT_TSPARSER, pg_query.ObjectType_OBJECT_TSTEMPLATE:
		a.ask(access.Admin, a.database())
	case pg_query.ObjectType_OBJECT_AGGREGATE, pg_query.ObjectType_OBJECT_OPERATOR, pg_query.ObjectType_OBJECT_COLLATION,
		pg_query.ObjectType_OBJECT_TSDICTIONARY, pg_query.ObjectType_OBJECT_TSCONFIGURATION:
	default:
		return deny(access.Construct, "a definition")
	}
	object, err := a.newNamed(d.Defnames)
	if err != nil {
		return err
	}
	switch d.Kind {
	case pg_query.ObjectType_OBJECT_AGGREGATE:
		a.guard(access.Object{Kind: access.Function, Schema: object.Schema, Name: object.Name})
		return a.createAggregate(d)
	case pg_query.ObjectType_OBJECT_OPERATOR:
		return a.createOperator(d.Definition)
	case pg_query.ObjectType_OBJECT_TYPE:
		return a.createBaseType(object, d.Definition)
	case pg_query.ObjectType_OBJECT_COLLATION:
		return a.createCollation(d.Definition)
	case pg_query.ObjectType_OBJECT_TSPARSER, pg_query.ObjectType_OBJECT_TSTEMPLATE:
		return a.searchFunctions(d.Definition)
	default:
		return a.searchParts(d.Definition)
	}
}

// createBaseType judges CREATE TYPE with input and output functions (DefineType of
// typecmds.c), and without anything, which makes a shell. The functions that take the
// type itself need that shell.
func (a *analyzer) createBaseType(object access.Object, list []*pg_query.Node) error {
	a.guard(access.Object{Kind: access.Type, Schema: object.Schema, Name: object.Name})
	shell := catalog.OID(0)
	if t := a.snap.TypeByName(object.Schema, object.Name); t != nil {
		shell = t.OID
	}
	if shell == 0 && len(list) > 0 {
		v := hideColumn(stateDuplicateObject, "type \""+object.Name+"\" does not exist", 0)
		return v.hint("Create the type as a shell type, then create its I/O functions, then do a full CREATE TYPE.")
	}
	for _, node := range list {
		option := node.GetDefElem()
		var err error
		switch name := option.GetDefname(); name {
		case "like", "element":
			_, err = a.definedBy(option.Arg)
		case "internallength", "category", "preferred", "delimiter", "default", "passedbyvalue", "alignment", "storage", "collatable":
		case "input", "receive", "output", "send", "typmod_in", "typmod_out", "analyze", "analyse", "subscript":
			err = a.typeFunction(name, option.Arg, shell)
		default:
			err = a.ignored()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ignored judges an attribute that none of the known servers has: they warn of it and go
// on (DefineOperator, DefineAggregate, DefineType).
func (a *analyzer) ignored() error {
	if a.version >= unknownServers {
		return deny(access.Construct, "a definition")
	}
	return nil
}

// unknownServers is the first server_version_num whose attributes nobody has looked at.
const unknownServers = 190000

// typeFunction judges one of the functions of a base type.
func (a *analyzer) typeFunction(role string, arg *pg_query.Node, of catalog.OID) error {
	var types [][]catalog.OID
	switch role {
	case "input":
		types = [][]catalog.OID{{typeCString}, {typeCString, typeOID, resolve.Int4}}
	case "receive":
		types = [][]catalog.OID{{typeInternal}, {typeInternal, typeOID, resolve.Int4}}
	case "output", "send":
		types = [][]catalog.OID{{of}}
	case "typmod_in":
		types = [][]catalog.OID{{typeCStrings}}
	case "typmod_out":
		types = [][]catalog.OID{{resolve.Int4}}
	case "analyze", "analyse", "subscript":
		types = [][]catalog.OID{{typeInternal}}
	default:
		return deny(access.Construct, "a definition")
	}
	_, err := a.attachedAs(arg, types...)
	return err
}

// alterType judges ALTER TYPE … SET (AlterType of typecmds.c). NONE takes a function away.
func (a *analyzer) alterType(t *pg_query.AlterTypeStmt) error {
	a.ask(access.Admin, a.database())
	s := subject{kind: a.objects[pg_query.ObjectType_OBJECT_TYPE]}
	if err := a.changesType(&s, t.TypeName); err != nil {
		return err
	}
	of := catalog.OID(0)
	for _, schema := range s.schemas {
		if found := a.snap.TypeByName(schema, s.name); found != nil {
			of = found.OID
		}
	}
	for _, node := range t.Options {
		option := node.GetDefElem()
		if option.GetDefname() == "storage" || option.GetArg() == nil {
			continue
		}
		if err := a.typeFunction(option.GetDefname(), option.Arg, of); err != nil {
			return err
		}
	}
	return nil
}

// createCollation judges CREATE COLLATION: what it copies is named.
func (a *analyzer) createCollation(list []*pg_query.Node) error {
	for _, node := range list {
		if option := node.GetDefElem(); option.GetDefname() == "from" {
			if err := a.collation(definedNames(option.Arg)); err != nil {
				return err
			}
		}
	}
	return nil
}

// searchFunctions judges the functions of a text search parser or template
// (get_ts_parser_func and get_ts_template_func of tsearchcmds.c).
func (a *analyzer) searchFunctions(list []*pg_query.Node) error {
	for _, node := range list {
		option := node.GetDefElem()
		types := []catalog.OID{typeInternal}
		switch option.GetDefname() {
		case "start":
			types = append(types, resolve.Int4)
		case "gettoken":
			types = append(types, typeInternal, typeInternal)
		case "headline":
			types = append(types, typeInternal, typeTSQuery)
		case "lexize":
			types = append(types, typeInternal, typeInternal, typeInternal)
		case "end", "lextypes", "init":
		default:
			return deny(access.Construct, "a definition")
		}
		if _, err := a.attached(option.Arg, types...); err != nil {
			return err
		}
	}
	return nil
}

// searchParts judges what a text search dictionary or configuration is made of: other
// objects by name. A dictionary's files lie where only the server's administrator puts
// them.
func (a *analyzer) searchParts(list []*pg_query.Node) error {
	for _, node := range list {
		switch option := node.GetDefElem(); option.GetDefname() {
		case "template", "parser", "copy":
			if err := a.looksIn(definedNames(option.Arg)); err != nil {
				return err
			}
		}
	}
	return nil
}

// looksIn asks for usage of the schema that a name is looked up in, of a kind of object
// that the snapshot does not list: whether there is one is nobody's business else.
func (a *analyzer) looksIn(nodes []*pg_query.Node) error {
	schema, _, err := qualified(nodes)
	if err == nil && schema != "" {
		a.named(schema)
	}
	return err
}

// alterConfiguration judges ALTER TEXT SEARCH CONFIGURATION: dictionaries are named.
func (a *analyzer) alterConfiguration(c *pg_query.AlterTSConfigurationStmt) error {
	for _, node := range c.Dicts {
		if err := a.looksIn(node.GetList().GetItems()); err != nil {
			return err
		}
	}
	return a.ofKind(pg_query.ObjectType_OBJECT_TSCONFIGURATION, c.Cfgname)
}

// definedBy judges a type that a definition names.
func (a *analyzer) definedBy(arg *pg_query.Node) (catalog.OID, error) {
	t, err := definedType(arg)
	if err != nil {
		return 0, err
	}
	oid, _, err := a.signatureType(t)
	return oid, err
}

// definedType is defGetTypeName of define.c: a type, quoted or not.
func definedType(arg *pg_query.Node) (*pg_query.TypeName, error) {
	if t := arg.GetTypeName(); t != nil {
		return t, nil
	}
	if _, ok := stringNode(arg); !ok {
		return nil, deny(access.Construct, "a type")
	}
	return &pg_query.TypeName{Names: []*pg_query.Node{arg}, Typemod: -1}, nil
}
