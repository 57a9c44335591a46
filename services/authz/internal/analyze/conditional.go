package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// caseExpr is transformCaseExpr. The default stands first among the results.
func (a *analyzer) caseExpr(s *scope, c *pg_query.CaseExpr) (value, error) {
	var subject value
	if c.Arg != nil {
		var err error
		if subject, err = a.bind(s, c.Arg); err != nil {
			return value{}, err
		}
		if subject.open() {
			if subject, err = a.coerce(subject, resolve.Text, resolve.Implicit, nil); err != nil {
				return value{}, err
			}
		}
		// From here on it is a placeholder.
		subject = typed(subject.typ, -1)
	}
	var results []value
	for _, node := range c.Args {
		when := node.GetCaseWhen()
		if when == nil {
			return value{}, deny(access.Construct, "a CASE")
		}
		condition, err := a.bind(s, when.Expr)
		if err != nil {
			return value{}, err
		}
		if c.Arg != nil {
			if condition, err = a.compareImplied(subject, condition, when.Location); err != nil {
				return value{}, err
			}
		}
		if err := a.boolean(condition, "CASE/WHEN"); err != nil {
			return value{}, err
		}
		result, err := a.bind(s, when.Result)
		if err != nil {
			return value{}, err
		}
		results = append(results, result)
	}
	otherwise := value{typ: resolve.Unknown, kind: null, location: -1}
	if c.Defresult != nil {
		var err error
		if otherwise, err = a.bind(s, c.Defresult); err != nil {
			return value{}, err
		}
	}
	all := append([]value{otherwise}, results...)
	typ, bad := a.names().Common(types(all), "CASE")
	if bad != nil {
		return value{}, a.wrong(bad, a.mismatched(all))
	}
	if err := a.toCommon(all[:1], typ, "CASE/ELSE"); err != nil {
		return value{}, err
	}
	return typed(typ, c.Location), a.toCommon(results, typ, "CASE/WHEN")
}

// coalesce is transformCoalesceExpr.
func (a *analyzer) coalesce(s *scope, c *pg_query.CoalesceExpr) (value, error) {
	values, err := a.binds(s, c.Args)
	if err != nil {
		return value{}, err
	}
	typ, err := a.common(values, "COALESCE")
	return typed(typ, c.Location), err
}

// minMax is transformMinMaxExpr. It compares by the type's own order, which no right
// guards.
func (a *analyzer) minMax(s *scope, m *pg_query.MinMaxExpr) (value, error) {
	construct := "GREATEST"
	if m.Op == pg_query.MinMaxOp_IS_LEAST {
		construct = "LEAST"
	}
	values, err := a.binds(s, m.Args)
	if err != nil {
		return value{}, err
	}
	typ, err := a.common(values, construct)
	return typed(typ, m.Location), err
}

// valueFunctionType is the type of CURRENT_DATE and its kin, 0 for one that is not
// known.
func valueFunctionType(op pg_query.SQLValueFunctionOp) catalog.OID {
	switch op {
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
		return typeDate
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIME, pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N:
		return typeTimeTZ
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP, pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N:
		return typeTimestampTZ
	case pg_query.SQLValueFunctionOp_SVFOP_LOCALTIME, pg_query.SQLValueFunctionOp_SVFOP_LOCALTIME_N:
		return typeTime
	case pg_query.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP, pg_query.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N:
		return typeTimestamp
	case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_ROLE, pg_query.SQLValueFunctionOp_SVFOP_CURRENT_USER,
		pg_query.SQLValueFunctionOp_SVFOP_USER, pg_query.SQLValueFunctionOp_SVFOP_SESSION_USER,
		pg_query.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG, pg_query.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
		return typeName
	}
	return 0
}
