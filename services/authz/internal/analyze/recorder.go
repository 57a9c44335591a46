package analyze

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// recorder collects the accesses of a statement, one per action and object, in
// the order of their first mention. PostgreSQL asks for each column, and of a range
// table entry without columns for any one of the relation's own; a named column
// implies that one, unless it is a system column. Only then are there two accesses.
type recorder struct {
	entries []*entry
	index   map[entryKey]*entry
	// within marks relations recorded from now on as checked against somebody else
	// than the session's role: the owner of the view that is being bound.
	within bool
	// stored says that the text's names were resolved when it was stored: nobody asks
	// for the right to name them again.
	stored bool
	// opaque says that code runs which may change the session.
	opaque bool
	// loose are the functions whose bodies read names over the path in force when they
	// run.
	loose []looseBody
	// negatable are the operators of users that have a negator, negates says that
	// something may be turned around.
	negatable []*catalog.Operator
	negates   bool
	// members are the operators of users' families that are equalities or the server's
	// own, classed the relations with indexes of such families.
	members []*catalog.Operator
	classed []classed
	// compares are the operators of users in the statement, predicates those in indexes
	// and checks of what it reads; appends says that children or branches may be left out.
	compares, predicates []*catalog.Operator
	appends              bool
	// rows are the operators of users that compare rows.
	rows []*catalog.Operator
	// items counts what is in FROM, operands are the types of operators' operands, lateral
	// says that one item looks at another.
	items    int
	operands []catalog.OID
	lateral  bool
	// eclipses are names that may come to mean what is behind them.
	eclipses []eclipse
	// bared are columns that others stand in front of, bareOrder their order.
	bared     map[bared]bool
	bareOrder []bared
	// held are the verdicts on types whose code was judged.
	held map[catalog.OID]error
}

// entryKey is an access without its columns. Objects of one kind are told apart by
// their names, functions by their arguments as well.
type entryKey struct {
	action access.Action
	// or is an action that suffices in its place.
	or                      access.Action
	kind                    access.Kind
	schema, name, arguments string
	within                  bool
}

type entry struct {
	access access.Access
	// relation is nil for what is none.
	relation *catalog.Relation
	columns  map[string]bool
	// needs counts the range table entries that need the action, targeted those of them
	// that the statement writes.
	needs, targeted int
	// usedType is the type that usage is asked for, where a grant on a relation may bring
	// that.
	usedType *catalog.Type
}

// via notes by way of what an access is reached.
func (e *entry) via(way access.Object) {
	if len(e.access.Through) < access.MaxThrough && !sameObject(e.access.Resolved, way) &&
		!slices.ContainsFunc(e.access.Through, func(o access.Object) bool { return sameObject(o, way) }) {
		e.access.Through = append(e.access.Through, way)
	}
}

func sameObject(a, b access.Object) bool {
	return a.Kind == b.Kind && a.Schema == b.Schema && a.Name == b.Name && slices.Equal(a.Arguments, b.Arguments)
}

// temporary reports whether a temporary relation has been named.
func (r *recorder) temporary() bool {
	return slices.ContainsFunc(r.entries, func(e *entry) bool { return e.relation != nil && ownTemporary(e.relation.Schema) })
}

// need notes that an action is needed on a relation, on columns not yet said.
func (r *recorder) need(action access.Action, named access.Object, rel *catalog.Relation) {
	if r.stored && action == access.Any {
		return
	}
	r.entry(action, named, rel).needs++
}

// either notes that one of two actions is needed on a sequence, as its functions have
// it.
func (r *recorder) either(action, or access.Action, named access.Object, rel *catalog.Relation) {
	resolved := access.Object{Kind: access.Sequence, Schema: shownSchema(rel.Schema), Name: rel.Name}
	named.Kind = access.Sequence
	r.find(entryKey{action: action, or: or, kind: access.Sequence, schema: shownSchema(rel.Schema), name: rel.Name, within: r.within || ownTemporary(rel.Schema)},
		named, resolved, rel).needs++
}

// column notes that an action is needed on a column.
func (r *recorder) column(action access.Action, named access.Object, rel *catalog.Relation, column string) {
	r.entry(action, named, rel).columns[column] = true
}

// whole notes that an action is needed on all of a relation.
func (r *recorder) whole(action access.Action, named access.Object, rel *catalog.Relation) {
	r.entry(action, named, rel).access.AllColumns = true
}

