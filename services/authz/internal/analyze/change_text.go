package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// moved is an object that gets another name or schema: texts that name it are printed
// with that from then on.
type moved struct {
	relation, function bool
	schema, name       string
	toSchema, toName   string
}

// staleness says what a move does to a text.
type staleness int

const (
	upToDate staleness = iota
	// namesIt: it has a word that is the old name, which may be that of a type. The record of
	// a text has no types.
	namesIt
	// outOfDate: it refers to what was moved, or may.
	outOfDate
)

// movedText is a text with the new names of what was moved. Where none of the old ones is
// found, what refers to it cannot be told from the text.
func (r *retexter) movedText(text, before, after string, how staleness) string {
	a, all := r.a, r.all
	query := before + text + after
	if a.charge(readCost * len(query)); a.exhausted() {
		return unwritten
	}
	tree, err := parse(query, query, a.version/10000)
	if err != nil || len(tree.Stmts) != 1 {
		return unwritten
	}
	found := false
	node := tree.Stmts[0].Stmt
	for i := range all {
		found = all[i].apply(node) || found
	}
	if !found && how == namesIt && !literalNames(node, r.name) {
		return text
	}
	if !found {
		return unwritten
	}
	h := &held{writing: &writing{}}
	if body := node.GetCreateFunctionStmt().GetSqlBody(); body != nil {
		return a.standardText(h, body).Text
	}
	if before == "" {
		return a.writtenStatement(h, node).Text
	}
	return a.writtenExpression(h, onlyExpression(tree)).Text
}

// literalNames reports whether a literal in a tree has a name in it as a word: it may name a
// type, in one of the ways in which types are written. One that is cast to something else
// than a type of names does not.
func literalNames(node *pg_query.Node, name string) bool {
	plain := map[*pg_query.A_Const]bool{}
	eachNode(node, func(cast *pg_query.TypeCast) {
		if names, ok := stringNodes(cast.GetTypeName().GetNames()); ok && cast.Arg.GetAConst() != nil {
			plain[cast.Arg.GetAConst()] = !strings.HasPrefix(last(names), "reg") && !strings.HasPrefix(last(names), "_reg")
		}
	})
	found := false
	eachNode(node, func(c *pg_query.A_Const) { found = found || !plain[c] && containsName(c.GetSval().GetSval(), name) })
	return found
}

// apply gives what was moved its new name in a tree, and reports whether it was there. A
// table in FROM keeps its old name as an alias, by which its columns go (get_rte_alias of
// ruleutils.c).
func (m *moved) apply(node *pg_query.Node) bool {
	found := false
	is := func(names []string) bool {
		return len(names) == 2 && shownSchema(m.schema) == names[0] && names[1] == m.name
	}
	to := nodesOf(shownSchema(m.toSchema), m.toName)
	if m.function {
		eachNode(node, func(f *pg_query.FuncCall) {
			if names, ok := stringNodes(f.Funcname); ok && is(names) {
				f.Funcname, found = to, true
			}
		})
	}
	if !m.relation {
		return found
	}
	eachNode(node, func(rv *pg_query.RangeVar) {
		if !is([]string{rv.Schemaname, rv.Relname}) {
			return
		}
		if rv.Alias == nil && m.name != m.toName {
			rv.Alias = &pg_query.Alias{Aliasname: rv.Relname}
		}
		rv.Schemaname, rv.Relname, found = shownSchema(m.toSchema), m.toName, true
	})
	eachNode(node, func(t *pg_query.TypeName) {
		if names, ok := stringNodes(t.Names); ok && is(names) {
			t.Names, found = to, true
		}
	})
	eachNode(node, func(c *pg_query.A_Const) {
		text := c.GetSval().GetSval()
		if len(text) > maxNameLiteral {
			return
		}
		if names, ok := qualifiedName(text); ok && is(names) {
			full := quotedName(shownSchema(m.toSchema)) + "." + quotedName(m.toName)
			c.Val, found = &pg_query.A_Const_Sval{Sval: &pg_query.String{Sval: full}}, true
		}
	})
	return found
}

// retexter writes the texts of objects anew.
type retexter struct {
	a   *analyzer
	all []moved
	// name is the old name of a type, empty where there is none.
	name  string
	stale func(text string, refs catalog.References) staleness
}

// expression, statement, body and other put a text in the place of a stale one: an expression, a
// query, a function's body, or one that is not followed.
func (r *retexter) expression(text string, refs catalog.References, of func() *string) {
	if how := r.stale(text, refs); how != upToDate {
		r.put(r.movedText(text, "SELECT (", ")", how), text, of)
	}
}

func (r *retexter) statement(text string, refs catalog.References, of func() *string) {
	if how := r.stale(text, refs); how != upToDate {
		r.put(r.movedText(text, "", "", how), text, of)
	}
}

