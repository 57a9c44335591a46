package catalog

import "strings"

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
	rolesByOID      map[OID]*Role
	extensions      map[string]*Extension
	settings        map[string]*Setting
	multiranges     map[OID]OID
	codedClasses    []OperatorClass
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
		rolesByOID:      make(map[OID]*Role, len(s.Roles)),
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
		if len(c.FamilyFunctions)+len(c.FamilyOperators) > 0 {
			x.codedClasses = append(x.codedClasses, *c)
		}
	}
	for i := range s.Collations {
		x.collations[name{s.Collations[i].Schema, s.Collations[i].Name}] = &s.Collations[i]
	}
	for i := range s.Roles {
		x.roles[s.Roles[i].Name] = &s.Roles[i]
		x.rolesByOID[s.Roles[i].OID] = &s.Roles[i]
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
	s.rolesDigest = s.RolesDigest()
}
