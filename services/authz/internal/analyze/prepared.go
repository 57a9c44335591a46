package analyze

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// prepareStmt judges PREPARE by the statement it prepares: PostgreSQL binds it at
// once, and tells what it cannot find.
func prepareStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	p := node.GetPrepareStmt()
	if err := preparable(p.Query); err != nil {
		return access.Statement{}, err
	}
	types, err := a.parameterTypes(p)
	if err != nil {
		return access.Statement{}, err
	}
	types, err = a.parameterised(types, func(inner *analyzer) error {
		_, _, err := inner.subquery(nil, p.Query, nil)
		return err
	})
	// The types stay what they were found to be here (RevalidateCachedQuery).
	effect := access.Effect{Kind: access.EffectPrepare, Name: p.Name, Value: a.remembered(types), Query: a.queryBehind("AS", types)}
	return access.Statement{Kind: "prepare", Effects: []access.Effect{effect}}, err
}

// preparable lists what PREPARE takes (PreparableStmt of gram.y).
func preparable(query *pg_query.Node) error {
	switch query.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt, *pg_query.Node_MergeStmt:
		return nil
	default:
		return deny(access.StatementKind, "prepare "+nodeWords(query))
	}
}

// parameterTypes resolves the types that PREPARE gives its parameters.
func (a *analyzer) parameterTypes(p *pg_query.PrepareStmt) ([]catalog.OID, error) {
	var types []catalog.OID
	for _, node := range p.Argtypes {
		oid, err := a.typeName(node.GetTypeName())
		if err != nil {
			return nil, err
		}
		if oid == 0 {
			return nil, deny(access.Construct, "a parameter's type")
		}
		types = append(types, oid)
	}
	return types, nil
}

// parameterised binds something that may have parameters of its own, whatever those of
// the message are, and returns their types.
func (a *analyzer) parameterised(types []catalog.OID, bind func(*analyzer) error) ([]catalog.OID, error) {
	inner := *a
	inner.in.Parse, inner.in.ParameterTypes, inner.in.SettledTypes, inner.deduced = true, types, nil, nil
	err := bind(&inner)
	a.work = inner.work
	return inner.deduction().types, err
}

func executeStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	_, err := a.execute(nil, node.GetExecuteStmt())
	return access.Statement{Kind: "execute"}, err
}

// execute judges EXECUTE by the text behind the name: types as PREPARE found them,
// everything else under the present context, as RevalidateCachedQuery binds it
// (plancache.c). The parameters stand for themselves.
func (a *analyzer) execute(s *scope, e *pg_query.ExecuteStmt) ([]output, error) {
	types, columns, err := a.statementNamed(e.Name)
	if err != nil {
		return nil, err
	}
	if len(e.Params) != len(types) {
		v := hideColumn(stateSyntax, fmt.Sprintf("wrong number of parameters for prepared statement \"%s\"", e.Name), 0)
		v.err.Detail = fmt.Sprintf("Expected %d parameters but got %d.", len(types), len(e.Params))
		return nil, v
	}
	for i, node := range e.Params {
		v, err := a.bind(&scope{parent: s}, node)
		if err != nil {
			return nil, err
		}
		// EvaluateParams coerces by assignment.
		_, err = a.coerce(v, types[i], resolve.Assignment, func(*resolve.Error) error {
			return hideColumn(stateDatatypeMismatch, fmt.Sprintf("parameter $%d of type %s cannot be coerced to the expected type %s",
				i+1, a.names().Name(v.typ), a.names().Name(types[i])), errorPosition(a.text, v.location)).hint(hintRewrite)
		})
		if err != nil {
			return nil, err
		}
	}
	return columns, nil
}

// statementNamed binds what a name stands for, of SQL or of the protocol.
func (a *analyzer) statementNamed(name string) ([]catalog.OID, []output, error) {
	if text, ok := a.in.Context.PreparedStatements[name]; ok {
		return a.bindBehind(text, name)
	}
	p, ok := a.standsFor(access.Name{Name: name})
	if !ok {
		return nil, nil, hide("26000", fmt.Sprintf("prepared statement \"%s\" does not exist", name), 0)
	}
	query, err := a.lone(p.Text)
	if err != nil {
		return nil, nil, err
	}
	return a.bindQuery(p.Text, query, p.ParameterTypes)
}

// bindBehind binds the query of the prepared statement of a name, and returns the types
// of its parameters and its columns.
func (a *analyzer) bindBehind(text, name string) ([]catalog.OID, []output, error) {
	b, err := a.behind(text)
	if err != nil {
		return nil, nil, err
	}
	p := b.node.GetPrepareStmt()
	if p == nil || p.Name != name {
		return nil, nil, deny(access.Context, "a prepared statement whose text is another's")
	}
	types := b.types
	if types == nil && len(p.Argtypes) > 0 {
		if !b.pathKnown {
			return nil, nil, deny(access.Context, "a prepared statement whose types depend on an unknown path")
		}
		err = a.inText(text, b.path, nil, func(inner *analyzer) error {
			types, err = inner.parameterTypes(p)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return a.bindQuery(text, p.Query, types)
}

// bindQuery binds a query of a text that was kept under the present path.
func (a *analyzer) bindQuery(text string, query *pg_query.Node, types []catalog.OID) ([]catalog.OID, []output, error) {
	var columns []output
	err := a.inText(text, a.path, types, func(inner *analyzer) error {
		if err := preparable(query); err != nil {
			return err
		}
		var err error
		_, columns, err = inner.subquery(nil, query, nil)
		types = inner.deduction().types
		return err
	})
	return types, columns, err
}

func deallocateStmt(_ *analyzer, node *pg_query.Node) (access.Statement, error) {
	effect := access.Effect{Kind: access.EffectDeallocate, Name: node.GetDeallocateStmt().Name}
	return access.Statement{Kind: "deallocate", Effects: []access.Effect{effect}}, nil
}
