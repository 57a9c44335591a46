package catalog

import (
	"slices"
	"strings"
)

// SchemaExists reports whether there is a schema of that name.
func (s *Snapshot) SchemaExists(name string) bool { return s.schema(name) != nil }

func (s *Snapshot) schema(name string) *Schema {
	if v := s.index.schemas[s.real(name)]; v != nil || s.base == nil {
		return v
	}
	if v := s.base.schema(s.real(name)); v != nil && (v.OID == 0 || !s.replaced.schemas[v.OID]) {
		return v
	}
	return nil
}

// SchemaOpenTo reports whether there is a schema of that name on which the role
// has USAGE.
func (s *Snapshot) SchemaOpenTo(name, role string) bool {
	schema := s.schema(name)
	return schema != nil && !slices.Contains(schema.ClosedTo, role)
}

// RelationByName finds a relation of any kind, indexes and sequences included,
// or returns nil. Names are compared as they are stored: unquoted and
// case-exact. The relation belongs to the snapshot and must not be changed, as
// is so for every look-up.
func (s *Snapshot) RelationByName(schema, relation string) *Relation {
	if r := s.index.relationsByName[name{s.real(schema), relation}]; r != nil || s.base == nil {
		return r
	}
	if r := s.base.RelationByName(s.real(schema), relation); r != nil && !s.replaced.relations[r.OID] {
		return r
	}
	return nil
}

// RelationByOID finds a relation, or returns nil.
func (s *Snapshot) RelationByOID(oid OID) *Relation {
	if s.base == nil || s.replaced.relations[oid] {
		return s.index.relationsByOID[oid]
	}
	return s.base.RelationByOID(oid)
}

// TypeByOID finds a type, or returns nil.
func (s *Snapshot) TypeByOID(oid OID) *Type {
	if s.base == nil || s.replaced.types[oid] {
		return s.index.typesByOID[oid]
	}
	return s.base.TypeByOID(oid)
}

// TypeByName finds a type by the name pg_type gives it (int4, _int4), or
// returns nil.
func (s *Snapshot) TypeByName(schema, typ string) *Type {
	if t := s.index.typesByName[name{s.real(schema), typ}]; t != nil || s.base == nil {
		return t
	}
	if t := s.base.TypeByName(s.real(schema), typ); t != nil && !s.replaced.types[t.OID] {
		return t
	}
	return nil
}

// MultirangeOf finds the multirange type over a range type, or returns 0.
func (s *Snapshot) MultirangeOf(rangeType OID) OID {
	if oid := s.index.multiranges[rangeType]; oid != 0 || s.base == nil {
		return oid
	}
	if oid := s.base.MultirangeOf(rangeType); !s.replaced.types[oid] {
		return oid
	}
	return 0
}

// FunctionsNamed lists the functions, procedures, aggregates and window
// functions of that name in every schema, in the snapshot's order.
func (s *Snapshot) FunctionsNamed(name string) []*Function {
	own := s.index.functions[name]
	if s.base == nil {
		return own
	}
	theirs := s.base.FunctionsNamed(name)
	if len(own) == 0 && !slices.ContainsFunc(theirs, s.functionReplaced) {
		return theirs
	}
	return append(slices.DeleteFunc(slices.Clone(theirs), s.functionReplaced), own...)
}

func (s *Snapshot) functionReplaced(f *Function) bool { return s.replaced.functions[f.OID] }

// OperatorsNamed lists the operators of that name in every schema, in the
// snapshot's order.
func (s *Snapshot) OperatorsNamed(name string) []*Operator {
	own := s.index.operators[name]
	if s.base == nil {
		return own
	}
	theirs := s.base.OperatorsNamed(name)
	gone := func(o *Operator) bool { return s.replaced.operators[o.OID] }
	if len(own) == 0 && !slices.ContainsFunc(theirs, gone) {
		return theirs
	}
	return append(slices.DeleteFunc(slices.Clone(theirs), gone), own...)
}

// UserCasts lists the casts that did not come with the server: those that can
// put code between two types which PostgreSQL's own rules say nothing about.
func (s *Snapshot) UserCasts() []*Cast {
	own := s.index.userCasts
	if s.base == nil {
		return own
	}
	theirs := s.base.UserCasts()
	if len(own)+len(s.replaced.casts) == 0 {
		return theirs
	}
	return append(slices.DeleteFunc(slices.Clone(theirs), func(c *Cast) bool { return s.replaced.casts[c.OID] }), own...)
}

// CastBetween finds the cast from one type to another, or returns nil. Binary
// coercions that need no row of pg_cast are not among them.
func (s *Snapshot) CastBetween(source, target OID) *Cast {
	if c := s.index.casts[[2]OID{source, target}]; c != nil || s.base == nil {
		return c
	}
	if c := s.base.CastBetween(source, target); c != nil && !s.replaced.casts[c.OID] {
		return c
	}
	return nil
}

// FunctionByOID finds a function, or returns nil.
func (s *Snapshot) FunctionByOID(oid OID) *Function {
	if s.base == nil || s.replaced.functions[oid] {
		return s.index.functionsByOID[oid]
	}
	return s.base.FunctionByOID(oid)
}

// OperatorByOID finds an operator, or returns nil.
func (s *Snapshot) OperatorByOID(oid OID) *Operator {
	if s.base == nil || s.replaced.operators[oid] {
		return s.index.operatorsByOID[oid]
	}
	return s.base.OperatorByOID(oid)
}

// ClassByOID finds an operator class, or returns nil.
func (s *Snapshot) ClassByOID(oid OID) *OperatorClass {
	if s.base == nil || s.replaced.classes[oid] {
		return s.index.classes[oid]
	}
	return s.base.ClassByOID(oid)
}

// DefaultClass finds the default operator class of an access method for exactly
// that input type, or returns nil.
func (s *Snapshot) DefaultClass(method string, input OID) *OperatorClass {
	if c := s.index.defaultClasses[methodType{method, input}]; c != nil || s.base == nil {
		return c
	}
	if c := s.base.DefaultClass(method, input); c != nil && !s.replaced.classes[c.OID] {
		return c
	}
	return nil
}

// CollationByName finds a collation, or returns nil.
func (s *Snapshot) CollationByName(schema, collation string) *Collation {
	if c := s.index.collations[name{s.real(schema), collation}]; c != nil || s.base == nil {
		return c
	}
	if c := s.base.CollationByName(s.real(schema), collation); c != nil && !s.replaced.collations[c.OID] {
		return c
	}
	return nil
}

// RoleByName finds a role, or returns nil.
func (s *Snapshot) RoleByName(role string) *Role { return s.index.roles[role] }

// RoleByOID finds a role, or returns nil.
func (s *Snapshot) RoleByOID(oid OID) *Role { return s.index.rolesByOID[oid] }

// ExtensionByName finds an extension that is installed, or returns nil.
func (s *Snapshot) ExtensionByName(extension string) *Extension {
	if x := s.index.extensions[extension]; x != nil || s.base == nil {
		return x
	}
	if x := s.base.ExtensionByName(extension); x != nil && !s.replaced.extensions[x.OID] {
		return x
	}
	return nil
}

// SettingByName finds a setting, in any case, or returns nil.
func (s *Snapshot) SettingByName(setting string) *Setting {
	return s.index.settings[strings.ToLower(setting)]
}
