package resolve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// quote writes a name so that no grammar rule takes it for its own.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// TestFunctions: for functions of any name and arguments near to what some
// overload takes PostgreSQL takes the function, and the coercions, that Call
// says.
func TestFunctions(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	var own []string
	for i := range o.snap.Functions {
		if o.snap.Functions[i].OID >= catalog.FirstNormalOID {
			own = append(own, o.snap.Functions[i].Name)
		}
	}
	for seed, path := range paths {
		t.Run(fmt.Sprint(path), func(t *testing.T) {
			o.setPath(t, path...)
			r := o.resolver()
			rng := rand.New(rand.NewPCG(5, uint64(seed)))
			p := &reporter{t: t}
			for range rounds(1500) {
				f := &o.snap.Functions[rng.IntN(len(o.snap.Functions))]
				if rng.IntN(2) == 0 {
					named := o.snap.FunctionsNamed(own[rng.IntN(len(own))])
					f = named[rng.IntN(len(named))]
				}
				tryCall(t, o, r, p, randomCall(rng, r, f, types))
			}
			p.end()
		})
	}
}

// concrete replaces a polymorphic or pseudo-type by something that could be
// passed for it.
func concrete(rng *rand.Rand, r *Resolver, t catalog.OID, types []catalog.OID) catalog.OID {
	typ := r.snap.TypeByOID(t)
	if typ == nil || typ.Kind != 'p' || t == Record {
		return t
	}
	// A few tries for one of the right kind; the wrong ones are worth asking about
	// too.
	for range 20 {
		c := types[rng.IntN(len(types))]
		if c != Unknown && r.consistent([]catalog.OID{c}, []catalog.OID{t}) && polymorphic(t) {
			return c
		}
	}
	return types[rng.IntN(len(types))]
}

// randomCall makes a call like one of a function.
func randomCall(rng *rand.Rand, r *Resolver, f *catalog.Function, types []catalog.OID) Call {
	c := Call{Name: f.Name}
	if rng.IntN(5) == 0 {
		c.Schema = f.Schema
	}
	parameters := f.Arguments
	if f.Kind == 'p' {
		c.Procedure = rng.IntN(20) > 0
		if len(f.AllArguments) > 0 {
			parameters = f.AllArguments
		}
	}
	same := types[rng.IntN(len(types))]
	for _, t := range parameters {
		if polymorphic(t) && rng.IntN(2) == 0 {
			c.Arguments = append(c.Arguments, Argument{Type: same})
			continue
		}
		c.Arguments = append(c.Arguments, Argument{Type: concrete(rng, r, t, types)})
	}
	if f.Variadic != 0 && len(c.Arguments) > 0 {
		last := &c.Arguments[len(c.Arguments)-1]
		if rng.IntN(2) == 0 {
			c.Variadic = true
		} else if e := r.ElementOf(last.Type); e != 0 {
			last.Type = e
			for range rng.IntN(3) {
				c.Arguments = append(c.Arguments, Argument{Type: e})
			}
		}
	}
	mutate(rng, r, &c, f, types)
	return c
}

// mutate changes a call in a few places.
func mutate(rng *rand.Rand, r *Resolver, c *Call, f *catalog.Function, types []catalog.OID) {
	for range rng.IntN(3) {
		if len(c.Arguments) == 0 {
			break
		}
		a := &c.Arguments[rng.IntN(len(c.Arguments))]
		switch rng.IntN(6) {
		case 0, 1:
			a.Type = Unknown
		case 2:
			a.Type = types[rng.IntN(len(types))]
		case 3:
			a.Type = r.Base(a.Type)
		case 4:
			c.Arguments = c.Arguments[:len(c.Arguments)-1]
		case 5:
			c.Arguments = append(c.Arguments, Argument{Type: types[rng.IntN(len(types))]})
		}
	}
	if len(f.ArgumentNames) > 0 && len(c.Arguments) > 0 && rng.IntN(2) == 0 {
		from := rng.IntN(len(c.Arguments))
		for i := from; i < len(c.Arguments) && i < len(f.ArgumentNames); i++ {
			c.Arguments[i].Name = f.ArgumentNames[i]
		}
		if rng.IntN(2) == 0 {
			rng.Shuffle(len(c.Arguments)-from, func(i, j int) {
				c.Arguments[from+i], c.Arguments[from+j] = c.Arguments[from+j], c.Arguments[from+i]
			})
		}
		if rng.IntN(3) == 0 {
			c.Arguments = slices.Delete(c.Arguments, from, from+1)
		}
	}
	if len(c.Arguments) == 0 {
		c.Variadic = false
	}
	// No domain stands in for a missing type.
	for i := range c.Arguments {
		if r.Base(c.Arguments[i].Type) == 0 {
			c.Arguments[i].Type = Unknown
		}
	}
	switch f.Kind {
	case 'a':
		mutateAggregate(rng, c, f)
	case 'w':
		c.Over = rng.IntN(10) > 0
	default:
		if rng.IntN(40) == 0 {
			c.Over = true
		}
	}
	if rng.IntN(30) == 0 && !c.Procedure {
		c.Filter = true
	}
	if c.Procedure {
		c.Star, c.Distinct, c.WithinGroup, c.Filter, c.Over, c.OrderBy = false, false, false, false, false, false
	}
}

