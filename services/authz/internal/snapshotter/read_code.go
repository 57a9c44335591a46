package snapshotter

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// present drops the zeros, which stand for no function.
func present(oids []catalog.OID) []catalog.OID {
	return slices.DeleteFunc(oids, func(o catalog.OID) bool { return o == 0 })
}

func (r *reader) readTypes(ctx context.Context) error {
	var kind, category, details string
	var depends []int64
	var v catalog.Type
	into := []any{
		&v.OID, &v.Schema, &v.Name, &kind, &category, &v.Preferred, &v.Element, &v.Base, &v.Relation, &v.Array,
		&v.Subtype, &v.SubtypeClass, &v.Input, &v.Output, &v.Support, &v.Owner, &v.Extension, &v.NotNull,
		&v.Default, &depends, &details,
	}
	each := func() error {
		v.Kind, v.Category = char(kind), char(category)
		v.Support = present(v.Support)
		if len(depends) > 0 || v.Kind == 'd' {
			v.References = references(v.Default, depends)
		}
		v.Details = sha256.Sum256([]byte(details))
		r.types[v.OID] = len(r.s.Types)
		r.s.Types = append(r.s.Types, v)
		v = catalog.Type{} // The next row must not write into this one's slices.
		return nil
	}
	if r.only == nil {
		return r.each(ctx, queryTypes, into, each)
	}
	return r.eachOf(ctx, queryTypes, "t.oid = ANY ($1::pg_catalog.oid[])", into, each, r.only.types)
}

func (r *reader) readLabels(ctx context.Context) error {
	var typ, oid catalog.OID
	var label string
	each := func() error {
		if r.labels[typ] == nil {
			r.labels[typ] = make(map[catalog.OID]string)
		}
		r.labels[typ][oid] = label
		return nil
	}
	into := []any{&typ, &oid, &label}
	if r.only == nil {
		return r.each(ctx, queryLabels, into, each)
	}
	return r.eachOf(ctx, queryLabels, "e.enumtypid = ANY ($1::pg_catalog.oid[])", into, each, r.only.types)
}

func (r *reader) readFunctions(ctx context.Context) error {
	var kind, volatility, modes, aggregate string
	var details []byte
	var depends []int64
	var body bool
	var v catalog.Function
	into := []any{
		&v.OID, &v.Schema, &v.Name, &kind, &v.Arguments, &v.Variadic, &v.Defaults, &v.Result, &v.ReturnSet,
		&v.SecurityDefiner, &v.Language, &volatility, &v.Leakproof, &v.Owner, &v.Extension,
		&v.AllArguments, &modes, &v.ArgumentNames, &v.DefaultExpressions, &v.Strict, &v.Library, &v.Symbol,
		&v.Body, &body, &depends, &v.Settings, &v.SupportFunction,
		&aggregate, &v.Aggregate.Direct, &v.Aggregate.SortOperator, &v.Aggregate.Functions, &details,
	}
	each := func() error {
		if len(details) != sha256.Size {
			return errors.New("a digest has another length")
		}
		v.Kind, v.Volatility, v.Aggregate.Kind = char(kind), char(volatility), char(aggregate)
		if modes != "" {
			v.ArgumentModes = []byte(modes)
		}
		v.Aggregate.Functions = present(v.Aggregate.Functions)
		v.Details = [sha256.Size]byte(details)
		at := len(r.s.Functions)
		if body {
			v.StandardBody = catalog.Unreadable
			r.later(textBody, v.OID, object{pgProc, v.OID}, single(func() *string { return &r.s.Functions[at].StandardBody }))
		}
		r.functions[v.OID] = at
		if v.OID >= catalog.FirstNormalOID {
			v.References = references(v.StandardBody+strings.Join(v.DefaultExpressions, ""), depends)
		}
		r.s.Functions = append(r.s.Functions, v)
		v = catalog.Function{} // The next row must not write into this one's slices.
		return nil
	}
	if r.only == nil {
		return r.each(ctx, queryFunctions, into, each)
	}
	return r.eachOf(ctx, queryFunctions, "p.oid = ANY ($1::pg_catalog.oid[])", into, each, r.only.functions)
}

