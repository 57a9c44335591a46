package snapshotter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// oldestServer is the server_version_num of the oldest server whose catalog
// these queries fit.
const oldestServer = 140000

// reader collects one snapshot.
type reader struct {
	tx pgx.Tx
	s  *catalog.Snapshot
	// serverPath is that of the session.
	serverPath bool
	// relations and types hold positions in the snapshot's lists. Rows about any
	// other relation are about a temporary or TOAST table, and are left out.
	relations map[catalog.OID]int
	types     map[catalog.OID]int
	// details collect what ends in Relation.Details.
	details map[catalog.OID]hash.Hash
}

// readCatalog reads a snapshot without digest, version and index. serverPath says
// whether the session's own default tells that of other sessions.
func readCatalog(ctx context.Context, tx pgx.Tx, serverPath bool) (*catalog.Snapshot, error) {
	r := &reader{
		tx: tx, s: &catalog.Snapshot{}, serverPath: serverPath,
		relations: make(map[catalog.OID]int), types: make(map[catalog.OID]int),
		details: make(map[catalog.OID]hash.Hash),
	}
	steps := []struct {
		what string
		read func(context.Context) error
	}{
		{"server", r.server}, {"schemas", r.schemas}, {"relations", r.readRelations}, {"columns", r.columns},
		{"types", r.readTypes}, {"constraints", r.constraints}, {"indexes", r.indexes},
		{"triggers", r.triggers}, {"rules", r.rules}, {"policies", r.policies}, {"statistics", r.statistics},
		{"inheritance", r.inheritance}, {"functions", r.functions}, {"operators", r.operators}, {"casts", r.casts},
		{"operator classes", r.operatorClasses}, {"collations", r.collations}, {"roles", r.roles},
		{"extensions", r.extensions}, {"event triggers", r.eventTriggers}, {"settings", r.settings}, {"text search", r.textSearch},
	}
	for _, step := range steps {
		if err := step.read(ctx); err != nil {
			return nil, fmt.Errorf("read %s: %w", step.what, err)
		}
	}
	for oid, h := range r.details {
		r.s.Relations[r.relations[oid]].Details = [sha256.Size]byte(h.Sum(nil))
	}
	return r.s, nil
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
	var kind, key, check, details string
	var ofQuery, ofKey []int64
	var v catalog.Relation
	into := []any{
		&v.OID, &v.Schema, &v.Name, &kind, &v.Owner, &v.RowSecurity, &v.ForceRowSecurity, &key, &v.Definition,
		&v.SecurityInvoker, &check, &ofQuery, &ofKey, &v.IndexOf, &v.ForeignOperatorClasses, &v.RowType, &v.OfType, &v.Server, &v.OwnedBy, &details,
	}
	return r.each(ctx, queryRelations, into, func() error {
		v.Kind, v.CheckOption = catalog.RelationKind(char(kind)), char(check)
		v.References, v.PartitionKey = references(v.Definition, ofQuery), expression(key, ofKey)
		r.relations[v.OID] = len(r.s.Relations)
		r.s.Relations = append(r.s.Relations, v)
		r.detail(v.OID, "class", details)
		v = catalog.Relation{} // The next row must not write into this one's slices.
		return nil
	})
}

func (r *reader) columns(ctx context.Context) error {
	var oid catalog.OID
	var generated, identity, details string
	var depends []int64
	var v catalog.Column
	into := []any{&oid, &v.Number, &v.Name, &v.Type, &v.Modifier, &v.NotNull, &v.Default, &depends, &generated, &identity, &details}
	return r.each(ctx, queryColumns, into, func() error {
		rel := r.relation(oid)
		if rel == nil {
			return nil
		}
		v.Generated, v.Identity = char(generated), char(identity)
		v.References = references(v.Default, depends)
		rel.Columns = append(rel.Columns, v)
		// The digest takes expressions from Details alone.
		r.detail(oid, "column", details)
		r.detail(oid, "default", v.Default)
		return nil
	})
}

func (r *reader) constraints(ctx context.Context) error {
	var oid, relation, typ catalog.OID
	var name, kind, onDelete, onUpdate, check, details string
	var to catalog.OID
	var fromColumns, toColumns []int16
	var depends []int64
	into := []any{
		&oid, &relation, &typ, &name, &kind, &to, &fromColumns, &toColumns, &onDelete, &onUpdate, &check, &depends, &details,
	}
	return r.each(ctx, queryConstraints, into, func() error {
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
		rel := r.relation(relation)
		if rel == nil {
			return nil
		}
		r.detail(relation, "constraint", details)
		switch kind {
		case "c":
			rel.Checks = append(rel.Checks, expression(check, depends))
		case "f":
			target := r.relation(to)
			if target == nil {
				return errors.New("a foreign key points at no relation")
			}
			rel.ForeignKeys = append(rel.ForeignKeys, fk)
			target.ReferencedBy = append(target.ReferencedBy, fk)
			r.detail(to, "referenced by", details)
		case "p", "u", "x":
			if relation >= catalog.FirstNormalOID { // Nobody inserts into the server's own.
				rel.Keys = append(rel.Keys, catalog.Key{Name: name, Columns: fk.FromColumns})
			}
		default: // Not null constraints run no code of their own.
		}
		return nil
	})
}

func (r *reader) indexes(ctx context.Context) error {
	var relation, index catalog.OID
	var expressions []string
	var depends []int64
	var operators, classes []catalog.OID
	var details string
	return r.each(ctx, queryIndexes, []any{&relation, &index, &expressions, &depends, &operators, &classes, &details}, func() error {
		if rel := r.relation(relation); rel != nil {
			for _, text := range expressions {
				rel.IndexExpressions = append(rel.IndexExpressions, expression(text, depends))
			}
			rel.ExclusionOperators = append(rel.ExclusionOperators, operators...)
			rel.ForeignOperatorClasses = append(rel.ForeignOperatorClasses, classes...)
			r.detail(relation, "index", details)
		}
		expressions, operators, classes = nil, nil, nil
		return nil
	})
}
