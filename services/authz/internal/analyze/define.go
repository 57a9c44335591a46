package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// define judges CREATE with a list of definitions (DefineStmt). Base types, parsers and
// templates are made of C functions, and only superusers make them.
func (a *analyzer) define(d *pg_query.DefineStmt) error {
	switch d.Kind {
	case pg_query.ObjectType_OBJECT_TYPE, pg_query.ObjectType_OBJECT_TSPARSER, pg_query.ObjectType_OBJECT_TSTEMPLATE:
		return a.onDatabase()
	case pg_query.ObjectType_OBJECT_AGGREGATE, pg_query.ObjectType_OBJECT_OPERATOR, pg_query.ObjectType_OBJECT_COLLATION,
		pg_query.ObjectType_OBJECT_TSDICTIONARY, pg_query.ObjectType_OBJECT_TSCONFIGURATION:
	default:
		return deny(access.Construct, "a definition")
	}
	if _, err := a.newNamed(d.Defnames); err != nil {
		return err
	}
	if err := a.aggregateArguments(d); err != nil {
		return err
	}
	return a.definitions(d.Kind, d.Definition)
}

// aggregateArguments judges the types of an aggregate's arguments: a list of parameters
// and the number of direct ones.
func (a *analyzer) aggregateArguments(d *pg_query.DefineStmt) error {
	for _, node := range d.Args {
		for _, item := range node.GetList().GetItems() {
			p := item.GetFunctionParameter()
			if p == nil {
				return deny(access.Construct, "an aggregate's argument")
			}
			if _, _, err := a.signatureType(p.ArgType); err != nil {
				return err
			}
		}
	}
	return nil
}

// definitions judges the definitions by what they name.
func (a *analyzer) definitions(kind pg_query.ObjectType, list []*pg_query.Node) error {
	if kind == pg_query.ObjectType_OBJECT_COLLATION || kind == pg_query.ObjectType_OBJECT_TSDICTIONARY || kind == pg_query.ObjectType_OBJECT_TSCONFIGURATION {
		// Locales, templates and parsers are the server's; a dictionary's files lie
		// where only the server's administrator puts them.
		return nil
	}
	for _, node := range list {
		option := node.GetDefElem()
		var err error
		switch option.GetDefname() {
		case "sfunc", "finalfunc", "combinefunc", "serialfunc", "deserialfunc", "msfunc", "minvfunc", "mfinalfunc",
			"procedure", "function", "restrict", "join":
			err = a.definedFunction(option.Arg)
		case "stype", "mstype", "basetype", "leftarg", "rightarg":
			err = a.definedBy(option.Arg)
		case "sspace", "initcond", "msspace", "minitcond", "finalfunc_extra", "mfinalfunc_extra", "finalfunc_modify", "mfinalfunc_modify",
			"parallel", "hypothetical", "hashes", "merges":
		case "sortop", "commutator", "negator":
			err = a.systemOperator(operatorNames(option.Arg))
		default:
			err = deny(access.Construct, "a definition")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// definedFunction judges a function that a definition names; the grammar takes its name
// for that of a type.
func (a *analyzer) definedFunction(arg *pg_query.Node) error {
	if arg == nil {
		// NONE.
		return nil
	}
	names := arg.GetTypeName().GetNames()
	if list := arg.GetList().GetItems(); list != nil {
		names = list
	}
	if word, ok := stringNode(arg); ok && word == "none" {
		return nil
	}
	return a.functionsNamed(names, -1)
}

func (a *analyzer) definedBy(arg *pg_query.Node) error {
	if arg.GetTypeName() == nil {
		// NONE, and the "ANY" of old aggregates.
		return nil
	}
	_, _, err := a.signatureType(arg.GetTypeName())
	return err
}

// operatorNames are the names of an operator in a definition: OPERATOR(s.+), or + alone.
func operatorNames(arg *pg_query.Node) []*pg_query.Node {
	if list := arg.GetList().GetItems(); list != nil {
		return list
	}
	return []*pg_query.Node{arg}
}

// alterOperator judges ALTER OPERATOR, which changes what the planner runs.
func (a *analyzer) alterOperator(o *pg_query.AlterOperatorStmt) error {
	object := &pg_query.Node{Node: &pg_query.Node_ObjectWithArgs{ObjectWithArgs: o.Opername}}
	if _, err := a.changes(pg_query.ObjectType_OBJECT_OPERATOR, object, nil, false); err != nil {
		return err
	}
	return a.definitions(pg_query.ObjectType_OBJECT_OPERATOR, o.Options)
}
