package analyze

import (
	"maps"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// A definition stores what its names were resolved to. The catalog prints that with a
// schema before every name that is not one of pg_catalog (ruleutils.c), so that it means
// the same under any path. Statements after a definition are judged by such a text, too:
// while a definition is bound, what its names mean is noted, and then written into its
// tree.

// unwritten stands for a text that cannot be written with certainty. It is no SQL: what
// uses it is denied, or has to be trusted.
const unwritten = "\x01 unwritten \x01"

// writing collects what the names of a text mean that is being stored.
type writing struct {
	// rewrites put the names into the tree. They wait until all of it is bound, since what
	// is bound is told of by the names it was given.
	rewrites []func()
	// literals are the names that literals hold, by their place in the text.
	literals map[int32]string
	// stars are the targets that stars in lists stand for.
	stars map[*pg_query.Node][]*pg_query.Node
	// operators are those found by a name without a schema that is not written yet.
	operators []*catalog.Operator
	// relation is the one that a literal was found to name.
	relation *catalog.Relation
	// lost says that something was found by a name that cannot be written.
	lost bool
}

// writes is the collection of what is being stored, nil where nothing is.
func (h *held) writes() *writing {
	if h == nil {
		return nil
	}
	return h.writing
}

// storing binds what a definition stores.
func (a *analyzer) storing(bind func() error) (*held, error) {
	outer := a.held
	h := holding(catalog.References{Recorded: true})
	h.writing = &writing{literals: map[int32]string{}, stars: map[*pg_query.Node][]*pg_query.Node{}}
	a.held = h
	opaque := a.current.opaque
	err := bind()
	a.held = outer
	if !a.runsStored {
		a.current.opaque = opaque
	}
	h.finish()
	return h, err
}

// finish puts the names into the tree.
func (h *held) finish() {
	w := h.writing
	for _, rewrite := range w.rewrites {
		rewrite()
	}
	w.rewrites = nil
	w.lost = w.lost || len(w.operators) > 0
}

// record is what a text was resolved to, as the catalog has it.
func (h *held) record() catalog.References {
	list := func(found map[catalog.OID]bool) []catalog.OID {
		return slices.DeleteFunc(slices.Sorted(maps.Keys(found)), func(oid catalog.OID) bool { return oid < catalog.FirstUnpinnedOID })
	}
	return catalog.References{Recorded: true, Relations: list(h.relations), Functions: list(h.functions), Operators: list(h.operators)}
}

// writtenExpression is a bound expression as the catalog would hold it.
func (a *analyzer) writtenExpression(h *held, node *pg_query.Node) catalog.Expression {
	const prefix = "SELECT "
	query := &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: &pg_query.SelectStmt{
		TargetList:  []*pg_query.Node{{Node: &pg_query.Node_ResTarget{ResTarget: &pg_query.ResTarget{Val: node}}}},
		LimitOption: pg_query.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg_query.SetOperation_SETOP_NONE}}}
	e := a.writtenStatement(h, query)
	if e.Text != unwritten {
		e.Text = strings.TrimPrefix(e.Text, prefix)
	}
	return e
}

// writtenStatement is a bound statement as the catalog would hold it.
func (a *analyzer) writtenStatement(h *held, node *pg_query.Node) catalog.Expression {
	e := catalog.Expression{Text: unwritten, References: h.record()}
	if h.writing.lost || a.exhausted() {
		return e
	}
	h.writing.withoutStars(node)
	replaceLiterals(node.ProtoReflect(), h.writing.literals)
	text, err := pg_query.Deparse(&pg_query.ParseResult{Version: a.grammar, Stmts: []*pg_query.RawStmt{{Stmt: node}}})
	if err != nil {
		return e
	}
	a.charge(writeCost * len(text))
	again, err := pg_query.Parse(text)
	if err != nil || len(again.Stmts) != 1 || !sameTree(again.Stmts[0].Stmt, node) {
		// The printer is not PostgreSQL's own.
		return e
	}
	e.Text = text
	return e
}

// replaceLiterals puts full names in the place of literals that name something.
func replaceLiterals(m protoreflect.Message, literals map[int32]string) {
	if len(literals) == 0 {
		return
	}
	eachMessage(m, func(inner protoreflect.Message) {
		c, ok := inner.Interface().(*pg_query.A_Const)
		if !ok || c.GetSval() == nil {
			return
		}
		if text, known := literals[c.Location]; known {
			c.Val = &pg_query.A_Const_Sval{Sval: &pg_query.String{Sval: text}}
		}
	})
}

// eachMessage visits a message and all within it.
func eachMessage(m protoreflect.Message, visit func(protoreflect.Message)) {
	visit(m)
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				eachMessage(v.List().Get(i).Message(), visit)
			}
		default:
			eachMessage(v.Message(), visit)
		}
		return true
	})
}

// sameTree compares parse trees but for places in texts.
func sameTree(one, other *pg_query.Node) bool {
	placeless := func(node *pg_query.Node) proto.Message {
		copied := proto.Clone(node)
		eachMessage(copied.ProtoReflect(), func(m protoreflect.Message) {
			for _, name := range []protoreflect.Name{"location", "stmt_location", "stmt_len", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end"} {
				if field := m.Descriptor().Fields().ByName(name); field != nil {
					m.Clear(field)
				}
			}
		})
		return copied
	}
	return proto.Equal(placeless(one), placeless(other))
}

