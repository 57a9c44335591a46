package snapshotter

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// oldestServer is the server_version_num of the oldest server whose catalog
// these queries fit.
const oldestServer = 140000

// reader collects the rows of a catalog, of all of it or of some objects. Texts that
// need a lock are not read, but listed in jobs.
type reader struct {
	tx pgx.Tx
	s  *catalog.Snapshot
	// serverPath is that of the session.
	serverPath bool
	// only says what is read; nil is everything.
	only *selection
	// relations, types and functions hold positions in the snapshot's lists. Rows about
	// any other relation are about one that is not read, or about a temporary or TOAST
	// table; they are left out.
	relations, types, functions map[catalog.OID]int
	// details collect what ends in Relation.Details.
	details map[catalog.OID]hash.Hash
	labels  map[catalog.OID]map[catalog.OID]string
	// statistics are the expressions of each relation's extended statistics.
	statistics map[catalog.OID][][]catalog.Expression
	jobs       []job
}

// selection are the objects that are read.
type selection struct {
	relations, types, functions []uint32
}

// selectionOf takes the objects that can be read by themselves.
func selectionOf(objects map[object]bool) *selection {
	var out selection
	for o := range objects {
		switch o.table {
		case pgClass:
			out.relations = append(out.relations, uint32(o.oid))
		case pgType:
			out.types = append(out.types, uint32(o.oid))
		case pgProc:
			out.functions = append(out.functions, uint32(o.oid))
		default: // A name that texts show is not read.
		}
	}
	return &out
}

func newReader(tx pgx.Tx, serverPath bool, only *selection) *reader {
	return &reader{
		tx: tx, s: &catalog.Snapshot{}, serverPath: serverPath, only: only,
		relations: make(map[catalog.OID]int), types: make(map[catalog.OID]int), functions: make(map[catalog.OID]int),
		details: make(map[catalog.OID]hash.Hash), labels: make(map[catalog.OID]map[catalog.OID]string),
		statistics: make(map[catalog.OID][][]catalog.Expression),
	}
}

// step is a part of a read.
type step struct {
	what string
	read func(context.Context) error
}

func readSteps(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := s.read(ctx); err != nil {
			return fmt.Errorf("read %s: %w", s.what, err)
		}
	}
	return nil
}

// readObjects reads what is selected, without what stands in jobs.
func (r *reader) readObjects(ctx context.Context) error {
	var steps []step
	if r.only == nil || len(r.only.relations) > 0 {
		steps = append(steps, step{"relations", r.readRelations}, step{"columns", r.columns})
	}
	if r.only == nil || len(r.only.types) > 0 {
		steps = append(steps, step{"types", r.readTypes}, step{"labels", r.readLabels})
	}
	if r.only == nil || len(r.only.relations)+len(r.only.types) > 0 {
		steps = append(steps, step{"constraints", r.constraints})
	}
	if r.only == nil || len(r.only.relations) > 0 {
		steps = append(steps, step{"indexes", r.indexes}, step{"triggers", r.triggers}, step{"rules", r.rules},
			step{"policies", r.policies}, step{"statistics", r.readStatistics}, step{"inheritance", r.inheritance})
	}
	if r.only == nil || len(r.only.functions) > 0 {
		steps = append(steps, step{"functions", r.readFunctions})
	}
	if err := readSteps(ctx, steps); err != nil {
		return err
	}
	for oid, h := range r.details {
		r.s.Relations[r.relations[oid]].Details = [sha256.Size]byte(h.Sum(nil))
	}
	return nil
}

// readLists reads what is not read object by object.
func (r *reader) readLists(ctx context.Context, which lists) error {
	var steps []step
	for _, l := range []struct {
		list lists
		step
	}{
		{listSchemas, step{"schemas", r.schemas}}, {listRoles, step{"roles", r.roles}},
		{listOperators, step{"operators", r.operators}}, {listCasts, step{"casts", r.casts}},
		{listOperatorClasses, step{"operator classes", r.operatorClasses}}, {listCollations, step{"collations", r.collations}},
		{listExtensions, step{"extensions", r.extensions}}, {listEventTriggers, step{"event triggers", r.eventTriggers}},
		{listGlobals, step{"languages, servers and publications", r.globals}},
		{listTextSearch, step{"text search", r.textSearch}}, {listSettings, step{"settings", r.settings}},
	} {
		if which&l.list != 0 {
			steps = append(steps, l.step)
		}
	}
	return readSteps(ctx, steps)
}

// each runs a query and calls f for every row.
func (r *reader) each(ctx context.Context, query string, into []any, f func() error, args ...any) error {
	rows, err := r.tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, f)
	return err
}

// eachOf runs a query for all objects, or under a condition for those whose OIDs are
// in args.
func (r *reader) eachOf(ctx context.Context, query, condition string, into []any, f func() error, args ...any) error {
	if r.only == nil {
		return r.each(ctx, query, into, f)
	}
	return r.each(ctx, strings.Replace(query, everything, condition, 1), into, f, args...)
}

