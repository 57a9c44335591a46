package resolve

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// builtinTypes are what operators and functions are tried with, by pg_catalog
// names.
var builtinTypes = []string{
	"unknown", "int2", "int4", "int8", "numeric", "float4", "float8", "text", "varchar", "bpchar", "name", "char", "bool",
	"date", "timestamp", "timestamptz", "interval", "time", "bytea", "oid", "regclass", "json", "jsonb", "uuid",
	"inet", "cidr", "point", "box", "_int4", "_text", "_varchar", "int4range", "int4multirange", "numrange", "bit",
	"varbit", "xml", "tsvector", "tsquery", "money", "xid", "record", "int2vector", "oidvector", "_json",
}

// ownTypes are those of testdata/schema.sql.
var ownTypes = []string{
	"d_int", "d_int2", "d_text", "d_varchar", "d_num", "d_array", "d_range", "colour", "d_colour", "size", "pair", "pair2",
	"d_pair", "parent", "child", "grandchild", "typed", "textrange", "textmultirange", "euro", "_colour", "_pair",
	"_d_int", "_child", "_euro", "select", "money_range",
}

// rounds is how many random statements a test asks about: many more at night.
func rounds(n int) int {
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		return 40 * n
	}
	return n
}

func typesNamed(t testing.TB, snap *catalog.Snapshot, schema string, names ...string) []catalog.OID {
	t.Helper()
	var out []catalog.OID
	for _, name := range names {
		typ := snap.TypeByName(schema, name)
		if typ == nil {
			t.Fatalf("there is no type %s.%s", schema, name)
		}
		out = append(out, typ.OID)
	}
	return out
}

// allTypes are the built-in ones and, as often, those of the schema.
func allTypes(t testing.TB, snap *catalog.Snapshot) []catalog.OID {
	return append(typesNamed(t, snap, "pg_catalog", builtinTypes...), typesNamed(t, snap, "public", ownTypes...)...)
}

// statement builds a statement whose arguments are of given types.
type statement struct {
	parameters []catalog.OID
}

// argument is an expression of the type: an untyped literal, an anonymous row or
// a parameter.
func (s *statement) argument(t catalog.OID) string {
	switch t {
	case Unknown:
		return "NULL"
	case Record:
		return "ROW(1, NULL)"
	default:
		s.parameters = append(s.parameters, t)
		return fmt.Sprintf("$%d", len(s.parameters))
	}
}

// reporter counts disagreements and shows the first.
type reporter struct {
	t            *testing.T
	asked, wrong int
	accepted     int
}

func (p *reporter) report(err error, format string, args ...any) {
	p.asked++
	if err == nil {
		return
	}
	p.wrong++
	if p.wrong <= 25 {
		p.t.Errorf("%s: %v", fmt.Sprintf(format, args...), err)
	}
}

func (p *reporter) end() {
	p.t.Logf("%d asked, %d accepted, %d wrong", p.asked, p.accepted, p.wrong)
	if p.accepted == 0 || p.accepted == p.asked {
		p.t.Errorf("of %d statements %d were accepted: they show nothing", p.asked, p.accepted)
	}
}

var paths = [][]string{
	{"public"}, {"before", "pg_catalog", "public"}, {"public", "after"}, {"pg_catalog", "after", "public", "before"},
	{"public", "pg_catalog"}, {"before"},
}

// TestOperators: for operators of any name and operands of any type PostgreSQL
// takes the operator, and the coercions, that Operator says.
func TestOperators(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	names := operatorNames(o.snap)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, path := range paths {
		t.Run(fmt.Sprint(path), func(t *testing.T) {
			o.setPath(t, path...)
			r := o.resolver()
			p := &reporter{t: t}
			for range rounds(800) {
				name := names[rng.IntN(len(names))]
				left, right := types[rng.IntN(len(types))], types[rng.IntN(len(types))]
				switch rng.IntN(8) {
				case 0:
					left = 0
				case 1:
					left = Unknown
				case 2:
					right = Unknown
				case 3, 4:
					right = left
				}
				tryOperator(t, o, r, p, name, left, right)
			}
			p.end()
		})
	}
}

// operatorNames lists the names, those with many operators more than once.
func operatorNames(snap *catalog.Snapshot) []string {
	var names []string
	for i := range snap.Operators {
		names = append(names, snap.Operators[i].Name)
	}
	slices.Sort(names)
	return append(slices.Compact(slices.Clone(names)), names...)
}

// TestOperatorsExhaustively: the same for all names and pairs of types, at night.
func TestOperatorsExhaustively(t *testing.T) {
	if os.Getenv("SCOPEWIRE_NIGHTLY") == "" {
		t.Skip("takes minutes")
	}
	o := newOracle(t)
	r := o.resolver()
	types := typesNamed(t, o.snap, "pg_catalog", builtinTypes[:32]...)
	p := &reporter{t: t}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(operatorNames(o.snap)))) {
		for _, right := range types {
			for _, left := range append([]catalog.OID{0}, types...) {
				tryOperator(t, o, r, p, name, left, right)
			}
		}
	}
	p.end()
}

func tryOperator(t *testing.T, o *oracle, r *Resolver, p *reporter, name string, left, right catalog.OID) {
	t.Helper()
	var s statement
	sql := "SELECT "
	if left != 0 {
		sql += s.argument(left) + " "
	}
	operand := s.argument(right)
	if left == Record && right == Record {
		// The grammar makes two rows with a sign between them into something else.
		operand = "(CASE WHEN true THEN " + operand + " END)"
	}
	sql += "OPERATOR(" + name + ") " + operand
	tree, pgErr := o.understand(t, sql, s.parameters)
	got, err := r.Operator("", name, left, right)
	p.report(func() error {
		if err == nil && rowRefused(pgErr, got.Left, got.Right) {
			return nil
		}
		if e := sameError(err, pgErr); e != nil || err != nil {
			return e
		}
		p.accepted++
		return sameOperator(r, got, tree.target())
	}(), "%s %s %s", r.Name(left), name, r.Name(right))
}

// TestArrayOperators: the same for op ANY (array).
func TestArrayOperators(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	names := operatorNames(o.snap)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, path := range paths {
		o.setPath(t, path...)
		r := o.resolver()
		p := &reporter{t: t}
		for range rounds(300) {
			name := names[rng.IntN(len(names))]
			if rng.IntN(2) == 0 {
				name = "="
			}
			left, right := types[rng.IntN(len(types))], types[rng.IntN(len(types))]
			if rng.IntN(4) > 0 {
				right = left
			}
			if a := r.ArrayOf(right); a != 0 && rng.IntN(6) > 0 {
				right = a
			}
			if left == Unknown && right == Unknown {
				continue
			}
			var s statement
			sql := fmt.Sprintf("SELECT %s OPERATOR(%s) ANY (%s)", s.argument(left), name, s.argument(right))
			tree, pgErr := o.understand(t, sql, s.parameters)
			got, err := r.ArrayOperator("", name, left, right)
			p.report(func() error {
				if err == nil && rowRefused(pgErr, got.Left, got.Right) {
					return nil
				}
				if e := sameError(err, pgErr); e != nil || err != nil {
					return e
				}
				p.accepted++
				return sameOperator(r, got, tree.target())
			}(), "%v: %s %s ANY %s", path, r.Name(left), name, r.Name(right))
		}
		p.end()
	}
}
