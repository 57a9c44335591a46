package resolve

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestOutputs: in FROM a function has the columns that Outputs says.
func TestOutputs(t *testing.T) {
	o := newOracle(t)
	types := allTypes(t, o.snap)
	r := o.resolver()
	rng := rand.New(rand.NewPCG(9, 10))
	p := &reporter{t: t}
	for i := range o.snap.Functions {
		f := &o.snap.Functions[i]
		if f.Kind != 'f' || len(f.ArgumentModes) == 0 {
			continue
		}
		for range 12 {
			c := randomCall(rng, r, f, types)
			c.Over, c.Filter = false, false
			c.DefaultType = defaultType
			got, err := r.Call(c)
			if err != nil || len(got.Outputs) == 0 {
				continue
			}
			var s statement
			sql := "SELECT * FROM " + s.text(&c)[len("SELECT "):] + " AS result"
			tree, pgErr := o.understand(t, sql, s.parameters)
			p.report(func() error {
				if pgErr != nil {
					return sameError(nil, pgErr)
				}
				p.accepted++
				list := tree.list("targetList")
				if len(list) != len(got.Outputs) {
					return fmt.Errorf("there are %d columns, not %+v", len(list), got.Outputs)
				}
				for i, e := range list {
					if n, v := e.text("resname"), e.child("expr").resultType(); n != got.Outputs[i].Name || v != got.Outputs[i].Type {
						return fmt.Errorf("column %d is %s of %s, not %+v", i, n, r.Name(v), got.Outputs[i])
					}
				}
				return nil
			}(), "%s with %v", sql, typeNames(r, s.parameters))
		}
	}
	t.Logf("%d asked", p.asked)
	if p.accepted < 100 {
		t.Errorf("only %d calls were accepted", p.accepted)
	}
}