func (r *reader) operators(ctx context.Context) error {
	var v catalog.Operator
	into := []any{&v.OID, &v.Schema, &v.Name, &v.Left, &v.Right, &v.Result, &v.Function, &v.Commutator, &v.Negator, &v.Hashes, &v.Merges,
		&v.Restrict, &v.Join}
	return r.each(ctx, queryOperators, into, func() error {
		r.s.Operators = append(r.s.Operators, v)
		return nil
	})
}

func (r *reader) casts(ctx context.Context) error {
	var castContext, method string
	var v catalog.Cast
	into := []any{&v.OID, &v.Source, &v.Target, &v.Function, &castContext, &method}
	return r.each(ctx, queryCasts, into, func() error {
		v.Context, v.Method = char(castContext), char(method)
		r.s.Casts = append(r.s.Casts, v)
		return nil
	})
}

func (r *reader) operatorClasses(ctx context.Context) error {
	var v catalog.OperatorClass
	into := []any{
		&v.OID, &v.Schema, &v.Name, &v.Method, &v.Input, &v.Key, &v.Default, &v.Family,
		&v.Functions, &v.Numbers, &v.Operators, &v.Strategies,
		&v.FamilyFunctions, &v.FamilyOperators, &v.FamilyStrategies,
	}
	return r.each(ctx, queryOperatorClasses, into, func() error {
		r.s.OperatorClasses = append(r.s.OperatorClasses, v)
		v = catalog.OperatorClass{} // The next row must not write into this one's slices.
		return nil
	})
}

func (r *reader) collations(ctx context.Context) error {
	var v catalog.Collation
	return r.each(ctx, queryCollations, []any{&v.OID, &v.Schema, &v.Name}, func() error {
		r.s.Collations = append(r.s.Collations, v)
		return nil
	})
}

func (r *reader) roles(ctx context.Context) error {
	var path string
	if r.serverPath {
		if err := r.each(ctx, querySearchPath, []any{&path}, func() error { return nil }); err != nil {
			return err
		}
	}
	var v catalog.Role
	into := []any{&v.OID, &v.Name, &v.Login, &v.Superuser, &v.Inherit, &v.BypassRowSecurity, &v.SearchPath, &v.MemberOf, &v.NotInherited}
	return r.each(ctx, queryRoles, into, func() error {
		r.s.Roles = append(r.s.Roles, v)
		v = catalog.Role{} // The next row must not write into this one's slices.
		return nil
	}, path)
}

func (r *reader) extensions(ctx context.Context) error {
	var v catalog.Extension
	return r.each(ctx, queryExtensions, []any{&v.OID, &v.Name, &v.Schema, &v.Version}, func() error {
		r.s.Extensions = append(r.s.Extensions, v)
		return nil
	})
}

func (r *reader) eventTriggers(ctx context.Context) error {
	var v catalog.EventTrigger
	var enabled string
	return r.each(ctx, queryEventTriggers, []any{&v.OID, &v.Name, &v.Event, &v.Function, &enabled, &v.Tags}, func() error {
		v.Enabled = char(enabled)
		r.s.EventTriggers = append(r.s.EventTriggers, v)
		v = catalog.EventTrigger{} // The next row must not write into this one's slices.
		return nil
	})
}

func (r *reader) globals(ctx context.Context) error {
	var v catalog.Global
	var kind string
	return r.each(ctx, queryGlobals, []any{&kind, &v.OID, &v.Name, &v.Wrapper, &v.Trusted, &v.Inline}, func() error {
		v.Kind = catalog.GlobalKind(char(kind))
		r.s.Globals = append(r.s.Globals, v)
		return nil
	})
}

func (r *reader) settings(ctx context.Context) error {
	var v catalog.Setting
	return r.each(ctx, querySettings, []any{&v.Name, &v.Context}, func() error {
		r.s.Settings = append(r.s.Settings, v)
		return nil
	})
}

func (r *reader) textSearch(ctx context.Context) error {
	var names string
	return r.each(ctx, queryTextSearch, []any{&names}, func() error {
		r.s.TextSearch = sha256.Sum256([]byte(names))
		return nil
	})
}
