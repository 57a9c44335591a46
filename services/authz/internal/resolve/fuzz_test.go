package resolve

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
)

// small keeps of a catalog what a fuzz target can copy and index quickly.
func small(t testing.TB) *catalog.Snapshot {
	t.Helper()
	s := catalogtest.Empty(t, 15)
	s.Functions = slices.DeleteFunc(s.Functions, func(f catalog.Function) bool {
		return !slices.Contains([]string{"lower", "array_cat", "concat", "rank", "text", "int4", "unnest", "range_merge", "record_in"}, f.Name)
	})
	s.Operators = slices.DeleteFunc(s.Operators, func(o catalog.Operator) bool {
		return !slices.Contains([]string{"=", "||", "@>", "<", ">"}, o.Name)
	})
	s.Relations = slices.DeleteFunc(s.Relations, func(r catalog.Relation) bool {
		return !slices.Contains([]string{"pg_class", "pg_attribute", "pg_type"}, r.Name)
	})
	return s
}

// damage overwrites fields of a catalog: seven bytes say which row, which field
// and with what. Half of the values are types of the catalog, so that they make
// cycles.
func damage(base *catalog.Snapshot, data []byte) *catalog.Snapshot {
	s := &catalog.Snapshot{
		Schemas: base.Schemas, Types: slices.Clone(base.Types), Functions: slices.Clone(base.Functions),
		Operators: slices.Clone(base.Operators), Casts: slices.Clone(base.Casts),
		OperatorClasses: slices.Clone(base.OperatorClasses), Relations: slices.Clone(base.Relations),
	}
	for ; len(data) >= 7; data = data[7:] {
		row := int(binary.LittleEndian.Uint16(data[1:]))
		value := catalog.OID(binary.LittleEndian.Uint32(data[3:]))
		if data[0]&0x80 != 0 {
			value = s.Types[int(value%catalog.OID(len(s.Types)))].OID
		}
		typ := &s.Types[row%len(s.Types)]
		function := &s.Functions[row%len(s.Functions)]
		class := &s.OperatorClasses[row%len(s.OperatorClasses)]
		switch data[0] & 0x7f % 16 {
		case 0:
			typ.Kind, typ.Base = 'd', value
		case 1:
			typ.Element = value
		case 2:
			typ.Array = value
		case 3:
			typ.Kind, typ.Subtype = 'r', value
		case 4:
			typ.Kind, typ.Subtype = 'm', value
		case 5:
			typ.Kind, typ.Relation = 'c', value
		case 6:
			typ.Category, typ.Preferred = byte(value), value%2 == 0
		case 7:
			typ.OID = value
		case 8:
			function.Arguments = append(slices.Clone(function.Arguments), value)
			function.Defaults = int(value % 3)
		case 9:
			function.Variadic, function.Kind = value, "fpaw?"[value%5]
		case 10:
			function.AllArguments, function.ArgumentModes = []catalog.OID{value, value}, []byte("ob")[:value%3]
			function.ArgumentNames = []string{"a", "b", "c"}[:value%4]
		case 11:
			o := &s.Operators[row%len(s.Operators)]
			o.Left, o.Right, o.Function = value, typ.OID, value%2
		case 12:
			s.Casts = append(s.Casts, catalog.Cast{
				Source: typ.OID, Target: value, Context: "iae?"[value%4], Method: "fib?"[value/4%4], Function: value % 3,
			})
		case 13:
			class.Input, class.Default, class.Strategies = value, true, []int16{1, 3, 5}
		case 14:
			r := &s.Relations[row%len(s.Relations)]
			r.OID, r.Parents, r.OfType = value, []catalog.OID{value, r.OID}, typ.OID
			r.Columns = []catalog.Column{{Type: value}, {Type: typ.OID}}
		case 15:
			function.Aggregate = catalog.Aggregate{Kind: "noh?"[value%4], Direct: int(value % 7)}
		}
	}
	s.Index()
	return s
}

// FuzzDamaged: whatever a catalog holds, every question ends, without a panic,
// in an answer or an error that has a SQLSTATE.
func FuzzDamaged(f *testing.F) {
	base := small(f)
	f.Add([]byte{})
	for field := range byte(16) {
		f.Add([]byte{field | 0x80, 5, 0, 9, 0, 0, 0, field | 0x80, 9, 0, 5, 0, 0, 0, field, 3, 0, 23, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 7*40 {
			return
		}
		snap := damage(base, data)
		start := time.Now()
		ask(t, New(snap, []string{"pg_catalog", "public"}, 150000), snap)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
	})
}

// ask puts every kind of question to a resolver, about types that were damaged
// and about some that were not.
func ask(t *testing.T, r *Resolver, snap *catalog.Snapshot) {
	t.Helper()
	types := []catalog.OID{Unknown, Int4, Text, Record, 1007, 3904, 4451, anyarrayOID, 83, 0, 4242}
	for i := range snap.Types {
		if i < 16 {
			types = append(types, snap.Types[i].OID)
		}
	}
	check := func(err *Error) {
		if err != nil && (len(err.SQLState) != 5 || err.Message == "") {
			t.Fatalf("%+v", err)
		}
	}
	for i, a := range types {
		b := types[(i*7+3)%len(types)]
		r.Name(a)
		r.Sort(a)
		r.LengthCoercion(a)
		for ctx := Implicit; ctx <= Explicit; ctx++ {
			c, err := r.Coerce(a, b, ctx)
			check(err)
			if err == nil && slices.Contains(c.Functions, 0) {
				t.Fatalf("a coercion runs no function: %+v", c)
			}
		}
		_, err := r.Common([]catalog.OID{a, b, Int4}, "UNION")
		check(err)
		for _, name := range []string{"=", "||", "@>"} {
			o, err := r.Operator("", name, a, b)
			check(err)
			if (err == nil) != (o.Operator != nil) {
				t.Fatalf("%+v, %v", o, err)
			}
			_, err = r.ArrayOperator("", name, a, b)
			check(err)
		}
		for _, name := range []string{"lower", "array_cat", "concat", "rank", "text", "unnest"} {
			for _, c := range []Call{
				{Name: name, Arguments: []Argument{{Type: a}}},
				{Name: name, Arguments: []Argument{{Type: a}, {Type: b}}, Variadic: true},
				{Name: name, Arguments: []Argument{{Type: a}, {Type: b, Name: "b"}}},
				{Name: name, Arguments: []Argument{{Type: a}, {Type: b}}, Ordered: 1, WithinGroup: true},
				{Name: name, Arguments: []Argument{{Type: a}}, Procedure: true},
			} {
				got, err := r.Call(c)
				check(err)
				if err != nil && got.Kind != NotFound || err == nil && got.Kind != Cast && got.Function == nil {
					t.Fatalf("%+v: %+v, %v", c, got, err)
				}
			}
		}
	}
}