// body is for one of a function that was parsed with its statement.
func (r *retexter) body(text string, refs catalog.References, of func() *string) {
	if how := r.stale(text, refs); how != upToDate {
		r.put(r.movedText(text, "CREATE FUNCTION f() RETURNS int ", "", how), text, of)
	}
}

// put changes a text, unless it stays as it is.
func (r *retexter) put(to, from string, of func() *string) {
	if to != from {
		*of() = to
	}
}

func (r *retexter) other(text string, refs catalog.References, of func() *string) {
	if r.stale(text, refs) != upToDate {
		*of() = unwritten
	}
}

// relation writes the texts of a relation anew. own says that it is one of those that
// changed: its own expressions name it by its columns alone.
func (r *retexter) relation(rel *catalog.Relation, own bool) {
	edited := func() *catalog.Relation { return r.a.edited(rel.OID) }
	// The server records that a view refers to itself, by OLD and NEW (InsertRule of
	// rewriteDefine.c).
	r.statement(rel.Definition, copied(rel.References, rel.OID), func() *string { return &edited().Definition })
	for i, v := range rel.Rules {
		r.statement(v.Definition, v.References, func() *string { return &edited().Rules[i].Definition })
	}
	for i, v := range rel.Triggers {
		r.statement(v.Definition, v.References, func() *string { return &edited().Triggers[i].Definition })
	}
	for i, v := range rel.Policies {
		r.expression(v.Using, v.References, func() *string { return &edited().Policies[i].Using })
		r.expression(v.Check, v.References, func() *string { return &edited().Policies[i].Check })
	}
	for i, v := range rel.Columns {
		if len(v.References.Relations) > 0 || !own {
			r.expression(v.Default, copied(v.References, rel.OID), func() *string { return &edited().Columns[i].Default })
		}
	}
	if own {
		return
	}
	for i, v := range rel.Checks {
		r.expression(v.Text, v.References, func() *string { return &edited().Checks[i].Text })
	}
	for i, v := range rel.IndexExpressions {
		r.expression(v.Text, v.References, func() *string { return &edited().IndexExpressions[i].Text })
	}
	for i, v := range rel.StatisticsExpressions {
		r.expression(v.Text, v.References, func() *string { return &edited().StatisticsExpressions[i].Text })
	}
	r.other(rel.PartitionKey.Text, rel.PartitionKey.References, func() *string { return &edited().PartitionKey.Text })
}

func (r *retexter) function(f *catalog.Function) {
	edited := func() *catalog.Function { return r.a.editedFunction(f.OID) }
	r.body(f.StandardBody, f.References, func() *string { return &edited().StandardBody })
	for i, text := range f.DefaultExpressions {
		r.expression(text, f.References, func() *string {
			changed := edited()
			changed.DefaultExpressions = slices.Clone(changed.DefaultExpressions)
			return &changed.DefaultExpressions[i]
		})
	}
}

func (r *retexter) typ(t *catalog.Type) {
	edited := func() *catalog.Type { return r.a.editedType(t.OID) }
	r.expression(t.Default, t.References, func() *string { return &edited().Default })
	for i, check := range t.Checks {
		r.expression(check.Text, check.References, func() *string { return &edited().Checks[i].Text })
	}
}

// copied is the record of a text that another relation gets as well: it belongs to that
// one then.
func copied(refs catalog.References, from catalog.OID) catalog.References {
	refs.Relations = slices.DeleteFunc(slices.Clone(refs.Relations), func(oid catalog.OID) bool { return oid == from })
	return refs
}

// inherit gives a definition another relation's checks.
func (d *definition) inherit(rel *catalog.Relation) {
	for i, e := range rel.Checks {
		d.inherited = append(d.inherited, catalog.Expression{Text: e.Text, References: copied(e.References, rel.OID)})
		if i < len(rel.CheckNames) {
			d.inheritedNames = append(d.inheritedNames, rel.CheckNames[i])
		}
	}
}

// keepsMeaning reports whether an expression over a column that gets another type means
// the same as far as analysis goes: the server binds it anew, over the path in force
// (ATPostAlterTypeParse of tablecmds.c), and nothing of users can come of that.
func (a *analyzer) keepsMeaning(e catalog.Expression, typ catalog.OID) bool {
	if !e.References.Recorded || len(e.References.Functions)+len(e.References.Operators) > 0 || typ >= catalog.FirstNormalOID {
		return false
	}
	for o := range a.snap.EachOperator() {
		if a.charge(1); o.OID >= catalog.FirstNormalOID && a.path.includes(o.Schema) {
			return false
		}
	}
	for f := range a.snap.EachUserFunction() {
		if a.charge(rowCost); a.path.includes(f.Schema) && containsName(e.Text, f.Name) {
			return false
		}
	}
	return true
}
