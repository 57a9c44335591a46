package resolve

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestSort: PostgreSQL groups and sorts every type by the operators that Sort
// says, or not at all.
func TestSort(t *testing.T) {
	o := newOracle(t)
	r := o.resolver()
	p := &reporter{t: t}
	for i := range o.snap.Types {
		typ := &o.snap.Types[i]
		if typ.Kind == 'p' || typ.OID == Unknown {
			continue
		}
		got, ok := r.Sort(typ.OID)
		tree, pgErr := o.understand(t, "SELECT $1 GROUP BY 1", []catalog.OID{typ.OID})
		p.report(func() error {
			if (pgErr == nil) != ok {
				return fmt.Errorf("only one of us groups it: %w", errors.Join(sameError(nil, pgErr)))
			}
			if !ok {
				return nil
			}
			p.accepted++
			group := tree.list("groupClause")[0]
			if e, l, h := group.oid("eqop"), group.oid("sortop"), group.text("hashable") == "true"; e != got.Equal || l != got.Less || h != got.Hashable {
				return fmt.Errorf("PostgreSQL takes %d, %d, hashable %v, not %+v", e, l, h, got)
			}
			equal := r.snap.OperatorByOID(got.Equal).Function
			for _, f := range []catalog.OID{equal} {
				if !contains(got.Functions, f) {
					return fmt.Errorf("%d is not among what runs, %v", f, got.Functions)
				}
			}
			return nil
		}(), "grouping by %s", r.Name(typ.OID))
		tree, pgErr = o.understand(t, "SELECT $1 ORDER BY 1 DESC", []catalog.OID{typ.OID})
		p.report(func() error {
			if (pgErr == nil) != (got.Greater != 0) {
				return fmt.Errorf("it has %+v: %w", got, errors.Join(sameError(nil, pgErr)))
			}
			if got.Greater == 0 {
				return nil
			}
			p.accepted++
			if g := tree.list("sortClause")[0].oid("sortop"); g != got.Greater {
				return fmt.Errorf("PostgreSQL takes %d, not %+v", g, got)
			}
			return nil
		}(), "sorting %s", r.Name(typ.OID))
	}
	p.end()
}

func contains(list []catalog.OID, f catalog.OID) bool {
	for _, e := range list {
		if e == f {
			return true
		}
	}
	return false
}

// TestSortRunsWhatIsWithin: the code of columns, elements and bounds is among
// what runs.
func TestSortRunsWhatIsWithin(t *testing.T) {
	o := newOracle(t)
	r := o.resolver()
	textCompare := r.snap.DefaultClass("btree", Text).Functions[0]
	for _, name := range []string{"pair", "d_pair", "_pair", "parent", "textrange", "textmultirange"} {
		typ := o.snap.TypeByName("public", name)
		got, ok := r.Sort(typ.OID)
		if !ok || !contains(got.Functions, textCompare) {
			t.Errorf("sorting %s does not run %d: %+v", name, textCompare, got)
		}
	}
}
