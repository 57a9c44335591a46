package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// subject is an object that a statement changes.
type subject struct {
	kind objectKind
	// relation is the relation it is, or is part of; nil for others, and for what may
	// be missing and is.
	relation *catalog.Relation
	// schemas are those it can be in.
	schemas []string
	name    string
}

// changes asks for what changing an object takes: ddl on its schema, or admin on the
// database for those of none.
func (a *analyzer) changes(typ pg_query.ObjectType, object *pg_query.Node, rv *pg_query.RangeVar, missingOK bool) (subject, error) {
	k := a.objects[typ]
	s := subject{kind: k}
	var err error
	switch k.form {
	case relationForm:
		if rv == nil {
			if rv, err = listed(object.GetList().GetItems()); err != nil {
				return s, err
			}
		}
		s.relation, err = a.altered(rv, missingOK)
		s.name = rv.Relname
	case partForm:
		if rv == nil {
			items := object.GetList().GetItems()
			if len(items) < 2 {
				return s, deny(access.Construct, "a part of a relation")
			}
			if rv, err = listed(items[:len(items)-1]); err != nil {
				return s, err
			}
		}
		if s.relation, err = a.altered(rv, missingOK); err == nil && s.relation != nil {
			err = a.altersFamily(s.relation)
		}
	case routineForm:
		if err = a.changesRoutine(&s, object.GetObjectWithArgs().GetObjname()); err == nil {
			err = a.namesArguments(object.GetObjectWithArgs())
		}
	case typeForm:
		names := object.GetTypeName().GetNames()
		if object.GetTypeName() == nil {
			names = object.GetList().GetItems()
		}
		err = a.changesType(&s, names)
	case typePartForm:
		items := object.GetList().GetItems()
		if len(items) > 0 && items[0].GetTypeName() != nil {
			items = items[0].GetTypeName().GetNames()
		}
		err = a.changesType(&s, items)
	case qualifiedForm:
		err = a.changesQualified(&s, object.GetList().GetItems())
	case schemaForm:
		s.name = object.GetString_().GetSval()
		s.schemas = []string{s.name}
		if err = a.ddlIn(s.name); err == nil {
			err = a.guardSchema(s.name)
		}
	case globalForm:
		if err = a.onDatabase(); typ == pg_query.ObjectType_OBJECT_DATABASE && object != nil {
			a.ask(access.Admin, access.Object{Kind: access.Database, Name: object.GetString_().GetSval()})
		}
		if err == nil {
			err = a.bindsGlobal(k, object, missingOK)
		}
	default:
		err = deny(access.Construct, "an object of its type")
	}
	if s.relation != nil {
		s.schemas = []string{s.relation.Schema}
	}
	return s, err
}

// onDatabase asks for admin on the database.
func (a *analyzer) onDatabase() error {
	a.ask(access.Admin, a.database())
	return nil
}

// guardSchema notes every relation of a schema as changed.
func (a *analyzer) guardSchema(schema string) error {
	for rel := range a.snap.EachRelation() {
		if err := a.spend(1); err != nil {
			return err
		}
		if rel.Schema == schema && (holdsRows(rel) || rel.Kind == catalog.KindView || rel.Kind == catalog.KindSequence) {
			a.guard(relationObject(rel))
		}
	}
	return nil
}

// changesRoutine asks for ddl on each schema that the name of a function or operator can
// mean. One that pg_catalog has as well is denied: it may mean that one.
func (a *analyzer) changesRoutine(s *subject, names []*pg_query.Node) error {
	schema, name, err := qualified(names)
	if err != nil {
		return err
	}
	s.name = name
	if schema != "" {
		s.schemas = []string{schema}
	} else if s.schemas, err = a.homes(name, s.kind.kind == pg_query.ObjectType_OBJECT_OPERATOR); err != nil {
		return err
	}
	for _, f := range a.snap.FunctionsNamed(name) {
		for _, home := range s.schemas {
			if f.Schema == home && s.kind.kind != pg_query.ObjectType_OBJECT_OPERATOR {
				a.guardFunction(f)
			}
		}
	}
	return a.ddlInAll(s.schemas)
}

