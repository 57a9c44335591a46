package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// storedKey is an expression and the relation whose columns it names.
type storedKey struct {
	relation catalog.OID
	// base is what a domain is over, 0 for the expressions of a relation.
	base catalog.OID
	text string
}

// judgeStored judges an expression of the catalog, as pg_get_expr prints it under an
// empty search_path: built-in functions, operators and types over constants and the
// relation's columns, nothing else. rel is nil for an expression without names.
func (a *analyzer) judgeStored(text string, rel *catalog.Relation) error {
	key := storedKey{text: text}
	var columns []column
	if rel != nil {
		key.relation = rel.OID
		for _, c := range rel.Columns {
			columns = append(columns, column{name: c.Name, typ: c.Type})
		}
	}
	return a.judgeStoredOnce(key, columns)
}

// judgeCheck judges a check of a domain, whose only name is VALUE.
func (a *analyzer) judgeCheck(text string, base catalog.OID) error {
	return a.judgeStoredOnce(storedKey{text: text, base: base}, []column{{name: "value", typ: base}})
}

func (a *analyzer) judgeStoredOnce(key storedKey, columns []column) error {
	if err, ok := a.stored[key]; ok {
		return err
	}
	err := a.storedExpression(key.text, columns)
	a.stored[key] = err
	return err
}

func (a *analyzer) storedExpression(text string, columns []column) error {
	opaque := deny(access.OpaqueCode, "an expression of the catalog")
	seen, err := precheck([]byte("SELECT ("+text+")"), a.limits)
	if err != nil {
		return opaque
	}
	tree, err := parse(seen.parseText, seen.parseText, a.version/10000)
	if err != nil || len(tree.Stmts) != 1 {
		return opaque
	}
	query := tree.Stmts[0].Stmt.GetSelectStmt()
	if query == nil || len(query.TargetList) != 1 || len(query.FromClause) > 0 || query.WhereClause != nil ||
		query.WithClause != nil || query.Op != pg_query.SetOperation_SETOP_NONE || query.IntoClause != nil {
		return opaque
	}
	if a.storedNode(query.TargetList[0].GetResTarget().GetVal(), columns) != nil {
		return opaque
	}
	return nil
}

// storedNode judges a parsed expression of the catalog: it may run nothing that asks
// for a right.
func (a *analyzer) storedNode(node *pg_query.Node, columns []column) error {
	inner := a.storedAnalyzer()
	if err := inner.checkShape(node.ProtoReflect()); err != nil {
		return err
	}
	it := &item{lateralOK: true, columnsVisible: true, entry: &rangeEntry{}, columns: columns}
	if err := inner.only(&scope{namespace: []*item{it}}, node); err != nil {
		return err
	}
	if len(inner.current.entries) > 0 {
		return deny(access.OpaqueCode, "an expression of the catalog that needs a right")
	}
	return nil
}

// storedAnalyzer is an analyzer for the catalog's own texts: pg_catalog alone on
// the path, no parameters, and accesses that go nowhere.
func (a *analyzer) storedAnalyzer() *analyzer {
	inner := *a
	inner.in = Input{}
	inner.catalogText = true
	inner.path = searchPath{schemaCatalog}
	inner.current = &recorder{stored: true}
	inner.sublinkNames, inner.deduced = nil, nil
	return &inner
}

// judgeIndexExpression judges a text that may be an exclusion operator instead of an
// expression: "&&", or as regoperator prints it, "&&(tsrange,tsrange)", where an
// operator without a schema is one of pg_catalog.
func (a *analyzer) judgeIndexExpression(text string, rel *catalog.Relation) error {
	name, operands, _ := strings.Cut(text, "(")
	isOperator := name != "" && strings.Trim(name, "~!@#^&|`?+-*/%<>=") == ""
	if !isOperator || operands != "" && strings.IndexByte(operands, ')') != len(operands)-1 {
		return a.judgeStored(text, rel)
	}
	candidates := a.snap.OperatorsNamed(name)
	if err := a.spend(len(candidates)); err != nil {
		return err
	}
	found := false
	for _, o := range candidates {
		if o.Schema != schemaCatalog {
			continue
		}
		if o.OID >= catalog.FirstNormalOID {
			return deny(access.OpaqueCode, "operator "+name)
		}
		found = true
	}
	if !found {
		return deny(access.OpaqueCode, "operator "+name)
	}
	return nil
}

// judgePartitionKey judges pg_get_partkeydef's text: columns and expressions with
// built-in operator classes and collations.
func (a *analyzer) judgePartitionKey(text string, rel *catalog.Relation) error {
	opaque := deny(access.OpaqueCode, "a partition key")
	seen, err := precheck([]byte("CREATE TABLE t (c int) PARTITION BY "+text), a.limits)
	if err != nil {
		return opaque
	}
	tree, err := parse(seen.parseText, seen.parseText, a.version/10000)
	if err != nil || len(tree.Stmts) != 1 {
		return opaque
	}
	spec := tree.Stmts[0].Stmt.GetCreateStmt().GetPartspec()
	if spec == nil {
		return opaque
	}
	columns := make([]column, 0, len(rel.Columns))
	for _, c := range rel.Columns {
		columns = append(columns, column{name: c.Name, typ: c.Type})
	}
	for _, node := range spec.PartParams {
		element := node.GetPartitionElem()
		if element == nil {
			return opaque
		}
		// An operator class with a schema is none of pg_catalog's.
		if len(element.Opclass) > 1 {
			return opaque
		}
		if element.Expr == nil {
			continue
		}
		if err := a.storedNode(element.Expr, columns); err != nil {
			return opaque
		}
	}
	return nil
}
