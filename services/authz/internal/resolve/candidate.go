package resolve

import (
	"cmp"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// candidate is FuncCandidateList: a function or operator that a name could mean,
// with the argument types as the call would see them.
type candidate struct {
	// function or operator is nil when several functions are equally good.
	function *catalog.Function
	operator *catalog.Operator
	// position is the schema's place in the search path.
	position int
	// arguments are the types in the call's order, VARIADIC expanded, with
	// defaulted ones at the end.
	arguments []catalog.OID
	// nominal is the number of parameters considered, expanded how many arguments
	// the VARIADIC parameter takes, defaults how many parameters go without.
	nominal, expanded, defaults int
	// order maps call positions to parameters in named notation, defaulted ones
	// last; nil in positional notation.
	order []int
}

// position is a schema's place in the search path for functions and operators,
// or -1.
func (r *Resolver) position(schema string) int {
	for i, s := range r.path {
		if s == schema && !temporary(s) {
			return i
		}
	}
	return -1
}

// lookup is what FuncnameGetCandidates is asked for.
type lookup struct {
	schema, name string
	// nargs is the number of arguments, names are those of the last of them.
	nargs int
	names []string
	// variadic lets VARIADIC parameters expand, defaults lets defaults stand in;
	// outputs counts output parameters (CALL).
	variadic, defaults, outputs bool
}

// Candidates lists the functions of a name that could take so many arguments in
// positional notation (FuncnameGetCandidates). Those hidden by another schema of
// the path are left out. A missing schema has none.
func (r *Resolver) Candidates(schema, name string, nargs int) []*catalog.Function {
	list, err := r.functionCandidates(lookup{schema: schema, name: name, nargs: nargs, variadic: true, defaults: true})
	if err != nil {
		return nil
	}
	var out []*catalog.Function
	for i := range list {
		if list[i].function != nil {
			out = append(out, list[i].function)
		}
	}
	return out
}

// functionCandidates is FuncnameGetCandidates of namespace.c.
func (r *Resolver) functionCandidates(l lookup) ([]candidate, *Error) {
	if l.schema != "" {
		if err := r.namespace(l.schema); err != nil {
			return nil, err
		}
	}
	named := r.functionsNamed(l.name)
	if l.outputs {
		named = inIndexOrder(named)
	}
	var list []candidate
	special := false
	for _, f := range named {
		position := 0
		if l.schema != "" {
			if f.Schema != l.schema {
				continue
			}
		} else if position = r.position(f.Schema); position < 0 {
			continue
		}
		c, ok := match(f, &l)
		if !ok {
			continue
		}
		c.position = position
		special = special || c.order != nil || c.expanded > 0 || c.defaults > 0
		if len(list) > 0 && (special || l.schema == "") {
			if i := c.sameAs(list, l.nargs, l.outputs && !special); i >= 0 {
				old := &list[i]
				switch {
				case c.position > old.position || c.position == old.position && c.expanded > 0 && old.expanded == 0:
					continue
				case c.position < old.position || c.expanded == 0 && old.expanded > 0:
					list = slices.Delete(list, i, i+1)
				default:
					old.function = nil
					continue
				}
			}
		}
		list = append(list, c)
	}
	// PostgreSQL puts each new one in front.
	slices.Reverse(list)
	return list, nil
}

// sameAs finds the candidate that takes the same arguments, defaulted ones not
// counted. PostgreSQL compares with the newest alone where its index has put
// equal ones side by side; with output parameters counted that is not so, and
// the difference shows.
func (c *candidate) sameAs(list []candidate, nargs int, newest bool) int {
	for i := len(list) - 1; i >= 0; i-- {
		if slices.Equal(c.arguments[:nargs], list[i].arguments[:nargs]) {
			return i
		}
		if newest {
			return -1
		}
	}
	return -1
}

// inIndexOrder sorts functions of one name as pg_proc_proname_args_nsp_index
// does: by the number of inputs, then by their types (btoidvectorcmp).
func inIndexOrder(functions []*catalog.Function) []*catalog.Function {
	out := slices.Clone(functions)
	slices.SortStableFunc(out, func(a, b *catalog.Function) int {
		return cmp.Or(cmp.Compare(len(a.Arguments), len(b.Arguments)), slices.Compare(a.Arguments, b.Arguments))
	})
	return out
}

// match says whether a function could take the arguments by their number and
// names, and how.
func match(f *catalog.Function, l *lookup) (c candidate, ok bool) {
	types := f.Arguments
	if l.outputs && len(f.AllArguments) > 0 {
		types = f.AllArguments
	}
	n := len(types)
	c = candidate{function: f, nominal: n}
	short := n > l.nargs
	if short && (!l.defaults || l.nargs+f.Defaults < n) {
		return c, false
	}
	if len(l.names) > 0 {
		// The parameters that a VARIADIC one expands to have no names.
		if f.Variadic != 0 && l.variadic || n < l.nargs {
			return c, false
		}
		if c.order, ok = matchNames(f, l, n); !ok {
			return c, false
		}
		c.arguments = make([]catalog.OID, n)
		for i, p := range c.order {
			c.arguments[i] = types[p]
		}
	} else {
		expand := n <= l.nargs && l.variadic && f.Variadic != 0 && n > 0
		if n < l.nargs && !expand {
			return c, false
		}
		c.arguments = types
		if expand {
			c.expanded = l.nargs - n + 1
			c.arguments = append(make([]catalog.OID, 0, l.nargs), types[:n-1]...)
			for range c.expanded {
				c.arguments = append(c.arguments, f.Variadic)
			}
		}
	}
	if short {
		c.defaults = n - l.nargs
	}
	return c, true
}

// matchNames is MatchNamedCall of namespace.c; n is the number of parameters
// considered.
func matchNames(f *catalog.Function, l *lookup, n int) (order []int, ok bool) {
	if len(f.ArgumentNames) == 0 {
		return nil, false
	}
	positional := l.nargs - len(l.names)
	order = make([]int, 0, n)
	given := make([]bool, n)
	for i := range positional {
		order = append(order, i)
		given[i] = true
	}
	for _, name := range l.names {
		p := parameter(f, name, l.outputs)
		if p < 0 || p >= n || given[p] {
			return nil, false
		}
		given[p] = true
		order = append(order, p)
	}
	for p := positional; p < n; p++ {
		if given[p] {
			continue
		}
		if p < n-f.Defaults {
			return nil, false
		}
		order = append(order, p)
	}
	return order, len(order) == n
}

// parameter is the place of a named parameter among those considered, or -1.
// The names of outputs count only with outputs.
func parameter(f *catalog.Function, name string, outputs bool) int {
	place := 0
	for i, n := range f.ArgumentNames {
		if !outputs && i < len(f.ArgumentModes) {
			if m := f.ArgumentModes[i]; m != 'i' && m != 'b' && m != 'v' {
				continue
			}
		}
		// An empty name is no name: the server reads it as null.
		if n == name && n != "" {
			return place
		}
		place++
	}
	return -1
}

// ExactOperator is OpernameGetOprid: the operator for exactly these types, or
// nil.
func (r *Resolver) ExactOperator(schema, name string, left, right catalog.OID) *catalog.Operator {
	var found *catalog.Operator
	best := 0
	for _, o := range r.operatorsNamed(name) {
		if o.Left != left || o.Right != right {
			continue
		}
		if schema != "" {
			if o.Schema == schema {
				return o
			}
			continue
		}
		if p := r.position(o.Schema); p >= 0 && (found == nil || p < best) {
			found, best = o, p
		}
	}
	return found
}

// operatorCandidates is OpernameGetCandidates for binary or prefix operators.
// Prefix ones have their only argument first (left_oper of parse_oper.c).
func (r *Resolver) operatorCandidates(schema, name string, prefix bool) ([]candidate, *Error) {
	if schema != "" {
		if err := r.namespace(schema); err != nil {
			return nil, err
		}
	}
	named := r.operatorsNamed(name)
	list := make([]candidate, 0, len(named))
	types := make([]catalog.OID, 0, 2*len(named))
	several := false
	for _, o := range named {
		if prefix != (o.Left == 0) {
			continue
		}
		c := candidate{operator: o}
		if schema != "" {
			if o.Schema != schema {
				continue
			}
		} else if c.position = r.position(o.Schema); c.position < 0 {
			continue
		}
		// Within one schema no two have the same arguments.
		if len(list) > 0 && (several || o.Schema != list[0].operator.Schema) {
			several = true
			if i := slices.IndexFunc(list, func(p candidate) bool {
				return p.operator.Left == o.Left && p.operator.Right == o.Right
			}); i >= 0 {
				if c.position < list[i].position {
					list[i].operator, list[i].position = o, c.position
				}
				continue
			}
		}
		at := len(types)
		if !prefix {
			types = append(types, o.Left)
		}
		types = append(types, o.Right)
		c.arguments = types[at:]
		list = append(list, c)
	}
	slices.Reverse(list)
	return list, nil
}
