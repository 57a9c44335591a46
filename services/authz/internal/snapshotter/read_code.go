package snapshotter

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func (r *reader) readTypes(ctx context.Context) error {
	var kind, category, details string
	var v catalog.Type
	into := []any{
		&v.OID, &v.Schema, &v.Name, &kind, &category, &v.Preferred, &v.Element, &v.Base, &v.Relation, &v.Default, &details,
	}
	return r.each(ctx, queryTypes, into, func() error {
		v.Kind, v.Category = char(kind), char(category)
		v.Details = sha256.Sum256([]byte(details))
		r.types[v.OID] = len(r.s.Types)
		r.s.Types = append(r.s.Types, v)
		return nil
	})
}

func (r *reader) functions(ctx context.Context) error {
	var kind, volatility string
	var details []byte
	var v catalog.Function
	into := []any{
		&v.OID, &v.Schema, &v.Name, &kind, &v.Arguments, &v.Variadic, &v.Defaults, &v.Result, &v.ReturnSet,
		&v.SecurityDefiner, &v.Language, &volatility, &v.Leakproof, &v.Owner, &v.Extension, &details,
	}
	return r.each(ctx, queryFunctions, into, func() error {
		if len(details) != sha256.Size {
			return errors.New("a digest has another length")
		}
		v.Kind, v.Volatility = char(kind), char(volatility)
		v.Details = [sha256.Size]byte(details)
		r.s.Functions = append(r.s.Functions, v)
		v = catalog.Function{} // The next row must not write into this one's slices.
		return nil
	})
}

func (r *reader) operators(ctx context.Context) error {
	var v catalog.Operator
	into := []any{&v.OID, &v.Schema, &v.Name, &v.Left, &v.Right, &v.Result, &v.Function}
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

func (r *reader) settings(ctx context.Context) error {
	var v catalog.Setting
	return r.each(ctx, querySettings, []any{&v.Name, &v.Context}, func() error {
		r.s.Settings = append(r.s.Settings, v)
		return nil
	})
}
