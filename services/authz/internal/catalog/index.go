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
	// parts are indexes and sequences by the table that they belong to, constraints the
	// relations that have one of a name, by the relation's schema.
	parts       map[OID][]*Relation
	constraints map[name][]OID
	// domainConstraints are the same for domains.
	domainConstraints map[name][]OID
	// userRelations, userTypes and userFunctions are those that did not come with the
	// server.
	userRelations []*Relation
	userTypes     []*Type
	userFunctions []*Function
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
	s.index = s.indexed()
	s.rolesDigest = s.RolesDigest()
}

func (s *Snapshot) indexed() index {
	x := index{
		schemas:         sized[string, *Schema](len(s.Schemas)),
		relationsByName: sized[name, *Relation](len(s.Relations)),
		relationsByOID:  sized[OID, *Relation](len(s.Relations)),
		typesByName:     sized[name, *Type](len(s.Types)),
		typesByOID:      sized[OID, *Type](len(s.Types)),
		functions:       sized[string, []*Function](len(s.Functions)),
		functionsByOID:  sized[OID, *Function](len(s.Functions)),
		operators:       sized[string, []*Operator](len(s.Operators)),
		operatorsByOID:  sized[OID, *Operator](len(s.Operators)),
		casts:           sized[[2]OID, *Cast](len(s.Casts)),
		classes:         sized[OID, *OperatorClass](len(s.OperatorClasses)),
		defaultClasses:  sized[methodType, *OperatorClass](len(s.OperatorClasses)),
		collations:      sized[name, *Collation](len(s.Collations)),
		extensions:      sized[string, *Extension](len(s.Extensions)),
		settings:        sized[string, *Setting](len(s.Settings)),
	}
	for i := range s.Schemas {
		x.schemas[s.Schemas[i].Name] = &s.Schemas[i]
	}
	for i := range s.Relations {
		x.relation(&s.Relations[i])
	}
	for i := range s.Types {
		t := &s.Types[i]
		x.typesByName[name{t.Schema, t.Name}] = t
		x.typesByOID[t.OID] = t
		if t.Kind == 'm' {
			put(&x.multiranges, t.Subtype, t.OID)
		}
		for _, of := range t.Constraints {
			key := name{t.Schema, of}
			put(&x.domainConstraints, key, append(x.domainConstraints[key], t.OID))
		}
		if t.OID >= FirstNormalOID {
			x.userTypes = append(x.userTypes, t)
		}
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		x.functions[f.Name] = append(x.functions[f.Name], f)
		x.functionsByOID[f.OID] = f
		if f.OID >= FirstNormalOID {
			x.userFunctions = append(x.userFunctions, f)
		}
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
	x.setRoles(s.Roles)
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
	return x
}

// setRoles has roles in place of those there are.
func (x *index) setRoles(roles []Role) {
	x.roles, x.rolesByOID = sized[string, *Role](len(roles)), sized[OID, *Role](len(roles))
	for i := range roles {
		x.roles[roles[i].Name] = &roles[i]
		x.rolesByOID[roles[i].OID] = &roles[i]
	}
}

// relation enters a relation.
func (x *index) relation(r *Relation) {
	x.relationsByName[name{r.Schema, r.Name}] = r
	x.relationsByOID[r.OID] = r
	if r.OID >= FirstNormalOID {
		x.userRelations = append(x.userRelations, r)
	}
	for _, table := range []OID{r.IndexOf, r.OwnedBy} {
		if table != 0 {
			put(&x.parts, table, append(x.parts[table], r))
		}
	}
	constraint := func(of string) {
		key := name{r.Schema, of}
		put(&x.constraints, key, append(x.constraints[key], r.OID))
	}
	for i := range r.Keys {
		constraint(r.Keys[i].Name)
	}
	for i := range r.ForeignKeys {
		constraint(r.ForeignKeys[i].Name)
	}
	for _, list := range [][]string{r.CheckNames, r.OtherConstraints} {
		for _, of := range list {
			constraint(of)
		}
	}
}

// sized makes a map for so many entries; nil, which has none as well, for no entry: most
// overlays have a few objects of one kind.
func sized[K comparable, V any](n int) map[K]V {
	if n == 0 {
		return nil
	}
	return make(map[K]V, n)
}

// put enters something into a map that may not be there yet.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}
