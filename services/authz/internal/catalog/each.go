package catalog

import "iter"

// EachSchema goes through all schemas, those of an overlay first.
func (s *Snapshot) EachSchema() iter.Seq[*Schema] {
	return each(s, func(s *Snapshot) []Schema { return s.Schemas },
		func(s *Snapshot, v *Schema) bool { return v.OID != 0 && s.replaced.schemas[v.OID] })
}

// EachRelation goes through all relations, those of an overlay first.
func (s *Snapshot) EachRelation() iter.Seq[*Relation] {
	return each(s, func(s *Snapshot) []Relation { return s.Relations },
		func(s *Snapshot, v *Relation) bool { return s.replaced.relations[v.OID] })
}

// EachClass goes through all operator classes, those of an overlay first.
func (s *Snapshot) EachClass() iter.Seq[*OperatorClass] {
	return each(s, func(s *Snapshot) []OperatorClass { return s.OperatorClasses },
		func(s *Snapshot, v *OperatorClass) bool { return s.replaced.classes[v.OID] })
}

// EachCodedClass goes through the operator classes in whose families is something of
// users' own.
func (s *Snapshot) EachCodedClass() iter.Seq[*OperatorClass] {
	return each(s, func(s *Snapshot) []OperatorClass { return s.index.codedClasses },
		func(s *Snapshot, v *OperatorClass) bool { return s.replaced.classes[v.OID] })
}

// EachUserRelation goes through the relations that did not come with the server, those of
// an overlay first.
func (s *Snapshot) EachUserRelation() iter.Seq[*Relation] {
	return eachOf(s, func(x *index) []*Relation { return x.userRelations },
		func(s *Snapshot, v *Relation) bool { return s.replaced.relations[v.OID] })
}

// EachUserType is EachUserRelation for types.
func (s *Snapshot) EachUserType() iter.Seq[*Type] {
	return eachOf(s, func(x *index) []*Type { return x.userTypes },
		func(s *Snapshot, v *Type) bool { return s.replaced.types[v.OID] })
}

// EachUserFunction is EachUserRelation for functions.
func (s *Snapshot) EachUserFunction() iter.Seq[*Function] {
	return eachOf(s, func(x *index) []*Function { return x.userFunctions },
		func(s *Snapshot, v *Function) bool { return s.replaced.functions[v.OID] })
}

// EachPart goes through the indexes of a table and the sequences of its columns.
func (s *Snapshot) EachPart(table OID) iter.Seq[*Relation] {
	return eachOf(s, func(x *index) []*Relation { return x.parts[table] },
		func(s *Snapshot, v *Relation) bool { return s.replaced.relations[v.OID] })
}

// EachConstrainedType goes through the domains of a schema that have a constraint of a name.
func (s *Snapshot) EachConstrainedType(schema, constraint string) iter.Seq[OID] {
	key := name{s.real(schema), constraint}
	return eachRow(s, func(s *Snapshot) []OID { return s.index.domainConstraints[key] },
		func(s *Snapshot, oid OID) bool { return s.replaced.types[oid] })
}

// EachConstrained goes through the relations of a schema that have a constraint of a name.
func (s *Snapshot) EachConstrained(schema, constraint string) iter.Seq[OID] {
	key := name{s.real(schema), constraint}
	return eachRow(s, func(s *Snapshot) []OID { return s.index.constraints[key] },
		func(s *Snapshot, oid OID) bool { return s.replaced.relations[oid] })
}

func eachOf[T any](s *Snapshot, list func(*index) []*T, gone func(*Snapshot, *T) bool) iter.Seq[*T] {
	return eachRow(s, func(s *Snapshot) []*T { return list(&s.index) }, gone)
}

// eachRow goes through what the layers have of a kind, but for what those above replace.
func eachRow[T any](s *Snapshot, list func(*Snapshot) []T, gone func(*Snapshot, T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		var layers []*Snapshot
		for at := s; at != nil; at = at.base {
		rows:
			for _, row := range list(at) {
				for _, above := range layers {
					if gone(above, row) {
						continue rows
					}
				}
				if !yield(row) {
					return
				}
			}
			layers = append(layers, at)
		}
	}
}

func each[T any](s *Snapshot, list func(*Snapshot) []T, gone func(*Snapshot, *T) bool) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		var layers []*Snapshot
		for at := s; at != nil; at = at.base {
			own := at
			if at.base != nil {
				own = at.own
			}
			rows := list(own)
		rows:
			for i := range rows {
				for _, above := range layers {
					if gone(above, &rows[i]) {
						continue rows
					}
				}
				if !yield(&rows[i]) {
					return
				}
			}
			layers = append(layers, at)
		}
	}
}

// EachType goes through all types, those of an overlay first.
func (s *Snapshot) EachType() iter.Seq[*Type] {
	return each(s, func(s *Snapshot) []Type { return s.Types },
		func(s *Snapshot, v *Type) bool { return s.replaced.types[v.OID] })
}

// EachFunction goes through all functions, those of an overlay first.
func (s *Snapshot) EachFunction() iter.Seq[*Function] {
	return each(s, func(s *Snapshot) []Function { return s.Functions },
		func(s *Snapshot, v *Function) bool { return s.replaced.functions[v.OID] })
}

// EachOperator goes through all operators, those of an overlay first.
func (s *Snapshot) EachOperator() iter.Seq[*Operator] {
	return each(s, func(s *Snapshot) []Operator { return s.Operators },
		func(s *Snapshot, v *Operator) bool { return s.replaced.operators[v.OID] })
}
