package analyze

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// storedKey is an expression of the catalog, the relation or domain whose names it
// uses, and the path in force while it runs.
type storedKey struct {
	relation, base catalog.OID
	session, text  string
	// references are what it was resolved to.
	references string
	// planning says that it is folded, not run.
	planning bool
	// to is the type of the column that takes its value, else 0.
	to catalog.OID
}

// stored binds an expression of a relation, as pg_get_expr prints it under an empty
// search_path; the relation's columns are in view.
func (a *analyzer) stored(e catalog.Expression, rel *catalog.Relation) *code {
	return a.boundText(storedKey{relation: rel.OID}, e, storedColumns(rel), origin{owner: rel.OID})
}

// storedOf is stored for one of several expressions that a row of the catalog has: of
// all expressions, the others that refer to the same are of that row.
func (a *analyzer) storedOf(e catalog.Expression, all []catalog.Expression, rel *catalog.Relation, planning bool) *code {
	columns := storedColumns(rel)
	from := origin{owner: rel.OID, relationless: true}
	from.others = func(h *held) error {
		for _, other := range all {
			if other.Text == e.Text || referenceKey(other.References) != referenceKey(e.References) {
				continue
			}
			if _, err := a.storedText(other.Text, columns, planning, origin{shared: h, owner: rel.OID}); err != nil {
				return err
			}
		}
		return nil
	}
	return a.boundText(storedKey{relation: rel.OID, planning: planning}, e, columns, from)
}

// generated binds the expression of a generated column.
func (a *analyzer) generated(c *catalog.Column, rel *catalog.Relation) *code {
	return a.boundText(storedKey{relation: rel.OID}, columnText(c), storedColumns(rel), origin{owner: rel.OID, to: c.Type})
}

// planned binds an expression that a plan is made with: calls whose arguments are
// columns do not run, unless a body is put in their place.
func (a *analyzer) planned(e catalog.Expression, rel *catalog.Relation) *code {
	return a.boundText(storedKey{relation: rel.OID, planning: true}, e, storedColumns(rel), origin{owner: rel.OID})
}

// storedDefault binds the default of a column of a relation, which has no names in view.
func (a *analyzer) storedDefault(c *catalog.Column, rel *catalog.Relation) *code {
	return a.boundText(storedKey{}, columnText(c), nil, origin{owner: rel.OID, to: c.Type})
}

// typeDefault binds the default of a domain, whose row depends on what the type is made
// of as well.
func (a *analyzer) typeDefault(t *catalog.Type) *code {
	return a.boundText(storedKey{}, catalog.Expression{Text: t.Default, References: t.References}, nil,
		origin{besides: append([]catalog.OID{t.Input, t.Output}, t.Support...)})
}

// columnText is the default or generation expression of a column.
func columnText(c *catalog.Column) catalog.Expression {
	return catalog.Expression{Text: c.Default, References: c.References}
}

// judgeCheck judges a check of a domain, whose only name is VALUE. What it asks for
// is asked for where the value is made.
func (a *analyzer) judgeCheck(e catalog.Expression, base catalog.OID) error {
	c := a.boundText(storedKey{base: base}, e, []column{{name: "value", typ: base}}, origin{})
	if c.err == nil {
		a.current.absorb(c.accesses, nil, false)
	}
	return c.err
}

// storedColumns are a relation's columns as an expression of its own names them:
// reading them there asks for nothing.
func storedColumns(rel *catalog.Relation) []column {
	columns := make([]column, 0, len(rel.Columns))
	for _, c := range rel.Columns {
		columns = append(columns, column{name: c.Name, typ: c.Type})
	}
	return columns
}

// boundText binds an expression once in a unit.
func (a *analyzer) boundText(key storedKey, e catalog.Expression, columns []column, from origin) *code {
	key.session, key.text, key.references = strings.Join(a.session, "\x00"), e.Text, referenceKey(e.References)
	key.to = from.to
	if known := a.expressions[key]; known != nil {
		return known
	}
	// An expression that runs itself cannot be, but a snapshot is data.
	a.expressions[key] = &code{err: deny(access.OpaqueCode, "an expression of the catalog that runs itself")}
	from.refs = e.References
	c := &code{}
	from.columns, from.computed = &c.columns, &c.computed
	c.accesses, c.err = a.storedText(e.Text, columns, key.planning, from)
	a.expressions[key] = c
	return c
}