// trust notes that an action on a relation runs code that analysis cannot look into.
func (r *recorder) trust(action access.Action, named access.Object, rel *catalog.Relation, code access.Trust) {
	addTrust(&r.entry(action, named, rel).access, code)
	r.opaque = true
}

// object notes that an action is needed on something that has no columns: a
// function, a schema, a setting. It returns the access, to add trust to.
func (r *recorder) object(action access.Action, named, resolved access.Object) *access.Access {
	return &r.find(entryKey{action: action, kind: resolved.Kind, schema: resolved.Schema, name: resolved.Name,
		arguments: strings.Join(resolved.Arguments, "\x00")}, named, resolved, nil).access
}

// schema notes that something of a schema is named.
func (r *recorder) schema(name string) {
	if r.stored {
		return
	}
	object := access.Object{Kind: access.Schema, Name: name}
	r.object(access.Usage, object, object)
}

// asks reports whether an action on a relation has been asked for.
func (r *recorder) asks(action access.Action, rel *catalog.Relation) bool {
	return r.index[r.tableKey(action, rel)] != nil
}

// columnsOf are the columns of a relation that an action has been asked for on.
func (r *recorder) columnsOf(action access.Action, rel *catalog.Relation) map[string]bool {
	if e := r.index[r.tableKey(action, rel)]; e != nil {
		return e.columns
	}
	return nil
}

func (r *recorder) tableKey(action access.Action, rel *catalog.Relation) entryKey {
	return entryKey{action: action, kind: access.Table, schema: shownSchema(rel.Schema), name: rel.Name, within: r.within || ownTemporary(rel.Schema)}
}

// showColumns notes that the names of all columns of every relation are shown, but for
// those of tables that are updated or deleted from alone.
func (r *recorder) showColumns() {
	for _, e := range slices.Clone(r.entries) {
		if e.relation != nil && e.relation.Kind != catalog.KindSequence && !e.access.Within && !r.targets(e.relation) {
			r.whole(access.Select, e.access.Named, e.relation)
		}
	}
}

// targets reports whether a table is nothing but the target of UPDATE, DELETE or MERGE: its
// scan gives the row's place, which keeps all columns from being listed (use_physical_tlist of
// createplan.c). So does that of the table under an automatically updatable view.
func (r *recorder) targets(rel *catalog.Relation) bool {
	asked := func(action access.Action) *entry { return r.index[r.tableKey(action, rel)] }
	read := asked(access.Select)
	kind := rel.Kind == catalog.KindTable || rel.Kind == catalog.KindPartitionedTable || rel.Kind == catalog.KindView && len(rel.Rules)+len(rel.Triggers) == 0
	return kind && asked(access.Insert) == nil &&
		(asked(access.Update) != nil || asked(access.Delete) != nil) && (read == nil || read.needs == read.targeted)
}

func (r *recorder) entry(action access.Action, named access.Object, rel *catalog.Relation) *entry {
	kind := access.Table
	if rel.Kind == catalog.KindSequence {
		kind = access.Sequence
	}
	resolved := access.Object{Kind: kind, Schema: shownSchema(rel.Schema), Name: rel.Name}
	named.Kind = kind
	return r.find(entryKey{action: action, kind: kind, schema: shownSchema(rel.Schema), name: rel.Name, within: r.within || ownTemporary(rel.Schema)}, named, resolved, rel)
}

func (r *recorder) find(key entryKey, named, resolved access.Object, rel *catalog.Relation) *entry {
	if e := r.index[key]; e != nil {
		return e
	}
	e := &entry{columns: map[string]bool{}, relation: rel,
		access: access.Access{Action: key.action, Named: named, Resolved: resolved, Within: key.within}}
	if key.or != "" {
		e.access.Or = []access.Action{key.or}
	}
	if r.index == nil {
		r.index = map[entryKey]*entry{}
	}
	r.index[key] = e
	r.entries = append(r.entries, e)
	return e
}

// absorb adds what another recorder collected, by way of an object unless that is nil.
// within marks all of it as checked against somebody else, whose code may also do what
// it likes.
func (r *recorder) absorb(inner *recorder, way *access.Object, within bool) {
	r.merge(inner, way, within, nil)
	if !within {
		r.absorbLoose(inner, nil)
	}
}

