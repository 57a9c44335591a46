package oracle

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// footprint is what one of the server's trees asks the session's role for, as the tree
// says it itself: debug_print_rewritten and debug_print_plan print them whole.
type footprint struct {
	// relations are the actions on relations that ExecCheckRTPerms would check, with
	// the numbers of the columns; an action on no column in particular has none.
	relations map[catalog.OID]map[access.Action]map[int16]bool
	// functions are those called, by operators as well.
	functions map[catalog.OID]bool
	// types are those that values are said to be of, but for the rows of what stands in FROM.
	types map[catalog.OID]bool
}

func newFootprint() footprint {
	return footprint{relations: map[catalog.OID]map[access.Action]map[int16]bool{}, functions: map[catalog.OID]bool{}, types: map[catalog.OID]bool{}}
}

// The bits of RangeTblEntry.requiredPerms (parsenodes.h).
const (
	aclInsert = 1 << iota
	aclSelect
	aclUpdate
	aclDelete
)

// systemColumn is the name of a number below zero, "" of others (sysattr.h).
func systemColumn(number int16) string {
	if names := []string{"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"}; number < 0 && int(-number) <= len(names) {
		return names[-number-1]
	}
	return ""
}

// columnBias is what a set of columns adds to each number, so that system columns have a
// place in it (FirstLowInvalidHeapAttributeNumber of sysattr.h).
const columnBias = 7

// treeReader reads the fields of a printed tree (outfuncs.c), one after the other.
type treeReader struct {
	words []string
	at    int
	into  footprint
	snap  *catalog.Snapshot

	relation, user uint64
	permissions    uint64
	wholeRow       bool
	columns        map[access.Action][]int16
}

