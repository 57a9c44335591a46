package catalog

import (
	"slices"
	"strings"
)

// name is a schema-qualified name as a map key. Schema and name are separate
// fields, so that no spelling of one can run into the other.
type name struct{ schema, name string }

// index holds the look-ups. Its pointers go into the snapshot's own slices.
type index struct {
	schemas         map[string]*Schema
	relationsByName map[name]*Relation
	relationsByOID  map[OID]*Relation
	typesByName     map[name]*Type
	typesByOID      map[OID]*Type
	functions       map[string][]*Function
	functionsByOID  map[OID]*Function
	operators       map[string][]*Operator
	operatorsByOID  map[OID]*Operator
	casts           map[[2]OID]*Cast
	userCasts       []*Cast
	classes         map[OID]*OperatorClass
	defaultClasses  map[methodType]*OperatorClass
	collations      map[name]*Collation
	roles           map[string]*Role
	extensions      map[string]*Extension
	settings        map[string]*Setting
	multiranges     map[OID]OID
}

// methodType is an access method's name and the type an operator class is for.
type methodType struct {
	method string
	input  OID
}

// Index makes the look-ups ready. It is called once, by whoever filled the
// snapshot, before anybody else sees it; from then on the slices must not be
// changed. Every look-up of a snapshot that was not indexed finds nothing,
// which denies.
func (s *Snapshot) Index() {
	x := index{
		schemas:         make(map[string]*Schema, len(s.Schemas)),
		relationsByName: make(map[name]*Relation, len(s.Relations)),
		relationsByOID:  make(map[OID]*Relation, len(s.Relations)),
		typesByName:     make(map[name]*Type, len(s.Types)),
		typesByOID:      make(map[OID]*Type, len(s.Types)),
		functions:       make(map[string][]*Function, len(s.Functions)),
		functionsByOID:  make(map[OID]*Function, len(s.Functions)),
		operators:       make(map[string][]*Operator),
		operatorsByOID:  make(map[OID]*Operator, len(s.Operators)),
		casts:           make(map[[2]OID]*Cast, len(s.Casts)),
		classes:         make(map[OID]*OperatorClass, len(s.OperatorClasses)),
		defaultClasses:  make(map[methodType]*OperatorClass),
		collations:      make(map[name]*Collation, len(s.Collations)),
		roles:           make(map[string]*Role, len(s.Roles)),
		extensions:      make(map[string]*Extension, len(s.Extensions)),
		settings:        make(map[string]*Setting, len(s.Settings)),
		multiranges:     make(map[OID]OID),
	}
	for i := range s.Schemas {
		x.schemas[s.Schemas[i].Name] = &s.Schemas[i]
	}
	for i := range s.Relations {
		r := &s.Relations[i]
		x.relationsByName[name{r.Schema, r.Name}] = r
		x.relationsByOID[r.OID] = r
	}
	for i := range s.Types {
		t := &s.Types[i]
		x.typesByName[name{t.Schema, t.Name}] = t
		x.typesByOID[t.OID] = t
		if t.Kind == 'm' {
			x.multiranges[t.Subtype] = t.OID
		}
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		x.functions[f.Name] = append(x.functions[f.Name], f)
		x.functionsByOID[f.OID] = f
	}
	for i := range s.Operators {
		o := &s.Operators[i]
		x.operators[o.Name] = append(x.operators[o.Name], o)
		x.operatorsByOID[o.OID] = o
	}
	for i := range s.OperatorClasses {
		c := &s.OperatorClasses[i]
		x.classes[c.OID] = c
		if c.Default {
			x.defaultClasses[methodType{c.Method, c.Input}] = c
		}
	}
	for i := range s.Collations {
		x.collations[name{s.Collations[i].Schema, s.Collations[i].Name}] = &s.Collations[i]
	}
	for i := range s.Roles {
		x.roles[s.Roles[i].Name] = &s.Roles[i]
	}
	for i := range s.Extensions {
		x.extensions[s.Extensions[i].Name] = &s.Extensions[i]
	}
	for i := range s.Settings {
		// Names of settings fold ASCII case (guc_name_compare of guc.c).
		x.settings[strings.ToLower(s.Settings[i].Name)] = &s.Settings[i]
	}
	for i := range s.Casts {
		x.casts[[2]OID{s.Casts[i].Source, s.Casts[i].Target}] = &s.Casts[i]
		if s.Casts[i].OID >= FirstNormalOID {
			x.userCasts = append(x.userCasts, &s.Casts[i])
		}
	}
	s.index = x
}