// columnsNamed are the columns that an expression of a table names, nil where it names
// something else besides: a whole row.
func columnsNamed(message protoreflect.Message) columnSet {
	set, plain := columnSet{}, true
	var visit func(protoreflect.Message)
	visit = func(m protoreflect.Message) {
		if ref, ok := m.Interface().(*pg_query.ColumnRef); ok && len(ref.Fields) > 0 {
			name, ok := stringNode(ref.Fields[len(ref.Fields)-1])
			plain = plain && ok && len(ref.Fields) == 1
			set[name] = true
			return
		}
		m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case field.Message() == nil:
			case field.IsList():
				for i := range v.List().Len() {
					visit(v.List().Get(i).Message())
				}
			default:
				visit(v.Message())
			}
			return true
		})
	}
	visit(message)
	if !plain {
		return nil
	}
	return set
}

// referenceKey tells records apart.
func referenceKey(refs catalog.References) string {
	if !refs.Recorded {
		return ""
	}
	return fmt.Sprint(refs)
}

// storedText binds the text of an expression.
func (a *analyzer) storedText(text string, columns []column, planning bool, from origin) (*recorder, error) {
	return a.catalogued("SELECT ("+text+")", inside{path: a.storedPath(), stored: true, origin: from},
		func(inner *analyzer, tree *pg_query.ParseResult) error {
			node := onlyExpression(tree)
			if node == nil {
				return deny(access.OpaqueCode, "an expression of the catalog")
			}
			if from.columns != nil {
				*from.columns = columnsNamed(node.ProtoReflect())
			}
			if from.computed != nil {
				*from.computed = planning && constantNode(node.ProtoReflect(), a.callsUsers)
			}
			v, err := inner.expression(columns, node, planning)
			if err == nil && from.to != 0 {
				_, err = inner.coerce(v, from.to, resolve.Assignment, nil)
			}
			return err
		})
}

// expression binds a parsed expression of the catalog over columns.
func (a *analyzer) expression(columns []column, node *pg_query.Node, planning bool) (value, error) {
	if err := a.checkShape(node.ProtoReflect()); err != nil {
		return value{}, err
	}
	a.catalogText = true
	a.predicate = planning
	a.planning = planning && !a.constantCall(node.ProtoReflect())
	it := &item{lateralOK: true, columnsVisible: true, triggered: true, entry: &rangeEntry{}, columns: columns}
	return a.bind(&scope{namespace: []*item{it}}, node)
}

// onlyExpression is the expression of SELECT (…), nil if there is more.
func onlyExpression(tree *pg_query.ParseResult) *pg_query.Node {
	if len(tree.Stmts) != 1 {
		return nil
	}
	query := tree.Stmts[0].Stmt.GetSelectStmt()
	if query == nil || len(query.TargetList) != 1 || len(query.FromClause) > 0 || query.WhereClause != nil ||
		query.WithClause != nil || query.Op != pg_query.SetOperation_SETOP_NONE || query.IntoClause != nil {
		return nil
	}
	return query.TargetList[0].GetResTarget().GetVal()
}

// constantCall reports whether a call, operator or cast of users' making has no column
// among its operands, so that planning computes it.
func (a *analyzer) constantCall(message protoreflect.Message) bool {
	return constantNode(message, func(m protoreflect.Message) bool { return ofUsers(m) || a.callsUsers(m) })
}

// constantNode reports whether a node that is looked for has no column below it.
func constantNode(message protoreflect.Message, wanted func(protoreflect.Message) bool) bool {
	found := false
	var visit func(protoreflect.Message) bool
	visit = func(m protoreflect.Message) (columns bool) {
		columns = m.Descriptor().Name() == "ColumnRef"
		m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case field.Message() == nil:
			case field.IsList():
				for i := range v.List().Len() {
					columns = visit(v.List().Get(i).Message()) || columns
				}
			default:
				columns = visit(v.Message()) || columns
			}
			return true
		})
		found = found || !columns && wanted(m)
		return columns
	}
	visit(message)
	return found
}

