package resolve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// arguments makes arguments of types by name: a built-in one, one of the schema,
// "unknown", or "name => type".
func arguments(t *testing.T, snap *catalog.Snapshot, names ...any) []Argument {
	t.Helper()
	var out []Argument
	for _, n := range names {
		switch n := n.(type) {
		case Argument:
			out = append(out, n)
		case string:
			typ := snap.TypeByName("pg_catalog", n)
			if typ == nil {
				typ = snap.TypeByName("public", n)
			}
			if typ == nil {
				t.Fatalf("there is no type %s", n)
			}
			out = append(out, Argument{Type: typ.OID})
		default:
			t.Fatalf("no argument: %v", n)
		}
	}
	return out
}

// TestHardCalls: calls that each show a rule; those marked are accepted by
// PostgreSQL, the others refused, and Call does and says the same.
func TestHardCalls(t *testing.T) {
	o := newOracle(t)
	named := func(name, typ string) Argument {
		a := arguments(t, o.snap, typ)[0]
		a.Name = name
		return a
	}
	for _, c := range []struct {
		accepted bool
		call     Call
		types    []any
	}{
		// Exact match before a domain's base; a domain's own function by exact match only.
		{true, Call{Name: "f"}, []any{"int4"}},
		{true, Call{Name: "f"}, []any{"d_int"}},
		{true, Call{Name: "f"}, []any{"d_int2"}},
		{true, Call{Name: "f"}, []any{"d_text"}},
		{true, Call{Name: "f"}, []any{"varchar"}},
		{true, Call{Name: "f"}, []any{"child"}},
		{true, Call{Name: "f"}, []any{"unknown"}},
		{false, Call{Name: "f"}, []any{"int2", "int2"}},
		{true, Call{Name: "f"}, []any{"int4", "unknown"}},
		{false, Call{Name: "f"}, []any{"text", "int4"}},
		{false, Call{Name: "nosuch"}, []any{"text", "int4"}},
		{false, Call{Name: "nosuch", Schema: "nosuch"}, []any{"text"}},
		{false, Call{Name: "f", Schema: "nosuch"}, nil},
		// VARIADIC, expanded and not.
		{true, Call{Name: "v"}, []any{"int4"}},
		{true, Call{Name: "v"}, []any{"int4", "int4", "int2"}},
		{true, Call{Name: "v", Variadic: true}, []any{"_int4"}},
		{true, Call{Name: "v"}, []any{"unknown", "text"}},
		{true, Call{Name: "vc"}, []any{"int4", "numeric", "unknown"}},
		{false, Call{Name: "va"}, []any{"int4", "numeric"}},
		{true, Call{Name: "vx", Variadic: true}, []any{"int4", "_text"}},
		{false, Call{Name: "vx", Variadic: true}, []any{"int4", "text"}},
		{true, Call{Name: "concat"}, []any{"int4", "unknown", "json"}},
		// Named and mixed notation, defaults.
		{true, Call{Name: "d"}, []any{"int4"}},
		{false, Call{Name: "d"}, []any{"date"}},
		{true, Call{Name: "d"}, []any{"date", "int4"}},
		{true, Call{Name: "n"}, []any{named("b", "text"), named("a", "int4"), named("d", "int4")}},
		{true, Call{Name: "n"}, []any{"int4", "text", named("d", "int4")}},
		{false, Call{Name: "n"}, []any{named("a", "int4"), "text"}},
		{false, Call{Name: "n"}, []any{named("a", "int4"), named("a", "int4")}},
		{false, Call{Name: "n"}, []any{named("nosuch", "int4")}},
		{true, Call{Name: "n", Variadic: true}, []any{named("a", "int4"), named("b", "_int4")}},
		{true, Call{Name: "dp"}, []any{"int4"}},
		{true, Call{Name: "dp"}, []any{"text", "numeric"}},
		// Casts as calls.
		{true, Call{Name: "int4"}, []any{"d_int"}},
		{true, Call{Name: "text"}, []any{"colour"}},
		{true, Call{Name: "name"}, []any{"unknown"}},
		{true, Call{Name: "date"}, []any{"unknown"}},
		{true, Call{Name: "d_int"}, []any{"int4"}},
		{false, Call{Name: "text"}, []any{"pair"}},
		{false, Call{Name: "d_pair"}, []any{"text", "int4"}},
		{false, Call{Name: "int4", Star: true}, nil},
		{false, Call{Name: "int4", Distinct: true}, []any{"unknown"}},
		{false, Call{Name: "text", Filter: true}, []any{"colour"}},
		// JDBC's untyped output parameter.
		{true, Call{Name: "f"}, []any{"int4", Argument{Type: Void, Parameter: true}}},
		// Aggregates and window functions.
		{true, Call{Name: "count", Star: true}, nil},
		{false, Call{Name: "count"}, nil},
		{true, Call{Name: "count", Distinct: true}, []any{"unknown"}},
		{true, Call{Name: "ag", Star: true, Over: true}, nil},
		{false, Call{Name: "sum", Distinct: true, Over: true}, []any{"int4"}},
		{false, Call{Name: "sum", OrderBy: true, Over: true}, []any{"int4"}},
		{false, Call{Name: "rank"}, nil},
		{true, Call{Name: "rank", Over: true}, nil},
		{false, Call{Name: "rank", Over: true, Filter: true}, nil},
		{true, Call{Name: "rank", WithinGroup: true, Ordered: 1}, []any{"int4", "numeric"}},
		{true, Call{Name: "rank", WithinGroup: true, Ordered: 2}, []any{"int4", "unknown", "numeric", "text"}},
		{false, Call{Name: "rank", WithinGroup: true, Ordered: 1}, []any{"int4", "text", "numeric"}},
		{false, Call{Name: "rank", WithinGroup: true, Ordered: 1}, []any{"int4", "date"}},
		{true, Call{Name: "percentile_cont", WithinGroup: true, Ordered: 1}, []any{"numeric", "int4"}},
		{true, Call{Name: "percentile_disc", WithinGroup: true, Ordered: 1}, []any{"_float8", "colour"}},
		{false, Call{Name: "percentile_disc", WithinGroup: true, Ordered: 1}, []any{"float8", "float8", "int4"}},
		{false, Call{Name: "percentile_disc"}, []any{"float8", "int4"}},
		{false, Call{Name: "percentile_disc", WithinGroup: true, Ordered: 1, Over: true}, []any{"float8", "int4"}},
		{true, Call{Name: "mode", WithinGroup: true, Ordered: 1}, []any{"text"}},
		{true, Call{Name: "rk", WithinGroup: true, Ordered: 2}, []any{"int4", "text", "int8", "unknown"}},
		{false, Call{Name: "sum", WithinGroup: true, Ordered: 1}, []any{"int4"}},
		{false, Call{Name: "lower", Over: true}, []any{"text"}},
		// Procedures and functions.
		{false, Call{Name: "pr"}, []any{"int4"}},
		{false, Call{Name: "f", Procedure: true}, []any{"int4"}},
		{true, Call{Name: "po", Procedure: true}, []any{"int4", "unknown"}},
		{true, Call{Name: "pp", Procedure: true}, []any{"int4", "_int4"}},
		{false, Call{Name: "pp", Procedure: true}, []any{"int4", "_text"}},
		{false, Call{Name: "po2", Procedure: true}, []any{"text", "int4"}},
		// Polymorphic parameters.
		{true, Call{Name: "p2"}, []any{"int4", "d_array"}},
		{false, Call{Name: "p3"}, []any{"d_array"}},
		{false, Call{Name: "p4"}, []any{"int4", "int4"}},
		{true, Call{Name: "p4"}, []any{"unknown", "colour"}},
		{true, Call{Name: "p5"}, []any{"d_range", "unknown"}},
		{true, Call{Name: "c2"}, []any{"numeric", "_int4"}},
		{true, Call{Name: "c3"}, []any{"unknown", "unknown"}},
		{false, Call{Name: "c4"}, []any{"unknown", "unknown"}},
		{true, Call{Name: "c5"}, []any{"int4multirange", "int2"}},
	} {
		t.Run(fmt.Sprintf("%s%v", c.call.Name, c.types), func(t *testing.T) {
			p := &reporter{t: t}
			c.call.Arguments = arguments(t, o.snap, c.types...)
			tryCall(t, o, o.resolver(), p, c.call)
			if (p.accepted == 1) != c.accepted {
				t.Errorf("accepted: %v", p.accepted == 1)
			}
		})
	}
}

