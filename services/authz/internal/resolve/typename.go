package resolve

import (
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// temporary reports a schema of temporary objects. PostgreSQL looks for types
// there, but never for functions and operators (namespace.c).
func temporary(schema string) bool {
	return schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_")
}

// Type finds a type by the name that pg_type gives it, row types included, or
// answers as typenameType would: 42704 for a missing one and for a shell, 3F000
// for a missing schema. An empty schema stands for the search path.
func (r *Resolver) Type(schema, name string) (*catalog.Type, *Error) {
	t, err := r.lookupType(schema, name, true)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errorf(undefinedObject, "type \"%s\" does not exist", qualified(schema, name))
	}
	if t.Input == shellInput {
		return nil, errorf(undefinedObject, "type \"%s\" is only a shell", qualified(schema, name))
	}
	return t, nil
}

// Shell finds a type by name that is only a shell; nil for another type or none.
func (r *Resolver) Shell(schema, name string) *catalog.Type {
	t, err := r.lookupType(schema, name, true)
	if err != nil || t == nil || t.Input != shellInput {
		return nil
	}
	return t
}

// Missing reports whether there is no type of a name, not even a shell, in a schema
// that is there.
func (r *Resolver) Missing(schema, name string) bool {
	t, err := r.lookupType(schema, name, true)
	return err == nil && t == nil
}

// lookupType is LookupTypeNameExtended without arrays and modifiers: nil when
// there is none.
func (r *Resolver) lookupType(schema, name string, temp bool) (*catalog.Type, *Error) {
	if schema != "" {
		if err := r.namespace(schema); err != nil {
			return nil, err
		}
		return r.snap.TypeByName(schema, name), nil
	}
	for _, s := range r.path {
		if !temp && temporary(s) {
			continue
		}
		if t := r.snap.TypeByName(s, name); t != nil {
			return t, nil
		}
	}
	return nil, nil //nolint:nilnil // No type and no error: the caller words what that means.
}

// namespace is LookupExplicitNamespace.
func (r *Resolver) namespace(schema string) *Error {
	if !r.snap.SchemaExists(schema) {
		return errorf(undefinedSchema, "schema \"%s\" does not exist", schema)
	}
	return nil
}

// functionAsType is FuncNameAsType: the type that a function of this name could
// be a cast to, or 0.
func (r *Resolver) functionAsType(schema, name string) catalog.OID {
	t, err := r.lookupType(schema, name, false)
	if err != nil || t == nil || t.Input == shellInput || t.Relation != 0 {
		return 0
	}
	return t.OID
}