// add reads a tree. From version 16 on a RTEPermissionInfo has the fields that
// a RangeTblEntry had before, under the same names.
func (f footprint) add(tree string, snap *catalog.Snapshot) {
	r := &treeReader{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ", "{", " { ", "}", " } ").Replace(tree)), into: f, snap: snap}
	for ; r.at < len(r.words); r.at++ {
		r.field()
	}
}

func (r *treeReader) field() {
	switch r.words[r.at] {
	case ":relid":
		r.relation, r.columns = r.number(), map[access.Action][]int16{}
	case ":requiredPerms":
		r.permissions = r.number()
	case ":checkAsUser":
		r.user = r.number()
	case ":selectedCols":
		r.set(access.Select)
	case ":insertedCols":
		r.set(access.Insert)
	case ":updatedCols":
		r.set(access.Update)
		r.relationEnds()
	case ":funcid", ":opfuncid", ":aggfnoid", ":winfnoid":
		r.into.functions[catalog.OID(r.number())] = true
	case ":consttype", ":row_typeid", ":resulttype", ":coalescetype", ":casetype":
		r.into.types[catalog.OID(r.number())] = true
	case ":varattno":
		r.wholeRow = r.number() == 0
	case ":vartype":
		if !r.wholeRow {
			r.into.types[catalog.OID(r.number())] = true
		}
	case ":funccoltypes":
		for _, n := range r.list() {
			r.into.types[catalog.OID(n)] = true
		}
	case ":opno":
		r.operator(r.number())
	case ":opnos":
		for _, n := range r.list() {
			r.operator(n)
		}
	}
}

func (r *treeReader) operator(oid uint64) {
	if op := r.snap.OperatorByOID(catalog.OID(oid)); op != nil {
		r.into.functions[op.Function] = true
	}
}

// number is the value of the field at hand, 0 for none.
func (r *treeReader) number() uint64 {
	if r.at+1 == len(r.words) {
		return 0
	}
	n, err := strconv.ParseUint(r.words[r.at+1], 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// list are the numbers of the field at hand: ( b 8 9 ) or ( o 96 98 ).
func (r *treeReader) list() []uint64 {
	var all []uint64
	for i := r.at + 1; i < len(r.words) && r.words[i] != ")"; i++ {
		if n, err := strconv.ParseUint(r.words[i], 10, 32); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func (r *treeReader) set(action access.Action) {
	for _, n := range r.list() {
		r.columns[action] = append(r.columns[action], int16(n)-columnBias) //nolint:gosec // G115: a table has 1600 columns at most.
	}
}

// relationEnds notes a relation whose rights are the session's role's to have.
func (r *treeReader) relationEnds() {
	defer func() { r.relation = 0 }()
	if r.relation == 0 || r.user != 0 {
		return
	}
	of := r.into.relations[catalog.OID(r.relation)]
	if of == nil {
		of = map[access.Action]map[int16]bool{}
		r.into.relations[catalog.OID(r.relation)] = of
	}
	for bit, action := range map[uint64]access.Action{aclInsert: access.Insert, aclSelect: access.Select, aclUpdate: access.Update, aclDelete: access.Delete} {
		if r.permissions&bit == 0 {
			continue
		}
		if of[action] == nil {
			of[action] = map[int16]bool{}
		}
		for _, number := range r.columns[action] {
			of[action][number] = true
		}
	}
}

// trees are the trees of a unit's queries.
type trees struct {
	// written is what they ask for as they stand, views and rules put in, planned what is
	// left of that in the plans that ran.
	written, planned footprint
	// found says that the server has printed some; nothing that rules made nothing of a
	// query.
	found, nothing bool
}

// print has the server print the trees of a unit, and of the queries that it wraps, after
// further statements.
func (d *Database) print(ctx context.Context, path string, u Unit, before ...string) (trees, error) {
	all := trees{written: newFootprint(), planned: newFootprint()}
	printing, err := newSession(d.dsn, "", "")
	if err != nil {
		return all, err
	}
	defer printing.close()
	printing.config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if keyQuery.MatchString(n.Where) {
			return
		}
		switch n.Message {
		case "rewritten parse tree:":
			all.found, all.nothing = true, all.nothing || strings.TrimSpace(n.Detail) == "<>"
			all.written.add(n.Detail, d.Snapshot)
		case "plan:":
			all.planned.add(n.Detail, d.Snapshot)
		}
	}
	parts := []Unit{u}
	for _, query := range queries(u.SQL) {
		if query != u.SQL {
			parts = append(parts, Unit{SQL: query, Parse: true, Args: u.Args})
		}
	}
	before = append(slices.Clone(before), "SET LOCAL debug_pretty_print = off", "SET LOCAL debug_print_rewritten = on",
		"SET LOCAL debug_print_plan = on", "SET LOCAL client_min_messages = log")
	for _, part := range parts {
		_, lost, err := printing.rolledBack(ctx, path, part, before...)
		if err != nil || lost {
			return all, err
		}
	}
	return all, nil
}

// keyQuery matches where a query comes from that a foreign key's trigger makes (ri_triggers.c):
// it runs with the rights of the table's owner (ri_PerformCheck), though its tree does not say so.
var keyQuery = regexp.MustCompile(`^SQL statement "(SELECT 1 FROM (ONLY )?|DELETE FROM (ONLY )?|UPDATE (ONLY )?)"[^\n]* OPERATOR\(`)

// dropped reports whether the planner has dropped what a denial is about: the text
// asks for it, or calls a function whose body does, and the plan does not; or rules have
// left nothing to plan.
func (d *Database) dropped(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	o := missing.Resolved
	if o.Kind != access.Table && o.Kind != access.Function && o.Kind != access.Schema {
		return false, nil
	}
	all, err := d.print(ctx, c.Role.Path, c.Unit)
	switch {
	case err != nil || !all.found || d.asks(all.planned, c.Role.Grants, missing):
		return false, err
	case all.nothing || d.asks(all.written, c.Role.Grants, missing):
		return true, nil
	}
	return slices.ContainsFunc(missing.Through, func(way access.Object) bool {
		f := d.function(way)
		return f != nil && all.written.functions[f.OID] && !all.planned.functions[f.OID]
	}), nil
}

// asks reports whether a tree asks for an access, as far as the grants do not give it.
func (d *Database) asks(f footprint, grants []Grant, a *access.Access) bool {
	if a.Resolved.Kind == access.Function {
		of := d.function(a.Resolved)
		return of != nil && f.functions[of.OID]
	}
	rel := d.Snapshot.RelationByName(a.Resolved.Schema, a.Resolved.Name)
	if a.Resolved.Kind != access.Table || rel == nil {
		return false
	}
	columns, some := f.relations[rel.OID][a.Action]
	if !some {
		return false
	}
	if len(columns) == 0 {
		// Any column will do (ExecCheckOneRelPerms).
		return !slices.ContainsFunc(grants, func(g Grant) bool {
			return g.Action == a.Action && g.Kind == access.Table && g.Schema == rel.Schema && (g.Name == rel.Name || g.Name == every)
		})
	}
	for number := range columns {
		name := systemColumn(number)
		if at := slices.IndexFunc(rel.Columns, func(c catalog.Column) bool { return c.Number == number }); at >= 0 {
			name = rel.Columns[at].Name
		}
		if name == "" || !grantsColumn(grants, a.Action, rel, name) {
			return true
		}
	}
	return false
}

// grantsColumn reports whether grants give an action on a column.
func grantsColumn(grants []Grant, action access.Action, rel *catalog.Relation, column string) bool {
	return slices.ContainsFunc(grants, func(g Grant) bool {
		return g.Action == action && g.Kind == access.Table && g.Schema == rel.Schema && (g.Name == rel.Name || g.Name == every) &&
			(len(g.Columns) == 0 || slices.Contains(g.Columns, column))
	})
}

// function is the function that an object is; nil for another object.
func (d *Database) function(o access.Object) *catalog.Function {
	if o.Kind != access.Function && o.Kind != access.Procedure {
		return nil
	}
	for _, f := range d.Snapshot.FunctionsNamed(o.Name) {
		if f.Schema == o.Schema && slices.Equal(d.argumentNames(f), o.Arguments) {
			return f
		}
	}
	return nil
}

func (d *Database) argumentNames(f *catalog.Function) []string {
	for _, r := range d.Model.Routines {
		if r.OID == f.OID {
			return r.ArgumentNames
		}
	}
	return nil
}
