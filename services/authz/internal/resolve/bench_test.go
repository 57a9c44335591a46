package resolve

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
)

func BenchmarkResolve(b *testing.B) {
	snap := catalogtest.Empty(b, 15)
	snap.Index()
	r := New(snap, []string{"pg_catalog", "public"}, snap.ServerVersionNum)
	operator := func(name string, left, right catalog.OID) func() *Error {
		return func() *Error {
			_, err := r.Operator("", name, left, right)
			return err
		}
	}
	call := func(name string, types ...catalog.OID) func() *Error {
		c := Call{Name: name}
		for _, t := range types {
			c.Arguments = append(c.Arguments, Argument{Type: t})
		}
		return func() *Error {
			_, err := r.Call(c)
			return err
		}
	}
	for _, bench := range []struct {
		name string
		run  func() *Error
	}{
		{"Operator(int4 = int4)", operator("=", Int4, Int4)},
		{"Operator(int4 = unknown)", operator("=", Int4, Unknown)},
		{"Operator(varchar = text)", operator("=", 1043, Text)},
		{"Operator(int4 = numeric)", operator("=", Int4, Numeric)},
		{"Call(lower(text))", call("lower", Text)},
		{"Call(lower(unknown))", call("lower", Unknown)},
		{"Call(abs(int2))", call("abs", 21)},
		{"Call(now())", call("now")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