func mutateAggregate(rng *rand.Rand, c *Call, f *catalog.Function) {
	switch {
	case f.Aggregate.Kind != 'n' && rng.IntN(20) > 0:
		c.WithinGroup = true
		c.Variadic = false
		c.Ordered = max(0, len(c.Arguments)-f.Aggregate.Direct)
		if f.Aggregate.Kind == 'h' {
			n := 1 + rng.IntN(2)
			if rng.IntN(6) > 0 {
				c.Arguments = slices.Concat(c.Arguments, c.Arguments, c.Arguments)[:min(2*n, 3*len(c.Arguments))]
			}
			c.Ordered = min(n, len(c.Arguments))
		}
		if c.Ordered == 0 {
			c.WithinGroup = false
		}
	case len(c.Arguments) == 0:
		c.Star = rng.IntN(10) > 0
	case rng.IntN(6) == 0 && !c.Variadic:
		c.Distinct = true
	case rng.IntN(6) == 0:
		c.OrderBy = true
	}
	if rng.IntN(8) == 0 {
		c.Over = true
	}
}

// text writes a call as SQL.
func (s *statement) text(c *Call) string {
	var b strings.Builder
	if c.Procedure {
		b.WriteString("CALL ")
	} else {
		b.WriteString("SELECT ")
	}
	if c.Schema != "" {
		b.WriteString(quote(c.Schema) + ".")
	}
	b.WriteString(quote(c.Name) + "(")
	if c.Star {
		b.WriteByte('*')
	}
	if c.Distinct {
		b.WriteString("DISTINCT ")
	}
	for i, a := range c.Arguments {
		if c.WithinGroup && i == len(c.Arguments)-c.Ordered {
			b.WriteString(") WITHIN GROUP (ORDER BY ")
		} else if i > 0 {
			b.WriteString(", ")
		}
		if c.Variadic && i == len(c.Arguments)-1 {
			b.WriteString("VARIADIC ")
		}
		if a.Name != "" {
			b.WriteString(quote(a.Name) + " => ")
		}
		b.WriteString(s.argument(a.Type))
	}
	if c.OrderBy {
		b.WriteString(" ORDER BY true")
	}
	b.WriteByte(')')
	if c.Filter {
		b.WriteString(" FILTER (WHERE true)")
	}
	if c.Over {
		b.WriteString(" OVER ()")
	}
	return b.String()
}

func tryCall(t *testing.T, o *oracle, r *Resolver, p *reporter, c Call) {
	t.Helper()
	var s statement
	sql := s.text(&c)
	tree, pgErr := o.understand(t, sql, s.parameters)
	c.DefaultType = defaultType
	got, err := r.Call(c)
	p.report(func() error {
		if c.Name == "unknownin" || pgErr != nil && notResolution(pgErr.Code, pgErr.Message) {
			return nil
		}
		if err == nil && rowRefused(pgErr, got.Coercions...) {
			return nil
		}
		// A column of a row argument is for the caller of Call to find.
		if pgErr == nil && err != nil && err.SQLState == undefinedFunction && tree.target().label == "FIELDSELECT" {
			return nil
		}
		if e := sameError(err, pgErr); e != nil || err != nil {
			return e
		}
		p.accepted++
		if c.Procedure {
			oid, e := o.call(len(s.parameters))
			var refused *pgconn.PgError
			if errors.As(e, &refused) && refused.Code == featureNotSupported {
				return nil // PL/pgSQL does not take all types.
			}
			if e == nil && (got.Kind != Procedure || got.Function.OID != oid) {
				e = fmt.Errorf("it calls %d, not %+v", oid, got.Function)
			}
			return e
		}
		return sameFunction(r, got, tree.target())
	}(), "%s with %v", sql, typeNames(r, s.parameters))
}

func typeNames(r *Resolver, types []catalog.OID) []string {
	var out []string
	for _, t := range types {
		out = append(out, r.Name(t))
	}
	return out
}

// notResolution reports errors that parse analysis gives for other reasons: where
// a set or an aggregate stands, and what an input function says of a literal.
func notResolution(code, message string) bool {
	return code == "0A000" && (strings.HasPrefix(message, "set-returning") || strings.Contains(message, "is not allowed") ||
		strings.HasPrefix(message, "cannot accept") || strings.HasPrefix(message, "cannot display")) ||
		code == "42803" || code == "42P20" ||
		strings.HasPrefix(message, "could not identify an ordering operator") ||
		strings.HasPrefix(message, "could not identify an equality operator")
}

// defaultType knows the defaults of polymorphic parameters in testdata/schema.sql:
// they are 0 or, of dp's array, NULL.
func defaultType(f *catalog.Function, parameter int) catalog.OID {
	if f.Arguments[parameter] == anyarrayOID {
		return anyarrayOID
	}
	return Int4
}
