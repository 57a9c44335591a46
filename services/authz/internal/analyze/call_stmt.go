package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// callStmt judges CALL (transformCallStmt, ExecuteCallStmt): execute on the procedure,
// and what its body or its arguments need. A procedure whose code cannot be looked into
// may end the transaction.
func (a *analyzer) callStmt(c *pg_query.CallStmt) error {
	f := c.Funccall
	names, ok := stringNodes(f.GetFuncname())
	if !ok || len(names) == 0 || len(f.AggOrder) > 0 || f.AggFilter != nil || f.Over != nil || f.AggStar || f.AggDistinct || f.AggWithinGroup {
		return deny(access.Construct, "a CALL")
	}
	asked := resolve.Call{Procedure: true, Variadic: f.FuncVariadic}
	if err := a.functionName(&asked, names); err != nil {
		return err
	}
	args, err := a.arguments(&scope{}, f, &asked)
	if err != nil {
		return err
	}
	_, found, err := a.invokeNamed(asked, args, f.Location)
	if err != nil {
		return err
	}
	if found.Kind != resolve.Procedure {
		return deny(access.FunctionDenied, "a CALL of what is no procedure")
	}
	return nil
}
