package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// rangeFunction binds functions in FROM (transformRangeFunction).
func (a *analyzer) rangeFunction(s *scope, rf *pg_query.RangeFunction) (*item, error) {
	outer := s.lateral
	// A function in FROM may refer to its neighbours with or without LATERAL.
	s.lateral = true
	defer func() { s.lateral = outer }()
	var calls []*pg_query.Node
	var definitions [][]*pg_query.Node
	for _, node := range rf.Functions {
		pair := node.GetList().GetItems()
		if len(pair) == 0 || pair[0].GetNode() == nil {
			return nil, deny(access.Construct, "a FROM item that is no function call")
		}
		var columns []*pg_query.Node
		if len(pair) > 1 {
			columns = pair[1].GetList().GetItems()
		}
		if f := pair[0].GetFuncCall(); f != nil && isPlainUnnest(f) && len(columns) == 0 {
			// unnest(a, b) in FROM is ROWS FROM (unnest(a), unnest(b)).
			name := []*pg_query.Node{stringOf(schemaCatalog), stringOf("unnest")}
			for _, arg := range f.Args {
				calls = append(calls, &pg_query.Node{Node: &pg_query.Node_FuncCall{FuncCall: &pg_query.FuncCall{
					Funcname: name, Args: []*pg_query.Node{arg}, Location: f.Location}}})
				definitions = append(definitions, nil)
			}
			continue
		}
		calls, definitions = append(calls, pair[0]), append(definitions, columns)
	}
	if len(rf.Coldeflist) > 0 {
		if len(calls) != 1 || len(definitions[0]) > 0 {
			return nil, deny(access.Construct, "a column definition list")
		}
		definitions[0] = rf.Coldeflist
	}
	return a.functionItem(s, rf, calls, definitions)
}

// isPlainUnnest recognises the call that FROM takes apart.
func isPlainUnnest(f *pg_query.FuncCall) bool {
	names, ok := stringNodes(f.Funcname)
	return ok && len(names) == 1 && names[0] == "unnest" && len(f.Args) > 1 && len(f.AggOrder) == 0 && f.AggFilter == nil &&
		f.Over == nil && !f.AggStar && !f.AggDistinct && !f.FuncVariadic && !f.AggWithinGroup
}

func stringOf(text string) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_String_{String_: &pg_query.String{Sval: text}}}
}

// functionItem makes the item of functions in FROM (addRangeTableEntryForFunction).
func (a *analyzer) functionItem(s *scope, rf *pg_query.RangeFunction, calls []*pg_query.Node, definitions [][]*pg_query.Node) (*item, error) {
	var columns []output
	entry := &rangeEntry{}
	single := len(calls) == 1 && !rf.Ordinality
	scalar, rowType := false, catalog.OID(0)
	for i, node := range calls {
		v, found, err := a.callInFrom(s, node)
		if err != nil {
			return nil, err
		}
		name, _ := a.figureName(node)
		if i == 0 {
			entry.name = name
		}
		var own []output
		switch {
		case len(definitions[i]) > 0:
			own, err = a.definedColumns(definitions[i])
		case a.isRow(v.typ):
			if own = a.fieldsOf(v); own == nil {
				err = hideColumn(stateSyntax, "a column definition list is required for functions returning \"record\"", errorPosition(a.text, v.location))
			}
			if single {
				rowType = v.typ
			}
		default:
			own, scalar = []output{{name: scalarName(rf, found, name, len(calls)), typ: v.typ, location: -1}}, single
		}
		if err != nil {
			return nil, err
		}
		columns = append(columns, own...)
	}
	if rf.Ordinality {
		columns = append(columns, output{name: "ordinality", typ: resolve.Int8, location: -1})
	}
	it, err := a.computedItem(entry, columns, rf.Alias)
	if err != nil {
		return nil, err
	}
	it.scalar, it.rowType = scalar, rowType
	return it, nil
}

// scalarName is chooseScalarFunctionAlias.
func scalarName(rf *pg_query.RangeFunction, found resolve.Found, name string, functions int) string {
	switch {
	case found.ResultName != "":
		return found.ResultName
	case functions == 1 && rf.Alias != nil:
		return rf.Alias.Aliasname
	}
	return name
}

// callInFrom binds a function in FROM. What is no call by name (COALESCE, CURRENT_DATE)
// is an expression like any other.
func (a *analyzer) callInFrom(s *scope, node *pg_query.Node) (value, resolve.Found, error) {
	if f := node.GetFuncCall(); f != nil {
		v, found, err := a.resolveCall(s, f)
		if err == nil {
			err = a.holds(v.typ)
		}
		return v, found, err
	}
	v, err := a.bind(s, node)
	return v, resolve.Found{}, err
}

// definedColumns reads a column definition list: names with types. The function makes
// values of these types out of what it finds.
func (a *analyzer) definedColumns(nodes []*pg_query.Node) ([]output, error) {
	var columns []output
	for _, node := range nodes {
		def := node.GetColumnDef()
		if def == nil {
			return nil, deny(access.Construct, "a column definition list")
		}
		typ, err := a.typeName(def.TypeName)
		if err != nil {
			return nil, err
		}
		if err := a.readText(value{}, typ); err != nil {
			return nil, err
		}
		a.dependsOn(typ)
		if def.CollClause != nil {
			if err := a.collation(def.CollClause.Collname); err != nil {
				return nil, err
			}
		}
		columns = append(columns, output{name: def.Colname, typ: typ, location: -1})
	}
	return columns, nil
}