// namesArguments asks for what naming a routine's argument types needs: usage of their
// schemas (LookupFuncWithArgs). What a type is that is not there, the server says.
func (a *analyzer) namesArguments(o *pg_query.ObjectWithArgs) error {
	nodes := slices.Clone(o.GetObjargs())
	for _, node := range o.GetObjfuncargs() {
		nodes = append(nodes, &pg_query.Node{Node: &pg_query.Node_TypeName{TypeName: node.GetFunctionParameter().GetArgType()}})
	}
	for _, node := range nodes {
		schema, name, err := qualified(node.GetTypeName().GetNames())
		if node.GetTypeName() == nil || err != nil {
			continue
		}
		if err := a.spend(len(a.path)); err != nil {
			return err
		}
		if t, bad := a.names().Type(schema, name); bad == nil && t != nil {
			a.named(t.Schema)
		}
	}
	return nil
}

// guardFunction notes a function as changed: a deny on it speaks.
func (a *analyzer) guardFunction(f *catalog.Function) {
	object := a.functionObject(f)
	key := entryKey{action: access.DDL, kind: object.Kind, schema: object.Schema, name: object.Name,
		arguments: strings.Join(object.Arguments, "\x00"), within: true}
	a.current.find(key, object, object, nil)
}

// homes lists the schemas of the path that have a function or operator of a name, or
// all of them when none has.
func (a *analyzer) homes(name string, operator bool) ([]string, error) {
	has := map[string]bool{}
	for _, f := range a.snap.FunctionsNamed(name) {
		has[f.Schema] = has[f.Schema] || !operator
	}
	for _, o := range a.snap.OperatorsNamed(name) {
		has[o.Schema] = has[o.Schema] || operator
	}
	if has[schemaCatalog] {
		return nil, deny(access.UnknownObject, "a name that pg_catalog has as well")
	}
	var homes []string
	for _, schema := range a.path.foreign() {
		if has[schema] {
			homes = append(homes, schema)
		}
	}
	if len(homes) == 0 {
		homes = a.path.foreign()
	}
	return homes, a.spend(len(has))
}

// changesType does the same for a type.
func (a *analyzer) changesType(s *subject, names []*pg_query.Node) error {
	schema, name, err := qualified(names)
	if err != nil {
		return err
	}
	s.name = name
	if schema != "" {
		s.schemas = []string{schema}
	} else {
		for _, candidate := range a.path {
			if t := a.snap.TypeByName(candidate, name); t != nil {
				s.schemas = []string{candidate}
				if err := a.eclipsesTypes(t); err != nil {
					return err
				}
				break
			}
		}
		if len(s.schemas) == 0 {
			s.schemas = a.path.foreign()
		}
	}
	for _, home := range s.schemas {
		a.guard(access.Object{Kind: access.Type, Schema: home, Name: name})
	}
	return a.ddlInAll(s.schemas)
}

// changesQualified is for types of object that the snapshot does not list: a name
// without a schema means whatever the path has, in pg_catalog too.
func (a *analyzer) changesQualified(s *subject, names []*pg_query.Node) error {
	schema, name, err := qualified(names)
	if err != nil {
		return err
	}
	s.name, s.schemas = name, []string{schema}
	if schema == "" && s.kind.kind == pg_query.ObjectType_OBJECT_STATISTIC_EXT {
		s.schemas = a.path.foreign()
	} else if schema == "" {
		return deny(access.UnknownObject, "a "+s.kind.words+" without its schema")
	}
	return a.ddlInAll(s.schemas)
}

func (a *analyzer) ddlInAll(schemas []string) error {
	if len(schemas) == 0 {
		return deny(access.UnknownObject, "an object without a schema")
	}
	for _, schema := range schemas {
		if err := a.ddlIn(schema); err != nil {
			return err
		}
	}
	return nil
}

// namedDDL asks for ddl on an object of two names, or of one over the whole path.
func (a *analyzer) namedDDL(names []*pg_query.Node) error {
	s := subject{kind: a.objects[pg_query.ObjectType_OBJECT_STATISTIC_EXT]}
	return a.changesQualified(&s, names)
}