// TestCastsAsCalls: a type's name as that of a function, for literals, parameters
// without a type, and values.
func TestCastsAsCalls(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	rng := rand.New(rand.NewPCG(11, 12))
	for _, path := range paths {
		o.setPath(t, path...)
		r := o.resolver()
		p := &reporter{t: t}
		for range rounds(500) {
			name := r.snap.TypeByOID(types[rng.IntN(len(types))]).Name
			from := types[rng.IntN(len(types))]
			if name == "unknown" {
				continue // What is still unknown, SELECT makes a text.
			}
			c := Call{Name: name, Arguments: []Argument{{Type: from}}}
			if rng.IntN(4) == 0 {
				c.Schema = "pg_catalog"
			}
			if rng.IntN(6) > 0 {
				tryCall(t, o, r, p, c)
				continue
			}
			// The server chooses the parameter's type.
			c.Arguments[0] = Argument{Type: Unknown, Parameter: true}
			sql := "SELECT " + quote(name) + "($1)"
			c.Schema = ""
			tree, pgErr := o.understand(t, sql, []catalog.OID{0})
			got, err := r.Call(c)
			p.report(func() error {
				if e := sameError(err, pgErr); e != nil || err != nil {
					return e
				}
				p.accepted++
				if n := tree.target(); got.Kind == Cast {
					if n.label == "FUNCEXPR" || n.resultType() != got.Result {
						return fmt.Errorf("it is a %s of %s, not a cast", n.label, r.Name(n.resultType()))
					}
				} else if n.label != "FUNCEXPR" || n.oid("funcid") != got.Function.OID {
					return fmt.Errorf("it is a %s", n.label)
				}
				return nil
			}(), "%v: %s", path, sql)
		}
		p.end()
	}
}

