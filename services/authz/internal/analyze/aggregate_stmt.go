package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// aggregateShape is what the functions of an aggregate are looked up by.
type aggregateShape struct {
	// arguments are those of the aggregate, direct ones first; direct counts these, and
	// ordered says that there is an ORDER BY.
	arguments []catalog.OID
	direct    int
	ordered   bool
	functions map[string]*pg_query.Node
	extra     map[string]bool
}

// createAggregate judges CREATE AGGREGATE (DefineAggregate of aggregatecmds.c,
// AggregateCreate of pg_aggregate.c).
func (a *analyzer) createAggregate(d *pg_query.DefineStmt) error {
	shape := aggregateShape{functions: map[string]*pg_query.Node{}, extra: map[string]bool{}}
	if err := a.aggregateArguments(&shape, d.Args); err != nil {
		return err
	}
	var state, moving catalog.OID
	var sortop *pg_query.Node
	for _, node := range d.Definition {
		option := node.GetDefElem()
		var err error
		switch name := option.GetDefname(); name {
		case "sfunc1":
			shape.functions["sfunc"] = option.Arg
		case "sfunc", "finalfunc", "combinefunc", "serialfunc", "deserialfunc", "msfunc", "minvfunc", "mfinalfunc":
			shape.functions[name] = option.Arg
		case "stype", "stype1":
			state, err = a.definedBy(option.Arg)
		case "mstype":
			moving, err = a.definedBy(option.Arg)
		case "basetype":
			if word, ok := stringNode(option.Arg); ok && lowerASCII(word) == "any" {
				shape.arguments = nil
				continue
			}
			shape.arguments = make([]catalog.OID, 1)
			shape.arguments[0], err = a.definedBy(option.Arg)
		case "finalfunc_extra", "mfinalfunc_extra":
			shape.extra[name], err = definedBoolean(option.Arg)
		case "sortop":
			sortop = option.Arg
		case "sspace", "initcond", "initcond1", "msspace", "minitcond", "finalfunc_modify", "mfinalfunc_modify", "parallel", "hypothetical":
		default:
			err = a.ignored()
		}
		if err != nil {
			return err
		}
	}
	if state == 0 || shape.functions["sfunc"] == nil {
		// The server refuses it, whatever else it names.
		return nil
	}
	if sortop != nil {
		if len(shape.arguments) != 1 {
			return deny(access.Construct, "a sort operator of an aggregate of several arguments")
		}
		if err := a.namedOperator(definedNames(sortop), shape.arguments[0], shape.arguments[0]); err != nil {
			return err
		}
	}
	return a.aggregateFunctions(&shape, state, moving)
}

// aggregateArguments judges the types of an aggregate's arguments: a list of parameters
// and the number of direct ones, -1 without ORDER BY.
func (a *analyzer) aggregateArguments(shape *aggregateShape, args []*pg_query.Node) error {
	for _, node := range args {
		if n := node.GetInteger(); n != nil {
			shape.ordered = n.Ival >= 0
			shape.direct = max(int(n.Ival), 0)
		}
		for _, item := range node.GetList().GetItems() {
			p := item.GetFunctionParameter()
			if p == nil {
				return deny(access.Construct, "an aggregate's argument")
			}
			oid, _, err := a.signatureType(p.ArgType)
			if err != nil {
				return err
			}
			shape.arguments = append(shape.arguments, oid)
		}
	}
	if shape.direct > len(shape.arguments) {
		return deny(access.Construct, "an aggregate's direct arguments")
	}
	return nil
}

// aggregateFunctions looks up what an aggregate is made of.
func (a *analyzer) aggregateFunctions(shape *aggregateShape, state, moving catalog.OID) error {
	for _, part := range []struct {
		name  string
		types []catalog.OID
	}{
		{"sfunc", shape.transition(state)},
		{"combinefunc", []catalog.OID{state, state}},
		{"serialfunc", []catalog.OID{typeInternal}},
		{"deserialfunc", []catalog.OID{typeBytea, typeInternal}},
		{"msfunc", shape.transition(moving)},
		{"minvfunc", shape.transition(moving)},
		{"finalfunc", shape.final(state, shape.extra["finalfunc_extra"])},
		{"mfinalfunc", shape.final(moving, shape.extra["mfinalfunc_extra"])},
	} {
		arg := shape.functions[part.name]
		if arg == nil {
			continue
		}
		results, err := a.attachedCoercible(arg, part.types...)
		if err != nil {
			return err
		}
		for _, result := range results {
			a.usesType(result)
		}
	}
	return nil
}

// transition is what a transition function takes: the state and what is aggregated. One
// VARIADIC parameter may be the last of both lists.
func (s *aggregateShape) transition(state catalog.OID) []catalog.OID {
	from := s.direct
	if s.ordered && from == len(s.arguments) && from > 0 {
		from--
	}
	return append([]catalog.OID{state}, s.arguments[from:]...)
}

// final is what a final function takes: the state and the direct arguments, or all.
func (s *aggregateShape) final(state catalog.OID, extra bool) []catalog.OID {
	n := s.direct
	if extra {
		n = len(s.arguments)
	}
	return append([]catalog.OID{state}, s.arguments[:n]...)
}

// definedBoolean is defGetBoolean of define.c.
func definedBoolean(arg *pg_query.Node) (bool, error) {
	if arg == nil {
		return true, nil
	}
	if n := arg.GetInteger(); n != nil && (n.Ival == 0 || n.Ival == 1) {
		return n.Ival == 1, nil
	}
	names := definedNames(arg)
	if len(names) == 1 {
		word, _ := stringNode(names[0])
		switch lowerASCII(word) {
		case "true", "on":
			return true, nil
		case "false", "off":
			return false, nil
		}
	}
	return false, deny(access.Construct, "a definition")
}
