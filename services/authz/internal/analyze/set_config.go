package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// set_config is SET in the clothes of a function. It is judged as SET where it certainly
// runs, once, with values that are there to see: as an output column of a lone SELECT
// that has no other clause, with literals. Anywhere else it may run or not
// (`… WHERE false` completes and sets nothing), and the context is unknown afterwards.

// configuring is what the statement at hand sets by set_config in that way.
type configuring struct {
	// local are the third arguments of the calls, in their order.
	local   []bool
	effects []access.Effect
}

// loneSettings lists the calls of set_config that are output columns of a SELECT
// without any other clause; nil unless they are all calls of it in the statement.
func loneSettings(q *pg_query.SelectStmt) *configuring {
	if len(q.FromClause)+len(q.GroupClause)+len(q.ValuesLists)+len(q.SortClause)+len(q.WindowClause)+len(q.DistinctClause)+len(q.LockingClause) > 0 ||
		q.WhereClause != nil || q.HavingClause != nil || q.LimitCount != nil || q.LimitOffset != nil || q.WithClause != nil ||
		q.Op != pg_query.SetOperation_SETOP_NONE {
		return nil
	}
	c := &configuring{}
	for _, target := range q.TargetList {
		f := target.GetResTarget().GetVal().GetFuncCall()
		if f == nil || !callsSetConfig(f) || len(f.Args) != 3 {
			continue
		}
		if local, ok := f.Args[2].GetAConst().GetVal().(*pg_query.A_Const_Boolval); ok {
			c.local = append(c.local, local.Boolval.GetBoolval())
		}
	}
	if len(c.local) == 0 || countSettings(q.ProtoReflect()) != len(c.local) {
		return nil
	}
	return c
}

func callsSetConfig(f *pg_query.FuncCall) bool {
	names, _ := stringNodes(f.Funcname)
	return last(names) == "set_config"
}

// countSettings counts the calls of set_config in a tree.
func countSettings(m protoreflect.Message) int {
	count := 0
	if f, ok := m.Interface().(*pg_query.FuncCall); ok && callsSetConfig(f) {
		count++
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				count += countSettings(value.List().Get(i).Message())
			}
		default:
			count += countSettings(value.Message())
		}
		return true
	})
	return count
}

// setConfig judges a call of set_config as SET, in a statement where that can be. It
// reports false where it cannot.
func (a *analyzer) setConfig(name string, args []value) (bool, error) {
	c := a.configuring
	if c == nil || len(c.effects) >= len(c.local) || len(args) != 3 || args[1].kind != constant {
		return false, nil
	}
	text := a.says(args[1].literal)
	if err := a.setting(name, text); err != nil {
		return true, err
	}
	local := c.local[len(c.effects)]
	c.effects = append(c.effects, settingEffect(name, text, local)...)
	return true, nil
}