// writeRelation notes what a relation's name means.
func (h *held) writeRelation(rv *pg_query.RangeVar, rel *catalog.Relation) {
	if w := h.writes(); w != nil && rel.Schema != schemaCatalog {
		w.rewrites = append(w.rewrites, func() { rv.Catalogname, rv.Schemaname = "", shownSchema(rel.Schema) })
	}
}

// writeType notes what a type's name means.
func (h *held) writeType(t *pg_query.TypeName, found *catalog.Type) {
	if w := h.writes(); w != nil && found.Schema != schemaCatalog {
		w.rewrites = append(w.rewrites, func() { t.Names = nodesOf(shownSchema(found.Schema), found.Name) })
	}
}

// writeCall notes what a call was resolved to: a function, or a type in the notation of
// one.
func (a *analyzer) writeCall(f *pg_query.FuncCall, found resolve.Found) {
	switch {
	case found.Function != nil:
		a.held.writeFunction(f, found.Function.Schema)
	case found.Kind == resolve.Cast:
		if t := a.snap.TypeByOID(found.Result); t != nil {
			a.held.writeFunction(f, t.Schema)
		}
	}
}

// writeFunction notes what the name in a call means.
func (h *held) writeFunction(f *pg_query.FuncCall, schema string) {
	if w := h.writes(); w != nil && schema != schemaCatalog {
		w.rewrites = append(w.rewrites, func() {
			names, _ := stringNodes(f.Funcname)
			f.Funcname = nodesOf(shownSchema(schema), last(names))
		})
	}
}

// meetBareOperator notes an operator that a name without a schema was resolved to.
func (h *held) meetBareOperator(schema string, o *catalog.Operator) {
	if w := h.writes(); w != nil && schema == "" && o.Schema != schemaCatalog {
		w.operators = append(w.operators, o)
	}
}

// writeOperator gives the operator of an expression its schema. Where a construct
// implies operators without naming them, they cannot be written.
func (h *held) writeOperator(e *pg_query.A_Expr) {
	w := h.writes()
	if w == nil || len(w.operators) == 0 {
		return
	}
	switch e.Kind {
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL:
	default:
		return
	}
	found := w.operators[0]
	for _, o := range w.operators {
		if o.Schema != found.Schema {
			return
		}
	}
	w.operators = nil
	w.rewrites = append(w.rewrites, func() { e.Name = nodesOf(found.Schema, found.Name) })
}

// writeCollation notes that a collation of a user was found by its name alone.
func (h *held) writeCollation(names []string, found *catalog.Collation) {
	if w := h.writes(); w != nil && len(names) == 1 && found.Schema != schemaCatalog {
		w.lost = true
	}
}

// forgetRelation begins the reading of a literal.
func (h *held) forgetRelation() {
	if w := h.writes(); w != nil {
		w.relation = nil
	}
}

// writeLiteral notes what a literal names: it is stored as the object, not as a text.
func (h *held) writeLiteral(v value, kind builtin.NameKind) {
	w := h.writes()
	if w == nil || v.kind != constant || allDigits(string(v.literal)) {
		return
	}
	switch kind {
	case builtin.Relation, builtin.Sequence:
		if w.relation != nil {
			w.literals[v.location] = quotedName(shownSchema(w.relation.Schema)) + "." + quotedName(w.relation.Name)
			return
		}
	case builtin.ConfigurationName:
		if !strings.Contains(string(v.literal), ".") {
			// One of pg_catalog is found there again; any other is not.
			return
		}
	}
	w.lost = true
}

// nodesOf makes a list of names.
func nodesOf(names ...string) []*pg_query.Node {
	list := make([]*pg_query.Node, 0, len(names))
	for _, name := range names {
		list = append(list, &pg_query.Node{Node: &pg_query.Node_String_{String_: &pg_query.String{Sval: name}}})
	}
	return list
}

// quotedName is a name as SplitIdentifierString reads it back.
func quotedName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// keeping binds an expression that a definition stores, and says how the catalog would
// hold it; within a relation's own expressions without that relation's name.
func (a *analyzer) keeping(s *scope, node *pg_query.Node, relation string, then func(value) error) (catalog.Expression, error) {
	if node == nil {
		return catalog.Expression{}, nil
	}
	h, err := a.storing(func() error {
		v, err := a.bind(s, node)
		if err == nil && then != nil {
			err = then(v)
		}
		return err
	})
	if err != nil {
		return catalog.Expression{}, err
	}
	if relation != "" {
		unnamedColumns(node, relation)
	}
	return a.writtenExpression(h, node), nil
}

// unnamedColumns takes a relation's name away from references to its columns: within its own
// expressions the catalog prints columns alone.
func unnamedColumns(node *pg_query.Node, relation string) {
	if node == nil {
		return
	}
	eachMessage(node.ProtoReflect(), func(m protoreflect.Message) {
		ref, ok := m.Interface().(*pg_query.ColumnRef)
		if !ok {
			return
		}
		if names, all := stringNodes(ref.Fields); all && len(names) == 2 && names[0] == relation {
			ref.Fields = ref.Fields[1:]
		}
	})
}

// eachNode visits the nodes of one type in a tree.
func eachNode[T any](node *pg_query.Node, visit func(T)) {
	eachMessage(node.ProtoReflect(), func(m protoreflect.Message) {
		if n, ok := m.Interface().(T); ok {
			visit(n)
		}
	})
}
