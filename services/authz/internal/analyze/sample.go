package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// typeTSMHandler is tsm_handler, what a sampling method returns.
const typeTSMHandler catalog.OID = 3310

// rangeTableSample binds TABLESAMPLE (transformRangeTableSample).
func (a *analyzer) rangeTableSample(s *scope, t *pg_query.RangeTableSample) (*item, []*item, error) {
	rv := t.Relation.GetRangeVar()
	if rv == nil {
		return nil, nil, deny(access.Construct, "TABLESAMPLE")
	}
	it, items, err := a.fromItem(s, t.Relation)
	if err != nil {
		return nil, nil, err
	}
	argument, err := a.sampleMethod(t.Method)
	if err != nil {
		return nil, nil, err
	}
	for _, node := range t.Args {
		v, err := a.bind(s, node)
		if err != nil {
			return nil, nil, err
		}
		if err := a.specific(v, argument, "TABLESAMPLE"); err != nil {
			return nil, nil, err
		}
	}
	return it, items, a.specificExpr(s, t.Repeatable, typeFloat8, "REPEATABLE")
}

// sampleMethod finds the function of a sampling method and the type of its argument:
// those of the server and of contrib. Others are code that nobody has looked at.
func (a *analyzer) sampleMethod(nodes []*pg_query.Node) (catalog.OID, error) {
	names, ok := stringNodes(nodes)
	if !ok || len(names) == 0 || len(names) > 2 {
		return 0, deny(access.Construct, "a sampling method")
	}
	schemas := []string(a.path)
	if len(names) == 2 {
		schemas = names[:1]
	}
	candidates := a.snap.FunctionsNamed(last(names))
	if err := a.spend(len(candidates) * len(schemas)); err != nil {
		return 0, err
	}
	for _, schema := range schemas {
		for _, f := range candidates {
			if f.Schema != schema || f.Result != typeTSMHandler {
				continue
			}
			if !a.runsUnasked(f.OID) {
				return 0, deny(access.OpaqueCode, "sampling method "+f.Name)
			}
			a.named(f.Schema)
			a.held.meetFunction(f.OID)
			switch f.Name {
			case "bernoulli", "system":
				return typeFloat4, nil
			case "system_rows":
				return resolve.Int8, nil
			case "system_time":
				return typeFloat8, nil
			}
		}
	}
	return 0, deny(access.FunctionDenied, "sampling method "+last(names))
}
