package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// relatedOperators are the operators that a definition relates its own to. The planner
// puts them in its place, and its own in theirs.
type relatedOperators struct{ commutator, negator *pg_query.Node }

// createOperator judges CREATE OPERATOR (DefineOperator of operatorcmds.c,
// OperatorCreate of pg_operator.c).
func (a *analyzer) createOperator(list []*pg_query.Node) error {
	var left, right catalog.OID
	var function *pg_query.Node
	var related relatedOperators
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
		case "commutator":
			related.commutator = option.Arg
		case "negator":
			related.negator = option.Arg
		case "hashes", "merges":
		default:
			err = a.ignored()
		}
		if err != nil {
			return err
		}
	}
	if right == 0 || function == nil {
		// The server refuses it, whatever else it names.
		return nil
	}
	types := []catalog.OID{left, right}
	if left == 0 {
		types = types[1:]
	}
	f, err := a.attached(function, types...)
	if err != nil {
		return err
	}
	a.usesType(f.Result)
	return a.relates(related, left, right)
}

// relates judges the commutator, which takes the types the other way round, and the
// negator. Each of them is changed (OperatorUpd), which only its owner may, or made as a
// shell where there is none (get_other_operator).
func (a *analyzer) relates(r relatedOperators, left, right catalog.OID) error {
	for _, other := range []struct {
		node        *pg_query.Node
		left, right catalog.OID
	}{{r.commutator, right, left}, {r.negator, left, right}} {
		if other.node == nil {
			continue
		}
		if err := a.changesOperator(definedNames(other.node), other.left, other.right); err != nil {
			return err
		}
	}
	return nil
}

// changesOperator asks for ddl on the schema of an operator, or on the one in which it
// would be made. Those of pg_catalog are nobody's.
func (a *analyzer) changesOperator(nodes []*pg_query.Node, left, right catalog.OID) error {
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	if err := a.spend(len(a.snap.OperatorsNamed(name))); err != nil {
		return err
	}
	if schema == "" {
		if found := a.names().ExactOperator("", name, left, right); found != nil {
			return a.ddlIn(found.Schema)
		}
	}
	schema, err = a.newObject(schema, false)
	if err == nil && schema == schemaTemp {
		err = deny(access.Construct, "a temporary object that is no relation")
	}
	return err
}

// namedOperator finds the operator of a name that takes exactly these types
// (LookupOperName). Its function runs by itself in what is defined with it: of users'
// operators it is one that may be executed.
func (a *analyzer) namedOperator(nodes []*pg_query.Node, left, right catalog.OID) error {
	schema, name, err := qualified(nodes)
	if err != nil {
		return err
	}
	if err := a.spend(len(a.snap.OperatorsNamed(name))); err != nil {
		return err
	}
	found := a.names().ExactOperator(schema, name, left, right)
	if found == nil || ownTemporary(found.Schema) {
		return deny(access.UnknownObject, "operator "+name)
	}
	return a.attachesOperator(found)
}

// attachesOperator asks for execute on the function of an operator of users.
func (a *analyzer) attachesOperator(o *catalog.Operator) error {
	if o.OID < catalog.FirstNormalOID {
		return nil
	}
	a.named(o.Schema)
	f := a.snap.FunctionByOID(o.Function)
	if f == nil {
		return deny(access.OpaqueCode, "operator "+o.Name+" of schema "+o.Schema)
	}
	return a.attachesCode(f)
}

// estimator judges a function that estimates what an operator selects. Only superusers
// attach what did not come with the server (ValidateRestrictionEstimator,
// ValidateJoinEstimator).
func (a *analyzer) estimator(option *pg_query.DefElem) error {
	types := [][]catalog.OID{{typeInternal, typeOID, typeInternal, resolve.Int4}}
	if option.Defname == "join" {
		types = [][]catalog.OID{{typeInternal, typeOID, typeInternal, typeInt2, typeInternal}, {typeInternal, typeOID, typeInternal, typeInt2}}
	}
	f, err := a.attachedAs(option.Arg, types...)
	if err == nil && f.OID >= catalog.FirstNormalOID {
		a.ask(access.Admin, a.database())
	}
	return err
}

// alterOperator judges ALTER OPERATOR, which changes what the planner runs. NONE takes
// an estimator away.
func (a *analyzer) alterOperator(o *pg_query.AlterOperatorStmt) error {
	object := &pg_query.Node{Node: &pg_query.Node_ObjectWithArgs{ObjectWithArgs: o.Opername}}
	if _, err := a.changes(pg_query.ObjectType_OBJECT_OPERATOR, object, nil, false); err != nil {
		return err
	}
	left, right, err := a.operandTypes(o.Opername)
	if err != nil {
		return err
	}
	var related relatedOperators
	for _, node := range o.Options {
		option := node.GetDefElem()
		var err error
		switch option.GetDefname() {
		case "restrict", "join":
			if option.Arg != nil {
				err = a.estimator(option)
			}
		case "commutator":
			related.commutator = option.Arg
		case "negator":
			related.negator = option.Arg
		case "hashes", "merges":
		default:
			err = deny(access.Construct, "a definition")
		}
		if err != nil {
			return err
		}
	}
	return a.relates(related, left, right)
}

// operandTypes are those by which an operator is named, 0 for NONE.
func (a *analyzer) operandTypes(o *pg_query.ObjectWithArgs) (left, right catalog.OID, err error) {
	args := o.GetObjargs()
	if len(args) != 2 {
		return 0, 0, deny(access.Construct, "an operator's arguments")
	}
	types := [2]catalog.OID{}
	for i, node := range args {
		if node.GetTypeName() == nil {
			continue
		}
		if types[i], _, err = a.argumentType(node.GetTypeName()); err != nil {
			return 0, 0, err
		}
	}
	return types[0], types[1], nil
}