// eachRelation is eachOf for rows that hang off relations.
func (r *reader) eachRelation(ctx context.Context, query, column string, into []any, f func() error) error {
	if r.only == nil {
		return r.each(ctx, query, into, f)
	}
	return r.eachOf(ctx, query, column+" = ANY ($1::pg_catalog.oid[])", into, f, r.only.relations)
}

// later has a text printed when the rows are read.
func (r *reader) later(kind textKind, oid catalog.OID, of object, set func(texts []string) bool) {
	r.jobs = append(r.jobs, job{kind: kind, oid: oid, of: of, set: set})
}

// single puts the one text that is printed in the place that it is asked for.
func single(place func() *string) func([]string) bool {
	return func(texts []string) bool {
		if len(texts) != 1 || texts[0] == "" {
			return false
		}
		*place() = texts[0]
		return true
	}
}

// relation finds a relation of the snapshot, or returns nil for one that is left
// out.
func (r *reader) relation(oid catalog.OID) *catalog.Relation {
	i, ok := r.relations[oid]
	if !ok {
		return nil
	}
	return &r.s.Relations[i]
}

// detail adds to what identifies a relation. kind keeps rows of one catalog
// table from passing for rows of another.
func (r *reader) detail(oid catalog.OID, kind, row string) {
	h := r.details[oid]
	if h == nil {
		h = sha256.New()
		r.details[oid] = h
	}
	_, _ = fmt.Fprintf(h, "%s %d %s\n", kind, len(row), row) // A hash never fails.
}

