package catalog

import "maps"

// Additions are objects of one session that its snapshot does not hold:
// temporary ones, and what its open transaction has made, changed or dropped.
type Additions struct {
	// TempSchema is the real name of the session's temporary schema (pg_temp_3);
	// empty while it has none.
	TempSchema string
	Schemas    []Schema
	// An object whose OID the shared snapshot has stands in its place, under its new
	// name alone.
	Relations []Relation
	Types     []Type
	Functions []Function
	// Dropped are the OIDs of objects that are no longer there for the session.
	Dropped Dropped
}

// Dropped lists objects by kind: OIDs are unique within a kind only.
type Dropped struct {
	Relations, Types, Functions []OID
}

// replaced are objects of the base that an overlay hides or has itself.
type replaced struct {
	relations, types, functions map[OID]bool
}

// Overlay returns a snapshot that shows the additions on top of base: every
// look-up finds them first, and never what they replace. The schema name pg_temp
// stands for the session's temporary schema, as LookupNamespaceNoError of
// namespace.c has it; to search it first, for relations and types, is for the
// search_path.
//
// The base must be indexed. It is shared, not copied and not changed, and may be
// an overlay itself. The exported lists of the result are those of the base, and
// so are its operators, casts, operator classes and the rest that additions do not
// have. Digest is zero and Version is the base's: what is decided by an overlay
// depends on the session, and must not be found again for another one. The
// additions' slices belong to the result from then on.
func Overlay(base *Snapshot, add Additions) *Snapshot {
	own := Snapshot{Schemas: add.Schemas, Relations: add.Relations, Types: add.Types, Functions: add.Functions}
	if add.TempSchema != "" {
		own.Schemas = append(own.Schemas[:len(own.Schemas):len(own.Schemas)], Schema{Name: add.TempSchema})
	}
	own.Index()

	s := *base
	s.Digest = [len(s.Digest)]byte{}
	s.base, s.temporary = base, add.TempSchema
	s.index.schemas, s.index.multiranges = own.index.schemas, own.index.multiranges
	s.index.relationsByName, s.index.relationsByOID = own.index.relationsByName, own.index.relationsByOID
	s.index.typesByName, s.index.typesByOID = own.index.typesByName, own.index.typesByOID
	s.index.functions, s.index.functionsByOID = own.index.functions, own.index.functionsByOID
	if s.temporary == "" {
		s.temporary = base.temporary
	}
	s.replaced = replaced{
		relations: hidden(own.index.relationsByOID, add.Dropped.Relations),
		types:     hidden(own.index.typesByOID, add.Dropped.Types),
		functions: hidden(own.index.functionsByOID, add.Dropped.Functions),
	}
	return &s
}

func hidden[T any](own map[OID]T, dropped []OID) map[OID]bool {
	out := make(map[OID]bool, len(own)+len(dropped))
	for oid := range maps.Keys(own) {
		out[oid] = true
	}
	for _, oid := range dropped {
		out[oid] = true
	}
	return out
}

// TempSchema is the real name of the session's temporary schema; empty in a
// snapshot that is shared.
func (s *Snapshot) TempSchema() string { return s.temporary }

// real is the schema that a name stands for.
func (s *Snapshot) real(schema string) string {
	if schema == "pg_temp" && s.temporary != "" {
		return s.temporary
	}
	return schema
}