// SchemaExists reports whether there is a schema of that name.
func (s *Snapshot) SchemaExists(name string) bool { return s.index.schemas[name] != nil }

// SchemaOpenTo reports whether there is a schema of that name on which the role
// has USAGE.
func (s *Snapshot) SchemaOpenTo(name, role string) bool {
	schema := s.index.schemas[name]
	return schema != nil && !slices.Contains(schema.ClosedTo, role)
}

// RelationByName finds a relation of any kind, indexes and sequences included,
// or returns nil. Names are compared as they are stored: unquoted and
// case-exact. The relation belongs to the snapshot and must not be changed, as
// is so for every look-up.
func (s *Snapshot) RelationByName(schema, relation string) *Relation {
	return s.index.relationsByName[name{schema, relation}]
}

// RelationByOID finds a relation, or returns nil.
func (s *Snapshot) RelationByOID(oid OID) *Relation { return s.index.relationsByOID[oid] }

// TypeByOID finds a type, or returns nil.
func (s *Snapshot) TypeByOID(oid OID) *Type { return s.index.typesByOID[oid] }

// TypeByName finds a type by the name pg_type gives it (int4, _int4), or
// returns nil.
func (s *Snapshot) TypeByName(schema, typ string) *Type {
	return s.index.typesByName[name{schema, typ}]
}

// MultirangeOf finds the multirange type over a range type, or returns 0.
func (s *Snapshot) MultirangeOf(rangeType OID) OID { return s.index.multiranges[rangeType] }

// FunctionsNamed lists the functions, procedures, aggregates and window
// functions of that name in every schema, in the snapshot's order.
func (s *Snapshot) FunctionsNamed(name string) []*Function { return s.index.functions[name] }

// OperatorsNamed lists the operators of that name in every schema, in the
// snapshot's order.
func (s *Snapshot) OperatorsNamed(name string) []*Operator { return s.index.operators[name] }

// UserCasts lists the casts that did not come with the server: those that can
// put code between two types which PostgreSQL's own rules say nothing about.
func (s *Snapshot) UserCasts() []*Cast { return s.index.userCasts }

// CastBetween finds the cast from one type to another, or returns nil. Binary
// coercions that need no row of pg_cast are not among them.
func (s *Snapshot) CastBetween(source, target OID) *Cast {
	return s.index.casts[[2]OID{source, target}]
}

// FunctionByOID finds a function, or returns nil.
func (s *Snapshot) FunctionByOID(oid OID) *Function { return s.index.functionsByOID[oid] }

// OperatorByOID finds an operator, or returns nil.
func (s *Snapshot) OperatorByOID(oid OID) *Operator { return s.index.operatorsByOID[oid] }

// ClassByOID finds an operator class, or returns nil.
func (s *Snapshot) ClassByOID(oid OID) *OperatorClass { return s.index.classes[oid] }

// DefaultClass finds the default operator class of an access method for exactly
// that input type, or returns nil.
func (s *Snapshot) DefaultClass(method string, input OID) *OperatorClass {
	return s.index.defaultClasses[methodType{method, input}]
}

// CollationByName finds a collation, or returns nil.
func (s *Snapshot) CollationByName(schema, collation string) *Collation {
	return s.index.collations[name{schema, collation}]
}

// RoleByName finds a role, or returns nil.
func (s *Snapshot) RoleByName(role string) *Role { return s.index.roles[role] }

// ExtensionByName finds an extension that is installed, or returns nil.
func (s *Snapshot) ExtensionByName(extension string) *Extension { return s.index.extensions[extension] }

// SettingByName finds a setting, in any case, or returns nil.
func (s *Snapshot) SettingByName(setting string) *Setting {
	return s.index.settings[strings.ToLower(setting)]
}