// absorbCode adds what code of a relation collected. Trust in it is for the grant on
// the relation, but where another relation of the session's role asks for it.
func (r *recorder) absorbCode(inner *recorder, at place) {
	r.absorbLoose(inner, &at)
	way := relationObject(at.rel)
	r.merge(inner, &way, false, func(from *entry) *entry {
		if from.relation != nil && !from.access.Within {
			return nil
		}
		return r.entry(at.action, relationObject(at.rel), at.rel)
	})
}

// absorbView adds what a view's query collected. What the relations of its owner run
// must be trusted by the grant on the place: the view, or one that reads it.
func (r *recorder) absorbView(inner *recorder, view *catalog.Relation, at place) {
	r.absorbLoose(inner, nil)
	way := relationObject(view)
	r.merge(inner, &way, false, func(from *entry) *entry {
		if from.relation == nil || !from.access.Within {
			return nil
		}
		return r.entry(at.action, relationObject(at.rel), at.rel)
	})
}

// merge adds the entries of another recorder, reached by way of an object. trusting says whose grant must trust
// what an entry runs, when it is not the entry's own.
func (r *recorder) merge(inner *recorder, way *access.Object, within bool, trusting func(*entry) *entry) {
	for _, from := range inner.entries {
		if trusting != nil && from.relation != nil && len(from.access.Trust) > 0 && from.needs == 0 && len(from.columns) == 0 && !from.access.AllColumns {
			// It was made to hold the trust.
			if other := trusting(from); other != nil {
				for _, code := range from.access.Trust {
					addTrust(&other.access, code)
				}
				continue
			}
		}
		key := entryKey{action: from.access.Action, kind: from.access.Resolved.Kind, schema: from.access.Resolved.Schema,
			name: from.access.Resolved.Name, arguments: strings.Join(from.access.Resolved.Arguments, "\x00"),
			within: from.access.Within || within}
		if len(from.access.Or) == 1 {
			key.or = from.access.Or[0]
		}
		known := r.index[key] != nil
		e := r.find(key, from.access.Named, from.access.Resolved, from.relation)
		if !known {
			e.usedType = from.usedType
		}
		for _, o := range from.access.Through {
			e.via(o)
		}
		if way != nil {
			e.via(*way)
		}
		for column := range from.columns {
			e.columns[column] = true
		}
		e.needs += from.needs
		e.targeted += from.targeted
		e.access.AllColumns = e.access.AllColumns || from.access.AllColumns
		if within {
			continue
		}
		if trusting != nil && len(from.access.Trust) > 0 {
			if other := trusting(from); other != nil {
				e = other
			}
		}
		for _, code := range from.access.Trust {
			addTrust(&e.access, code)
		}
	}
	r.opaque = r.opaque || inner.opaque
	if !within {
		for _, e := range inner.eclipses {
			r.eclipse(e)
		}
		for _, b := range inner.bareOrder {
			r.bare([]string{b.schema}, b.relation, b.column)
		}
		r.negatable = append(r.negatable, inner.negatable...)
		r.negates = r.negates || inner.negates
		r.members = append(r.members, inner.members...)
		r.classed = append(r.classed, inner.classed...)
		r.compares = append(r.compares, inner.compares...)
		r.predicates = append(r.predicates, inner.predicates...)
		r.appends = r.appends || inner.appends
		r.rows = append(r.rows, inner.rows...)
		r.items += inner.items
		r.operands = append(r.operands, inner.operands...)
		if inner.lateral {
			r.lateral = true
			r.operands = slices.AppendSeq(r.operands, maps.Keys(inner.held))
		}
	}
}

func addTrust(a *access.Access, code access.Trust) {
	if !slices.Contains(a.Trust, code) {
		a.Trust = append(a.Trust, code)
	}
}

func (r *recorder) accesses() []access.Access {
	var all []access.Access
	for _, e := range r.entries {
		if r.implied(e) {
			continue
		}
		found := e.access
		if found.Resolved.Kind == access.Table {
			for column := range e.columns {
				found.Columns = append(found.Columns, column)
			}
		}
		sort.Strings(found.Columns)
		all = append(all, found)
		if e.needs > 1 && len(found.Columns) > 0 && onlySystem(found.Columns) && !found.AllColumns {
			// One of the entries may have no column, and any column is a user's one.
			found.Columns = nil
			all = append(all, found)
		}
	}
	return all
}

func onlySystem(columns []string) bool {
	for _, column := range columns {
		if !isSystemColumn(column) {
			return false
		}
	}
	return true
}
