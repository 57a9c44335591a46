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
		return a.onDatabase()
	case pg_query.ObjectType_OBJECT_AGGREGATE, pg_query.ObjectType_OBJECT_OPERATOR, pg_query.ObjectType_OBJECT_COLLATION,
		pg_query.ObjectType_OBJECT_TSDICTIONARY, pg_query.ObjectType_OBJECT_TSCONFIGURATION:
	default:
		return deny(access.Construct, "a definition")
	}
	if _, err := a.newNamed(d.Defnames); err != nil {
		return err
	}
	switch d.Kind {
	case pg_query.ObjectType_OBJECT_AGGREGATE:
		return a.createAggregate(d)
	case pg_query.ObjectType_OBJECT_OPERATOR:
		return a.createOperator(d.Definition)
	default:
		// Locales, templates and parsers are the server's; a dictionary's files lie
		// where only the server's administrator puts them.
		return nil
	}
}

// createOperator judges CREATE OPERATOR (DefineOperator of operatorcmds.c).
func (a *analyzer) createOperator(list []*pg_query.Node) error {
	var left, right catalog.OID
	var function *pg_query.Node
	for _, node := range list {
		option := node.GetDefElem()
		var err error
		switch option.GetDefname() {
		case "leftarg":
			left, err = a.definedBy(option.Arg)
		case "rightarg":
			right, err = a.definedBy(option.Arg)
		case "procedure", "function":
			function = option.Arg
		case "restrict", "join":
			err = a.estimator(option)
		case "commutator", "negator":
			err = a.systemOperator(operatorNames(option.Arg))
		case "hashes", "merges":
		default:
			err = deny(access.Construct, "a definition")
		}
		if err != nil {
			return err
		}
	}
	if right == 0 || function == nil {
		return deny(access.Construct, "an operator without a function or an argument")
	}
	types := []catalog.OID{left, right}
	if left == 0 {
		types = types[1:]
	}
	f, err := a.attached(function, types...)
	if err == nil {
		a.usesType(f.Result)
	}
	return err
}

// estimator judges a function that estimates what an operator selects. Only superusers
// attach what did not come with the server (ValidateRestrictionEstimator,
// ValidateJoinEstimator).
func (a *analyzer) estimator(option *pg_query.DefElem) error {
	types := [][]catalog.OID{{typeInternal, typeOID, typeInternal, resolve.Int4}}
	if option.Defname == "join" {
		types = [][]catalog.OID{{typeInternal, typeOID, typeInternal, typeInt2, typeInternal}, {typeInternal, typeOID, typeInternal, typeInt2}}
	}
	for _, signature := range types {
		f, _, err := a.attachable(option.Arg, signature)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if f.OID >= catalog.FirstNormalOID {
			a.ask(access.Admin, a.database())
		}
		return a.attaches(f)
	}
	return unattached(option.Arg)
}

// definedBy judges a type that a definition names, quoted or not (defGetTypeName).
func (a *analyzer) definedBy(arg *pg_query.Node) (catalog.OID, error) {
	t := arg.GetTypeName()
	if t == nil {
		if _, ok := stringNode(arg); !ok {
			return 0, deny(access.Construct, "a type")
		}
		t = &pg_query.TypeName{Names: []*pg_query.Node{arg}, Typemod: -1}
	}
	oid, _, err := a.signatureType(t)
	return oid, err
}

// operatorNames are the names of an operator in a definition: OPERATOR(s.+), or + alone.
func operatorNames(arg *pg_query.Node) []*pg_query.Node {
	if list := arg.GetList().GetItems(); list != nil {
		return list
	}
	return []*pg_query.Node{arg}
}

// alterOperator judges ALTER OPERATOR, which changes what the planner runs. NONE takes
// an estimator away.
func (a *analyzer) alterOperator(o *pg_query.AlterOperatorStmt) error {
	object := &pg_query.Node{Node: &pg_query.Node_ObjectWithArgs{ObjectWithArgs: o.Opername}}
	if _, err := a.changes(pg_query.ObjectType_OBJECT_OPERATOR, object, nil, false); err != nil {
		return err
	}
	for _, node := range o.Options {
		option := node.GetDefElem()
		var err error
		switch option.GetDefname() {
		case "restrict", "join":
			if option.Arg != nil {
				err = a.estimator(option)
			}
		case "commutator", "negator":
			err = a.systemOperator(operatorNames(option.Arg))
		case "hashes", "merges":
		default:
			err = deny(access.Construct, "a definition")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
