package resolve

import (
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// taken is what a coercion in a query tree runs.
type taken struct {
	functions, domains, literals []catalog.OID
	text, array                  bool
}

// follow collects what stands between an argument and what was written.
func (k *taken) follow(r *Resolver, n *node) error {
	switch n.label {
	case "PARAM", "CASE", "CASEEXPR", "ROW", "ROWEXPR", "CASETESTEXPR", "CASETEST", "ARRAYEXPR", "ARRAY":
		return nil
	case "CONST":
		if n.oid("consttype") != Unknown {
			k.literals = append(k.literals, n.oid("consttype"))
		}
		return nil
	case "NAMEDARGEXPR", "RELABELTYPE", "CONVERTROWTYPEEXPR":
		return k.follow(r, n.child("arg"))
	case "FUNCEXPR":
		k.functions = append(k.functions, n.oid("funcid"))
		return k.follow(r, n.list("args")[0])
	case "COERCEVIAIO":
		k.text = true
		arg := n.child("arg")
		to, from := r.snap.TypeByOID(n.oid("resulttype")), r.snap.TypeByOID(arg.resultType())
		if to == nil || from == nil {
			return fmt.Errorf("a type of a conversion through text is missing")
		}
		k.functions = append(k.functions, from.Output, to.Input)
		return k.follow(r, arg)
	case "ARRAYCOERCEEXPR":
		k.array = true
		if err := k.follow(r, n.child("elemexpr")); err != nil {
			return err
		}
		return k.follow(r, n.child("arg"))
	case "COERCETODOMAIN":
		k.domains = append(k.domains, n.oid("resulttype"))
		return k.follow(r, n.child("arg"))
	default:
		return fmt.Errorf("a coercion has a node %s", n.label)
	}
}

// sameCoercion holds a coercion against the argument of the query tree.
func sameCoercion(r *Resolver, c Coercion, n *node) error {
	if got, want := c.To, n.resultType(); got != want {
		return fmt.Errorf("it becomes %s, not %s", r.Name(want), r.Name(got))
	}
	var k taken
	if err := k.follow(r, n); err != nil {
		return err
	}
	for _, f := range k.functions {
		if !slices.Contains(c.Functions, f) {
			return fmt.Errorf("it runs %d, which is not among %v", f, c.Functions)
		}
	}
	for _, d := range k.domains {
		if !slices.Contains(c.Domains, d) {
			return fmt.Errorf("it checks the domain %s, which is not among %v", r.Name(d), c.Domains)
		}
	}
	for _, l := range k.literals {
		if t := r.snap.TypeByOID(l); !c.Literal || !slices.Contains(c.Functions, t.Input) {
			return fmt.Errorf("a literal of %s is not known to be one: %+v", r.Name(l), c)
		}
	}
	if !k.text && !c.Literal && len(c.Domains) == 0 && len(k.functions) != len(c.Functions) {
		return fmt.Errorf("it runs %v, not %v", k.functions, c.Functions)
	}
	if len(c.Domains) > 0 && len(k.domains) == 0 && !c.Literal && !k.text {
		return fmt.Errorf("it checks no domain, not %v", c.Domains)
	}
	return nil
}

// sameError holds an error against the server's.
func sameError(got *Error, want *pgconn.PgError) error {
	switch {
	case got == nil && want == nil:
		return nil
	case got == nil:
		return fmt.Errorf("PostgreSQL says %s: %s", want.Code, want.Message)
	case want == nil:
		return fmt.Errorf("PostgreSQL accepts it, and it is refused with %w", got)
	case got.SQLState != want.Code || got.Message != want.Message:
		return fmt.Errorf("PostgreSQL says %s: %s, not %w", want.Code, want.Message, got)
	default:
		return nil
	}
}

// rowRefused reports that PostgreSQL has found what was found, and then refused an
// anonymous row for its columns, which is for the caller to see.
func rowRefused(e *pgconn.PgError, coercions ...Coercion) bool {
	return e != nil && e.Code == cannotCoerce && slices.ContainsFunc(coercions, func(c Coercion) bool { return c.Columns })
}

// sameFunction holds a resolved call against the first column of a query tree.
func sameFunction(r *Resolver, f Found, n *node) error {
	args := n.list("args")
	var id catalog.OID
	switch n.label {
	case "FUNCEXPR":
		id = n.oid("funcid")
	case "AGGREF":
		id = n.oid("aggfnoid")
		args = nil
		for _, e := range n.list("args") {
			if e.text("resjunk") != "true" {
				args = append(args, e.child("expr"))
			}
		}
		args = append(n.list("aggdirectargs"), args...)
	case "WINDOWFUNC":
		id = n.oid("winfnoid")
	}
	if f.Kind == Cast {
		if f.Result != n.resultType() {
			return fmt.Errorf("it is of type %s, not %s", r.Name(n.resultType()), r.Name(f.Result))
		}
		return sameCoercion(r, f.Coercions[0], n)
	}
	if id == 0 {
		return fmt.Errorf("it is a %s, not a call", n.label)
	}
	if f.Function == nil || f.Function.OID != id {
		return fmt.Errorf("it calls %d, not %+v", id, f.Function)
	}
	if f.Result != n.resultType() {
		return fmt.Errorf("it is of type %s, not %s", r.Name(n.resultType()), r.Name(f.Result))
	}
	// VARIADIC arguments are packed into the last.
	if len(args) > 0 && (args[len(args)-1].label == "ARRAYEXPR" || args[len(args)-1].label == "ARRAY") &&
		f.Function.Variadic != 0 && f.Function.Variadic != anyOID {
		args = append(slices.Clone(args[:len(args)-1]), args[len(args)-1].list("elements")...)
	}
	coercions := slices.DeleteFunc(slices.Clone(f.Coercions), func(c Coercion) bool { return c.From == 0 })
	if len(args) != len(coercions) {
		return fmt.Errorf("it takes %d arguments, not %d", len(args), len(coercions))
	}
	for i, a := range args {
		if err := sameCoercion(r, coercions[i], a); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

// sameOperator holds a resolved operator against the first column of a query
// tree.
func sameOperator(r *Resolver, f FoundOperator, n *node) error {
	if n.label != "OPEXPR" && n.label != "SCALARARRAYOPEXPR" {
		return fmt.Errorf("it is a %s, not an operator", n.label)
	}
	if f.Operator == nil || f.Operator.OID != n.oid("opno") {
		return fmt.Errorf("it is %d, not %+v", n.oid("opno"), f.Operator)
	}
	if f.Result != n.resultType() {
		return fmt.Errorf("it is of type %s, not %s", r.Name(n.resultType()), r.Name(f.Result))
	}
	args := n.list("args")
	coercions := []Coercion{f.Left, f.Right}
	coercions = coercions[2-len(args):]
	for i, a := range args {
		if err := sameCoercion(r, coercions[i], a); err != nil {
			return fmt.Errorf("operand %d: %w", i+1, err)
		}
	}
	return nil
}
