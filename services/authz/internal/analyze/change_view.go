package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// madeByQuery shows a relation whose columns a query gave it: a view, a materialized view, a
// table of CREATE TABLE AS. aliases rename the first of them.
func (a *analyzer) madeByQuery(rel catalog.Relation, object access.Object, aliases []*pg_query.Node, columns []output) *catalog.Relation {
	names, ok := stringNodes(aliases)
	if !ok || len(names) > len(columns) {
		return nil
	}
	rel.Schema, rel.Name = a.homeOf(object), object.Name
	for i, c := range columns {
		made := catalog.Column{Number: int16(i + 1), Name: c.name, Type: c.typ, Modifier: -1} //nolint:gosec // G115: see maxTargets.
		if i < len(names) {
			made.Name = names[i]
		}
		rel.Columns = append(rel.Columns, made)
	}
	made := a.addRelation(rel)
	a.addRowType(made)
	a.charge(madeColumnCost * len(rel.Columns))
	a.change.known = true
	return made
}

// madeInto shows the table or materialized view that a query's rows are stored in.
func (a *analyzer) madeInto(kind catalog.RelationKind, into *pg_query.IntoClause, object access.Object, text catalog.Expression, columns []output, ifNotExists bool) {
	a.change.fleeting = into.GetOnCommit() == pg_query.OnCommitAction_ONCOMMIT_DROP
	if a.snap.RelationByName(object.Schema, object.Name) != nil {
		a.change.known = ifNotExists
		return
	}
	a.madeByQuery(catalog.Relation{Kind: kind, Definition: text.Text, References: text.References}, object, into.GetColNames(), columns)
}

// madeView shows a view that was made, or put in the place of another one (DefineView of
// view.c). Columns can only be added to that.
func (a *analyzer) madeView(v *pg_query.ViewStmt, object access.Object, text catalog.Expression, columns []output) {
	there := a.snap.RelationByName(object.Schema, object.Name)
	made := catalog.Relation{Kind: catalog.KindView, Definition: text.Text, References: text.References}
	switch v.WithCheckOption {
	case pg_query.ViewCheckOption_LOCAL_CHECK_OPTION:
		made.CheckOption = 'l'
	case pg_query.ViewCheckOption_CASCADED_CHECK_OPTION:
		made.CheckOption = 'c'
	}
	if there == nil {
		if rel := a.madeByQuery(made, object, v.Aliases, columns); rel != nil {
			a.change.known = setViewOptions(rel, v.Options, false)
		}
		return
	}
	names, ok := stringNodes(v.Aliases)
	if !v.Replace || there.Kind != catalog.KindView || !ok || len(columns) < len(there.Columns) {
		return
	}
	rel := a.edited(there.OID)
	rel.Definition, rel.References, rel.CheckOption, rel.SecurityInvoker = made.Definition, made.References, made.CheckOption, false
	for i := len(rel.Columns); i < len(columns); i++ {
		added := catalog.Column{Number: rel.Columns[i-1].Number + 1, Name: columns[i].name, Type: columns[i].typ, Modifier: -1}
		if i < len(names) {
			added.Name = names[i]
		}
		rel.Columns = append(rel.Columns, added)
	}
	a.change.known = setViewOptions(rel, v.Options, false)
}

// setViewOptions sets or resets options of a relation that analysis knows of, those of
// views. It reports false for a value that it cannot read.
func setViewOptions(rel *catalog.Relation, options []*pg_query.Node, reset bool) bool {
	if rel.Kind != catalog.KindView {
		return true
	}
	for _, node := range options {
		option := node.GetDefElem()
		switch option.GetDefname() {
		case "security_invoker":
			on, ok := booleanOption(option)
			if rel.SecurityInvoker = on && !reset; !ok && !reset {
				return false
			}
		case "check_option":
			value := lowerASCII(option.GetArg().GetString_().GetSval())
			if rel.CheckOption = 0; reset {
				continue
			}
			if value != "local" && value != "cascaded" {
				return false
			}
			rel.CheckOption = value[0]
		}
	}
	return true
}

// booleanOption is defGetBoolean (parse_bool of reloptions.c takes the same words).
func booleanOption(option *pg_query.DefElem) (on, ok bool) {
	if option.Arg == nil {
		return true, true
	}
	if b := option.Arg.GetBoolean(); b != nil {
		return b.Boolval, true
	}
	if n := option.Arg.GetInteger(); n != nil {
		return n.Ival == 1, n.Ival == 0 || n.Ival == 1
	}
	word := lowerASCII(option.Arg.GetString_().GetSval())
	if slices.Contains([]string{"true", "on", "yes", "1"}, word) {
		return true, true
	}
	return false, slices.Contains([]string{"false", "off", "no", "0"}, word)
}

// stars are the targets that a star stands for, each by its name: the catalog has no
// star, and what is added to a relation does not show.
func (h *held) writeStar(s *scope, node *pg_query.Node, made []output) {
	w := h.writes()
	if w == nil {
		return
	}
	ref := node.GetColumnRef()
	if ref == nil {
		w.lost = true
		return
	}
	names, _, err := refNames(ref)
	if err != nil {
		w.lost = true
		return
	}
	var targets []*pg_query.Node
	add := func(names ...string) {
		targets = append(targets, &pg_query.Node{Node: &pg_query.Node_ResTarget{ResTarget: &pg_query.ResTarget{
			Val: &pg_query.Node{Node: &pg_query.Node_ColumnRef{ColumnRef: &pg_query.ColumnRef{Fields: nodesOf(names...)}}}}}})
	}
	if len(names) > 0 {
		for _, c := range made {
			add(last(names), c.name)
		}
	} else {
		for _, it := range s.namespace {
			if !it.columnsVisible || it.lateralOnly {
				continue
			}
			for _, c := range it.columns {
				if it.nameVisible && it.name != "" {
					add(it.name, c.name)
				} else {
					add(c.name)
				}
			}
		}
	}
	if len(targets) != len(made) {
		w.lost = true
		return
	}
	w.stars[node] = targets
}

// expandStars puts the targets in the place of stars.
func (w *writing) expandStars(list []*pg_query.Node) []*pg_query.Node {
	var out []*pg_query.Node
	for _, node := range list {
		if targets := w.stars[node.GetResTarget().GetVal()]; targets != nil {
			out = append(out, targets...)
			continue
		}
		out = append(out, node)
	}
	return out
}

// withoutStars writes every list of a tree without stars.
func (w *writing) withoutStars(node *pg_query.Node) {
	if len(w.stars) == 0 {
		return
	}
	eachNode(node, func(q *pg_query.SelectStmt) { q.TargetList = w.expandStars(q.TargetList) })
	eachNode(node, func(q *pg_query.InsertStmt) { q.ReturningList = w.expandStars(q.ReturningList) })
	eachNode(node, func(q *pg_query.UpdateStmt) { q.ReturningList = w.expandStars(q.ReturningList) })
	eachNode(node, func(q *pg_query.DeleteStmt) { q.ReturningList = w.expandStars(q.ReturningList) })
}