// ofUsers reports whether a node calls a function or operator, or makes a value of a
// type, that the catalog's texts print with a schema: those that are not built in.
func ofUsers(m protoreflect.Message) bool {
	var names []*pg_query.Node
	switch n := m.Interface().(type) {
	case *pg_query.FuncCall:
		names = n.Funcname
	case *pg_query.A_Expr:
		names = n.Name
	case *pg_query.TypeCast:
		names = n.TypeName.GetNames()
	}
	return len(names) > 1 && names[0].GetString_().GetSval() != schemaCatalog
}

// callsUsers is ofUsers for what calls a function: casts to enumerations and their like
// call none that needs execute.
func (a *analyzer) callsUsers(m protoreflect.Message) bool {
	cast, ok := m.Interface().(*pg_query.TypeCast)
	if !ok {
		return ofUsers(m) || comparesSilently(m)
	}
	schema, name := schemaCatalog, ""
	switch names := cast.TypeName.GetNames(); len(names) {
	case 1:
		name = names[0].GetString_().GetSval()
	case 2:
		schema, name = names[0].GetString_().GetSval(), names[1].GetString_().GetSval()
	}
	t := a.snap.TypeByName(schema, name)
	if t == nil {
		return false
	}
	meets := func(oid catalog.OID) bool {
		base := a.names().Base(oid)
		return base == a.names().Base(t.OID) || t.Element != 0 && base == a.names().Base(t.Element)
	}
	// A literal is no call by itself, but implicit casts of it are not in the text.
	literal := cast.Arg.GetAConst().GetSval() != nil
	return slices.ContainsFunc(a.snap.UserCasts(), func(c *catalog.Cast) bool {
		return c.Function != 0 && (!literal && meets(c.Target) || c.Context == 'i' && meets(c.Source))
	})
}

// comparesSilently reports whether a node compares by operators whose names the catalog's
// texts do not print (get_rule_expr of ruleutils.c), so that they may be users'.
func comparesSilently(m protoreflect.Message) bool {
	switch n := m.Interface().(type) {
	case *pg_query.A_Expr:
		return n.Kind == pg_query.A_Expr_Kind_AEXPR_DISTINCT || n.Kind == pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT ||
			n.Kind == pg_query.A_Expr_Kind_AEXPR_NULLIF || n.Lexpr.GetRowExpr() != nil
	case *pg_query.CaseExpr:
		return n.Arg != nil
	case *pg_query.MinMaxExpr:
		return true
	}
	return false
}

// storedKeyOf binds the expressions of pg_get_partkeydef's text. Its operator classes
// are among the relation's foreign ones.
func (a *analyzer) storedKeyOf(rel *catalog.Relation, planning bool) []*code {
	if rel.PartitionKey.Text == "" {
		return nil
	}
	key := storedKey{relation: rel.OID, session: strings.Join(a.session, "\x00"), text: "PARTITION BY " + rel.PartitionKey.Text, planning: planning}
	if known := a.expressions[key]; known != nil {
		return []*code{known}
	}
	c := &code{}
	c.accesses, c.err = a.catalogued("CREATE TABLE t (c int) PARTITION BY "+rel.PartitionKey.Text, inside{path: a.storedPath(), stored: true, part: true,
		origin: origin{refs: rel.PartitionKey.References, owner: rel.OID, relationless: true}},
		func(inner *analyzer, tree *pg_query.ParseResult) error {
			if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetCreateStmt().GetPartspec() == nil {
				return deny(access.OpaqueCode, "a partition key")
			}
			for _, node := range tree.Stmts[0].Stmt.GetCreateStmt().GetPartspec().PartParams {
				element := node.GetPartitionElem()
				if element == nil {
					return deny(access.OpaqueCode, "a partition key")
				}
				if element.Expr == nil {
					continue
				}
				c.computed = c.computed || planning && constantNode(element.Expr.ProtoReflect(), a.callsUsers)
				if _, err := inner.expression(storedColumns(rel), element.Expr, planning); err != nil {
					return err
				}
			}
			return nil
		})
	a.expressions[key] = c
	return []*code{c}
}