// char is the value of a column of type "char", 0 for the empty one.
func char(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

func (r *reader) server(ctx context.Context) error {
	s := r.s
	err := r.each(ctx, queryServer, []any{&s.ServerVersionNum, &s.ServerEncoding, &s.Database}, func() error { return nil })
	switch {
	case err != nil:
		return err
	case s.ServerVersionNum < oldestServer:
		return fmt.Errorf("server version %d is older than PostgreSQL 14", s.ServerVersionNum)
	case s.ServerEncoding != "UTF8":
		// Names in any other encoding would be compared as what they are not.
		return fmt.Errorf("the encoding is %s; UTF8 is served", s.ServerEncoding)
	}
	return nil
}

func (r *reader) schemas(ctx context.Context) error {
	var v catalog.Schema
	return r.each(ctx, querySchemas, []any{&v.OID, &v.Name, &v.ClosedTo}, func() error {
		r.s.Schemas = append(r.s.Schemas, v)
		return nil
	})
}

func (r *reader) readRelations(ctx context.Context) error {
	var kind, check, details string
	var partitioned, view bool
	var ofQuery, ofKey []int64
	var v catalog.Relation
	into := []any{
		&v.OID, &v.Schema, &v.Name, &kind, &v.Owner, &v.RowSecurity, &v.ForceRowSecurity, &partitioned, &view,
		&v.SecurityInvoker, &check, &ofQuery, &ofKey, &v.IndexOf, &v.ForeignOperatorClasses, &v.RowType, &v.OfType, &v.Server, &v.OwnedBy, &v.DefaultPartition, &details,
	}
	return r.eachRelation(ctx, queryRelations, "c.oid", into, func() error {
		v.Kind, v.CheckOption = catalog.RelationKind(char(kind)), char(check)
		v.PartitionOperatorClasses = slices.Clone(v.ForeignOperatorClasses)
		at, self := len(r.s.Relations), object{pgClass, v.OID}
		if view {
			v.Definition, v.References = catalog.Unreadable, references(catalog.Unreadable, ofQuery)
			r.later(textView, v.OID, self, single(func() *string { return &r.s.Relations[at].Definition }))
		}
		if partitioned {
			v.PartitionKey = expression(catalog.Unreadable, ofKey)
			r.later(textPartitionKey, v.OID, self, single(func() *string { return &r.s.Relations[at].PartitionKey.Text }))
		}
		r.relations[v.OID] = at
		r.s.Relations = append(r.s.Relations, v)
		r.detail(v.OID, "class", details)
		v = catalog.Relation{} // The next row must not write into this one's slices.
		return nil
	})
}

func (r *reader) columns(ctx context.Context) error {
	var oid, generation catalog.OID
	var generated, identity, details string
	var depends []int64
	var v catalog.Column
	into := []any{&oid, &v.Number, &v.Name, &v.Type, &v.Modifier, &v.NotNull, &v.Default, &generation, &depends, &generated, &identity, &details}
	return r.eachRelation(ctx, queryColumns, "a.attrelid", into, func() error {
		rel := r.relation(oid)
		if rel == nil {
			return nil
		}
		v.Generated, v.Identity = char(generated), char(identity)
		// The digest takes expressions from Details alone.
		r.detail(oid, "column", details)
		r.detail(oid, "default", v.Default)
		if generation != 0 {
			v.Default = catalog.Unreadable
			at, column := r.relations[oid], len(rel.Columns)
			r.later(textGenerated, generation, object{pgClass, oid}, single(func() *string { return &r.s.Relations[at].Columns[column].Default }))
		}
		v.References = references(v.Default, depends)
		rel.Columns = append(rel.Columns, v)
		return nil
	})
}

// madeUp reports whether a constraint has the kind of name that the server gives NOT NULL
// from 17 on: nothing else gets one of that kind.
func madeUp(constraint string) bool { return notNullName.MatchString(constraint) }

var notNullName = regexp.MustCompile("_not_null[0-9]*$")

func (r *reader) constraints(ctx context.Context) error {
	var oid, relation, typ catalog.OID
	var name, kind, onDelete, onUpdate, check, details string
	var to catalog.OID
	var fromColumns, toColumns []int16
	var depends []int64
	into := []any{
		&oid, &relation, &typ, &name, &kind, &to, &fromColumns, &toColumns, &onDelete, &onUpdate, &check, &depends, &details,
	}
	each := func() error {
		fk := catalog.ForeignKey{
			Name: name, From: relation, To: to, OnDelete: char(onDelete), OnUpdate: char(onUpdate),
			FromColumns: fromColumns, ToColumns: toColumns,
		}
		fromColumns, toColumns = nil, nil
		if i, ok := r.types[typ]; ok && kind == "c" {
			v := &r.s.Types[i]
			v.Checks = append(v.Checks, expression(check, depends))
			v.Details = sha256.Sum256(append(v.Details[:], details...))
		}
		if i, ok := r.types[typ]; ok && typ >= catalog.FirstNormalOID && !madeUp(name) {
			r.s.Types[i].Constraints = append(r.s.Types[i].Constraints, name)
		}
		if target := r.relation(to); target != nil && kind == "f" {
			target.ReferencedBy = append(target.ReferencedBy, fk)
			r.detail(to, "referenced by", details)
		}
		rel := r.relation(relation)
		if rel == nil {
			return nil
		}
		r.detail(relation, "constraint", details)
		switch kind {
		case "c":
			at, n := r.relations[relation], len(rel.Checks)
			rel.Checks = append(rel.Checks, expression(catalog.Unreadable, depends))
			if relation >= catalog.FirstNormalOID {
				rel.CheckNames = append(rel.CheckNames, name)
			}
			r.later(textCheck, oid, object{pgClass, relation}, single(func() *string { return &r.s.Relations[at].Checks[n].Text }))
		case "f":
			rel.ForeignKeys = append(rel.ForeignKeys, fk)
		case "p", "u", "x":
			if relation >= catalog.FirstNormalOID { // Nobody inserts into the server's own.
				rel.Keys = append(rel.Keys, catalog.Key{Name: name, Columns: fk.FromColumns, Primary: kind == "p"})
			}
		default: // Not null constraints run no code of their own.
			if relation >= catalog.FirstNormalOID && !madeUp(name) {
				rel.OtherConstraints = append(rel.OtherConstraints, name)
			}
		}
		return nil
	}
	if r.only == nil {
		return r.each(ctx, queryConstraints, into, each)
	}
	return r.eachOf(ctx, queryConstraints, `(c.conrelid = ANY ($1::pg_catalog.oid[]) OR c.confrelid = ANY ($1::pg_catalog.oid[])
	OR c.contypid = ANY ($2::pg_catalog.oid[]))`, into, each, r.only.relations, r.only.types)
}

func (r *reader) indexes(ctx context.Context) error {
	var relation, index catalog.OID
	var expressions int
	var depends []int64
	var operators, classes []catalog.OID
	var details string
	into := []any{&relation, &index, &expressions, &depends, &operators, &classes, &details}
	return r.eachRelation(ctx, queryIndexes, "i.indrelid", into, func() error {
		if rel := r.relation(relation); rel != nil {
			if at, first, n := r.relations[relation], len(rel.IndexExpressions), expressions; n > 0 {
				for range n {
					rel.IndexExpressions = append(rel.IndexExpressions, expression(catalog.Unreadable, depends))
				}
				r.later(textIndex, index, object{pgClass, relation}, func(texts []string) bool {
					for i, text := range texts {
						if len(texts) == n {
							r.s.Relations[at].IndexExpressions[first+i].Text = text
						}
					}
					return len(texts) == n
				})
			}
			rel.ExclusionOperators = append(rel.ExclusionOperators, operators...)
			rel.ForeignOperatorClasses = append(rel.ForeignOperatorClasses, classes...)
			r.detail(relation, "index", details)
		}
		operators, classes = nil, nil
		return nil
	})
}
