package resolve

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// plainName names a type as the catalog does, so that it gets no type modifier.
func plainName(r *Resolver, oid catalog.OID) string {
	t := r.snap.TypeByOID(oid)
	return quote(t.Schema) + "." + quote(t.Name)
}

// TestCasts: between all pairs of types PostgreSQL casts as Coerce says.
func TestCasts(t *testing.T) {
	o := newOracle(t)
	r := o.resolver()
	p := &reporter{t: t}
	types := allTypes(t, o.snap)
	for _, from := range types {
		for _, to := range types {
			if from == Record || to == Record || to == Unknown {
				continue // The grammar has no such cast, or the row's columns decide.
			}
			var s statement
			sql := fmt.Sprintf("SELECT CAST(%s AS %s)", s.argument(from), plainName(r, to))
			tree, pgErr := o.understand(t, sql, s.parameters)
			got, err := r.Coerce(from, to, Explicit)
			p.report(func() error {
				if e := sameError(err, pgErr); e != nil || err != nil {
					return e
				}
				p.accepted++
				return sameCoercion(r, got, tree.target())
			}(), "%s to %s", r.Name(from), r.Name(to))
		}
	}
	p.end()
}

// TestAssignments: the same for what INSERT puts into a column.
func TestAssignments(t *testing.T) {
	o := newOracle(t)
	r := o.resolver()
	p := &reporter{t: t}
	types := allTypes(t, o.snap)
	for i, to := range types {
		if to == Record || to == Unknown {
			continue
		}
		o.run(t, fmt.Sprintf("CREATE TABLE target%d (c %s)", i, plainName(r, to)))
		for _, from := range types {
			if from == Record {
				continue
			}
			var s statement
			sql := fmt.Sprintf("INSERT INTO target%d VALUES (%s)", i, s.argument(from))
			tree, pgErr := o.understand(t, sql, s.parameters)
			got, err := r.Coerce(from, to, Assignment)
			p.report(func() error {
				if err != nil && pgErr != nil && pgErr.Code == datatypeMismatch && err.SQLState == cannotCoerce {
					return nil // Worded by the caller.
				}
				if e := sameError(err, pgErr); e != nil || err != nil {
					return e
				}
				p.accepted++
				return sameCoercion(r, got, tree.target())
			}(), "%s into %s", r.Name(from), r.Name(to))
		}
	}
	p.end()
}

// TestCommon: COALESCE, UNION, CASE and lists of IN take the common type that
// Common says.
func TestCommon(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	rng := rand.New(rand.NewPCG(7, 8))
	for _, path := range paths {
		o.setPath(t, path...)
		r := o.resolver()
		p := &reporter{t: t}
		for range rounds(500) {
			inputs := []catalog.OID{types[rng.IntN(len(types))], types[rng.IntN(len(types))], types[rng.IntN(len(types))]}
			for i := range inputs {
				switch rng.IntN(4) {
				case 0:
					inputs[i] = inputs[0]
				case 1:
					inputs[i] = r.Base(inputs[0])
				}
				if inputs[i] == Record {
					inputs[i] = Int4
				}
			}
			var s statement
			a, b, c := s.argument(inputs[0]), s.argument(inputs[1]), s.argument(inputs[2])
			context, sql := "COALESCE", fmt.Sprintf("SELECT COALESCE(%s, %s, %s)", a, b, c)
			switch rng.IntN(3) {
			case 0:
				context, sql = "CASE", fmt.Sprintf("SELECT CASE WHEN true THEN %s WHEN true THEN %s ELSE %s END", b, c, a)
			case 1:
				context, sql = "ARRAY", fmt.Sprintf("SELECT ARRAY[%s, %s, %s]", a, b, c)
			}
			tree, pgErr := o.understand(t, sql, s.parameters)
			got, err := r.Common(inputs, context)
			if context == "ARRAY" {
				got, _, err = r.ArrayConstructor(inputs, false)
			}
			p.report(func() error {
				if e := sameError(err, pgErr); e != nil || err != nil {
					return e
				}
				p.accepted++
				if n := tree.target(); n.resultType() != got {
					return fmt.Errorf("it is of type %s, not %s", r.Name(n.resultType()), r.Name(got))
				}
				return nil
			}(), "%v: %s of %v", path, context, typeNames(r, inputs))
		}
		p.end()
	}
}