// TestAttributeNotation: a function of one argument written as its column.
func TestAttributeNotation(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	r := o.resolver()
	p := &reporter{t: t}
	for _, name := range []string{"f", "g", "h", "lower", "length", "abs", "text", "name", "int4", "cents", "v", "d", "s", "nosuch", "a"} {
		for _, from := range types {
			if from == Record || from == Unknown {
				continue
			}
			tree, pgErr := o.understand(t, "SELECT ($1)."+quote(name), []catalog.OID{from})
			got, err := r.Call(Call{Name: name, Arguments: []Argument{{Type: from}}, Column: true})
			p.report(func() error {
				if pgErr == nil && tree.target().label == "FIELDSELECT" {
					return nil
				}
				if err == nil && got.Kind == NotFound {
					if pgErr == nil || pgErr.Code != "42703" && pgErr.Code != wrongObjectType {
						return fmt.Errorf("there is none: %w", errors.Join(sameError(nil, pgErr)))
					}
					return nil
				}
				if e := sameError(err, pgErr); e != nil || err != nil {
					return e
				}
				p.accepted++
				return sameFunction(r, got, tree.target())
			}(), "(%s).%s", r.Name(from), name)
		}
	}
	p.end()
}

// TestCompatibleOperators: ORDER BY USING takes no operator that would coerce.
func TestCompatibleOperators(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	r := o.resolver()
	p := &reporter{t: t}
	for _, name := range []string{"<", ">", "=", "===", "~<~", "@>", "-"} {
		for _, typ := range types {
			if typ == Record || typ == Unknown {
				continue
			}
			tree, pgErr := o.understand(t, "SELECT $1 ORDER BY 1 USING OPERATOR("+name+")", []catalog.OID{typ})
			got, err := r.CompatibleOperator("", name, typ, typ)
			p.report(func() error {
				if notOrdering(pgErr) && err == nil {
					return nil
				}
				if e := sameError(err, pgErr); e != nil || err != nil {
					return e
				}
				p.accepted++
				if g := tree.list("sortClause")[0].oid("sortop"); g != got.OID {
					return fmt.Errorf("PostgreSQL takes %d, not %d", g, got.OID)
				}
				return nil
			}(), "sorting %s by %s", r.Name(typ), name)
		}
	}
	p.end()
}

func notOrdering(e *pgconn.PgError) bool { return e != nil && e.Code == wrongObjectType }
