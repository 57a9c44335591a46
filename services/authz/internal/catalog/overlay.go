package catalog

import "slices"

// Additions are objects of one session that its snapshot does not hold:
// temporary ones, and what its open transaction has made, changed or dropped.
type Additions struct {
	// TempSchema is the real name of the session's temporary schema (pg_temp_3);
	// empty while it has none.
	TempSchema string
	// An object whose OID the shared snapshot has stands in its place, under its new
	// name alone.
	Schemas         []Schema
	Relations       []Relation
	Types           []Type
	Functions       []Function
	Operators       []Operator
	Casts           []Cast
	OperatorClasses []OperatorClass
	Collations      []Collation
	Extensions      []Extension
	Globals         []Global
	// Dropped are the OIDs of objects that are no longer there for the session.
	Dropped Dropped
}

// Dropped lists objects by kind: OIDs are unique within a kind only.
type Dropped struct {
	Schemas, Relations, Types, Functions, Operators, Casts, OperatorClasses, Collations, Extensions []OID
	Languages, Wrappers, Servers, Publications                                                      []OID
}

// replaced are objects of the base that an overlay hides or has itself.
type replaced struct {
	schemas, relations, types, functions, operators, casts, classes, collations, extensions map[OID]bool
	globals                                                                                 map[globalKey]bool
}

// Overlay returns a snapshot that shows the additions on top of base: every
// look-up finds them first, and never what they replace. The schema name pg_temp
// stands for the session's temporary schema, as LookupNamespaceNoError of
// namespace.c has it; to search it first, for relations and types, is for the
// search_path.
//
// The base must be indexed. It is shared, not copied and not changed, and may be
// an overlay itself. The exported lists of the result are those of the base; Each
// and its kin list what look-ups find. Roles and settings are the base's: additions
// do not have them. Digest is zero and Version is the base's: what is decided by an
// overlay depends on the session, and must not be found again for another one. The
// additions' slices belong to the result from then on.
func Overlay(base *Snapshot, add Additions) *Snapshot {
	own := Snapshot{Schemas: add.Schemas, Relations: append(add.Relations, orphaned(base, add)...), Types: add.Types, Functions: add.Functions,
		Operators: add.Operators, Casts: add.Casts, OperatorClasses: add.OperatorClasses, Collations: add.Collations, Extensions: add.Extensions, Globals: add.Globals}
	if add.TempSchema != "" {
		own.Schemas = append(own.Schemas[:len(own.Schemas):len(own.Schemas)], Schema{Name: add.TempSchema})
	}
	own.index = own.indexed()

	s := *base
	s.Digest = [len(s.Digest)]byte{}
	s.base, s.own, s.temporary = base, &own, add.TempSchema
	s.index = own.index
	// Roles and settings are looked up at once: they are never added (Session.Over has all
	// roles in their place).
	s.index.roles, s.index.rolesByOID, s.index.settings = base.index.roles, base.index.rolesByOID, base.index.settings
	if s.temporary == "" {
		s.temporary = base.temporary
	}
	s.replaced = replaced{
		schemas:    hidden(add.Schemas, func(v *Schema) OID { return v.OID }, add.Dropped.Schemas),
		relations:  hidden(own.Relations, func(v *Relation) OID { return v.OID }, add.Dropped.Relations),
		types:      hidden(add.Types, func(v *Type) OID { return v.OID }, add.Dropped.Types),
		functions:  hidden(add.Functions, func(v *Function) OID { return v.OID }, add.Dropped.Functions),
		operators:  hidden(add.Operators, func(v *Operator) OID { return v.OID }, add.Dropped.Operators),
		casts:      hidden(add.Casts, func(v *Cast) OID { return v.OID }, add.Dropped.Casts),
		classes:    hidden(add.OperatorClasses, func(v *OperatorClass) OID { return v.OID }, add.Dropped.OperatorClasses),
		collations: hidden(add.Collations, func(v *Collation) OID { return v.OID }, add.Dropped.Collations),
		extensions: hidden(add.Extensions, func(v *Extension) OID { return v.OID }, add.Dropped.Extensions),
		globals:    hiddenGlobals(add),
	}
	return &s
}

// orphaned are the relations of the base that lose a child: neither dropping one that
// inherits nor ending its inheritance writes or locks anything that its parent shows
// (ATExecDropInherit of tablecmds.c takes a shared lock on it).
func orphaned(base *Snapshot, add Additions) []Relation {
	described := hidden(add.Relations, func(v *Relation) OID { return v.OID }, add.Dropped.Relations)
	lost := map[OID]map[OID]bool{}
	lose := func(child OID, left []OID) {
		old := base.RelationByOID(child)
		if old == nil {
			return
		}
		for _, p := range old.Parents {
			if described[p] || slices.Contains(left, p) {
				continue
			}
			if lost[p] == nil {
				lost[p] = map[OID]bool{}
			}
			lost[p][child] = true
		}
	}
	for _, oid := range add.Dropped.Relations {
		lose(oid, nil)
	}
	for i := range add.Relations {
		lose(add.Relations[i].OID, add.Relations[i].Parents)
	}
	var out []Relation
	for p, children := range lost {
		parent := base.RelationByOID(p)
		if parent == nil {
			continue
		}
		left := *parent
		left.Children = slices.DeleteFunc(slices.Clone(parent.Children), func(c OID) bool { return children[c] })
		out = append(out, left)
	}
	return out
}

func hidden[T any](own []T, oid func(*T) OID, dropped []OID) map[OID]bool {
	out := sized[OID, bool](len(own) + len(dropped))
	for i := range own {
		out[oid(&own[i])] = true
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
